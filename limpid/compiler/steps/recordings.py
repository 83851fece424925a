"""A recording of a function: its graph, and what else makes running it the same as a call.

The graph is pure: (arguments, state) → (results, new state). Here slots are read and written,
gradients left in `.grad`, what the function set outside is set again (attributes, globals, tensors
that `t += …` changed), and results are nested as the function nested them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from limpid.compiler.steps.guards import Guards
from limpid.compiler.steps.labels import Labels, label
from limpid.compiler.steps.preparation import prepare
from limpid.compiler.steps.results import End
from limpid.compiler.steps.signature import Signature
from limpid.compiler.steps.takes import Take, refuse_to_change
from limpid.graph.graph import is_reference
from limpid.graph.node import Array
from limpid.graph.source import capture
from limpid.ops.generator import default_generator
from limpid.storage import write_all
from limpid.tensor import Tensor


class Recording:
    """What a function did when it was called once, on tensors without values.

    graph      all that it computed. Outputs are the results, then values that it left elsewhere,
               then gradients that it left in `.grad`
    idle       state that was met and that the graph does not need, though a probe may
    signature  the arguments that it is for
    guards     what else has to be as it was
    """

    def __init__(self, function: Callable[..., Any], signature: Signature) -> None:
        self.signature = signature
        self.guards = Guards(function, signature.objects)
        take = Take(function, signature, self.guards)
        self.graph = take.graph
        self.trail = take.trail
        self.watch: Any = None  # runs in the executor's place while there is something to show
        self.effects = take.effects
        self.gradients = take.gradients  # leaves; the number of an output, or None
        self._result = take.result
        self._single = take.result.output  # the number of the output that is the whole result
        self._rebinds = take.rebinds
        self.made = take.made  # how many outputs become tensors
        self._end = End(self.graph.outputs[: take.made], take.carriers)
        slots: Any = self.graph.slots
        self.idle = {n: node for n, node in take.trail.slots.items() if n not in slots}
        self._read = [slots[name].op.storage for name in slots]
        self._written = [slots[name].op.storage for name in self.graph.writes]
        self._generator = take.generator  # of the thread that recorded, where it drew from it
        self._uses_given = take.uses_given
        self._twins = {later for _, later in signature.twins}
        self._compares_twins = bool(signature.twins or take.rebinds)
        self._is_plain = not (take.uses_given or signature.twins or take.rebinds or take.effects)

    def collect(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Sequence[Array] | None:
        """The arrays of the inputs of a call that this recording can stand for, else None."""
        arrays = self.signature.collect(args, kwargs)
        if arrays is None or not self.guards.hold():
            return None
        if self._compares_twins and not self.signature.has_twins_of(args, kwargs):
            return None
        return arrays

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any], arrays: Sequence[Array]) -> Any:
        """What the call does, and returns."""
        runner, read = self.watch or self.executor, self._read
        if self._generator is not None:
            read = self._of_this_thread(read)
        if self._is_plain and runner.in_place:
            outputs = runner.update(arrays, read)
            if self._single is not None:
                return self._end.tensor(self._single, outputs[self._single])
            return self._result.make(self._end.tensors(outputs), ())
        given = self.signature.given(args, kwargs) if self._uses_given else ()
        arrays = self.distinct(arrays)
        self._check_rebinds(given)
        if runner.in_place:
            outputs = runner.update(arrays, read)
        else:
            outputs, values = runner.run(arrays, [storage.read() for storage in read])
            outputs, values = _apart(outputs, arrays), _apart(values, arrays)
            written = self._of_this_thread(self._written)
            write_all(written, [np.asarray(value, order="C") for value in values], capture())
            self._leave_gradients(outputs)
        tensors = self._end.tensors(outputs)
        if self._rebinds or self.effects:
            self._leave(tensors, given)
        return self._result.make(tensors, given)

    def distinct(self, arrays: Sequence[Array]) -> Sequence[Array]:
        """The arrays of a call as the graph takes them: a tensor that comes twice is there once."""
        if not self._twins:
            return arrays
        return [x for place, x in enumerate(arrays) if place not in self._twins]

    def state(self) -> list[Array]:
        """What the graph's slots hold now."""
        read = self._read if self._generator is None else self._of_this_thread(self._read)
        return [storage.read() for storage in read]

    @cached_property
    def executor(self) -> Any:
        """What runs the graph; made when it is first needed, which is never if all is probed."""
        return prepare(self.graph, self.gradients)

    @cached_property
    def labels(self) -> Labels:
        """What its values are called; found out when it is first asked for."""
        return label(self.trail, self.graph)

    def losses(self) -> list[Any]:
        """What backward passes begin with, from an upstream that is a constant."""
        here = set(self.graph.nodes)
        return [
            (node, k)
            for (node, k), gradients in self.trail.upstream.items()
            if node in here and node.origin is None
            if any(not is_reference(g) for g in gradients)
        ]

    def nest(self, tensors: Sequence[Any], inputs: Sequence[Any]) -> Any:
        """What the function returned, made of tensors of the outputs and of the inputs."""
        rest = iter(inputs)
        first = {later: earlier for earlier, later in self.signature.twins}
        given: list[Any] = []
        for place in range(len(self.signature.inputs)):
            given.append(given[first[place]] if place in first else next(rest))
        return self._result.make(tensors, given)

    def _leave_gradients(self, outputs: Sequence[Array]) -> None:
        for node, number in self.gradients:
            if node.retained is None:
                node.retained = {}
            node.retained[0] = None if number is None else Tensor(None, 0, outputs[number])

    def _leave(self, tensors: Sequence[Tensor], given: Sequence[Any]) -> None:
        """Set what the function set outside."""
        for target, number in self._rebinds:
            tensor = given[target] if isinstance(target, int) else target
            made = tensors[number]
            tensor.node, tensor.index, tensor._value = made.node, made.index, made._value
        for place, value in self.effects:
            place.write(value.make(tensors, given))

    def _check_rebinds(self, given: Sequence[Any]) -> None:
        for target, _ in self._rebinds:
            if isinstance(target, int) and not isinstance(given[target], Tensor):
                refuse_to_change(self.signature.inputs[target].label)

    def _of_this_thread(self, storages: list[Any]) -> list[Any]:
        """Draws are from the generator of the thread that calls."""
        mine, theirs = default_generator().state.storage, self._generator
        if mine is theirs:
            return storages
        return [mine if storage is theirs else storage for storage in storages]


def _apart(values: list[Any], arrays: Sequence[Array]) -> list[Array]:
    """Results; copies of those that are arguments, or views of what the caller may write to."""
    theirs = set(map(id, arrays))
    return [
        value if value.base is None and id(value) not in theirs else _copied(value, arrays)
        for value in values
    ]


def _copied(value: Array, arrays: Sequence[Array]) -> Array:
    """A copy if the value may share memory with an argument."""
    return value.copy() if any(np.may_share_memory(value, x) for x in arrays) else value
