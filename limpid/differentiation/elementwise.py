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

from limpid.differentiation.absence import in_use
from limpid.differentiation.apply import apply, reads_of
from limpid.differentiation.kinds import CONSTANT, Constant, Derivative, Local, Rule
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation, elementwise_relation
from limpid.errors import ShapeError
from limpid.graph.context import context
from limpid.graph.dtype import DType, bool_, dtype_of, result_type
from limpid.graph.node import NO_PARAMS, Node, Spec, spec_of
from limpid.graph.source import capture
from limpid.tensor import Tensor

ndarray = np.ndarray
ONE, TWO = (0,), (0, 0)  # Node.indices of one, two operands that are first outputs


class Unary(Primitive):
    """An elementwise primitive of one operand and no params."""

    def __call__(self, x: Any) -> Any:
        if type(x) is ndarray:
            return self.forward(x)
        state = context.state
        if isinstance(x, Tensor) and state.recorder is None and state.grad_enabled and not x.index:
            node, value = x.node, x._value
            if node is not None and node.requires_grad and value is not None:
                y = self.forward(value)
                if type(y) is not ndarray:
                    y = np.asarray(y)  # NumPy makes scalars of 0-d arrays
                if y.dtype is value.dtype:
                    read = self.reads_cache.get(1) or reads_of(self, [value], NO_PARAMS, 1)
                    outputs = node.outputs
                    node = Node(
                        self,
                        (node,),
                        ONE,
                        NO_PARAMS,
                        outputs if len(outputs) == 1 else outputs[:1],
                        state.scope,
                        state.origin,
                        state.origin_source or capture(2),
                        True,
                        (y if read[0] else None, value if read[1] else None),
                    )
                    return Tensor(node, 0, y)
        return apply(self, (x,), NO_PARAMS)


class Binary(Primitive):
    """A primitive of two operands and no params, whose rules read the same ones at any rank."""

    def __call__(self, a: Any, b: Any) -> Any:
        state = context.state
        if state.recorder is None and state.grad_enabled:
            left, u = (a.node, a._value) if isinstance(a, Tensor) and not a.index else (a, a)
            right, v = (b.node, b._value) if isinstance(b, Tensor) and not b.index else (b, b)
            if type(left) is Node:
                if type(u) is ndarray and u.dtype.kind == "f":
                    if type(right) is Node:
                        needed = left.requires_grad + 2 * right.requires_grad
                        if type(v) is ndarray and v.dtype is u.dtype:
                            return self.short_cut(left, right, u, v, needed, left, a, b)
                    elif type(right) is float or type(right) is int:
                        return self.short_cut(left, right, u, v, left.requires_grad, left, a, b)
            elif type(right) is Node and (type(left) is float or type(left) is int):
                if type(v) is ndarray and v.dtype.kind == "f":
                    return self.short_cut(left, right, u, v, 2 * right.requires_grad, right, a, b)
        return apply(self, (a, b), NO_PARAMS)

    def short_cut(
        self, left: Any, right: Any, u: Any, v: Any, needed: int, like: Node, a: Any, b: Any
    ) -> Any:
        """The node for operands that were found to be of one float type."""
        needed &= self.differentiable
        if not needed:
            return apply(self, (a, b), NO_PARAMS)
        try:
            y = self.forward(u, v)
        except (ValueError, OverflowError):
            return apply(self, (a, b), NO_PARAMS)  # says what does not fit
        if type(y) is not ndarray:
            y = np.asarray(y)
        outputs = like.outputs
        if len(outputs) > 1 or outputs[0].shape != y.shape:
            outputs = (spec_of(y),)
        read = self.reads_cache.get(needed) or reads_of(self, [u, v], NO_PARAMS, needed)
        state = context.state
        node = Node(
            self,
            (left, right),
            TWO,
            NO_PARAMS,
            outputs,
            state.scope,
            state.origin,
            state.origin_source or capture(3),
            True,
            (
                y if read[0] else None,
                u if read[1] or left is u else None,
                v if read[2] or right is v else None,
            ),
        )
        return Tensor(node, 0, y)


class Strong(Primitive):
    """A primitive whose masks hold further up, too: see `absence.py`."""

    def __call__(self, *operands: Any, **params: Any) -> Any:
        in_use.strong = True
        return apply(self, operands, params)


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
    r"""A primitive y[i] = f(a[i], b[i], …) with broadcasting.

    local    for each operand the partial derivative `rule(y, *operands, **params)`; 0, 1 or −1
             where it is constant; None for an operand that is constant (a mask). A rule that
             returns a boolean array is a mask.
    math     the formula in LaTeX, with operands in braces: r"{a} \odot {b}"
    numeric  "same": the result has the operands' common type; "float": integers become floats
             first; "bool": a predicate; "any": the result of the forward is taken as it is
    domain, smooth   predicates of the operands: where the value, the derivative is finite
    kink     the written convention where the derivative has a jump
    strong   what a mask leaves out does not count further up, either: there 0·∞ is 0

    >>> import numpy as np, limpid
    >>> cube = limpid.elementwise("cube", lambda x: x * x * x, local=[lambda y, x: 3 * x * x])
    >>> limpid.grad(cube)(np.array(2.0))
    array(12.)
    """
    derivatives: list[Derivative] = [CONSTANT if r is None else Local(r) for r in local]
    masks = [isinstance(d, Constant) for d in derivatives]

    def shape(*operands: Any, **params: Any) -> Spec:
        alike = _common_spec(operands)
        if alike is not None:
            return Spec(alike.shape, bool_) if numeric == "bool" else alike
        out = broadcast(*(x.shape for x in operands if isinstance(x, Spec)))
        typed = [x for x, mask in zip(operands, masks, strict=False) if not mask] or operands
        dtype = _result_dtype(typed, numeric)
        if dtype is bool_ and numeric == "same":  # NumPy's b² is int8, b − b an error
            ones = [np.ones((), bool)] * len(operands)
            dtype = dtype_of(np.asarray(forward(*ones, **params)).dtype)
        return Spec(out, dtype)

    def relation(*operands: Any, **params: Any) -> Relation:
        shapes = [x.shape for x in operands]
        return elementwise_relation(shapes, broadcast(*shapes))

    declared.setdefault("shape", shape)
    declared.setdefault("relation", relation)
    form = Strong if declared.get("strong") else _form(forward, local, numeric)
    primitive = form(name, forward, derivatives, math=math, numeric=numeric, **declared)
    primitive.rank_free = True
    return primitive


def _common_spec(operands: Iterable[Any]) -> Spec | None:
    """The spec that all operands have but for weak numbers, if its type is a float type."""
    common = None
    for x in operands:
        if type(x) is Spec:
            if common is None:
                common = x
            elif x.shape != common.shape or x.dtype is not common.dtype:
                return None
        elif type(x) is not float and type(x) is not int:
            return None
    return common if common is not None and common.dtype.kind == "float" else None


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
