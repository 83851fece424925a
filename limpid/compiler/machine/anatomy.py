"""Where CPython and NumPy keep things in their objects.

Much that a step has to look at on every call shows in words of memory: what a variable holds, what
is in a list, how often an object is held. Native code compares thousands of them while Python looks
at one. All of it is tried on samples when this is imported; where anything is unlike what is
expected, `KNOWN` is false and nothing is read.

Functions give places and what is there, one after the other: [place, word, place, word, …]. They
are to be looked at in this order and up to the first that differs: what lies behind an address is
there only as long as the address is the same. Whoever looks must keep the objects alive.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Sequence
from ctypes import c_uint32, c_uint64
from types import CellType
from typing import Any

import numpy as np

Pairs = list[int]  # place, word, place, word, …
TYPE = 8  # of every object: how often it is held, its type
SIZE, ITEMS = 16, 24  # of a list: of a tuple the first item is in the place of the address
DATA, AXES, SHAPE, DTYPE, FLAGS = 16, 24, 32, 56, 64  # of an array
VERSIONS = ((3, 11), (3, 12), (3, 13), (3, 14))
_USED, _KEYS, _VALUES = 16, 32, 40  # of a dict
_KIND = 3  # of the keys of a dict: the word from here on ends with their number and their kind
_ENTRIES = 32  # of the keys: not before here


def word(place: int) -> int:
    """Eight bytes of memory."""
    return int(c_uint64.from_address(place).value)


def slot(kind: Any, name: str) -> int:
    """Where an object keeps an attribute of its `__slots__`."""
    if not KNOWN:
        return 0
    sample, mark = kind.__new__(kind), object()
    getattr(kind, name).__set__(sample, mark)
    return _find(sample, mark)


def of_slot(owner: Any, place: int, value: Any) -> Pairs:
    """That a slot of an object holds this; `place` is as `slot` says."""
    return [id(owner) + place, id(value)]


def of_cell(cell: CellType, value: Any) -> Pairs:
    """That a variable of a function holds this."""
    return [id(cell) + _CONTENT, id(value)]


def of_list(container: list[Any], values: Sequence[Any]) -> Pairs:
    """That these are in a list."""
    pairs = [id(container) + SIZE, len(values)]
    if values:
        items = word(id(container) + ITEMS)
        pairs += [id(container) + ITEMS, items]
        for number, value in enumerate(values):
            pairs += [items + 8 * number, id(value)]
    return pairs


def of_entries(mapping: dict[Any, Any], entries: dict[Any, Any]) -> Pairs | None:
    """That these, and perhaps more, are in a dict; None where that does not show."""
    size = mapping.__sizeof__() - dict.__basicsize__
    if type(mapping) is not dict or word(id(mapping) + _VALUES) or size <= _ENTRIES:
        return None
    keys = word(id(mapping) + _KEYS)
    pairs = [id(mapping) + _VALUES, 0, id(mapping) + _KEYS, keys]
    pairs += [keys + _KIND, word(keys + _KIND)]
    block = (c_uint64 * (size // 8)).from_address(keys)[:]
    for key, value in entries.items():
        place = _entry(block, key, value)
        if place is None:
            return None
        pairs += [keys + place, id(key), keys + place + 8, id(value)]
    return pairs


def of_dict(mapping: dict[Any, Any], entries: dict[Any, Any]) -> Pairs | None:
    """That just these are in a dict, in this order; None where that does not show."""
    pairs = of_entries(mapping, entries)
    return None if pairs is None else [id(mapping) + _USED, len(entries), *pairs]


def _entry(block: list[int], key: Any, value: Any) -> int | None:
    """Where an entry is among the keys of a dict: that of its key, and next to it its value's."""
    number = 0
    while (number := _index(block, id(key), number)) < len(block) - 1:
        if block[number + 1] == id(value):
            return 8 * number
        number += 1
    return None


def _index(block: list[int], content: int, start: int) -> int:
    """Where a word is first found; beyond the end if it is not there."""
    try:
        return block.index(content, start)
    except ValueError:
        return len(block)


def _find(owner: Any, content: Any) -> int:
    """Where in an object the address of another one is."""
    places = range(16, type(owner).__basicsize__, 8)
    return next(place for place in places if word(id(owner) + place) == id(content))


def _is_known() -> bool:
    if sys.implementation.name != "cpython" or sys.version_info[:2] not in VERSIONS:
        return False
    if sysconfig.get_config_var("Py_GIL_DISABLED") or object.__basicsize__ != 16:
        return False
    return _lists_are_known() and _dicts_are_known() and _arrays_are_known() and _counts()


def _lists_are_known() -> bool:
    a, b = object(), object()
    sample = [a, b, a]
    if word(id(sample) + TYPE) != id(list) or word(id(sample) + SIZE) != 3:
        return False
    items = word(id(sample) + ITEMS)
    both = (a, b)
    found = [word(items), word(items + 8), word(id(both) + ITEMS), word(id(both) + ITEMS + 8)]
    return found == [id(a), id(b), id(a), id(b)] and word(id(both) + SIZE) == 2


def _dicts_are_known() -> bool:
    key, value = "key", object()
    samples: list[dict[Any, Any]] = [{key: value, "other": 1}, {0: value}]
    if dict.__basicsize__ != 48 or any(word(id(d) + _USED) != len(d) for d in samples):
        return False
    return all(of_dict(d, d) is not None for d in samples)


def _arrays_are_known() -> bool:
    sample = np.empty((2, 3), np.float32)
    start = id(sample)
    fields = [word(start + DATA), word(start + DTYPE)]
    numbers = [c_uint32.from_address(start + place).value for place in (AXES, FLAGS)]
    if fields != [sample.__array_interface__["data"][0], id(sample.dtype)]:
        return False
    shape = word(start + SHAPE)
    return numbers == [2, sample.flags.num] and [word(shape), word(shape + 8)] == [2, 3]


def _counts() -> bool:
    """Whether an object that is held once more has another first word."""
    sample = object()
    before = word(id(sample))
    more = [sample] * 2
    return word(id(more[0])) == before + 2


_mark = object()
KNOWN = _is_known()
_CONTENT = _find(CellType(_mark), _mark) if KNOWN else 0
