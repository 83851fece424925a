"""The arrays that a nest reads and writes: where each begins, and its step along every axis."""

from __future__ import annotations

from typing import Any, NamedTuple

from limpid.compiler.emission.reductions import PLACES
from limpid.compiler.program.puts import FILLED, fill_of, indexed_axes, is_at_indices, part
from limpid.compiler.program.values import Shape, Value
from limpid.compiler.program.views import Located, core, locate, packed
from limpid.compiler.schedule.stages import (
    ELEMENTWISE,
    INDEXED,
    Stage,
    folded_axes,
    full_shape,
)

Key = tuple[Value, Any]  # what is read and how; None for what is written


class Reading(NamedTuple):
    """An array in the loops: where it begins and the step of each axis, in elements."""

    value: Value
    offset: int
    steps: tuple[int, ...]


class Arrays:
    """The arrays of a stage.

    inside    values that are made and used within one pass of the loops
    outputs   values that are written
    readings  all arrays, by keys
    keys      which array an operand of a value is
    jumps     elements from one index to the next, of what is read or written at indices
    counts    for values that need to know how far their own axes are: the step of each axis
    """

    def __init__(self, stage: Stage, buffered: frozenset[Value]):
        self.inside = {v for v in stage.values if v.kind in ELEMENTWISE}
        self.outputs = [v for v in stage.values if v.kind == "put" or _is_kept(v, buffered)]
        self.readings: dict[Key, Reading] = {}
        self.keys: dict[tuple[Value, int], Key] = {}
        self.jumps: dict[Value, int] = {}
        self.counts: dict[Value, tuple[int, ...]] = {}
        for value in stage.values:
            if value.kind not in FILLED:
                self._read_operands(value)
            if value.kind == "accumulate" or value.params.get("function") in PLACES:
                self.counts[value] = _counts(value)
        for value in self.outputs:
            self.readings[value, None] = self._written(value)

    def _read_operands(self, value: Value) -> None:
        indexed = value.kind in INDEXED
        if indexed:
            key = value.operands[0], ("at", value)
            self.readings[key] = self._at_indices(value, value.operands[0])
            self.keys[value, 0] = key
        for number, x in enumerate(value.operands):
            if (number == 0 and indexed) or (value.kind == "put" and x is value.operands[-1]):
                continue
            is_index = number == 1 and value.kind in (*INDEXED, "put")
            self._read(value, number, indexed_axes(value).stop if is_index else None)

    def _read(self, value: Value, number: int, end: int | None) -> None:
        """An operand; of indices the axis of the value at which they end."""
        x, after = value.operands[number], 0
        if core(x) in self.inside or (x.kind == "constant" and x.size == 1):
            return
        if end is not None and len(x.shape) < len(value.shape):
            after = len(value.shape) - end
        found = locate(x)
        shape, strides = (*x.shape, *(1,) * after), (*found.strides, *(0,) * after)
        steps = _aligned(shape, strides, full_shape(value))
        self.keys[value, number] = x, steps
        self.readings[x, steps] = Reading(found.base, found.offset, steps)

    def _at_indices(self, value: Value, x: Value) -> Reading:
        """An array seen as if it had one element where there are indices."""
        found, axis, along = locate(x), value.params["axis"], indexed_axes(value)
        self.jumps[value] = found.strides[axis]
        shape = (*x.shape[:axis], *(1 for _ in along), *x.shape[axis + 1 :])
        strides = (*found.strides[:axis], *(0 for _ in along), *found.strides[axis + 1 :])
        return _reading(found._replace(strides=strides), shape, value.shape)

    def _written(self, value: Value) -> Reading:
        if is_at_indices(value):
            return self._at_indices(value, value.operands[-1])
        if value.kind == "put":
            return _reading(part(value), value.shape, value.shape)
        if value.kind == "reduce":
            return Reading(value, 0, _reduced_steps(value))
        strides = packed(value.shape, value.order)
        return Reading(value, 0, _aligned(value.shape, strides, value.shape))


def _is_kept(value: Value, buffered: frozenset[Value]) -> bool:
    """Whether a value is written here, and not by its parts only."""
    return value in buffered and (value.kind not in FILLED or fill_of(value) is not None)


def _reading(found: Located, shape: Shape, full: Shape) -> Reading:
    return Reading(found.base, found.offset, _aligned(shape, found.strides, full))


def _aligned(shape: Shape, strides: tuple[int, ...], full: Shape) -> tuple[int, ...]:
    """The steps of an array along the axes of what it broadcasts to, those of extent 1 left out."""
    missing = len(full) - len(shape)
    own = [0 if n == 1 else s for n, s in zip(shape, strides, strict=True)]
    return tuple(s for n, s in zip(full, [0] * missing + own, strict=True) if n != 1)


def _reduced_steps(value: Value) -> tuple[int, ...]:
    """The steps of a reduction along the axes of what it reads."""
    shape = value.operands[0].shape
    strides = packed(value.shape, value.order)
    left = iter(strides[1:] if "slots" in value.params else strides)
    steps = [0 if axis in value.params["axes"] else next(left) for axis in range(len(shape))]
    return tuple(s for n, s in zip(shape, steps, strict=True) if n != 1)


def _counts(value: Value) -> tuple[int, ...]:
    """How the row-major place among the axes that are reduced goes on along each axis."""
    shape, axes = full_shape(value), folded_axes(value)
    own = dict(zip(axes, packed(tuple(shape[axis] for axis in axes))))
    return tuple(own.get(axis, 0) for axis, n in enumerate(shape) if n != 1)
