"""Eager contractions by native code: calls of the kernel, in parts that run at once.

Everything is planned once for the shapes and layouts of the arrays, and kept.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from math import ceil, inf, prod
from typing import Any, NamedTuple

import numpy as np

from limpid.compiler.contraction.borders import Piece, pieces
from limpid.compiler.contraction.kernelcall import KernelCall, dot_call, kernel_call
from limpid.compiler.contraction.lanes import MOVED, Choice, Order, choose, work
from limpid.compiler.contraction.product import TYPES, product_module
from limpid.compiler.machine.loading import address, load
from limpid.compiler.machine.target import Target, native_target
from limpid.graph.node import Array
from limpid.ops.windows.contraction import REDUCTION, Contraction, bounds
from limpid.ops.windows.parts import PARTS, Groups, Part, grouped, places
from limpid.ops.windows.region import Layout, Slices, scratch

LARGE = 1 << 20  # multiply-adds from which on several threads share the work
FLOATS = tuple(map(np.dtype, TYPES))
BLOCK = 1 << 20  # bytes of an operand that is padded at once


def contract(contraction: Contraction, left: Array, right: Array, out: Array) -> bool:
    """Write a contraction to `out` and return True; False where there is no native way."""
    if not (left.dtype == right.dtype == out.dtype and out.dtype in FLOATS):
        return False
    plan = _plan(contraction, left.strides, right.strides, out.strides, out.dtype)
    if plan is None:
        return False
    plan.run(left, right, out)
    return True


class Batch(NamedTuple):
    """Calls that read nothing padded: for each its offsets in A, B and C, and its spec."""

    entries: Array  # (calls, 4), the last a spec's address
    calls: tuple[KernelCall, ...]  # to which the entries point
    zeros: tuple[Slices, ...]  # places that no term of the sum reaches


class Plan(NamedTuple):
    """All calls of one contraction, in groups that can run at once."""

    choice: Choice
    kernel: Kernel
    groups: Groups  # of batches, or of calls that need a padded copy

    def run(self, left: Array, right: Array, out: Array) -> None:
        """Do it."""
        choice = self.choice
        a, b = (right, left) if choice.swapped else (left, right)
        b = b if choice.order is None else _ordered(b, choice.order)
        c = out if choice.out is None else _memory(out, choice.out)
        self.groups.run(lambda group, into: self._group(group, a, b, into), c, blas=False)
        if c is not out:
            written = self.groups.places
            out[written] = c[written]

    def _group(self, group: Batch | tuple[KernelCall, ...], a: Array, b: Array, c: Array) -> None:
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
    contraction: Contraction, left: Order, right: Order, out: Order, given: np.dtype[Any]
) -> Plan | None:
    target, dtype = native_target(), given.name
    if target is None:
        return None
    layouts = [(strides, given.itemsize) for strides in (left, right, out)]
    choice = choose(contraction, layouts, target.lanes(dtype), target.rows)
    if choice is None:
        return None
    planner = Planner(contraction, choice, choice.layouts(contraction, layouts), target, dtype)
    return Plan(choice, _kernel(planner.depth, dtype), planner.groups())


class Planner:
    """Puts the calls of one contraction together.

    copies  whether operands may be copied where they are padded
    step    bytes from panel to panel, where B lies in panels
    """

    def __init__(
        self,
        contraction: Contraction,
        choice: Choice,
        layouts: tuple[Layout, ...],
        target: Target,
        dtype: str,
        copies: bool = True,
        step: int | None = None,
    ):
        self.step = step
        self.contraction, self.choice, self.layouts = contraction, choice, layouts
        self.target, self.dtype = target, dtype
        self.cut = _is_padded(contraction) and (not copies or self._cuts_borders())
        reductions = sum(i.role == REDUCTION for i in contraction.indices)
        self.depth = max(1, reductions - choice.sums)

    def _cuts_borders(self) -> bool:
        """Whether pieces without padding take less time than a padded copy."""
        found = pieces(self.contraction)
        if found is None:
            return False
        width, rows = self.target.lanes(self.dtype), self.target.rows
        apart = sum(work(p.contraction, self.choice, width, rows) for p in found if not p.empty)
        whole = work(self.contraction, self.choice, width, rows)
        return apart < whole + MOVED * _read(self.contraction)

    def groups(self) -> Groups:
        """All calls, in groups that can run at once."""
        count = PARTS if self.contraction.multiply_adds() >= LARGE else 1
        found = grouped(self.contraction, self._limit(), _read, count, self.choice.lane)
        return found._replace(groups=[self.group(parts) for parts in found.groups])

    def whole(self, adds: bool = False) -> Batch | tuple[KernelCall, ...]:
        """All calls one after the other."""
        return self.group([Part(self.contraction, adds)])

    def _limit(self) -> float:
        """How many elements of the left operand a part may read."""
        limit = inf
        if _is_padded(self.contraction) and not self.cut:
            limit = BLOCK // np.dtype(self.dtype).itemsize
        if self.contraction.multiply_adds() >= LARGE:
            limit = min(limit, ceil(_read(self.contraction) / PARTS))
        return limit

    def group(self, group: list[Part]) -> Batch | tuple[KernelCall, ...]:
        calls, zeros = [], []
        for part, adds in group:
            for piece in self._pieces(part):
                if not piece.empty:
                    calls.append(self._call(piece.contraction, adds))
                elif not adds:
                    zeros.append(places(piece.contraction))
        if any(found.padded for found in calls):
            return tuple(calls)
        entries = np.array([self._entry(found) for found in calls], np.int64).reshape(-1, 4)
        return Batch(entries, tuple(calls), tuple(zeros))

    def _pieces(self, part: Contraction) -> list[Piece]:
        found = pieces(part) if self.cut else None
        return [Piece(part, False)] if found is None else found

    def _call(self, part: Contraction, add: bool) -> KernelCall:
        if self.choice.sums:
            size = np.dtype(self.dtype).itemsize
            return dot_call(part, self.choice, self.layouts, add, self.depth, size)
        target, step = self.target, self.step or self.target.width * self.target.vectors
        return kernel_call(part, self.choice, self.layouts, target.rows, add, self.depth, step)

    def _entry(self, found: KernelCall) -> tuple[int, ...]:
        """Offsets of where all indices are 0, and the address of the spec."""
        offsets = [
            sum((i.start + f.start) * stride for i, f, stride in zip(r.inside, r.first, strides))
            for r, (strides, _) in zip((found.a, found.b, found.c), self.layouts)
        ]
        if self.step is not None:  # a part begins with a whole panel
            _, access, _ = self.choice.accesses(self.contraction)
            (axis,) = [n for n, a in enumerate(access) if self.choice.lane in dict(a.terms)]
            start = found.b.inside[axis].start
            lanes = self.target.lanes(self.dtype) * self.target.vectors
            offsets[1] += start // lanes * self.step - start * self.layouts[1][0][axis]
        return (*offsets, address(found.spec))


def _is_padded(contraction: Contraction) -> bool:
    extents = {i.name: i.extent for i in contraction.indices}
    assert contraction.right is not None
    for axis in (*contraction.left, *contraction.right):
        low, high = bounds(axis, extents)
        if low < 0 or high > axis.extent:
            return True
    return False


def _read(part: Contraction) -> int:
    """The elements of the left operand between the ends of what is read, padding included."""
    extents = {i.name: i.extent for i in part.indices}
    ends = [bounds(axis, extents) for axis in part.left]
    return prod(high - low for low, high in ends)
