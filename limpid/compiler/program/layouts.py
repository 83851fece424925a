"""Lay out: in which order the axes of each value lie in memory, and what is copied for it.

Contractions write with the index innermost that runs along the lanes of vectors; what is computed
from that element by element keeps its order. An operand that lies in another way than the kernel
wants is copied first: a value of its own, so that what is packed twice is one. Contractions that
loops do as well as the kernel become loops.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from limpid.compiler.contraction.lanes import Choice, Order, along, choose
from limpid.compiler.contraction.panels import plain
from limpid.compiler.contraction.product import TYPES
from limpid.compiler.contraction.providers import KERNEL, STEP, provider_of
from limpid.compiler.machine.target import Target
from limpid.compiler.program.following import following, order_beside, readers
from limpid.compiler.program.padding import Margins, margins, widened, with_margins, work_of_cuts
from limpid.compiler.program.products import as_loops
from limpid.compiler.program.values import Value, copied, mark, ordered
from limpid.compiler.program.views import locate, packed, sayable
from limpid.ops.windows.contraction import Contraction, without_ones
from limpid.ops.windows.region import Layout

MOVED = 12  # how many multiply-adds take as long as moving one element in squares
TURNED = 4  # as many for an element of the output in another order than that of what is beside it
FOLLOWING = ("map", "reduce", "join", "accumulate")  # kinds that keep the order of an operand


Cut = Callable[[Value], Mapping[str, int]]  # how far indices of a contraction run in a chunk


def laid_out(
    ends: Sequence[Value],
    target: Target,
    cut: Cut = lambda _: {},
    fixed: Sequence[Value] = (),
    steady: Collection[Value] = (),
    libraries: bool = True,
) -> list[Value]:
    """The same values in the orders that suit them; the fixed ones row-major.

    Lanes along what is cut into chunks are counted in chunks. What is steady is copied once for
    many runs. Libraries may do products, but within loops, which are native code as a whole.
    """
    values = ordered(ends)
    layouter = _Layouter(values, target, cut, frozenset(fixed), steady, libraries)
    for value in values:
        layouter.take(value)
    made = [layouter.made[end] for end in ends]
    return [
        copied(now) if end in fixed and not _is_row_major(now) else now
        for end, now in zip(ends, made)
    ]


class _Layouter:
    def __init__(
        self,
        values: Sequence[Value],
        target: Target,
        cut: Cut,
        fixed: frozenset[Value],
        steady: Collection[Value],
        libraries: bool,
    ):
        self.target, self.cut, self.fixed, self.steady = target, cut, fixed, steady
        self.libraries = libraries
        self.readers = readers(values)
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
            now = following(now)
        mark([now], value.node, [value.output])
        mark(now.operands, value.node, [None] * len(now.operands))
        self.made[value] = now

    def _contraction(self, value: Value, given: Value) -> Value:
        """A contraction laid out; `given` is what it was."""
        name = self._provider(value)
        if name != KERNEL:
            return replace(value, params={**value.params, "provider": name})
        beside = None if given in self.fixed else order_beside(given, self.readers, self.made)
        choice = self._choice(replace(value, order=beside), given)
        if choice is None:
            return as_loops(value, self._padded, self._packed, given in self.fixed) or value
        operands = list(value.operands)
        if choice.order is not None:
            side = 0 if choice.swapped else 1
            operands[side] = self._packed(operands[side], choice.order)
        parts = [without_ones(part) for part in value.params["parts"]]
        self._pad(parts, operands, choice, value)
        params = {"parts": tuple(parts), "lane": choice.lane}
        order = beside if choice.out is None else choice.out
        return replace(value, operands=tuple(operands), params=params, order=order)

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

    def _provider(self, value: Value) -> str:
        """Who does a contraction; windows that slide are the kernel's."""
        (part, *others) = value.params["parts"]
        extents = {i.name: i.extent for i in part.indices}
        accesses = part.left, part.right, part.output
        if others or not self.libraries or not _is_of_one_type(value):
            return KERNEL
        if not all(plain(access, extents) for access in accesses):
            return KERNEL
        return provider_of(part, self.target, STEP)

    def _choice(self, value: Value, given: Value) -> Choice | None:
        if not _is_of_one_type(value):
            return None
        layouts = [layout(x) for x in (*value.operands, value)]
        first = without_ones(value.params["parts"][0])
        lanes = self.target.lanes(value.dtype)
        steady = [x in self.steady for x in given.operands]
        written, chunks = MOVED if given in self.fixed else TURNED, self.cut(given)
        rows = self.target.rows
        return choose(first, layouts, lanes, rows, MOVED, written, chunks, steady, sums=True)

    def _padded(self, x: Value, around: Margins) -> Value:
        """A copy with zeros around it."""
        key = x, around
        if key not in self.pads:
            self.pads[key] = following(with_margins(*key))
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
    return choice_along(part, value.params["lane"], layouts)


def choice_along(part: Contraction, lane: str, layouts: Sequence[Layout]) -> Choice | None:
    """How the kernel takes a part along a lane; None if arrays would have to be copied for it."""
    choice = along(part, layouts, lane)
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
