"""The linear layer: one box, whose adjoints are matrix products."""

from __future__ import annotations

from math import prod
from typing import Any

from limpid.differentiation.apply import apply, reads_of
from limpid.differentiation.declaration import general
from limpid.differentiation.kinds import Local
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation
from limpid.errors import ShapeError
from limpid.graph.context import context
from limpid.graph.dtype import dtype_of, result_type
from limpid.graph.node import NO_PARAMS, Node, Spec
from limpid.graph.source import capture
from limpid.tensor import Tensor

THREE = (0, 0, 0)  # Node.indices of three operands that are first outputs


def _rows(x: Any) -> Any:
    """All axes but the last as one: (…, n) → (m, n)."""
    return x if x.ndim == 2 else x.reshape((prod(x.shape[:-1]), x.shape[-1]))


def _forward(x: Any, weight: Any, bias: Any) -> Any:
    _check(x, weight, bias)
    y = _rows(x) @ weight.T  # (m, in) · (in, out)
    y += bias
    return y if x.ndim == 2 else y.reshape((*x.shape[:-1], weight.shape[0]))


def _check(x: Any, weight: Any, bias: Any) -> None:
    if not x.ndim or weight.ndim != 2 or x.shape[-1] != weight.shape[1]:
        raise ShapeError(
            f"the weight has shape (out, in) = {weight.shape}, so the input must end in "
            f"{weight.shape[-1] if weight.ndim else 'in'}, but its shape is {x.shape}"
        )
    if bias.shape != weight.shape[:1]:
        raise ShapeError(f"the bias must have shape {weight.shape[:1]}, not {bias.shape}")


def _shape(x: Spec, weight: Spec, bias: Spec) -> Spec:
    _check(x, weight, bias)
    return Spec((*x.shape[:-1], weight.shape[0]), result_type([x.dtype, weight.dtype, bias.dtype]))


def _relation(x: Spec, weight: Spec, bias: Spec) -> Relation:
    rows = tuple(range(x.ndim - 1))
    return Relation(((*rows, "in"), ("out", "in"), ("out",)), ((*rows, "out"),))


class Affine(Primitive):
    """Three tensors of one float type: for this frequent case the node is made at once.

    It is the same node that `apply` makes; whatever is different is left to `apply`.
    """

    def __call__(self, x: Any, weight: Any, bias: Any) -> Any:
        state = context.state
        if state.recorder is not None or not state.grad_enabled:
            return apply(self, (x, weight, bias), NO_PARAMS)
        nodes: list[Any] = []
        values: list[Any] = []
        needed, bit = 0, 1
        for operand in (x, weight, bias):
            node, value = getattr(operand, "node", None), getattr(operand, "_value", None)
            if value is None or operand.index or value.dtype.kind != "f":
                return apply(self, (x, weight, bias), NO_PARAMS)
            if node is not None and node.requires_grad:
                needed |= bit
            nodes.append(value if node is None else node)
            values.append(value)
            bit += bit
        u, v, w = values
        if not needed or u.dtype is not v.dtype or v.dtype is not w.dtype:
            return apply(self, (x, weight, bias), NO_PARAMS)
        try:
            y = self.forward(u, v, w)
        except ShapeError:
            return apply(self, (x, weight, bias), NO_PARAMS)  # names the operands and the line
        read = self.reads_cache.get(needed) or reads_of(self, values, NO_PARAMS, needed)
        saved = [None]
        for node, value, is_read in zip(nodes, values, read[1:]):
            saved.append(value if is_read or type(node) is not Node else None)
        source = state.origin_source or capture(2)
        specs = (Spec(y.shape, dtype_of(y.dtype)),)
        return Tensor(
            Node(
                self,
                tuple(nodes),
                THREE,
                NO_PARAMS,
                specs,
                state.scope,
                state.origin,
                source,
                True,
                tuple(saved),
            ),
            0,
            y,
        )


linear: Primitive = general(
    "linear",
    _forward,
    vjp=[
        lambda g, y, x, weight, bias: g @ weight,  # (…, out) · (out, in)
        lambda g, y, x, weight, bias: _rows(g).mT @ _rows(x),  # (out, m) · (m, in)
        Local(1),
    ],
    jvp=[
        lambda dx, y, x, weight, bias: dx @ weight.mT,
        lambda dweight, y, x, weight, bias: x @ dweight.mT,
        None,
    ],
    shape=_shape,
    relation=_relation,
    math="{x} {weight}^T + {bias}",
    form=Affine,
)
linear.rank_free = True  # its rules read the same whatever the ranks
