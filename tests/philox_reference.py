"""Philox in plain integers, as the paper has it: what the vectorised one is compared with."""

from __future__ import annotations


def philox_word(counter: list[int], key: list[int], bits: int = 32) -> list[int]:
    """One block of Philox with four words, in plain integers, as the paper has it."""
    multipliers = {
        32: (0xD2511F53, 0xCD9E8D57),
        64: (0xD2E7470EE14C6C93, 0xCA5A826395121157),
    }[bits]
    weyl = {32: (0x9E3779B9, 0xBB67AE85), 64: (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)}[bits]
    mask = 2**bits - 1
    for _ in range(10):
        high0, low0 = divmod(multipliers[0] * counter[0], 2**bits)
        high1, low1 = divmod(multipliers[1] * counter[2], 2**bits)
        counter = [high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0]
        key = [(k + w) & mask for k, w in zip(key, weyl, strict=True)]
    return counter
