"""Keeping the memory that a training step gives back, for the next step."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h
KEPT = 1 << 28  # bytes of freed memory that stay with the process
LARGEST = 1 << 26  # bytes of an array that is still taken from it


@cache
def keep_freed_memory() -> None:
    """Let the C library keep the memory that arrays give back, up to 256 MB, for the next ones.

    Every training step takes and frees the same few megabytes. If they go back to the system in
    between, page faults take a third of the time of a 784-512-512-10 step. This is for glibc and
    for the whole process; who sets glibc's variables has decided already.
    """
    decided = any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ)
    if sys.platform != "linux" or decided:
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(MMAP_THRESHOLD, LARGEST)
    mallopt(TRIM_THRESHOLD, KEPT)
