"""What a declaration says of where a primitive is defined and smooth: the condition as text."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Sequence
from functools import lru_cache
from types import CodeType
from typing import Any

import numpy as np

from limpid.graph.node import Params


def condition_text(predicate: Any) -> str:
    """`x > 0` for `lambda x: x > 0`; "" where it can't be told."""
    code = getattr(predicate, "__code__", None)
    return "" if code is None else _text(code)


@lru_cache(maxsize=256)
def _text(code: CodeType) -> str:
    if code.co_name != "<lambda>":
        return ""
    places = [p for p in code.co_positions() if None not in p and p[2] != p[3]]
    first = min(((p[0], p[2]) for p in places), default=None)
    last = max(((p[1], p[3]) for p in places), default=None)
    if first is None or last is None or first[0] != last[0]:
        return ""
    line = linecache.getline(code.co_filename, first[0] or 0).encode()
    text = line[first[1] : last[1]].decode().strip()
    if text.count("(") > text.count(")"):
        text += ")" * (text.count("(") - text.count(")"))
    if text.count(")") > text.count("("):
        text = "(" * (text.count(")") - text.count("(")) + text
    return "" if "_" in text or "*" in text else text


def fails(predicate: Callable[..., Any] | None, operands: Sequence[Any], params: Params) -> Any:
    """Where a condition on the operands does not hold: a mask, or None if it can't be asked."""
    if predicate is None:
        return None
    try:
        with np.errstate(all="ignore"):
            return ~np.asarray(predicate(*operands, **params)).astype(bool)
    except Exception:
        return None  # a condition that reads what is not there
