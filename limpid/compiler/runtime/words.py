"""Words of memory that show whether anything has changed: one native call looks at all of them."""

from __future__ import annotations

from array import array

from limpid.compiler.machine import anatomy
from limpid.compiler.machine.anatomy import Pairs
from limpid.compiler.machine.target import native_target
from limpid.compiler.runtime.team import maker


class Words:
    """Places in memory with what should be there; see `anatomy`. `unchanged()`: whether it is.

    Whatever has these places must be kept alive.
    """

    __slots__ = ("unchanged",)

    def __init__(self, pairs: Pairs) -> None:
        record = array("Q", [len(pairs) // 2, *pairs])
        self.unchanged = maker("unchanged")(record.buffer_info()[0], record)


def words_tell() -> bool:
    """Whether memory can be looked at in native code."""
    return anatomy.KNOWN and native_target() is not None
