"""Operators and methods of tensors: each finds its operation by name when it is called."""

from __future__ import annotations

from typing import Any

from limpid.errors import OperandError
from limpid.graph.registry import operations, primitives


class Operators:
    """What can be written on a tensor: NumPy's operators, and its methods by the same names."""

    __slots__ = ()

    def rebind(self, result: Any, how: str) -> Any:
        """Let this tensor stand for a new result; an in-place spelling does that."""
        raise NotImplementedError

    def __add__(self, other: Any) -> Any:
        return primitives["add"](self, other)

    def __radd__(self, other: Any) -> Any:
        return primitives["add"](other, self)

    def __iadd__(self, other: Any) -> Any:
        return self.rebind(primitives["add"](self, other), "+=")

    def __sub__(self, other: Any) -> Any:
        return primitives["subtract"](self, other)

    def __rsub__(self, other: Any) -> Any:
        return primitives["subtract"](other, self)

    def __isub__(self, other: Any) -> Any:
        return self.rebind(primitives["subtract"](self, other), "-=")

    def __mul__(self, other: Any) -> Any:
        return primitives["multiply"](self, other)

    def __rmul__(self, other: Any) -> Any:
        return primitives["multiply"](other, self)

    def __imul__(self, other: Any) -> Any:
        return self.rebind(primitives["multiply"](self, other), "*=")

    def __truediv__(self, other: Any) -> Any:
        return primitives["divide"](self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return primitives["divide"](other, self)

    def __itruediv__(self, other: Any) -> Any:
        return self.rebind(primitives["divide"](self, other), "/=")

    def __pow__(self, other: Any) -> Any:
        return primitives["power"](self, other)

    def __rpow__(self, other: Any) -> Any:
        return primitives["power"](other, self)

    def __ipow__(self, other: Any) -> Any:
        return self.rebind(primitives["power"](self, other), "**=")

    def __matmul__(self, other: Any) -> Any:
        return primitives["matmul"](self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return primitives["matmul"](other, self)

    def __imatmul__(self, other: Any) -> Any:
        return self.rebind(primitives["matmul"](self, other), "@=")

    def __floordiv__(self, other: Any) -> Any:
        return primitives["floor_divide"](self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return primitives["floor_divide"](other, self)

    def __ifloordiv__(self, other: Any) -> Any:
        return self.rebind(primitives["floor_divide"](self, other), "//=")

    def __mod__(self, other: Any) -> Any:
        return primitives["remainder"](self, other)

    def __rmod__(self, other: Any) -> Any:
        return primitives["remainder"](other, self)

    def __imod__(self, other: Any) -> Any:
        return self.rebind(primitives["remainder"](self, other), "%=")

    def __lt__(self, other: Any) -> Any:
        return primitives["less"](self, other)

    def __le__(self, other: Any) -> Any:
        return primitives["less_equal"](self, other)

    def __gt__(self, other: Any) -> Any:
        return primitives["greater"](self, other)

    def __ge__(self, other: Any) -> Any:
        return primitives["greater_equal"](self, other)

    def __eq__(self, other: Any) -> Any:
        try:
            return primitives["equal"](self, other)
        except OperandError:  # None, a string, any object: equal to no tensor
            return NotImplemented

    def __ne__(self, other: Any) -> Any:
        try:
            return primitives["not_equal"](self, other)
        except OperandError:
            return NotImplemented

    def __contains__(self, element: Any) -> bool:
        equal = self == element
        return equal if isinstance(equal, bool) else bool(operations["any"](equal))

    def __and__(self, other: Any) -> Any:
        return primitives["bitwise_and"](self, other)

    __rand__ = __and__

    def __or__(self, other: Any) -> Any:
        return primitives["bitwise_or"](self, other)

    __ror__ = __or__

    def __xor__(self, other: Any) -> Any:
        return primitives["bitwise_xor"](self, other)

    __rxor__ = __xor__

    def __round__(self, decimals: int | None = None) -> Any:
        return operations["round"](self, decimals or 0)

    def __neg__(self) -> Any:
        return primitives["negative"](self)

    def __abs__(self) -> Any:
        return primitives["abs"](self)

    def __invert__(self) -> Any:
        return primitives["bitwise_invert"](self)

    def __pos__(self) -> Any:
        return self

    def __getitem__(self, key: Any) -> Any:
        return operations["get_item"](self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.rebind(operations["set_item"](self, key, value), "assignment to an item")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **given: Any) -> Any:
        return operations["array_ufunc"](ufunc, method, inputs, given)

    def __array_function__(self, function: Any, types: Any, args: Any, given: Any) -> Any:
        return operations["array_function"](function, types, args, given)

    def detach(self) -> Any:
        """The same value, cut off from the graph."""
        return operations["stop_gradient"](self)

    @property
    def T(self) -> Any:
        """The axes in reverse order."""
        return operations["permute_dims"](self, None)

    @property
    def mT(self) -> Any:
        """The last two axes swapped."""
        return operations["matrix_transpose"](self)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        """`limpid.sum` of this tensor."""
        return operations["sum"](self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        """`limpid.mean` of this tensor."""
        return operations["mean"](self, axis=axis, keepdims=keepdims)

    def prod(self, axis: Any = None, keepdims: bool = False) -> Any:
        """`limpid.prod` of this tensor."""
        return operations["prod"](self, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Any:
        """`limpid.max` of this tensor."""
        return operations["max"](self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Any:
        """`limpid.min` of this tensor."""
        return operations["min"](self, axis=axis, keepdims=keepdims)

    def var(self, axis: Any = None, correction: float = 0, keepdims: bool = False) -> Any:
        """`limpid.var` of this tensor."""
        return operations["var"](self, axis=axis, correction=correction, keepdims=keepdims)

    def std(self, axis: Any = None, correction: float = 0, keepdims: bool = False) -> Any:
        """`limpid.std` of this tensor."""
        return operations["std"](self, axis=axis, correction=correction, keepdims=keepdims)

    def argmax(self, axis: Any = None, keepdims: bool = False) -> Any:
        """`limpid.argmax` of this tensor."""
        return operations["argmax"](self, axis=axis, keepdims=keepdims)

    def argmin(self, axis: Any = None, keepdims: bool = False) -> Any:
        """`limpid.argmin` of this tensor."""
        return operations["argmin"](self, axis=axis, keepdims=keepdims)

    def any(self, axis: Any = None, keepdims: bool = False) -> Any:
        """`limpid.any` of this tensor."""
        return operations["any"](self, axis=axis, keepdims=keepdims)

    def all(self, axis: Any = None, keepdims: bool = False) -> Any:
        """`limpid.all` of this tensor."""
        return operations["all"](self, axis=axis, keepdims=keepdims)

    def cumsum(self, axis: Any = None) -> Any:
        """`limpid.cumsum` of this tensor."""
        return operations["cumsum"](self, axis=axis)

    def argsort(self, axis: Any = -1) -> Any:
        """`limpid.argsort` of this tensor."""
        return operations["argsort"](self, axis=axis)

    def cumprod(self, axis: Any = None) -> Any:
        """`limpid.cumprod` of this tensor."""
        return operations["cumprod"](self, axis=axis)

    def round(self, decimals: int = 0) -> Any:
        """`limpid.round` of this tensor."""
        return operations["round"](self, decimals)

    def dot(self, other: Any) -> Any:
        """`limpid.dot` with this tensor on the left."""
        return operations["dot"](self, other)

    def take(self, indices: Any, axis: Any = None) -> Any:
        """`limpid.take` of this tensor."""
        return operations["take"](self, indices, axis=axis)

    def repeat(self, repeats: Any, axis: Any = None) -> Any:
        """`limpid.repeat` of this tensor."""
        return operations["repeat"](self, repeats, axis=axis)

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        """`limpid.swapaxes` of this tensor."""
        return operations["swapaxes"](self, axis1, axis2)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        """`limpid.diagonal` of this tensor."""
        return operations["diagonal"](self, offset, axis1, axis2)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        """`limpid.trace` of this tensor."""
        return operations["trace"](self, offset, axis1, axis2)

    def copy(self) -> Any:
        """The same value under a new name: writing to one leaves the other as it was."""
        return operations["copy"](self)

    def squeeze(self, axis: Any = None) -> Any:
        """`limpid.squeeze` of this tensor."""
        return operations["squeeze"](self, axis=axis)

    def astype(self, dtype: Any) -> Any:
        """`limpid.astype` of this tensor."""
        return operations["astype"](self, dtype)

    def clip(self, min: Any = None, max: Any = None) -> Any:
        """`limpid.clip` of this tensor."""
        return operations["clip"](self, min, max)

    def reshape(self, *shape: Any) -> Any:
        """`limpid.reshape`; the shape as one tuple or as several integers."""
        return operations["reshape"](self, shape[0] if _one_tuple(shape) else shape)

    def transpose(self, *axes: Any) -> Any:
        """`limpid.permute_dims`; without axes they are reversed."""
        order = axes[0] if _one_tuple(axes) else axes
        return operations["permute_dims"](self, order or None)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Any:
        """The axes from one to another made one; by default all of them."""
        return operations["flatten"](self, start_dim, end_dim)

    def ravel(self) -> Any:
        """All elements along one axis."""
        return operations["reshape"](self, (-1,))


def _one_tuple(arguments: tuple[Any, ...]) -> bool:
    return len(arguments) == 1 and (arguments[0] is None or isinstance(arguments[0], tuple | list))
