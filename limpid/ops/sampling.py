"""Primitives that make numbers of random bits. Bits have no derivative, so neither have these."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.differentiation.declaration import general
from limpid.differentiation.elementwise import elementwise
from limpid.errors import ArgumentError
from limpid.graph.dtype import as_dtype, int64
from limpid.graph.node import Array, Spec
from limpid.ops.gaussian import cumulative, log, lower_quantile
from limpid.ops.plain import random as plain

_INTEGER = {32: np.int32, 64: np.int64}
_FLOAT = {32: np.float32, 64: np.float64}


def _typed(bits: Spec, *, dtype: str, **params: Any) -> Spec:
    return Spec(bits.shape, as_dtype(dtype))


def _uniform(bits: Array, *, dtype: str) -> Array:
    """The upper bits, as many as the type's fraction holds, over their count: all exact."""
    storage = as_dtype(dtype).storage
    kept = np.finfo(storage).nmant + 1
    width = bits.dtype.itemsize * 8
    return (bits >> bits.dtype.type(width - kept)).astype(storage) * storage.type(2.0**-kept)


def _folded(bits: Array) -> tuple[Array, Array]:
    """Which side of the middle (bits + ½) / 2^width lies, −1 or 1, and its distance to that end."""
    width = bits.dtype.itemsize * 8
    spread = bits.view(_INTEGER[width]) >> (width - 1)  # all bits equal to the first
    magnitude = (bits.view(_INTEGER[width]) ^ spread).astype(_FLOAT[width])
    p = magnitude * _FLOAT[width](2.0**-width) + _FLOAT[width](2.0 ** -(width + 1))
    return -1 - 2 * spread, p


def _quantile(p: Array) -> Array:
    return lower_quantile(p) if isinstance(p, np.ndarray) else plain.lower_quantile(p)


def _normal(bits: Array, *, dtype: str) -> Array:
    sign, p = _folded(bits)
    return (_quantile(p) * sign.astype(p.dtype)).astype(as_dtype(dtype).storage)


def _truncated(bits: Array, *, low: float, high: float, dtype: str) -> Array:
    """The quantile between the bounds' probabilities, on the side where these are small."""
    mirrored = low + high > 0
    below, above = (-high, -low) if mirrored else (low, high)
    start, end = cumulative(below), cumulative(above)
    sign, half = _folded(bits)
    half = half.astype(np.float64)
    p = start + np.where(sign < 0, half, 1.0 - half) * (end - start)
    upper = p > 0.5
    z = _quantile(np.where(upper, np.maximum(1.0 - p, 2.0**-54), p))
    z = np.where(upper, z, -z)
    storage = as_dtype(dtype).storage
    return np.clip((-z if mirrored else z).astype(storage), low, high)


def _integers(bits: Array, *, low: int, count: int, dtype: str) -> Array:
    """`low` + ⌊bits · count / 2⁶⁴⌋, the product in two halves of 32 bits."""
    if count == 2**64:
        scaled = bits
    else:
        half, mask = np.uint64(32), np.uint64(0xFFFFFFFF)
        n0, n1 = np.uint64(count & 0xFFFFFFFF), np.uint64(count >> 32)
        b0, b1 = bits & mask, bits >> half
        middle = b1 * n0 + (b0 * n0 >> half)
        scaled = b1 * n1 + (middle >> half) + ((b0 * n1 + (middle & mask)) >> half)
    return (scaled + np.uint64(low % 2**64)).astype(as_dtype(dtype).storage)


bits_to_uniform = elementwise(
    "bits_to_uniform", _uniform, local=[None], shape=_typed, numeric="any", math=r"U({bits})"
)
bits_to_normal = elementwise(
    "bits_to_normal", _normal, local=[None], shape=_typed, numeric="any", math=r"\Phi^{-1}({bits})"
)
bits_to_truncated_normal = elementwise(
    "bits_to_truncated_normal",
    _truncated,
    local=[None],
    shape=_typed,
    numeric="any",
    math=r"\Phi^{-1}_{[a, b]}({bits})",
)
bits_to_integers = elementwise(
    "bits_to_integers",
    _integers,
    local=[None],
    shape=_typed,
    numeric="any",
    math=r"\lfloor {bits} \cdot n / 2^{64} \rfloor",
)
bits_to_permutation = general(
    "bits_to_permutation",
    lambda bits: np.argsort(bits, kind="stable").astype(np.int64),
    vjp=[None],
    shape=lambda bits: Spec(bits.shape, int64),
    numeric="any",
    math=r"\mathrm{argsort}({bits})",
)


def _checked_weights(p: Array) -> Array:
    weights = p.astype(np.float64)
    if not (weights >= 0).all() or abs(weights.sum() - 1) > 1e-5:
        raise ArgumentError(
            f"probabilities must not be negative and must sum to 1, not to {weights.sum():.6g}"
        )
    return weights


def _pick(bits: Array, p: Array) -> Array:
    """The first index at which the cumulative probability exceeds a uniform number."""
    cumulated = np.cumsum(_checked_weights(p))
    u = _uniform(bits, dtype="float64") * cumulated[-1]
    return np.searchsorted(cumulated, u, side="right").astype(np.int64)


def _plainly_picked(bits: Array, p: Array) -> Array:
    return plain.chosen(_uniform(bits, dtype="float64"), p.astype(np.float64))


def _pick_distinct(bits: Array, p: Array, *, count: int) -> Array:
    """The first to ring of exponential clocks with rates p: Efraimidis and Spirakis (2006)."""
    weights = _checked_weights(p)
    possible = np.flatnonzero(weights)
    if possible.size < count:
        raise ArgumentError(
            f"{count} different items can't be chosen where {possible.size} are possible"
        )
    u = (bits[possible] >> np.uint64(11)).astype(np.float64) * 2.0**-53 + 2.0**-54
    times = -log(u) / weights[possible]
    return possible[np.argsort(times, kind="stable")[:count]].astype(np.int64)


bits_to_choice = general(
    "bits_to_choice",
    _pick,
    vjp=[None, None],
    shape=lambda bits, p: Spec(bits.shape, int64),
    native=_plainly_picked,
    valid=lambda bits, p: plain.weights_valid(p),
    numeric="any",
    math=r"\mathrm{choice}({bits}, {p})",
)
bits_to_distinct = general(
    "bits_to_distinct",
    _pick_distinct,
    vjp=[None, None],
    shape=lambda bits, p, *, count: Spec((count,), int64),
    numeric="any",
    math=r"\mathrm{choice}({bits}, {p})",
)
