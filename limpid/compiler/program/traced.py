"""Arrays without values, for forwards to run on: what is done to them is noted as values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from limpid.compiler.program import construction as make
from limpid.compiler.program.construction import Untraceable
from limpid.compiler.program.indexing import added, item, replaced
from limpid.compiler.program.values import Shape, Value
from limpid.graph.dtype import dtype_of
from limpid.graph.node import Spec
from limpid.ops.contract import matmul

MATMUL: Any = matmul

REDUCTIONS = ("add", "maximum", "minimum", "multiply", "logical_and", "logical_or")
ACCUMULATIONS = ("add", "multiply", "maximum", "minimum", "logaddexp", "logical_and", "logical_or")
FUNCTIONS: dict[Any, Callable[..., Any]] = {}  # NumPy's functions: `functions.py` puts them here


SHORT_POWERS: dict[float, Callable[[Any], Any]] = {
    0.5: np.sqrt,
    1: np.positive,
    2: np.square,
    3: lambda x: x * x * x,
    4: lambda x: np.square(np.square(x)),
}


class Traced(NDArrayOperatorsMixin):
    """Stands for an array in a forward."""

    __array_priority__ = 1000

    def __init__(self, value: Value):
        self.value = value
        self.shared = False  # whether views of it are about, or it is one: it can't be written to

    def seen_as(self, made: Value) -> Traced:
        """Another array on the same memory."""
        self.shared = True
        found = Traced(made)
        found.shared = True
        return found

    # What an array has

    @property
    def shape(self) -> Shape:
        """As of an array."""
        return self.value.shape

    @property
    def dtype(self) -> Any:
        """As of an array."""
        return self.value.dtype

    @property
    def ndim(self) -> int:
        """As of an array."""
        return len(self.value.shape)

    @property
    def size(self) -> int:
        """As of an array."""
        return self.value.size

    @property
    def itemsize(self) -> int:
        """As of an array."""
        return int(self.value.dtype.itemsize)

    @property
    def T(self) -> Traced:
        """As of an array."""
        return self.transpose()

    @property
    def mT(self) -> Traced:
        """As of an array."""
        return self.swapaxes(-1, -2)

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Any:
        return (self[n] for n in range(len(self)))

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise Untraceable("an array of values is needed")

    def __bool__(self) -> bool:
        raise Untraceable("a truth is needed")

    __float__ = __int__ = __index__ = __bool__

    def __getattr__(self, name: str) -> Any:
        raise Untraceable(f"no {name}")

    # Protocols of NumPy

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "reduce":
            return reduced(ufunc, *inputs, **kwargs)
        if method == "accumulate":
            return accumulated(ufunc, *inputs, **kwargs)
        if method == "at":
            return add_at(ufunc, *inputs)
        if ufunc is np.matmul and method == "__call__" and not kwargs:
            return _multiplied(*inputs)
        if method != "__call__" or ufunc.nout != 1 or ufunc.signature is not None:
            raise Untraceable(f"{ufunc.__name__}.{method}")
        out = kwargs.pop("out", None)
        if kwargs or (out is not None and not isinstance(out[0], Traced)):
            raise Untraceable(f"{ufunc.__name__} with {list(kwargs)}")
        *types, made_type = _loop_types(ufunc, inputs)
        made = mapped(ufunc.__name__, inputs, types, made_type)
        if out is None:
            return made
        if made.shape != out[0].shape or out[0].shared:
            raise Untraceable("out= of another shape, or of a view")
        out[0].value = make.cast(made.value, out[0].dtype)  # seen by whoever holds the array
        return out[0]

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        known = FUNCTIONS.get(function)
        if known is None:
            raise Untraceable(function.__name__)
        return known(*args, **kwargs)

    def __pow__(self, exponent: Any) -> Any:
        """Without a logarithm where the exponent is a small whole number or ½, as far as floats go.

        NumPy does so for 2, −1 and ½.
        """
        if self.dtype.kind != "f" or type(exponent) not in (int, float):
            return np.power(self, exponent)
        if exponent < 0 and -exponent in SHORT_POWERS:
            return 1 / SHORT_POWERS[-exponent](self)
        short = SHORT_POWERS.get(exponent)
        return np.power(self, exponent) if short is None else short(self)

    # Methods of an array

    def astype(self, dtype: Any, copy: bool = True) -> Traced:
        """As of an array."""
        dtype = np.dtype(dtype)
        return self if self.dtype == dtype and not copy else Traced(make.cast(self.value, dtype))

    def view(self, dtype: Any) -> Traced:
        """The same bits as another type of the same size."""
        dtype = np.dtype(dtype)
        if dtype.itemsize != self.itemsize:
            raise Untraceable("a view of another size")
        return self.seen_as(make.mapped("view", [self.value], dtype))

    def reshape(self, *shape: Any) -> Traced:
        """As of an array."""
        given = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
        known = 1
        for extent in given:
            known *= extent if extent != -1 else 1
        full = tuple(self.size // known if extent == -1 else int(extent) for extent in given)
        if np.prod(full, dtype=object) != self.size:
            raise Untraceable(f"{self.shape} as {full}")
        return self.seen_as(make.reshaped(self.value, full))

    def transpose(self, *axes: Any) -> Traced:
        """As of an array."""
        given = axes[0] if len(axes) == 1 and isinstance(axes[0], tuple | list) else axes
        order = [axis % self.ndim for axis in given] or [*reversed(range(self.ndim))]
        return self.seen_as(make.permuted(self.value, order))

    def swapaxes(self, axis1: int, axis2: int) -> Traced:
        """As of an array."""
        order = list(range(self.ndim))
        order[axis1], order[axis2] = order[axis2], order[axis1]
        return self.transpose(order)

    def squeeze(self, axis: Any = None) -> Traced:
        """As of an array."""
        axes = range(self.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        gone = {n % self.ndim for n in axes if self.shape[n] == 1}
        return self.reshape(tuple(n for i, n in enumerate(self.shape) if i not in gone))

    def sum(self, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Traced:
        """As of an array."""
        return reduced(np.add, self, axis=axis, dtype=dtype, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Traced:
        """As of an array."""
        return reduced(np.maximum, self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Traced:
        """As of an array."""
        return reduced(np.minimum, self, axis=axis, keepdims=keepdims)

    def all(self, axis: Any = None, keepdims: bool = False) -> Traced:
        """As of an array."""
        return reduced(np.logical_and, self, axis=axis, keepdims=keepdims)

    def any(self, axis: Any = None, keepdims: bool = False) -> Traced:
        """As of an array."""
        return reduced(np.logical_or, self, axis=axis, keepdims=keepdims)

    def take(self, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Traced:
        """As of an array."""
        taken: Traced = FUNCTIONS[np.take](self, indices, axis, out, mode)
        return taken

    def copy(self, order: str = "C") -> Traced:
        """As of an array."""
        return Traced(self.value)

    def __getitem__(self, key: Any) -> Traced:
        made = item(self.value, plain_key(key))
        parts = key if isinstance(key, tuple) else (key,)
        if any(isinstance(part, Traced | np.ndarray) for part in parts):
            return Traced(made)
        return self.seen_as(made)

    def __setitem__(self, key: Any, value: Any) -> None:
        if self.shared:
            raise Untraceable("a view is written to, or what has views")
        self.value = replaced(self.value, plain_key(key), value_of(value))


def plain_key(key: Any) -> Any:
    """A key with values for arrays."""
    parts = key if isinstance(key, tuple) else (key,)
    return tuple(value_of(p) if isinstance(p, Traced | np.ndarray) else p for p in parts)


def value_of(x: Any) -> Value:
    """What an array, a number or a traced array is as a value."""
    return x.value if isinstance(x, Traced) else make.constant(x)


def mapped(
    function: str, inputs: Sequence[Any], types: Sequence[Any], made: np.dtype[Any]
) -> Traced:
    """A function of elements of operands that broadcast, each in the type it is taken in."""
    values = [_in_type(x, dtype) for x, dtype in zip(inputs, types, strict=True)]
    return Traced(make.mapped(function, values, made))


def _in_type(x: Any, dtype: np.dtype[Any]) -> Value:
    if type(x) is int and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if not limits.min <= x <= limits.max:
            raise Untraceable(f"{x} beside {dtype.name}")
    return make.cast(value_of(x), dtype)


def _loop_types(ufunc: np.ufunc, inputs: Sequence[Any]) -> tuple[np.dtype[Any], ...]:
    """The types of operands and result, Python's numbers weak as NumPy has them."""
    given = [type(x) if type(x) in (int, float, bool) else np.dtype(x.dtype) for x in inputs]
    try:
        return ufunc.resolve_dtypes((*given, None))
    except (TypeError, AttributeError) as error:
        raise Untraceable(f"{ufunc.__name__} of {given}") from error


def _multiplied(a: Any, b: Any) -> Traced:
    """A product of matrices, as the contraction that `matmul` is."""
    if a.ndim == b.ndim == 1 and a.shape == b.shape:
        return reduced(np.add, a * b)
    operands = [value_of(x) for x in (a, b)]
    dtype = np.result_type(operands[0].dtype, operands[1].dtype)
    specs = [Spec(x.shape, dtype_of(x.dtype)) for x in operands]
    (contraction,) = MATMUL.lower(*specs)
    shape = MATMUL.shape(*specs).shape
    params = {"parts": (contraction,)}
    return Traced(Value("contract", shape, dtype, tuple(operands), params))


def axes_of(x: Traced, axis: Any) -> tuple[int, ...]:
    """Axes counted from the front."""
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return tuple(sorted(n % x.ndim for n in axes))


def reduced(
    ufunc: np.ufunc,
    x: Any,
    axis: Any = 0,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    **options: Any,
) -> Traced:
    """`ufunc.reduce`."""
    name = ufunc.__name__
    if name not in REDUCTIONS or out not in (None, (None,)) or not isinstance(x, Traced):
        raise Untraceable(f"{name}.reduce")
    if any(v is not np._NoValue for v in options.values()):
        raise Untraceable(f"{name}.reduce with {list(options)}")
    if dtype is None:
        dtype = getattr(np, name).reduce(np.empty(1, x.dtype)).dtype
    axes = axes_of(x, axis)
    made = Traced(make.reduced(name, make.cast(x.value, dtype), axes, dtype))
    return kept(made, x, axes) if keepdims else made


def kept(y: Traced, x: Traced, axes: tuple[int, ...]) -> Traced:
    """A reduction of x whose axes stay, with extent 1."""
    shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    return Traced(make.reshaped(y.value, shape))


def accumulated(ufunc: np.ufunc, x: Any, axis: int = 0, dtype: Any = None) -> Traced:
    """`ufunc.accumulate`."""
    name = ufunc.__name__
    if name not in ACCUMULATIONS or not isinstance(x, Traced):
        raise Untraceable(f"{name}.accumulate")
    if dtype is None:
        dtype = getattr(np, name).accumulate(np.empty(1, x.dtype)).dtype
    return Traced(make.accumulated(name, [make.cast(x.value, dtype)], axis % x.ndim))


def add_at(ufunc: np.ufunc, x: Any, key: Any, g: Any = None) -> None:
    """`np.add.at`."""
    if ufunc is not np.add or not isinstance(x, Traced) or x.shared:
        raise Untraceable(f"{ufunc.__name__}.at")
    x.value = added(x.value, plain_key(key), value_of(g))
