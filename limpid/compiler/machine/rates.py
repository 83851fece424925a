"""What the machine can do at most: multiply-adds and copies."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ctypes import c_int64, c_void_p
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np

from limpid.compiler.machine import cache as disk
from limpid.compiler.machine.loading import address, load
from limpid.compiler.machine.target import native_target

CHAINS = 12  # of multiply-adds that don't wait for one another: latency × units, within registers
SECONDS = 0.03  # of multiply-adds in a repeat
COPIED = 128 << 20  # bytes, far more than caches hold
REPEATS = 9
NAMES = {"float32": "float", "float64": "double"}

LOOP = """
declare {vector} @llvm.fma.{suffix}({vector}, {vector}, {vector})

define void @multiply_add(i64 %turns, ptr %numbers) {{
start:
  %x = load {vector}, ptr %numbers, align 4
{loads}
  br label %loop
loop:
  %turn = phi i64 [0, %start], [%next, %loop]
{phis}
{products}
  %next = add i64 %turn, 1
  %more = icmp ult i64 %next, %turns
  br i1 %more, label %loop, label %end
end:
{stores}
  ret void
}}
"""


@dataclass(frozen=True)
class Rates:
    """At most, on so many threads.

    flops      float32 operations a second, a multiply-add counting as two; None if not measured
    bandwidth  bytes a second of a copy, read and written
    doubles    as `flops`, of float64
    """

    flops: float | None
    bandwidth: float
    doubles: float | None = None

    def peak(self, dtype: Any) -> float | None:
        """Operations a second on numbers of a type, those of float32 where it is no float64."""
        return self.doubles if np.dtype(dtype) == np.float64 else self.flops


_known: dict[int, Rates] = {}  # by the number of threads


def machine_rates(threads: int, seen: float = 0.0) -> Rates:
    """What was measured once on this machine, and kept in the cache.

    seen  float32 operations a second that something has reached: if they are more, the machine was
          busy with other things then, and is measured again
    """
    name = _name(threads)
    rates = _known.get(threads) or _kept(name)
    if rates is None or seen > (rates.flops or seen):
        rates = _better(measure_rates(threads), rates)
        disk.write(name, json.dumps(asdict(rates)).encode())
    _known[threads] = rates
    return rates


def _name(threads: int) -> str:
    target = native_target()
    processor = ("", "") if target is None else (target.name, target.features)
    return disk.key("rates 2", platform.node(), *processor, str(threads))


def _kept(name: str) -> Rates | None:
    kept = disk.read(name)
    return None if kept is None else Rates(**json.loads(kept))


def _better(rates: Rates, before: Rates | None) -> Rates:
    if before is None:
        return rates
    return Rates(
        max(rates.flops or 0.0, before.flops or 0.0) or None,
        max(rates.bandwidth, before.bandwidth),
        max(rates.doubles or 0.0, before.doubles or 0.0) or None,
    )


def measure_rates(threads: int) -> Rates:
    """The best of some repeats."""
    return Rates(_peak("float32", threads), _bandwidth(threads), _peak("float64", threads))


def _peak(dtype: str, threads: int) -> float | None:
    """Multiply-adds in registers, on every thread."""
    made = _multiply_adds(dtype)
    if made is None:
        return None
    function, lanes = made
    numbers = [np.full(CHAINS * lanes, 0.5, dtype) for _ in range(threads)]
    turns = 1 << 14
    while _best(function, [(turns, address(numbers[0]))], 1) < SECONDS:
        turns *= 2
    seconds = _best(function, [(turns, address(array)) for array in numbers])
    return threads * turns * CHAINS * lanes * 2 / seconds


def _bandwidth(threads: int) -> float:
    source, target = np.ones(COPIED, np.uint8), np.zeros(COPIED, np.uint8)
    parts = zip(np.array_split(target, threads), np.array_split(source, threads), strict=True)
    return 2 * COPIED / _best(np.copyto, list(parts))


def _best(function: Callable[..., Any], calls: Sequence[Any], repeats: int = REPEATS) -> float:
    """Seconds in which all threads are done, each with its call."""
    best = np.inf
    with ThreadPoolExecutor(len(calls)) as pool:
        for _ in range(repeats):
            start = time.perf_counter()
            list(pool.map(lambda operands: function(*operands), calls))
            best = min(best, time.perf_counter() - start)
    return float(best)


@cache
def _multiply_adds(dtype: str) -> tuple[Callable[..., Any], int] | None:
    """The loop, and the lanes of its vectors; None where there is no native code."""
    target = native_target()
    if target is None:
        return None
    lanes = target.lanes(dtype)
    text = loop_text(dtype, lanes)
    return load(text, target).function("multiply_add", c_int64, c_void_p), lanes


def loop_text(dtype: str, lanes: int) -> str:
    """Chains of multiply-adds in LLVM's language: of different numbers, since equal ones merge."""
    vector, chains = f"<{lanes} x {NAMES[dtype]}>", range(CHAINS)
    suffix = f"v{lanes}f{np.dtype(dtype).itemsize * 8}"
    return LOOP.format(
        vector=vector,
        suffix=suffix,
        loads="\n".join(
            f"  %p{i} = getelementptr {vector}, ptr %numbers, i64 {i}\n"
            f"  %c{i} = load {vector}, ptr %p{i}, align 4"
            for i in chains
        ),
        phis="\n".join(f"  %a{i} = phi {vector} [%c{i}, %start], [%b{i}, %loop]" for i in chains),
        products="\n".join(
            f"  %b{i} = call {vector} @llvm.fma.{suffix}({vector} %a{i}, {vector} %x, {vector} %x)"
            for i in chains
        ),
        stores="\n".join(f"  store {vector} %b{i}, ptr %p{i}, align 4" for i in chains),
    )
