"""Threads that work on programs: Python threads that stay inside native code, without the GIL."""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from limpid.compiler.emission.calls import calls
from limpid.compiler.emission.interpreter import interpreter
from limpid.compiler.emission.teamwork import TEAM
from limpid.compiler.machine.builtin import NO_ARGUMENT, ONE_ARGUMENT, builtins
from limpid.compiler.machine.loading import Loaded, address, load
from limpid.compiler.machine.target import native_target
from limpid.graph.node import Array
from limpid.ops.workers import thread_count

_starting = threading.Lock()
POINTER = ctypes.c_void_p


@cache
def _module() -> Loaded:
    target = native_target()
    assert target is not None
    return load(f"{interpreter()}\n{calls()}", target)


@cache
def maker(name: str) -> Callable[[int, Any], Any]:
    """Makes functions of Python for records and their addresses: see `emission/calls.py`."""
    argument = NO_ARGUMENT if name == "unchanged" else ONE_ARGUMENT
    return builtins(name, _module().address(f"python.{name}"), argument)


class Team:
    """The threads beside the one that calls, all of which sleep when there is nothing to do."""

    def __init__(self, count: int) -> None:
        self.words: Array = np.zeros(TEAM + 8, np.int64)
        self.address = -(-address(self.words) // 64) * 64
        _module().function("begin", POINTER)(self.address)
        # found here: a fork must not meet a thread that holds one of LLVM's locks
        self._function = _module().function("work", POINTER, ctypes.c_int64)
        self._threads = [
            threading.Thread(target=self._work, args=(n,), name=f"limpid-{n}", daemon=True)
            for n in range(1, count)
        ]
        for thread in self._threads:
            thread.start()

    def _work(self, number: int) -> None:
        self._function(self.address, number)

    def end(self) -> None:
        """Let the threads come back."""
        _module().function("finish", POINTER)(self.address)
        for thread in self._threads:
            thread.join()


_teams: list[Team] = []  # at most one


def team_address() -> int:
    """Where the team's words are, once its threads were started; 0 where one thread computes."""
    if thread_count() == 1:
        return 0
    if not _teams:
        with _starting:
            if not _teams:
                _teams.append(Team(thread_count()))
    return _teams[0].address


def _end() -> None:
    """Before the interpreter takes the native code away."""
    while _teams:
        _teams.pop().end()


def _forget() -> None:
    """After a fork: the threads are the parent's."""
    _teams.clear()


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
