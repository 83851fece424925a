"""Philox4x32-10: random bits as a pure function of key and counter.

Salmon, Moraes, Dror and Shaw, Parallel random numbers: as easy as 1, 2, 3 (SC 2011). One block is
four 32-bit words, made of a counter of four words and a key of two by ten rounds of multiplying
and exclusive or. Equal keys and counters give equal bits on every machine.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from limpid.graph.node import Array

MULTIPLIERS = np.array([[0xD2511F53], [0xCD9E8D57]], np.uint64)  # of words 0 and 2
WEYL = 0x9E3779B9, 0xBB67AE85  # what the words of the key grow by in every round
ROUNDS = 10
WORD = 0xFFFFFFFF
HALF, MASK = np.uint64(32), np.uint64(WORD)
CHUNK = 8192  # blocks at a time, so that the words of a round stay in the cache


def philox(even: Array, odd: Array, key: int) -> tuple[Array, Array]:
    """Ten rounds on counter words (0, 2) and (1, 3), each uint64[2, blocks] that hold 32 bits."""
    for round_key in _key_schedule(key):  # (2, 1)
        product = even * MULTIPLIERS  # (2, blocks), all 64 bits
        even = (product >> HALF)[::-1] ^ odd
        even ^= round_key
        product &= MASK
        odd = product[::-1]
    return even, odd


@lru_cache(maxsize=64)
def _key_schedule(key: int) -> Array:
    low, high = key & WORD, key >> 32
    rounds = [[[(low + n * WEYL[0]) & WORD], [(high + n * WEYL[1]) & WORD]] for n in range(ROUNDS)]
    return np.array(rounds, np.uint64)  # (rounds, 2, 1)


def blocks(key: int, first: int, count: int, tag: int = 0) -> Array:
    """Words of `count` blocks from counter (first, tag) on, as uint32[count, 4].

    key, first and tag are 64 bits each: the two words of the key, the lower and the upper two
    words of the counter.
    """
    out = np.empty((count, 4), np.uint32)
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        even, odd = np.empty((2, size), np.uint64), np.empty((2, size), np.uint64)
        index = np.arange(size, dtype=np.uint64) + np.uint64((first + start) % 2**64)
        even[0], odd[0] = index & MASK, index >> HALF
        even[1], odd[1] = tag & WORD, tag >> 32
        even, odd = philox(even, odd, key)
        made = out[start : start + size]
        made[:, 0::2], made[:, 1::2] = even.T, odd.T
    return out


def words(key: int, first: int, count: int, width: int) -> Array:
    """`count` words of 32 or 64 bits from block `first` on; a 64-bit word's lower half is first."""
    needed = block_count(count, width)
    made = blocks(key, first, needed).reshape(-1)
    if width == 64:
        made = made.astype("<u4", copy=False).view("<u8").astype(np.uint64, copy=False)
    return made[:count]


def block_count(count: int, width: int) -> int:
    """How many blocks hold that many words."""
    return -(-count * width // 128)
