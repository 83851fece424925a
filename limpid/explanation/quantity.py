"""Arrays in an explanation: by reference, with statistics."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SMALL = 16  # arrays of up to this many elements are shown as numbers
BINS = 16


@dataclass(frozen=True)
class Quantity:
    """An array in an explanation: by reference, with statistics; numbers only when it is small.

    `quantity[3:5]` is a part of it.
    """

    array: np.ndarray[Any, Any] = field(repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def is_small(self) -> bool:
        return self.array.size <= SMALL

    def __getitem__(self, key: Any) -> Quantity:
        return Quantity(np.asarray(self.array[key]))

    def statistics(self) -> dict[str, float]:
        """norm, min, max, mean, and how many are zero, NaN or infinite."""
        x = self.array
        if not x.size:
            return {"size": 0}
        finite = self._finite()
        some = finite if finite.size else np.array([np.nan])
        return {
            "size": x.size,
            "norm": float(np.sqrt(np.sum(finite * finite))),
            "min": float(some.min()),
            "max": float(some.max()),
            "mean": float(some.mean()),
            "zeros": int((x == 0).sum()),
            "nan": int(np.isnan(x).sum()) if x.dtype.kind == "f" else 0,
            "not_finite": int(x.size - finite.size),
        }

    def histogram(self) -> tuple[list[int], list[float]]:
        """How many finite elements lie in each of 16 equal bins, and the 17 edges of these."""
        counts, edges = np.histogram(self._finite(), BINS)
        return counts.tolist(), edges.tolist()

    def _finite(self) -> Any:
        return self.array[np.isfinite(self.array)].astype(np.float64)

    def __str__(self) -> str:
        """The numbers of a small array, the statistics of a large one."""
        return _numbers(self.array) if self.is_small else self._summary()

    def _summary(self) -> str:
        found = self.statistics()
        shape = "×".join(map(str, self.shape))
        text = f"[{shape}: norm {found['norm']:.3g}, {found['min']:.3g} … {found['max']:.3g}"
        if found["zeros"]:
            text += f", {found['zeros'] / found['size']:.0%} zero"
        if found["not_finite"]:
            text += f", {found['not_finite']} not finite"
        return text + "]"

    def to_json(self) -> dict[str, Any]:
        """Shape, dtype, and the numbers if there are few, else statistics and a histogram."""
        shown: dict[str, Any] = {"shape": list(self.shape), "dtype": self.array.dtype.name}
        if self.is_small:
            shown["values"] = _plain(self.array.tolist())
        else:
            counts, edges = self.histogram()
            shown["statistics"] = _plain(self.statistics())
            shown["histogram"] = {"counts": counts, "edges": edges}
        return shown


def _plain(x: Any) -> Any:
    """Numbers as JSON knows them: NaN and infinities are strings."""
    if isinstance(x, list):
        return [_plain(part) for part in x]
    if isinstance(x, dict):
        return {key: _plain(part) for key, part in x.items()}
    return str(x) if isinstance(x, float) and not np.isfinite(x) else x


def _numbers(array: np.ndarray[Any, Any]) -> str:
    """Up to six digits, without NumPy's trailing points."""
    if array.dtype.kind == "f":
        if not array.shape:
            return f"{float(array):.6g}"
        array = np.array(array, np.float64)
    text = np.array2string(array, precision=6, separator=", ", suppress_small=True)
    text = re.sub(r"(\d)\.(?=[,\]\s]|$)", r"\1", " ".join(text.split()))
    return re.sub(r"\s+(?=[,\]])", "", text)
