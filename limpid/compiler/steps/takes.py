"""Recording one call of a function: run it on tensors without values, and see what it did."""

from __future__ import annotations

import gc
import pickle
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from limpid.compiler.steps.guards import Guards
from limpid.compiler.steps.objects import passed_over
from limpid.compiler.steps.places import NOTHING, Contents, Entry, Place, Variables, is_counted
from limpid.compiler.steps.results import Nested, Outputs
from limpid.compiler.steps.signature import Signature
from limpid.compiler.steps.trail import Trail
from limpid.errors import AbstractError, InPlaceError
from limpid.graph.context import context, recording_into
from limpid.graph.graph import Graph, is_reference
from limpid.graph.node import Node
from limpid.ops.generator import default_generator
from limpid.storage import Storage
from limpid.tensor import Tensor
from limpid.transforms.recording import Recorder, slots_in_use

Changed = list[tuple[Place, Any]]  # a place, what it was before in its `value`; what it is now


class Take:
    """One run of a function on tensors without values.

    Whatever it set outside is set back at the end; running the graph sets it again. An exception
    leaves nothing behind.
    """

    def __init__(self, function: Callable[..., Any], signature: Signature, guards: Guards) -> None:
        self._signature = signature
        self._recorder = Recorder([leaf.name for leaf in signature.inputs])
        self._inputs = self._make_inputs()
        self._nodes = [x.node for x in self._inputs]
        self._outputs = Outputs(self._recorder, _first_places(self._inputs))
        self.trail = Trail(self._recorder)
        self.effects: list[tuple[Place, Nested]] = []
        self.rebinds: list[tuple[Any, int]] = []  # a tensor, or the place of an argument; output
        changed: Changed = []
        try:
            with self._recording(guards.grad_enabled), _no_foreign_draws(guards):
                changed = self._run(function, guards)
        except BaseException:
            for table in guards.tables:
                table.restore()
            changed = changes(guards)
            raise
        finally:
            for place, _ in changed:
                place.write(place.value)
            for before in self._recorder.rebound.values():
                before.restore()
        self.trail.close()
        self._passing = self._find_passing(guards)
        guards.note(self._recorder)
        self.made = len(self._outputs.references)
        self.gradients: list[tuple[Node, int | None]] = []
        self.graph = self._cut_out()
        self.generator = self._find_default_generator()
        self.carriers = self._find_carriers()

    @property
    def uses_given(self) -> bool:
        """Whether the arguments of a call are needed as they were given."""
        return self._outputs.uses_arguments or bool(self.rebinds)

    def _make_inputs(self) -> list[Tensor]:
        """A tensor for each input; the same one where the same tensor was given twice."""
        inputs: list[Tensor] = []
        twins = {later: first for first, later in self._signature.twins}
        for place, leaf in enumerate(self._signature.inputs):
            assert leaf.spec is not None
            first = twins.get(place)
            made = self._recorder.input(leaf.spec, leaf.name) if first is None else inputs[first]
            inputs.append(made)
        return inputs

    @contextmanager
    def _recording(self, grad_enabled: bool) -> Iterator[None]:
        """Record in the gradient mode of the caller, as if no module were running."""
        state = context.state
        before = state.scope, state.module, state.trail
        with recording_into(self._recorder):
            state.scope, state.module, state.trail = "", None, self.trail
            state.grad_enabled = grad_enabled
            try:
                yield
            finally:
                state.scope, state.module, state.trail = before

    def _run(self, function: Callable[..., Any], guards: Guards) -> Changed:
        """Run the function, and take apart what it returned and what it changed."""
        rest = iter(self._inputs)
        leaves = [x.value if x.spec is None else next(rest) for x in self._signature.leaves]
        args, kwargs = self._signature.rebuild(iter(leaves))
        value = function(*args, **kwargs)
        self._check_arguments(self._signature.leaves_of(tuple(args), kwargs), leaves)
        self.result = self._outputs.result(value)
        self.trail.note_end(value)
        places = {
            value: path for path, value in reversed(self.trail.results) if is_reference(value)
        }
        self._titles = [
            places.get(x, "") if is_reference(x) else "" for x in self._outputs.references
        ]
        changed = changes(guards)
        for place, now in changed:
            left = self._outputs.left_in if isinstance(place, Contents) else self._outputs.left
            self.effects.append((place, left(now)))
            self._title_new(place.label)
        for before in self._recorder.rebound.values():
            self.rebinds.append((before.tensor, self._outputs.number(before.tensor)))
        return changed

    def _title_new(self, title: str) -> None:
        """Say of outputs that are new what they are."""
        self._titles += [title] * (len(self._outputs.references) - len(self._titles))

    def _check_arguments(self, now: list[Any], leaves: list[Any]) -> None:
        """What the function did to its arguments."""
        if len(now) != len(leaves) or any(a is not b for a, b in zip(now, leaves)):
            raise InPlaceError(
                "the compiled function changes what is in a list, a dict or a dataclass among its "
                "arguments\nremedy: return the new one"
            )
        first = set(_first_places(self._inputs).values())
        for place, (x, node) in enumerate(zip(self._inputs, self._nodes, strict=True)):
            leaf = self._signature.inputs[place]
            if node is not None and node.requires_grad:
                raise InPlaceError(
                    f"the compiled function lets its argument {leaf.label} require a gradient"
                    "\nremedy: set it before the call, or use limpid.grad in the function"
                )
            if x.node is not node and place in first:
                if not isinstance(leaf.value, Tensor):
                    refuse_to_change(leaf.label)
                self.rebinds.append((place, self._outputs.number(x)))

    def _find_passing(self, guards: Guards) -> set[Node]:
        """Slots that the function made for itself: each call has new ones, with the same start.

        Those that something outside holds are state: of an optimiser, or a module that makes its
        parameters when it is first called.
        """
        made = [n for n in self._recorder.names if self._recorder.has_made(n) and _storage(n)]
        kept = {s.node for t in guards.tables for slots in t.table.values() for s in slots.values()}
        doubtful = [node for node in made if node not in kept]
        if any(_is_held(node) for node in doubtful):
            gc.collect()  # a module holds itself
        return {node for node in doubtful if not _is_held(node)}

    def _cut_out(self) -> Graph:
        recorder = self._recorder
        left: list[Any] = []
        for node, kept in recorder.kept.items():
            if not kept.replaced or not _storage(node) or node in self._passing:
                continue
            gradient = kept.get(0)
            number = None
            if gradient is not None:
                number = self.made + len(left)
                left.append(recorder.reference(gradient))
            self.gradients.append((node, number))
        outputs = (*self._outputs.references, *left)
        self._title_new("")
        self._titles += [
            f"{recorder.names.get(node, 'a tensor')}.grad"
            for node, number in self.gradients
            if number is not None
        ]
        writes = {
            name: recorder.reference(value)
            for name, value in recorder.writes.items()
            if recorder.slots[name] not in self._passing
        }
        slots = slots_in_use(recorder.slots, writes, outputs)
        inputs = {
            leaf.name: node
            for leaf, node in zip(self._signature.inputs, self._nodes, strict=True)
            if node is not None and leaf.name == node.op.label  # type: ignore[attr-defined]  # not a twin
        }
        return Graph(inputs, outputs, slots, writes, tuple(self._titles))

    def _find_default_generator(self) -> Any:
        """The storage of this thread's generator, if numbers were drawn from it."""
        state = default_generator().state
        return state.storage if state.node in self.graph.slots.values() else None

    def _find_carriers(self) -> set[Node]:
        """The nodes from which a gradient gets to state, not only to inputs of a transform."""
        recorder = self._recorder
        carriers = {node for node, open_ in recorder.required.items() if open_}
        carriers |= recorder.leaves.keys()
        for node in self.graph.nodes:
            if node.requires_grad:
                op: Any = node.op
                for i, parent in enumerate(node.inputs):
                    if type(parent) is Node and parent in carriers and op.differentiable >> i & 1:
                        carriers.add(node)
        return carriers


def refuse_to_change(label: str) -> None:
    """Raise: an array is not the function's to change."""
    raise InPlaceError(
        f"the compiled function changes its argument {label} in place, and it is an array"
        f"\nremedy: write the result to a new name, or pass limpid.tensor({label})"
    )


def _first_places(inputs: list[Tensor]) -> dict[int, int]:
    """The first place of each tensor, by id."""
    return {id(x): place for place, x in reversed([*enumerate(inputs)])}


@contextmanager
def _no_foreign_draws(guards: Guards) -> Iterator[None]:
    """Random numbers that are not limpid's would be the same at every call: an error."""
    before = _foreign_states(guards)
    yield
    for (name, state), (_, now) in zip(before, _foreign_states(guards), strict=True):
        if state != now:
            raise AbstractError(
                f"the compiled function drew random numbers from {name}; they would be the same at "
                "every call\nremedy: limpid.random, or draw outside and pass them as arguments"
            )


def _foreign_states(guards: Guards) -> list[tuple[str, bytes]]:
    """The states of random generators that are not limpid's, with their names."""
    states = [
        ("Python's random", random.getstate()),
        ("np.random", np.random.get_state(legacy=False)),
    ]
    for label, generator in guards.generators:
        if isinstance(generator, np.random.Generator):
            states.append((label, generator.bit_generator.state))
        else:
            states.append((label, generator.__getstate__()))
    return [(label, pickle.dumps(state)) for label, state in states]


def changes(guards: Guards) -> Changed:
    """The places that hold something else than before the recording."""
    changed: Changed = []
    for place in guards.written:
        if isinstance(place, Variables):
            changed += _changed_attributes(place)
        elif not place.holds():
            changed.append((place, place.read()))
    return changed


def _changed_attributes(place: Variables) -> Changed:
    before, now = place.value, vars(place.owner)
    changed: Changed = []
    for name in {**before, **now}:
        held = before.get(name, NOTHING)
        if now.get(name, NOTHING) is not held and name not in passed_over(place.owner):
            entry = Entry(f"{place.label}.{name}", now, name, counts=is_counted(place.owner))
            value, entry.value = entry.value, held
            changed.append((entry, value))
    return changed


def _storage(node: Node) -> Storage | None:
    storage = getattr(node.op, "storage", None)
    return storage if isinstance(storage, Storage) else None


def _is_held(node: Node) -> bool:
    """Whether somebody holds the tensor that stands for a slot."""
    storage = _storage(node)
    return storage is not None and storage.holder() is not None
