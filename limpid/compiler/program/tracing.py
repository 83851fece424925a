"""What a primitive's forward does, found by running it once on arrays that have no values.

So the NumPy code of a declaration is also the source of its native code: nothing is written twice.
A forward that looks at values, writes into arrays or calls what is not known here can't be traced;
its primitive is called as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from limpid.compiler.program.values import Shape, Value
from limpid.graph.dtype import dtype_of
from limpid.graph.node import Spec
from limpid.ops.contract import matmul

MATMUL: Any = matmul

PARTS = (int, np.integer, slice, type(None), type(...))  # of an index that moves elements only
REDUCTIONS = ("add", "maximum", "minimum", "multiply", "logical_and", "logical_or")


class Untraceable(Exception):  # noqa: N818  # no error: the primitive is called instead
    """A forward does what can't be traced."""


class Traced(NDArrayOperatorsMixin):
    """Stands for an array in a forward."""

    __array_priority__ = 1000

    def __init__(self, value: Value):
        self.value = value
        self.shared = False  # whether views of it are about, or it is one: it can't be written to

    def view(self, made: Value) -> Traced:
        """Another array on the same memory."""
        self.shared = True
        found = Traced(made)
        found.shared = True
        return found

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
    def T(self) -> Traced:
        """As of an array."""
        return permuted(self, tuple(reversed(range(self.ndim))))

    @property
    def mT(self) -> Traced:
        """As of an array."""
        axes = list(range(self.ndim))
        return permuted(self, (*axes[:-2], axes[-1], axes[-2]))

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise Untraceable("an array of values is needed")

    def __bool__(self) -> bool:
        raise Untraceable("a truth is needed")

    __float__ = __int__ = __index__ = __iter__ = __bool__

    def __setitem__(self, key: Any, value: Any) -> None:
        raise Untraceable("an array is written to")

    def __getattr__(self, name: str) -> Any:
        raise Untraceable(f"no {name}")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "reduce":
            return _reduced(ufunc, *inputs, **kwargs)
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
        out[0].value = cast(made, out[0].dtype).value  # seen by whoever holds the array
        return out[0]

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        known = FUNCTIONS.get(function)
        if known is None:
            raise Untraceable(function.__name__)
        return known(*args, **kwargs)

    def astype(self, dtype: Any, copy: bool = True) -> Traced:
        """As of an array."""
        return cast(self, np.dtype(dtype))

    def reshape(self, *shape: Any) -> Traced:
        """As of an array."""
        given = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
        return reshaped(self, tuple(given))

    def transpose(self, *axes: Any) -> Traced:
        """As of an array."""
        given = axes[0] if len(axes) == 1 and isinstance(axes[0], tuple | list) else axes
        return permuted(self, tuple(given) or tuple(reversed(range(self.ndim))))

    def sum(self, axis: Any = None, keepdims: bool = False) -> Traced:
        """As of an array."""
        return _reduced(np.add, self, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Traced:
        """As of an array."""
        return _reduced(np.maximum, self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Traced:
        """As of an array."""
        return _reduced(np.minimum, self, axis=axis, keepdims=keepdims)

    def copy(self) -> Traced:
        """As of an array."""
        return Traced(self.value)

    def __getitem__(self, key: Any) -> Traced:
        return _sliced(self, key)


def trace(
    forward: Callable[..., Any], operands: Sequence[Value | Any], params: Mapping[str, Any]
) -> tuple[Value, ...]:
    """The outputs of a forward; raises Untraceable."""
    given = [Traced(x) if isinstance(x, Value) else x for x in operands]
    try:
        made = forward(*given, **params)
    except Untraceable:
        raise
    except Exception as error:  # a forward may do anything; eager tells the user what is wrong
        raise Untraceable(str(error)) from error
    found = made if isinstance(made, tuple) else (made,)
    return tuple(_value(x) for x in found)


def _value(x: Any) -> Value:
    """What an array, a number or a traced array is as a value."""
    if isinstance(x, Traced):
        return x.value
    array = np.asarray(x)
    return Value("constant", array.shape, array.dtype, params={"array": array})


def mapped(
    function: str, inputs: Sequence[Any], types: Sequence[Any], made: np.dtype[Any]
) -> Traced:
    """A function of elements of operands that broadcast, each in the type it is taken in."""
    values = [_typed(x, dtype) for x, dtype in zip(inputs, types, strict=True)]
    shape = np.broadcast_shapes(*(x.shape for x in values))
    return Traced(Value("map", shape, made, tuple(values), {"function": function}))


def _typed(x: Any, dtype: Any) -> Value:
    if isinstance(x, Traced):
        return cast(x, dtype).value
    return _value(np.asarray(x).astype(dtype))


def cast(x: Traced, dtype: np.dtype[Any]) -> Traced:
    """Elements of another type."""
    if x.dtype == dtype:
        return x
    return Traced(Value("map", x.shape, np.dtype(dtype), (x.value,), {"function": "cast"}))


def reshaped(x: Traced, shape: Shape) -> Traced:
    """The same elements in another shape, of which one extent may be −1."""
    known = 1
    for extent in shape:
        known *= extent if extent != -1 else 1
    full = tuple(x.size // known if extent == -1 else int(extent) for extent in shape)
    return x if full == x.shape else x.view(Value("reshape", full, x.dtype, (x.value,)))


def permuted(x: Traced, axes: tuple[int, ...]) -> Traced:
    """Axes in another order."""
    axes = tuple(axis % x.ndim for axis in axes)
    shape = tuple(x.shape[axis] for axis in axes)
    return x.view(Value("permute", shape, x.dtype, (x.value,), {"axes": axes}))


def _loop_types(ufunc: np.ufunc, inputs: Sequence[Any]) -> tuple[np.dtype[Any], ...]:
    """The types of operands and result, Python's numbers weak as NumPy has them."""
    given = [type(x) if type(x) in (int, float, bool) else np.dtype(x.dtype) for x in inputs]
    try:
        return ufunc.resolve_dtypes((*given, None))
    except (TypeError, AttributeError) as error:
        raise Untraceable(f"{ufunc.__name__} of {given}") from error


def _multiplied(a: Any, b: Any) -> Traced:
    """A product of matrices, as the contraction that `matmul` is."""
    operands = [_value(x) for x in (a, b)]
    dtype = np.result_type(operands[0].dtype, operands[1].dtype)
    specs = [Spec(x.shape, dtype_of(x.dtype)) for x in operands]
    (contraction,) = MATMUL.lower(*specs)
    shape = MATMUL.shape(*specs).shape
    params = {"parts": (contraction,)}
    return Traced(Value("contract", shape, dtype, tuple(operands), params))


def _reduced(
    ufunc: np.ufunc,
    x: Any,
    axis: Any = 0,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    **options: Any,
) -> Traced:
    name = ufunc.__name__
    if name not in REDUCTIONS or out not in (None, (None,)) or not isinstance(x, Traced):
        raise Untraceable(f"{name}.reduce")
    if any(v is not np._NoValue for v in options.values()):
        raise Untraceable(f"{name}.reduce with {list(options)}")
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(sorted(n % x.ndim for n in axes))
    kind = np.dtype(dtype) if dtype is not None else _reduced_type(name, x.dtype)
    kept = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    full = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    made = Value("reduce", kept, kind, (cast(x, kind).value,), {"function": name, "axes": axes})
    return reshaped(Traced(made), full) if keepdims else Traced(made)


def _reduced_type(name: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    return getattr(np, name).reduce(np.empty(1, dtype)).dtype


def _sliced(x: Traced, key: Any) -> Traced:
    """Integers, slices, an ellipsis and new axes."""
    parts = key if isinstance(key, tuple) else (key,)
    if any(isinstance(p, bool) or not isinstance(p, PARTS) for p in parts):
        raise Untraceable("an index that is an array")
    full: list[Any] = []
    used = sum(p is not None and p is not ... for p in parts)
    for part in parts:
        full += [slice(None)] * (x.ndim - used) if part is ... else [part]
    full += [slice(None)] * (x.ndim - sum(p is not None for p in full))
    starts, stops, steps, shape, final = [], [], [], [], []
    axis = 0
    for part in full:
        if part is None:
            final.append(1)
            continue
        extent = x.shape[axis]
        axis += 1
        whole = slice(int(part), int(part) + 1 or None) if not isinstance(part, slice) else part
        start, stop, step = whole.indices(extent)
        count = len(range(start, stop, step))
        starts.append(start)
        stops.append(stop)
        steps.append(step)
        shape.append(count)
        if isinstance(part, slice):
            final.append(count)
    params = {"starts": tuple(starts), "stops": tuple(stops), "steps": tuple(steps)}
    made = x.view(Value("slice", tuple(shape), x.dtype, (x.value,), params))
    return reshaped(made, tuple(final))


def _where(condition: Any, x: Any, y: Any) -> Traced:
    weak = [v if type(v) in (int, float, bool) else v.dtype for v in (x, y)]
    made = np.result_type(*weak)
    return mapped("where", [condition, x, y], [np.dtype(bool), made, made], made)


def _broadcast(x: Traced, shape: Any, subok: bool = False) -> Traced:
    full = tuple(shape) if isinstance(shape, tuple | list) else (int(shape),)
    return x if full == x.shape else x.view(Value("broadcast", full, x.dtype, (x.value,)))


def _expanded(x: Traced, axis: Any) -> Traced:
    axes = axis if isinstance(axis, tuple) else (axis,)
    rank = x.ndim + len(axes)
    places = {n % rank for n in axes}
    rest = iter(x.shape)
    return reshaped(x, tuple(1 if n in places else next(rest) for n in range(rank)))


def _squeezed(x: Traced, axis: Any = None) -> Traced:
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    gone = {n % x.ndim for n in axes if x.shape[n] == 1}
    return reshaped(x, tuple(n for i, n in enumerate(x.shape) if i not in gone))


def _clipped(x: Any, low: Any = None, high: Any = None, **options: Any) -> Any:
    if options:
        raise Untraceable("clip with options")
    if low is not None:
        x = np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.where: _where,
    np.reshape: lambda x, shape, **o: x.reshape(shape),
    np.transpose: lambda x, axes=None: x.transpose(*(axes or ())),
    np.broadcast_to: _broadcast,
    np.expand_dims: _expanded,
    np.squeeze: _squeezed,
    np.clip: _clipped,
    np.sum: lambda x, axis=None, keepdims=False, **o: x.sum(axis, keepdims),
    np.max: lambda x, axis=None, keepdims=False, **o: x.max(axis, keepdims),
    np.min: lambda x, axis=None, keepdims=False, **o: x.min(axis, keepdims),
    np.shape: lambda x: x.shape,
    np.ndim: lambda x: x.ndim,
}
