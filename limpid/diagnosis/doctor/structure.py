"""What can be told of a step from its recording alone, without numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from limpid.compiler.steps.places import Variables
from limpid.compiler.steps.recordings import Recording
from limpid.diagnosis.doctor.functions import curved, kinds, only_moves, passes_on, squashes
from limpid.diagnosis.doctor.operators import CLASS_LOSSES, LOG_LOSSES, LOG_SOFTMAX, LOGIT_LOSSES
from limpid.differentiation.kinds import Local
from limpid.graph.graph import Reference, input_specs, is_reference
from limpid.graph.node import Node, reachable
from limpid.tensor import Parameter

if TYPE_CHECKING:
    from limpid.nn.module import Module
    from limpid.optim import Optimizer

Output = tuple[Node, int]


@dataclass(frozen=True)
class Layer:
    """A product of a value with a weight.

    name    the weight's, without its last part; numbered where it is used again
    weight  the name of the weight
    fan_in  how many terms each of its sums has
    """

    name: str
    weight: str
    fan_in: int
    node: Node
    input: Reference

    @property
    def output(self) -> Output:
        """What it gives."""
        return self.node, 0


@dataclass(frozen=True)
class Activation:
    """An elementwise function of one value, with parameters before it.

    axis      that of its units
    squashes  whether it is flat at both ends
    hidden    whether a layer follows
    gate      whether its output multiplies another value
    """

    name: str
    node: Node
    operand: int
    axis: int
    squashes: bool
    hidden: bool
    gate: bool


@dataclass(frozen=True)
class Choice:
    """A loss of a choice: its scores, its target, the axis of the classes (None: yes or no)."""

    node: Node
    scores: Reference
    target: Reference | None
    axis: int | None
    has_log: bool  # whether the scores should be log-probabilities


@dataclass
class Held:
    """A parameter that the program has.

    optimised  whether an optimiser among what the step uses holds it
    root       the number of the outermost module that it is in; -1 for none
    """

    name: str
    node: Node
    size: int
    trainable: bool
    optimised: bool
    root: int


@dataclass
class Structure:
    """A recording, taken apart."""

    recording: Recording
    _names: dict[Node, str] = field(init=False)

    def __post_init__(self) -> None:
        self._names = {node: name for name, node in self.recording.trail.slots.items()}

    @cached_property
    def loss(self) -> Output | None:
        """The value whose gradient is taken: the newest."""
        upstream = self.recording.trail.upstream
        places = [place for place in upstream if place[0].origin is None and place[0].inputs]
        return max(places, key=lambda place: place[0].number) if places else None

    @cached_property
    def losses(self) -> list[Output]:
        """All values that gradients are taken of: those that no other one follows from."""
        upstream = self.recording.trail.upstream
        places = [p for p in upstream if p[0].origin is None and p[0].outputs[p[1]].size == 1]
        return sorted(places, key=lambda place: place[0].number)

    @cached_property
    def behind(self) -> list[Node]:
        """The nodes that the loss depends on, oldest first."""
        return reachable([place[0] for place in self.losses])

    @cached_property
    def consumers(self) -> dict[Node, list[Node]]:
        """For each forward node, those that read it."""
        found: dict[Node, list[Node]] = {}
        for node in self.recording.trail.nodes:
            for x in node.inputs if node.origin is None else ():
                if type(x) is Node:
                    found.setdefault(x, []).append(node)
        return found

    # Parameters

    @cached_property
    def parameters(self) -> list[Held]:
        """All parameters in sight: of modules, of optimisers, and those that were met."""
        modules, optimisers = _owners(self.recording)
        roots = _roots(modules)
        named: dict[Node, tuple[str, Any, int]] = {}
        for number, module in enumerate(roots):
            for name, parameter in module.named_parameters():
                leaf: Any = parameter.node
                named.setdefault(leaf, (name, parameter, number))
        held: set[Node] = set()
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                for place, parameter in enumerate(group["params"]):
                    held.add(parameter.node)
                    label = getattr(parameter.node.op, "label", None) or f"parameter {place}"
                    named.setdefault(parameter.node, (label, parameter, -1))
        for name, node in self.recording.trail.slots.items():
            holder = node.op.storage.holder()  # type: ignore[attr-defined]  # a Leaf with storage
            if node.requires_grad or isinstance(holder, Parameter):
                named.setdefault(node, (name, holder, -1))
        return [
            Held(
                self._names.get(node, name), node, node.outputs[0].size, node.requires_grad,
                node in held, root,
            )
            for node, (name, _, root) in named.items()
        ]  # fmt: skip

    @cached_property
    def gradients(self) -> dict[Node, Reference]:
        """For each leaf, the gradient that a pass brought it."""
        trail = self.recording.trail
        found: dict[Node, Reference] = {}
        for (node, _), arrived in trail.upstream.items():
            for leaf in (node, *_sources(node)):
                if leaf in self._names and arrived:
                    found.setdefault(leaf, arrived[0])
        return {**found, **{n: g for n, g in trail.gradients.items() if n in self._names}}

    @cached_property
    def written(self) -> set[Node]:
        """The slots that get a new value."""
        slots = self.recording.trail.slots
        return {slots[name] for name in self.recording.graph.writes if name in slots}

    def accumulating(self) -> set[Node]:
        """The parameters to whose present `.grad` a pass adds."""
        found = set()
        for leaf in self.recording.graph.slots.values():
            owner = getattr(leaf.op.storage, "node", None)  # type: ignore[attr-defined]  # a slot's
            gradients = self.recording.trail.gradients
            new: Any = gradients.get(owner) if owner is not None else None
            if owner is None or not is_reference(new):
                continue
            behind = reachable([new[0]], since=leaf.number)
            if any(_adds(node, leaf) for node in behind):
                found.add(owner)
        return found

    def leaving(self) -> set[Node]:
        """The parameters that have a gradient when the call is over."""
        return {node for node, number in self.recording.gradients if number is not None}

    def cut(self, parameter: Node) -> Node | None:
        """The node behind which no gradient comes, on the way from the parameter to the loss."""
        behind = set(self.behind)
        if parameter not in behind:
            return None
        passing = {parameter}
        for node in self.behind:
            if any(type(x) is Node and x in passing for x in node.inputs):
                if not node.requires_grad:
                    return node
                passing.add(node)
        return None

    # Layers and activations

    @cached_property
    def layers(self) -> list[Layer]:
        """The products with weights before the loss, in the order of the program."""
        found: list[Layer] = []
        count: dict[str, int] = {}
        for node in self.behind:
            op: Any = node.op
            if node.is_leaf or op.lower is None or node.origin is not None:
                continue
            made = self._layer(node)
            if made is None:
                continue
            weight, operand = made
            stem = weight.rpartition(".")[0] or weight
            count[stem] = count.get(stem, 0) + 1
            name = f"{stem}#{count[stem]}" if count[stem] > 1 else stem
            value = (node.inputs[operand], node.indices[operand])
            found.append(Layer(name, weight, _fan_in(node, 1 - operand), node, value))
        return found

    def _layer(self, node: Node) -> tuple[str, int] | None:
        """The weight of a product, and the number of the operand that it multiplies."""
        if len(node.inputs) < 2:
            return None
        slots = [self._slot(x) for x in node.inputs[:2]]
        for i in (1, 0):
            slot, other = slots[i], node.inputs[1 - i]
            if slot is not None and type(other) is Node and slots[1 - i] is None:
                return self._names[slot], 1 - i
        return None

    def _slot(self, x: Any) -> Node | None:
        """The parameter that a value is, perhaps moved or cast."""
        while type(x) is Node and not x.is_leaf:
            if len(x.inputs) != 1 or not only_moves(x):
                return None
            x = x.inputs[0]
        if type(x) is Node and x in self._names and x.outputs[0].ndim >= 2:
            return x if x.outputs[0].dtype.kind == "float" else None
        return None

    @cached_property
    def activations(self) -> list[Activation]:
        """The elementwise functions before the loss."""
        before_layers = set(reachable([x.input[0] for x in self.layers]))
        found: list[Activation] = []
        count: dict[str, int] = {}
        for node in self.behind:
            if not node.inputs or not node.requires_grad or node.outputs[0].ndim < 2:
                continue
            operand = curved(node)
            if operand is None:
                continue
            name = f"{node.scope}.{node.op.name}" if node.scope else node.op.name
            count[name] = count.get(name, 0) + 1
            name = f"{name}#{count[name]}" if count[name] > 1 else name
            found.append(
                Activation(
                    name, node, operand, self._unit_axis(node), squashes(node.op, node),
                    node in before_layers, self._is_gate(node),
                )
            )  # fmt: skip
        return found

    def _unit_axis(self, node: Node) -> int:
        """Channels of images are axis 1, as the layer before has them; features are the last."""
        ndim = node.outputs[0].ndim
        above = reachable([node])
        layers = [x for x in self.layers if x.node in above]
        if not layers:
            return ndim - 1
        last = layers[-1]
        weight = self.recording.trail.slots[last.weight].outputs[0]
        return 1 if ndim > 2 and weight.ndim == ndim else ndim - 1

    def _is_gate(self, node: Node) -> bool:
        """Whether it scales another computed value."""
        return any(
            sum(type(x) is Node and x.requires_grad for x in user.inputs) > 1
            and all(isinstance(d, Local) and not isinstance(d.rule, int) for d in kinds(user))
            for user in self.consumers.get(node, ())
        )

    # Losses

    @cached_property
    def choices(self) -> list[Choice]:
        """The losses of a choice that the loss is made of."""
        found = []
        tables = (*CLASS_LOSSES.items(), *LOG_LOSSES.items(), *LOGIT_LOSSES.items())
        known = dict(tables)
        for node in self.behind:
            if node.origin is None and node.op.name in known:
                scores, target = known[node.op.name]
                axis = node.params.get("axis")
                has_log = node.op.name in LOG_LOSSES
                found.append(
                    Choice(node, operand(node, scores), operand(node, target), axis, has_log)
                )
        return found

    @cached_property
    def scored(self) -> list[tuple[Node, Reference, int]]:
        """What takes the log-softmax of a value: (node, value, axis)."""
        found = []
        for node in self.behind:
            name = node.op.name
            number = {**{n: x for n, (x, _) in CLASS_LOSSES.items()}, **LOG_SOFTMAX}.get(name)
            if number is not None and node.origin is None:
                axes = node.params["axis"]
                axis = axes[0] if isinstance(axes, tuple) else axes
                found.append((node, operand(node, number), axis))
        return found

    def through_views(self, x: Reference) -> Node | None:
        """The node that computed a value that was only moved since."""
        node = x[0] if is_reference(x) else None
        while node is not None and node.inputs and len(node.inputs) == 1 and only_moves(node):
            node = node.inputs[0] if type(node.inputs[0]) is Node else None
        return node

    def data_only(self, x: Any) -> bool:
        """Whether a value comes from arguments and constants alone."""
        if type(x) is not Node:
            return True
        return not any(n in self._names or n.requires_grad for n in reachable([x]) if n.is_leaf)


def operand(node: Node, number: int) -> Reference:
    """An operand as a reference: of a node, or a constant."""
    x = node.inputs[number]
    return (x, node.indices[number]) if type(x) is Node else x


def _owners(recording: Recording) -> tuple[list[Module], list[Optimizer]]:
    """The modules and the optimisers that the function can reach."""
    from limpid.nn.module import Module  # `import limpid` does without them
    from limpid.optim import Optimizer

    owners = [place.owner for place in recording.guards.written if isinstance(place, Variables)]
    return (
        [x for x in owners if isinstance(x, Module)],
        [x for x in owners if isinstance(x, Optimizer)],
    )


def _roots(modules: Sequence[Module]) -> list[Module]:
    """Those that are within no other."""
    inner = {id(part) for m in modules for part in m.modules() if part is not m}
    return [m for m in modules if id(m) not in inner]


def _sources(node: Node) -> Iterator[Node]:
    """The leaf that a transform differentiates by a node of its own."""
    if len(node.inputs) == 1 and type(node.inputs[0]) is Node and node.inputs[0].is_leaf:
        yield node.inputs[0]


def _adds(node: Node, leaf: Node) -> bool:
    """Whether the node adds the leaf to something."""
    return len(node.inputs) == 2 and leaf in node.inputs and all(map(passes_on, kinds(node)))


def _fan_in(node: Node, weight: int) -> int:
    """How many terms each sum of a product has: the weight's labels that the output lacks."""
    op: Any = node.op
    specs = input_specs(node)
    spec = specs[weight]
    try:
        relation = op.relation(specs, node.params)
        kept = set(relation.outputs[0])
        labels = zip(relation.operands[weight], spec.shape, strict=True)
        extents = [n for label, n in labels if label not in kept]
    except (AttributeError, ValueError):
        extents = [spec.size // max(spec.shape[0], 1)]
    return max(prod(extents), 1)
