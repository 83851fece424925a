"""Lay out: in which order the axes of each value lie in memory, and what is copied for it.

Contractions write with the index innermost that runs along the lanes of vectors; what is computed
from that element by element keeps its order. An operand that lies in another way than the kernel
wants is copied first: a value of its own, so that what is packed twice is one. Contractions that
loops do as well as the kernel become loops.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from limpid.compiler.contraction.lanes import Choice, Order, along, choose
from limpid.compiler.contraction.product import TYPES
from limpid.compiler.machine.target import Target
from limpid.compiler.program.padding import Margins, margins, widened, with_margins, work_of_cuts
from limpid.compiler.program.products import as_loops
from limpid.compiler.program.values import Value, copied, mark, ordered
from limpid.compiler.program.views import locate, packed, sayable
from limpid.ops.windows.contraction import Contraction, without_ones
from limpid.ops.windows.region import Layout

MOVED = 12  # how many multiply-adds take as long as moving one element in squares
FOLLOWING = ("map", "reduce", "join", "accumulate")  # kinds that keep the order of an operand


Cut = Callable[[Value], Mapping[str, int]]  # how far indices of a contraction run in a chunk


def laid_out(
    ends: Sequence[Value],
    target: Target,
    cut: Cut = lambda _: {},
    fixed: Sequence[Value] = (),
    steady: Collection[Value] = (),
) -> list[Value]:
    """The same values in the orders that suit them; the fixed ones row-major.

    Lanes along what is cut into chunks are counted in chunks. What is steady is copied once for
    many runs.
    """
    layouter = _Layouter(target, cut, frozenset(fixed), steady)
    for value in ordered(ends):
        layouter.take(value)
    made = [layouter.made[end] for end in ends]
    return [
        copied(now) if end in fixed and not _is_row_major(now) else now
        for end, now in zip(ends, made)
    ]


class _Layouter:
    def __init__(
        self, target: Target, cut: Cut, fixed: frozenset[Value], steady: Collection[Value]
    ):
        self.target, self.cut, self.fixed, self.steady = target, cut, fixed, steady
        self.made: dict[Value, Value] = {}
        self.copies: dict[tuple[Value, Order], Value] = {}
        self.pads: dict[tuple[Value, Margins], Value] = {}

    def take(self, value: Value) -> None:
        """Lay a value out; its operands are."""
        operands = tuple(self.made[x] for x in value.operands)
        moved = any(a is not b for a, b in zip(operands, value.operands, strict=True))
        now = replace(value, operands=operands) if moved else value
        if now.kind == "contract":
            now = self._contraction(now, value)
        elif now.kind == "reshape":
            now = sayable(now)
        elif now.kind == "nested":
            now = replace(now, operands=tuple(map(self._without_gaps, now.operands)))
        elif now.kind in FOLLOWING and value not in self.fixed:
            now = _following(now)
        mark([now], value.node, [value.output])
        mark(now.operands, value.node, [None] * len(now.operands))
        self.made[value] = now

    def _contraction(self, value: Value, given: Value) -> Value:
        """A contraction laid out; `given` is what it was."""
        choice = self._choice(value, given)
        if choice is None:
            return as_loops(value, self._padded, self._packed, given in self.fixed) or value
        operands = list(value.operands)
        if choice.order is not None:
            side = 0 if choice.swapped else 1
            operands[side] = self._packed(operands[side], choice.order)
        parts = [without_ones(part) for part in value.params["parts"]]
        self._pad(parts, operands, choice, value)
        params = {"parts": tuple(parts), "lane": choice.lane}
        return replace(value, operands=tuple(operands), params=params, order=choice.out)

    def _pad(
        self, parts: list[Contraction], operands: list[Value], choice: Choice, value: Value
    ) -> None:
        """Give operands margins of zeros where that costs less than to cut borders off."""
        found = [margins(parts, side) for side in (0, 1)]
        sides = [side for side in (0, 1) if any(low or high for low, high in found[side])]
        if not sides:
            return
        lanes, rows = self.target.lanes(value.dtype), self.target.rows
        if work_of_cuts(parts, choice, lanes, rows) < MOVED * sum(operands[n].size for n in sides):
            return
        for side in sides:
            operands[side] = self._padded(operands[side], found[side])
            parts[:] = [widened(part, side, found[side]) for part in parts]

    def _choice(self, value: Value, given: Value) -> Choice | None:
        if not _is_of_one_type(value):
            return None
        layouts = [layout(x) for x in (*value.operands, value)]
        first = without_ones(value.params["parts"][0])
        lanes = self.target.lanes(value.dtype)
        steady = [x in self.steady for x in given.operands]
        free, chunks = given not in self.fixed, self.cut(given)
        return choose(first, layouts, lanes, self.target.rows, MOVED, free, chunks, steady)

    def _padded(self, x: Value, around: Margins) -> Value:
        """A copy with zeros around it."""
        key = x, around
        if key not in self.pads:
            self.pads[key] = _following(with_margins(*key))
        return self.pads[key]

    def _without_gaps(self, x: Value) -> Value:
        """A value that lies in row-major order, or such a copy."""
        return x if _is_row_major(x) else self._packed(x, tuple(range(len(x.shape))))

    def _packed(self, x: Value, order: Order) -> Value:
        """A copy with the axes in this order in memory."""
        key = x, order
        if key not in self.copies:
            self.copies[key] = replace(copied(x), order=order)
        return self.copies[key]


def _is_row_major(x: Value) -> bool:
    steps = zip(locate(x).strides, packed(x.shape), x.shape, strict=True)
    return x.size == 0 or all(a == b for a, b, n in steps if n != 1)


def choice_of(value: Value, part: Contraction) -> Choice | None:
    """How the kernel takes a part of a contraction that is laid out; None if it does not."""
    if "lane" not in value.params:
        return None
    layouts = [layout(x) for x in (*value.operands, value)]
    choice = along(part, layouts, value.params["lane"])
    return choice if choice is not None and choice.order is choice.out is None else None


def layout(x: Value) -> Layout:
    """Strides in bytes, without the axis of slots."""
    size = x.dtype.itemsize
    strides = locate(x).strides[1:] if "slots" in x.params else locate(x).strides
    return tuple(n * size for n in strides), size


def _is_of_one_type(value: Value) -> bool:
    if value.dtype.name not in TYPES or any(x.dtype != value.dtype for x in value.operands):
        return False
    return all(x.size for x in (*value.operands, value))


def _following(value: Value) -> Value:
    """A value in the order of the largest operand that has another than row-major order."""
    orders = [_order(value, x) for x in value.operands]
    sizes = [x.size if order is not None else -1 for x, order in zip(value.operands, orders)]
    if not sizes or max(sizes) < max(x.size for x in value.operands):
        return value
    return replace(value, order=orders[int(np.argmax(sizes))])


def _order(value: Value, x: Value) -> Order | None:
    """The order of a value's axes as an operand has them; None for row-major or another shape."""
    if value.kind == "reduce":
        kept = [n for n in range(len(x.shape)) if n not in value.params["axes"]]
    else:
        kept = list(range(len(x.shape)))
        if len(x.shape) != len(value.shape) or (value.kind != "join" and x.shape != value.shape):
            return None
    strides = [abs(locate(x).strides[axis]) for axis in kept]
    long = [n for n, axis in enumerate(kept) if x.shape[axis] != 1]
    if any(strides[n] == 0 for n in long):
        return None
    slowest_first = sorted(long, key=lambda n: -strides[n])
    if slowest_first == long:
        return None
    rest = [n for n in range(len(kept)) if n not in long]
    return (*rest, *slowest_first)
