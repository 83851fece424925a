"""How much there is to do in a stage: operations on numbers, and bytes that come and go."""

from __future__ import annotations

from collections.abc import Collection
from math import prod
from typing import Any

import numpy as np

from limpid.compiler.program.puts import FILLED, fill_of, is_at_indices
from limpid.compiler.program.values import Value
from limpid.compiler.program.views import base, locate
from limpid.compiler.schedule.naming import is_copy
from limpid.compiler.schedule.stages import CALL, INDEXED, Stage

MOVES = ("cast", "view", "where")  # functions that compute nothing


def operations(stage: Stage) -> int:
    """Two for each multiply-add, one for each element of a map, of what is reduced or added.

    A function such as exp counts as one; calls of NumPy as none.
    """
    return 0 if stage.kind == CALL else sum(map(_operations, stage.values))


def _operations(value: Value) -> int:
    if value.kind == "contract":
        return 2 * sum(part.multiply_adds() for part in value.params["parts"])
    if value.kind == "reduce":
        return value.operands[0].size
    if value.kind == "map":
        return 0 if value.params["function"] in MOVES or is_copy(value) else value.size
    adds = value.kind == "accumulate" or is_at_indices(value)
    return value.size if adds else 0


def moved(stage: Stage, buffered: Collection[Value]) -> int:
    """Bytes of all arrays that a stage reads and writes, each counted once.

    Where an array is read again for every chunk, that is the least that comes from far away.
    """
    read: dict[Value, int] = {}
    for value in stage.values:
        for x, count in _reads(value):
            origin = base(x)
            known = origin.kind == "constant" and origin.size == 1  # part of the code
            if not known and (origin not in stage.values or stage.kind == CALL):
                size = min(count, origin.size) * origin.dtype.itemsize
                read[origin] = max(read.get(origin, 0), size)
    return sum(read.values()) + sum(_written(v, buffered) for v in stage.values)


def _reads(value: Value) -> list[tuple[Value, int]]:
    """Operands, and how many of their elements are read."""
    if value.kind in FILLED:
        return []  # puts read them
    operands = value.operands[:-1] if value.kind == "put" else value.operands
    counts = [_elements(x) for x in operands]
    if value.kind in INDEXED:
        counts[0] = value.size
    return list(zip(operands, counts, strict=True))


def _elements(x: Value) -> int:
    """How many elements a view shows, each counted once."""
    pairs = zip(x.shape, locate(x).strides, strict=True)
    return prod(n for n, stride in pairs if stride or n == 0)


def _written(value: Value, buffered: Collection[Value]) -> int:
    size = value.size * value.dtype.itemsize
    if value.kind == "put":
        return 2 * size if is_at_indices(value) else size
    if value.kind in FILLED:
        return 0 if fill_of(value) is None else size
    return size if value in buffered else 0


def widest_float(stage: Stage) -> Any:
    """The type of the numbers that a stage computes with."""
    found = [v.dtype for v in stage.values if v.dtype.kind == "f"]
    return max(found, key=lambda dtype: dtype.itemsize, default=np.dtype(np.float32))
