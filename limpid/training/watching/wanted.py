"""What a watch wants to know: which statistics, of which values of a recording."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from limpid.compiler.steps.labels import GRADIENTS, NEW, STATE, VALUES
from limpid.compiler.steps.recordings import Recording
from limpid.compiler.steps.selection import Probe
from limpid.compiler.steps.statistics import STATISTICS, ends_of
from limpid.errors import ArgumentError
from limpid.graph.graph import Reference, is_reference
from limpid.graph.node import Node
from limpid.nn.module import Module
from limpid.tensor import Parameter

RATIO = "ratio"  # ‖Δw‖/‖w‖, of updates only
SATURATED = "saturated"  # of activations only
KNOWN = {**STATISTICS, RATIO: "the norm of an update over that of the parameter"}
INSIDE = "runs in the body of a scan, a cond or a recompute, whose values stay in there"
KINDS = ("activations", "parameters", "gradients", "updates")
Values = dict[str, dict[str, Any]]  # name → {statistic: value}


class Wanted(NamedTuple):
    """Which statistics, and of which kinds of values."""

    statistics: tuple[str, ...]
    kinds: tuple[str, ...]

    @property
    def usual(self) -> tuple[str, ...]:
        """The statistics that all values have."""
        return tuple(name for name in self.statistics if name not in (RATIO, SATURATED))

    @property
    def has_updates(self) -> bool:
        """Whether updates are looked at."""
        return "updates" in self.kinds and RATIO in self.statistics


def parse_kinds(given: str | Iterable[str]) -> tuple[str, ...]:
    """Kinds of values as they are listed. Raises ArgumentError for those there are not."""
    listed = [given] if isinstance(given, str) else list(given)
    for name in listed:
        if name not in KINDS:
            raise ArgumentError(f"of names kinds of values, {', '.join(KINDS)}, not {name!r}")
    if not listed:
        raise ArgumentError(f"of names no kind of value; there are {', '.join(KINDS)}")
    return tuple(dict.fromkeys(listed))


def parse_statistics(given: str | Iterable[str]) -> tuple[str, ...]:
    """Statistics as they are listed, each once. Raises ArgumentError for those there are not."""
    listed = [given] if isinstance(given, str) else list(given)
    for name in listed:
        if name not in KNOWN:
            raise ArgumentError(f"there is no statistic {name!r}; there are {', '.join(KNOWN)}")
    if not listed:
        raise ArgumentError(f"stats names no statistic; there are {', '.join(KNOWN)}")
    return tuple(dict.fromkeys(listed))


def probes_in(recording: Recording, wanted: Wanted, target: Module | None) -> list[Probe]:
    """The probes for modules' outputs, parameters, gradients and updates, in this order.

    Those of the target, if there is one; then nothing of a recording that trains none of it.
    """
    slots = _parameters(recording, target)
    (state,), (new,) = recording.labels[STATE], recording.labels[NEW]
    gradients = recording.labels[GRADIENTS][0].values
    trained = [name for name in slots if name in gradients or name in new.values]
    if target is not None and not trained:
        return []
    found: list[Probe] = []
    if "activations" in wanted.kinds:
        found += _of_activations(_activations(recording, target), wanted)
    for kind, prefix, values in (
        ("parameters", STATE, state.values),
        ("gradients", GRADIENTS, gradients),
    ):
        for name in slots if kind in wanted.kinds else ():
            if name in values:
                full = f"{prefix}:{name}"
                found += (Probe(f"{s}:{full}", s, values[name]) for s in wanted.usual)
    if wanted.has_updates:
        found += _updates(slots, state.values, new.values)
    return list({probe.name: probe for probe in found}.values())


def hidden_in(recording: Recording, target: Module | None) -> dict[str, str]:
    """The modules whose outputs no probe reaches, with the reason."""
    ours = _names_of(recording, target)
    return {name: INSIDE for name in recording.trail.hidden if ours is None or name in ours}


def taken_apart(found: Mapping[str, Any], wanted: Wanted) -> Values:
    """Probes by the names of what they are of; with ratios, and only what was asked for."""
    made: Values = {}
    for full, value in found.items():
        statistic, name = full.split(":", 1)
        made.setdefault(name, {})[statistic] = value
    for name, values in made.items():
        kind, _, slot = name.partition(":")
        if kind == "update":
            values[RATIO] = ratio(values["norm"], made[f"state:{slot}"]["norm"])
    if "norm" not in wanted.statistics or "parameters" not in wanted.kinds:
        for name, values in made.items():
            if name.startswith("state:"):
                values.pop("norm", None)
    return {name: values for name, values in made.items() if values}


def ratio(change: float, whole: float) -> float:
    """‖Δw‖/‖w‖; infinite where what was all 0 has changed."""
    if whole:
        return change / whole
    return float("inf") if change else 0.0


def _activations(recording: Recording, target: Module | None) -> dict[str, Reference]:
    """What modules return, by name."""
    ours = _names_of(recording, target)
    values = recording.labels[VALUES][0].values
    if ours is None:
        return values
    return {name: x for name, x in values.items() if _base(name) in ours}


def _of_activations(values: Mapping[str, Reference], wanted: Wanted) -> Iterator[Probe]:
    for name, value in values.items():
        yield from (Probe(f"{s}:{name}", s, value) for s in wanted.usual)
        if SATURATED in wanted.statistics and is_reference(value):
            if ends_of(value[0]) is not None:
                yield Probe(f"{SATURATED}:{name}", SATURATED, value)


def _base(name: str) -> str:
    """The module's name: `lstm[0]#2` is of `lstm`."""
    return name.split("#")[0].split("[")[0]


def _names_of(recording: Recording, target: Module | None) -> set[str] | None:
    """What the modules of the target were called; None for all."""
    if target is None:
        return None
    modules = recording.trail.modules
    return {name for module in target.modules() for name in modules.get(id(module), ())}


def _parameters(recording: Recording, target: Module | None) -> dict[str, Node]:
    """The slots that are parameters, by name."""
    if target is None:
        return {n: node for n, node in recording.trail.slots.items() if _is_parameter(node)}
    ours = {id(p.storage) for p in target.parameters()}
    pairs = recording.trail.slots.items()
    return {name: node for name, node in pairs if id(_storage(node)) in ours}


def _is_parameter(node: Node) -> bool:
    return isinstance(_storage(node).holder(), Parameter)


def _storage(node: Node) -> Any:
    op: Any = node.op
    return op.storage


def _updates(
    slots: Iterable[str], state: Mapping[str, Reference], new: Mapping[str, Reference]
) -> Iterator[Probe]:
    for name in slots:
        if name in new and name in state:
            yield Probe(f"norm:state:{name}", "norm", state[name])
            yield Probe(f"norm:update:{name}", "norm", new[name], state[name])
