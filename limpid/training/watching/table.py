"""A record as text: a line for each name, a column for each statistic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from limpid.compiler.steps.statistics import STATISTICS
from limpid.ops.plain.magnitudes import NAN, ZERO
from limpid.training.watching.wanted import RATIO, Values

HISTOGRAM = "histogram"
BARS = " ▁▂▃▄▅▆▇█"


def table(values: Values, hidden: Mapping[str, str]) -> str:
    """The text. Histograms are bars, negative numbers left of `|`, the smallest beside it."""
    if not values:
        return "\n".join(["nothing was seen yet", *_hidden(hidden)])
    columns = [s for s in (*STATISTICS, RATIO) if any(s in found for found in values.values())]
    rows = [["", *columns]]
    for name, found in values.items():
        rows.append([name, *(_cell(s, found[s]) if s in found else "" for s in columns)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths, columns) for row in rows]
    return "\n".join([*lines, *_hidden(hidden)])


def _line(row: list[str], widths: list[int], columns: list[str]) -> str:
    first, *cells = row
    texts = [first.ljust(widths[0])]
    for cell, width, column in zip(cells, widths[1:], columns, strict=True):
        texts.append(cell.ljust(width) if column == HISTOGRAM else cell.rjust(width))
    return "  ".join(texts).rstrip()


def _hidden(hidden: Mapping[str, str]) -> list[str]:
    return [f"{name}: not seen, it {reason}" for name, reason in hidden.items()]


def _cell(statistic: str, value: Any) -> str:
    if statistic == HISTOGRAM:
        return bars(np.asarray(value))
    if statistic == "nan":
        return str(value)
    if statistic in ("zeros", "saturated"):
        return f"{value:.1%}"
    return f"{value:.4g}"


def bars(counts: Any) -> str:
    """Two bins to a bar, as high as the root of their share; NaN are told apart."""
    negative, positive = counts[:ZERO], counts[ZERO + 1 : NAN]
    sides = [_halved(negative[::-1])[::-1], _halved(positive)]
    most = max(1, *(int(side.max()) for side in sides))
    drawn = ["".join(_bar(int(n), most) for n in side) for side in sides]
    text = f"{drawn[0]}|{drawn[1]}"
    return f"{text} NaN {int(counts[NAN])}" if counts[NAN] else text


def _halved(counts: Any) -> Any:
    padded = np.append(counts, np.zeros(len(counts) % 2, counts.dtype))
    return padded.reshape(-1, 2).sum(axis=1)


def _bar(count: int, most: int) -> str:
    if not count:
        return BARS[0]
    return BARS[max(1, round((count / most) ** 0.5 * (len(BARS) - 1)))]
