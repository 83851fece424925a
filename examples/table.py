"""Tables of results, as Markdown that reads well in a terminal, too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def draw_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows under a header; the first column is text, the others are numbers.

    >>> print(draw_table(["network", "accuracy"], [["max", "98.1"], ["plain", "50"]]))
    | network | accuracy |
    |---------|---------:|
    | max     |     98.1 |
    | plain   |       50 |
    """
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    rule = [":".rjust(width + 2, "-") for width in widths]
    rule[0] = "-" * (widths[0] + 2)
    return "\n".join(
        [_line(header, widths), f"|{'|'.join(rule)}|", *(_line(r, widths) for r in rows)]
    )


def spread(values: Sequence[float]) -> str:
    """Shares as per cent: their mean, and from the least to the greatest if they differ.

    >>> spread([0.95]), spread([0.9, 0.95, 1.0])
    ('95.0', '95.0 (90.0–100.0)')
    """
    low, mean, high = (f"{100 * f(values):.1f}" for f in (np.min, np.mean, np.max))
    return mean if low == high else f"{mean} ({low}–{high})"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (
        cell.ljust(width) if i == 0 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, widths))
    )
    return f"| {' | '.join([first, *rest])} |"
