"""Line charts as SVG: the pictures that every run leaves, with no library needed to draw them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 420, 280  # of one chart
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 48, 40  # room for the labels around it
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # told apart by the colour-blind, too

# where a number lies between two pixels, and the numbers to write beside the axis
Axis = tuple[Callable[[float], float], list[float]]


@dataclass(frozen=True)
class Chart:
    """Series of numbers over a common horizontal axis."""

    title: str
    x: Sequence[float]
    series: dict[str, Sequence[float]]


def draw_charts(charts: Sequence[Chart], title: str, x_label: str) -> str:
    """The charts side by side, as the text of one SVG file.

    >>> picture = draw_charts([Chart("loss", [1, 2], {"train": [0.7, 0.3]})], "a run", "epoch")
    >>> picture.startswith("<svg"), picture.count("<polyline")
    (True, 1)
    """
    width, height = WIDTH * len(charts), HEIGHT + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        _text(width / 2, 18, title, "middle", 'font-weight="bold"'),
    ]
    for i, chart in enumerate(charts):
        body = "".join(_draw(chart, x_label))
        parts.append(f'<g transform="translate({i * WIDTH} 24)">{body}</g>')
    return "\n".join([*parts, "</svg>\n"])


def _draw(chart: Chart, x_label: str) -> list[str]:
    values = [v for line in chart.series.values() for v in line if math.isfinite(v)] or [0.0]
    logarithmic = min(values) > 0 and max(values) / min(values) > 30
    x_of, x_ticks = _whole_axis(chart.x or [0], LEFT, WIDTH - RIGHT)
    make_axis = _log_axis if logarithmic else _round_axis
    y_of, y_ticks = make_axis(values, HEIGHT - BOTTOM, TOP)
    parts = []
    for tick in y_ticks:
        y = y_of(tick)
        parts.append(_line(LEFT, y, WIDTH - RIGHT, y, "#dddddd"))
        parts.append(_text(LEFT - 6, y + 4, f"{tick:.6g}", "end"))
    for tick in x_ticks:
        parts.append(_line(x_of(tick), HEIGHT - BOTTOM, x_of(tick), HEIGHT - BOTTOM + 4, "#444444"))
        parts.append(_text(x_of(tick), HEIGHT - BOTTOM + 17, f"{tick:.6g}", "middle"))
    parts.append(_line(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, "#444444"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x_label, "middle"))
    parts.append(_text(LEFT, TOP - 26, chart.title + (" (log)" if logarithmic else "")))
    for i, (name, line) in enumerate(chart.series.items()):
        colour = COLOURS[i % len(COLOURS)]
        points = [(x_of(x), y_of(y)) for x, y in zip(chart.x, line) if math.isfinite(y)]
        parts.append(_series(points, colour))
        parts.append(_line(LEFT + 66 * i, TOP - 13, LEFT + 66 * i + 16, TOP - 13, colour, 2))
        parts.append(_text(LEFT + 66 * i + 21, TOP - 9, name))
    return parts


def _series(points: list[tuple[float, float]], colour: str) -> str:
    if len(points) == 1:
        return f'<circle cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="3" fill="{colour}"/>'
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _whole_axis(values: Sequence[float], start: float, end: float) -> Axis:
    """From the least to the greatest value, with ticks at whole numbers."""
    low, high = min(values), max(values)
    step = max(1, _nice((high - low) / 5))
    return _linear(low, high, start, end), _ticks(math.ceil(low / step), high / step, step)


def _round_axis(values: Sequence[float], start: float, end: float) -> Axis:
    """From a tick at or below the least value to one at or above the greatest."""
    low, high = min(values), max(values)
    step = _nice((high - low) / 5)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return _linear(first * step, last * step, start, end), _ticks(first, last, step)


def _log_axis(values: Sequence[float], start: float, end: float) -> Axis:
    low, high = min(values), max(values)
    span = math.log(high / low)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    digits = (1, 2, 5) if len(decades) < 5 else (1,)
    ticks = [m * 10.0**e for e in decades for m in digits if low <= m * 10.0**e <= high]
    return lambda v: start + math.log(v / low) / span * (end - start), ticks


def _linear(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    return lambda v: start + (v - low) / ((high - low) or 1) * (end - start)


def _ticks(first: int, last: float, step: float) -> list[float]:
    return [i * step for i in range(first, math.floor(last + 1e-9) + 1)]


def _nice(step: float) -> float:
    """The next of 1, 2, 5, 10 … at or above; 1 for 0."""
    if not step > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= step * (1 - 1e-9))


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    place = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {place} stroke="{colour}" stroke-width="{width}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start", style: str = "") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} {style} fill="#222222">{escape(text)}</text>'
