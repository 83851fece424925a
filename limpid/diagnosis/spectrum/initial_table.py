"""A comparison of initialisations as text and as HTML."""

from __future__ import annotations

from html import escape

from limpid.diagnosis.spectrum.initial_record import InitialReport, Start
from limpid.diagnosis.spectrum.table import columns, html_table, number

HEAD = ("activation", "initialisation", "signal", "gradient", "∏ σ", "χ₁ theory", "χ₁ measured")
NEAR = 1.0  # powers of ten within which a start counts as good


def rows_of(report: InitialReport) -> list[tuple[str, ...]]:
    """A row for each start, those of one activation together."""
    return [
        (
            start.activation,
            start.initialisation,
            number(start.signal),
            number(start.gradient),
            number(start.product),
            number(start.chi),
            number(start.measured_chi),
        )
        for name in report.activations
        for start in report.starts
        if start.activation == name
    ]


def notes_of(report: InitialReport) -> list[str]:
    """What the columns are, and what to choose."""
    notes = [
        f"{report.subject}, before training",
        "signal: root mean square at the output over that at the input; "
        "gradient: norm at the input over that at the output",
        "χ₁ = σ_w² E[f′(z)²]: by how much a layer multiplies the squared norm of a gradient",
    ]
    return notes + [_advice(report.best(name)) for name in report.activations]


def _advice(best: Start) -> str:
    sizes = f"signals × {number(best.signal)}, gradients × {number(best.gradient)}"
    if best.distance <= NEAR:
        return f"{best.activation}: {best.initialisation} ({sizes})"
    return (
        f"{best.activation}: none keeps both sizes; nearest is {best.initialisation} ({sizes}); "
        "another activation, normalisation or skip connections help"
    )


def render_text(report: InitialReport) -> str:
    """The table and its notes."""
    first, *rest = notes_of(report)
    return "\n".join([first, *columns(HEAD, rows_of(report), 2), *rest])


def render_html(report: InitialReport) -> str:
    """The same for a notebook; names are text."""
    notes = "".join(f"<p>{escape(note)}</p>" for note in notes_of(report))
    return html_table(HEAD, rows_of(report)) + notes
