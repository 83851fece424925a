"""Loops, and vectors of arrays along the innermost one, in LLVM's language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from limpid.compiler.emission.code import Code, memory_type

NEAR = 4  # steps up to which elements are picked from what lies side by side


class Extent(NamedTuple):
    """How far a loop runs: a number, or as many times the number of items in a chunk.

    static    the number; of a chunked extent that for all items
    chunked   whether it is `%count`, times the factor
    """

    static: int
    chunked: bool = False
    factor: int = 1

    def times(self, inner: int) -> Extent:
        """The extent of this loop and an inner one together."""
        return Extent(self.static * inner, self.chunked, self.factor * inner)

    def text(self, code: Code) -> str:
        """It as LLVM writes it."""
        if not self.chunked:
            return str(self.static)
        return "%count" if self.factor == 1 else code.make(f"mul i64 %count, {self.factor}")

    @contextmanager
    def rest(self, code: Code) -> Iterator[tuple[str, str]]:
        """The lanes left over after whole vectors: the first of them, and their mask."""
        whole, left = self._parts(code)
        some, after = code.fresh("rest"), code.fresh("after")
        if self.chunked:
            any_ = code.make(f"icmp ne i64 {left}, 0")
            code.add(f"br i1 {any_}, label %{some}, label %{after}")
            code.label(some)
        yield whole, code.first(left)
        if self.chunked:
            code.add(f"br label %{after}")
            code.label(after)

    def has_rest(self, width: int) -> bool:
        """Whether lanes can be left over after whole vectors."""
        return self.factor % width != 0 if self.chunked else self.static % width != 0

    def blocks(self, code: Code) -> str:
        """How many whole vectors there are."""
        if not self.chunked:
            return str(self.static // code.width)
        return code.make(f"udiv i64 {self.text(code)}, {code.width}")

    def _parts(self, code: Code) -> tuple[str, str]:
        if not self.chunked:
            over = self.static % code.width
            return str(self.static - over), str(over)
        text = self.text(code)
        left = code.make(f"urem i64 {text}, {code.width}")
        return code.make(f"sub i64 {text}, {left}"), left


class Loop:
    """A loop from 0 on, at least once unless `may_be_none`, as a context: its body is inside."""

    def __init__(self, code: Code, times: str, may_be_none: bool = False):
        self.code, self.times, self.may_be_none = code, times, may_be_none

    def __enter__(self) -> str:
        code = self.code
        self.counter = code.slot("i64")
        code.add(f"store i64 0, ptr {self.counter}")
        self.head, self.after = code.fresh("loop"), code.fresh("after")
        if self.may_be_none:
            some = code.make(f"icmp ne i64 {self.times}, 0")
            code.add(f"br i1 {some}, label %{self.head}, label %{self.after}")
        else:
            code.add(f"br label %{self.head}")
        code.label(self.head)
        self.index = code.make(f"load i64, ptr {self.counter}")
        return self.index

    def __exit__(self, *_: Any) -> None:
        code = self.code
        following = code.make(f"add nuw nsw i64 {self.index}, 1")
        code.add(f"store i64 {following}, ptr {self.counter}")
        more = code.make(f"icmp ult i64 {following}, {self.times}")
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
        near = 1 < self.step <= NEAR and self.code.width > 1
        if self.step not in (0, 1) and not near:
            return self.gather(self._steps())
        x = self._spaced() if near else self._load()
        if self.dtype.kind != "b":
            return x
        return self.code.make(f"icmp ne {self.vector} {x}, zeroinitializer")

    def _load(self) -> str:
        code = self.code
        if self.step == 0 and (code.width > 1 or self.mask is not None):
            return code.spread(self.scalar, code.make(f"load {self.scalar}, ptr {self.pointer}"))
        place = self._place()
        if self.mask is None:
            return code.make(f"load {self.vector}, ptr {place}, align {self.align}")
        return code.call(
            f"llvm.masked.load.{self._suffix()}.p0", self.vector, ("ptr", place),
            ("i32", str(self.align)), (code.vector("i1"), self.mask),
            (self.vector, "zeroinitializer"),
        )  # fmt: skip

    def _spaced(self) -> str:
        """Elements a few steps apart, from a longer vector without what lies between them."""
        code, many = self.code, self.code.width
        wide, zeros = many * self.step, f"{code.vector('i1')} zeroinitializer"
        mask = self.mask or f"<{', '.join(['i1 true'] * many)}>"
        numbers = [n // self.step if n % self.step == 0 else many for n in range(wide)]
        there = self._chosen(code.vector("i1"), mask, zeros, numbers)
        far = self.start if self.start == "0" else code.make(f"mul i64 {self.start}, {self.step}")
        place = code.make(f"getelementptr {self.scalar}, ptr {self.pointer}, i64 {far}")
        kind = f"<{wide} x {self.scalar}>"
        suffix = self._suffix().replace(f"v{many}", f"v{wide}", 1)
        x = code.call(
            f"llvm.masked.load.{suffix}.p0", kind, ("ptr", place), ("i32", str(self.align)),
            (f"<{wide} x i1>", there), (kind, "zeroinitializer"),
        )  # fmt: skip
        return self._chosen(kind, x, f"{kind} poison", range(0, wide, self.step))

    def _chosen(self, kind: str, x: str, other: str, lanes: Iterable[int]) -> str:
        """Lanes of two vectors, those of the second counted on from those of the first."""
        numbers = [f"i32 {n}" for n in lanes]
        mask = f"<{len(numbers)} x i32> <{', '.join(numbers)}>"
        return self.code.make(f"shufflevector {kind} {x}, {other}, {mask}")

    def store(self, x: str) -> None:
        """Write the vector here."""
        if self.step not in (0, 1):
            self.scatter(x, self._steps())
            return
        code, x = self.code, self._stored(x)
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

    def _stored(self, x: str) -> str:
        """The elements as they lie in memory."""
        if self.dtype.kind != "b":
            return x
        return self.code.make(f"zext {self.code.vector('i1')} {x} to {self.vector}")

    def moved(self, far: str) -> Access:
        """The same so many elements further on."""
        at = self.code.make(f"getelementptr {self.scalar}, ptr {self.pointer}, i64 {far}")
        return Access(self.code, at, self.dtype, self.step, self.start, self.mask)

    def _place(self) -> str:
        if self.start == "0":
            return self.pointer
        return self.code.make(f"getelementptr {self.scalar}, ptr {self.pointer}, i64 {self.start}")

    def _suffix(self) -> str:
        kind = {"float": "f32", "double": "f64"}.get(self.scalar, self.scalar)
        return f"v{self.code.width}{kind}"

    def gather(self, numbers: str) -> str:
        """The elements with these numbers, counted from the pointer."""
        code, (pointers, truths, mask) = self.code, self._apart()
        name = f"llvm.masked.gather.{self._suffix()}.v{code.width}p0"
        x = code.call(
            name, self.vector, (pointers, self._places(numbers)), ("i32", str(self.align)),
            (truths, mask), (self.vector, "zeroinitializer"),
        )  # fmt: skip
        if self.dtype.kind != "b":
            return x
        return code.make(f"icmp ne {self.vector} {x}, zeroinitializer")

    def scatter(self, x: str, numbers: str) -> None:
        """Write elements to the places with these numbers."""
        code, (pointers, truths, mask) = self.code, self._apart()
        x = self._stored(x)
        name = f"llvm.masked.scatter.{self._suffix()}.v{code.width}p0"
        code.declared.add(f"declare void @{name}({self.vector}, {pointers}, i32, {truths})")
        code.add(
            f"call void @{name}({self.vector} {x}, {pointers} {self._places(numbers)}, "
            f"i32 {self.align}, {truths} {mask})"
        )

    def _apart(self) -> tuple[str, str, str]:
        """The types of pointers and of truths, and which lanes are there."""
        code = self.code
        mask = self.mask or f"<{', '.join(['i1 true'] * code.width)}>"
        return code.vector("ptr"), code.vector("i1"), mask

    def _places(self, numbers: str) -> str:
        wide = self.code.vector("i64")
        return self.code.make(f"getelementptr {self.scalar}, ptr {self.pointer}, {wide} {numbers}")

    def _steps(self) -> str:
        """The numbers of elements that are a step apart, from the start on."""
        code = self.code
        numbers = code.lanes(self.step)
        if self.start == "0":
            return numbers
        first = code.spread("i64", code.make(f"mul i64 {self.start}, {self.step}"))
        return code.make(f"add {code.vector('i64')} {first}, {numbers}")


class Apart(NamedTuple):
    """Elements of an array with certain numbers, counted from where it begins."""

    access: Access
    numbers: str

    def load(self) -> str:
        """The elements; truths as such."""
        return self.access.gather(self.numbers)

    def store(self, x: str) -> None:
        """Write them."""
        self.access.scatter(x, self.numbers)
