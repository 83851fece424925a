"""Groups: values that are computed together, chunk after chunk, and phases of groups.

All groups of a phase can run at once; a phase begins when the one before has ended. A value joins
the group of its operands if it needs nothing of them but its own chunk, else a later phase.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from limpid.compiler.program.links import Link
from limpid.compiler.program.values import Value, ordered
from limpid.compiler.program.views import GIVEN, VIEWS, base
from limpid.compiler.schedule.bands import Band, Bands


@dataclass(eq=False)
class Group:
    """Values of one band, or of none: those are computed as a whole, on one thread."""

    phase: int
    band: Band | None
    values: list[Value] = field(default_factory=list)
    links: dict[Value, Link] = field(default_factory=dict)  # along which they are in the band

    is_alone: bool = False  # whether nothing else may join: calls, and bodies of programs within


class Grouping:
    """The groups of a program, in phases.

    late   values that nothing reads, to be computed after all others
    first  values to be computed before all that they don't need
    """

    def __init__(
        self,
        values: Sequence[Value],
        bands: Bands,
        is_native: Callable[[Value], bool],
        late: Collection[Value] = (),
        first: Collection[Value] = (),
    ):
        self.bands = bands
        self.is_native = is_native
        self.phases: list[list[Group]] = []
        self.place: dict[Value, Group] = {}
        self.alone: list[Value] = []
        made = [v for v in values if v.kind not in (*GIVEN, *VIEWS)]
        self.start = 0  # the first phase for what comes now
        before = set(ordered(first))
        for value in made:
            if value in before:
                self._put(value)
        self.start = len(self.phases)
        early = [value for value in made if value not in late and value not in before]
        for value in early:
            self._put(value)
        self._postpone(early)
        last = len(self.phases)
        for value in late:
            (self._apart if self._is_alone(value) else self._open)(value, last)
        self.phases = [[g for g in phase if g.values] for phase in self.phases]
        self.phases = [phase for phase in self.phases if phase]
        for number, phase in enumerate(self.phases):
            for group in phase:
                group.phase = number

    def _put(self, value: Value) -> None:
        above = [self.place[x] for x in map(base, value.operands) if x in self.place]
        last = max((group.phase for group in above), default=-1)
        if last < self.start:
            last, above = self.start - 1, []
        latest = {group for group in above if group.phase == last}
        if self._is_alone(value):
            self._apart(value, last + 1)
            return
        if len(latest) == 1:
            (group,) = latest
            if not group.is_alone and self._suits(value, group) and self._joins(value, group):
                return
        self._open(value, last + 1)

    def _suits(self, value: Value, group: Group) -> bool:
        """Whether no other band of a value has more work than the group's."""
        if group.band is None:
            return True
        number, ranks = group.band.number, self._ranks(value)
        own = [rank for band, rank in ranks if band.number == number]
        lost = max(own)[0] if own else 0.0
        return all((lost, *self.bands.rank[number]) >= rank for _, rank in ranks)

    def _ranks(self, value: Value) -> list[tuple[Band, tuple[float, ...]]]:
        """The bands along which a value can be cut, with what is lost by that and their ranks."""
        found = [(link, self.bands.band(value, link)) for link in self._possible(value)]
        return [
            (band, (-self.bands.lost(value, link), *self.bands.rank[band.number]))
            for link, band in found
        ]

    def _possible(self, value: Value) -> list[Link]:
        """The links along which a value can be cut."""
        return [
            link
            for link in self.bands.links(value)
            if not self.bands.band(value, link).is_whole
            and (link.output is None) == ("slots" in value.params)
        ]

    def _is_alone(self, value: Value) -> bool:
        return value.kind == "nested" or not self.is_native(value)

    def _apart(self, value: Value, first: int) -> None:
        """Outputs of one call are in one group."""
        group = next((self.place[x] for x in self.alone if made_together(x, value)), None)
        if group is None:
            group = Group(first, None, is_alone=True)
            self._phase(first).append(group)
        self.alone.append(value)
        self._add(value, group, None)

    def _open(self, value: Value, first: int) -> None:
        """Into a group of the best of its bands, at once or later."""
        for band, _ in sorted(self._ranks(value), key=lambda pair: pair[1], reverse=True):
            for phase in self.phases[first:]:
                for group in phase:
                    if group.band == band and not group.is_alone and self._joins(value, group):
                        return
            group = Group(max(first, 0), band)
            if self._joins(value, group):
                self._phase(first).append(group)
                return
        assert "slots" not in value.params, f"{value} was made for slots and has none"
        self._add(value, self._serial(first), None)

    def _serial(self, phase: int) -> Group:
        """The group of a phase that has no band."""
        for group in self._phase(phase):
            if group.band is None and not group.is_alone:
                return group
        group = Group(phase, None)
        self._phase(phase).append(group)
        return group

    def _phase(self, number: int) -> list[Group]:
        while len(self.phases) <= number:
            self.phases.append([])
        return self.phases[number]

    def _add(self, value: Value, group: Group, link: Link | None) -> None:
        group.values.append(value)
        self.place[value] = group
        if link is not None:
            group.links[value] = link

    def _joins(self, value: Value, group: Group) -> bool:
        """Put a value into a group if it can be there."""
        if group.band is None:
            if self._possible(value):
                return False
            self._add(value, group, None)
            return True
        link = self._link(value, group)
        if link is None:
            return False
        self._add(value, group, link)
        return True

    def _link(self, value: Value, group: Group) -> Link | None:
        """The link along which a value is in a group's band; None if it can't be."""
        assert group.band is not None
        for link in self.bands.links(value):
            if self.bands.band(value, link).number != group.band.number:
                continue
            slots = None if link.output is not None else group.band.slots
            if value.params.get("slots") != slots:
                continue  # a sum is complete after all chunks only, but for one of each slot
            if all(
                self._goes_along(x, link.axis_of(n), group) for n, x in enumerate(value.operands)
            ):
                return link
        return None

    def _goes_along(self, x: Value, axis: int | None, group: Group) -> bool:
        """Whether of an operand nothing is needed but the same chunk, or it is there as a whole."""
        origin = base(x)
        if self.place.get(origin) is not group:
            return True
        if axis is None:
            return False
        own = group.links[origin]
        return own.output is not None and self._through_views(x, axis) == own.output

    def _through_views(self, x: Value, axis: int) -> int | None:
        """The axis of what a view shows that one of its axes is."""
        at: int | None = axis
        while x.kind in VIEWS and at is not None:
            at = next((n.axis_of(0) for n in self.bands.links(x) if n.output == at), None)
            x = x.operands[0]
        return at

    def _postpone(self, values: list[Value]) -> None:
        """Move values to the group of the same band that reads them first, if that is later."""
        readers: dict[Value, list[Value]] = {}
        for value in values:
            for x in value.operands:
                readers.setdefault(base(x), []).append(value)
        for value in reversed(values):
            here, later = self.place[value], readers.get(value, [])
            if here.is_alone or not later:
                continue
            first = min(self.place[r].phase for r in later)
            groups = {self.place[r] for r in later if self.place[r].phase == first}
            if first <= here.phase or len(groups) > 1:
                continue
            (there,) = groups
            same = there.band == here.band and not there.is_alone
            if same and self._leaves_nothing(value, here, readers):
                self._move(value, here, there, [r for r in later if self.place[r] is there])

    def _leaves_nothing(self, value: Value, here: Group, readers: dict[Value, list[Value]]) -> bool:
        """Whether nothing of the same group is left behind that only this reads."""
        for x in map(base, value.operands):
            group = self.place.get(x)
            if group is not None and group.phase == here.phase:
                others = [r for r in readers[x] if r is not value]
                if any(self.place[r].phase <= here.phase for r in others):
                    return False
        return True

    def _move(self, value: Value, here: Group, there: Group, readers: list[Value]) -> None:
        self.place[value] = there
        link = here.links.get(value)
        if link is not None:
            there.links[value] = link
            if any(self._link(reader, there) != there.links[reader] for reader in readers):
                self.place[value] = here
                del there.links[value]
                return
            del here.links[value]
        here.values.remove(value)
        there.values.insert(0, value)


def made_together(a: Value, b: Value) -> bool:
    """Whether two values are outputs of one call, or of one nested program."""
    if a.kind != b.kind or any(x is not y for x, y in zip(a.operands, b.operands)):
        return False
    if a.kind == "nested":
        return a.params["bodies"] is b.params["bodies"]
    same = a.kind == "call" and a.params["primitive"] is b.params["primitive"]
    return same and a.params["params"] is b.params["params"]
