"""Sums over axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.differentiation.declaration import linear
from limpid.differentiation.relation import reduction_relation
from limpid.graph.dtype import bool_, int64, result_type
from limpid.graph.node import Spec
from limpid.graph.registry import operation
from limpid.ops.axes import normal_axes
from limpid.ops.layout import broadcast_to, reshape
from limpid.tensor import Tensor, to_array

Axes = tuple[int, ...]


def reduced_shape(shape: tuple[int, ...], axis: Axes, keepdims: bool) -> tuple[int, ...]:
    """The shape with the given axes gone, or of extent 1."""
    return tuple(
        1 if i in axis else extent
        for i, extent in enumerate(shape)
        if keepdims or i not in axis
    )


def expand_reduced(g: Any, x: Any, axis: Axes, keepdims: bool) -> Any:
    """Undo a reduction's shape: g repeated along the axes that were reduced away from x."""
    if not keepdims:
        g = reshape(g, reduced_shape(x.shape, axis, True))
    return broadcast_to(g, x.shape)


_sum = linear(
    "sum",
    lambda x, *, axis, keepdims: np.sum(x, axis=axis, keepdims=keepdims),
    transpose=lambda g, x, *, axis, keepdims: expand_reduced(g, x, axis, keepdims),
    shape=lambda x, *, axis, keepdims: Spec(
        reduced_shape(x.shape, axis, keepdims),
        result_type([x.dtype, int64]) if x.dtype is bool_ else x.dtype,
    ),
    relation=lambda x, *, axis, keepdims: reduction_relation(x.ndim, axis, keepdims),
    math=r"\sum {x}",
)


@operation
def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:  # NumPy's name
    """Sum over some axes, or over all.

    >>> import limpid
    >>> limpid.sum(limpid.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    tensor([4., 6.])
    """
    x = x if isinstance(x, Tensor) else to_array(x)
    return _sum(x, axis=normal_axes(axis, len(x.shape)), keepdims=bool(keepdims))
