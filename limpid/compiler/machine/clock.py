"""The processor's own clock, which native code reads in a few cycles."""

from __future__ import annotations

import ctypes
import time
from functools import cache
from typing import Any

import numpy as np

from limpid.compiler.machine.instructions import ticks
from limpid.compiler.machine.loading import address, load
from limpid.compiler.machine.target import native_target


class Clock:
    """Compares ticks with seconds, from its making on."""

    def __init__(self) -> None:
        self._start = _now()

    def seconds_per_tick(self) -> float:
        """The mean since the start; 0 where the clock stands still."""
        (ticks_before, before), (ticks_now, now) = self._start, _now()
        passed = ticks_now - ticks_before
        return (now - before) / passed if passed > 0 else 0.0


def _now() -> tuple[int, float]:
    place = np.zeros(1, np.int64)
    _read()(address(place))
    return int(place[0]), time.perf_counter()


@cache
def _read() -> Any:
    target = native_target()
    assert target is not None
    call, declared = ticks()
    body = f"  %ticks = {call}\n  store i64 %ticks, ptr %place\n  ret void"
    text = f"{declared}\ndefine void @read_clock(ptr %place) {{\n{body}\n}}\n"
    return load(text, target).function("read_clock", ctypes.c_void_p)
