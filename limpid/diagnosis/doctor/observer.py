"""Taking facts: of each kind of call once what it is made of, and of calls that ran the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.compiler.steps.probes import ProbedGraph
from limpid.compiler.steps.recordings import Recording
from limpid.compiler.steps.replay import Kept
from limpid.compiler.steps.selection import Probe
from limpid.diagnosis.doctor import measures
from limpid.diagnosis.doctor.facts import (
    ActivationFacts,
    ChoiceFacts,
    Facts,
    LayerFacts,
    ParameterFacts,
    ScoreFacts,
    TargetFacts,
)
from limpid.diagnosis.doctor.functions import local_on
from limpid.diagnosis.doctor.operators import LOGIT_LOSSES
from limpid.diagnosis.doctor.reading import crossed, is_probability, modes, place, restricted
from limpid.diagnosis.doctor.rounding import first_underflow
from limpid.diagnosis.doctor.structure import (
    Activation,
    Choice,
    Held,
    Structure,
    operand,
)
from limpid.graph.graph import is_reference
from limpid.graph.node import Array, Node

SILENT = 3  # calls without any gradient, after which it is asked why
HALF = ("float16",)  # of which underflow is asked: float32 reaches down to 1e-38


class Observer:
    """Facts of calls of one step, which may be of several kinds."""

    def __init__(self) -> None:
        self.facts = Facts()
        self._kinds: dict[int, Kind] = {}
        self._before: tuple[set[Node], set[Node]] | None = None  # updated, with a gradient left

    def note(self, call: Kept) -> None:
        """A call ran: what can be told without its numbers."""
        kind = self._kind(call.recording)
        self.facts.calls += 1
        structure = kind.structure
        if self._before is not None:
            updated, left = self._before
            for node in structure_accumulating(kind) & updated & left:
                self._parameter(structure, node).accumulated += 1
        self._before = structure.written, structure.leaving()

    def look(self, call: Kept) -> None:
        """Take the numbers of a call, by running it again."""
        self.facts.seen += 1
        self.facts.steps.append(self.facts.calls)
        kind = self._kind(call.recording)
        with np.errstate(all="ignore"):
            Look(self.facts, kind, call).take()
        if self.facts.seen == SILENT and self.facts.has_no_gradient:
            node = first_underflow(call, kind.structure.losses)
            self.facts.vanished_at = "" if node is None else place(node)

    def structure(self, call: Kept) -> Structure:
        """What the call is made of."""
        return self._kind(call.recording).structure

    def fail(self, error: Exception, call: Kept | None) -> None:
        """The latest call raised."""
        self.facts.failure = " ".join(str(error).split())
        if call is None:
            return
        structure = self._kind(call.recording).structure
        inputs = dict(zip(call.recording.graph.inputs.values(), call.inputs, strict=True))
        for choice in structure.choices:
            target: Any = choice.target
            if is_reference(target) and target[0] in inputs and choice.axis is not None:
                classes = choice.node.inputs[0].outputs[0].shape[choice.axis]
                facts = choice_facts(self.facts, choice, classes)
                count_targets(facts, inputs[target[0]], choice)

    def _kind(self, recording: Recording) -> Kind:
        made = self._kinds.get(id(recording))
        if made is None:
            made = self._kinds[id(recording)] = Kind(recording)
            self._read(made.structure)
        return made

    # What it is made of

    def _read(self, structure: Structure) -> None:
        facts = self.facts
        facts.takes_gradient |= structure.loss is not None
        if structure.loss is not None:
            facts.source = place(structure.loss[0])
        for held in structure.parameters:
            known = self._parameter(structure, held.node)
            reached = held.node in structure.gradients
            known.reached |= reached
            known.written |= held.node in structure.written
            known.optimised |= held.optimised
            cut = None if reached else structure.cut(held.node)
            known.cut = place(cut) if cut is not None else known.cut
        facts.modes += list(modes(structure))
        facts.crossed.update(crossed(structure))

    def _parameter(self, structure: Structure, node: Node) -> ParameterFacts:
        held = next((h for h in structure.parameters if h.node is node), None)
        assert held is not None
        return parameter_facts(self.facts, held)


def structure_accumulating(kind: Kind) -> set[Node]:
    """The parameters to whose gradients it adds; found once."""
    if kind.accumulating is None:
        kind.accumulating = kind.structure.accumulating()
    return kind.accumulating


class Kind:
    """A recording, with the program that shows its numbers."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.structure = Structure(recording)
        self.accumulating: set[Node] | None = None
        self._program: ProbedGraph | None = None
        self._wanted: list[Any] = []

    def values(self, call: Kept) -> dict[Any, Array]:
        """The values of a call by reference, and those that it found."""
        if self._program is None:
            self._wanted = list(dict.fromkeys(wanted(self.structure)))
            probes = [Probe(str(n), "", x) for n, x in enumerate(self._wanted)]
            self._program = ProbedGraph(self.recording.graph, self.recording.idle, probes)
        found = self._program.named(self._program.run(call.inputs, call.state)[2])
        values = {x: np.asarray(found[str(n)]) for n, x in enumerate(self._wanted)}
        leaves = (
            *self.recording.graph.inputs.values(),
            *self.recording.graph.slots.values(),
            *self.recording.idle.values(),
        )
        values.update(
            ((node, 0), np.asarray(x)) for node, x in zip(leaves, (*call.inputs, *call.state))
        )
        return values


def wanted(structure: Structure) -> list[Any]:
    """The values that rules may ask for."""
    upstream = structure.recording.trail.upstream
    graph = structure.recording.graph
    found: list[Any] = [*structure.losses]
    for layer in structure.layers:
        found += [layer.input, layer.output, *upstream.get(layer.output, ())[:1]]
    for activation in structure.activations:
        node = activation.node
        found += [(node, 0), operand(node, activation.operand)]
    for choice in structure.choices:
        found += [choice.scores, choice.target, (choice.node, 0)]
    found += [value for _, value, _ in structure.scored]
    found += [target for _, target, _ in restricted(structure)]
    for held in structure.parameters:
        found += [structure.gradients.get(held.node)]
    found += graph.writes.values()
    leaves = {*graph.inputs.values(), *graph.slots.values(), *structure.recording.idle.values()}
    known = set(structure.recording.trail.nodes)
    return [x for x in found if is_reference(x) and (x[0] in known and x[0] not in leaves)]


class Look:
    """The numbers of one call, added to the facts."""

    def __init__(self, facts: Facts, kind: Kind, call: Kept) -> None:
        self.facts = facts
        self.structure = kind.structure
        self.values = kind.values(call)

    def take(self) -> None:
        """All of them."""
        self._parameters()
        self._layers()
        self._activations()
        self._choices()
        self._scores()
        self._targets()

    def _value(self, x: Any) -> Array | None:
        if is_reference(x):
            return self.values.get(x)
        return None if x is None or isinstance(x, Node) else np.asarray(x)

    def _parameters(self) -> None:
        writes, slots = self.structure.recording.graph.writes, self.structure.recording.trail.slots
        new = {slots[name]: x for name, x in writes.items() if name in slots}
        for held in self.structure.parameters:
            before = self.values.get((held.node, 0))
            if before is None or held.node not in slots.values():
                continue
            known = parameter_facts(self.facts, held)
            gradient = self._value(self.structure.gradients.get(held.node))
            after = self._value(new.get(held.node))
            after = before if after is None else after
            known.weights.append(measures.norm(before))
            known.updates.append(measures.norm(after.astype(np.float64) - before))
            known.changed |= not np.array_equal(before, after)
            known.alike = measures.rows_alike(after)
            if gradient is not None:
                known.gradients.append(measures.norm(gradient))
                known.samples.append(measures.sample(gradient))
                known.stuck.append(measures.share_stuck(before, after, gradient))
                if gradient.dtype.name in HALF:
                    known.lost.append(measures.share_lost(gradient))

    def _layers(self) -> None:
        upstream = self.structure.recording.trail.upstream
        for layer in self.structure.layers:
            known = self.facts.layers.setdefault(
                layer.name,
                LayerFacts(layer.name, layer.weight, layer.fan_in, place(layer.node)),
            )
            x, y = self._value(layer.input), self._value(layer.output)
            known.raw = is_reference(layer.input) and not layer.input[0].requires_grad
            known.inputs.append(_or_nan(x, measures.root_mean_square))
            known.varied.append(_or_nan(x, measures.variation))
            known.outputs.append(_or_nan(y, measures.root_mean_square))
            arrived = upstream.get(layer.output, ())
            g = self._value(arrived[0]) if arrived else None
            known.gradients.append(_or_nan(g, measures.norm))
            known.pulls.append(_or_nan(g, measures.norm) * _or_nan(y, measures.norm))
            if g is not None and g.dtype.name in HALF:
                known.lost.append(measures.share_lost(g))

    def _activations(self) -> None:
        for activation in self.structure.activations:
            self._activation(activation)

    def _activation(self, activation: Activation) -> None:
        node, op = activation.node, activation.node.op
        y = self.values.get((node, 0))
        x = self._value(operand(node, activation.operand))
        if y is None or x is None or not y.size:
            return
        known = self.facts.activations.setdefault(
            activation.name,
            ActivationFacts(
                activation.name, place(node), activation.squashes, activation.hidden,
                activation.gate,
            ),
        )  # fmt: skip
        operands = [x if i == activation.operand else c for i, c in enumerate(node.inputs)]
        rule = op.derivative(activation.operand).rule  # type: ignore[attr-defined]  # a primitive
        local = np.broadcast_to(np.asarray(rule(y, *operands, **node.params)), y.shape)
        known.examples += len(y)
        known.silent.append(measures.silent_units(local, activation.axis))
        known.constant.append(measures.share_constant(local, activation.axis))
        if activation.squashes:
            steepest = float(np.abs(local_on(op, node, np.linspace(-3, 3, 25))).max())
            flat = np.abs(local) < measures.FLAT * steepest
            known.saturated.append(float(np.mean(flat)))

    def _choices(self) -> None:
        for choice in self.structure.choices:
            scores, target = self._value(choice.scores), self._value(choice.target)
            loss = self._value((choice.node, 0))
            if scores is None or target is None:
                continue
            classes = 1 if choice.axis is None else scores.shape[choice.axis]
            known = choice_facts(self.facts, choice, classes)
            shares = count_targets(known, target, choice)
            is_mean = choice.node.params.get("reduction") == "mean" and len(choice.node.inputs) == 2
            if choice.axis is None and loss is not None:  # one value for each example
                is_mean = not any(isinstance(x, Node) for x in choice.node.inputs[2:])
                loss = loss.mean()
            if loss is not None and shares is not None and is_mean:
                known.losses.append(float(loss))
                known.chance.append(measures.entropy(shares))
                known.floor.append(measures.target_entropy(target, choice.axis))

    def _scores(self) -> None:
        for node, value, axis in self.structure.scored:
            x = self._value(value)
            if x is None:
                continue
            known = self._score(node)
            known.probabilities.append(measures.is_distribution(x, axis))
            known.logarithms.append(measures.is_log_distribution(x, axis))
        for choice in self.structure.choices:
            if choice.axis is None and choice.node.op.name in LOGIT_LOSSES:
                made = self.structure.through_views(choice.scores)
                if made is not None and made.inputs and is_probability(made):
                    self._score(choice.node).squashed = True

    def _score(self, node: Node) -> ScoreFacts:
        known = self.facts.scores
        line = place(node)
        return known.setdefault(f"{node.op.name} {line}", ScoreFacts(line, line, node.op.name))

    def _targets(self) -> None:
        for node, target, allowed in restricted(self.structure):
            x = self._value(target)
            if x is None or not x.size:
                continue
            low, high, only_ends = allowed
            wrong = (x != low) & (x != high) if only_ends else (x < low) | (x > high)
            said = f"{low:g} or {high:g}" if only_ends else f"from {low:g} to {high:g}"
            line = place(node)
            known = self.facts.targets.setdefault(
                line, TargetFacts(node.op.name, line, said, np.inf, -np.inf, 0.0)
            )
            known.smallest = min(known.smallest, float(x.min()))
            known.largest = max(known.largest, float(x.max()))
            known.wrong = max(known.wrong, float(np.mean(wrong)))


def _or_nan(x: Array | None, measure: Any) -> float:
    return float("nan") if x is None else float(measure(x))


def parameter_facts(facts: Facts, held: Held) -> ParameterFacts:
    """The facts of a parameter, which may be new."""
    spec = held.node.outputs[0]
    return facts.parameters.setdefault(
        held.name,
        ParameterFacts(
            held.name, spec.shape, spec.dtype.name, held.trainable, held.optimised, held.root
        ),
    )


def choice_facts(facts: Facts, choice: Choice, classes: int) -> ChoiceFacts:
    """The facts of a loss, which may be new."""
    line = place(choice.node)
    return facts.choices.setdefault(
        line,
        ChoiceFacts(
            choice.node.op.name, line, classes, np.zeros(max(classes, 2)),
            ignored=choice.node.params.get("ignore_index"),
        ),
    )  # fmt: skip


def count_targets(known: ChoiceFacts, target: Array, choice: Choice) -> Array | None:
    """Add the targets to the counts; the shares of the classes among them."""
    if target.dtype.kind == "f":
        if choice.axis is None:
            if target.min() < 0 or target.max() > 1:
                return None
            yes = float(target.mean())
            known.counts += target.size * np.array([1 - yes, yes])
            return np.array([1 - yes, yes])
        if target.ndim <= choice.axis or target.shape[choice.axis] != known.classes:
            return None
        others = tuple(a for a in range(target.ndim) if a != choice.axis)
        known.counts += target.sum(axis=others)
        return np.asarray(target.mean(axis=others), np.float64)
    kept = target[target != known.ignored] if known.ignored is not None else target.ravel()
    inside = (kept >= 0) & (kept < known.classes)
    known.outside += int(np.sum(~inside))
    counts = np.bincount(kept[inside].astype(np.int64), minlength=known.classes)
    known.counts += counts
    return counts / max(counts.sum(), 1)
