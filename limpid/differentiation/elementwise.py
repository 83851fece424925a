"""Elementwise primitives: their constructor, and the short cut that makes small networks quick.

A network of small operations costs what Python costs. One or two tensors of one float type, no
params, nothing recorded: for these the node is made in half the time that `apply` takes. It is the
same node; whatever is not this frequent case is left to `apply`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from limpid.differentiation.apply import apply, reads_of, slot_versions
from limpid.differentiation.kinds import CONSTANT, Constant, Derivative, Local, Rule
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation, elementwise_relation
from limpid.errors import ShapeError
from limpid.graph.context import context
from limpid.graph.dtype import DType, bool_, result_type
from limpid.graph.node import NO_PARAMS, Node, Spec, spec_of
from limpid.graph.source import capture
from limpid.tensor import Tensor

ndarray = np.ndarray
ONE, TWO = (0,), (0, 0)  # Node.indices of one, two operands that are first outputs


class Unary(Primitive):
    """An elementwise primitive of one operand and no params."""

    def __call__(self, x: Any) -> Any:
        state = context.state
        if type(x) is Tensor and state.recorder is None and state.grad_enabled and not x.index:
            node, value = x.node, x._value
            if node is not None and node.requires_grad and value is not None:
                y = self.forward(value)
                if type(y) is ndarray and y.dtype is value.dtype:
                    read = self.reads_cache.get(1) or reads_of(self, [value], NO_PARAMS, 1)
                    saved = (y if read[0] else None, value if read[1] else None)
                    return Tensor(
                        Node(
                            self,
                            (node,),
                            ONE,
                            NO_PARAMS,
                            node.outputs if len(node.outputs) == 1 else node.outputs[:1],
                            state.scope,
                            state.origin,
                            state.origin_source or capture(),
                            True,
                            saved,
                            None if node.inputs else slot_versions((node,), saved, 1),
                        ),
                        0,
                        y,
                    )
        return apply(self, (x,), NO_PARAMS)


class Binary(Primitive):
    """An elementwise primitive of two operands and no params."""

    def __call__(self, a: Any, b: Any) -> Any:
        state = context.state
        if state.recorder is not None or not state.grad_enabled:
            return apply(self, (a, b), NO_PARAMS)
        needed = 0
        if type(a) is Tensor and not a.index:
            left, u = a.node, a._value
            if left is None or u is None:
                return apply(self, (a, b), NO_PARAMS)
            leaf = not left.inputs
            if left.requires_grad:
                needed = 1
        elif type(a) is float or type(a) is int:
            left = u = a
            leaf = False
        else:
            return apply(self, (a, b), NO_PARAMS)
        if type(b) is Tensor and not b.index:
            right, v = b.node, b._value
            if right is None or v is None or (type(u) is ndarray and u.dtype is not v.dtype):
                return apply(self, (a, b), NO_PARAMS)
            if not right.inputs:
                leaf = True
            if right.requires_grad:
                needed += 2
        elif type(b) is float or type(b) is int:
            right = v = b
        else:
            return apply(self, (a, b), NO_PARAMS)
        needed &= self.differentiable
        if not needed:
            return apply(self, (a, b), NO_PARAMS)
        try:
            y = self.forward(u, v)
        except ValueError:
            return apply(self, (a, b), NO_PARAMS)  # says what does not fit
        if type(y) is not ndarray:
            y = np.asarray(y)
        like = left if type(left) is Node else right
        outputs = like.outputs
        if len(outputs) > 1 or outputs[0].shape != y.shape or outputs[0].dtype.storage is not y.dtype:
            outputs = (spec_of(y),)
        if outputs[0].dtype.kind != "float":
            return apply(self, (a, b), NO_PARAMS)  # integers promote
        read = self.reads_cache.get(needed) or reads_of(self, [u, v], NO_PARAMS, needed)
        saved = (
            y if read[0] else None,
            u if read[1] or left is u else None,
            v if read[2] or right is v else None,
        )
        inputs = (left, right)
        return Tensor(
            Node(
                self,
                inputs,
                TWO,
                NO_PARAMS,
                outputs,
                state.scope,
                state.origin,
                state.origin_source or capture(),
                True,
                saved,
                slot_versions(inputs, saved, 1) if leaf else None,
            ),
            0,
            y,
        )


def broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """NumPy's broadcast shape; ShapeError where there is none."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ShapeError(
            f"shapes {' and '.join(map(str, shapes))} do not broadcast together"
        ) from None


def elementwise(
    name: str,
    forward: Callable[..., Any],
    *,
    local: Sequence[Rule | int | None],
    math: str | None = None,
    numeric: str = "same",
    **declared: Any,
) -> Primitive:
    """A primitive y[i] = f(a[i], b[i], …) with broadcasting.

    local    for each operand the partial derivative `rule(y, *operands, **params)`; 0, 1 or −1
             where it is constant; None for an operand that is constant (a mask). A rule that
             returns a boolean array is a mask.
    math     the formula in LaTeX, with operands in braces: r"{a} \\odot {b}"
    numeric  "same": the result has the operands' common type; "float": integers become floats
             first; "bool": a predicate; "any": the result of the forward is taken as it is
    domain, smooth   predicates of the operands: where the value, the derivative is finite
    kink     the written convention where the derivative has a jump

    >>> import numpy as np, limpid
    >>> cube = limpid.elementwise("cube", lambda x: x * x * x, local=[lambda y, x: 3 * x * x])
    >>> limpid.grad(cube)(np.float64(2.0))
    array(12.)
    """
    derivatives: list[Derivative] = [CONSTANT if r is None else Local(r) for r in local]
    masks = [isinstance(d, Constant) for d in derivatives]

    def shape(*operands: Any, **params: Any) -> Spec:
        out = broadcast(*(x.shape for x in operands if isinstance(x, Spec)))
        typed = [x for x, mask in zip(operands, masks, strict=False) if not mask] or operands
        return Spec(out, _result_dtype(typed, numeric))

    def relation(*operands: Any, **params: Any) -> Relation:
        shapes = [x.shape for x in operands]
        return elementwise_relation(shapes, broadcast(*shapes))

    declared.setdefault("shape", shape)
    declared.setdefault("relation", relation)
    form = _form(forward, local, numeric)
    primitive = form(name, forward, derivatives, math=math, numeric=numeric, **declared)
    primitive.rank_free = True
    return primitive


def _result_dtype(operands: Iterable[Any], numeric: str) -> DType:
    if numeric == "bool":
        return bool_
    types = [x.dtype if isinstance(x, Spec) else x for x in operands]
    return result_type(types, float_only=numeric == "float")


def _form(forward: Any, local: Sequence[Any], numeric: str) -> type[Primitive]:
    """Unary or Binary where their short cut holds: differentiable and without params."""
    if numeric == "bool" or len(local) > 2 or not all(local):
        return Primitive
    if not isinstance(forward, np.ufunc):
        parameters = inspect.signature(forward).parameters.values()
        if any(p.kind is p.KEYWORD_ONLY for p in parameters):
            return Primitive
    return Unary if len(local) == 1 else Binary
