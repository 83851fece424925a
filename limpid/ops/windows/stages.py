"""Windows one axis after another: a sum or an extreme over a box is one over each of its axes.

So a kernel of K × K takes 2K steps, not K². A step is a pair of slices, of the output and of the
input, as the taps of the contraction have them; nothing is gathered.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from limpid.differentiation.relation import Relation
from limpid.errors import ShapeError
from limpid.graph.node import Spec
from limpid.ops.windows import lowering
from limpid.ops.windows.contraction import Contraction, taps
from limpid.ops.windows.geometry import Extents, Padding, output_extents, span

Place = tuple[Any, ...]  # an index of slices


class Step(NamedTuple):
    """The elements at one place of the windows along an axis, for some or all of the windows."""

    tap: int
    there: Place  # of the output
    here: Place  # of the input
    fresh: bool  # whether the windows have no element at an earlier place
    whole: bool  # whether these are all windows


class Stage(NamedTuple):
    """The windows along one axis."""

    axis: int  # counted from the end: −1 is the last
    kernel: int
    extent: int
    out: int
    covered: bool  # whether every element is in one window
    apart: bool  # whether no element is in two
    missed: int  # how many windows have no element
    steps: tuple[Step, ...]

    @property
    def paired(self) -> bool:
        """Whether the first two steps reach all windows, so that they can be one."""
        return len(self.steps) > 1 and self.steps[0].whole and self.steps[1].whole

    def resized(self, shape: tuple[int, ...], extent: int) -> tuple[int, ...]:
        """The shape with another extent along the axis."""
        axis = len(shape) + self.axis
        return (*shape[:axis], extent, *shape[axis + 1 :])


@lru_cache(maxsize=1024)
def stages(
    spatial: Extents, kernel: Extents, stride: Extents, padding: Padding, dilation: Extents
) -> tuple[Stage, ...]:
    """The last axis first; those along which nothing happens are left out."""
    sides = list(zip(spatial, kernel, stride, padding, dilation, strict=True))
    found = [_stage(axis - len(sides), *side) for axis, side in enumerate(sides)]
    return tuple(s for s in reversed(found) if s.kernel > 1 or s.out != s.extent or s.missed)


def _stage(
    axis: int, extent: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int
) -> Stage:
    side: Any = (extent,), (kernel,), (stride,), (padding,), (dilation,)
    (out,) = output_extents(*side)
    steps = tuple(_steps(window_taps(*side), axis, out, stride))
    reached = sum(s.there[1].stop - s.there[1].start for s in steps if s.fresh)
    covered = dilation == 1 and not any(padding) and stride == kernel and out * kernel == extent
    apart = stride >= span(kernel, dilation)
    return Stage(axis, kernel, extent, out, covered, apart, out - reached, steps)


def _steps(found: Any, axis: int, out: int, stride: int) -> Iterator[Step]:
    """The taps, cut where they go over from windows not reached before to others."""
    low = out  # the windows from here on have been reached
    for (tap,), (_, there), (_, here) in found:
        cut = min(max(low, there.start), there.stop)
        for start, stop in ((there.start, cut), (cut, there.stop)):
            if start < stop:
                first = here.start + stride * (start - there.start)
                read = slice(first, first + stride * (stop - start - 1) + 1, stride)
                made = slice(start, stop)
                yield Step(tap, _at(made, axis), _at(read, axis), stop <= low, stop - start == out)
        low = min(low, there.start)


def _at(part: slice, axis: int) -> Place:
    return (..., part, *(slice(None),) * (-1 - axis))


def is_whole(
    spatial: Extents, kernel: Extents, stride: Extents, padding: Padding, dilation: Extents
) -> bool:
    """Whether there is one window, the whole input."""
    return spatial == kernel and not any(map(any, padding)) and set(dilation) <= {1}


@lru_cache(maxsize=256)
def window_taps(
    spatial: Extents, kernel: Extents, stride: Extents, padding: Padding, dilation: Extents
) -> tuple[tuple[tuple[int, ...], Place, Place], ...]:
    """For every place within the windows: it, and slices (…, *spatial) of output and input."""
    out = output_extents(spatial, kernel, stride, padding, dilation)
    whole = lowering.windows(spatial, out, kernel, stride, padding, dilation)
    return tuple((point, (..., *there), (..., *here)) for point, there, here in taps(whole))


def output_shape(
    x: Any,
    *,
    kernel: Extents,
    stride: Extents,
    padding: Padding,
    dilation: Extents,
) -> tuple[int, ...]:
    """(…, *W) → (…, *O); raises ShapeError for an input of too few axes or elements."""
    lead = x.ndim - len(kernel)
    if lead < 0:
        raise ShapeError(f"{len(kernel)} axes to slide over, but the input has shape {x.shape}")
    out = output_extents(x.shape[lead:], kernel, stride, padding, dilation)
    return (*x.shape[:lead], *out)


def input_shape(
    g: Any,
    *,
    kernel: Extents,
    stride: Extents,
    padding: Padding,
    dilation: Extents,
    extents: Extents,
) -> tuple[int, ...]:
    """(…, *O) → (…, *W) for the extents W; raises ShapeError where these have other windows."""
    out = output_extents(extents, kernel, stride, padding, dilation)
    lead = g.ndim - len(kernel)
    if lead < 0 or g.shape[lead:] != out:
        raise ShapeError(f"extents {extents} have {out} windows, but the values are {g.shape}")
    return (*g.shape[:lead], *extents)


def lower_windows(combine: str) -> Any:
    """The `lower` rule of a primitive over windows."""

    def lower(x: Spec, *, kernel: Extents, **window: Any) -> tuple[Contraction, ...]:
        out = output_extents(x.shape[x.ndim - len(kernel) :], kernel, **window)
        return (lowering.windows(x.shape, out, kernel, **window, combine=combine),)

    return lower


def window_relation(reads: str, makes: str, outputs: int = 1, moved: bool = False) -> Any:
    """Leading axes are mapped; of the spatial ones nothing finer is said than all.

    reads, makes  "x" or "o": whether the first operand, and the results, have the places of the
                  input or those of the windows; a second operand has those of the windows
    moved         whether one place alone is read
    """

    def relation(first: Spec, *second: Spec, kernel: Extents, **params: Any) -> Relation:
        lead = tuple(range(first.ndim - len(kernel)))
        places = {side: tuple(f"{side}{axis}" for axis in range(len(kernel))) for side in "xo"}
        labels = {side: (*lead, *places[side]) for side in "xo"}
        return Relation(
            (labels[reads], *(labels["o"] for _ in second)),
            (labels[makes],) * outputs,
            moved=frozenset(places[reads] if moved else ()),
        )

    return relation
