"""Eager operations use native code where there is a way: importing this makes it so."""

from __future__ import annotations

from limpid.compiler.runtime.single import contract, multiply
from limpid.ops import native

native.provider = contract
native.multiplier = multiply
