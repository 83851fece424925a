"""Worker threads for large computations that come in parts.

A part is Python that calls NumPy, which lets go of the interpreter while it computes. Meanwhile
BLAS uses one thread for each call, so no result depends on the number of workers.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from functools import cache
from typing import Any

from limpid.errors import ArgumentError

VARIABLE = "LIMPID_NUM_THREADS"
_busy = threading.local()  # whether this thread works on a part: it then does all it meets itself


@cache
def thread_count() -> int:
    """How many threads compute: LIMPID_NUM_THREADS, by default the cores of this process.

    Raises ArgumentError if the variable is no integer from 1 on.
    """
    given = os.environ.get(VARIABLE)
    if given is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else _cores()
    if not given.isdecimal() or int(given) < 1:
        raise ArgumentError(f"{VARIABLE} is an integer from 1 on, not {given!r}")
    return int(given)


def _cores() -> int:
    return os.cpu_count() or 1


def run_parts(parts: Sequence[Callable[[], Any]], blas: bool = True) -> None:
    """Run all parts, several at once. An error is raised when all have ended.

    blas  whether any of them may call BLAS
    """
    if getattr(_busy, "now", False):
        for part in parts:
            part()
        return
    with _blas().limit(limits=1, user_api="blas") if blas else nullcontext():
        if len(parts) == 1 or thread_count() == 1:
            _work(parts)
            return
        shares = [parts[i :: thread_count()] for i in range(min(thread_count(), len(parts)))]
        others = [_pool().submit(_work, share) for share in shares[1:]]
        try:
            _work(shares[0])
        finally:
            _finish(others)


def _work(parts: Sequence[Callable[[], Any]]) -> None:
    _busy.now = True
    try:
        for part in parts:
            part()
    finally:
        _busy.now = False


def _finish(others: list[Future[None]]) -> None:
    wait(others)
    for other in others:
        other.result()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, thread_count() - 1), "limpid")


@cache
def _blas() -> Any:
    """What sets the number of BLAS's threads."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not survive a fork
