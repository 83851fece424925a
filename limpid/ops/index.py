"""Indexing: what is read forward is added up backward, and the reverse.

An index is a constant: static parts (slices, None, Ellipsis, integers) are a param, arrays of
indices are operands. A mask becomes the positions where it is true.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from limpid.differentiation.declaration import general, linear
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation
from limpid.errors import DTypeError, ShapeError
from limpid.graph.dtype import bool_
from limpid.graph.node import Array, Spec
from limpid.graph.registry import operation
from limpid.ops.arithmetic import where
from limpid.ops.cast import astype
from limpid.ops.key import (
    FULL,
    HOLE,
    Layout,
    Shape,
    Static,
    block_labels,
    index_error,
    is_mask,
    key_layout,
    numpy_key,
    split_key,
    walk,
)
from limpid.ops.layout import broadcast_to, reshape
from limpid.ops.plain.functions import inside
from limpid.tensor import Tensor, operand, to_array

CHUNK = 1 << 18  # elements added at once, which bounds the memory that their places take


def _layout(x: Spec | Shape, key: Static, arrays: tuple[Any, ...]) -> Layout:
    return key_layout(x.shape if isinstance(x, Spec) else x, key, [a.shape for a in arrays])


def _labels(layout: Layout, rank: int) -> tuple[Any, ...]:
    """Labels of the axes of `x[key]`: those of the axes of x (of this rank), else new ones."""
    return tuple(rank + i if axis is None else axis for i, axis in enumerate(layout.axes))


def _read(x: Array, *arrays: Array, key: Static) -> Array:
    try:
        return x[numpy_key(key, arrays)]
    except IndexError:
        raise index_error(key, arrays, x.shape) from None


def _read_relation(x: Spec, *arrays: Spec, key: Static) -> Relation:
    layout = _layout(x, key, arrays)
    labels = _labels(layout, x.ndim)
    indices = [block_labels(a.shape, layout, labels) for a in arrays]
    return Relation((tuple(range(x.ndim)), *indices), (labels,), moved=layout.moved)


_get_item = linear(
    "get_item",
    _read,
    transpose=[lambda g, x, *arrays, key: add_at(g, arrays, key, x.shape), None],
    shape=lambda x, *arrays, key: Spec(_layout(x, key, arrays).shape, x.dtype),
    relation=_read_relation,
    numeric="any",
    math="{x}[i]",
    valid=lambda x, *arrays, key: _in_range(x.shape, key, arrays),
)


def _add(g: Array, *arrays: Array, key: Static, shape: Shape) -> Array:
    out = np.zeros(shape, g.dtype)
    if not arrays:
        out[numpy_key(key, ())] = g  # slices and integers name each element once
    elif g.size > 512 and key == (HOLE,) * len(arrays):
        _add_rows(out, arrays, g)
    else:
        np.add.at(out, numpy_key(key, arrays), g)
    return out


def _add_rows(out: Array, arrays: tuple[Array, ...], g: Array) -> None:
    """`out[arrays] += g` on flat memory, where NumPy adds several times faster, in chunks."""
    count = len(arrays)
    width = out[(0,) * count].size
    rows = np.ravel_multi_index(np.broadcast_arrays(*arrays), out.shape[:count], mode="wrap")
    rows, given = rows.reshape(-1, 1), g.reshape(-1, width)  # (n, 1), (n, width)
    step = max(CHUNK // max(width, 1), 1)
    for start in range(0, len(rows), step):
        places = rows[start : start + step] * width + np.arange(width)
        np.add.at(out.reshape(-1), places.reshape(-1), given[start : start + step].reshape(-1))


def _add_plainly(g: Array, *arrays: Array, key: Static, shape: Shape) -> Array:
    out = np.zeros_like(g, shape=shape)
    if arrays:
        np.add.at(out, numpy_key(key, arrays), g)
    else:
        out[numpy_key(key, ())] = g
    return out


def _in_range(shape: Shape, key: Static, arrays: tuple[Array, ...]) -> Any:
    """Whether all indices are within their axes."""
    rest = iter(arrays)
    found: Any = np.True_
    for part, axis in walk(key, len(shape)):
        if part == HOLE and axis is not None:
            found = found & inside(next(rest), shape[axis])
    return found


def _add_relation(g: Spec, *arrays: Spec, key: Static, shape: Shape) -> Relation:
    layout = _layout(shape, key, arrays)
    labels = _labels(layout, len(shape))
    indices = [block_labels(a.shape, layout, labels) for a in arrays]
    return Relation((labels, *indices), (tuple(range(len(shape))),), moved=layout.moved)


_add_at = linear(
    "add_at",
    _add,
    transpose=[lambda g, x, *arrays, key, shape: _get_item(g, *arrays, key=key), None],
    shape=lambda g, *arrays, key, shape: Spec(shape, g.dtype),
    relation=_add_relation,
    numeric="any",
    math=r"\mathrm{scatter}({g})",
    native=_add_plainly,
    valid=lambda g, *arrays, key, shape: _in_range(shape, key, arrays),
)


def add_at(g: Any, arrays: tuple[Any, ...], key: Static, shape: Shape) -> Any:
    """Zeros of this shape with g added at a key taken apart: the transpose of `get_item`."""
    return _add_at(g, *arrays, key=key, shape=shape)


def _replace(x: Array, value: Any, *arrays: Array, key: Static) -> Array:
    out = x.copy()
    try:
        out[numpy_key(key, arrays)] = value
    except IndexError:
        raise index_error(key, arrays, x.shape) from None
    return out


def _replaced(x: Spec, value: Any, *arrays: Spec, key: Static) -> Spec:
    into = _layout(x, key, arrays).shape
    given = value.shape if isinstance(value, Spec) else ()
    offset = len(into) - len(given)
    if offset < 0 or any(n not in (1, m) for n, m in zip(given, into[offset:], strict=True)):
        raise ShapeError(f"a value of shape {given} can't be assigned to items of shape {into}")
    return x


def _replace_relation(x: Spec, value: Spec, *arrays: Spec, key: Static) -> Relation:
    layout = _layout(x, key, arrays)
    labels = _labels(layout, x.ndim)
    own = range(100, 100 + value.ndim)
    offset = len(layout.axes) - value.ndim
    whole = [
        axis if axis is not None and axis not in layout.moved and extent == x.shape[axis] else label
        for axis, extent, label in zip(layout.axes[offset:], value.shape, own, strict=True)
    ]
    rank = tuple(range(x.ndim))
    indices = [block_labels(a.shape, layout, labels) for a in arrays]
    return Relation((rank, tuple(whole), *indices), (rank,), moved=frozenset(own))


def _for_value(g: Any, x: Any, value: Any, *arrays: Any, key: Static) -> Any:
    """What was read there, and 0 for values that a later one overwrote."""
    passed = _get_item(g, *arrays, key=key)
    return where(_is_last(*arrays, key=key, shape=x.shape), passed, 0) if arrays else passed


_set_item: Primitive = linear(
    "set_item",
    _replace,
    transpose=[
        lambda g, x, value, *arrays, key: _set_item(g, 0, *arrays, key=key),
        _for_value,
        None,
    ],
    shape=_replaced,
    relation=_replace_relation,
    numeric="any",
    math="{x}[i] := {value}",
    valid=lambda x, value, *arrays, key: _in_range(x.shape, key, arrays),
)


def _last(*arrays: Array, key: Static, shape: Shape) -> Array:
    owner = np.empty(shape, np.int64)
    items = owner[numpy_key(key, arrays)]
    numbers = np.arange(items.size).reshape(items.shape)
    owner[numpy_key(key, arrays)] = numbers
    return owner[numpy_key(key, arrays)] == numbers


def _plainly_last(*arrays: Array, key: Static, shape: Shape) -> Array:
    """The same for one index of the axes that are sliced, since all are alike."""
    sliced = {axis for part, axis in walk(key, len(shape)) if type(part) is tuple}
    thin = tuple([1 if axis in sliced else n for axis, n in enumerate(shape)])
    whole = tuple([FULL if type(part) is tuple else part for part in key])
    made = _layout(thin, whole, arrays).shape
    numbers = np.arange(prod(made)).reshape(made)
    owner = np.zeros_like(arrays[0], np.int64, shape=thin)
    owner[numpy_key(whole, arrays)] = numbers
    found = owner[numpy_key(whole, arrays)] == numbers
    return np.broadcast_to(found, _layout(shape, key, arrays).shape)


_is_last = general(
    "is_last",
    _last,
    vjp=[None],
    native=_plainly_last,
    valid=lambda *arrays, key, shape: _in_range(shape, key, arrays),
    shape=lambda *arrays, key, shape: Spec(_layout(shape, key, arrays).shape, bool_),
    numeric="any",
    math=r"\mathrm{last}({arrays})",
)


@operation
def get_item(x: Any, key: Any) -> Any:
    """`x[key]` with NumPy's basic and advanced indexing, and NumPy's meaning of each.

    Gradients of items that are read twice add up. Raises IndexingError for an index that is out
    of range or can't be one; AbstractError for a mask while a graph is recorded, since the shape
    of the result would depend on its values (`limpid.where` keeps the shape).

    >>> import limpid
    >>> x = limpid.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> limpid.sum(x[[0, 0, 2]]).backward(); x.grad
    tensor([2., 0., 1.])
    """
    if type(key) is int and isinstance(x, Tensor):
        return _get_item(x, key=(key,))
    x = operand(x)
    static, arrays = split_key(key, x.shape)
    return _get_item(x, *arrays, key=static)


@operation
def set_item(x: Any, key: Any, value: Any) -> Any:
    """`x` with `x[key]` replaced by `value`, which is broadcast; `x` itself stays as it was.

    Where an index occurs twice the last value stays, and only that one has a gradient. The result
    has the dtype of `x`. `t[key] = value` lets the name `t` stand for this.

    Raises IndexingError as `get_item` does, ShapeError if the value does not fit, DTypeError for
    floats into integers.

    >>> import limpid
    >>> limpid.set_item(limpid.tensor([1.0, 2.0, 3.0]), slice(1, None), 0)
    tensor([1., 0., 0.])
    """
    x = operand(x)
    value = value if isinstance(value, Tensor | int | float) else to_array(value)
    _check_kinds(x, value)
    if isinstance(key, Tensor) and is_mask(key) and not getattr(value, "shape", ()):
        return _fill(x, key, value)
    static, arrays = split_key(key, x.shape)
    if getattr(value, "shape", ())[:1] == (1,):
        value = _without_leading_ones(value, _rank(x, static, arrays))
    return _set_item(x, value, *arrays, key=static)


def _check_kinds(x: Any, value: Any) -> None:
    floats = value.dtype.kind in ("f", "float") if hasattr(value, "dtype") else type(value) is float
    if floats and x.dtype.kind not in ("f", "float"):
        raise DTypeError(
            f"floats can't be assigned to items of an array of {x.dtype}\n"
            "remedy: convert it first, limpid.astype(t, limpid.float32)"
        )


def _fill(x: Any, mask: Any, value: Any) -> Any:
    """One number at all places of a mask; its shape is known, so it can be recorded."""
    if mask.shape != x.shape[: mask.ndim]:
        raise ShapeError(f"a mask of shape {mask.shape} does not fit items of shape {x.shape}")
    wide = reshape(mask, (*mask.shape, *(1,) * (len(x.shape) - mask.ndim)))
    return astype(where(broadcast_to(wide, x.shape), value, x), x.dtype)


def _rank(x: Any, static: Static, arrays: list[Any]) -> int:
    return len(key_layout(x.shape, static, [a.shape for a in arrays]).shape)


def _without_leading_ones(value: Any, rank: int) -> Any:
    """NumPy lets (1, 3) be assigned to (3,)."""
    shape = value.shape
    while len(shape) > rank and shape[0] == 1:
        shape = shape[1:]
    return reshape(value, shape)
