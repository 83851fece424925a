"""Indexing: what is gathered forward is scatter-added backward, and the reverse.

An index is a constant: static parts (slices, None, Ellipsis, integers) are a param, arrays of
indices or booleans are operands.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.differentiation.declaration import linear
from limpid.errors import ArgumentError, CutError
from limpid.graph.node import Spec
from limpid.graph.registry import operation
from limpid.tensor import Tensor, to_array

HOLE = "array"  # in a static key: the place of the next array operand


def _key(static: tuple[Any, ...], arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    """NumPy's key from its static part and the arrays in its holes."""
    rest = iter(arrays)
    return tuple(
        next(rest) if part == HOLE else slice(*part) if isinstance(part, tuple) else part
        for part in static
    )


def _split(key: Any, rank: int) -> tuple[tuple[Any, ...], list[Any]]:
    """A hashable static key with holes, and the arrays for the holes."""
    parts = key if isinstance(key, tuple) else (key,)
    static: list[Any] = []
    arrays: list[Any] = []
    for part in parts:
        if part is None or part is Ellipsis:
            static.append(part)
        elif isinstance(part, slice):
            static.append(tuple(map(_bound, (part.start, part.stop, part.step))))
        elif isinstance(part, int | np.integer) and not isinstance(part, bool):
            static.append(int(part))
        else:
            static.append(HOLE)
            arrays.append(_index_array(part))
    return tuple(static), arrays


def _bound(bound: Any) -> int | None:
    return None if bound is None else bound.__index__()


def _index_array(part: Any) -> Any:
    array = part if isinstance(part, Tensor) else to_array(part)
    if array.size == 0 and not isinstance(part, np.ndarray | Tensor):
        return np.zeros(array.shape, np.intp)  # an empty list
    kind = array.dtype.kind
    if kind not in ("int", "bool", "i", "u", "b"):
        raise ArgumentError(f"indices must be integers or booleans, not {array.dtype}")
    return array


def _indexed_shape(x: Spec, *arrays: Spec, key: tuple[Any, ...]) -> Spec:
    if any(a.dtype.kind == "bool" for a in arrays):
        raise CutError(
            "a boolean index gives a shape that depends on values, so it can't be recorded; "
            "use limpid.where"
        )
    empty = np.broadcast_to(np.zeros((), np.int8), x.shape)
    return Spec(empty[_key(key, tuple(np.zeros(a.shape, np.intp) for a in arrays))].shape, x.dtype)


_get_item = linear(
    "get_item",
    lambda x, *arrays, key: x[_key(key, arrays)],
    transpose=[lambda g, x, *arrays, key: _add_at(g, *arrays, key=key, shape=x.shape), None],
    shape=_indexed_shape,
    math="{x}[i]",
)


def _scatter(g: Any, *arrays: Any, key: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, g.dtype)
    where = _key(key, arrays)
    if any(part == HOLE for part in key):
        np.add.at(out, where, g)
    else:
        out[where] = g  # slices and integers name each element once
    return out


_add_at = linear(
    "add_at",
    _scatter,
    transpose=[lambda g, x, *arrays, key, shape: _get_item(g, *arrays, key=key), None],
    shape=lambda g, *arrays, key, shape: Spec(shape, g.dtype),
    math=r"\mathrm{scatter}({g})",
)


def _replaced(x: Any, value: Any, *arrays: Any, key: tuple[Any, ...]) -> Any:
    out = x.copy()
    out[_key(key, arrays)] = value
    return out


_set_item = linear(
    "set_item",
    _replaced,
    transpose=[
        lambda g, x, value, *arrays, key: _set_item(g, 0, *arrays, key=key),
        lambda g, x, value, *arrays, key: _get_item(g, *arrays, key=key),
        None,
    ],
    shape=lambda x, value, *arrays, key: x,
    math="{x}[i] := {value}",
)


@operation
def get_item(x: Any, key: Any) -> Any:
    """`x[key]` with NumPy's basic and advanced indexing."""
    static, arrays = _split(key, len(x.shape))
    return _get_item(x, *arrays, key=static)


@operation
def set_item(x: Any, key: Any, value: Any) -> Any:
    """`x` with `x[key]` replaced by `value`; `x` itself stays as it was."""
    static, arrays = _split(key, len(x.shape))
    return _set_item(x, value, *arrays, key=static)
