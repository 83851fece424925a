"""How landscapes are drawn: as a curve with its tangent, or as contour lines over a plane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from limpid.diagnosis.pictures.canvas import AMOUNT, BLUE, INK, ORANGE, SOFT, WRONG

Array = np.ndarray[Any, np.dtype[Any]]
GREY = "#bbbbbb"  # where the loss is not finite
RATIO = 30  # of the largest to the least loss, above which the scale is logarithmic
_AXES = {
    "gradient": "along −∇L, in lengths of the parameters",
    "random": "along a random direction, filter by filter",
    "given": "along the given direction",
}


def paint_curve(figure: Any, title: str, data: Mapping[str, Any]) -> None:
    """The loss along a direction, and the tangent that the gradient predicts."""
    axes = _axes(figure, title, data)
    (x,), y = data["distances"], data["loss"]
    finite = np.isfinite(y)
    axes.grid(True)
    axes.plot(x, np.where(finite, y, np.nan), color=BLUE, label="loss")
    axes.set_xlabel(_AXES[data["along"][0]])
    axes.set_ylabel("loss")
    if finite.any():
        low, high = y[finite].min(), y[finite].max()
        if low > 0 and high / low > RATIO:
            set_log_scale(axes, high / low)
        else:
            margin = 0.06 * (high - low) or 0.5
            axes.set_ylim(low - margin, high + margin)
        axes.autoscale(False)
        _tangent(axes, data, x)
    if not finite.all():
        below = np.full((~finite).sum(), axes.get_ylim()[0])
        axes.plot(x[~finite], below, "x", color=ORANGE, clip_on=False, label="not finite")
    axes.legend()


def _axes(figure: Any, title: str, data: Mapping[str, Any]) -> Any:
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=11, fontweight="bold")
    axes.set_title(f"here: {data['centre']:.4g}", loc="right", fontsize=8, color=SOFT)
    return axes


def set_log_scale(axes: Any, ratio: float) -> None:
    """A logarithmic y axis over such a ratio, with numbers written out."""
    from matplotlib.ticker import LogLocator

    axes.set_yscale("log")
    subs = (1, 2, 5) if ratio < 1000 else (1,)
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.minorticks_off()


def _tangent(axes: Any, data: Mapping[str, Any], x: Array) -> None:
    """The line that the gradient predicts, as far as it stays in the picture."""
    centre, slope = data["centre"], data["slopes"][0]
    if not np.isfinite(centre + slope):
        return
    near = np.linspace(-x[-1] / 3, x[-1] / 3, 201)
    line = centre + slope * near
    low, high = axes.get_ylim()
    seen = (line >= low) & (line <= high)
    axes.plot(near[seen], line[seen], "--", color=ORANGE, linewidth=1.2,
              label=f"as the gradient says: slope {slope:.3g}".replace("-", "−"))  # fmt: skip
    axes.plot([0], [centre], "o", color=INK, markersize=5)


def paint_plane(figure: Any, title: str, data: Mapping[str, Any]) -> None:
    """Contour lines of the loss over a plane; the model is in the middle."""
    axes = _axes(figure, title, data)
    x, y = data["distances"]
    z = np.ma.masked_invalid(data["loss"].T)
    axes.set_xlabel(_AXES[data["along"][0]])
    second = _AXES[data["along"][1]]
    if data["along"][0] == data["along"][1]:
        second = second.replace("along a ", "along another ")
    axes.set_ylabel(second)
    if z.count():
        _contours(figure, axes, x, y, z)
    if z.mask.any():
        axes.set_facecolor(GREY)
        axes.text(0.99, 0.99, "grey: not finite", transform=axes.transAxes, ha="right", va="top",
                  fontsize=8, color="#222222")  # fmt: skip
    axes.plot([0], [0], "P", color=WRONG, markeredgecolor="#fefefe", markersize=9)
    axes.set_aspect("equal" if x[-1] == y[-1] else "auto")


def _contours(figure: Any, axes: Any, x: Array, y: Array, z: Any) -> None:
    levels, logarithmic = _levels(float(z.min()), float(z.max()))
    norm = _norm(levels, logarithmic)
    filled = axes.contourf(x, y, z, levels, cmap=AMOUNT, norm=norm)
    lines = axes.contour(x, y, z, levels[1:-1], colors="#fefefe", linewidths=0.5, alpha=0.7)
    axes.clabel(lines, levels[1:-1:3], fontsize=6.5, fmt=lambda v: f"{v:.3g}")
    bar = figure.colorbar(filled, ax=axes, pad=0.02, fraction=0.05)
    bar.set_ticks(levels[::2], labels=[f"{v:.3g}" for v in levels[::2]])
    bar.minorticks_off()
    bar.set_label("loss (log)" if logarithmic else "loss")
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)


def _levels(low: float, high: float) -> tuple[Array, bool]:
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        margin = max(abs(low), 1.0) * 1e-3
        return np.linspace(low - margin, high + margin, 17), False
    if low > 0 and high / low > RATIO:
        return _decades(low, high), True
    from matplotlib.ticker import MaxNLocator

    return np.array(MaxNLocator(14, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)), False


def _decades(low: float, high: float) -> Array:
    """1, 2 and 5 times powers of ten around the range; of a wide one only powers."""
    first, last = np.floor(np.log10(low)), np.ceil(np.log10(high))
    marks: list[float] = [1, 2, 5] if last - first <= 6 else [1]
    if last - first <= 3:
        marks = [1, 1.5, 2, 3, 5, 7]
    levels = (10.0 ** np.arange(first, last + 1)[:, None] * marks).ravel()
    start, stop = np.searchsorted(levels, low, "right") - 1, np.searchsorted(levels, high)
    return levels[max(start, 0) : stop + 1]


def _norm(levels: Array, logarithmic: bool) -> Any:
    from matplotlib import colors

    kind = colors.LogNorm if logarithmic else colors.Normalize
    return kind(levels[0], levels[-1])
