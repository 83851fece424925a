"""Code in LLVM's language as it is written: lines, names of values, vectors and constants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from itertools import count
from typing import Any

import numpy as np

_NAMES = {
    "float32": "float", "float64": "double", "bool": "i1", "int8": "i8", "uint8": "i8",
    "int16": "i16", "uint16": "i16", "int32": "i32", "uint32": "i32", "int64": "i64",
    "uint64": "i64",
}  # fmt: skip
SCALARS: dict[Any, str] = {np.dtype(name): scalar for name, scalar in _NAMES.items()}
SHORT: dict[Any, str] = {np.dtype(np.float32): "f32", np.dtype(np.float64): "f64"}


def memory_type(dtype: np.dtype[Any]) -> str:
    """An element as it lies in memory: a truth takes a byte."""
    return "i8" if dtype.kind == "b" else SCALARS[dtype]


class Code:
    """Lines of a function, with names for what they make. Values are vectors of `width` lanes."""

    def __init__(self, width: int):
        self.width = width
        self.lines: list[str] = []
        self.slots: list[str] = []  # lines for the beginning of the function
        self.declared: set[str] = set()
        self._numbers: Iterator[int] = count()

    def narrowed(self, width: int) -> Code:
        """The same code, continued with vectors of another width."""
        made = copy(self)
        made.width = width
        return made

    def add(self, line: str) -> None:
        """A line that makes nothing."""
        self.lines.append(f"  {line}")

    def make(self, text: str) -> str:
        """A line that makes a value; its name."""
        name = f"%v{next(self._numbers)}"
        self.lines.append(f"  {name} = {text}")
        return name

    def slot(self, kind: str) -> str:
        """A variable, which becomes a register."""
        name = f"%v{next(self._numbers)}"
        self.slots.append(f"  {name} = alloca {kind}")
        return name

    def label(self, name: str) -> None:
        """The beginning of a block."""
        self.lines.append(f"{name}:")

    def fresh(self, stem: str) -> str:
        """A name for a block."""
        return f"{stem}{next(self._numbers)}"

    def vector(self, scalar: str) -> str:
        """The type of a vector."""
        return f"<{self.width} x {scalar}>"

    def type_of(self, dtype: np.dtype[Any]) -> str:
        """The type of a vector of such elements."""
        return self.vector(SCALARS[dtype])

    def spread(self, scalar: str, value: str) -> str:
        """One number in all lanes."""
        kind = self.vector(scalar)
        one = self.make(f"insertelement {kind} poison, {scalar} {value}, i32 0")
        zeros = f"{self.vector('i32')} zeroinitializer"
        return self.make(f"shufflevector {kind} {one}, {kind} poison, {zeros}")

    def constant(self, dtype: np.dtype[Any], value: Any) -> str:
        """A known number in all lanes."""
        scalar = SCALARS[dtype]
        return f"<{', '.join([f'{scalar} {literal(dtype, value)}'] * self.width)}>"

    def lanes(self, step: int) -> str:
        """For each lane its number times a step."""
        return f"<{', '.join(f'i64 {n * step}' for n in range(self.width))}>"

    def first(self, count: str) -> str:
        """The mask of the first lanes."""
        if count.isdecimal():
            lanes = (f"i1 {'true' if n < int(count) else 'false'}" for n in range(self.width))
            return f"<{', '.join(lanes)}>"
        numbers = ", ".join(f"i64 {n}" for n in range(self.width))
        kind = self.vector("i64")
        return self.make(f"icmp ult {kind} <{numbers}>, {self.spread('i64', count)}")

    def shuffled(self, kind: str, x: str, lanes: Sequence[int]) -> str:
        """The lanes of a vector with these numbers."""
        numbers = ", ".join(f"i32 {n}" for n in lanes)
        mask = f"<{len(lanes)} x i32> <{numbers}>"
        return self.make(f"shufflevector {kind} {x}, {kind} poison, {mask}")

    def lowest(self, dtype: np.dtype[Any], x: str) -> str:
        """The first lane as a vector of one: by way of a scalar, since LLVM errs with shuffles."""
        scalar = SCALARS[dtype]
        one = self.make(f"extractelement {self.type_of(dtype)} {x}, i32 0")
        return self.make(f"bitcast {scalar} {one} to <1 x {scalar}>")

    def call(self, name: str, result: str, *operands: tuple[str, str]) -> str:
        """A call of an LLVM function, which is declared, too."""
        types = ", ".join(kind for kind, _ in operands)
        self.declared.add(f"declare {result} @{name}({types})")
        given = ", ".join(f"{kind} {value}" for kind, value in operands)
        return self.make(f"call {result} @{name}({given})")

    def intrinsic(self, name: str, dtype: np.dtype[Any], *values: str) -> str:
        """LLVM's function of vectors of floats."""
        kind = self.type_of(dtype)
        suffix = f"v{self.width}{SHORT[dtype]}"
        return self.call(f"llvm.{name}.{suffix}", kind, *((kind, v) for v in values))


def literal(dtype: np.dtype[Any], value: Any) -> str:
    """A number as LLVM writes it."""
    if dtype.kind == "b":
        return "true" if value else "false"
    if dtype.kind in "iu":
        return str(int(value))
    bits = np.float64(value).view(np.uint64)  # floats, too, are written as doubles
    return f"0x{int(bits):016X}"
