"""Times relative to the fastest peer, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.groups import CONTENDERS
from benchmarks.rounds import Measured
from benchmarks.tables import Results, fastest_peer, relative

COLOURS = {
    "limpid_compiled": "#000000",
    "limpid_eager": "#999999",
    "torch_eager": "#d55e00",
    "torch_channels_last": "#e69f00",
    "torch_compiled": "#cc79a7",
    "jax_jit": "#0072b2",
}
ROOM = 0.8  # of a workload's row, for its bars
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


def draw(results: Results, path: Path) -> None:
    """Bars from 1, the fastest peer, to the left for what is faster; thin lines are quartiles."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "limpid", "font.size": 9})
    from matplotlib import patches, pyplot

    figure, axes = pyplot.subplots(figsize=(9, 1 + 1.1 * len(results)), layout="constrained")
    shown: dict[str, Any] = {}
    for row, found in enumerate(results.values()):
        for name in _bars(axes, row, found):
            title = CONTENDERS[name].title
            shown[name] = patches.Patch(color=COLOURS[name], label=title)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    least, most = axes.get_xlim()
    axes.set_xticks([t for t in TICKS if least < t < most])
    axes.xaxis.set_major_formatter("{x:g}×")
    axes.xaxis.set_minor_formatter("")
    axes.set_yticks(range(len(results)), list(results))
    axes.invert_yaxis()
    axes.set_xlabel("time of a step relative to the fastest peer (logarithmic); left is faster")
    axes.grid(axis="x", which="major", linewidth=0.3)
    axes.set_axisbelow(True)
    ordered = [shown[name] for name in COLOURS if name in shown]
    figure.legend(handles=ordered, loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _bars(axes: Any, row: int, found: dict[str, Measured]) -> list[str]:
    """The bars of one workload; who has one."""
    names = [name for name in COLOURS if relative(found, name) is not None]
    thick = ROOM / max(len(names), 1)
    for place, name in enumerate(names):
        low, middle, high = np.quantile(relative(found, name), [0.25, 0.5, 0.75])
        y = row + (place - (len(names) - 1) / 2) * thick
        axes.barh(y, middle - 1, thick, left=1, color=COLOURS[name])
        axes.plot([low, high], [y, y], color="#555555", linewidth=0.8)
        is_first = name == fastest_peer(found)
        axes.annotate(
            f"{CONTENDERS[name].title}: 1" if is_first else f"{middle:.2g}",
            (high if middle >= 1 else low, y), (3 if middle >= 1 else -3, 0), fontsize=6,
            va="center", ha="left" if middle >= 1 else "right", textcoords="offset points",
        )  # fmt: skip
    return names
