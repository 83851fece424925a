"""From values to stages: what is computed in one nest of loops, and in which order.

A nest runs over a domain, the shape of its maps and of what its reductions read. A map joins the
nest that its operands come from, or a later one with the same domain; what a reduction makes is
ready for later stages only. Contractions and calls are stages of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from limpid.compiler.program.values import Shape, Value, ordered
from limpid.compiler.program.views import VIEWS

NEST, PRODUCT, CALL = "nest", "product", "call"
GIVEN = ("input", "constant")


@dataclass
class Stage:
    """Values that are computed together.

    kind    "nest", "product" (one contraction) or "call" (all outputs of one primitive)
    domain  of a nest
    """

    kind: str
    domain: Shape
    values: list[Value] = field(default_factory=list)


@dataclass(frozen=True)
class Schedule:
    """Stages in order, and the values that have a buffer."""

    stages: tuple[Stage, ...]
    buffered: frozenset[Value]


def schedule(ends: Sequence[Value]) -> Schedule:
    """The stages that compute these values, none of which is a view (`with_copies`)."""
    values = ordered(ends)
    stages: list[Stage] = []
    place: dict[Value, int] = {}  # the number of the stage that makes a value; −1 if it is given
    for value in values:
        place[value] = _place(value, stages, place)
    return Schedule(tuple(stages), _buffered(ends, values, place))


def _place(value: Value, stages: list[Stage], place: dict[Value, int]) -> int:
    if value.kind in GIVEN:
        return -1
    if value.kind in VIEWS:
        return place[value.operands[0]]
    if value.kind in ("contract", "call"):
        return _alone(value, stages, place)
    domain = domain_of(value)
    first = max((_ready(x, domain, stages, place) for x in value.operands), default=0)
    for number in range(max(first, 0), len(stages)):
        if stages[number].kind == NEST and stages[number].domain == domain:
            stages[number].values.append(value)
            return number
    stages.append(Stage(NEST, domain, [value]))
    return len(stages) - 1


def domain_of(value: Value) -> Shape:
    """What a nest with this value runs over, without axes of extent 1."""
    shape = value.operands[0].shape if value.kind == "reduce" else value.shape
    return tuple(n for n in shape if n != 1)


def _ready(x: Value, domain: Shape, stages: list[Stage], place: dict[Value, int]) -> int:
    """The first stage that may read a value: its own if that is a map of the same nest."""
    number = place[x]
    if x.kind == "map" and number >= 0 and stages[number].domain == domain:
        return number
    return number + 1


def _alone(value: Value, stages: list[Stage], place: dict[Value, int]) -> int:
    if value.kind == "call":
        for number, stage in enumerate(stages):
            if stage.kind == CALL and _same_call(stage.values[0], value):
                stage.values.append(value)
                return number
    stages.append(Stage(CALL if value.kind == "call" else PRODUCT, (), [value]))
    return len(stages) - 1


def _same_call(a: Value, b: Value) -> bool:
    """Whether two values are outputs of one call."""
    same = a.params["primitive"] is b.params["primitive"]
    return same and a.operands is b.operands and a.params["params"] is b.params["params"]


def _buffered(
    ends: Sequence[Value], values: list[Value], place: dict[Value, int]
) -> frozenset[Value]:
    """Values that are read by other stages, or in another way than element by element."""
    found = set(ends)
    found.update(v for v in values if v.kind not in (*VIEWS, "map"))
    for value in values:
        for x in value.operands:
            inside = (
                x.kind == "map" and value.kind in ("map", "reduce") and place[x] == place[value]
            )
            if not inside:
                found.add(_base(x))
    return frozenset(found)


def _base(x: Value) -> Value:
    while x.kind in VIEWS:
        x = x.operands[0]
    return x
