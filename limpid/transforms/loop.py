"""The primitive `scan`: a loop whose params hold the graph of its body, and its derivatives.

Operands are, in this order, what the body closes over, the first carry, and what is scanned over;
the inputs of the body are the same for one iteration. Outputs are the last carry and, stacked, what
each iteration gave.

The derivatives of a scan are scans. The gradient is one in the other direction over the derivative
of the body; the tangent one in the same direction. What they read of the body's values is taken
from the scan's outputs if it was kept there (`keeping`), as eager nodes keep theirs; otherwise the
loop runs again for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from limpid.differentiation.declaration import shared_general
from limpid.differentiation.forward import push_forward
from limpid.differentiation.reverse import reverse as pull_back
from limpid.differentiation.rules import RuleRecorder
from limpid.errors import ShapeError
from limpid.graph.context import recording_into
from limpid.graph.graph import Graph, is_reference
from limpid.graph.node import Array, Node, Spec, reachable
from limpid.tensor import Tensor
from limpid.transforms.body import (
    Cut,
    Dependence,
    Reference,
    graph_specs,
    named,
    new_leaf,
    reference_of,
    reference_spec,
    tensor_of,
    zeros_of,
)


def _run(
    *operands: Array, body: Graph, closed: int, carried: int, length: int, reverse: bool
) -> tuple[Array, ...]:
    """The loop on NumPy."""
    constants, carry = operands[:closed], list(operands[closed : closed + carried])
    xs = operands[closed + carried :]
    specs = [reference_spec(r) for r in body.outputs[carried:]]
    ys = [np.empty((length, *s.shape), s.dtype.storage) for s in specs]
    for i in reversed(range(length)) if reverse else range(length):
        results, _ = body.evaluate([*constants, *carry, *[x[i, ...] for x in xs]])
        carry = results[:carried]
        for y, made in zip(ys, results[carried:]):
            y[i] = made
    return (*carry, *ys)


def _specs(
    *operands: Spec, body: Graph, closed: int, carried: int, length: int, reverse: bool
) -> tuple[Spec, ...]:
    expected = graph_specs(body)
    for i, spec in enumerate(expected[closed + carried :], closed + carried):
        expected[i] = Spec((length, *spec.shape), spec.dtype)
    if list(operands) != expected:
        raise ShapeError(f"the body was recorded for operands {expected}, not {list(operands)}")
    made = [reference_spec(r) for r in body.outputs]
    if made[:carried] != expected[closed : closed + carried]:
        raise ShapeError("the body gives a carry of other shapes and types than it takes")
    return (*made[:carried], *(Spec((length, *y.shape), y.dtype) for y in made[carried:]))


class Plan(NamedTuple):
    """A derived scan: its body, and where its operands come from."""

    graph: Graph
    reads: list[Reference]  # values of the body that it scans over
    used: list[int]  # operands of the scan that its body closes over, too
    carries: list[int]  # carries that have a gradient or tangent
    sums: list[int]  # closed-over operands whose gradients it sums up
    streams: list[int]  # of a gradient: outputs with an upstream; of a tangent: those that have one
    slices: list[int]  # operands that are scanned over and have a gradient


def _operand_nodes(body: Graph) -> list[Node]:
    return list(body.inputs.values())


def _spread(
    depends: Dependence, outputs: Sequence[Any], first: int, carried: int, seen: int
) -> int:
    """The operands in `seen`, and every carry that depends on one in some iteration."""
    before = -1
    while before != seen:
        before = seen
        for j, output in enumerate(outputs[:carried]):
            if depends.gradient(output) & seen:
                seen |= 1 << (first + j)
    return seen


def _arriving(
    depends: Dependence, outputs: Sequence[Any], first: int, carried: int, upstream: set[int]
) -> set[int]:
    """The outputs that have a gradient in some iteration."""
    arriving = set(upstream)
    stack = list(upstream)
    while stack:
        reached = depends.gradient(outputs[stack.pop()])
        fresh = {j for j in range(carried) if reached >> (first + j) & 1} - arriving
        arriving |= fresh
        stack.extend(fresh)
    return arriving


def backward_plan(
    body: Graph, closed: int, carried: int, needed: Sequence[int], upstream: set[int]
) -> Plan:
    """The scan that gives the gradients of the needed operands.

    Its carry is the gradient of the carry, and the sums for what is closed over.
    """
    nodes, depends = _operand_nodes(body), Dependence(body)
    first = closed + carried
    reach = _spread(depends, body.outputs, closed, carried, sum(1 << i for i in needed))
    arriving = _arriving(depends, body.outputs, closed, carried, upstream)
    carries = [
        j
        for j in range(carried)
        if j in arriving and reach >> (closed + j) & 1 and _floats(nodes[closed + j])
    ]
    streams = [
        k for k in sorted(upstream) if k >= carried and depends.gradient(body.outputs[k]) & reach
    ]
    seeds = {k: new_leaf(reference_spec(body.outputs[k]), f"g_{k}") for k in (*carries, *streams)}
    wanted = [closed + j for j in carries] + [i for i in needed if not closed <= i < first]
    with recording_into(RuleRecorder()):
        ends = [k for k in seeds if is_reference(body.outputs[k])]
        found, _ = pull_back(
            [tensor_of(body.outputs[k]) for k in ends],
            [Tensor(seeds[k], 0, None) for k in ends],
            [nodes[i] for i in wanted],
            True,
        )
        sums = [i for i in needed if i < closed and nodes[i] in found]
        slices = [i for i in needed if i >= first and nodes[i] in found]
        totals = [new_leaf(nodes[i].outputs[0], f"sum_{i}") for i in sums]
        made = [_or_zeros(found.get(nodes[closed + j]), nodes[closed + j]) for j in carries]
        made += [Tensor(t, 0, None) + found[nodes[i]] for t, i in zip(totals, sums)]
        made += [found[nodes[i]] for i in slices]
    carry_leaves = [*(seeds[j] for j in carries), *totals]
    graph, reads, used = _derived(
        body, closed, made, [], carry_leaves, [seeds[k] for k in streams], depends
    )
    return Plan(graph, reads, used, carries, sums, streams, slices)


def forward_plan(body: Graph, closed: int, carried: int, moving: Sequence[int]) -> Plan:
    """The scan that gives the tangents of the outputs, for tangents of the `moving` operands."""
    nodes, depends = _operand_nodes(body), Dependence(body)
    first = closed + carried
    moved = _spread(depends, body.outputs, closed, carried, sum(1 << i for i in moving))
    carries = [
        j for j in range(carried) if moved >> (closed + j) & 1 and _floats(nodes[closed + j])
    ]
    sources = [i for i in moving if i < closed] + [closed + j for j in carries]
    sources += [i for i in moving if i >= first]
    leaves = {i: new_leaf(nodes[i].outputs[0], f"d_{i}") for i in sources}
    with recording_into(RuleRecorder()):
        ends = [k for k, r in enumerate(body.outputs) if is_reference(r)]
        pushed = dict(
            zip(
                ends,
                push_forward(
                    [tensor_of(body.outputs[k]) for k in ends],
                    {nodes[i]: Tensor(leaf, 0, None) for i, leaf in leaves.items()},
                    True,
                ),
            )
        )
        streams = [k for k in ends if k >= carried and pushed[k] is not None]
        made = [_or_zeros(pushed.get(j), nodes[closed + j]) for j in carries]
        made += [pushed[k] for k in streams]
    graph, reads, used = _derived(
        body,
        closed,
        made,
        [leaf for i, leaf in leaves.items() if i < closed],
        [leaves[closed + j] for j in carries],
        [leaf for i, leaf in leaves.items() if i >= first],
        depends,
    )
    return Plan(graph, reads, used, carries, [], streams, [])


def _floats(node: Node) -> bool:
    return node.outputs[0].dtype.kind == "float"


def _or_zeros(made: Any, node: Node) -> Any:
    return zeros_of(node.outputs[0]) if made is None else made


def _derived(
    body: Graph,
    closed: int,
    made: Sequence[Any],
    constants: list[Node],
    carries: list[Node],
    scanned: list[Node],
    depends: Dependence,
) -> tuple[Graph, list[Reference], list[int]]:
    """The body of a derived scan: the graph of `made`, cut off from the body it came from."""
    nodes = _operand_nodes(body)
    per_step = -1 << closed  # what depends on the carry or on what is scanned over
    varying = {node for node, mask in depends.by_value.items() if mask & per_step}
    leaves = [*nodes[:closed], *constants, *carries, *scanned]
    cut = Cut([reference_of(x) for x in made], leaves, varying)
    reached = set(reachable([r[0] for r in cut.outputs if is_reference(r)]))
    used = [i for i in range(closed) if nodes[i] in reached]
    inputs = named([*(nodes[i] for i in used), *constants, *carries, *scanned, *cut.read_leaves])
    return Graph(inputs, cut.outputs), cut.reads, used


def keeping(body: Graph, closed: int, carried: int, needed: Sequence[int]) -> Graph:
    """The body with further outputs: what the gradients of these operands will read."""
    upstream = {k for k, r in enumerate(body.outputs) if reference_spec(r).dtype.kind == "float"}
    reads = backward_plan(body, closed, carried, needed, upstream).reads
    missing = _missing(reads, body, closed + carried, carried)
    return Graph(body.inputs, (*body.outputs, *missing)) if missing else body


def _missing(reads: Sequence[Reference], body: Graph, first: int, carried: int) -> list[Reference]:
    """Those values of the body that are neither scanned over nor among its stacked outputs."""
    there = {r for r in body.outputs[carried:] if is_reference(r)}
    there |= {(node, 0) for node in _operand_nodes(body)[first:]}
    return [r for r in reads if r not in there]


def _saved(reads: Sequence[Reference], y: Sequence[Any], operands: Any, params: Any) -> list[Any]:
    """The values read in each iteration, stacked."""
    body, carried = params["body"], params["carried"]
    first = params["closed"] + carried
    stacks: dict[Reference, int] = {
        (node, 0): i for i, node in enumerate(_operand_nodes(body)) if i >= first
    }
    found = {r: operands[i] for r, i in stacks.items()}
    kept = {r: k for k, r in enumerate(body.outputs) if k >= carried and is_reference(r)}
    missing = _missing(reads, body, first, carried)
    if missing:
        again = Graph(body.inputs, (*body.outputs[:carried], *missing))
        results = scan(*operands, **{**params, "body": again})
        found.update(zip(missing, results[carried:]))
    return [found[r] if r in found else y[kept[r]] for r in reads]


def _gradients(needed: Sequence[int], g: Any, y: Any, *operands: Any, **params: Any) -> Any:
    """The downstream gradients of the needed operands, by number; None where there is none."""
    closed, carried = params["closed"], params["carried"]
    g, y = _tuple(g), _tuple(y)
    body: Graph = params["body"]
    upstream = {
        k
        for k, (passed, r) in enumerate(zip(g, body.outputs))
        if passed is not None and reference_spec(r).dtype.kind == "float"
    }
    plan = backward_plan(body, closed, carried, needed, upstream)
    shares: dict[int, Any] = dict.fromkeys(needed)
    if not plan.graph.outputs:
        return shares
    nodes = _operand_nodes(body)
    carry = [zeros_of(nodes[closed + j].outputs[0]) if g[j] is None else g[j] for j in plan.carries]
    results = scan(
        *[operands[i] for i in plan.used],
        *carry,
        *[zeros_of(nodes[i].outputs[0]) for i in plan.sums],
        *[g[k] for k in plan.streams],
        *_saved(plan.reads, y, operands, params),
        body=plan.graph,
        closed=len(plan.used),
        carried=len(carry) + len(plan.sums),
        length=params["length"],
        reverse=not params["reverse"],
    )
    numbers = [*(closed + j for j in plan.carries), *plan.sums, *plan.slices]
    shares.update((i, made) for i, made in zip(numbers, results) if i in shares)
    return shares


def _tangents(dxs: dict[int, Any], y: Any, *operands: Any, **params: Any) -> Any:
    """The tangents of the outputs; None where there is none."""
    closed, carried = params["closed"], params["carried"]
    body: Graph = params["body"]
    plan = forward_plan(body, closed, carried, sorted(dxs))
    tangents: list[Any] = [None] * len(body.outputs)
    if not plan.graph.outputs:
        return tuple(tangents)
    nodes = _operand_nodes(body)
    carry = [
        dxs[closed + j] if closed + j in dxs else zeros_of(nodes[closed + j].outputs[0])
        for j in plan.carries
    ]
    constants = [operands[i] for i in plan.used] + [dxs[i] for i in sorted(dxs) if i < closed]
    results = scan(
        *constants,
        *carry,
        *[dxs[i] for i in sorted(dxs) if i >= closed + carried],
        *_saved(plan.reads, _tuple(y), operands, params),
        body=plan.graph,
        closed=len(constants),
        carried=len(carry),
        length=params["length"],
        reverse=params["reverse"],
    )
    for k, made in zip((*plan.carries, *plan.streams), results):
        tangents[k] = made
    return tuple(tangents)


def _tuple(values: Any) -> tuple[Any, ...]:
    return tuple(values) if isinstance(values, tuple | list) else (values,)


scan = shared_general(
    "scan",
    _run,
    vjp=_gradients,
    jvp=_tangents,
    shape=_specs,
    math=r"\mathrm{scan}({operands})",
)
