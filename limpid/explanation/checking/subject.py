"""What is checked, as a black box: values, and gradients as the backward pass returns them."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from limpid.differentiation.rules import downstream, fit
from limpid.graph.context import enable_grad
from limpid.graph.node import Node, spec_of
from limpid.storage import writes_undone
from limpid.tensor import Tensor, tensor
from limpid.transforms.call import Call
from limpid.transforms.function import Function, FunctionContext
from limpid.transforms.gradient import vjp
from limpid.transforms.nesting import flatten
from limpid.transforms.point import Point, Vector, is_float, plain_value


class Trace(NamedTuple):
    """A run of a function on tensors: its graph."""

    outputs: list[Tensor]
    inputs: list[Node]


class Subject:
    """A function with a backward pass of its own, at one point."""

    name: str
    names: list[str]  # of the operands
    start: Vector
    traced: Any = None  # what to run on tensors for a graph of the same function

    def value(self, xs: Vector) -> Vector:
        raise NotImplementedError

    def pull(self, xs: Vector, gs: Vector) -> list[Any]:
        """What the backward pass returns for each operand, just as it is."""
        raise NotImplementedError

    def trace(self, xs: Vector) -> Trace | None:
        """The graph of the function; None where it can't run on tensors."""
        return None


class PointSubject(Subject):
    """A function that limpid differentiates."""

    def __init__(self, point: Point) -> None:
        self.point = point
        self.name = point.name
        self.names = operand_names(point)
        self.start = [np.array(x) for x in point.start]

    def value(self, xs: Vector) -> Vector:
        return self.point.at(self.point.call, xs)

    def pull(self, xs: Vector, gs: Vector) -> list[Any]:
        with writes_undone():
            _, pullback = vjp(self.point.call, *self.point.primals)
            return [plain_value(g) for _, g in flatten(pullback(gs))[0]]

    def trace(self, xs: Vector) -> Trace | None:
        return traced(self.point, self.point.function, xs)


class FunctionSubject(PointSubject):
    """A `limpid.Function`, called so that nothing between the user's code and us interferes."""

    def __init__(self, point: Point, function: type[Function]) -> None:
        super().__init__(point)
        self.function: Any = function
        self.name = function.__name__

    def pull(self, xs: Vector, gs: Vector) -> list[Any]:
        point = self.point
        ctx = FunctionContext(tuple(True for _ in point.parts))
        result = self.function.forward(ctx, *point.arguments(xs))
        upstream = iter(gs)
        results = result if isinstance(result, tuple | list) else [result]
        given = [
            Tensor(None, 0, next(upstream) if is_float(y) else np.zeros(np.shape(plain_value(y))))
            for y in results
        ]
        found = self.function.backward(ctx, *given)
        found = list(found) if isinstance(found, tuple | list) else [found]
        found += [None] * (len(point.parts) - len(found))
        return [found[i] for i, _ in point.places]

    def trace(self, xs: Vector) -> Trace | None:
        plain = getattr(self.function, "plain_forward", None)
        if plain is not None:
            return traced(self.point, plain, xs)
        ctx = FunctionContext(tuple(True for _ in self.point.parts))
        return traced(self.point, lambda *args: self.function.forward(ctx, *args), xs)


class NodeSubject(Subject):
    """One node of a graph: a primitive and its rule."""

    def __init__(self, node: Node, operands: Sequence[Any], wanted: Sequence[int]) -> None:
        self.node, self.operands, self.wanted = node, list(operands), list(wanted)
        self.name = node.op.name
        self.names = [_letter(node.op, i) for i in wanted]
        self.start = [np.array(operands[i]) for i in wanted]

    def value(self, xs: Vector) -> Vector:
        result = self.node.op.evaluate(self._with(xs), self.node.params)
        return [np.asarray(y) for y in (result if isinstance(result, tuple) else (result,))]

    def pull(self, xs: Vector, gs: Vector) -> list[Any]:
        operands = self._with(xs)
        y = self.node.op.evaluate(operands, self.node.params)
        g: Any = gs[0] if len(gs) == 1 else tuple(gs)
        found = []
        for i, x in zip(self.wanted, xs, strict=True):
            passed = downstream(self.node.op, i, g, y, operands, self.node.params)
            passed = np.zeros_like(x) if passed is None else plain_value(passed)
            found.append(plain_value(fit(passed, spec_of(x), self.node.op)))
        return found

    def _with(self, xs: Vector) -> list[Any]:
        operands = list(self.operands)
        for i, x in zip(self.wanted, xs, strict=True):
            operands[i] = x
        return operands


def traced(point: Point, function: Any, xs: Vector) -> Trace | None:
    """The graph of a function at a point."""
    leaves = [tensor(x, requires_grad=True) for x in xs[: len(point.plain)]]
    try:
        with enable_grad(), writes_undone(), np.errstate(all="ignore"):
            result = function(*point.arguments(leaves))
    except Exception:  # a forward written for NumPy need not run on tensors
        return None
    outputs = [y for _, y in flatten(result)[0] if is_float(y)]
    if not outputs or not all(isinstance(y, Tensor) and y.node is not None for y in outputs):
        return None
    return Trace(outputs, [x.node for x in (*leaves, *point.slots) if x.node is not None])


def subject_of(point: Point) -> Subject:
    """The black box for a function at a point."""
    owner = function_class(point.function)
    return PointSubject(point) if owner is None else FunctionSubject(point, owner)


def function_class(function: Any) -> Any:
    """The Function whose `apply` this is, or None."""
    owner = getattr(function, "__self__", None)
    return owner if isinstance(owner, type) and issubclass(owner, Function) else None


def node_subject(node: Node, operands: Sequence[Any]) -> Subject | None:
    """One node as a black box; None where nothing of it is differentiated."""
    wanted = [
        i
        for i, x in enumerate(operands)
        if node.op.differentiable >> i & 1 and is_float(np.asarray(x))  # type: ignore[attr-defined]
    ]
    if not wanted:
        return None
    if isinstance(node.op, Call):
        rules: Any = node.op.rules
        function = rules.function
        return FunctionSubject(Point(function.apply, operands, wanted), function)
    return NodeSubject(node, operands, wanted)


def operand_names(point: Point) -> list[str]:
    """Operands by the names that the signature of the function gives them."""
    owner = function_class(point.function)
    forward = getattr(owner, "plain_forward", None)
    skipped = int(owner is not None and forward is None)  # ctx
    try:
        taken = inspect.signature(forward or getattr(owner, "forward", point.function)).parameters
    except (TypeError, ValueError):
        return list(point.paths)
    plain = [
        p.name for p in taken.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    return [_named(path, plain[skipped:]) for path in point.paths]


def _named(path: str, names: list[str]) -> str:
    first, dot, rest = path.partition(".")
    known = first.isdecimal() and int(first) < len(names)
    return names[int(first)] + dot + rest if known else path


def _letter(op: Any, i: int) -> str:
    names = op.operand_names
    return str(names[i]) if i < len(names) else f"operand {i}"
