"""cond: one of two functions, chosen by a value. Recorded, one node that holds both graphs.

Eager runs the chosen branch only. Recorded, both are recorded, and the node runs the chosen one.
Its derivatives are conds over the derivatives of the branches; backward runs the chosen branch
again, so that nothing but the operands is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from limpid.differentiation.declaration import shared_general
from limpid.differentiation.forward import push_forward
from limpid.differentiation.reverse import reverse as pull_back
from limpid.differentiation.rules import RuleRecorder
from limpid.errors import ArgumentError, DTypeError, ShapeError
from limpid.graph.context import context, recording_into
from limpid.graph.graph import Graph, is_reference
from limpid.graph.node import Array, Node, Spec, reachable
from limpid.graph.registry import operation
from limpid.ops.state import assign
from limpid.tensor import Tensor, operand
from limpid.transforms.body import (
    Trace,
    alias,
    aligned,
    given,
    graph_specs,
    input_names,
    leaf_spec,
    named,
    new_leaf,
    reference_of,
    reference_spec,
    settled,
    tensor_of,
    zeros_of,
)
from limpid.transforms.nesting import Rebuild, flatten


def _run(predicate: Array, *operands: Array, true: Graph, false: Graph) -> tuple[Array, ...]:
    results, _ = (true if predicate else false).evaluate(operands)
    return tuple(map(np.asarray, results))


def _specs(predicate: Spec, *operands: Spec, true: Graph, false: Graph) -> tuple[Spec, ...]:
    for branch in (true, false):
        if list(operands) != graph_specs(branch):
            raise ShapeError(f"a branch was recorded for operands {graph_specs(branch)}")
    made = tuple(map(reference_spec, true.outputs))
    if made != tuple(map(reference_spec, false.outputs)):
        raise ShapeError("the branches give results of different shapes or types")
    return made


def _branch_gradients(
    branch: Graph, needed: Sequence[int], upstream: Sequence[int]
) -> tuple[list[Node], list[Any]]:
    """Leaves for the upstream gradients, and the gradients of the needed operands."""
    nodes = list(branch.inputs.values())
    seeds = [new_leaf(reference_spec(branch.outputs[k]), f"g_{k}") for k in upstream]
    ends = [(s, branch.outputs[k]) for s, k in zip(seeds, upstream)]
    ends = [(seed, r) for seed, r in ends if is_reference(r)]
    with recording_into(RuleRecorder()):
        found, _ = pull_back(
            [tensor_of(r) for _, r in ends],
            [Tensor(seed, 0, None) for seed, _ in ends],
            [nodes[i] for i in needed],
            True,
        )
    return seeds, [found.get(nodes[i]) for i in needed]


def _branch_tangents(branch: Graph, moving: Sequence[int]) -> tuple[list[Node], list[Any]]:
    """Leaves for the tangents of operands, and the tangents of the outputs."""
    nodes = list(branch.inputs.values())
    leaves = [new_leaf(nodes[i].outputs[0], f"d_{i}") for i in moving]
    tangents = {nodes[i]: Tensor(leaf, 0, None) for i, leaf in zip(moving, leaves)}
    ends = [k for k, r in enumerate(branch.outputs) if is_reference(r)]
    with recording_into(RuleRecorder()):
        tensors = [tensor_of(branch.outputs[k]) for k in ends]
        pushed = dict(zip(ends, push_forward(tensors, tangents, True)))
    return leaves, [pushed.get(k) for k in range(len(branch.outputs))]


def _derived(
    predicate: Any,
    operands: Sequence[Any],
    arriving: Sequence[Any],
    branches: Sequence[Graph],
    made: Sequence[tuple[list[Node], list[Any]]],
    specs: Sequence[Spec],
) -> list[Any]:
    """The cond of two derived branches: its results, None where neither branch gives one."""
    pairs = zip(made[0][1], made[1][1])
    there = [k for k, (a, b) in enumerate(pairs) if a is not None or b is not None]
    if not there:
        return [None] * len(specs)
    ends = []
    for _, results in made:
        with recording_into(RuleRecorder()):
            values = [zeros_of(specs[k]) if results[k] is None else results[k] for k in there]
        ends.append([reference_of(x) for x in values])
    reached = [set(reachable([r[0] for r in refs if is_reference(r)])) for refs in ends]
    inputs = [list(branch.inputs.values()) for branch in branches]
    used = [i for i, (a, b) in enumerate(zip(*inputs)) if a in reached[0] or b in reached[1]]
    graphs = [
        Graph(named([*(nodes[i] for i in used), *leaves]), tuple(refs))
        for nodes, (leaves, _), refs in zip(inputs, made, ends)
    ]
    results = cond_node(
        predicate, *[operands[i] for i in used], *arriving, true=graphs[0], false=graphs[1]
    )
    back = dict(zip(there, results))
    return [back.get(k) for k in range(len(specs))]


def _gradients(
    needed: Sequence[int], g: Any, y: Any, predicate: Any, *operands: Any, true: Graph, false: Graph
) -> dict[int, Any]:
    """The downstream gradients of the needed operands, by number (the predicate is 0)."""
    g = tuple(g) if isinstance(g, tuple | list) else (g,)
    numbers = [i - 1 for i in needed]
    kinds = [reference_spec(r).dtype.kind for r in true.outputs]
    upstream = [k for k, passed in enumerate(g) if passed is not None and kinds[k] == "float"]
    specs = graph_specs(true)
    made = [_branch_gradients(branch, numbers, upstream) for branch in (true, false)]
    results = _derived(
        predicate,
        operands,
        [g[k] for k in upstream],
        (true, false),
        made,
        [specs[i] for i in numbers],
    )
    return dict(zip(needed, results))


def _tangents(
    dxs: dict[int, Any], y: Any, predicate: Any, *operands: Any, true: Graph, false: Graph
) -> tuple[Any, ...]:
    """The tangents of the outputs; None where there is none."""
    moving = sorted(dxs)
    made = [_branch_tangents(branch, [i - 1 for i in moving]) for branch in (true, false)]
    specs = [reference_spec(r) for r in true.outputs]
    arriving = [dxs[i] for i in moving]
    return tuple(_derived(predicate, operands, arriving, (true, false), made, specs))


cond_node = shared_general(
    "cond",
    _run,
    vjp=_gradients,
    jvp=_tangents,
    constants=1,  # the predicate
    shape=_specs,
    math=r"\mathrm{cond}({predicate}, {operands})",
)


@operation
def cond(
    predicate: Any,
    true_function: Callable[..., Any],
    false_function: Callable[..., Any],
    *operands: Any,
) -> Any:
    """`true_function(*operands)` if the predicate holds, else `false_function(*operands)`.

    predicate  a scalar: a number, an array or a tensor
    operands   any nestings of tensors, arrays and numbers; the functions may close over others
    returns    any nesting, the same for both functions, with the same shapes and types. Float
               numbers take the float type of the operands

    Recorded, it is one node that holds both graphs; a slot that a branch assigns is assigned after
    it. Only the chosen branch runs, so a gradient is zero where the other one would have used an
    operand. Raises ArgumentError, ShapeError or DTypeError, naming the leaf, where the branches
    differ.

    >>> import limpid
    >>> x = limpid.tensor(-3.0, requires_grad=True)
    >>> y = limpid.cond(x < 0, lambda x: -x, lambda x: x * x, x); y.backward(); x.grad.item()
    -1.0
    """
    predicate = operand(predicate)
    if predicate.size != 1:
        raise ShapeError(f"cond: the predicate must be one value, not {leaf_spec(predicate)}")
    leaves, rebuild = flatten(operands)
    paths = [path for path, _ in leaves]
    values = settled(given(x for _, x in leaves))
    functions = (true_function, false_function)
    recorder = context.state.recorder
    if recorder is None:
        chosen = functions[0] if predicate_holds(predicate) else functions[1]
        found, rebuild_result = flatten(chosen(*rebuild(map(alias, values))))
        beside = [predicate, *values]
        results = settled([x for _, x in found], beside)
        return rebuild_result(iter(results))
    if isinstance(predicate, Tensor):
        predicate = recorder.current(predicate)
    return as_one_node(predicate, functions, paths, values, rebuild)


def predicate_holds(predicate: Any) -> bool:
    """The truth of an array or of a tensor that has a value."""
    value = predicate.value if isinstance(predicate, Tensor) else predicate
    return bool(value.reshape(()))


def as_one_node(
    predicate: Any,
    functions: Sequence[Callable[..., Any]],
    paths: Sequence[str],
    values: Sequence[Any],
    rebuild: Rebuild,
) -> Any:
    """Both branches as one node: what a recording does, and what tests ask for in eager."""
    specs = dict(zip(input_names("x", paths), map(leaf_spec, values), strict=True))
    traces = [Trace("cond", function, specs, rebuild) for function in functions]
    parts = [flatten(trace.result) for trace in traces]
    results = _results([leaves for leaves, _ in parts], values)
    graphs, closed, slots = _branches(traces, results)
    operands = [*values, *closed]
    made: Sequence[Any] = ()
    if graphs[0].outputs:
        made = cond_node(predicate, *operands, true=graphs[0], false=graphs[1])
    count = len(results[0])
    for slot, value in zip(slots, made[count:]):
        assign(slot, value)
    return parts[0][1](iter(made[:count]))


def _branches(
    traces: Sequence[Trace], results: Sequence[list[Any]]
) -> tuple[list[Graph], list[Tensor], list[Tensor]]:
    """Both graphs, with the same inputs and outputs: what either closes over and assigns."""
    recorders = [trace.recorder for trace in traces]
    slots = {slot.node: slot for recorder in recorders for slot in recorder.written}
    outputs = []
    for trace, leaves in zip(traces, results):
        ends = [trace.recorder.last(slot) for slot in slots.values()]
        outputs.append(trace.references([*leaves, *ends]))
    closed = {key: pair[0] for r in recorders for key, pair in r.inside.items()}
    graphs = []
    for trace, refs in zip(traces, outputs):
        inner = [trace.recorder.inlet(key, outside) for key, outside in closed.items()]
        graphs.append(Graph(named([*trace.inputs, *inner]), refs))
    return graphs, list(closed.values()), list(slots.values())


def _results(
    leaves: Sequence[list[tuple[str, Any]]], values: Sequence[Any]
) -> tuple[list[Any], list[Any]]:
    """What the branches return, in one order; raises where they differ."""
    paths = [path for path, _ in leaves[0]]
    other = aligned(paths, leaves[1])
    if other is None:
        texts = ["(" + ", ".join(path or "result" for path, _ in found) + ")" for found in leaves]
        raise ArgumentError(
            f"cond: the branches return different nestings, with the leaves {texts[0]} and "
            f"{texts[1]}"
        )
    results = settled([x for _, x in leaves[0]], values), settled(other, values)
    for path, a, b in zip(paths, *results, strict=True):
        one, two = leaf_spec(a), leaf_spec(b)
        if one != two:
            kind = ShapeError if one.shape != two.shape else DTypeError
            name = f"result[{path}]" if path else "the result"
            raise kind(
                f"cond: {name} is {one} where the predicate holds and {two} where it does not; "
                "both branches must return the same shapes and types"
            )
    return results
