"""From a windowed primitive to its contractions: which address is read for which index.

Names of indices: n batch (n0 n1 … where there may be any leading axes), g group, c channel of the
output within its group, i channel of the input within its group, o0 o1 … place of the window,
k0 k1 … place within the window.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from math import gcd
from typing import NamedTuple

from limpid.ops.windows.contraction import (
    LANE,
    OUTER,
    REDUCTION,
    ROW,
    Access,
    Axis,
    Contraction,
    Index,
    affine,
)
from limpid.ops.windows.geometry import Extents, Padding

Shape = tuple[int, ...]


def windows(
    x: Shape,
    out: Extents,
    kernel: Extents,
    stride: Extents,
    padding: Padding,
    dilation: Extents,
    combine: str = "add",
) -> Contraction:
    """Sums or extremes over windows: (…, *spatial) → (…, *out)."""
    lead, spatial = _apart(x, kernel)
    return Contraction(
        (
            *_indices("n", lead, ROW),
            *_indices("o", out, ROW),
            *_indices("k", kernel, REDUCTION),
        ),
        output=(*_plain("n", lead), *_plain("o", out)),
        left=(*_plain("n", lead), *_slid(spatial, stride, padding, dilation)),
        combine=combine,
    )


def unfolded(
    x: Shape,
    out: Extents,
    kernel: Extents,
    stride: Extents,
    padding: Padding,
    dilation: Extents,
) -> Contraction:
    """Every window as a column: (…, *spatial) → (…, *kernel, *out); nothing is summed."""
    lead, spatial = _apart(x, kernel)
    return Contraction(
        (
            *_indices("n", lead, ROW),
            *_indices("o", out, ROW),
            *_indices("k", kernel, ROW),
        ),
        output=(*_plain("n", lead), *_plain("k", kernel), *_plain("o", out)),
        left=(*_plain("n", lead), *_slid(spatial, stride, padding, dilation)),
    )


def windows_input(
    x: Shape,
    out: Extents,
    kernel: Extents,
    stride: Extents,
    padding: Padding,
    dilation: Extents,
    folded: bool = False,
) -> tuple[Contraction, ...]:
    """The adjoint of `windows`, (…, *out) → (…, *spatial), or `folded`, that of `unfolded`.

    x  the shape of the result
    """
    lead, spatial = _apart(x, kernel)
    sides = zip(spatial, kernel, out, stride, padding, dilation, strict=True)
    return tuple(
        Contraction(
            (
                *_indices("n", lead, ROW),
                *(Index(p.place, p.places, ROW) for p in phases),
                *(Index(p.tap, p.taps, REDUCTION) for p in phases),
            ),
            output=(*_plain("n", lead), *(p.output for p in phases)),
            left=(
                *_plain("n", lead),
                *(p.right for p in phases if folded),
                *(p.left for p in phases),
            ),
        )
        for phases in product(*[list(_phases(a, *side)) for a, side in enumerate(sides)])
    )


@lru_cache(maxsize=1024)
def conv(
    x: Shape,
    w: Shape,
    out: Extents,
    stride: Extents,
    padding: Padding,
    dilation: Extents,
    groups: int,
) -> Contraction:
    """y[n, g·C + c, o] = Σ x[n, g·I + i, o·S + k·D − P] · w[g·C + c, i, k] over i and k.

    A weight (*out, C, I, *K) is a local one, w[o, c, i, k]: another for each place.
    """
    rank = len(out)
    local = len(w) > rank + 2
    *_, channels, i = w[:-rank]
    c, kernel = channels // groups, w[-rank:]
    places = _plain("o", out) if local else ()
    return Contraction(
        (
            Index("n", x[0], ROW if local else OUTER),
            Index("g", groups, OUTER),
            *_indices("o", out, OUTER if local else ROW),
            Index("c", c, LANE),
            Index("i", i, REDUCTION),
            *_indices("k", kernel, REDUCTION),
        ),
        output=(affine(x[0], n=1), affine(channels, g=c, c=1), *_plain("o", out)),
        left=(affine(x[0], n=1), affine(x[1], g=i, i=1), *_slid(x[2:], stride, padding, dilation)),
        right=(*places, affine(channels, g=c, c=1), affine(i, i=1), *_plain("k", kernel)),
    )


@lru_cache(maxsize=1024)
def conv_weight(
    x: Shape,
    w: Shape,
    out: Extents,
    stride: Extents,
    padding: Padding,
    dilation: Extents,
    groups: int,
) -> Contraction:
    """w̄[g·C + c, i, k] = Σ x[n, g·I + i, o·S + k·D − P] · ȳ[n, g·C + c, o] over n and o."""
    forward = conv(x, w, out, stride, padding, dilation, groups)
    local = len(w) > len(out) + 2
    roles = {"n": REDUCTION, "g": OUTER, "c": LANE, "i": ROW, "k": ROW}
    roles["o"] = OUTER if local else REDUCTION
    indices = tuple(Index(i.name, i.extent, roles[i.name[0]]) for i in forward.indices)
    assert forward.right is not None
    return Contraction(indices, forward.right, forward.left, forward.output)


@lru_cache(maxsize=1024)
def conv_input(
    x: Shape,
    w: Shape,
    out: Extents,
    stride: Extents,
    padding: Padding,
    dilation: Extents,
    groups: int,
) -> tuple[Contraction, ...]:
    """x̄[n, g·I + i, j] = Σ ȳ[n, g·C + c, o] · w[g·C + c, i, k] over c and o·S + k·D − P = j.

    A stride leaves one contraction for each phase of j: within a phase all addresses are affine.
    """
    rank = len(out)
    local = len(w) > rank + 2
    *_, channels, i = w[:-rank]
    c, kernel = channels // groups, w[-rank:]
    made = []
    sides = zip(x[2:], kernel, out, stride, padding, dilation, strict=True)
    for phases in product(*[list(_phases(a, *side)) for a, side in enumerate(sides)]):
        places = [Index(p.place, p.places, OUTER if local else ROW) for p in phases]
        addresses = tuple(p.left for p in phases)
        made.append(
            Contraction(
                (
                    Index("n", x[0], ROW if local else OUTER),
                    Index("g", groups, OUTER),
                    *places,
                    Index("i", i, LANE),
                    Index("c", c, REDUCTION),
                    *(Index(p.tap, p.taps, REDUCTION) for p in phases),
                ),
                output=(affine(x[0], n=1), affine(x[1], g=i, i=1), *(p.output for p in phases)),
                left=(affine(x[0], n=1), affine(channels, g=c, c=1), *addresses),
                right=(
                    *(addresses if local else ()),
                    affine(channels, g=c, c=1),
                    affine(i, i=1),
                    *(p.right for p in phases),
                ),
            )
        )
    return tuple(made)


class Phase(NamedTuple):
    """The places j ≡ first (mod stride) along one axis, and the taps that reach them."""

    place: str  # the name of the index of places, and how many there are
    places: int
    tap: str
    taps: int
    output: Axis
    left: Axis
    right: Axis


def _phases(
    number: int,
    extent: int,
    kernel: int,
    out: int,
    stride: int,
    padding: tuple[int, int],
    dilation: int,
) -> Iterator[Phase]:
    """Solve o·S + k·D = j + P for each residue of j + P modulo S that has solutions.

    With d = gcd(S, D) and T taps they are, for m from 0 to T − 1, k = first + (T − 1 − m)·S/d and
    o = (j + P − first·D)/S − (T − 1 − m)·D/d: o rises with m, so that memory is read in order.
    """
    common = gcd(stride, dilation)
    step = stride // common
    place, tap = f"o{number}", f"k{number}"
    for first in range(min(step, kernel)):
        start = (first * dilation - padding[0]) % stride
        places = -((start - extent) // stride)
        taps = -((first - kernel) // step)
        if places <= 0:
            continue
        lowest = (start + padding[0] - first * dilation) // stride - (taps - 1) * dilation // common
        yield Phase(
            place,
            places,
            tap,
            taps,
            affine(extent, start, **{place: stride}),
            affine(out, lowest, **{place: 1, tap: dilation // common}),
            affine(kernel, first + (taps - 1) * step, **{tap: -step}),
        )


def _apart(shape: Shape, kernel: Extents) -> tuple[Shape, Shape]:
    """Leading axes, and those that a kernel slides along."""
    return shape[: len(shape) - len(kernel)], shape[len(shape) - len(kernel) :]


def _indices(letter: str, extents: Extents, role: str) -> tuple[Index, ...]:
    return tuple(Index(f"{letter}{a}", extent, role) for a, extent in enumerate(extents))


def _plain(letter: str, extents: Extents) -> Access:
    """Axes addressed by one index each: o0, o1, …"""
    return tuple(affine(extent, **{f"{letter}{a}": 1}) for a, extent in enumerate(extents))


def _slid(spatial: Extents, stride: Extents, padding: Padding, dilation: Extents) -> Access:
    """Spatial axes addressed by place and tap: o·S + k·D − P."""
    sides = zip(spatial, stride, padding, dilation, strict=True)
    return tuple(
        affine(extent, -before, **{f"o{a}": s, f"k{a}": d})
        for a, (extent, s, (before, _), d) in enumerate(sides)
    )
