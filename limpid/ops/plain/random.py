"""Random bits, and numbers made of them, in plain steps: the same bits as eager."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from limpid.ops import gaussian, philox
from limpid.ops.plain.lookup import places_after

LANES = 1024  # blocks of bits in a row, from many on: counters are then two short arrays


def bits(state: Any, *, shape: tuple[int, ...], width: int) -> Any:
    """Words of 32 or 64 bits from a generator's key and position, uint64[2]."""
    count = prod(shape)
    words = _philox(_counters(state[1], philox.block_count(count, width)), state[0])
    if width == 64:
        low, high = words[0::2], words[1::2]
        words = [a | (b << philox.HALF) for a, b in zip(low, high, strict=True)]
    else:
        words = [word.astype(np.uint32) for word in words]
    return np.stack(words, axis=-1).reshape(-1)[:count].reshape(shape)


def _counters(first: Any, count: int) -> Any:
    """`count` counters or a few more; of many, in rows, so that no long array has to be kept."""
    if count <= 4 * LANES:
        return first + np.arange(count, dtype=np.uint64)
    rows = np.arange(-(-count // LANES), dtype=np.uint64) * np.uint64(LANES)
    return (first + rows[:, None]) + np.arange(LANES, dtype=np.uint64)


def _philox(counter: Any, key: Any) -> list[Any]:
    """Four words of 32 bits, in uint64, for each counter; as `philox.philox`, word by word."""
    (first,), (second,) = philox.MULTIPLIERS
    zero = np.uint64(0)
    a, b, c, d = counter & philox.MASK, counter >> philox.HALF, zero, zero
    low, high = key & philox.MASK, key >> philox.HALF
    for n in range(philox.ROUNDS):
        p, q = a * first, c * second
        one = (low + np.uint64(n * philox.WEYL[0] & philox.WORD)) & philox.MASK
        two = (high + np.uint64(n * philox.WEYL[1] & philox.WORD)) & philox.MASK
        a, c = (q >> philox.HALF) ^ b ^ one, (p >> philox.HALF) ^ d ^ two
        b, d = q & philox.MASK, p & philox.MASK
    return [a, b, c, d]


def lower_quantile(p: Any) -> Any:
    """As `gaussian.lower_quantile`, with all its rational functions for each number."""
    centre, tail, far = gaussian.SINGLE if p.dtype == np.float32 else gaussian.DOUBLE
    q = 0.5 - p
    r = np.sqrt(-gaussian.log(p))
    outer = np.where(
        r > gaussian.FAR,
        gaussian.rational(far, r - gaussian.FAR),
        gaussian.rational(tail, r - 1.6),
    )
    inner = q * gaussian.rational(centre, gaussian.CENTRE**2 - q * q)
    return np.where(q > gaussian.CENTRE, outer, inner)


def chosen(u: Any, weights: Any) -> Any:
    """The first index at which the cumulative weight exceeds u · the sum."""
    cumulated = np.add.accumulate(weights)
    return places_after(cumulated, u * cumulated[-1])


def weights_valid(p: Any) -> Any:
    """Whether these are probabilities that sum to 1; a little stricter than eager's test."""
    weights = p.astype(np.float64)
    return (weights >= 0).all() & (np.abs(weights.sum() - 1) < 0.999999e-5)
