"""recompute: give up saved values, and compute them again in backward.

Eager, the function runs once for its results; its nodes are dropped, and one node stands for them.
Its derivatives run the function again, from the state of slots and random generators in which it
ran at first. Recorded, the node holds the graph of the function, and its derivatives record the
nodes of that graph a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any, NamedTuple

import numpy as np

from limpid.differentiation.absence import Marks, handed
from limpid.differentiation.declaration import shared_general
from limpid.differentiation.forward import push_forward
from limpid.differentiation.reverse import reverse
from limpid.errors import RuleError, ShapeError
from limpid.graph.context import context, enable_grad
from limpid.graph.dtype import as_dtype
from limpid.graph.graph import Graph
from limpid.graph.node import Array, Leaf, Node, Spec, next_number, reachable
from limpid.graph.source import capture
from limpid.ops.state import assign
from limpid.storage import Snapshot, Storage, writes_noted, writes_undone
from limpid.tensor import Tensor
from limpid.transforms.body import (
    Trace,
    graph_specs,
    input_names,
    leaf_spec,
    named,
    reference_spec,
)
from limpid.transforms.inputs import check_callable, fresh_input
from limpid.transforms.nesting import Rebuild, flatten

Reference = tuple[Node, int]


class Program:
    """A function with everything that it needs to run again as it did before.

    `leaves` are those of its arguments, None where an operand goes in; `closed` are the outputs of
    other nodes that it closes over; `differentiable` are the numbers of the results that count.
    """

    def __init__(self, function: Callable[..., Any], leaves: list[Any], rebuild: Rebuild) -> None:
        self.function = function
        self.leaves = leaves
        self.rebuild = rebuild
        self.start: dict[Storage, Snapshot] = {}
        self.closed: list[Reference] = []
        self.differentiable: list[int] = []
        self.specs: tuple[Spec, ...] = ()
        state = context.state
        self.scope, self.module = state.scope, state.module

    def __repr__(self) -> str:
        return f"<{getattr(self.function, '__qualname__', self.function)!s}>"

    def sets_back(self, node: Node) -> bool:
        """Whether this is a slot that will have its earlier value whenever the function runs."""
        return (
            isinstance(node.op, Leaf) and not node.requires_grad and node.op.storage in self.start
        )

    def call(self, operands: Sequence[Any]) -> Any:
        """The function's result."""
        rest = iter(operands)
        args, kwargs = self.rebuild(iter([next(rest) if x is None else x for x in self.leaves]))
        return self.function(*args, **kwargs)

    def again(self, operands: Sequence[Any]) -> list[Tensor]:
        """The results that count, computed as they were at first; what is written is undone."""
        state = context.state
        before = state.scope, state.module, state.origin_source
        state.scope, state.module, state.origin_source = self.scope, self.module, None
        try:
            with enable_grad(), writes_undone(self.start) as journal:
                leaves, _ = flatten(self.call(operands))
        finally:
            state.scope, state.module, state.origin_source = before
        made = [leaves[k][1] for k in self.differentiable if k < len(leaves)]
        specs = tuple(x.spec for x in made if isinstance(x, Tensor))
        if specs != self.specs or not journal.before.keys() <= self.start.keys():
            raise RuleError(
                f"recompute: {self!r} did something else when it ran again: it gave {specs} where "
                f"it gave {self.specs}, or wrote other slots\nremedy: let it depend on nothing but "
                "its arguments, slots and limpid's random numbers of the same thread"
            )
        return made


def _run(*operands: Array, body: Graph | Program) -> tuple[Array, ...]:
    if isinstance(body, Graph):
        results, _ = body.evaluate(operands)
        return tuple(map(np.asarray, results))
    return tuple(y.value for y in body.again([Tensor(None, 0, x) for x in operands]))


def _specs(*operands: Spec, body: Graph | Program) -> tuple[Spec, ...]:
    if isinstance(body, Program):
        return body.specs
    if list(operands) != graph_specs(body):
        raise ShapeError(f"the function was recorded for operands {graph_specs(body)}")
    return tuple(map(reference_spec, body.outputs))


class Run(NamedTuple):
    """The function, run again: its results, and for each operand where gradients end."""

    outputs: list[Tensor]
    ends: list[Reference | None]
    since: int
    recording: bool


def _again(operands: Sequence[Any], body: Graph | Program, recording: bool) -> Run:
    since = next_number()
    count = len(operands) if isinstance(body, Graph) else len(operands) - len(body.closed)
    given = [_input(x, recording) for x in operands[:count]]
    ends: list[Reference | None] = [(x.node, 0) if x.node else None for x in given]
    if isinstance(body, Graph):
        outputs = list(_replayed(body, given))
    else:
        outputs = body.again(given)
        ends += body.closed
    return Run(outputs, ends, since, recording)


def _input(x: Any, recording: bool) -> Tensor:
    """An operand with a node of its own, so that what is computed from it ends there."""
    kind = as_dtype(x.dtype).kind
    if isinstance(x, Tensor):
        return fresh_input(x, "") if kind == "float" and recording else x
    return Tensor(None, 0, np.asarray(x)) if recording or kind != "float" else fresh_input(x, "")


def _replayed(graph: Graph, inputs: Sequence[Tensor]) -> Iterator[Any]:
    """The outputs of a graph whose nodes are made again, each with its scope and source."""
    state = context.state
    before = state.scope, state.origin_source
    values: dict[Reference, Any] = {(n, 0): x for n, x in zip(graph.inputs.values(), inputs)}
    try:
        for node in graph.nodes:
            state.scope, state.origin_source = node.scope, node.source
            pairs = zip(node.inputs, node.indices)
            operands = [values[x, i] if type(x) is Node else x for x, i in pairs]
            made: Any = node.op(*operands, **node.params)  # type: ignore[operator]  # a Primitive
            parts = made if isinstance(made, tuple) else (made,)
            values.update(((node, k), part) for k, part in enumerate(parts))
    finally:
        state.scope, state.origin_source = before
    return (values[r] if isinstance(r, tuple) else Tensor(None, 0, r) for r in graph.outputs)


def _gradients(
    needed: Sequence[int], g: Any, y: Any, *operands: Any, body: Graph | Program
) -> dict[int, Any]:
    """The downstream gradients of the needed operands."""
    g = tuple(g) if isinstance(g, tuple | list) else (g,)
    recording = any(isinstance(x, Tensor) for x in g)
    absent, handed.outputs = handed.outputs, None  # passes within the function have none
    with enable_grad():
        run = _again(operands, body, recording)
    pairs = [(out, gk) for out, gk in zip(run.outputs, g) if gk is not None and out.node]
    wanted = [end[0] for end in run.ends if end is not None]
    marks = None if absent is None else _marks(run.outputs, absent)
    found, _ = reverse(
        [out for out, _ in pairs], [gk for _, gk in pairs], wanted, recording, run.since, marks
    )
    if marks is not None:
        handed.operands = {i: marks.get(run.ends[i] or (None, 0)) for i in needed}
    return {i: _part(found, run.ends[i]) for i in needed}


def _marks(outputs: Sequence[Tensor], absent: Sequence[Any]) -> Marks:
    """What is absent in each output; in one that is there several times, what is absent in all."""
    found: Marks = {}
    for out, mark in zip(outputs, absent):
        place = out.node, out.index
        found[place] = mark if place not in found else found[place] & mark
    return found


def _part(found: dict[Node, Any], end: Reference | None) -> Any:
    if end is None:
        return None
    gradient = found.get(end[0])
    return gradient[end[1]] if isinstance(gradient, list) else gradient


def _tangents(
    dxs: dict[int, Any], y: Any, *operands: Any, body: Graph | Program
) -> tuple[Any, ...]:
    """The tangents of the outputs; None where there is none."""
    recording = any(isinstance(x, Tensor) for x in dxs.values())
    with enable_grad():
        run = _again(operands, body, recording)
    known: dict[Node, Any] = {}
    for i, dx in dxs.items():
        end = run.ends[i]
        if end is not None:
            node, index = end
            count = len(node.outputs)
            held = known.get(node, (None,) * count) if count > 1 else None
            known[node] = dx if held is None else (*held[:index], dx, *held[index + 1 :])
    return tuple(push_forward(run.outputs, known, recording, run.since))


recompute_node = shared_general(
    "recompute",
    _run,
    vjp=_gradients,
    jvp=_tangents,
    shape=_specs,
    math=r"\mathrm{recompute}({operands})",
)
recompute_node.inline, recompute_node.passes_marks = "body", True


def recompute(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, which keeps no values for its gradient: backward runs it again.

    Gradients, of every mode and order, flow to its arguments (any nesting) and to whatever tensors
    and parameters it closes over. It draws the same random numbers again; slots that it assigns
    are assigned once, and have their earlier values while it runs again. Assigning a slot that it
    reads between forward and backward raises OverwrittenError, doing something else the second
    time RuleError.

    Chen et al., Training deep nets with sublinear memory cost, 2016.

    >>> import limpid
    >>> x = limpid.tensor([1.0, 2.0], requires_grad=True)
    >>> block = limpid.recompute(lambda x: limpid.tanh(x * x) * x)
    >>> y = limpid.sum(block(x)); y.backward(); x.grad
    tensor([1.6015428, 1.0100563])
    """
    check_callable(function, "recompute")

    @wraps(function, updated=())
    def recomputing(*args: Any, **kwargs: Any) -> Any:
        state = context.state
        if not state.grad_enabled:
            return function(*args, **kwargs)
        if state.recorder is not None:
            return _as_one_node(function, args, kwargs)
        return _eager(function, args, kwargs)

    return recomputing


def _eager(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    leaves, rebuild = flatten((args, kwargs))
    since = next_number()
    given = [_own(x) for _, x in leaves]
    operands = [x for x in given if isinstance(x, Tensor) and x.requires_grad]
    placed = [None if isinstance(x, Tensor) and x.requires_grad else x for x in given]
    program = Program(function, placed, rebuild)
    inputs = [fresh_input(x, "") for x in operands]
    with writes_noted() as journal:
        result = program.call(inputs)
    program.start = journal.before
    found, rebuild_result = flatten(result)
    results = [x for _, x in found]
    program.differentiable = [k for k, x in enumerate(results) if _counts(x, since)]
    outputs = [results[k] for k in program.differentiable]
    if not outputs:
        return result
    program.specs = tuple(y.spec for y in outputs)
    program.closed = _closed_over(outputs, inputs, since)
    program.closed += [(x.node, 0) for x in placed if isinstance(x, Tensor) and x.node is not None]
    program.closed = [r for r in program.closed if not program.sets_back(r[0])]
    for k, made in zip(program.differentiable, _node(program, operands, outputs)):
        results[k] = made
    return rebuild_result(iter(results))


def _own(x: Any) -> Any:
    """An argument; a copy of an array that its owner may write into before backward."""
    return x.copy() if isinstance(x, np.ndarray) and x.flags.writeable else x


def _counts(x: Any, since: int) -> bool:
    """Whether a result has a gradient, and the function made it."""
    if not isinstance(x, Tensor) or not x.requires_grad or x.dtype.kind != "float":
        return False
    return x.node is not None and x.node.number > since and not x.node.is_leaf


def _closed_over(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], since: int
) -> list[Reference]:
    """What the function read that was made outside: what has a gradient, and slots."""
    stop = [x.node for x in inputs if x.node is not None]
    read: dict[Reference, None] = {}
    for node in reachable([y.node for y in outputs], stop, since):
        if node not in stop:
            for x, i in zip(node.inputs, node.indices):
                if type(x) is Node and x.number < since and (x.requires_grad or _is_slot(x)):
                    read[x, i] = None
    return list(read)


def _is_slot(node: Node) -> bool:
    return _slot_value(node) is not None


def _slot_value(node: Node) -> Array | None:
    storage = node.op.storage if isinstance(node.op, Leaf) else None
    return None if storage is None else storage.read()


def _node(program: Program, operands: Sequence[Tensor], outputs: Sequence[Tensor]) -> list[Tensor]:
    """The node that stands for a run of the function, and its outputs.

    Slots are among its inputs even without a gradient, to be checked for later writes.
    """
    state = context.state
    ends = [(x.node, x.index) for x in operands] + program.closed
    saved: list[Any] = [x.value for x in operands]
    saved += [_slot_value(leaf) for leaf, _ in program.closed]
    node = Node(
        recompute_node,
        tuple(n for n, _ in ends),
        tuple(i for _, i in ends),
        {"body": program},
        program.specs,
        state.scope,
        state.origin,
        state.origin_source or capture(),
        True,
        (*[None] * len(outputs), *saved),
    )
    return [Tensor(node, k, y.value) for k, y in enumerate(outputs)]


def _as_one_node(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Recorded: one node that holds the graph of the function."""
    leaves, rebuild = flatten((args, kwargs))
    places = [k for k, (_, x) in enumerate(leaves) if isinstance(x, Tensor | np.ndarray)]
    given = [leaves[k][1] for k in places]
    specs = dict(
        zip(input_names("x", [leaves[k][0] for k in places]), map(leaf_spec, given), strict=True)
    )

    def refill(inputs: Iterator[Any]) -> Any:
        filled = dict(zip(places, inputs))
        return rebuild(iter([filled.get(k, x) for k, (_, x) in enumerate(leaves)]))

    trace = Trace("recompute", lambda args, kwargs: function(*args, **kwargs), specs, refill)
    found, rebuild_result = flatten(trace.result)
    results = [x for _, x in found]
    counted = [k for k, x in enumerate(results) if isinstance(x, Tensor)]
    recorder = trace.recorder
    ends = [recorder.last(slot) for slot in recorder.written]
    outputs = trace.references([*(results[k] for k in counted), *ends])
    closed = {key: pair[0] for key, pair in recorder.inside.items()}
    inner = [recorder.inlet(key, outside) for key, outside in closed.items()]
    graph = Graph(named([*trace.inputs, *inner]), outputs)
    made = recompute_node(*given, *closed.values(), body=graph) if outputs else ()
    for k, y in zip(counted, made):
        results[k] = y
    for slot, value in zip(recorder.written, made[len(counted) :]):
        assign(slot, value)
    return rebuild_result(iter(results))
