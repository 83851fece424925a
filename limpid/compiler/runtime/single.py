"""Programs of one contraction, which eager operations run: planned once for shapes and layouts.

Their code knows no extents, so it is compiled once for all shapes. Operands are copied into the
order that the kernel wants where that pays, then threads share the parts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from ctypes import addressof, c_int64
from functools import lru_cache
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from limpid.compiler.contraction.contract import FLOATS
from limpid.compiler.contraction.contract import contract as contract_with_copies
from limpid.compiler.contraction.copying import copying_functions
from limpid.compiler.contraction.dense import Dense, dense, windowed
from limpid.compiler.contraction.panels import Copies
from limpid.compiler.contraction.product import product_functions
from limpid.compiler.contraction.providers import EAGER, KERNEL, provider_of
from limpid.compiler.emission.commands import CONTRACT, contract_command
from limpid.compiler.machine.loading import Loaded, address, load
from limpid.compiler.machine.target import native_target
from limpid.compiler.program.views import packed
from limpid.compiler.runtime.team import maker, team_address
from limpid.graph.node import Array, spec_of
from limpid.ops.contract import matmul
from limpid.ops.windows.contraction import Contraction, labelled
from limpid.ops.windows.parts import PARTS
from limpid.ops.windows.region import Layout
from limpid.ops.workers import thread_count

LINE = 64  # bytes of a line of the cache
SMALL = 1 << 16  # bytes of a copy that one thread makes
MOST = 1024  # products that are remembered
A, B, COPY_A, COPY_B, OUT = range(5)  # cells with addresses; those of further sums follow


class Command(NamedTuple):
    """A native function, the cells with what it is called with, and numbers that follow."""

    function: int
    cells: Sequence[int]
    numbers: Sequence[int]


class Single:
    """One contraction of arrays of certain shapes and layouts."""

    def __init__(self, plan: Dense, dtype: str):
        self.plan, self._lock = plan, Lock()
        self._cells = (c_int64 * (OUT + max(len(plan.groups), 1)))()
        self._alive: list[Any] = [plan]
        module = _module(dtype, plan.depth)
        self._sizes = [0 if copies is None else copies.size + LINE for copies in (plan.a, plan.b)]
        phases = [
            tasks for tasks in (self._copying(module), self._products(module, dtype)) if tasks
        ]
        table = self._keep(np.array([self._phase(tasks) for tasks in phases], np.int64))
        self._program = (c_int64 * 3)(len(phases), address(table), 0)
        self._run = maker("run")(addressof(self._program), self._program)
        self._is_shared = thread_count() > 1 and any(len(tasks) > 1 for tasks in phases)
        zeros = any(group.zeros for group in plan.groups)
        self._is_plain = not (any(self._sizes) or plan.one_sum or zeros)

    def run(self, left: Array, right: Array, out: Array) -> None:
        """Write the contraction of two arrays to a third one."""
        a, b = (right, left) if self.plan.choice.swapped else (left, right)
        room = {} if self._is_plain else self._room(out)
        cells = self._cells
        with self._lock:
            cells[A], cells[B], cells[OUT] = address(a), address(b), address(out)
            for cell, memory in room.items():
                cells[cell] = -(-address(memory) // LINE) * LINE if cell < OUT else address(memory)
            self._run(team_address() if self._is_shared else 0)
        if self.plan.one_sum:
            written = self.plan.places
            for cell, memory in room.items():
                if cell > OUT:
                    out[written] += memory[written]

    def _room(self, out: Array) -> dict[int, Array]:
        """Memory for copies and further sums, by cell; places that no term reaches become 0."""
        pairs = zip((COPY_A, COPY_B), self._sizes, strict=True)
        room = {cell: np.empty(size, np.uint8) for cell, size in pairs if size}
        groups = self.plan.groups
        if self.plan.one_sum:
            room.update((OUT + n, np.empty_like(out)) for n in range(1, len(groups)))
        for n, group in enumerate(groups):
            for place in group.zeros:
                room.get(OUT + n, out)[place] = 0
        return room

    def _copying(self, module: Loaded) -> list[Command]:
        """Copies of operands, in parts."""
        function = module.address("copies")
        return [
            Command(function, (source, target), (address(part), len(part)))
            for source, target, copies in ((A, COPY_A, self.plan.a), (B, COPY_B, self.plan.b))
            if copies is not None
            for part in self._shares(copies)
        ]

    def _shares(self, copies: Copies) -> list[Array]:
        count = min(PARTS, len(copies.entries)) if copies.size > SMALL else 1
        return [self._keep(part) for part in np.array_split(copies.entries, count)]

    def _products(self, module: Loaded, dtype: str) -> list[Command]:
        plan = self.plan
        function = module.address(f"{CONTRACT[1:]}.{dtype}.{plan.depth}")
        a, b = (COPY_A if plan.a else A), (COPY_B if plan.b else B)
        made = []
        for n, group in enumerate(plan.groups):
            if not len(group.entries):  # all windows lie beyond the ends
                continue
            calls = address(group.entries), len(group.entries)
            cells = (a, b, OUT + n if plan.one_sum else OUT)
            made.append(Command(function, cells, (1, *calls, *calls)))
        return made

    # Records as `emission/interpreter.py` describes them

    def _phase(self, tasks: Sequence[Command]) -> list[int]:
        groups = self._keep(np.array([[self._group(task), 0] for task in tasks], np.int64))
        return [len(tasks), address(groups), len(tasks) > 1, 0]

    def _group(self, task: Command) -> int:
        table = self._keep(np.array([*[0] * len(task.cells), *task.numbers], np.int64))
        patches = self._keep(
            np.array(
                [
                    [address(table) + 8 * n, addressof(self._cells) + 8 * cell, 0, 0, 0]
                    for n, cell in enumerate(task.cells)
                ],
                np.int64,
            )
        )
        tables = self._keep(np.array([address(table)], np.int64))
        functions = self._keep(np.array([task.function], np.int64))
        workers = thread_count()
        of_workers = self._keep(np.array([address(tables)] * workers, np.int64))
        patches_of = self._keep(np.array([address(patches)] * workers, np.int64))
        record = self._keep(
            np.array(
                [
                    1, address(functions), address(of_workers), len(patches),
                    address(patches_of), 1, 1, 1, 0, 0,
                ],
                np.int64,
            )
        )  # fmt: skip
        return address(record)

    def _keep(self, array: Array) -> Array:
        self._alive.append(array)
        return array


@lru_cache(maxsize=64)
def _module(dtype: str, depth: int) -> Loaded:
    target = native_target()
    assert target is not None
    suffix = f".{dtype}.{depth}"
    declared, text = product_functions(target, dtype, depth, suffix)
    more, copying = copying_functions(target, dtype)
    texts = [*sorted({*declared, *more}), text, contract_command(suffix), copying]
    return load("\n".join(texts), target)


def contract(contraction: Contraction, left: Array, right: Array, out: Array) -> bool:
    """Write a contraction to `out` and return True; False where there is no native way."""
    if not (left.dtype == right.dtype == out.dtype and out.dtype in FLOATS):
        return False
    found = _windowed(contraction, left.strides, right.strides, out.strides, out.dtype)
    if found is None:
        return contract_with_copies(contraction, left, right, out)
    found.run(left, right, out)
    return True


@lru_cache(maxsize=512)
def _windowed(
    contraction: Contraction,
    left: tuple[int, ...],
    right: tuple[int, ...],
    out: tuple[int, ...],
    dtype: np.dtype[Any],
) -> Single | None:
    target = native_target()
    if target is None:
        return None
    layouts = [(strides, dtype.itemsize) for strides in (left, right, out)]
    plan = windowed(contraction, layouts, target, dtype.name)
    return None if plan is None else Single(plan, dtype.name)


def single(contraction: Contraction, layouts: Sequence[Layout], dtype: str) -> Single | None:
    """The program of a contraction of arrays of these layouts; None where there is none."""
    target = native_target()
    if target is None or provider_of(contraction, target, EAGER) != KERNEL:
        return None
    plan = dense(contraction, layouts, target, dtype)
    return None if plan is None else Single(plan, dtype)


class _Product(NamedTuple):
    """A product of matrices: its shape and its program."""

    shape: tuple[int, ...]
    program: Single


_products: dict[Any, _Product | None] = {}  # by shapes, layouts and types


def multiply(a: Array, b: Array) -> Array | None:
    """The product of matrices, or stacks of them; None where NumPy does it."""
    key = a.shape, b.shape, a.strides, b.strides, a.dtype, b.dtype
    try:
        found = _products[key]
    except KeyError:
        found = _remember(key, _planned(a, b))
    if found is None:
        return None
    y = np.empty(found.shape, a.dtype)
    found.program.run(a, b, y)
    return y


def _remember(key: Any, made: _Product | None) -> _Product | None:
    if len(_products) >= MOST:
        _products.clear()
    _products[key] = made
    return made


def _planned(a: Array, b: Array) -> _Product | None:
    if a.dtype != b.dtype or a.dtype not in FLOATS or a.shape[-1] != b.shape[-2]:
        return None
    relation = matmul.relation([spec_of(a), spec_of(b)], {})
    contraction = labelled(relation, a.shape, b.shape)
    shape = tuple(axis.extent for axis in contraction.output)
    layouts = [(x.strides, x.itemsize) for x in (a, b)]
    own = tuple(a.itemsize * n for n in packed(shape))
    program = single(contraction, [*layouts, (own, a.itemsize)], a.dtype.name)
    return None if program is None else _Product(shape, program)


if hasattr(os, "register_at_fork"):
    # whose locks other threads may have held
    os.register_at_fork(after_in_child=_products.clear)
    os.register_at_fork(after_in_child=_windowed.cache_clear)
