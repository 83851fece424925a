"""What a recording passes on its way: what modules return, which gradients arrive where."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

from limpid.compiler.steps.places import is_counted
from limpid.graph.context import context
from limpid.graph.graph import Reference
from limpid.graph.node import Node
from limpid.graph.source import Source, capture
from limpid.storage import Storage
from limpid.tensor import Tensor
from limpid.transforms.body import reference_of
from limpid.transforms.nesting import flatten
from limpid.transforms.recording import Recorder

Leaves = list[tuple[str, Reference]]  # with their paths in a nested value


class Return(NamedTuple):
    """A module has returned: its path, the scope and the line that called it, and what.

    kind           its class
    training       its mode at that time
    differentiable whether gradients were enabled
    """

    module: str
    scope: str
    source: Source | None
    leaves: Leaves
    kind: type
    training: bool
    differentiable: bool


class Trail:
    """Notes of a recording, in the order of the program.

    returns    what modules returned
    hidden     modules that ran in the body of a loop or a branch, whose values stay in there
    upstream   for each value, the gradients that backward passes brought to it
    results    the tensors that the function returned, with their paths
    nodes      all that was recorded, needed or not, oldest first
    gradients  for each leaf, what was last in its `.grad`
    slots      all state that was met, by name, needed or not
    modules    under which names modules ran, by their ids
    """

    def __init__(self, recorder: Recorder) -> None:
        self.returns: list[Return] = []
        self.hidden: dict[str, None] = {}
        self.upstream: dict[tuple[Node, int], list[Reference]] = defaultdict(list)
        self.results: Leaves = []
        self.nodes: list[Node] = []
        self.gradients: dict[Node, Reference] = {}
        self.slots: dict[str, Node] = {}
        self.modules: dict[int, set[str]] = defaultdict(set)
        self._recorder: Recorder | None = recorder

    def note_result(self, module: Any, scope: str, value: Any) -> None:
        """A module returns, in its own scope; the one given is its caller's."""
        recorder = self._recorder
        name = name_of(module, scope)
        self.modules[id(module)].add(name)
        if recorder is None or context.state.recorder is not recorder:
            self.hidden[name] = None
            return
        leaves, _ = flatten(value, "", is_counted)
        made: Leaves = [
            (path, (x.node, x.index))
            for path, x in leaves
            if isinstance(x, Tensor) and x.node in recorder.own
        ]
        mode = bool(getattr(module, "training", True))
        open_ = context.state.grad_enabled
        self.returns.append(Return(name, scope, capture(2), made, type(module), mode, open_))

    def note_gradient(self, node: Node, gradient: Any) -> None:
        """A backward pass has the whole gradient of a node: a list where it has several outputs."""
        if context.state.recorder is not self._recorder:
            return
        if not isinstance(gradient, list):
            self.upstream[node, 0].append(reference_of(gradient))
            return
        for index, part in enumerate(gradient):
            if part is not None:
                self.upstream[node, index].append(reference_of(part))

    def note_end(self, result: Any) -> None:
        """The function has returned."""
        recorder = self._recorder
        assert recorder is not None
        leaves, _ = flatten(result, "result", is_counted)
        for path, x in leaves:
            if isinstance(x, Tensor) and (found := _found(recorder, x)) is not None:
                self.results.append((path, found))

    def close(self) -> None:
        """The recording is over; it is not kept for what else it knows."""
        recorder = self._recorder
        assert recorder is not None
        self.nodes = sorted(recorder.own, key=lambda node: node.number)
        self.gradients = {
            node: recorder.reference(kept.latest)
            for node, kept in recorder.kept.items()
            if kept.latest is not None
        }
        self.slots = dict(filter(_has_value, recorder.slots.items()))
        self._recorder = None


def name_of(module: Any, scope: str) -> str:
    """What the module that now runs is called; the scope given is its caller's."""
    name = context.state.scope
    if name != scope:
        return name
    kind = type(module).__name__  # the outermost has no name of its own
    return f"{scope}.{kind}" if scope else kind


def _has_value(slot: tuple[str, Node]) -> bool:
    """Whether there is always something to read; a gradient from before may be gone."""
    return isinstance(getattr(slot[1].op, "storage", None), Storage)


def _found(recorder: Recorder, x: Tensor) -> Reference | None:
    """What a returned tensor stands for; None if the recording has nothing to do with it."""
    if x.node is None:
        return x.value
    if x.node in recorder.now and x._value is not None:
        x = recorder.now[x.node]
    return reference_of(x) if x.node is None or x.node in recorder.own else None
