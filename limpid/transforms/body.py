"""Recording the functions that scan and cond are given, and cutting derived graphs out of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from limpid.errors import ArgumentError, InPlaceError
from limpid.graph.context import context, recording_into, scope
from limpid.graph.dtype import result_type
from limpid.graph.graph import Graph, is_reference
from limpid.graph.node import NO_PARAMS, Leaf, Node, Spec, reachable, spec_of
from limpid.graph.registry import operations
from limpid.graph.source import capture, describe
from limpid.ops.cast import stop_gradient
from limpid.tensor import Tensor, operand
from limpid.transforms.nesting import Rebuild
from limpid.transforms.recording import Recorder

Reference = tuple[Node, int]


class BodyRecorder(Recorder):
    """Records a body. What it closes over becomes an input, and a slot it assigns to an output.

    All floats among the inputs require a gradient, whether or not their values outside do: so the
    nodes say which of them a gradient passes through (`no_grad` in a body cuts it).
    """

    def __init__(self, what: str) -> None:
        super().__init__()
        self.parent = context.state.recorder
        self.what = what
        self.open = context.state.grad_enabled
        self.inside: dict[Reference, tuple[Tensor, Tensor]] = {}  # what it closes over: both sides
        self.written: list[Tensor] = []  # slots, each once

    def operand(self, spec: Spec, label: str) -> Tensor:
        """A new input, made for a value from outside."""
        return self.input(spec, label, spec.dtype.kind == "float" and self.open)

    def current(self, tensor: Tensor) -> Tensor:
        """What a tensor stands for at this point of the body."""
        node = tensor.node
        if node is None:
            return tensor
        if node in self.now and tensor._value is not None:
            return self.now[node]
        if node in self.own:
            return tensor
        outside = tensor if self.parent is None else self.parent.current(tensor)
        if outside.node is None:
            return outside
        key = (outside.node, outside.index)
        if key not in self.inside:
            inside = self.operand(outside.spec, f"closed_{len(self.inside) + 1}")
            self.inside[key] = (outside, inside)
        return self.inside[key][1]

    def assign(self, slot: Tensor, value: Tensor) -> None:
        """The slot has this value from here on; what is assigned carries no gradient."""
        assert slot.node is not None
        self.current(slot)
        if all(slot.node is not known.node for known in self.written):
            self.written.append(slot)
        self.now[slot.node] = stop_gradient(value) if value.dtype.kind == "float" else value

    def gradients(self, node: Node) -> dict[int, Any]:
        """A recorded body can't leave gradients behind."""
        raise ArgumentError(
            f".backward() or .grad inside the body of a recorded {self.what}: the gradient would "
            "be left outside it\nremedy: limpid.grad in the body, and return what it gives"
        )

    def rebind(self, tensor: Tensor) -> None:
        """A tensor from outside can't be left standing for a node of the body."""
        if tensor.node is not None and self.has_made(tensor.node):
            return
        raise InPlaceError(
            f"the body of a recorded {self.what} changes a tensor of shape {tensor.shape} from "
            f"outside in place, at {describe(capture())}\nremedy: return the new value; a scan "
            "carries it from one iteration to the next"
        )

    def entry(self, slot: Tensor) -> Tensor:
        """The input through which a written slot's value comes in; no longer a closed-over one."""
        outside = slot if self.parent is None else self.parent.current(slot)
        if outside.node is not None and (outside.node, outside.index) in self.inside:
            return self.inside.pop((outside.node, outside.index))[1]
        return self.operand(slot.spec, "slot")

    def last(self, slot: Tensor) -> Tensor:
        """The value of a slot at the end of the body."""
        return self.current(slot)

    def inlet(self, key: Reference, outside: Tensor) -> Tensor:
        """The input for a value that this body, or the other branch, closes over."""
        pair = self.inside.get(key)
        return pair[1] if pair else self.operand(outside.spec, "closed")


class Trace:
    """A body that has run once on tensors without values."""

    def __init__(
        self, what: str, function: Callable[..., Any], specs: dict[str, Spec], rebuild: Rebuild
    ) -> None:
        self.recorder = BodyRecorder(what)
        self.inputs = [self.recorder.operand(spec, name) for name, spec in specs.items()]
        enabled = context.state.grad_enabled
        with recording_into(self.recorder), scope("scan[i]" if what == "scan" else ""):
            context.state.grad_enabled = enabled
            self.result = function(*rebuild(iter(map(alias, self.inputs))))

    def references(self, values: Iterable[Any]) -> tuple[Any, ...]:
        """References to results as graphs have them."""
        return self.recorder.references(list(values))


def alias(x: Any) -> Any:
    """The same value again, so that `x += 1` in a body rebinds no tensor and writes to no array."""
    if isinstance(x, Tensor):
        return Tensor(x.node, x.index, x._value)
    view = x.view()
    view.flags.writeable = False
    return view


def input_names(prefix: str, paths: Sequence[str]) -> list[str]:
    """Different names for the leaves of a nesting, as Python spells names."""
    names: list[str] = []
    for path in paths:
        name = f"{prefix}_{path}" if path else prefix
        name = "".join(c if c.isalnum() and c.isascii() else "_" for c in name)
        while name in names:
            name += "_"
        names.append(name)
    return names


def leaf_spec(x: Any) -> Spec:
    """The spec of a tensor or an array."""
    return x.spec if isinstance(x, Tensor) else spec_of(x)


def aligned(paths: Sequence[str], leaves: Sequence[tuple[str, Any]]) -> list[Any] | None:
    """Leaves in the order of the paths (a dict may be built in another); None if they differ."""
    found = [path for path, _ in leaves]
    if found == list(paths):
        return [x for _, x in leaves]
    if sorted(found) != sorted(paths) or len(set(found)) < len(found):
        return None
    by_path = dict(leaves)
    return [by_path[path] for path in paths]


def is_number(x: Any) -> bool:
    """Whether this is a Python number, which is weak."""
    return isinstance(x, bool | int | float) and not isinstance(x, np.generic)


def given(leaves: Iterable[Any]) -> list[Any]:
    """Leaves that come in, where NumPy's scalars are weak, too.

    In what a body returns they are not: NumPy makes them of 0-d arrays.
    """
    return [x.item() if isinstance(x, np.generic) else x for x in leaves]


def settled(leaves: Sequence[Any], like: Sequence[Any] = ()) -> list[Any]:
    """Leaves as arrays and tensors: float numbers in the float type of the leaves beside them."""
    strong = [x for x in (*leaves, *like) if not is_number(x)]
    strong = [operand(x) for x in strong]
    kinds = [leaf_spec(x).dtype for x in strong]
    as_tensor = any(isinstance(x, Tensor) for x in strong)
    settled_leaves = []
    for x in leaves:
        if is_number(x):
            floats = [k for k in kinds if k.kind == "float"]
            kind = result_type([x, *floats]).storage if isinstance(x, float) else None
            array = np.asarray(x, kind)
            x = Tensor(None, 0, array) if as_tensor else array
        settled_leaves.append(operand(x))
    return settled_leaves


def reference_spec(reference: Any) -> Spec:
    """The spec of an output of a graph."""
    return reference[0].outputs[reference[1]] if is_reference(reference) else spec_of(reference)


def reference_of(value: Any) -> Any:
    """The reference to a tensor as graphs have it; a value that no node made stays a value."""
    if not isinstance(value, Tensor):
        return value
    return value.value if value.node is None else (value.node, value.index)


def tensor_of(reference: Any) -> Tensor:
    """The tensor without value that a reference to a node is to."""
    node, index = reference
    return Tensor(node, index, None)


def named(leaves: Iterable[Node | Tensor]) -> dict[str, Node]:
    """Leaves by their labels, which are made different where they are not."""
    inputs: dict[str, Node] = {}
    for given in leaves:
        leaf = given.node if isinstance(given, Tensor) else given
        assert leaf is not None
        name = (leaf.op.label if isinstance(leaf.op, Leaf) else None) or "x"
        while name in inputs:
            name += "_"
        inputs[name] = leaf
    return inputs


def graph_specs(graph: Graph) -> list[Spec]:
    """The specs of a graph's inputs."""
    return [node.outputs[0] for node in graph.inputs.values()]


def new_leaf(spec: Spec, label: str) -> Node:
    """A new input of a derived graph, which can be differentiated again."""
    is_float = spec.dtype.kind == "float"
    return Node(Leaf(label), (), (), NO_PARAMS, (spec,), "", None, None, is_float)


def zeros_of(spec: Spec) -> Any:
    """Zeros, which take no memory in a graph."""
    zero = np.zeros((), spec.dtype.storage)
    if context.state.recorder is None:
        return np.zeros(spec.shape, spec.dtype.storage)
    return operations["broadcast_to"](Tensor(None, 0, zero), spec.shape)


class Dependence:
    """Which inputs of a graph its nodes depend on, as bit masks: by value, and by gradient."""

    def __init__(self, graph: Graph) -> None:
        self.by_value: dict[Node, int] = {}
        self.by_gradient: dict[Node, int] = {}
        for i, node in enumerate(graph.inputs.values()):
            self.by_value[node] = 1 << i
            self.by_gradient[node] = 1 << i if node.requires_grad else 0
        for node in graph.nodes:
            value = gradient = 0
            for i, parent in enumerate(node.inputs):
                if type(parent) is Node:
                    value |= self.by_value[parent]
                    if node.requires_grad and node.op.differentiable >> i & 1:  # type: ignore[attr-defined]  # a Primitive
                        gradient |= self.by_gradient[parent]
            self.by_value[node], self.by_gradient[node] = value, gradient

    def gradient(self, reference: Any) -> int:
        """The inputs that a gradient of this output reaches; none if it is no float."""
        if not is_reference(reference) or reference_spec(reference).dtype.kind != "float":
            return 0
        return self.by_gradient[reference[0]]


class Cut:
    """A graph derived from another one: what it reads of that one's values becomes its inputs.

    made     references to the results, recorded from nodes of the body and from new leaves
    leaves   the new leaves, and those inputs of the body that the graph shares with it
    varying  the nodes of the body whose values are to be handed over; others are copied

    `reads` are the references handed over, `read_leaves` the inputs made for them, `outputs` the
    results.
    """

    def __init__(self, made: Sequence[Any], leaves: Iterable[Node], varying: set[Node]) -> None:
        stop = varying | set(leaves)
        ends = [r[0] for r in made if is_reference(r)]
        nodes = [n for n in reachable(ends, stop) if n not in stop]
        pairs = [(x, i) for n in nodes for x, i in zip(n.inputs, n.indices) if type(x) is Node]
        pairs += [r for r in made if is_reference(r)]
        self.reads = list(dict.fromkeys(p for p in pairs if p[0] in varying))
        self.read_leaves = [
            new_leaf(reference_spec(r), f"saved_{k}") for k, r in enumerate(self.reads, 1)
        ]
        self._now: dict[Reference, Reference] = {
            r: (leaf, 0) for r, leaf in zip(self.reads, self.read_leaves)
        }
        for node in nodes:
            copied = self._copy(node)
            self._now.update(((node, k), (copied, k)) for k in range(len(node.outputs)))
        self.outputs = tuple(self._now.get(r, r) if is_reference(r) else r for r in made)

    def _copy(self, node: Node) -> Node:
        pairs = [
            self._now.get((x, i), (x, i)) if type(x) is Node else (x, i)
            for x, i in zip(node.inputs, node.indices)
        ]
        return Node(
            node.op,
            tuple(x for x, _ in pairs),
            tuple(i for _, i in pairs),
            node.params,
            node.outputs,
            node.scope,
            node.origin,
            node.source,
            node.requires_grad,
        )
