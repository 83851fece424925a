"""What is only looked at is computed in loops that go over the same elements anyway.

It never has a part in what these loops are: they were found without it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from limpid.compiler.program.values import Value
from limpid.compiler.program.views import base, core

if TYPE_CHECKING:
    from limpid.compiler.schedule.stages import Stage

MOST = 6  # values of a nest that takes others: in a longer one registers don't suffice


def keep_company(stages: Sequence[Stage], apart: Collection[Value]) -> dict[Value, Stage]:
    """Move nests of values apart into others, where they can be; the new stages of these values.

    What is left of a nest that was moved has no values. A nest takes others if it has no
    reductions of its own, whose terms would come in another order then.
    """
    lookers = [n for n, stage in enumerate(stages) if stage.values[0] in apart]
    company = _Company(stages, apart) if lookers else None
    moved: dict[Value, Stage] = {}
    for number in lookers:
        target = company.find(number) if company is not None else None
        if target is not None:
            values = stages[number].values.copy()
            stages[number].values.clear()
            for value in values:
                stages[target].add(value)
                moved[value] = stages[target]
    return moved


class _Company:
    """The nests that can take others."""

    def __init__(self, stages: Sequence[Stage], apart: Collection[Value]):
        self._stages = stages
        self._numbers = {v: n for n, stage in enumerate(stages) for v in stage.values}
        self._near: dict[Any, list[int]] = {}
        self._first_reader: dict[Value, int] = {}
        for number, stage in enumerate(stages):
            self._note_readers(number, stage, apart)
            if stage.values[0] not in apart and _is_plain(stage):
                for x in {*stage.values, *_read(stage)}:
                    self._near.setdefault((stage.domain, stage.band, x), []).append(number)

    def find(self, number: int) -> int | None:
        """A nest that what a nest computes can be part of."""
        stage = self._stages[number]
        if not stage.domain or any(v.kind not in ("map", "reduce") for v in stage.values):
            return None
        keys = [(stage.domain, stage.band, x) for x in _read(stage)]
        near = sorted({target for key in keys for target in self._near.get(key, ())})
        return next((target for target in near if self._can_be(number, target)), None)

    def _can_be(self, number: int, target: int) -> bool:
        own, others = self._stages[number].values, self._stages[target].values
        if len(own) + len(others) > MOST:
            return False
        if self._stages[target].kept not in (None, self._stages[number].kept):
            return False
        if target > number:
            last = len(self._stages)
            return all(self._first_reader.get(v, last) > target for v in own)
        return all(self._is_there(x, target) for x in _operands(own))

    def _is_there(self, x: Value, target: int) -> bool:
        """Whether a nest can read a value, or makes that element itself."""
        number = self._numbers.get(base(x), -1)
        return number < target or (number == target and core(x).kind == "map")

    def _note_readers(self, number: int, stage: Stage, apart: Collection[Value]) -> None:
        for value in stage.values:
            for x in map(base, value.operands):
                if x in apart and self._numbers.get(x) != number:
                    self._first_reader.setdefault(x, number)


def _is_plain(stage: Stage) -> bool:
    """Whether a nest only computes elements from elements, side by side as they lie in memory."""
    if stage.kind != "nest" or stage.turns or stage.kept is not None:
        return False
    return all(v.kind == "map" and v.params["function"] != "cast" for v in stage.values[:1])


def _operands(values: Sequence[Value]) -> Iterator[Value]:
    """What values read that is not among them."""
    own = set(values)
    for value in values:
        yield from (x for x in value.operands if base(x) not in own)


def _read(stage: Stage) -> set[Value]:
    return {base(x) for x in _operands(stage.values) if x.size > 1}
