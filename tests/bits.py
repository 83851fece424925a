"""Whether a step gives the same bits, however it is run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from limpid.compiler.runtime import native, team


@contextmanager
def threads(count: int) -> Iterator[None]:
    """In the block so many threads compute."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (native, team):
            patch.setattr(module, "thread_count", lambda: count)
        yield


def assert_same_bits(how: str, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Arrays by name; `how` they were computed."""
    for name, value in found.items():
        same = value.tobytes() == expected[name].tobytes()
        assert same, f"{name}: {how} gives {value}, not {expected[name]}"
