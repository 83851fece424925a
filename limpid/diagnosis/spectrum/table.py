"""A spectrum as text and as HTML."""

from __future__ import annotations

from html import escape

from limpid.diagnosis.spectrum.record import Layer, Loop, Spectrum

LONGEST = 36  # letters of a layer's name and operations
FEW = 8  # time steps of a loop that are all shown

HEAD = ("layer", "operations", "σ(J)", "σ(W)", "max |f′|", "f′ = 0", "∏ σ", "bound", "∥∂L/∂in∥")
LOOP_HEAD = ("step", "σ(J)", "∏ σ", "carried back", "∥∂L/∂h∥")


def number(value: float | None) -> str:
    """Four digits; – where there is none."""
    if value is None:
        return "–"
    return f"{value:.4g}"


def rows_of(spectrum: Spectrum) -> list[tuple[str, ...]]:
    """The table's rows, from the input to the output."""
    return [_row(layer) for layer in spectrum.layers]


def _row(layer: Layer) -> tuple[str, ...]:
    mark = "" if layer.converged else " ?"
    joint = " ‡" if layer.examples is None else ""
    return (
        _short(layer.name) + joint,
        _short(", ".join(layer.operations)),
        number(layer.sigma) + mark,
        number(layer.weight),
        number(layer.slope),
        "–" if layer.closed is None else f"{layer.closed:.0%}",
        number(layer.product),
        number(layer.bound),
        number(layer.gradient),
    )


def loop_rows(loop: Loop) -> list[tuple[str, ...]]:
    """Rows for the states of a loop, the first and last ones of many."""
    count = len(loop.product)
    sigmas = (*loop.sigma, None)
    numbers = range(count)
    shown = [*numbers] if count <= FEW else [*numbers[: FEW // 2], *numbers[-FEW // 2 :]]
    return [
        (
            str(k),
            number(sigmas[k]),
            number(loop.product[k]),
            number(loop.carried[k]),
            number(loop.gradient[k]),
        )
        for k in shown
    ]


def notes_of(spectrum: Spectrum) -> list[str]:
    """What the table means, as far as it applies."""
    notes = [
        f"gradients: {spectrum.upstream}; at the output {number(spectrum.last)}. "
        f"∥∂L/∂in∥ ≤ bound = ∏ σ · {number(spectrum.last)}",
        f"∏ σ of all {len(spectrum)} layers: {number(spectrum.product)}, "
        f"{number(spectrum.per_layer)} for each",
    ]
    if spectrum.start != "input":
        notes.append(f"the first layer begins with what was {spectrum.start}")
    if any(layer.examples is None for layer in spectrum.layers):
        notes.append("‡ examples depend on one another: one Jacobian for the whole batch")
    if not all(layer.converged for layer in spectrum.layers):
        notes.append("? not found to the tolerance: allow more steps, or the map is not finite")
    return notes


def render_text(spectrum: Spectrum) -> str:
    """The table, its notes, and the loops."""
    lines = [*columns(HEAD, rows_of(spectrum), 2), *notes_of(spectrum)]
    for loop in spectrum.loops:
        lines += [
            "",
            f"{loop.name}: from each state back",
            *columns(LOOP_HEAD, loop_rows(loop), 0),
        ]
        lines.append(loop.advice)
    return "\n".join(lines)


def render_html(spectrum: Spectrum) -> str:
    """The same for a notebook; names are text."""
    parts = [html_table(HEAD, rows_of(spectrum)), *map(_paragraph, notes_of(spectrum))]
    for loop in spectrum.loops:
        parts += [_paragraph(loop.name), html_table(LOOP_HEAD, loop_rows(loop))]
        parts.append(_paragraph(loop.advice))
    return "".join(parts)


def columns(head: tuple[str, ...], rows: list[tuple[str, ...]], texts: int) -> list[str]:
    """Aligned columns: the first `texts` to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if n < texts else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    ]


def html_table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _short(text: str) -> str:
    """On one line, and not too long."""
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
