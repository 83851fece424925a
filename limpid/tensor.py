"""Tensors: a node and the number of one of its outputs, with a value when there is one.

Operators and methods find their operations by name in the registry; that late binding is the only
place where a lower layer speaks of a higher one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np

from limpid.conversions import Conversions
from limpid.errors import (
    DTypeError,
    InPlaceError,
    NoGradientError,
    OperandError,
    ShapeError,
)
from limpid.graph.changes import Changes
from limpid.graph.context import Cut, context
from limpid.graph.dtype import STORED, DType, as_dtype, default_float, dtype_of
from limpid.graph.node import NO_PARAMS, Array, Leaf, Node, Spec
from limpid.graph.registry import operations
from limpid.graph.source import capture, describe, methods
from limpid.operators import Operators
from limpid.storage import Storage

T = TypeVar("T", bound="Tensor")


class Tensor(Operators, Conversions):
    """An array that remembers how it was computed. Make one with `limpid.tensor`.

    Methods and operators follow NumPy in name and meaning.
    """

    __slots__ = ("__weakref__", "_value", "cut", "index", "node")
    __array_priority__ = 1000

    node: Node | None
    index: int
    cut: Cut | None

    def __init__(self, node: Node | None, index: int, value: Array | None):
        self.node = node
        self.index = index
        self._value = value
        self.cut = None

    # What it is

    @property
    def value(self) -> Array:
        """The array itself; AbstractError while a graph is recorded."""
        if self._value is None:
            self._no_value("its value was read")
        return self._value

    @property
    def spec(self) -> Spec:
        """Shape and dtype."""
        if self._value is None:
            assert self.node is not None
            return self.node.outputs[self.index]
        return Spec(self._value.shape, dtype_of(self._value.dtype))

    @property
    def shape(self) -> tuple[int, ...]:
        return self._value.shape if self._value is not None else self.spec.shape

    @property
    def dtype(self) -> DType:
        return dtype_of(self._value.dtype) if self._value is not None else self.spec.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return self.spec.size

    @property
    def is_leaf(self) -> bool:
        """Whether no operation made it."""
        return self.node is None or self.node.is_leaf

    @property
    def storage(self) -> Storage | None:
        """The storage of a slot (a tensor that can be assigned to); None for computed tensors."""
        node = self.node
        return node.op.storage if node is not None and isinstance(node.op, Leaf) else None

    @property
    def requires_grad(self) -> bool:
        """Whether operations on it record, so that it can receive a gradient."""
        node = self.node
        if node is None or not node.requires_grad:
            return False
        return len(node.outputs) == 1 or self.dtype.kind == "float"

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if self.node is None and wanted and self._value is not None:
            make_leaf(self, self._value, True)
            return
        if self.node is None or not self.node.is_leaf:
            if wanted == self.requires_grad:
                return
            raise NoGradientError(
                "requires_grad can be set on leaves only; use .detach() to get one without gradient"
            )
        if wanted:
            _check_differentiable(self.dtype)
        if self.node.requires_grad != bool(wanted):
            Changes.any += 1
        self.node.requires_grad = bool(wanted)

    # Gradients

    @property
    def grad(self) -> Tensor | None:
        """The gradient left by `.backward()`; None before, or if none was asked for."""
        if self.node is None:
            return None
        kept = kept_gradients(self.node)
        return kept.get(self.index) if kept else None

    @grad.setter
    def grad(self, gradient: Tensor | None) -> None:
        if self.node is None:
            raise NoGradientError("a tensor that is not part of a graph has no .grad to set")
        if gradient is not None:
            if not isinstance(gradient, Tensor):
                gradient = tensor(gradient, self.dtype)
            gradient = asarray(gradient, self.dtype)
            if gradient.shape != self.shape:
                raise ShapeError(
                    f"a gradient has the shape of its tensor: {self.shape}, not {gradient.shape}"
                )
        keep_gradient(self.node, self.index, gradient)

    def backward(
        self, gradient: Any = None, retain_graph: bool = False, create_graph: bool = False
    ) -> None:
        """Add d self / d leaf to `.grad` of every leaf that requires a gradient.

        gradient      the upstream gradient; needed unless this tensor is a scalar
        retain_graph  keep the saved values, so that backward can run again
        create_graph  record the backward pass, so that it can be differentiated

        Raises SeedError, FreedError, NoGradientError, OverwrittenError.

        >>> import limpid
        >>> x = limpid.tensor(3.0, requires_grad=True)
        >>> (x * x).backward(); x.grad.item()
        6.0
        """
        operations["backward"](self, gradient, retain_graph, create_graph)

    def retain_grad(self) -> None:
        """Let `.backward()` leave the gradient of this computed tensor in `.grad`, too."""
        if self.node is None or not self.requires_grad:
            raise NoGradientError("retain_grad: this tensor requires no gradient")
        if self.node.retained is None:
            self.node.retained = {}
        self.node.retained.setdefault(self.index, None)

    # In-place spellings: they rebind this tensor to a new node

    def rebind(self, result: Any, how: str) -> Tensor:
        if self.requires_grad and self.storage is not None and context.state.grad_enabled:
            raise InPlaceError(
                f"in-place {how} at {describe(capture())} would replace a leaf that requires a "
                "gradient, so its .grad would never come\nremedy: write the result to a new name, "
                "or do it under `with limpid.no_grad():` to change the leaf's value"
            )
        if self.storage is not None and (self.requires_grad or isinstance(self, Slot)):
            operations["assign"](self, result)
            return self
        recorder = context.state.recorder
        if recorder is not None and self._value is not None:
            recorder.rebind(self)
        retained = self.node is not None and self.index in (self.node.retained or ())
        self.node, self.index, self._value = result.node, result.index, result._value
        self.cut = result.cut
        if retained and self.requires_grad:
            self.retain_grad()  # asked of the name, so of what it stands for now
        return self

    # Looking at it

    def __repr__(self) -> str:
        grad = ", requires_grad=True" if self.requires_grad else ""
        if self._value is None:
            return f"tensor({self.spec}, recorded{grad})"
        body = np.array2string(self._value, separator=", ", prefix="tensor(")
        plain = self.dtype in (default_float(), dtype_of(np.dtype(np.int64)), as_dtype(bool))
        dtype = "" if plain else f", dtype={self.dtype.name}"
        return f"tensor({body}{dtype}{grad})"

    def __len__(self) -> int:
        if not self.shape:
            raise OperandError("a 0-d tensor has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise OperandError("a 0-d tensor can't be iterated over")
        return iter(operations["unstack"](self))

    __hash__ = object.__hash__

    def __deepcopy__(self, memo: Any) -> Tensor:
        if not self.is_leaf:
            raise NoGradientError("only leaves can be deep-copied; use .detach() first")
        copy = type(self).__new__(type(self))
        label = _label(self.node) if self.node is not None else None
        make_leaf(copy, self.value.copy(), self.requires_grad, label)
        memo[id(self)] = copy
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        if not self.is_leaf:
            raise NoGradientError("only leaves can be pickled; use .detach() first")
        return (_unpickle, (type(self), self.value, self.requires_grad))


class Slot(Tensor):
    """A mark: this leaf is state. Parameters, buffers and an optimiser's numbers are slots."""

    __slots__ = ()

    def __init__(self, value: Any, requires_grad: bool = False, dtype: Any = None):
        array = _owned_array(value, dtype)
        make_leaf(self, array, requires_grad)

    @property
    def value(self) -> Array:
        """The array itself; AbstractError while a graph is recorded."""
        return self._read("its value was read")

    def _is_state(self) -> bool:
        return context.state.recorder is not None


class Parameter(Slot):
    """A slot that is trained. Assign one to a module's attribute and the module owns it."""

    __slots__ = ()

    def __init__(self, value: Any, requires_grad: bool = True, dtype: Any = None):
        super().__init__(value, requires_grad, dtype)


class Buffer(Slot):
    """A slot that is not trained: running statistics, counters."""

    __slots__ = ()


def make_leaf(made: T, array: Array, requires_grad: bool = False, label: str | None = None) -> T:
    """Let a new tensor be a leaf with a storage of its own: something that can be assigned to."""
    spec = Spec(array.shape, dtype_of(array.dtype))
    if requires_grad:
        _check_differentiable(spec.dtype)
    op = Leaf(label, Storage(array, made))
    node = Node(op, (), (), NO_PARAMS, (spec,), context.state.scope, None, capture(), requires_grad)
    Tensor.__init__(made, node, 0, array)
    return made


def tensor(value: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A new leaf tensor with a copy of the value.

    Python floats become the default float type (float32), arrays keep their dtype.
    Raises DTypeError for element types limpid lacks, CutError for lists that hold tensors
    with a gradient (use `limpid.stack`).

    >>> import limpid
    >>> limpid.tensor([[1.0, 2.0]])
    tensor([[1., 2.]])
    """
    array = _owned_array(value, dtype)
    return make_leaf(Tensor.__new__(Tensor), array, requires_grad)


def asarray(value: Any, dtype: Any = None) -> Tensor:
    """A tensor that shares the memory of an array where it can; tensors pass through.

    What is later written into the array behind limpid's back goes unseen: `limpid.tensor` copies.
    """
    if isinstance(value, Tensor):
        if dtype is None or value.dtype is as_dtype(dtype):
            return value
        return operations["astype"](value, dtype)
    array = to_array(value, dtype)
    return make_leaf(Tensor.__new__(Tensor), array)


def operand(x: Any) -> Any:
    """A tensor as it is; anything else as an array."""
    return x if isinstance(x, Tensor) else to_array(x)


def known_values(x: Any) -> Array | None:
    """The values of a tensor or an array, to be checked; None while a graph is recorded."""
    if context.state.recorder is not None:
        return None
    return x.value if isinstance(x, Tensor) else to_array(x)


def to_array(value: Any, dtype: Any = None) -> Array:
    """A NumPy array of a supported dtype from numbers, nested lists or arrays."""
    if type(value) is np.ndarray and dtype is None and value.dtype in STORED:
        return value
    if isinstance(value, np.ndarray | np.generic):
        if type(value).__name__ == "MaskedArray":
            raise OperandError(
                "a masked array would lose its mask; use .filled(value), or limpid.where with the "
                "mask"
            )
        array = np.asarray(value)
    else:
        try:
            array = np.asarray(value)
        except ValueError as error:
            raise OperandError(f"can't make a tensor of {type(value).__name__}: {error}") from None
        if array.dtype == np.float64 and dtype is None and _is_plain(value):
            array = array.astype(default_float().storage)
    if dtype is not None:
        array = array.astype(as_dtype(dtype).storage, copy=False)
    if array.dtype.byteorder not in "=|" or not isinstance(array, np.ndarray):
        array = np.asarray(array).astype(array.dtype.newbyteorder("="))
    if array.dtype == object:
        raise OperandError(f"can't make a tensor of {type(value).__name__} ({value!r:.60})")
    dtype_of(array.dtype)
    return array


def _is_plain(value: Any) -> bool:
    """Whether these are Python's numbers, going by the first, and not arrays in a list."""
    while isinstance(value, list | tuple) and value:
        value = value[0]
    return isinstance(value, int | float | list | tuple) and not isinstance(value, np.generic)


def _owned_array(value: Any, dtype: Any) -> Array:
    if isinstance(value, Tensor):
        value = value.value
    return np.array(to_array(value, dtype), order="C")


methods.update(name for name in dir(Tensor) if not name.startswith("_"))


def _check_differentiable(dtype: DType) -> None:
    if dtype.kind != "float":
        raise DTypeError(
            f"only float tensors can require a gradient, not {dtype.name}; "
            "convert with limpid.astype(t, limpid.float32)"
        )


def _label(node: Node) -> str | None:
    return node.op.label if isinstance(node.op, Leaf) else None


def _unpickle(kind: type[Tensor], value: Array, requires_grad: bool) -> Tensor:
    return make_leaf(kind.__new__(kind), value, requires_grad)


def kept_gradients(node: Node) -> dict[int, Any] | None:
    recorder = context.state.recorder
    return node.retained if recorder is None else recorder.gradients(node)


def keep_gradient(node: Node, index: int, gradient: Any) -> None:
    kept = kept_gradients(node)
    if kept is None:
        kept = node.retained = {}
    kept[index] = gradient
