"""NumPy's execution of contractions: gather a block of the left operand, multiply matrices.

A gathered block is never larger than 4 MB, whatever the kernel and the image. How the blocks of
arrays of a certain layout are read is planned once; running them is slicing, copying, multiplying.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from itertools import pairwise
from math import inf, prod
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from limpid.graph.node import Array
from limpid.ops.native import provided
from limpid.ops.windows.contraction import (
    LANE,
    OUTER,
    REDUCTION,
    ROW,
    Access,
    Contraction,
    reads,
)
from limpid.ops.windows.region import Layout, Region, region, scratch, steps
from limpid.ops.workers import run_parts

BLOCK = 1 << 21  # bytes of a gathered block: half of what is allowed, to stay in cache
KEPT = 1 << 32  # plans of contractions of more multiply-adds than this are not kept
LARGE = 1 << 22  # multiply-adds from which on several threads share the work
PARTS = 8  # that they share, at most; fixed, so that sums do not depend on the number of threads
MERGED = 512  # products of fewer rows than this take in the rows of several samples

Names = tuple[str, ...]


def execute(contraction: Contraction, left: Array, right: Array, out: Array) -> None:
    """Write the contraction of two arrays to the places of `out` that it addresses."""
    if not (left.size and right.size and out.size):
        out[...] = 0
        return
    if provided(contraction, left, right, out):
        return
    layouts = [(x.strides, x.itemsize) for x in (left, right, out)]
    work = contraction.multiply_adds()
    plan: Any = (
        _kept_plan(contraction, *layouts) if work < KEPT else list(_plan(contraction, *layouts))
    )
    groups = [plan] if work < LARGE else _groups(plan)
    if work < LARGE or len(groups) > 1:
        run_parts([partial(_run, group, left, right, out) for group in groups])
    else:
        _run_sums(plan, left, right, out)


def _run(blocks: Sequence[Block], left: Array, right: Array, out: Array) -> None:
    """Blocks one after the other."""
    seen: Sight | None = None
    for block in blocks:
        if block.right is not seen:
            seen = block.right
            b = _matrices(seen, right, scratch.right)
        a = _matrices(block.left, left, scratch.left)
        _multiply(block, b, a.mT if block.flipped else a, out)
    scratch.trim()


def _groups(blocks: Sequence[Block]) -> list[Sequence[Block]]:
    """Blocks that can run at once: those that add to others stay with them."""
    firsts = [i for i, block in enumerate(blocks) if not block.add]
    count = min(len(firsts), PARTS)
    starts = [firsts[len(firsts) * i // count] for i in range(count)]
    return [blocks[start:stop] for start, stop in zip(starts, [*starts[1:], len(blocks)])]


def _run_sums(blocks: Sequence[Block], left: Array, right: Array, out: Array) -> None:
    """Blocks that all add to the same places: sums of some, then their sum, in a fixed order."""
    count = min(len(blocks), PARTS, 1 + left.size // (2 * out.size))
    starts = [len(blocks) * i // count for i in range(count + 1)]
    sums = [out, *(np.empty_like(out) for _ in range(count - 1))]
    parts = []
    for total, start, stop in zip(sums, starts, starts[1:]):
        some = [blocks[start]._replace(add=False), *blocks[start + 1 : stop]]
        parts.append(partial(_run, some, left, right, total))
    run_parts(parts)
    for total in sums[1:]:
        out += total


class Sight(NamedTuple):
    """How one block sees an array: as matrices (…, first, second)."""

    region: Region
    shape: tuple[int, ...]  # an axis for each index
    strides: tuple[int, ...]
    merged: tuple[int, ...]
    readable: bool  # for BLAS as it is; otherwise it is copied together


class Block(NamedTuple):
    """One product of matrices: out (…, lanes, rows) = right (…, lanes, reduced) · left."""

    left: Sight  # (…, reduced, rows), or the other way round if flipped
    right: Sight
    out: Sight
    flipped: bool
    add: bool  # to what earlier blocks have left there


def _matrices(sight: Sight, array: Array, kept: dict[object, Array]) -> Array:
    """The part of the array as matrices, padded and copied together if need be."""
    view = as_strided(sight.region.of(array, kept), sight.shape, sight.strides)
    if sight.readable:
        return view.reshape(sight.merged)
    key = sight.shape, array.dtype
    buffer = kept.get(key)
    if buffer is None:
        buffer = kept[key] = np.empty(sight.shape, array.dtype)
    np.copyto(buffer, view)
    return buffer.reshape(sight.merged)


def _multiply(block: Block, b: Array, a: Array, out: Array) -> None:
    sight = block.out
    target = as_strided(sight.region.of(out, {}), sight.shape, sight.strides)
    if sight.readable and not block.add:
        np.matmul(b, a, out=target.reshape(sight.merged))
        return
    product = np.matmul(b, a).reshape(sight.shape)
    if block.add:
        target += product
    else:
        target[...] = product


# Planning


def _plan(contraction: Contraction, left: Layout, right: Layout, out: Layout) -> Iterator[Block]:
    """The blocks of a contraction, for arrays of these layouts."""
    last: Block | None = None
    for part, first in _parts(contraction, BLOCK // left[1]):
        block = _block(part, left, right, out, add=not first)
        if last is not None and block.right == last.right:
            block = block._replace(right=last.right)  # the same matrices serve again
        yield block
        last = block


@lru_cache(maxsize=256)
def _kept_plan(*arguments: Any) -> list[Block]:
    return list(_plan(*arguments))


def _parts(
    contraction: Contraction, limit: int, first: bool = True, adds: bool = False
) -> Iterator[tuple[Contraction, bool]]:
    """Parts that gather at most `limit` elements, and whether it is the first to its output.

    The first indices are cut first. Parts of one sum follow on one another: once an index of the
    sum is cut, only such are. An element that is read twice counts twice.
    """
    read = reads(contraction.left)
    used = [i for i in contraction.indices if i.name in read]
    size = prod(i.extent for i in used)
    cut = next((i for i in used if i.extent > 1 and (i.role == REDUCTION or not adds)), None)
    if size <= limit or cut is None:
        yield contraction, first
        return
    adds = cut.role == REDUCTION
    step = max(1, min(limit // (size // cut.extent), cut.extent - 1))
    for start in range(0, cut.extent, step):
        part = contraction.restrict(cut.name, start, min(start + step, cut.extent))
        yield from _parts(part, limit, first and (start == 0 or not adds), adds)


def _block(part: Contraction, left: Layout, right: Layout, out: Layout, add: bool) -> Block:
    assert part.right is not None
    extents = {i.name: i.extent for i in part.indices}
    outer, rows, lanes, reduced = (part.names(r) for r in (OUTER, ROW, LANE, REDUCTION))
    if prod(extents[n] for n in rows) < MERGED:
        alone = reads(part.left) - reads(part.right)
        rows = (*(n for n in outer if n in alone), *rows)
        outer = tuple(n for n in outer if n not in alone)
    found = steps(part.left, left[0])
    rows, reduced = (_slowest_first(names, found) for names in (rows, reduced))
    flipped = _runs_along(reduced, found, extents) < _runs_along(rows, found, extents)
    last = (rows, reduced) if flipped else (reduced, rows)
    return Block(
        _sight(part.left, left, extents, outer, *last),
        _sight(part.right, right, extents, outer, lanes, reduced),
        _sight(part.output, out, extents, outer, lanes, rows),
        flipped,
        add,
    )


def _slowest_first(names: Names, found: dict[str, int]) -> Names:
    """Indices in the order in which memory has them, so that copies run along it."""
    return tuple(sorted(names, key=lambda name: -abs(found[name])))


def _runs_along(names: Names, found: dict[str, int], extents: dict[str, int]) -> tuple[float, int]:
    """Smaller for the better innermost axis: the step of the last index, then its extent."""
    return (abs(found[names[-1]]), -extents[names[-1]]) if names else (inf, 0)


def _sight(
    access: Access, layout: Layout, extents: dict[str, int], outer: Names, *matrix: Names
) -> Sight:
    """How indices see an array; an axis of extent 1 where an index does not matter."""
    read, strides = region(access, layout, extents)
    found = steps(access, strides)
    names = [n for group in (outer, *matrix) for n in group]
    shape = tuple(extents[n] if n in found else 1 for n in names)
    cuts = len(outer), len(outer) + len(matrix[0])
    merged = (*shape[: cuts[0]], prod(shape[cuts[0] : cuts[1]]), prod(shape[cuts[1] :]))
    seen = tuple(found.get(n, 0) for n in names)
    return Sight(read, shape, seen, merged, _is_readable(shape, seen, cuts, layout[1]))


def _is_readable(
    shape: tuple[int, ...], strides: tuple[int, ...], cuts: tuple[int, int], size: int
) -> bool:
    """Whether the two groups of axes merge without a copy into matrices that BLAS takes.

    NumPy multiplies others with slow loops of its own.
    """
    found = []
    for group in (slice(*cuts), slice(cuts[1], None)):
        axes = [(e, s) for e, s in zip(shape[group], strides[group]) if e > 1]
        if any(a[1] != b[0] * b[1] for a, b in pairwise(axes)):
            return False
        found.append((prod(e for e, _ in axes), axes[-1][1] if axes else size))
    (m, down), (n, along) = found
    return (along == size and down >= n * size) or (down == size and along >= m * size)
