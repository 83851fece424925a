"""Rows of the random primitives: functions of bits, against references by others."""

from typing import Any

import numpy as np
from scipy.special import ndtri
from scipy.stats import truncnorm

import limpid
from tests.philox_reference import philox_word
from tests.table import Row

primitive = limpid.primitives


def stream(state: Any, count: int, width: int) -> Any:
    """The words from a generator's state on."""
    key, position = map(int, state)
    words: list[int] = []
    while len(words) * 32 < count * width:
        counter = [position & 0xFFFFFFFF, position >> 32, 0, 0]
        words += philox_word(counter, [key & 0xFFFFFFFF, key >> 32])
        position = (position + 1) % 2**64
    if width == 64:
        words = [a | b << 32 for a, b in zip(words[::2], words[1::2], strict=True)]
    return np.array(words[:count], f"u{width // 8}")


def edges(width: int) -> Any:
    """Words at both ends and in the middle, and others."""
    ends = [0, 1, 2**width - 1, 2**width - 2, 2 ** (width - 1), 2 ** (width - 1) - 1]
    others = np.random.default_rng(1).integers(0, 2**width, 58, np.uint64)
    return np.concatenate([np.array(ends, np.uint64), others]).astype(f"u{width // 8}")


BITS32, BITS64 = edges(32), edges(64)


def lower_half(bits: Any) -> Any:
    """1 for words below the middle, −1 above; and how far from that end, as a probability."""
    width = bits.dtype.itemsize * 8
    words = [int(w) for w in bits]
    folded = [w if w < 2 ** (width - 1) else 2**width - 1 - w for w in words]
    sign = np.array([1.0 if w < 2 ** (width - 1) else -1.0 for w in words])
    return sign, np.array([(k + 0.5) / 2**width for k in folded])


def normal(bits: Any) -> Any:
    sign, p = lower_half(bits)
    return sign * ndtri(p)


def truncated(bits: Any, low: float, high: float) -> Any:
    sign, p = lower_half(bits)
    u = np.where(sign > 0, p, 1 - p)
    if low + high > 0:
        return -truncnorm.ppf(u, -high, -low)
    return truncnorm.ppf(u, low, high)


def truncated_row(low: float, high: float) -> Row:
    draw = primitive["bits_to_truncated_normal"]
    return Row("bits_to_truncated_normal",
        lambda bits: draw(bits, low=low, high=high, dtype="float64"), (BITS64[4:],),
        lambda bits: truncated(bits, low, high), order=0, label=f"{low} to {high}",
        value_tolerance=1e-9)  # fmt: skip


def integers_row(low: int, count: int, dtype: str = "int64") -> Row:
    draw = primitive["bits_to_integers"]
    return Row("bits_to_integers",
        lambda bits: draw(bits, low=low, count=count, dtype=dtype), (BITS64,),
        lambda bits: np.array([low + (int(w) * count >> 64) for w in bits]).astype(dtype),
        order=0, label=f"{low} and {count} on", value_tolerance=0.0)  # fmt: skip


WEIGHTS = np.array([0.0, 0.25, 0.25, 0.0, 0.5, 0.0])


def first_to_ring(bits: Any) -> Any:
    u = np.array([(int(w) >> 11) * 2.0**-53 + 2.0**-54 for w in bits])
    with np.errstate(divide="ignore"):
        return np.argsort(-np.log(u) / WEIGHTS)[:3]


ROWS = [
    Row("random_bits", lambda s: primitive["random_bits"](s, shape=(2, 5), width=32),
        (np.array([7, 2**32 - 1], np.uint64),), lambda s: stream(s, 10, 32).reshape(2, 5),
        order=0, value_tolerance=0.0),
    Row("random_bits", lambda s: primitive["random_bits"](s, shape=(7,), width=64),
        (np.array([2**63 + 5, 2**64 - 1], np.uint64),), lambda s: stream(s, 7, 64),
        order=0, label="64 bits", value_tolerance=0.0),
    Row("bits_to_uniform", lambda b: primitive["bits_to_uniform"](b, dtype="float32"), (BITS32,),
        lambda b: (b >> 8) / 2.0**24, order=0, value_tolerance=0.0),
    Row("bits_to_uniform", lambda b: primitive["bits_to_uniform"](b, dtype="float64"), (BITS64,),
        lambda b: np.array([(int(w) >> 11) / 2**53 for w in b]), order=0, label="float64",
        value_tolerance=0.0),
    Row("bits_to_uniform", lambda b: primitive["bits_to_uniform"](b, dtype="float16"), (BITS32,),
        lambda b: (b >> 21) / 2.0**11, order=0, label="float16", value_tolerance=0.0),
    Row("bits_to_normal", lambda b: primitive["bits_to_normal"](b, dtype="float64"), (BITS64,),
        normal, order=0, value_tolerance=2e-15),
    Row("bits_to_normal", lambda b: primitive["bits_to_normal"](b, dtype="float32"), (BITS32,),
        normal, order=0, label="float32", value_tolerance=2e-6),
    truncated_row(-2.0, 2.0),
    truncated_row(1.0, 3.5),
    truncated_row(-np.inf, -6.0),
    truncated_row(5.0, np.inf),
    integers_row(0, 6),
    integers_row(-3, 2**40 + 9),
    integers_row(-(2**63), 2**64),
    integers_row(0, 256, "uint8"),
    Row("bits_to_permutation", primitive["bits_to_permutation"], (BITS64,), np.argsort, order=0),
    Row("bits_to_choice", primitive["bits_to_choice"], (BITS64, WEIGHTS),
        lambda b, p: np.select([b >> 62 < 1, b >> 62 < 2], [1, 2], 4), order=0),
    Row("bits_to_distinct", lambda b, p: primitive["bits_to_distinct"](b, p, count=3),
        (BITS64[6:12], WEIGHTS), lambda b, p: first_to_ring(b), order=0),
]  # fmt: skip
