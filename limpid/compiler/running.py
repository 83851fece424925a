"""Running a schedule: nests and contractions in native code, the rest as NumPy does it."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from limpid.compiler.loading import load
from limpid.compiler.loops import Nest, can_emit, emit
from limpid.compiler.nests import address
from limpid.compiler.stages import CALL, NEST, PRODUCT, Schedule, Stage, schedule
from limpid.compiler.target import Target
from limpid.compiler.values import Value, evaluate
from limpid.compiler.views import VIEWS, locate
from limpid.graph.node import Array
from limpid.ops.windows.execution import execute


class Native:
    """A program in native code: `run(inputs)` gives its outputs."""

    def __init__(self, ends: Sequence[Value], target: Target):
        self.ends = list(ends)
        self.schedule: Schedule = schedule(self.ends)
        self.kept = set(self.schedule.kept)
        self.nests = self._emitted(target)

    def _emitted(self, target: Target) -> dict[int, tuple[Any, Nest]]:
        """The functions of all nests, in one module."""
        nests = {
            number: emit(f"nest{number}", stage, self.schedule.buffered, self.kept, target.width)
            for number, stage in enumerate(self.schedule.stages)
            if stage.kind == NEST and _is_native(stage)
        }
        if not nests:
            return {}
        declared = sorted(set().union(*(nest.declared for nest in nests.values())))
        module = load("\n".join([*declared, *(nest.text for nest in nests.values())]), target)
        return {
            number: (module.function(f"nest{number}", ctypes.c_void_p), nest)
            for number, nest in nests.items()
        }

    def run(self, inputs: Sequence[Any]) -> list[Array]:
        """The outputs for these inputs."""
        buffers: dict[Value, Array] = {}
        for number, stage in enumerate(self.schedule.stages):
            if number in self.nests:
                self._nest(*self.nests[number], buffers, inputs)
            else:
                self._other(stage, buffers, inputs)
        return [np.array(self._array(end, buffers, inputs)) for end in self.ends]

    def _nest(
        self, function: Any, nest: Nest, buffers: dict[Value, Array], inputs: Sequence[Any]
    ) -> None:
        arrays = []
        for value in nest.buffers:
            if value.kind not in ("input", "constant") and value not in buffers:
                buffers[value] = np.empty(value.shape, value.dtype)
            arrays.append(self._array(value, buffers, inputs))
        arrays += [np.empty(count, dtype) for count, dtype in nest.scratch]
        table = np.array([address(array) for array in arrays], np.uint64)
        function(address(table))

    def _other(self, stage: Stage, buffers: dict[Value, Array], inputs: Sequence[Any]) -> None:
        for value in stage.values:
            operands = [self._array(x, buffers, inputs) for x in value.operands]
            if stage.kind == PRODUCT:
                out = np.zeros(value.shape, value.dtype)
                for part in value.params["parts"]:
                    execute(part, operands[0], operands[1], out)
                buffers[value] = out
            elif stage.kind == CALL:
                made = value.params["primitive"].evaluate(operands, value.params["params"])
                made = made[value.params["number"]] if isinstance(made, tuple) else made
                buffers[value] = np.asarray(made, order="C").reshape(value.shape)
            else:
                buffers[value] = _evaluated(value, operands)

    def _array(self, x: Value, buffers: dict[Value, Array], inputs: Sequence[Any]) -> Array:
        """A value as an array, views of buffers as such."""
        if x.kind == "input":
            return np.asarray(inputs[x.params["number"]], order="C")
        if x.kind == "constant":
            return np.asarray(x.params["array"], order="C")
        if x in buffers:
            return buffers[x]
        found = locate(x, self.kept)
        base = self._array(found.base, buffers, inputs).reshape(-1)
        if not prod(x.shape):
            return np.empty(x.shape, x.dtype)
        strides = [n * x.dtype.itemsize for n in found.strides]
        return as_strided(base[found.offset :], x.shape, strides)


def _is_native(stage: Stage) -> bool:
    """Whether all of a nest can be emitted; one with nothing to do, or of views alone, is not."""
    return 0 not in stage.domain and all(
        v.kind in ("map", "reduce") and can_emit(v) for v in stage.values
    )


def _evaluated(value: Value, operands: Sequence[Array]) -> Array:
    """A value of arrays on NumPy."""
    given = [Value("input", x.shape, x.dtype, params={"number": n}) for n, x in enumerate(operands)]
    alone = Value(value.kind, value.shape, value.dtype, tuple(given), value.params)
    return np.asarray(evaluate([alone], operands)[0], order="C")


__all__ = ["VIEWS", "Native"]
