"""NumPy's execution of contractions: gather a block of the left operand, multiply matrices.

A gathered block is never larger than 4 MB, whatever the kernel and the image. How the blocks of
arrays of a certain layout are read is planned once; running them is slicing, copying, multiplying.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from math import inf, prod
from typing import NamedTuple

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
from limpid.ops.windows.parts import PARTS, Groups, Part, grouped
from limpid.ops.windows.region import Layout, Region, region, scratch, steps

BLOCK = 1 << 21  # bytes of a gathered block: half of what is allowed, to stay in cache
KEPT = 1 << 32  # plans of contractions of more multiply-adds than this are not kept
LARGE = 1 << 22  # multiply-adds from which on several threads share the work
MERGED = 512  # products of fewer rows than this take in the rows of several samples

Names = tuple[str, ...]


def execute(contraction: Contraction, left: Array, right: Array, out: Array) -> None:
    """Write the contraction of two arrays to the places of `out` that it addresses."""
    if not (left.size and right.size and out.size):
        out[...] = 0
        return
    if not provided(contraction, left, right, out):
        execute_on_numpy(contraction, left, right, out)


def execute_on_numpy(contraction: Contraction, left: Array, right: Array, out: Array) -> None:
    """The same by NumPy alone, for arrays that have elements."""
    layouts = [(x.strides, x.itemsize) for x in (left, right, out)]
    kept = contraction.multiply_adds() < KEPT
    plan = _kept_plan(contraction, *layouts) if kept else _plan(contraction, *layouts)
    plan.run(lambda blocks, into: _run(blocks, left, right, into), out)


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


def _plan(contraction: Contraction, left: Layout, right: Layout, out: Layout) -> Groups:
    """Groups of blocks of a contraction, for arrays of these layouts."""
    count = PARTS if contraction.multiply_adds() >= LARGE else 1
    found = grouped(contraction, BLOCK // left[1], _gathered, count)
    return found._replace(groups=[_blocks(parts, left, right, out) for parts in found.groups])


_kept_plan = lru_cache(maxsize=256)(_plan)


def _gathered(part: Contraction) -> int:
    """How many elements are gathered; one that is read twice counts twice."""
    read = reads(part.left)
    return prod(i.extent for i in part.indices if i.name in read)


def _blocks(parts: list[Part], left: Layout, right: Layout, out: Layout) -> list[Block]:
    made: list[Block] = []
    for part, adds in parts:
        block = _block(part, left, right, out, adds)
        if made and block.right == made[-1].right:
            block = block._replace(right=made[-1].right)  # the same matrices serve again
        made.append(block)
    return made


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
