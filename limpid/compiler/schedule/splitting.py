"""Sums over an axis that is cut: each slot adds up its own chunks, and then the slots are added."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from limpid.compiler.program.links import Link
from limpid.compiler.program.values import Value, ordered
from limpid.compiler.schedule.bands import BANDWIDTH, Band, Bands, cycles

MOVING = 0.1  # of a sum's time that writing those of all slots may take
SMALL = 1 << 18  # bytes of all slots' sums that are never too many
ADDED = ("squares", "magnitudes")  # what slots make of them is added up
FUNCTIONS = ("add", *ADDED, "multiply", "maximum", "minimum", "logical_and", "logical_or")


def split_sums(
    ends: Sequence[Value],
    is_native: Callable[[Value], bool],
    apart: Callable[[Sequence[Value]], Collection[Value]] = lambda _: (),
) -> list[Value]:
    """The same values, where sums over a cut band are done in two steps.

    The first has an axis of slots in front, and params `slots` and `cut`: the link along which it
    sums, and how that band is cut.
    """
    values = ordered(ends)
    bands = Bands(values, apart(ends))
    made: dict[Value, Value] = {}
    for value in values:
        found = _summed(value, bands) if is_native(value) else None
        operands = tuple(made[x] for x in value.operands)
        moved = any(a is not b for a, b in zip(operands, value.operands, strict=True))
        now = replace(value, operands=operands) if moved else value
        made[value] = now if found is None else _in_two(now, *found)
    return [made[end] for end in ends]


def _summed(value: Value, bands: Bands) -> tuple[Link, Band] | None:
    """The cut band that a value sums over, if that is worth sums for each slot."""
    function = value.params.get("function", "add")
    if value.kind not in ("reduce", "contract") or function not in FUNCTIONS:
        return None
    pairs = [(link, bands.band(value, link)) for link in bands.links(value)]
    best = max((bands.rank[band.number] for _, band in pairs if not band.is_whole), default=None)
    for link, band in pairs:
        if link.output is None and not band.is_whole and bands.rank[band.number] == best:
            size = value.size * value.dtype.itemsize * band.slots
            if size <= max(SMALL, MOVING * BANDWIDTH * cycles(value)):
                return link, band
    return None


def _in_two(value: Value, link: Link, band: Band) -> Value:
    function = value.params.get("function", "add")
    wide = value.kind == "reduce" and value.dtype.kind == "f" and function in ("add", "multiply")
    dtype: Any = np.dtype(np.float64) if wide else value.dtype
    partial = replace(
        value,
        shape=(band.slots, *value.shape),
        dtype=dtype,
        params={**value.params, "slots": band.slots, "cut": (link, band)},
        order=None if value.order is None else (0, *(n + 1 for n in value.order)),
        output=None,
    )
    params = {"function": "add" if function in ADDED else function, "axes": (0,)}
    return replace(value, kind="reduce", operands=(partial,), params=params)
