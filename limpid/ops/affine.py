"""The linear layer: one box, whose adjoints are matrix products."""

from __future__ import annotations

from math import prod
from typing import Any

from limpid.differentiation.apply import apply, reads_of
from limpid.differentiation.declaration import general
from limpid.differentiation.kinds import Local
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation
from limpid.errors import DTypeError, ShapeError
from limpid.graph.context import context, link_cut
from limpid.graph.dtype import as_dtype, dtype_of, result_type
from limpid.graph.node import NO_PARAMS, Node, Spec
from limpid.graph.source import capture
from limpid.ops.contract import matmul
from limpid.ops.native import multiply
from limpid.ops.windows.contraction import lower_labelled
from limpid.tensor import Tensor

THREE = (0, 0, 0)  # Node.indices of three operands that are first outputs


def _rows(x: Any) -> Any:
    """All axes but the last as one: (…, n) → (m, n)."""
    return x if x.ndim == 2 else x.reshape((prod(x.shape[:-1]), x.shape[-1]))


def _forward(x: Any, weight: Any, bias: Any) -> Any:
    if x.ndim != 2 or x.shape[1:] != weight.shape[1:] or bias.shape != weight.shape[:1]:
        _check(x, weight, bias)
        return _forward(_rows(x), weight, bias).reshape((*x.shape[:-1], weight.shape[0]))
    y = multiply(x, weight.T)  # (m, in) · (in, out)
    y += bias
    return y


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


def check_type(x: Any, weight: Any) -> None:
    """Raise DTypeError if the input is of another float type than the parameters."""
    given, wanted = as_dtype(x.dtype), as_dtype(weight.dtype)
    if given is not wanted and given.kind == "float":
        raise DTypeError(
            f"the input is {given.name} but the parameters are {wanted.name}\n"
            f"remedy: limpid.astype(input, limpid.{wanted.name}), or make the layer with "
            f"dtype=limpid.{given.name}"
        )


def _is_trained(x: Any) -> bool:
    """Whether this is a leaf that has a value and requires a gradient."""
    if not isinstance(x, Tensor) or x._value is None or x.node is None:
        return False
    return x.node.requires_grad and not x.node.inputs


class Affine(Primitive):
    """Three tensors of one float type: for this frequent case the node is made at once.

    It is the same node that `apply` makes; whatever is different is left to `apply`.
    """

    def __call__(self, x: Any, weight: Any, bias: Any) -> Any:
        state = context.state
        if (
            state.recorder is None
            and state.grad_enabled
            and isinstance(x, Tensor)
            and not x.index
            and _is_trained(weight)
            and _is_trained(bias)
        ):
            u, v, w = x._value, weight._value, bias._value
            if u is not None and u.dtype is v.dtype is w.dtype:
                if x.cut is not None:
                    link_cut(u, x.cut)
                try:
                    return self._compute((x.node or u, weight.node, bias.node), (u, v, w), state)
                except ShapeError:
                    pass  # `apply` names the operands and the line
        check_type(x, weight)
        return apply(self, (x, weight, bias), NO_PARAMS)

    def _compute(self, nodes: tuple[Any, ...], values: tuple[Any, ...], state: Any) -> Tensor:
        u, v, w = values
        y = self.forward(u, v, w)
        a = nodes[0]
        needed = 7 if type(a) is Node and a.requires_grad else 6
        read = self.reads_cache.get(needed) or reads_of(self, values, NO_PARAMS, needed)
        saved = (
            None,
            u if read[1] or type(a) is not Node else None,
            v if read[2] else None,
            w if read[3] else None,
        )
        specs = (Spec(y.shape, dtype_of(y.dtype)),)
        source = state.origin_source or capture(3)
        scope, origin = state.scope, state.origin
        node = Node(self, nodes, THREE, NO_PARAMS, specs, scope, origin, source, True, saved)
        return Tensor(node, 0, y)


linear: Primitive = general(
    "linear",
    _forward,
    vjp=[
        lambda g, y, x, weight, bias: matmul(g, weight),  # (…, out) · (out, in)
        lambda g, y, x, weight, bias: matmul(_rows(g).mT, _rows(x)),  # (out, m) · (m, in)
        Local(1),
    ],
    jvp=[
        lambda dx, y, x, weight, bias: matmul(dx, weight.mT),
        lambda dweight, y, x, weight, bias: matmul(x, dweight.mT),
        None,
    ],
    shape=_shape,
    relation=_relation,
    lower=lower_labelled(_relation),
    math="{x} {weight}^T + {bias}",
    form=Affine,
)
linear.rank_free = True  # its rules read the same whatever the ranks
