"""Eager operations use native code where there is a way: importing this makes it so.

The first contraction brings the compiler with it, for which `import limpid` does not wait.
"""

from __future__ import annotations

from limpid.graph.node import Array
from limpid.ops import native
from limpid.ops.windows.contraction import Contraction


def _contract(contraction: Contraction, left: Array, right: Array, out: Array) -> bool:
    from limpid.compiler.runtime.single import contract

    native.provider = contract
    return contract(contraction, left, right, out)


def _multiply(a: Array, b: Array) -> Array | None:
    from limpid.compiler.runtime.single import multiply

    native.multiplier = multiply
    return multiply(a, b)


native.provider, native.multiplier = _contract, _multiply
