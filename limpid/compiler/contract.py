"""Eager contractions by native code: calls of the kernel, in parts that run at once.

Everything is planned once for the shapes and layouts of the arrays, and kept.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import chain
from math import ceil, inf, prod
from typing import Any, NamedTuple, TypeVar

import numpy as np

from limpid.compiler.borders import Piece, pieces
from limpid.compiler.lanes import MOVED, Choice, Order, choose, work
from limpid.compiler.loading import load
from limpid.compiler.nests import Nest, address, nest
from limpid.compiler.product import TYPES, product_module
from limpid.compiler.target import Target, native_target
from limpid.graph.node import Array
from limpid.ops.windows.contraction import REDUCTION, Access, Contraction, bounds, reads
from limpid.ops.windows.region import Layout, Slices, scratch
from limpid.ops.workers import run_parts

LARGE = 1 << 20  # multiply-adds from which on several threads share the work
PARTS = 8  # that they share; fixed, so that sums do not depend on the number of threads
BLOCK = 1 << 20  # bytes of an operand that is padded at once

T = TypeVar("T")


def contract(contraction: Contraction, left: Array, right: Array, out: Array) -> bool:
    """Write a contraction to `out` and return True; False where there is no native way."""
    dtype = out.dtype
    if dtype.name not in TYPES or left.dtype != dtype or right.dtype != dtype:
        return False
    if native_target() is None:
        return False
    plan = _plan(contraction, left.strides, right.strides, out.strides, dtype.name)
    if plan is None:
        return False
    plan.run(left, right, out)
    return True


Part = tuple[Contraction, bool]  # and whether it is the first to write to its output


class Batch(NamedTuple):
    """Calls that read nothing padded: for each its offsets in A, B and C, and its spec."""

    entries: Array  # (calls, 4), the last a spec's address
    nests: tuple[Nest, ...]  # to which the entries point
    zeros: tuple[Slices, ...]  # places that no term of the sum reaches


class Plan(NamedTuple):
    """All calls of one contraction, in groups that can run at once."""

    choice: Choice
    kernel: Kernel
    groups: tuple[Batch | tuple[Nest, ...], ...]
    adds: bool  # whether the groups are parts of one sum
    places: Slices  # of the output that are written to

    def run(self, left: Array, right: Array, out: Array) -> None:
        """Do it."""
        choice = self.choice
        a, b = (right, left) if choice.swapped else (left, right)
        b = b if choice.order is None else _ordered(b, choice.order)
        c = out if choice.out is None else _memory(out, choice.out)
        others = len(self.groups) - 1 if self.adds else 0
        sums = [c, *(np.empty_like(c) for _ in range(others))]
        into = sums if self.adds else [c] * len(self.groups)
        run_parts([partial(self._group, group, a, b, s) for group, s in zip(self.groups, into)])
        for total in sums[1:]:
            c[self.places] += total[self.places]
        if c is not out:
            out[self.places] = c[self.places]

    def _group(self, group: Batch | tuple[Nest, ...], a: Array, b: Array, c: Array) -> None:
        if isinstance(group, Batch):
            for place in group.zeros:
                c[place] = 0
            if count := len(group.entries):
                arrays = map(address, (a, b, c, group.entries))
                self.kernel.batch(*arrays, count)
            return
        for found in group:
            self.kernel.product(
                address(found.a.of(a, scratch.left)),
                address(found.b.of(b, scratch.right)),
                address(found.c.of(c, {})),
                address(found.spec),
            )
        scratch.trim()


def _ordered(array: Array, order: Order) -> Array:
    """The same array with its axes in another order in memory."""
    copied = np.ascontiguousarray(array.transpose(order))
    return copied.transpose(np.argsort(order))


def _memory(array: Array, order: Order) -> Array:
    """Memory for an array with its axes in another order."""
    shape = [array.shape[axis] for axis in order]
    return np.empty(shape, array.dtype).transpose(np.argsort(order))


class Kernel(NamedTuple):
    """The functions of `product.py`, compiled."""

    product: Any
    batch: Any


@lru_cache(maxsize=64)
def _kernel(depth: int, dtype: str) -> Kernel:
    target = native_target()
    assert target is not None
    module = load(product_module(target, dtype, depth), target)
    pointer, count = ctypes.c_void_p, ctypes.c_int64
    return Kernel(
        module.function("product", *[pointer] * 4),
        module.function("batch", *[pointer] * 4, count),
    )


@lru_cache(maxsize=512)
def _plan(
    contraction: Contraction, left: Order, right: Order, out: Order, dtype: str
) -> Plan | None:
    target = native_target()
    assert target is not None
    size = np.dtype(dtype).itemsize
    layouts = [(left, size), (right, size), (out, size)]
    choice = choose(contraction, layouts, target.lanes(dtype), target.rows)
    if choice is None:
        return None
    return Planner(contraction, choice, choice.layouts(contraction, layouts), target, dtype).plan()


class Planner:
    """Puts the calls of one contraction together."""

    def __init__(
        self,
        contraction: Contraction,
        choice: Choice,
        layouts: tuple[Layout, ...],
        target: Target,
        dtype: str,
    ):
        self.contraction, self.choice, self.layouts = contraction, choice, layouts
        self.target, self.dtype = target, dtype
        self.cut = _is_padded(contraction) and self._cuts_borders()
        self.depth = max(1, sum(i.role == REDUCTION for i in contraction.indices))

    def _cuts_borders(self) -> bool:
        """Whether pieces without padding take less time than a padded copy."""
        found = pieces(self.contraction)
        if found is None:
            return False
        width, rows = self.target.lanes(self.dtype), self.target.rows
        apart = sum(work(p.contraction, self.choice, width, rows) for p in found if not p.empty)
        whole = work(self.contraction, self.choice, width, rows)
        return apart < whole + MOVED * _read(self.contraction)

    def plan(self) -> Plan:
        """All calls."""
        parts = list(_parts(self.contraction, self.choice.lane, self._limit()))
        groups = _groups(parts)
        adds = len(groups) == 1 and len(parts) > 1
        if adds:
            room = 1 + _read(self.contraction) // (2 * _size(self.contraction.output))
            groups = _shares(parts, min(PARTS, room))
        made = tuple(map(self._group, groups))
        kernel = _kernel(self.depth, self.dtype)
        return Plan(self.choice, kernel, made, adds, _places(self.contraction))

    def whole(self) -> Batch | tuple[Nest, ...]:
        """All calls one after the other."""
        return self._group([(self.contraction, True)])

    def _limit(self) -> float:
        """How many elements of the left operand a part may read."""
        limit = inf
        if _is_padded(self.contraction) and not self.cut:
            limit = BLOCK // np.dtype(self.dtype).itemsize
        if self.contraction.multiply_adds() >= LARGE:
            limit = min(limit, ceil(_read(self.contraction) / PARTS))
        return limit

    def _group(self, group: list[Part]) -> Batch | tuple[Nest, ...]:
        nests, zeros = [], []
        for number, (part, first) in enumerate(group):
            add = number > 0 and not first
            for piece in self._pieces(part):
                if not piece.empty:
                    nests.append(self._nest(piece.contraction, add))
                elif not add:
                    zeros.append(_places(piece.contraction))
        if any(found.padded for found in nests):
            return tuple(nests)
        entries = np.array([self._entry(found) for found in nests], np.int64).reshape(-1, 4)
        return Batch(entries, tuple(nests), tuple(zeros))

    def _pieces(self, part: Contraction) -> list[Piece]:
        found = pieces(part) if self.cut else None
        return [Piece(part, False)] if found is None else found

    def _nest(self, part: Contraction, add: bool) -> Nest:
        return nest(part, self.choice, self.layouts, self.target.rows, add, self.depth)

    def _entry(self, found: Nest) -> tuple[int, ...]:
        """Offsets of where all indices are 0, and the address of the spec."""
        offsets = [
            sum((i.start + f.start) * stride for i, f, stride in zip(r.inside, r.first, strides))
            for r, (strides, _) in zip((found.a, found.b, found.c), self.layouts)
        ]
        return (*offsets, address(found.spec))


def _is_padded(contraction: Contraction) -> bool:
    extents = {i.name: i.extent for i in contraction.indices}
    assert contraction.right is not None
    for axis in (*contraction.left, *contraction.right):
        low, high = bounds(axis, extents)
        if low < 0 or high > axis.extent:
            return True
    return False


def _size(access: Access) -> int:
    return prod(axis.extent for axis in access)


def _places(contraction: Contraction) -> tuple[slice, ...]:
    """The places of the output that a contraction writes to."""
    extents = {i.name: i.extent for i in contraction.indices}
    found = []
    for axis in contraction.output:
        low, high = bounds(axis, extents)
        step = min((abs(coefficient) for _, coefficient in axis.terms), default=1)
        found.append(slice(low, high, step))
    return tuple(found)


def _read(part: Contraction) -> int:
    """The elements of the left operand between the ends of what is read, padding included."""
    extents = {i.name: i.extent for i in part.indices}
    ends = [bounds(axis, extents) for axis in part.left]
    return prod(high - low for low, high in ends)


def _parts(
    part: Contraction, lane: str, limit: float, first: bool = True, adds: bool = False
) -> Iterator[Part]:
    """Parts that read at most `limit` elements, and whether each is the first to its output.

    Parts of one sum follow on one another: once an index of the sum is cut, only such are.
    """
    names = reads(part.left) - {lane}
    used = [i for i in part.indices if i.extent > 1 and i.name in names]
    cut = next((i for i in used if i.role == REDUCTION or not adds), None)
    size = _read(part)
    if size <= limit or cut is None:
        yield part, first
        return
    adds = cut.role == REDUCTION
    step = max(1, min(int(limit // (size // cut.extent or 1)), cut.extent - 1))
    for start in range(0, cut.extent, step):
        smaller = part.restrict(cut.name, start, min(start + step, cut.extent))
        yield from _parts(smaller, lane, limit, first and (start == 0 or not adds), adds)


def _groups(parts: list[Part]) -> list[list[Part]]:
    """Parts that can run at once; those that add to others stay with them."""
    starts = [n for n, (_, first) in enumerate(parts) if first]
    runs = [parts[a:b] for a, b in zip(starts, [*starts[1:], len(parts)])]
    return [list(chain.from_iterable(share)) for share in _shares(runs, PARTS)]


def _shares(items: list[T], count: int) -> list[list[T]]:
    """Items in order, in shares as even as can be."""
    count = min(count, len(items))
    return [items[len(items) * i // count : len(items) * (i + 1) // count] for i in range(count)]
