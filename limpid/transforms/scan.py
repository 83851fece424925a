"""scan: a loop with a carry. Eager it is Python's loop; while a graph is recorded, one node.

Eager, each iteration makes ordinary nodes under the scope `scan[i]`. Recorded, the body is recorded
once, whatever the length. What the body closes over becomes operands of the node; a slot that it
assigns (a random counter, a running mean) is carried through the loop and assigned after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from limpid.errors import ArgumentError, DTypeError, ShapeError
from limpid.graph.context import context, scope
from limpid.graph.graph import Graph
from limpid.graph.node import Spec
from limpid.graph.registry import operation
from limpid.ops.axes import integer
from limpid.ops.join import stack, unstack
from limpid.ops.state import assign
from limpid.tensor import Tensor, operand
from limpid.transforms.body import (
    Trace,
    alias,
    aligned,
    given,
    input_names,
    is_number,
    leaf_spec,
    named,
    reference_spec,
    settled,
)
from limpid.transforms.loop import keeping
from limpid.transforms.loop import scan as scan_node
from limpid.transforms.nesting import flatten

Body = Callable[[Any, Any], Any]


class Nest:
    """A nesting of tensors and arrays, taken apart."""

    def __init__(self, value: Any) -> None:
        leaves, self.rebuild = flatten(value)
        self.paths = [path for path, _ in leaves]
        self.leaves = settled([leaf for _, leaf in leaves])

    @classmethod
    def coming_in(cls, value: Any, beside: Any = None) -> Nest:
        """What is given to the loop, its float numbers in the float type of the arrays beside."""
        leaves, rebuild = flatten(value)
        values = settled(given(x for _, x in leaves), given(x for _, x in flatten(beside)[0]))
        return cls(rebuild(iter(values)))

    @property
    def specs(self) -> list[Spec]:
        return [leaf_spec(x) for x in self.leaves]


@operation
def scan(
    body: Body, init: Any, xs: Any = None, length: int | None = None, reverse: bool = False
) -> tuple[Any, Any]:
    """A loop: `carry, y = body(carry, x)` for each x, from `carry = init`.

    Returns the last carry and, stacked, the y of all iterations.

    body     takes the carry and one slice of xs, returns (carry, y). The carry keeps its nesting,
             shapes and types; y is any nesting, or None
    init     any nesting of tensors, arrays and numbers; float numbers take the float type of the
             arrays in init and xs
    xs       any nesting of tensors and arrays, sliced along their first axes; or None
    length   the number of iterations; needed where xs is None
    reverse  from the last x to the first; the y of an x stays in its place

    Recorded, it is one node and its body one graph, whatever the length; gradients and tangents are
    scans again. For the gradient, what the rules read in each iteration is kept, as in eager.
    Raises ArgumentError, ShapeError or DTypeError, naming the leaf, if lengths differ or the body
    changes the carry.

    >>> import numpy as np, limpid
    >>> limpid.scan(lambda total, x: (total + x, total * x), 0.0, np.array([1.0, 2.0, 3.0]))
    (array(6.), array([0., 2., 9.]))
    """
    start, scanned = Nest.coming_in(init, xs), Nest.coming_in(xs)
    count = _length(scanned, length)
    if context.state.recorder is not None:
        return as_one_node(body, start, scanned, count, reverse)
    if not count:
        return _nothing(body, start, scanned)
    return _loop(body, start, scanned, count, reverse)


def _length(xs: Nest, length: Any) -> int:
    """The number of iterations."""
    extents = {}
    for path, x in zip(xs.paths, xs.leaves):
        if not x.shape:
            raise ShapeError(f"scan: {_named('xs', path)} is 0-d: there is no axis to go along")
        extents[_named("xs", path)] = x.shape[0]
    if length is not None:
        extents["length"] = integer(length, "scan: length")
    if not extents:
        raise ArgumentError("scan: without xs, length must say how many iterations there are")
    if len(set(extents.values())) > 1:
        text = ", ".join(f"{name} has {n}" for name, n in extents.items())
        raise ShapeError(f"scan: the lengths differ: {text}")
    return int(next(iter(extents.values())))


def _named(what: str, path: str) -> str:
    return f"{what}[{path}]" if path else what


def _loop(body: Body, start: Nest, xs: Nest, length: int, reverse: bool) -> tuple[Any, Any]:
    slices = [unstack(x) for x in xs.leaves]
    carry, specs = start.leaves, start.specs
    made: list[Nest] = []
    for i in reversed(range(length)) if reverse else range(length):
        with scope(f"scan[{i}]"):
            now = start.rebuild(map(alias, carry))
            x = xs.rebuild(iter([alias(parts[i]) for parts in slices]))
            result, y = _pair(body(now, x))
            carry = checked_carry(start.paths, specs, result)
        made.append(Nest(y))
        _align(made[0], made[-1])
    if reverse:
        made.reverse()
    stacked = [stack(list(parts)) for parts in zip(*(y.leaves for y in made))]
    return start.rebuild(iter(carry)), made[0].rebuild(iter(stacked))


def _pair(result: Any) -> tuple[Any, Any]:
    if not isinstance(result, tuple) or len(result) != 2:
        raise ArgumentError(
            f"scan: the body must return (carry, y), not {type(result).__name__}; "
            "y may be None, as in `return carry, None`"
        )
    return result


def checked_carry(paths: Sequence[str], specs: Sequence[Spec], returned: Any) -> list[Any]:
    """The leaves of a carry, which must be nested, shaped and typed as the first one was."""
    leaves, _ = flatten(returned)
    values = aligned(paths, leaves)
    if values is None:
        raise ArgumentError(
            f"scan: the carry has the leaves {_list(paths)} at first, but the body returned "
            f"{_list([path for path, _ in leaves])}; it must keep its nesting"
        )
    return [
        _same_spec(x, spec, _named("carry", path))
        for path, x, spec in zip(paths, values, specs, strict=True)
    ]


def _list(paths: Sequence[str]) -> str:
    return "(" + ", ".join(path or "carry" for path in paths) + ")"


def _same_spec(x: Any, spec: Spec, name: str) -> Any:
    if is_number(x) and not spec.shape:
        number = np.asarray(x)
        if np.can_cast(number.dtype, spec.dtype.storage, "same_kind"):
            return number.astype(spec.dtype.storage)
    x = operand(x)
    now = leaf_spec(x)
    if now != spec:
        kind = ShapeError if now.shape != spec.shape else DTypeError
        raise kind(
            f"scan: {name} is {spec} at first, but the body returned {now}; start with what the "
            "body returns, or convert in the body"
        )
    return x


def _align(first: Nest, now: Nest) -> None:
    leaves = aligned(first.paths, list(zip(now.paths, now.leaves)))
    if leaves is not None:
        now.leaves = leaves
    if leaves is None or first.specs != now.specs:
        raise ShapeError(
            f"scan: y was {_described(first)} in one iteration and {_described(now)} in another"
        )


def _described(nest: Nest) -> str:
    parts = [f"{path}: {s}" if path else str(s) for path, s in zip(nest.paths, nest.specs)]
    return "(" + ", ".join(parts) + ")" if len(parts) != 1 else parts[0]


def _nothing(body: Body, start: Nest, xs: Nest) -> tuple[Any, Any]:
    """No iterations: the body is recorded, without effect, to learn what it would have given."""
    trace, _, y = _traced(body, start, xs)
    references = trace.references(y.leaves)
    specs = [reference_spec(r) for r in references]
    empty: list[Any] = [np.empty((0, *s.shape), s.dtype.storage) for s in specs]
    if any(isinstance(x, Tensor) for x in (*start.leaves, *xs.leaves)):
        empty = [Tensor(None, 0, x) for x in empty]
    return start.rebuild(iter(start.leaves)), y.rebuild(iter(empty))


def _traced(body: Body, start: Nest, xs: Nest) -> tuple[Trace, list[Any], Nest]:
    """The body, recorded once: (trace, leaves of its carry, its y)."""

    def rebuild(leaves: Iterator[Any]) -> tuple[Any, Any]:
        return start.rebuild(leaves), xs.rebuild(leaves)

    names = input_names("carry", start.paths)
    names = [*names, *input_names("x", xs.paths)]
    slices = [Spec(s.shape[1:], s.dtype) for s in xs.specs]
    specs = dict(zip(names, [*start.specs, *slices], strict=True))
    trace = Trace("scan", body, specs, rebuild)
    result, y = _pair(trace.result)
    return trace, checked_carry(start.paths, start.specs, result), Nest(y)


def as_one_node(body: Body, start: Nest, xs: Nest, length: int, reverse: bool) -> tuple[Any, Any]:
    """The loop as one node: what a recording does, and what tests ask for in eager."""
    trace, carry, y = _traced(body, start, xs)
    recorder, count = trace.recorder, len(start.leaves)
    slots = recorder.written
    outputs = trace.references([*carry, *map(recorder.last, slots), *y.leaves])
    entries = [recorder.entry(slot) for slot in slots]
    closed = [outside for outside, _ in recorder.inside.values()]
    inner = [inside for _, inside in recorder.inside.values()]
    leaves = [*inner, *trace.inputs[:count], *entries, *trace.inputs[count:]]
    graph = Graph(named(leaves), outputs)
    operands = [*closed, *start.leaves, *slots, *xs.leaves]
    carried = count + len(slots)
    needed = _needed(operands)
    if needed:
        graph = keeping(graph, len(closed), carried, needed)
    results: Sequence[Any] = ()
    if graph.outputs:
        results = scan_node(
            *operands,
            body=graph,
            closed=len(closed),
            carried=carried,
            length=length,
            reverse=bool(reverse),
        )
    for slot, value in zip(slots, results[count:carried]):
        assign(slot, value)
    stacked = results[carried : carried + len(y.leaves)]
    return start.rebuild(iter(results[:count])), y.rebuild(iter(stacked))


def _needed(operands: Sequence[Any]) -> list[int]:
    """The numbers of the operands to which a gradient may flow."""
    state = context.state
    if not state.grad_enabled:
        return []
    recorder = state.recorder
    found = []
    for i, x in enumerate(operands):
        if isinstance(x, Tensor):
            now = x if recorder is None else recorder.current(x)
            if now.requires_grad and now.dtype.kind == "float":
                found.append(i)
    return found
