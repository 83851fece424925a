"""A recording of a function: its graph, and what else makes running it the same as a call.

The graph is pure: (arguments, state) → (results, new state). Here slots are read and written,
gradients left in `.grad`, what the function set outside is set again (attributes, globals, tensors
that `t += …` changed), and results are nested as the function nested them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from limpid.compiler.steps.executor import Executor
from limpid.compiler.steps.guards import Guards
from limpid.compiler.steps.results import End
from limpid.compiler.steps.signature import Signature
from limpid.compiler.steps.takes import Take, refuse_to_change
from limpid.graph.node import Array
from limpid.graph.source import capture
from limpid.ops.generator import default_generator
from limpid.storage import write_all
from limpid.tensor import Tensor


class Recording:
    """What a function did when it was called once, on tensors without values.

    graph      all that it computed. Outputs are the results, then values that it left elsewhere,
               then gradients that it left in `.grad`
    signature  the arguments that it is for
    guards     what else has to be as it was
    """

    def __init__(self, function: Callable[..., Any], signature: Signature) -> None:
        self.signature = signature
        self.guards = Guards(function, signature.objects)
        take = Take(function, signature, self.guards)
        self.graph = take.graph
        self.executor = Executor(take.graph)
        self.effects = take.effects
        self.gradients = take.gradients  # leaves; the number of an output, or None
        self._result = take.result
        self._rebinds = take.rebinds
        self._made = take.made  # how many outputs become tensors
        self._end = End(self.graph.outputs[: take.made], take.carriers)
        slots: Any = self.graph.slots
        self._read = [slots[name].op.storage for name in slots]
        self._written = [slots[name].op.storage for name in self.graph.writes]
        self._generator = take.generator  # of the thread that recorded, where it drew from it
        self._uses_given = take.uses_given
        self._twins = {later for _, later in signature.twins}
        self._compares_twins = bool(signature.twins or take.rebinds)

    def collect(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Array] | None:
        """The arrays of the inputs of a call that this recording can stand for, else None."""
        arrays = self.signature.collect(args, kwargs)
        if arrays is None or not self.guards.modes_hold() or not self.guards.hold():
            return None
        if self._compares_twins and not self.signature.has_twins_of(args, kwargs):
            return None
        return arrays

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any], arrays: list[Array]) -> Any:
        """What the call does, and returns."""
        given = self.signature.given(args, kwargs) if self._uses_given else ()
        if self._twins:
            arrays = [x for place, x in enumerate(arrays) if place not in self._twins]
        self._check_rebinds(given)
        read, written = self._read, self._written
        if self._generator is not None:
            read, written = self._of_this_thread(read), self._of_this_thread(written)
        outputs, values = self.executor.run(arrays, [storage.read() for storage in read])
        outputs, values = _apart(outputs, arrays), _apart(values, arrays)
        write_all(written, [np.asarray(value, order="C") for value in values], capture())
        for node, number in self.gradients:
            if node.retained is None:
                node.retained = {}
            node.retained[0] = None if number is None else Tensor(None, 0, outputs[number])
        tensors = self._end.tensors(outputs)
        if self._rebinds or self.effects:
            self._leave(tensors, given)
        return self._result.make(tensors, given)

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
        return [mine if storage is theirs else storage for storage in storages]


def _apart(values: list[Any], arrays: list[Array]) -> list[Array]:
    """Results; copies of those that are arguments, or views of what the caller may write to."""
    theirs = set(map(id, arrays))
    return [
        value if value.base is None and id(value) not in theirs else _copied(value, arrays)
        for value in values
    ]


def _copied(value: Array, arrays: list[Array]) -> Array:
    """A copy if the value may share memory with an argument."""
    return value.copy() if any(np.may_share_memory(value, x) for x in arrays) else value
