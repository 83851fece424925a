"""A summary as a table of plain text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limpid.nn.overview.report import Field, Row, Summary

HEADER = (
    "layer", "kind", "output", "parameters", "multiply-adds", "units", "memory", "sees", "stride",
    "offset",
)  # fmt: skip
LEFT = 3  # columns of words; the others are numbers
NOTHING = "–"
LEGEND = (
    "For one example. Sees: how many elements of the input, along each axis, element o of an "
    "output\ndepends on, from number stride·o + offset on; those beyond the borders count, too."
)


def draw(summary: Summary) -> str:
    """The summary as lines of fixed columns: a row for each layer, totals, notes."""
    inputs = ", ".join(f"{_shape(x.shape)} {x.dtype.name}" for x in summary.inputs)
    rows = [_cells(row, summary.model) for row in summary.rows]
    used = [any(row[i] for row in rows) for i in range(len(HEADER))]  # no window, no columns for it
    lines = _columns([_only(cells, used) for cells in (HEADER, *rows, _totals(summary))])
    rule = "─" * max(map(len, lines))
    table = [rule, lines[0], rule, *lines[1:-1], rule, lines[-1]]
    below = [*([LEGEND] if used[-1] else []), *_remarks(summary)]
    return "\n".join([f"{summary.model} on {inputs}", *table, *([rule] if below else []), *below])


def _cells(row: Row, model: str) -> tuple[str, ...]:
    counted = f"{row.parameters:,}"
    return (
        row.path or model,
        row.kind,
        ", ".join(map(_shape, row.shapes)),
        (f"({counted})" if row.shared else counted) if row.parameters else NOTHING,
        f"{row.multiply_adds:,}" if row.multiply_adds else NOTHING,
        f"{row.units:,}",
        _bytes(row.memory),
        _joined([f"{seen.size:,}" for seen in row.fields], row.fields, "×"),
        _joined([f"{seen.stride:g}" for seen in row.fields], row.fields),
        _joined([f"{seen.offset:g}" for seen in row.fields], row.fields),
    )


def _totals(summary: Summary) -> tuple[str, ...]:
    sums = (summary.parameters, summary.multiply_adds, summary.units)
    return ("total", "", "", *(f"{n:,}" for n in sums), _bytes(summary.memory), "", "", "")


def _remarks(summary: Summary) -> list[str]:
    """What the numbers of the table do not say by themselves."""
    lines = []
    if summary.units != sum(row.units for row in summary.rows):
        lines.append("The total of units is that of the layers which multiply by weights.")
    if any(row.shared for row in summary.rows):
        lines.append("Parameters in brackets belong to a layer above, too, and are counted once.")
    if summary.trainable != summary.parameters:
        lines.append(f"{summary.trainable:,} of {summary.parameters:,} parameters are trained.")
    if summary.unused:
        lines.append(f"{summary.unused:,} parameters are held by the model but not used.")
    notes = [(row, note) for row in summary.rows for note in row.notes]
    return lines + [f"{row.path or summary.model}: {note}." for row, note in notes]


def _joined(values: Sequence[str], fields: Sequence[Field], sign: str = "") -> str:
    """One value for each axis, or one for all if they are equal and no sign is to join them."""
    parts: dict[int, list[str]] = {}
    for value, seen in zip(values, fields, strict=True):
        parts.setdefault(seen.input, []).append(value)
    shown = [p[:1] if not sign and len(set(p)) == 1 else p for p in parts.values()]
    return "; ".join((sign or ", ").join(p) for p in shown)


def _shape(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) or "1"


def _bytes(count: int) -> str:
    if not count:
        return NOTHING
    for unit, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count:,} B"


def _only(cells: Sequence[str], used: Sequence[bool]) -> list[str]:
    return [cell for cell, is_used in zip(cells, used, strict=True) if is_used]


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows with their cells padded: words to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i < LEFT else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
