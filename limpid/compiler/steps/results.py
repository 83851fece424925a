"""Nested values that a recorded function returned or left somewhere, made again from outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from limpid.compiler.steps.places import is_counted
from limpid.compiler.steps.signature import is_state
from limpid.differentiation.kinds import General
from limpid.differentiation.primitive import Primitive
from limpid.errors import ArgumentError, NoGradientError
from limpid.graph.graph import is_reference
from limpid.graph.node import NO_PARAMS, Array, Leaf, Node, spec_of
from limpid.tensor import Tensor
from limpid.transforms.nesting import Rebuild, flatten
from limpid.transforms.recording import Recorder

Make = Callable[[Sequence[Tensor], Sequence[Any]], Any]  # from tensors of outputs, and arguments


class Outputs:
    """The outputs of a graph, as they are found in what a function returned or left somewhere.

    A tensor that is there twice is one output, and one tensor again. `uses_arguments`: whether
    an argument is among what was found, which stands for itself.
    """

    def __init__(self, recorder: Recorder, arguments: Mapping[int, int]) -> None:
        self.references: list[Any] = []
        self.uses_arguments = False
        self._recorder = recorder
        self._arguments = arguments  # id of an argument's tensor → its place
        self._numbers: dict[int, int] = {}  # id of a tensor → the number of its output
        self._alive: list[Tensor] = []

    def result(self, value: Any) -> Nested:
        """How to make the like of what the function returned."""
        leaves, rebuild = flatten(value, "", is_counted)
        for _, leaf in leaves:
            self._check_result(leaf)
        return Nested([self._make(leaf) for _, leaf in leaves], rebuild)

    def left(self, value: Any) -> Nested:
        """How to make the like of what it left somewhere: itself, if no tensors are in it."""
        leaves, rebuild = flatten(value, "", is_counted)
        if all(not isinstance(leaf, Tensor) or self._stays(leaf) for _, leaf in leaves):
            return Nested([], lambda rest: value)
        return Nested([self._make(leaf) for _, leaf in leaves], rebuild)

    def left_in(self, container: Any) -> Nested:
        """The same for each thing in a list, a dict or a set."""
        if isinstance(container, dict):
            keys = list(container)
            makes = [self.left(part).make for part in container.values()]
            return Nested(makes, lambda rest: dict(zip(keys, rest)))
        return Nested([self.left(part).make for part in container], type(container))

    def number(self, tensor: Tensor) -> int:
        """The number of the output that a tensor is."""
        number = self._numbers.get(id(tensor))
        if number is None:
            number = self._numbers[id(tensor)] = len(self.references)
            self.references.append(self._recorder.reference(tensor))
            self._alive.append(tensor)
        return number

    def _make(self, leaf: Any) -> Make:
        """How to make the like of a leaf."""
        if isinstance(leaf, np.ndarray):
            return lambda tensors, given: leaf.copy()
        if not isinstance(leaf, Tensor):
            return lambda tensors, given: leaf
        place = self._arguments.get(id(leaf))
        if place is not None:
            self.uses_arguments = True
            return lambda tensors, given: given[place]
        if self._stays(leaf):
            return lambda tensors, given: leaf
        return _Output(self.number(leaf))

    def _stays(self, leaf: Tensor) -> bool:
        """Whether this tensor was there before, or is state: it is itself at every call."""
        if id(leaf) in self._recorder.rebound:
            return True
        return leaf._value is not None and (is_state(leaf) or not self._was_made(leaf))

    def _was_made(self, leaf: Tensor) -> bool:
        return leaf.is_leaf and leaf.node is not None and self._recorder.has_made(leaf.node)

    def _check_result(self, leaf: Any) -> None:
        if isinstance(leaf, Tensor) and is_state(leaf) and self._was_made(leaf):
            raise ArgumentError(
                f"the compiled function returns a {type(leaf).__name__} {leaf.spec} that it made: "
                "there would be one for all calls, where there should be a new one for each"
                "\nremedy: make it outside, or return a plain tensor"
            )


class _Output:
    """Makes the tensor of an output."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, tensors: Sequence[Tensor], given: Sequence[Any]) -> Tensor:
        return tensors[self.number]


class Nested:
    """A value, of which `make` makes the like. `output`: its number, where it is just that."""

    def __init__(self, makes: Sequence[Make], rebuild: Rebuild) -> None:
        self._makes = makes
        self._rebuild = rebuild
        single = makes[0] if rebuild is next else None  # nothing is nested
        self.output = single.number if isinstance(single, _Output) else None

    def make(self, tensors: Sequence[Tensor], given: Sequence[Any]) -> Any:
        """The value, nested as the first was."""
        return self._rebuild(iter([make(tensors, given) for make in self._makes]))


class End:
    """Makes tensors of outputs.

    Those that carry a gradient where the function is not compiled do so here: they lead to a node
    that can't pass any on, so that none is lost without a word.
    """

    def __init__(self, references: Sequence[Any], carriers: set[Node]) -> None:
        specs = [r[0].outputs[r[1]] if is_reference(r) else spec_of(r) for r in references]
        start = Node(
            Leaf("a compiled step"), (), (), NO_PARAMS, (spec_of(0.0),), "", None, None, True
        )
        saved = (None,) * (len(specs) + 1)
        node = Node(_boundary, (start,), (0,), NO_PARAMS, tuple(specs), "", None, None, True, saved)
        self._nodes = [node if _carries_gradient(r, carriers) else None for r in references]
        self._numbers = range(len(specs))

    def tensors(self, values: Sequence[Array]) -> list[Tensor]:
        """Tensors with these values; there may be more values."""
        return [Tensor(*given) for given in zip(self._nodes, self._numbers, values)]

    def tensor(self, number: int, value: Array) -> Tensor:
        """The tensor of one output."""
        return Tensor(self._nodes[number], number, value)


def _carries_gradient(reference: Any, carriers: set[Node]) -> bool:
    if not is_reference(reference):
        return False
    node, index = reference
    return node in carriers and node.outputs[index].dtype.kind == "float"


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise NoGradientError(
        "this value came out of a compiled step, which keeps nothing for a gradient that would go "
        "back through it\nremedy: call .backward(), or limpid.grad, inside the compiled function; "
        ".detach() the value if no gradient is wanted"
    )


_boundary = Primitive(
    "a compiled step",
    lambda x: x,
    [General(_refuse, _refuse)],
    shape=lambda x: x,
    relation=None,
    math=None,
    registered=False,
)
