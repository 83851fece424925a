"""Statistics over time: `limpid.watch`.

What watches lies in `limpid.training.watching`, below this, since training logs statistics, too.
"""

from typing import Any

from limpid.diagnosis.statistics.entry import watch as watch
from limpid.ops.plain.magnitudes import bin_edges as bin_edges

_LATER = ("Watch", "load_history")  # they import modules, so when they are used


def __getattr__(name: str) -> Any:
    if name in _LATER:
        import limpid.training.watching as watching

        return getattr(watching, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
