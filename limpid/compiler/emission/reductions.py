"""What reductions keep in registers while their loops run, in LLVM's language.

Sums and products of floats are kept in double precision, sums of many doubles in two registers: the
second has what was rounded off (NumPy, for the same reason, adds up in pairs). Where the largest or
smallest element is goes with its value; of equal ones the first counts, NaN before all others.
Running reductions go on from lane to lane where the order of terms does not matter, and else take
their elements in order and in their own type, as NumPy does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.compiler.emission.casts import cast, select
from limpid.compiler.emission.code import Code
from limpid.compiler.emission.functions import apply
from limpid.compiler.program.values import Value
from limpid.compiler.schedule.stages import in_turn

SQUARES = "squares"  # are added up
MAGNITUDES = "magnitudes"  # are counted in memory
WIDE = {"add", "multiply"}  # reductions that keep floats in double precision
FIRST: dict[str, Any] = {
    "add": 0, SQUARES: 0, MAGNITUDES: 0, "multiply": 1, "logical_and": True, "logical_or": False,
}  # fmt: skip
PLACES = {"argmax": "maximum", "argmin": "minimum"}
PLACE, SHORT_PLACE = np.dtype(np.int64), np.dtype(np.int32)
MANY = 16  # terms from which on what rounding takes from a sum of doubles is kept

State = list[str]  # registers


class Fold:
    """A reduction of elements to one register."""

    def __init__(self, value: Value):
        self.value, self.function = value, value.params["function"]
        self.kind = _kind(value)
        self.types = [self.kind]
        self.starts = [first(self.function, self.kind)]

    def lifted(self, code: Code, x: str, place: str) -> State:
        """An element as the registers would be for it alone; `place` is where it is."""
        return [cast(code, self.value.operands[0].dtype, self.kind, x)]

    def combined(self, code: Code, before: State, after: State, in_order: bool) -> State:
        """The registers for what two stand for; in order if the places of one come first."""
        return [applied(code, self.function, self.kind, [*before, *after])]

    def result(self, code: Code, state: State) -> str:
        """The reduction."""
        return cast(code, self.kind, self.value.dtype, state[0])

    def resumed(self, code: Code, x: str) -> State:
        """The registers from a result."""
        return [cast(code, self.value.dtype, self.kind, x)]


class Compensated(Fold):
    """A sum of doubles, and the sum of what was rounded off.

    The error of an addition is a double itself, and six additions give it (Møller 1965, Quasi
    double-precision in floating point addition).
    """

    def __init__(self, value: Value):
        super().__init__(value)
        self.types = [self.kind, self.kind]
        self.starts = [0.0, -0.0]  # −0 + x is x, for the compiler as well

    def lifted(self, code: Code, x: str, place: str) -> State:
        return self._exact(code, x)

    def combined(self, code: Code, before: State, after: State, in_order: bool) -> State:
        (x, lost), (y, lost_too) = before, after
        total = self._applied(code, "add", x, y)
        added = self._applied(code, "subtract", total, x)
        kept = self._applied(code, "subtract", total, added)
        of_x = self._applied(code, "subtract", x, kept)
        of_y = self._applied(code, "subtract", y, added)
        error = self._applied(code, "add", of_x, of_y)
        lost = self._applied(code, "add", lost, lost_too)
        return [total, self._applied(code, "add", lost, error)]

    def result(self, code: Code, state: State) -> str:
        total, lost = state
        kind = code.type_of(self.kind)
        sound = code.make(f"fcmp ord {kind} {lost}, {lost}")  # not where the sum is infinite
        exact = self._applied(code, "add", total, lost)
        return cast(code, self.kind, self.value.dtype, select(code, self.kind, sound, exact, total))

    def resumed(self, code: Code, x: str) -> State:
        return self._exact(code, x)

    def _exact(self, code: Code, x: str) -> State:
        return [x, code.constant(self.kind, -0.0)]

    def _applied(self, code: Code, function: str, x: str, y: str) -> str:
        return applied(code, function, self.kind, [x, y])


class Squares(Fold):
    """A sum of squares."""

    def lifted(self, code: Code, x: str, place: str) -> State:
        return [applied(code, "multiply", self.kind, [x, x])]

    def combined(self, code: Code, before: State, after: State, in_order: bool) -> State:
        return [applied(code, "add", self.kind, [*before, *after])]


class Extreme(Fold):
    """The place of the largest or smallest element, which is in another register."""

    def __init__(self, value: Value):
        super().__init__(value)
        (x,) = value.operands
        few = x.size // max(value.size, 1) <= np.iinfo(SHORT_PLACE).max
        self.kind, self.place = x.dtype, SHORT_PLACE if few else PLACE
        self.types = [self.kind, self.place]
        self.starts = [first(PLACES[self.function], self.kind), 0]

    def lifted(self, code: Code, x: str, place: str) -> State:
        return [x, cast(code, PLACE, self.place, place)]

    def combined(self, code: Code, before: State, after: State, in_order: bool) -> State:
        (x, i), (y, j) = before, after
        truth = code.vector("i1")
        better = self._beyond(code, y, x)
        if not in_order:
            earlier = code.make(f"icmp slt {code.type_of(self.place)} {j}, {i}")
            ahead = code.make(f"and {truth} {self._same(code, y, x)}, {earlier}")
            better = code.make(f"or {truth} {better}, {ahead}")
        return [select(code, self.kind, better, y, x), select(code, self.place, better, j, i)]

    def result(self, code: Code, state: State) -> str:
        return cast(code, self.place, self.value.dtype, state[1])

    def _beyond(self, code: Code, y: str, x: str) -> str:
        """Whether y comes before x, wherever they are."""
        greater = self.function == "argmax"
        kind, truth = code.type_of(self.kind), code.vector("i1")
        if self.kind.kind != "f":
            sign = "s" if self.kind.kind == "i" else "u"
            return code.make(f"icmp {sign}{'gt' if greater else 'lt'} {kind} {y}, {x}")
        beyond = code.make(f"fcmp u{'gt' if greater else 'lt'} {kind} {y}, {x}")  # or one is NaN
        ordered = code.make(f"fcmp ord {kind} {x}, {x}")
        return code.make(f"and {truth} {beyond}, {ordered}")

    def _same(self, code: Code, y: str, x: str) -> str:
        kind, truth = code.type_of(self.kind), code.vector("i1")
        if self.kind.kind != "f":
            return code.make(f"icmp eq {kind} {y}, {x}")
        equal = code.make(f"fcmp ueq {kind} {y}, {x}")
        nans = [code.make(f"fcmp uno {kind} {v}, {v}") for v in (y, x)]
        alike = code.make(f"icmp eq {truth} {nans[0]}, {nans[1]}")
        return code.make(f"and {truth} {equal}, {alike}")


class Running:
    """A reduction of each element and all before it, of which one register knows the last."""

    def __init__(self, value: Value):
        self.value, self.function = value, value.params["function"]
        self.kind = value.dtype if in_turn(value) else _kind(value)
        self.types, self.starts = [self.kind], [0]

    def following(
        self, code: Code, before: str, operands: list[str], place: str, along: bool
    ) -> tuple[str, str]:
        """The results at a place, from the one before it, and the last of them.

        along  whether lanes follow on from one another; `place` is that of the first
        """
        xs = zip(self.value.operands, operands, strict=True)
        *factors, x = [cast(code, v.dtype, self.kind, name) for v, name in xs]
        x = self._scanned(code, x) if along else x
        if factors:  # a recurrence
            product = applied(code, "multiply", self.kind, [*factors, before])
            y = applied(code, "add", self.kind, [product, x])
        else:
            y = applied(code, self.function, self.kind, [before, x])
        start = code.make(f"icmp eq i64 {place}, 0")
        kind = code.type_of(self.kind)
        y = code.make(f"select i1 {start}, {kind} {x}, {kind} {y}")
        last = code.shuffled(kind, y, [code.width - 1] * code.width) if along else y
        return cast(code, self.kind, self.value.dtype, y), last

    def _scanned(self, code: Code, x: str) -> str:
        """For each lane all up to it: first by twos, then by fours, and so on."""
        kind, far = code.type_of(self.kind), 1
        while far < code.width:
            below = code.shuffled(kind, x, [max(n - far, 0) for n in range(code.width)])
            y = applied(code, self.function, self.kind, [below, x])
            lanes = ", ".join(f"i1 {'true' if n >= far else 'false'}" for n in range(code.width))
            x = select(code, self.kind, f"<{lanes}>", y, x)
            far *= 2
        return x


def registers(value: Value) -> Fold | Running:
    """The registers of a reduction, or of a running one."""
    if value.kind == "accumulate":
        return Running(value)
    if value.params["function"] in PLACES:
        return Extreme(value)
    if value.params["function"] == SQUARES:
        return Squares(value)
    return Compensated(value) if _is_long(value) else Fold(value)


def _is_long(value: Value) -> bool:
    """Whether it is a sum of many doubles."""
    (x,) = value.operands
    added = value.params["function"] == "add" and x.dtype == np.float64
    return added and x.size > MANY * value.size


def _kind(value: Value) -> np.dtype[Any]:
    """The type that a reduction is kept in."""
    wide = value.params["function"] in WIDE and value.dtype.kind == "f"
    return np.dtype(np.float64) if wide else value.dtype


def applied(code: Code, function: str, dtype: np.dtype[Any], operands: list[str]) -> str:
    """A function that is known."""
    made = apply(code, function, dtype, operands)
    assert made is not None, f"{function} of {dtype}"
    return made


def first(function: str, dtype: np.dtype[Any]) -> Any:
    """What a reduction of nothing is."""
    if function in FIRST:
        return FIRST[function]
    if dtype.kind == "b":
        return function == "minimum"
    least = dtype.kind == "f"
    if function == "maximum":
        return -np.inf if least else np.iinfo(dtype).min
    return np.inf if least else np.iinfo(dtype).max
