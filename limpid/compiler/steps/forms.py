"""Arguments as native code takes them apart: it finds the arrays of calls that look like one."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any

import numpy as np

from limpid.compiler.emission.calls import ARRAY, OBJECT, WHOLE
from limpid.compiler.runtime.team import maker
from limpid.compiler.runtime.words import words_tell
from limpid.graph.node import Array, Spec
from limpid.tensor import Tensor

Collect = Callable[[tuple[Any, ...]], tuple[Array, ...] | None]
Steps = list[int]  # from the arguments down to a leaf: type, size, item, 1 for a list; and so on


def collector(
    args: tuple[Any, ...], is_whole: Callable[[Any], bool], spec: Callable[[Any], Spec | None]
) -> Collect | None:
    """A function that gives the arrays among arguments like these, and None for others.

    is_whole  of what may look like a nesting, whether it counts as itself
    spec      of a leaf: that of an input, or None where it counts as itself

    It may give None for arguments that are like these, too: equal numbers, other kinds of arrays.
    There is none where a dict, a dataclass or a kind of list or array is among the arguments.
    """
    if not words_tell():
        return None
    form = _Form(is_whole, spec)
    return form.collector() if form.takes(args, []) else None


class _Form:
    """The record of a form; see `emission/calls.py`."""

    def __init__(self, is_whole: Callable[[Any], bool], spec: Callable[[Any], Spec | None]) -> None:
        self._is_whole, self._spec = is_whole, spec
        self._words: list[int] = []
        self._leaves = self._arrays = 0
        self._alive: list[Any] = []

    def collector(self) -> Collect:
        """The function."""
        types = map(id, (np.ndarray, Tensor, None, False))
        record = array("Q", [self._leaves, self._arrays, *types, *self._words])
        made: Collect = maker("collect")(record.buffer_info()[0], (record, self._alive))
        return made

    def takes(self, x: Any, steps: Steps) -> bool:
        """Whether this can be told from others; if so, it is a part of the form."""
        if x is None or self._is_whole(x):
            return self._add(OBJECT, steps, [self._address(x)])
        if type(x) is list or type(x) is tuple:
            return self._takes_parts(x, steps)
        if isinstance(x, list | tuple | dict) or (is_dataclass(x) and not isinstance(x, type)):
            return False
        spec = self._spec(x)
        if spec is None:
            return self._add(OBJECT, steps, [self._address(x)])
        if type(x) is not Tensor and type(x) is not np.ndarray:
            return False
        self._arrays += 1
        dtype = self._address(spec.dtype.storage)
        return self._add(ARRAY, steps, [dtype, len(spec.shape), *spec.shape])

    def _takes_parts(self, x: list[Any] | tuple[Any, ...], steps: Steps) -> bool:
        """The parts of a nesting; it itself if there are none."""
        like_this = [self._address(type(x)), len(x)]
        if not x:
            return self._add(WHOLE, steps, like_this)
        is_list = int(type(x) is list)
        return all(self.takes(part, [*steps, *like_this, n, is_list]) for n, part in enumerate(x))

    def _add(self, sort: int, steps: Steps, payload: list[int]) -> bool:
        self._leaves += 1
        self._words += [len(steps) // 4, sort, *steps, *payload]
        return True

    def _address(self, x: Any) -> int:
        self._alive.append(x)
        return id(x)
