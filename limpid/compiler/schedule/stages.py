"""From values to stages: what is computed in one nest of loops, and in which order.

A nest runs over a domain, the shape of its maps and of what its reductions read. A map joins the
nest that its operands come from, or a later one with the same domain; what a reduction makes is
ready for later stages only. Contractions and calls are stages of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from limpid.compiler.program.links import Link
from limpid.compiler.program.puts import FILLED, fill_of, indexed_axes, is_at_indices, puts
from limpid.compiler.program.values import Shape, Value, ordered
from limpid.compiler.program.views import GIVEN, base, core, locate, packed
from limpid.compiler.schedule.bands import Band, Bands
from limpid.compiler.schedule.company import keep_company
from limpid.compiler.schedule.groups import Group, Grouping
from limpid.compiler.schedule.nearness import Nests

MOST = 256  # values in a nest
MOST_NUMBERS = 64  # single ones: functions without loops compile the longer the larger they are
NEST, PRODUCT, CALL, NESTED = "nest", "product", "call", "nested"
INDEXED = ("take_along", "gather")  # elements of the first operand at indices, the second
ELEMENTWISE = ("map", *INDEXED, "accumulate")
FOLDED = ("reduce", "accumulate")  # they go along axes, which are the innermost loops


@dataclass(eq=False)
class Stage:
    """Values that are computed together.

    kind    "nest", "product" (one contraction), "call" (all outputs of one primitive) or "nested"
            (all outputs of programs within this one)
    domain  of a nest, without axes of extent 1
    band    which axis of the domain is cut into chunks, if any
    kept    which axes reductions keep, if there are any
    turns   axes along which elements come in order, one after the other
    bodies  of "nested": the schedules of those programs
    """

    kind: str
    domain: Shape
    band: int | None = None
    values: list[Value] = field(default_factory=list)
    kept: tuple[bool, ...] | None = None
    turns: frozenset[int] = frozenset()
    bodies: tuple[Schedule, ...] = ()

    def add(self, value: Value) -> None:
        """One value more."""
        self.values.append(value)
        if self.kind == NEST:
            self.kept = kept_axes(value) if value.kind in FOLDED else self.kept
            self.turns |= in_turn(value)

    def takes(self, value: Value) -> bool:
        """Whether a value with the same domain can be computed in these loops."""
        turns = in_turn(value)
        together = turns | self.turns
        if together and len(together) == len(self.domain):
            return False  # nothing would be left to be done in vectors
        if value.kind in FOLDED:
            return self.kept == kept_axes(value) or (self.kept is None and not self.turns)
        if turns:
            return self.kept is None and self.turns in (frozenset(), turns)
        return True

    def __str__(self) -> str:
        from limpid.compiler.schedule.text import Text, joined  # which needs all of this

        return joined(Text(()).stage(self))


@dataclass(eq=False)
class Block:
    """Stages that are run one after another for each chunk of a band."""

    band: Band | None
    stages: list[Stage]
    links: dict[Value, Link]  # of values in the band: along which they are cut

    @property
    def is_call(self) -> bool:
        """Whether this is work of NumPy."""
        return self.stages[0].kind == CALL

    @property
    def is_nested(self) -> bool:
        """Whether this runs programs within the program."""
        return self.stages[0].kind == NESTED

    def __str__(self) -> str:
        from limpid.compiler.schedule.text import Text, joined

        return joined(Text(()).block(self))


@dataclass(frozen=True)
class Schedule:
    """Phases of blocks that can run at once, and the values that have a buffer.

    place   the block that makes a value, for all that are made
    ends    what is computed
    lasting what only the first run of a loop's body computes, in the first phases
    """

    phases: tuple[tuple[Block, ...], ...]
    buffered: frozenset[Value]
    place: dict[Value, Block]
    ends: tuple[Value, ...]
    lasting: frozenset[Value] = frozenset()

    @property
    def once(self) -> int:
        """How many phases only the first run of a loop's body goes through."""
        blocks = {self.place[value] for value in self.lasting}
        return sum(not blocks.isdisjoint(phase) for phase in self.phases)

    @property
    def stages(self) -> list[Stage]:
        """All stages in order, each followed by those of its bodies."""
        return list(self.runs())

    def runs(self, often: int = 1) -> dict[Stage, int]:
        """How often each stage runs, those of bodies included."""
        found = {}
        for stage in (s for phase in self.phases for block in phase for s in block.stages):
            found[stage] = often
            if stage.kind == NESTED:
                bodies = stage.values[0].params["bodies"].bodies
                for body, schedule in zip(bodies, stage.bodies):
                    times = 1 if body.length is None else body.length
                    found.update(schedule.runs(often * times))
        return found

    def __str__(self) -> str:
        from limpid.compiler.schedule.text import Text, joined

        return joined(Text(self.buffered).schedule(self))


def _is_no_call(value: Value) -> bool:
    return value.kind != "call"


def schedule(
    ends: Sequence[Value],
    is_native: Callable[[Value], bool] = _is_no_call,
    late: Collection[Value] = (),
    first: Collection[Value] = (),
    apart: Collection[Value] = (),
    lasting: Collection[Value] = (),
) -> Schedule:
    """The stages that compute these values, none of which is a view (`with_copies`).

    What is not native is a call. Late values are computed when all others are there, the first
    before all that they don't need, and the lasting ones before those. Those apart are in nests
    that are the same without them, or have no others.
    """
    values = ordered(ends)
    bands = Bands(values, apart)
    grouping = Grouping(values, bands, is_native, late, [*first, *lasting])
    stage_of: dict[Value, Stage] = {}
    place: dict[Value, Block] = {}
    phases = []
    for phase in grouping.phases:
        blocks = []
        for group in phase:
            placement = _Placement(group, bands.apart, is_native)
            block = placement.block()
            stage_of.update(placement.of)
            place.update(dict.fromkeys(group.values, block))
            blocks.append(block)
        phases.append(tuple(blocks))
    buffered = _buffered(ends, stage_of)
    return Schedule(tuple(phases), buffered, place, tuple(ends), frozenset(lasting))


class _Placement:
    """The stages of a group."""

    def __init__(self, group: Group, apart: Collection[Value], is_native: Callable[[Value], bool]):
        self.group, self.links, self.apart = group, dict(group.links), apart
        self._is_native = is_native
        self.of: dict[Value, Stage] = {}
        self._stages: list[Stage] = []
        self._numbers: dict[Value, int] = {}  # of stages after which values are there
        self._nests: dict[tuple[Shape, int | None], Nests] = {}  # by what they run over
        self._fills: dict[int, list[Stage]] = {}  # stages by the number of that which they precede

    def block(self) -> Block:
        """All stages in order."""
        for value in self.group.values:
            if self.group.is_alone:
                self._apart(value)
            elif value.kind in FILLED:
                self._fill(value)
            elif value.kind == "contract":
                self._add(value, len(self._stages), Stage(PRODUCT, ()))
            else:
                self._place(value)
        self.of.update(keep_company(self._stages, self.apart))
        fills = [self._fills.get(n, []) for n in range(len(self._stages))]
        stages = [s for fill, stage in zip(fills, self._stages) for s in (*fill, stage)]
        return Block(self.group.band, [stage for stage in stages if stage.values], self.links)

    def _add(self, value: Value, number: int, stage: Stage | None = None) -> None:
        """To the stage of a number, or to a new one."""
        if stage is not None:
            self._stages.append(stage)
        self._put(value, number)
        self._numbers[value] = number
        self.of[value] = self._stages[number]

    def _put(self, value: Value, number: int) -> None:
        stage = self._stages[number]
        stage.add(value)
        nests = self._nests.get((stage.domain, stage.band))
        if nests is not None and stage.kind == NEST:
            nests.note(number, value)
            if len(stage.values) >= (MOST if stage.domain else MOST_NUMBERS):
                nests.open.discard(number)

    def _apart(self, value: Value) -> None:
        kind = NESTED if self._is_native(value) else CALL
        self._add(value, 0, None if self._stages else Stage(kind, ()))

    def _fill(self, value: Value) -> None:
        """What is written in parts; if there are gaps, it is filled just before the first."""
        numbers = []
        for put in puts(value):
            if value in self.links:
                link = self.links[value]
                self.links[put] = link._replace(output=link.axis_of(0))
            numbers.append(self._place(put))
        first = min(numbers)
        self._numbers[value] = max(numbers)
        if fill_of(value) is None:
            self.of[value] = self._stages[first]
            self._put(value, first)
        else:
            self.of[value] = Stage(NEST, *self._domain(value))
            self._fills.setdefault(first, []).append(self.of[value])
            self.of[value].add(value)

    def _place(self, value: Value) -> int:
        """To the first nest that it fits into."""
        domain, band = self._domain(value)
        ready = [self._ready(x, domain, band) for x in value.operands]
        if value.kind in INDEXED:  # any element of the operand may be read
            ready[0] = self._numbers.get(base(value.operands[0]), -1) + 1
        first = max(ready, default=0)
        for number in sorted(self._near(value, domain, band)):
            if number >= first and self._stages[number].takes(value):
                self._add(value, number)
                return number
        number = len(self._stages)
        if not _turns(value):
            self._nests[domain, band].open.add(number)
        self._add(value, number, Stage(NEST, domain, band))
        return number

    def _near(self, value: Value, domain: Shape, band: int | None) -> list[int]:
        """The nests that have something to do with what a value reads, and are not large.

        Equal nests of things apart are one function; one nest of all would be a long one. Squares
        of elements are turned in registers, by loops of their own.
        """
        nests = self._nests.setdefault((domain, band), Nests())
        if _turns(value):
            return []
        read = {base(x) for x in value.operands if x.size > 1}
        apart = value in self.apart
        return [
            number
            for number in (nests.of(read) if domain else nests.open)
            if (self._stages[number].values[0] in self.apart) == apart
        ]

    def _domain(self, value: Value) -> tuple[Shape, int | None]:
        """What a nest with a value runs over, without axes of extent 1; the axis that is cut."""
        shape, link, band = full_shape(value), self.links.get(value), None
        if link is not None:
            axis = link.axis_of(0) if value.kind == "reduce" else link.output
            assert axis is not None
            band = sum(n != 1 for n in shape[:axis])
        return tuple(n for n in shape if n != 1), band

    def _ready(self, x: Value, domain: Shape, band: int | None) -> int:
        """The first stage that may read a value: its own if that is a map of the same nest."""
        number, origin = self._numbers.get(base(x), -1), core(x)
        if origin.kind in ELEMENTWISE and number >= 0:
            stage = self._stages[number]
            if stage.domain == domain and stage.band == band:
                return number
        return number + 1


def _turns(value: Value) -> bool:
    """Whether a value is a copy that lies side by side along another axis than what it copies."""
    if value.kind != "map" or value.params["function"] != "cast":
        return False
    (x,) = value.operands
    if x.dtype != value.dtype or x.shape != value.shape:
        return False
    steps = zip(locate(x).strides, packed(value.shape, value.order), value.shape, strict=True)
    return any((a == 1) != (b == 1) for a, b, n in steps if n != 1)


def full_shape(value: Value) -> Shape:
    """What a value's loops run over."""
    return value.operands[0].shape if value.kind == "reduce" else value.shape


def folded_axes(value: Value) -> tuple[int, ...]:
    """The axes that a reduction, or a running one, goes along."""
    axes = value.params["axes"] if value.kind == "reduce" else (value.params["axis"],)
    return tuple(axes)


def kept_axes(value: Value) -> tuple[bool, ...]:
    """For each axis that a reduction goes over, those of extent 1 left out, whether it stays."""
    axes = folded_axes(value)
    return tuple(axis not in axes for axis, n in enumerate(full_shape(value)) if n != 1)


def in_turn(value: Value) -> frozenset[int]:
    """Axes of a domain along which elements come in order, one after the other.

    Where the last one is such an axis, vectors across lines would be put together from afar: that
    pays for functions that take long.
    """
    running = value.kind == "accumulate" and not _is_associative(value)
    if not running and not is_at_indices(value):
        return frozenset()
    axes = (value.params["axis"],) if value.kind == "accumulate" else indexed_axes(value)
    long = [axis for axis, n in enumerate(value.shape) if n != 1]
    turns = frozenset(n for n, axis in enumerate(long) if axis in axes)
    if len(long) - 1 in turns and value.params["function"] != "logaddexp":
        return frozenset(range(len(long)))
    return turns


def _is_associative(value: Value) -> bool:
    """Whether a function of many elements may be computed in any order, whatever they are.

    Sums of floats are, up to rounding; their products may leave the range of floats on the way.
    """
    function = value.params["function"]
    if function == "multiply":
        return value.dtype.kind != "f"
    return function in ("add", "maximum", "minimum", "logical_and", "logical_or")


def _buffered(ends: Sequence[Value], stage_of: dict[Value, Stage]) -> frozenset[Value]:
    """Values that are read by other stages, or in another way than element by element."""
    found = set(ends)
    found.update(v for v in stage_of if v.kind not in (*ELEMENTWISE, "put"))
    for value in stage_of:
        if value.kind not in FILLED or stage_of[value].kind == CALL:  # else puts read for it
            found.update(
                base(x)
                for number, x in enumerate(value.operands)
                if not _stays_inside(value, number, x, stage_of)
            )
    return frozenset(v for v in found if v.kind not in GIVEN)


def _stays_inside(value: Value, number: int, x: Value, stage_of: dict[Value, Stage]) -> bool:
    """Whether an operand is made and used in the same pass of the same loops."""
    x = core(x)
    if x.kind not in ELEMENTWISE or value.kind not in (*ELEMENTWISE, "reduce", "put"):
        return False
    if value.kind in INDEXED and number == 0:
        return False
    return stage_of[x] is stage_of[value] and stage_of[x].kind == NEST
