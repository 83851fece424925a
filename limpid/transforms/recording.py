"""Recording: run Python once on tensors without values, and keep the graph.

A recorded step is pure: (arguments, state) → (results, new state). State is every slot that was
read or assigned; a gradient left in `.grad` is state, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from limpid.differentiation.apply import own
from limpid.errors import AbstractError, ArgumentError, CutError
from limpid.graph.context import context, recording_into
from limpid.graph.graph import Graph
from limpid.graph.node import NO_PARAMS, Leaf, Node, Spec, next_number, reachable
from limpid.graph.source import capture, describe
from limpid.ops.cast import stop_gradient
from limpid.tensor import Slot, Tensor, to_array
from limpid.transforms.nesting import Rebuild, flatten, leaves_like


class GradientStorage:
    """The `.grad` of a leaf, seen as a place for state."""

    __slots__ = ("node",)

    def __init__(self, node: Node):
        self.node = node

    @property
    def array(self) -> Any:
        """The gradient as an array."""
        assert self.node.retained is not None
        return self.node.retained[0].value

    @property
    def latest(self) -> object:
        """The latest write: nobody notes it, so it may have been just now."""
        return object()

    def read(self) -> Any:
        """The same, as of other storages."""
        return self.array

    def write(self, value: Any) -> None:
        """Replace the gradient; None takes it away."""
        if self.node.retained is None:
            self.node.retained = {}
        self.node.retained[0] = None if value is None else Tensor(None, 0, np.asarray(value))


class Kept(dict[int, Any]):
    """The `.grad` of a leaf in a recording, and whether the one from before has been looked at."""

    looked_at = False
    replaced = False
    latest: Any = None  # the last gradient that was there, though it may be gone

    def __bool__(self) -> bool:
        return True  # so that `get` is asked

    def get(self, key: int, default: Any = None) -> Any:
        """The gradient, or None."""
        self.looked_at |= not self.replaced
        return super().get(key, default)

    def __setitem__(self, key: int, gradient: Any) -> None:
        self.replaced = True
        if gradient is not None:
            self.latest = gradient
        super().__setitem__(key, gradient)


class Rebound(NamedTuple):
    """A tensor from outside that `t += …` let stand for another node: what it was before."""

    tensor: Tensor
    node: Node | None
    output: int
    value: Any

    def restore(self) -> None:
        """Be as before."""
        self.tensor.node, self.tensor.index = self.node, self.output
        self.tensor._value = self.value


class Recorder:
    """What a recording has met: slots and their present values, gradients."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.first = next_number()  # nodes with larger numbers were made by this recording
        self.own: set[Node] = set()
        self.now: dict[Node, Tensor] = {}  # slot → its value at this point of the program
        self.taken = set(names)  # by inputs
        self.numbers: dict[str, int] = {}  # the latest of slots that have the same label
        self.slots: dict[str, Node] = {}
        self.names: dict[Node, str] = {}  # of slots
        self.required: dict[Node, bool] = {}  # slot → whether it required a gradient when met
        self.writes: dict[str, Tensor] = {}
        self.kept: dict[Node, Kept] = {}  # leaf → its .grad, by output number
        self.leaves: dict[Node, Node] = {}  # what an assigned slot stands for now → the slot
        self.rebound: dict[int, Rebound] = {}

    def note(self, node: Node) -> None:
        """A node was made by this recording."""
        self.own.add(node)

    def input(self, spec: Spec, label: str, requires_grad: bool = False) -> Tensor:
        """A new named input."""
        node = Node(Leaf(label), (), (), NO_PARAMS, (spec,), "", None, None, requires_grad)
        self.own.add(node)
        return Tensor(node, 0, None)

    def current(self, tensor: Tensor) -> Tensor:
        """What a tensor stands for in this recording, at this point of the program."""
        node = tensor.node
        if node is None or (tensor._value is None and node in self.own):
            return tensor
        if node in self.now and tensor._value is not None:
            return self.now[node]  # the user's slot, perhaps assigned to in this recording
        if node in self.own:
            return tensor
        if tensor._value is None:
            raise AbstractError(
                f"a tensor of another recording, {tensor.spec}, was used in this one at "
                f"{describe(capture())}\nremedy: pass it as an argument, or return it from the "
                "function that recorded it"
            )
        if tensor.storage is not None:
            if self._is_constant(tensor, node):
                self.now[node] = Tensor(None, 0, own(tensor.value))
                return self.now[node]
            return self._add_slot(node)
        if tensor.requires_grad:
            raise CutError(
                f"a computed tensor {tensor.spec} that carries a gradient was used in a recording, "
                f"where it is a constant, at {describe(capture())}\nits gradient would be lost "
                "silently; remedy: make it an argument of the recorded function, or .detach() it"
            )
        return Tensor(None, 0, tensor.value)

    def _is_constant(self, tensor: Tensor, node: Node) -> bool:
        """Whether the recorded function made this leaf itself, as zeros, and not as state."""
        plain = not isinstance(tensor, Slot) and not tensor.requires_grad
        return plain and self.has_made(node)

    def _add_slot(self, node: Node) -> Tensor:
        self._name(node, getattr(node.op, "label", None) or "state")
        self.required[node] = node.requires_grad
        self.now[node] = Tensor(node, 0, None)
        return self.now[node]

    def _name(self, node: Node, label: str) -> None:
        """A slot has a name that nothing else has."""
        name = label
        while name in self.taken:
            self.numbers[label] = self.numbers.get(label, 1) + 1
            name = f"{label}_{self.numbers[label]}"
        self.taken.add(name)
        self.slots[name] = node
        self.names[node] = name
        self.own.add(node)

    def assign(self, slot: Tensor, value: Tensor) -> None:
        """The slot has this value from here on."""
        assert slot.node is not None
        self.current(slot)
        if slot.node not in self.names:
            self._add_slot(slot.node)
        name = self.names[slot.node]
        self.now[slot.node] = self.writes[name] = self._new_leaf(slot.node, value)

    def _new_leaf(self, slot: Node, value: Tensor) -> Tensor:
        """The value as what the slot stands for: cut off from its past, like a leaf."""
        made = stop_gradient(value)
        if slot.requires_grad:
            made.node.requires_grad = True
            made.node.retained = {0: None}  # where backward ends, as at a leaf
            self.leaves[made.node] = slot
        return made

    def gradients(self, node: Node) -> dict[int, Any]:
        """The `.grad` of a leaf as this recording sees it."""
        node = self.leaves.get(node, node)
        if node not in self.kept:
            held = node.retained.get(0) if node.retained else None
            self.kept[node] = Kept()
            if held is not None:
                name = f"{getattr(node.op, 'label', None) or 'state'}.grad"
                leaf = Leaf(name, GradientStorage(node))
                slot = Node(leaf, (), (), NO_PARAMS, (held.spec,), "", None, None, False)
                self._name(slot, name)
                self.kept[node].update({0: Tensor(slot, 0, None)})
        return self.kept[node]

    def rebind(self, tensor: Tensor) -> None:
        """A tensor with a value is about to stand for another node."""
        if tensor.node is None or not self.has_made(tensor.node):
            before = Rebound(tensor, tensor.node, tensor.index, tensor._value)
            self.rebound.setdefault(id(tensor), before)

    def has_made(self, node: Node) -> bool:
        """Whether this leaf was made since the recording began."""
        return node.number > self.first

    def references(self, values: list[Any]) -> tuple[Any, ...]:
        """Graph references of results: tensors of this recording, or constants."""
        return tuple(self.reference(value) for value in values)

    def reference(self, value: Any) -> Any:
        """One graph reference."""
        if not isinstance(value, Tensor):
            return value
        value = self.current(value)
        return value.value if value.node is None else (value.node, value.index)


class Recorded:
    """A recorded function: its graph, and a way to run it on NumPy.

    Calling it reads the slots, runs the graph, writes the slots back and returns results in the
    nesting that the function returned.
    """

    def __init__(
        self, graph: Graph, arguments: Any, rebuild: Rebuild, gradients: dict[Node, Any]
    ) -> None:
        self.graph = graph
        self._arguments = arguments  # the inputs, nested as they were given
        self._rebuild = rebuild
        self._gradients = gradients

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        positional, named = self._arguments
        leaves = leaves_like(positional, args, "the positional arguments")
        leaves += leaves_like(named, kwargs, "the keyword arguments")
        arrays = [_array(x) for x in leaves]
        specs = [node.outputs[0] for node in self.graph.inputs.values()]
        for path, array, spec in zip(self.graph.inputs, arrays, specs, strict=True):
            if array.shape != spec.shape or array.dtype != spec.dtype:
                raise ArgumentError(
                    f"argument {path} was recorded as {spec} but is {array.dtype.name}"
                    f"{list(array.shape)}; record again"
                )
        count = len(self.graph.outputs) - len(self._gradients)
        results, writes = self.graph.evaluate(arrays)
        for name, value in writes.items():
            self.graph.slots[name].op.storage.write(_apart(value, arrays))  # type: ignore[attr-defined]  # a Leaf
        for node, value in zip(self._gradients, results[count:], strict=True):
            GradientStorage(node).write(value)
        return self._rebuild(iter([Tensor(None, 0, _apart(r, arrays)) for r in results[:count]]))

    def __str__(self) -> str:
        return str(self.graph)


def record(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Recorded:
    """Run a function once on tensors without values; keep its graph.

    Arguments are any nesting of arrays, tensors and numbers; their values are not read. Raises
    AbstractError, with the line and a remedy, where the function reads a value.

    >>> import numpy as np, limpid
    >>> recorded = limpid.record(lambda x: limpid.sum(x * x), np.arange(3.0))
    >>> print(recorded.graph.nodes[0].op.name, recorded(np.arange(3.0)).item())
    multiply 5.0
    """
    leaves, rebuild = flatten((args, kwargs))
    recorder = Recorder()
    inputs = [recorder.input(spec_of_argument(x), _input_name(path)) for path, x in leaves]
    nodes = {_input_name(path): x.node for (path, _), x in zip(leaves, inputs) if x.node}
    with recording_into(recorder):
        positional, named = rebuild(iter(inputs))
        result = function(*positional, **named)
        results, rebuild_result = flatten(result)
        outputs = recorder.references([r for _, r in results])
        gradients = {n: kept[0] for n, kept in recorder.kept.items() if 0 in kept}
        left = recorder.references(list(gradients.values()))
        writes = {name: recorder.reference(value) for name, value in recorder.writes.items()}
    slots = slots_in_use(recorder.slots, writes, outputs + left)
    graph = Graph(nodes, outputs + left, slots, writes)
    return Recorded(graph, rebuild(iter(inputs)), rebuild_result, gradients)


def slots_in_use(
    slots: dict[str, Node], writes: dict[str, Any], outputs: tuple[Any, ...]
) -> dict[str, Node]:
    """The slots that are read or written; others, such as a gradient set to None, were only met."""
    ends = [r[0] for r in (*outputs, *writes.values()) if isinstance(r, tuple)]
    read = set(reachable(ends))
    return {name: node for name, node in slots.items() if node in read or name in writes}


def apply_graph(graph: Graph, inputs: list[Any]) -> tuple[Any, ...]:
    """The graph's outputs for these operands, node by node: computed or recorded again."""
    values: dict[Node, Any] = dict(zip(graph.inputs.values(), inputs, strict=True))
    for node in graph.nodes:
        op: Any = node.op
        operands = [_operand(values, x, i) for x, i in zip(node.inputs, node.indices, strict=True)]
        values[node] = op(*operands, **node.params)
    return tuple(_operand(values, *r) if isinstance(r, tuple) else r for r in graph.outputs)


def _operand(values: dict[Node, Any], x: Any, index: int) -> Any:
    if type(x) is not Node:
        return x
    value = values[x]
    return value[index] if isinstance(value, tuple) else value


def spec_of_argument(x: Any) -> Spec:
    """The spec that an argument will have as a tensor."""
    if isinstance(x, Tensor):
        return x.spec
    array = to_array(x)
    from limpid.graph.dtype import dtype_of

    return Spec(array.shape, dtype_of(array.dtype))


def _array(x: Any) -> Any:
    if not isinstance(x, Tensor):
        return to_array(x)
    if x.requires_grad and context.state.grad_enabled:
        raise CutError(
            "a tensor that carries a gradient was given to a recorded function, at "
            f"{describe(capture())}\nits gradient would be lost silently; remedy: .detach(), or "
            "differentiate inside: limpid.record(limpid.grad(f), …)"
        )
    return x.value


def _apart(value: Any, arrays: list[Any]) -> Any:
    """A result; a copy where it may be, or be a view of, an argument that the caller may write."""
    value = np.asarray(value, order="C")
    return value.copy() if any(np.may_share_memory(value, x) for x in arrays) else value


def _input_name(path: str) -> str:
    """`0.3.w` (argument 3, key w) becomes `arg3_w`; `1.name` (a keyword) becomes `name`."""
    kind, _, rest = path.partition(".")
    name = "".join(c if c.isalnum() else "_" for c in rest)
    return f"arg{name}" if kind == "0" else name


__all__ = ["GradientStorage", "Recorded", "Recorder", "apply_graph", "context", "record"]
