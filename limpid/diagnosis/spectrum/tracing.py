"""One forward pass of a model, kept as a graph: where signals come in, and where they end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from limpid.compiler.steps.bound import BoundStep
from limpid.compiler.steps.step import Step
from limpid.diagnosis.spectrum.piece import Place, gradient_at, spec_at
from limpid.differentiation.reverse import reverse
from limpid.errors import ArgumentError, NoGradientError, OperandError
from limpid.graph.context import absolute_scope, context, enable_grad
from limpid.graph.graph import pick
from limpid.graph.node import Array, Node, reachable
from limpid.nn.module import Module
from limpid.ops.axes import integer
from limpid.storage import writes_undone
from limpid.tensor import Tensor, make_leaf, to_array
from limpid.transforms.nesting import flatten


@dataclass
class Traced:
    """A forward pass.

    starts    where signals come in: the inputs, or what was looked up by integers
    ends      what the model returned, as far as it depends on those
    nodes     all on the way, oldest first; their saved values are there
    gradients of the loss with respect to the ends, or random ones of norm 1
    upstream  which of the two: "loss" or "random unit gradient"
    holders   tensors that must live as long as the nodes do
    """

    starts: list[Place]
    ends: list[Place]
    nodes: list[Node]
    gradients: list[Array]
    upstream: str
    holders: list[Any] = field(default_factory=list)


def trace(
    model: Any, x: Any, loss: Callable[..., Any] | None, seed: int, argnums: Any = 0
) -> Traced:
    """The pass of a model, or of the function of a compiled step, at a batch.

    Signals come in through the arguments `argnums`; the others are constant.

    Nothing outside changes: what is written (running statistics, random counters) is set back.
    Raises OperandError or ArgumentError for what can't be traced.
    """
    if context.state.recorder is not None or context.state.transforming:
        raise ArgumentError(
            "the model can't be looked at within a recording or a transform, where there are no "
            "values\nremedy: call this outside of compiled and differentiated functions"
        )
    arguments = x if isinstance(x, tuple) else (x,)
    chosen = chosen_arguments(argnums, len(arguments))
    if isinstance(model, Step | BoundStep):
        if loss is not None:
            raise ArgumentError("a step has its own loss: leave out loss=")
        return _trace_step(model, arguments, chosen)
    if not callable(model):
        raise OperandError(f"the model must be a module or a function, not {model!r:.60}")
    with enable_grad(), writes_undone():
        given, rebuild = flatten([arguments[k] for k in chosen])
        leaves = [_leaf(value, path) for path, value in given]
        fresh = dict(zip(chosen, rebuild(iter(leaves)), strict=True))
        with _trainable(model, leaves):
            result = model(*(fresh.get(k, value) for k, value in enumerate(arguments)))
        outputs = [y for _, y in flatten(result)[0] if isinstance(y, Tensor)]
        if not outputs:
            raise OperandError(f"the model must return tensors, not {type(result).__name__}")
        total = None if loss is None else _loss(loss, result)
    return _traced(leaves, outputs, total, seed)


def _leaf(value: Any, path: str) -> Tensor:
    """An input of the pass. One of integers has a node, too, so that its uses can be seen."""
    if isinstance(value, str | bytes) or (callable(value) and not isinstance(value, Tensor)):
        raise OperandError(f"input {path} is {value!r:.60}, not an array")
    array = np.array(value.value if isinstance(value, Tensor) else to_array(value))
    if not array.size:
        raise ArgumentError(f"input {path} has shape {array.shape}: there is nothing in it")
    return _armed(array, f"input {path}")


def _armed(array: Array, label: str | None) -> Tensor:
    """A leaf whose uses make nodes, whatever its type."""
    made = make_leaf(Tensor.__new__(Tensor), array, False, label)
    assert made.node is not None
    made.node.requires_grad = True
    return made


@contextmanager
def _trainable(model: Any, leaves: Sequence[Tensor]) -> Iterator[None]:
    """Frozen parameters make nodes, too, where only they would: looked up by integers."""
    frozen: list[Node] = []
    if isinstance(model, Module) and not any(x.dtype.kind == "float" for x in leaves):
        frozen = [p.node for p in model.parameters() if p.node and not p.requires_grad]
    for node in frozen:
        node.requires_grad = True
    try:
        yield
    finally:
        for node in frozen:
            node.requires_grad = False


def _loss(loss: Callable[..., Any], result: Any) -> Tensor:
    if not callable(loss):
        raise OperandError(f"loss must be a function of what the model returns, not {loss!r:.60}")
    total = loss(result)
    if not isinstance(total, Tensor) or total.size != 1:
        what = f"shape {total.shape}" if isinstance(total, Tensor) else type(total).__name__
        raise ArgumentError(f"the loss must be a single number, not {what}; limpid.mean makes one")
    if total.node is None:
        raise NoGradientError("the loss does not depend on what the model returned")
    return total


def _traced(
    leaves: Sequence[Tensor], outputs: Sequence[Tensor], total: Tensor | None, seed: int
) -> Traced:
    """Starts, ends and gradients of a pass that has run."""
    nodes = reachable([y.node for y in (*outputs, total) if y is not None])
    starts = find_starts(nodes, [x.node for x in leaves if x.node is not None])
    ends = _ends(nodes, starts, outputs)
    if total is not None:
        ends, gradients = _arriving(total, ends)
        upstream = "loss"
    else:
        gradients, upstream = _seeds(ends, seed)
    return Traced(starts, ends, nodes, gradients, upstream, [leaves, outputs, total])


def find_starts(nodes: Sequence[Node], leaves: Sequence[Node]) -> list[Place]:
    """Inputs of a float type; where there are none, what integers of the input looked up.

    Raises NoGradientError if nothing that has a derivative depends on the inputs.
    """
    here = set(nodes)
    floats: list[Place] = [
        (x, 0) for x in leaves if x in here and x.outputs[0].dtype.kind == "float"
    ]
    if floats:
        return floats
    integers = set(leaves)
    found: list[Place] = []
    for node in nodes:
        if not any(x in integers for x in node.inputs if isinstance(x, Node)):
            continue
        if len(node.outputs) == 1 and node.outputs[0].dtype.kind != "float":
            integers.add(node)
        elif len(node.outputs) == 1 and not depending(nodes, found).intersection(node.inputs):
            found.append((node, 0))
    if not found:
        raise NoGradientError(
            "what the model returned depends on no input by a way that has a derivative\n"
            "remedy: pass the inputs of a float type, or check what cuts the graph with limpid.why"
        )
    return found


def depending(nodes: Sequence[Node], starts: Sequence[Place]) -> set[Node]:
    """The nodes to which signals come from the starts by ways that have a derivative."""
    active = {node for node, _ in starts}
    for node in nodes:
        op: Any = node.op
        if node.inputs and node not in active and node.requires_grad:
            for i, (x, k) in enumerate(zip(node.inputs, node.indices, strict=True)):
                if isinstance(x, Node) and x in active and op.differentiable >> i & 1:
                    if x.outputs[k].dtype.kind == "float":
                        active.add(node)
                        break
    return active


def _ends(nodes: Sequence[Node], starts: Sequence[Place], outputs: Sequence[Tensor]) -> list[Place]:
    """The outputs that depend on the starts, each once."""
    active = depending(nodes, starts)
    found = {
        (y.node, y.index): None
        for y in outputs
        if y.node is not None and y.node in active and y.dtype.kind == "float"
    }
    if not found:
        raise NoGradientError(
            "what the model returned depends on no input by a way that has a derivative"
        )
    return list(found)


def _arriving(total: Tensor, ends: Sequence[Place]) -> tuple[list[Place], list[Array]]:
    """The ends that the loss depends on, and its gradients there."""
    kept: list[Place] = []
    gradients: list[Array] = []
    seed = np.ones(total.shape, total.dtype.storage)
    with np.errstate(all="ignore"):
        found, _ = reverse([total], [seed], [node for node, _ in ends], recording=False)
    for place in ends:
        g = gradient_at(found, place)
        if g is not None:
            kept.append(place)
            gradients.append(g)
    if not kept:
        raise NoGradientError("the loss does not depend on what the model returned")
    return kept, gradients


def _seeds(ends: Sequence[Place], seed: int) -> tuple[list[Array], str]:
    """Without a loss: 1 for a single number, else a random direction."""
    specs = [spec_at(place) for place in ends]
    if len(specs) == 1 and specs[0].size == 1:
        return [np.ones(specs[0].shape, specs[0].dtype.storage)], "loss"
    random = np.random.default_rng(seed)
    drawn = [random.standard_normal(spec.shape) for spec in specs]
    length = float(np.sqrt(sum(np.vdot(g, g) for g in drawn)))
    made = [
        np.asarray(g / length).astype(x.dtype.storage) for g, x in zip(drawn, specs, strict=True)
    ]
    return made, "random unit gradient"


def chosen_arguments(argnums: Any, count: int) -> list[int]:
    """The numbers of arguments that are meant. Raises ArgumentError for those that aren't there."""
    given = argnums if isinstance(argnums, tuple | list) else (argnums,)
    found = [integer(number, "argnums") for number in given]
    if not found or any(number >= count for number in found):
        raise ArgumentError(f"argnums={argnums}, but there are {count} inputs, from 0 on")
    return sorted(set(found))


def _trace_step(
    step: Step | BoundStep, arguments: tuple[Any, ...], chosen: Sequence[int]
) -> Traced:
    """The pass of a step's recorded graph up to the number whose gradient it takes."""
    if isinstance(step, BoundStep):
        recording, arrays = step.step.record(step.instance, (step.instance, *arguments), {})
    else:
        recording, arrays = step.record(None, arguments, {})
    graph, upstream = recording.graph, recording.trail.upstream
    places = [place for place in upstream if place[0].origin is None and place[0].inputs]
    if not places:
        raise NoGradientError(f"{step!r} takes no gradient, so there is nothing to follow")
    end = max(places, key=lambda place: place[0].number)
    inputs = dict(zip(graph.inputs.values(), arrays, strict=True))
    numbers = [k for k, value in enumerate(arguments) for _ in range(_count_arrays(value))]
    through = set(inputs)
    if len(numbers) == len(inputs):  # else some are numbers, or of the instance of a method
        through = {node for node, k in zip(inputs, numbers, strict=True) if k in chosen}
    made: dict[Node, Any] = {}
    leaves: list[Tensor] = []
    with enable_grad():
        for node in reachable([end[0]]):
            if node in through:
                made[node] = _armed(np.array(inputs[node]), getattr(node.op, "label", None))
                leaves.append(made[node])
            elif node in inputs:
                made[node] = Tensor(None, 0, np.array(inputs[node]))
            elif not node.inputs:
                made[node] = _slot(node)
            else:
                made[node] = _again(node, made)
    total = made[end[0]][end[1]] if isinstance(made[end[0]], tuple) else made[end[0]]
    found = _traced(leaves, [total], total, 0)
    found.holders.append(made)
    return found


def _count_arrays(value: Any) -> int:
    return sum(isinstance(x, Tensor | np.ndarray) for _, x in flatten(value)[0])


def _slot(node: Node) -> Tensor:
    """A leaf of a recording with the value that its slot has now."""
    op: Any = node.op
    made = make_leaf(Tensor.__new__(Tensor), np.array(op.storage.read()), False, op.label)
    assert made.node is not None
    made.node.requires_grad = node.requires_grad
    return made


def _again(node: Node, made: dict[Node, Any]) -> Any:
    """A recorded node once more, eager."""
    op: Any = node.op
    operands = [pick(made, x, k) for x, k in zip(node.inputs, node.indices, strict=True)]
    with absolute_scope(node.scope):
        return op(*operands, **node.params)
