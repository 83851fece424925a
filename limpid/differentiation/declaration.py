"""The constructors of primitives that are not elementwise: `linear`, `bilinear`, `general`.

Rules are written with limpid's public operations and operators only: given arrays they compute
numbers, given tensors they record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from limpid.differentiation.apply import apply
from limpid.differentiation.kinds import CONSTANT, Derivative, General, Local, Rule, Transpose
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation
from limpid.graph.context import context
from limpid.graph.dtype import dtype_of
from limpid.graph.node import Node, Spec, spec_of
from limpid.graph.source import capture
from limpid.tensor import Tensor


def transpose(rule: Rule) -> Transpose:
    """In `general(vjp=[…])`: this operand is linear, the others held fixed."""
    return Transpose(rule)


def linear(
    name: str,
    forward: Callable[..., Any],
    *,
    transpose: Rule | Sequence[Rule | None],
    shape: Callable[..., Any] | None = None,
    relation: Callable[..., Relation] | None = None,
    math: str | None = None,
    **declared: Any,
) -> Primitive:
    """A primitive that is linear in all its operands together (those with rule None constant).

    transpose  `rule(g, *operands, **params)`, one for each operand, or one alone for all: the
               adjoint applied to g. Of the linear operands it can read `.shape` and `.dtype` only.
    shape      `rule(*specs, **params)` → Spec of the output; by default found by a trial run on
               zeros, which costs an allocation whenever a graph is recorded

    >>> import numpy as np, limpid
    >>> double = limpid.linear("double", lambda x: 2 * x, transpose=lambda g, x: double(g))
    >>> limpid.grad(lambda x: limpid.sum(double(x)))(np.ones(3))
    array([2., 2., 2.])
    """
    rules = [transpose] if callable(transpose) else list(transpose)
    derivatives: list[Derivative] = [
        CONSTANT if r is None else Transpose(r, joint=True) for r in rules
    ]
    declared.setdefault("shape", shape or trial_shape(forward))
    return Linear(name, forward, derivatives, relation=relation, math=math, **declared)


class Linear(Primitive):
    """Linear in all operands together. Rules read no values, so one tensor alone is soon done.

    It is the same node that `apply` makes; whatever is not this frequent case is left to `apply`.
    """

    def __call__(self, x: Any, *others: Any, **params: Any) -> Any:
        state = context.state
        if others or not isinstance(x, Tensor) or state.recorder is not None or self.outputs > 1:
            return apply(self, (x, *others), params)
        node, value = x.node, x._value
        if node is None or value is None or not x.requires_grad or not state.grad_enabled:
            return apply(self, (x,), params)
        try:
            y = np.asarray(self.forward(value, **params))
        except Exception:
            return apply(self, (x,), params)  # says what does not fit
        dtype = dtype_of(y.dtype)
        source = state.origin_source or capture()
        made = Node(
            self,
            (node,),
            (x.index,),
            params,
            (Spec(y.shape, dtype),),
            state.scope,
            state.origin,
            source,
            True,
            (None, None),
        )
        return Tensor(made, 0, y)


def bilinear(
    name: str,
    forward: Callable[..., Any],
    *,
    transpose: Sequence[Rule],
    shape: Callable[..., Any] | None = None,
    relation: Callable[..., Relation] | None = None,
    math: str | None = None,
    form: type[Primitive] = Primitive,
    **declared: Any,
) -> Primitive:
    """A primitive that is linear in each of two operands with the other held fixed.

    transpose  for each operand `rule(g, a, b, **params)`, which reads g and the other operand
    form       the class of the primitive, where a quicker way of calling it is there

    >>> import numpy as np, limpid
    >>> scale_by = limpid.bilinear(
    ...     "scale_by", lambda s, x: s * x,
    ...     transpose=[lambda g, s, x: limpid.sum(g * x), lambda g, s, x: scale_by(s, g)])
    >>> limpid.check_grad(scale_by, np.float64(3.0), np.arange(4.0))
    """
    derivatives = [Transpose(rule) for rule in transpose]
    declared.setdefault("shape", shape or trial_shape(forward))
    return form(name, forward, derivatives, relation=relation, math=math, **declared)


def general(
    name: str,
    forward: Callable[..., Any],
    *,
    vjp: Sequence[Rule | Transpose | Local | None],
    jvp: Sequence[Rule | None] | None = None,
    shape: Callable[..., Any] | None = None,
    relation: Callable[..., Relation] | None = None,
    math: str | None = None,
    form: type[Primitive] = Primitive,
    **declared: Any,
) -> Primitive:
    """A primitive of any other kind.

    vjp    for each operand `rule(g, y, *operands, **params)` → its downstream gradient; None if
           it is constant; `transpose(rule)` if the primitive is linear in it, `Local(rule)` if
           it is elementwise in it. With several outputs g and y are tuples.
    jvp    for each operand `rule(dx, y, *operands, **params)` → its share of the tangent of y (a
           tuple with several outputs, None for one that has none); where None the VJP is
           transposed
    form   the class of the primitive, where a quicker way of calling it is there

    >>> import numpy as np, limpid
    >>> unit = limpid.general(
    ...     "unit", lambda x: x / np.sqrt((x * x).sum()),
    ...     vjp=[lambda g, y, x: (g - y * limpid.sum(g * y)) / limpid.sqrt(limpid.sum(x * x))])
    >>> limpid.check_grad(unit, np.array([3.0, 4.0]))
    """
    jvp = jvp or [None] * len(vjp)
    derivatives: list[Derivative] = [
        CONSTANT if v is None else v if isinstance(v, Transpose | Local) else General(v, j)
        for v, j in zip(vjp, jvp, strict=True)
    ]
    declared.setdefault("shape", shape or trial_shape(forward))
    return form(name, forward, derivatives, relation=relation, math=math, **declared)


def shared_general(
    name: str,
    forward: Callable[..., Any],
    *,
    vjp: Rule,
    jvp: Rule,
    constants: int = 0,
    **declared: Any,
) -> Primitive:
    """A variadic primitive of several outputs, where one rule serves all operands at once.

    vjp        `rule(needed, g, y, *operands, **params)` → {number: downstream} of those needed; g
               has None for an output that nothing came to
    jvp        `rule({number: tangent}, y, *operands, **params)` → tangents of y
    constants  how many operands at the front have no derivative
    """

    def one_gradient(g: Any, y: Any, number: int, *operands: Any, **params: Any) -> Any:
        return vjp((number,), g, y, *operands, **params)[number]

    def one_tangent(dx: Any, y: Any, number: int, *operands: Any, **params: Any) -> Any:
        return jvp({number: dx}, y, *operands, **params)

    none: list[Rule | None] = [None] * constants
    made = general(
        name,
        forward,
        vjp=[*none, one_gradient],
        jvp=[*none, one_tangent],
        numeric="any",
        outputs=2,  # or any other number
        **declared,
    )
    made.vjp_all, made.jvp_all, made.partial_upstream = vjp, jvp, True
    return made


def trial_shape(forward: Callable[..., Any]) -> Callable[..., Any]:
    """A shape rule that runs the forward once on ones that take no memory."""

    def shape(*operands: Any, **params: Any) -> Any:
        trial = [
            np.broadcast_to(np.ones((), x.dtype.storage), x.shape) if isinstance(x, Spec) else x
            for x in operands
        ]
        with np.errstate(all="ignore"):
            result = forward(*trial, **params)
        return tuple(map(spec_of, result)) if isinstance(result, tuple) else spec_of(result)

    return shape
