"""Nodes: the one thing graphs are made of, forward and backward alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import count
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

import numpy as np

from limpid.graph.dtype import DType, dtype_of
from limpid.graph.source import Source

Array = np.ndarray[Any, np.dtype[Any]]
Params = Mapping[str, Any]
NO_PARAMS: Params = {}


class Spec:
    """Shape and dtype of a value, without the value; written `float32[32, 784]`."""

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: DType):
        self.shape = shape
        self.dtype = dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        size = 1
        for extent in self.shape:
            size *= extent
        return size

    def __repr__(self) -> str:
        return f"{self.dtype.name}[{', '.join(map(str, self.shape))}]"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spec) and self.shape == other.shape and self.dtype is other.dtype

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))


def spec_of(value: Any) -> Spec:
    """The spec of an array (or of anything `np.asarray` takes)."""
    array = np.asarray(value)
    return Spec(array.shape, dtype_of(array.dtype))


class Operation(Protocol):
    """What a node needs to know of its primitive."""

    name: str

    def evaluate(self, values: Iterable[Any], params: Params) -> Any:
        """The primitive's value on NumPy: an array, or a tuple where it has several outputs."""


class Origin(NamedTuple):
    """Why a backward node exists: the forward node and argument it belongs to, and its role."""

    node: Node
    argument: int
    role: str  # "local", "edge" (upstream times local) or "sum" (fan-out)


class Node:
    """One application of a primitive.

    `inputs` holds, for each operand, the node that made it (and `indices` the number of that
    node's output) or a constant: an array or a Python number. `saved` holds the values that the
    derivative rules read, outputs first, then operands, None where none is needed. `number`
    grows with creation, so inputs always have smaller numbers than the nodes that use them.
    """

    __slots__ = (
        "__weakref__",
        "indices",
        "inputs",
        "number",
        "op",
        "origin",
        "outputs",
        "params",
        "requires_grad",
        "retained",
        "saved",
        "scope",
        "source",
    )

    op: Operation
    inputs: tuple[Any, ...]
    indices: tuple[int, ...]
    params: Params
    outputs: tuple[Spec, ...]
    scope: str
    origin: Origin | None
    source: Source | None
    number: int
    requires_grad: bool
    saved: Any  # a tuple, None while recording, or Freed
    retained: dict[int, Any] | None  # gradients kept by retain_grad: output number → gradient

    def __init__(
        self,
        op: Operation,
        inputs: tuple[Any, ...],
        indices: tuple[int, ...],
        params: Params,
        outputs: tuple[Spec, ...],
        scope: str,
        origin: Origin | None,
        source: Source | None,
        requires_grad: bool,
        saved: Any = None,
    ):
        self.op = op
        self.inputs = inputs
        self.indices = indices
        self.params = params
        self.outputs = outputs
        self.scope = scope
        self.origin = origin
        self.source = source
        self.requires_grad = requires_grad
        self.saved = saved
        self.retained = None
        self.number = next_number()

    def __repr__(self) -> str:
        outputs = ", ".join(map(repr, self.outputs))
        return f"<{self.op.name} #{self.number} → {outputs}>"

    @property
    def is_leaf(self) -> bool:
        """Whether nothing made this node: an input, a slot, a fresh input of a transform."""
        return isinstance(self.op, Leaf)


next_number: Callable[[], int] = count(1).__next__


class Freed:
    """Stands in `Node.saved` after a backward pass freed the values there."""

    __slots__ = ("source",)

    def __init__(self, source: Source | None):
        self.source = source


class Leaf:
    """The operation of nodes that nothing made. `storage` is there when the leaf is a slot."""

    __slots__ = ("label", "storage")

    name = "input"

    def __init__(self, label: str | None = None, storage: Any = None):
        self.label = label
        self.storage = storage

    def evaluate(self, values: Iterable[Any], params: Params) -> Any:
        """A slot's present value; other leaves are given theirs from outside."""
        return self.storage.read()


INDICES = tuple((0,) * n for n in range(16))  # the usual indices: first output of every input


def first_outputs(count: int) -> tuple[int, ...]:
    """`(0, …, 0)`: each input is the first output of its node."""
    return INDICES[count] if count < 16 else (0,) * count


def reachable(outputs: Iterable[Any], stop: Iterable[Node] = (), since: int = 0) -> list[Node]:
    """All nodes that the outputs depend on, oldest first, without recursion.

    Nodes in `stop` are included but not looked behind; nodes made before number `since` are left
    out. Constants among outputs are passed over.
    """
    seen = set(stop)
    stack = []
    for node in outputs:
        if type(node) is Node and node not in seen and node.number >= since:
            seen.add(node)
            stack.append(node)
    while stack:
        for parent in stack.pop().inputs:
            if type(parent) is Node and parent not in seen and parent.number >= since:
                seen.add(parent)
                if parent.inputs:
                    stack.append(parent)
    return sorted(seen, key=attrgetter("number"))
