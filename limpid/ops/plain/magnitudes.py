"""How many elements there are of each order of magnitude: bins that are powers of 4, both signs.

    0           up to −4⁹
    1 … 29      from −4⁹ to −4⁻²⁰, each bin a factor of 4
    30          from −4⁻²⁰ to 0, without 0
    31          0
    32          from 0 to 4⁻²⁰ (9·10⁻¹³), without 0
    33 … 61     from 4⁻²⁰ to 4⁹ (262144)
    62          from 4⁹ on, infinity as well
    63          NaN

A bin holds its end that is nearer to 0. The bins are the same for all arrays, so that histograms of
different times and layers can be laid side by side, and what vanishes or explodes still shows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.graph.node import Array
from limpid.ops.plain.functions import traceable

BINS = 64
SMALL, LARGE = np.dtype(np.uint16), np.dtype(np.int64)
ZERO, NAN = 31, 63  # the bins of 0 and of NaN
LOWEST, HIGHEST = -20, 9  # powers of 4 between which magnitudes are told apart
SIDE = HIGHEST - LOWEST + 1  # the number of the last bin of a sign, counted from 0


def counts_of(size: int) -> np.dtype[Any]:
    """The type for counts of so many elements: a short one if that suffices."""
    return SMALL if size <= np.iinfo(SMALL).max else LARGE


@traceable
def magnitudes(x: Any) -> Array:
    """The number of elements in each bin, as uint16 up to 65535 elements, else as int64.

    >>> import numpy as np
    >>> counts = magnitudes(np.array([0.0, 1.0, 2.0, -5.0, np.nan]))
    >>> {int(bin): int(counts[bin]) for bin in counts.nonzero()[0]}
    {8: 1, 31: 1, 53: 2, 63: 1}
    """
    x = np.asarray(x).reshape(-1)
    if x.dtype.kind != "f":
        x = x.astype(np.float64)
    with np.errstate(invalid="ignore"):
        exponents = np.frexp(x)[1] - 1  # x is between 2^exponent and twice that
    places = np.clip((exponents - 2 * LOWEST >> 1) + 1, 0, SIDE)
    places[np.isinf(x)] = SIDE
    bins = np.where(np.signbit(x), ZERO - 1 - places, ZERO + 1 + places)
    bins[x == 0] = ZERO
    bins[np.isnan(x)] = NAN
    return np.bincount(bins, minlength=BINS).astype(counts_of(x.size))


def bin_edges() -> Array:
    """The ends of bins 0 to 62 in their order, 64 numbers; bin 31 is that of 0 alone.

    >>> [float(edge) for edge in bin_edges()[[0, 1, 31, 32, 53, 54, 63]]]
    [-inf, -262144.0, 0.0, 0.0, 1.0, 4.0, inf]
    """
    powers = 4.0 ** np.arange(LOWEST, HIGHEST + 1)  # 30 of them
    return np.concatenate([[-np.inf], -powers[::-1], [0.0, 0.0], powers, [np.inf]])
