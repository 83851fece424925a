"""Recording: run Python once on tensors without values, and keep the graph.

A recorded step is pure: (arguments, state) → (results, new state). State is every slot that was
read or assigned; a gradient left in `.grad` is state, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from limpid.errors import AbstractError, ArgumentError
from limpid.graph.context import context, recording_into
from limpid.graph.graph import Graph
from limpid.graph.node import NO_PARAMS, Leaf, Node, Spec
from limpid.tensor import Slot, Tensor, to_array
from limpid.transforms.nesting import Rebuild, flatten


class GradientStorage:
    """The `.grad` of a leaf, seen as a place for state."""

    __slots__ = ("node", "owner")

    def __init__(self, node: Node, owner: str):
        self.node = node
        self.owner = owner

    def read(self) -> Any:
        """The gradient as an array."""
        assert self.node.retained is not None
        return self.node.retained[0].value

    def write(self, value: Any) -> None:
        """Replace the gradient; None takes it away."""
        if self.node.retained is None:
            self.node.retained = {}
        self.node.retained[0] = None if value is None else Tensor(None, 0, np.asarray(value))


class Recorder:
    """What a recording has met: slots and their present values, gradients, closed-over tensors."""

    def __init__(self, parent: Recorder | None = None):
        self.parent = parent  # of the body of a scan or cond: what it closes over becomes inputs
        self.own: set[Node] = set()
        self.now: dict[Node, Tensor] = {}  # slot → its value at this point of the program
        self.slots: dict[str, Node] = {}
        self.writes: dict[str, Tensor] = {}
        self.kept: dict[Node, dict[int, Any]] = {}  # leaf → its .grad, by output number
        self.closed: dict[tuple[Node, int] | int, tuple[Tensor, Tensor]] = {}

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
        if node is None:
            return tensor
        if node in self.own:
            return tensor
        if self.parent is not None:
            return self._close_over(tensor)
        if node in self.now:
            return self.now[node]
        if tensor._value is None:
            raise AbstractError(
                "a tensor of a finished recording was used in a new one; "
                "return it from the recorded function instead"
            )
        if tensor.storage is not None and (isinstance(tensor, Slot) or tensor.requires_grad):
            return self._add_slot(tensor, node)
        return Tensor(None, 0, tensor.value)

    def _add_slot(self, tensor: Tensor, node: Node) -> Tensor:
        label = getattr(node.op, "label", None) or "state"
        name, number = label, 1
        while name in self.slots:
            number += 1
            name = f"{label}_{number}"
        self.slots[name] = node
        self.own.add(node)
        self.now[node] = Tensor(node, 0, None)
        return self.now[node]

    def _close_over(self, tensor: Tensor) -> Tensor:
        assert self.parent is not None and tensor.node is not None
        outer = self.parent.current(tensor)
        if outer.node is None:
            return outer
        key = (outer.node, outer.index)
        if key not in self.closed:
            label = f"closed_{len(self.closed) + 1}"
            self.closed[key] = (outer, self.input(outer.spec, label, outer.requires_grad))
        return self.closed[key][1]

    def assign(self, slot: Tensor, value: Tensor) -> None:
        """The slot has this value from here on."""
        if self.parent is not None:
            raise ArgumentError(
                "a slot can't be assigned inside the body of scan or cond; "
                "return the new value from the body and assign it outside"
            )
        assert slot.node is not None
        self.current(slot)
        name = next(n for n, node in self.slots.items() if node is slot.node)
        self.now[slot.node] = self.writes[name] = value

    def gradients(self, node: Node) -> dict[int, Any]:
        """The `.grad` of a leaf as this recording sees it."""
        if node not in self.kept:
            held = node.retained.get(0) if node.retained else None
            self.kept[node] = {}
            if held is not None:
                name = f"{getattr(node.op, 'label', None) or 'state'}.grad"
                leaf = Leaf(name, GradientStorage(node, name))
                slot = Node(leaf, (), (), NO_PARAMS, node.outputs, "", None, None, False)
                self.slots[name] = slot
                self.own.add(slot)
                self.kept[node][0] = Tensor(slot, 0, None)
        return self.kept[node]

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

    def __init__(self, graph: Graph, rebuild: Rebuild, gradients: dict[Node, Any]):
        self.graph = graph
        self._rebuild = rebuild
        self._gradients = gradients

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, _ = flatten((args, kwargs))
        arrays = [_array(x) for _, x in leaves]
        specs = [node.outputs[0] for node in self.graph.inputs.values()]
        for (path, _), array, spec in zip(leaves, arrays, specs, strict=True):
            if array.shape != spec.shape or array.dtype != spec.dtype:
                raise ArgumentError(
                    f"argument {path} was recorded as {spec} but is {array.dtype.name}"
                    f"{list(array.shape)}; record again"
                )
        count = len(self.graph.outputs) - len(self._gradients)
        results, writes = self.graph.evaluate(arrays)
        for name, value in writes.items():
            self.graph.slots[name].op.storage.write(value)  # type: ignore[attr-defined]  # a Leaf
        for node, value in zip(self._gradients, results[count:], strict=True):
            GradientStorage(node, "").write(value)
        return self._rebuild(iter([Tensor(None, 0, np.asarray(r)) for r in results[:count]]))

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
    inputs = [
        recorder.input(spec_of_argument(x), _input_name(path)) for path, x in leaves
    ]
    with recording_into(recorder):
        positional, named = rebuild(iter(inputs))
        result = function(*positional, **named)
        results, rebuild_result = flatten(result)
        outputs = recorder.references([r for _, r in results])
        gradients = {n: kept[0] for n, kept in recorder.kept.items() if 0 in kept}
        left = recorder.references(list(gradients.values()))
        writes = {name: recorder.reference(value) for name, value in recorder.writes.items()}
    graph = Graph(
        {_input_name(path): x.node for (path, _), x in zip(leaves, inputs, strict=True) if x.node},
        outputs + left,
        recorder.slots,
        writes,
    )
    return Recorded(graph, rebuild_result, gradients)


def apply_graph(graph: Graph, inputs: list[Any]) -> tuple[Any, ...]:
    """The graph's outputs for these operands, node by node: computed or recorded again."""
    values: dict[Node, Any] = dict(zip(graph.inputs.values(), inputs, strict=True))
    for node in graph.nodes:
        op: Any = node.op
        operands = [
            _operand(values, x, i) for x, i in zip(node.inputs, node.indices, strict=True)
        ]
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
    return x.value if isinstance(x, Tensor) else to_array(x)


def _input_name(path: str) -> str:
    """`0.3.w` (argument 3, key w) becomes `arg3_w`; `1.name` (a keyword) becomes `name`."""
    kind, _, rest = path.partition(".")
    name = "".join(c if c.isalnum() else "_" for c in rest)
    return f"arg{name}" if kind == "0" else name


__all__ = ["GradientStorage", "Recorded", "Recorder", "apply_graph", "context", "record"]
