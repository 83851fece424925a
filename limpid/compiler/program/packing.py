"""Copies into the order in which contractions read their operands, as values of their own.

So that packing a weight is a nest like others, and what is packed twice is one value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from limpid.compiler.contraction.lanes import Choice, Order, choose
from limpid.compiler.contraction.product import TYPES
from limpid.compiler.machine.target import Target
from limpid.compiler.program.values import Value, copied, rebuilt
from limpid.compiler.program.views import locate
from limpid.ops.windows.contraction import Contraction
from limpid.ops.windows.region import Layout


def packed_ends(ends: Sequence[Value], target: Target) -> list[Value]:
    """The same values, where contractions find their operands as the kernel wants them."""
    copies: dict[tuple[Value, Order], Value] = {}
    return rebuilt(ends, lambda v: _packed(v, target, copies) if v.kind == "contract" else v)


def choice_of(value: Value, target: Target) -> tuple[Choice, tuple[Layout, ...]] | None:
    """How the kernel takes a contraction, and the layouts of A, B and C; None if it does not."""
    if value.dtype.name not in TYPES or any(x.dtype != value.dtype for x in value.operands):
        return None
    if not all(x.size for x in (*value.operands, value)):
        return None
    layouts = [layout(x) for x in (*value.operands, value)]
    first: Contraction = value.params["parts"][0]
    choice = choose(first, layouts, target.lanes(value.dtype), target.rows)
    return None if choice is None else (choice, choice.layouts(first, layouts))


def layout(x: Value) -> Layout:
    """Strides in bytes."""
    size = x.dtype.itemsize
    return tuple(n * size for n in locate(x).strides), size


def _packed(value: Value, target: Target, copies: dict[tuple[Value, Order], Value]) -> Value:
    found = choice_of(value, target)
    if found is None:
        return value
    choice, _ = found
    operands = list(value.operands)
    if choice.order is not None:
        side = 0 if choice.swapped else 1
        key = operands[side], choice.order
        if key not in copies:
            copies[key] = _reordered(copied(_permuted(*key)), choice.order)
        operands[side] = copies[key]
    if choice.out is None:
        return replace(value, operands=tuple(operands))
    parts = tuple(
        replace(part, output=tuple(part.output[axis] for axis in choice.out))
        for part in value.params["parts"]
    )
    shape = tuple(value.shape[axis] for axis in choice.out)
    product = replace(value, shape=shape, operands=tuple(operands), params={"parts": parts})
    return _reordered(product, choice.out)


def _permuted(x: Value, axes: Order) -> Value:
    shape = tuple(x.shape[axis] for axis in axes)
    return Value("permute", shape, x.dtype, (x,), {"axes": tuple(axes)})


def _reordered(x: Value, order: Order) -> Value:
    """The view of a copy that has the axes as they were."""
    return _permuted(x, tuple(int(n) for n in np.argsort(order)))
