"""Calls that are kept, and run again: the same graph on the same arguments and state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from limpid.compiler.steps.places import is_counted
from limpid.compiler.steps.probes import Probed, ProbedGraph, read_only
from limpid.compiler.steps.recordings import Recording
from limpid.compiler.steps.selection import parse_patterns, select
from limpid.graph.node import Array
from limpid.tensor import Slot, Tensor
from limpid.transforms.nesting import flatten


@dataclass
class Replay:
    """What a call gave when it ran again.

    result  what the function returned; tensors are as they were then
    probed  the probed values by name
    state   the slots by name, as the call left them
    """

    result: Any
    probed: Probed = field(default_factory=dict)
    state: dict[str, Array] = field(default_factory=dict)


@dataclass
class Kept:
    """A call: its recording, and copies of what the graph was run on.

    `state` is that of the graph's slots, then of the idle ones.
    """

    recording: Recording
    inputs: list[Array]
    state: list[Array]

    def run(self, probe: str | Iterable[str]) -> Replay:
        """Run it again, and write nothing."""
        recording = self.recording
        probes = select(recording.labels, parse_patterns(probe), recording.trail.hidden)
        outputs, written, probed = run_again(recording, probes, self.inputs, self.state)
        state = dict(zip((*recording.graph.slots, *recording.idle), self.state))
        state.update(zip(recording.graph.writes, map(np.asarray, written)))
        tensors = [Tensor(None, 0, np.asarray(x)) for x in outputs]
        inputs = [Tensor(None, 0, x) for x in self.inputs]
        result = self._as_then(recording.nest(tensors, inputs), state)
        return Replay(result, probed, {name: read_only(x) for name, x in state.items()})

    def _as_then(self, result: Any, state: dict[str, Array]) -> Any:
        """A result in which slots have the values that they had, not those that they have."""
        names = {node: name for name, node in self.recording.trail.slots.items()}
        leaves, rebuild = flatten(result, "", is_counted)
        return rebuild(
            iter(
                Tensor(None, 0, state[names[x.node]])
                if isinstance(x, Slot) and x.node in names
                else x
                for _, x in leaves
            )
        )


def run_again(
    recording: Any, probes: Sequence[Any], inputs: Sequence[Array], state: Sequence[Array]
) -> tuple[list[Any], list[Any], Probed]:
    """Outputs, new values of slots, and what is probed."""
    if probes:
        probed = ProbedGraph(recording.graph, recording.idle, probes)
        outputs, written, found = probed.run(inputs, state)
        return outputs, written, probed.named(found)
    outputs, written = recording.executor.run(inputs, state[: len(recording.graph.slots)])
    return outputs, written, {}


# Copies that lie in memory as the original does: NumPy's sums may depend on it


def copied(array: Array) -> Array:
    """A copy whose axes follow on one another in memory as those of the array do."""
    if array.flags.c_contiguous:
        return array.copy()
    made = laid_out(array.shape, array.dtype, strides_like(array))
    made[...] = array
    return made


def strides_like(array: Array) -> tuple[int, ...]:
    """Strides in the same order and with the same signs, with gaps where there are gaps.

    A column of a large matrix keeps a gap, but not one of a whole row. Where windows overlap they
    are the strides themselves.
    """
    strides = list(array.strides)
    axes = [a for a, n in enumerate(array.shape) if n > 1 and array.strides[a]]
    extent = made = array.itemsize
    for axis in sorted(axes, key=lambda a: abs(array.strides[a])):
        step = array.strides[axis]
        if abs(step) < extent:
            return array.strides
        new = made if abs(step) == extent else made + array.itemsize
        strides[axis] = new if step > 0 else -new
        extent, made = abs(step) * array.shape[axis], new * array.shape[axis]
    return tuple(strides)


def laid_out(shape: tuple[int, ...], dtype: Any, strides: Sequence[int]) -> Array:
    """An array, not filled, with such strides."""
    if 0 in shape:
        return np.empty(shape, dtype)
    reach = [(n - 1) * s for n, s in zip(shape, strides, strict=True)]
    first = -sum(r for r in reach if r < 0)
    last = sum(r for r in reach if r > 0)
    memory = np.zeros(first + last + np.dtype(dtype).itemsize, np.uint8)
    return np.ndarray(shape, dtype, memory, first, tuple(strides))
