"""Stages that are alike: the same loops over other arrays. One function serves them all."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Any

import numpy as np

from limpid.compiler.program.templates import exact
from limpid.compiler.program.values import Value
from limpid.compiler.program.views import VIEWS
from limpid.compiler.schedule.stages import Stage


class Likeness:
    """What makes the code of a stage, without the identity of its arrays.

    values  all that it reads and computes, views and what they show included, in an order of which
            the stage alone decides
    key     the same for stages that are alike; None if nobody can tell
    """

    def __init__(self, stage: Stage, buffered: Collection[Value]):
        self.values: list[Value] = []
        self._numbers: dict[Value, int] = {}
        self._forms: list[Hashable] = []
        self._inside, self._buffered = set(stage.values), buffered
        own = tuple([self._number(value) for value in stage.values])
        self.key: Hashable | None = (stage.domain, stage.band, own, tuple(self._forms))
        try:
            hash(self.key)
        except TypeError:
            self.key = None

    def numbers(self, values: Collection[Value]) -> list[int]:
        """Where values are among `values`."""
        return [self._numbers[value] for value in values]

    def _number(self, value: Value) -> int:
        number = self._numbers.get(value)
        if number is None:
            number = self._numbers[value] = len(self.values)
            self.values.append(value)
            self._forms.append(None)
            self._forms[number] = self._form(value)
        return number

    def _form(self, value: Value) -> Hashable:
        inside = value in self._inside
        given: tuple[int, ...] = ()
        if inside or value.kind in VIEWS:
            given = tuple([self._number(x) for x in value.operands])
            params: Any = exact(value.params)
        elif value.kind == "constant" and value.size == 1:
            params = np.asarray(value.params["array"]).tobytes()
        else:
            params = None
        kept = inside and value in self._buffered
        return value.kind, value.shape, value.dtype, value.order, given, params, kept
