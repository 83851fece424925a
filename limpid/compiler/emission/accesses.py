"""Loops, and vectors of arrays along the innermost one, in LLVM's language."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.compiler.emission.functions import Code, memory_type


class Loop:
    """A loop from 0 on, at least once, as a context: what is added inside is its body."""

    def __init__(self, code: Code, extent: int):
        self.code, self.extent = code, extent

    def __enter__(self) -> str:
        code = self.code
        self.counter = code.make("alloca i64")
        code.add(f"store i64 0, ptr {self.counter}")
        self.head, self.after = code.fresh("loop"), code.fresh("after")
        code.add(f"br label %{self.head}")
        code.label(self.head)
        self.index = code.make(f"load i64, ptr {self.counter}")
        return self.index

    def __exit__(self, *_: Any) -> None:
        code = self.code
        following = code.make(f"add nuw nsw i64 {self.index}, 1")
        code.add(f"store i64 {following}, ptr {self.counter}")
        more = code.make(f"icmp ult i64 {following}, {self.extent}")
        code.add(f"br i1 {more}, label %{self.head}, label %{self.after}")
        code.label(self.after)


class Access:
    """Vectors of an array along the innermost loop."""

    def __init__(
        self,
        code: Code,
        pointer: str,
        dtype: np.dtype[Any],
        step: int,
        start: str,
        mask: str | None,
    ):
        self.code, self.pointer, self.dtype, self.step = code, pointer, dtype, step
        self.start, self.mask = start, mask
        self.scalar = memory_type(dtype)
        self.vector = code.vector(self.scalar)
        self.align = 1 if dtype.kind == "b" else dtype.itemsize

    def load(self) -> str:
        """The vector of elements here; truths as such."""
        x = self._load()
        if self.dtype.kind != "b":
            return x
        return self.code.make(f"icmp ne {self.vector} {x}, zeroinitializer")

    def _load(self) -> str:
        code = self.code
        if self.step == 0:
            return code.spread(self.scalar, code.make(f"load {self.scalar}, ptr {self.pointer}"))
        if self.step != 1:
            return self._moved("gather", None)
        place = self._place()
        if self.mask is None:
            return code.make(f"load {self.vector}, ptr {place}, align {self.align}")
        return code.call(
            f"llvm.masked.load.{self._suffix()}.p0", self.vector, ("ptr", place),
            ("i32", str(self.align)), (code.vector("i1"), self.mask),
            (self.vector, "zeroinitializer"),
        )  # fmt: skip

    def store(self, x: str) -> None:
        """Write the vector here."""
        code = self.code
        if self.dtype.kind == "b":
            x = code.make(f"zext {code.vector('i1')} {x} to {self.vector}")
        if self.step not in (0, 1):
            self._moved("scatter", x)
            return
        place = self._place()
        if self.mask is None:
            code.add(f"store {self.vector} {x}, ptr {place}, align {self.align}")
            return
        name = f"llvm.masked.store.{self._suffix()}.p0"
        mask = code.vector("i1")
        code.declared.add(f"declare void @{name}({self.vector}, ptr, i32, {mask})")
        code.add(
            f"call void @{name}({self.vector} {x}, ptr {place}, i32 {self.align}, "
            f"{mask} {self.mask})"
        )

    def _place(self) -> str:
        return self.code.make(f"getelementptr {self.scalar}, ptr {self.pointer}, i64 {self.start}")

    def _suffix(self) -> str:
        kind = {"float": "f32", "double": "f64"}.get(self.scalar, self.scalar)
        return f"v{self.code.width}{kind}"

    def _moved(self, what: str, x: str | None) -> str:
        """Elements that lie apart."""
        code = self.code
        wide = code.vector("i64")
        numbers = ", ".join(f"i64 {n * self.step}" for n in range(code.width))
        first = code.make(f"mul i64 {self.start}, {self.step}")
        place = code.make(f"getelementptr {self.scalar}, ptr {self.pointer}, i64 {first}")
        places = code.make(f"getelementptr {self.scalar}, ptr {place}, {wide} <{numbers}>")
        mask = self.mask or f"<{', '.join(['i1 true'] * code.width)}>"
        pointers, truths = code.vector("ptr"), code.vector("i1")
        name = f"llvm.masked.{what}.{self._suffix()}.v{code.width}p0"
        if x is None:
            return code.call(
                name, self.vector, (pointers, places), ("i32", str(self.align)), (truths, mask),
                (self.vector, "zeroinitializer"),
            )  # fmt: skip
        code.declared.add(f"declare void @{name}({self.vector}, {pointers}, i32, {truths})")
        code.add(
            f"call void @{name}({self.vector} {x}, {pointers} {places}, i32 {self.align}, "
            f"{truths} {mask})"
        )
        return ""
