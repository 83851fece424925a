"""What must hold for a recording to be run again, besides the look of the arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from limpid.compiler.steps.lookout import Lookout
from limpid.compiler.steps.places import Entry, Place, Variables
from limpid.compiler.steps.surroundings import Surroundings
from limpid.graph import dtype as dtypes
from limpid.graph.changes import Changes
from limpid.graph.context import context
from limpid.graph.node import Node
from limpid.tensor import Slot
from limpid.transforms.recording import Recorder

MOST_SHOWN = 3  # differences of modules and optimisers; `model.eval()` makes one for each of them


class Table:
    """Slots that an optimiser made when it first needed them, as they are after a recording."""

    def __init__(self, label: str, table: dict[Any, dict[str, Slot]]) -> None:
        self.label = label
        self.table = table
        self.before = {key: dict(slots) for key, slots in table.items()}
        self.used: list[tuple[Any, str, Slot]] = []

    def note(self, nodes: Any) -> None:
        """The slots among these nodes are those that have to stay."""
        for key, slots in self.table.items():
            self.used += [(key, name, s) for name, s in slots.items() if s.node in nodes]

    def restore(self) -> None:
        """Take away what was added."""
        for key in [key for key in self.table if key not in self.before]:
            del self.table[key]

    def holds(self) -> bool:
        """Whether the slots are still there."""
        return all(self.table.get(key, {}).get(name) is slot for key, name, slot in self.used)


class Guards:
    """What a function could read when it was recorded; whether all of it is as it was.

    Looked at on every call: the gradient mode, the default float type, globals and free variables,
    gradients that the function found in `.grad`. Modules and optimisers are looked at when an
    attribute of any of them has changed since.
    """

    def __init__(self, function: Callable[..., Any], objects: Sequence[tuple[str, Any]]) -> None:
        self.epoch = Changes.any
        self.grad_enabled = context.state.grad_enabled
        found = Surroundings(function, objects)
        self.written = found.written
        self.generators = found.generators
        default = Entry("default type", vars(dtypes), "_default_float")
        self._always = [default, *found.always]
        self._lookout = Lookout(self._always)
        self._counted = found.counted
        self.tables = _tables(found.written)
        self._open: dict[Node, bool] = {}
        self._without: list[Node] = []  # leaves that had no gradient, and were asked
        self._with: list[Node] = []

    def note(self, recorder: Recorder) -> None:
        """After recording: what it met."""
        self._open = {n: x for n, x in recorder.required.items() if not recorder.has_made(n)}
        for node, kept in recorder.kept.items():
            if kept.looked_at and not recorder.has_made(node):
                (self._with if _has_gradient(node) else self._without).append(node)
        for table in self.tables:
            table.note(recorder.names)

    def hold(self) -> bool:
        """Whether all is as it was."""
        if context.state.grad_enabled is not self.grad_enabled or not self._lookout.holds():
            return False
        if Changes.any != self.epoch and not self._counted_hold():
            return False
        for node in self._without:
            if node.retained is not None and node.retained.get(0) is not None:
                return False
        return not self._with or all(map(_has_gradient, self._with))

    def _counted_hold(self) -> bool:
        """Whether modules and optimisers are as they were, after attributes have changed."""
        epoch = Changes.any
        if not all(place.holds() for place in self._counted):
            return False
        if not all(table.holds() for table in self.tables):
            return False
        if not all(node.requires_grad is open_ for node, open_ in self._open.items()):
            return False
        self.epoch = epoch
        return True

    def differences(self) -> list[str]:
        """What is not as it was, for people."""
        found = []
        if context.state.grad_enabled is not self.grad_enabled:
            found.append(f"gradients enabled: {self.grad_enabled} → {not self.grad_enabled}")
        found += [place.difference() for place in self._always if not place.holds()]
        found += _shortened([p.difference() for p in self._counted if not p.holds()])
        found += [f"{table.label}: other slots" for table in self.tables if not table.holds()]
        for node, open_ in self._open.items():
            if node.requires_grad is not open_:
                found.append(f"{_label(node)}.requires_grad: {open_} → {node.requires_grad}")
        grads = [f"{_label(n)}.grad: None → a gradient" for n in self._without if _has_gradient(n)]
        grads += [
            f"{_label(n)}.grad: a gradient → None" for n in self._with if not _has_gradient(n)
        ]
        return found + _shortened(grads)


def _shortened(lines: list[str]) -> list[str]:
    rest = len(lines) - MOST_SHOWN
    return lines if rest <= 0 else [*lines[:MOST_SHOWN], f"and {rest} more of the kind"]


def _tables(places: Sequence[Place]) -> list[Table]:
    owners = [place.owner for place in places if isinstance(place, Variables)]
    return [
        Table(f"{type(owner).__name__}.{name}", getattr(owner, name))
        for owner in owners
        for name in getattr(type(owner), "made_when_needed", ())
    ]


def _has_gradient(node: Node) -> bool:
    return node.retained is not None and node.retained.get(0) is not None


def _label(node: Any) -> str:
    return node.op.label or "a tensor"
