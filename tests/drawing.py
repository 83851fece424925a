"""Random programs of whole steps, drawn line by line: Python text, shapes and numbers.

A line is kept if it can be computed at three points close to one another with nearly the same
result: so it is defined there, it is no jump, and rounding is not blown up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from random import Random
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

import limpid
from limpid.nn import functional as F
from tests.drawn import Drawn, Given, Program
from tests.extended import HAS_LONGDOUBLE, is_steady
from tests.instructions import INSTRUCTIONS

EXTENTS = [1, 2, 3, 5, 8, 17, 33]
LAYOUTS = ["rows", "rows", "rows", "columns", "backwards", "gaps", "read-only"]
DTYPES = ["float32"] * 4 + ["float64"] * HAS_LONGDOUBLE
NEAR = 3  # points where a line is tried: the first, and one on either side
LARGEST = 1000  # number, and number of elements
PROBES = [[], [], ["v*"], ["v*", "result*", "norm:v*"], ["v*", "mean:v*"]]
UPDATES = [
    "limpid.assign({w}, {w} - 0.1 * {w}.grad)",
    "limpid.assign({m}, 0.9 * {m} + {w}.grad); limpid.assign({w}, {w} - 0.1 * {m})",
    "limpid.assign({m}, 0.9 * {m} + {w}.grad ** 2); "
    "limpid.assign({w}, {w} - 0.1 * {w}.grad / (0.1 + limpid.sqrt({m})))",
    "limpid.assign({w}, limpid.flip({w}) - 0.1 * {w}.grad)",
    "limpid.assign({w}, limpid.roll({w}, 1) - limpid.flip({w}.grad))",
    "limpid.assign({w}, limpid.reshape(limpid.cumsum(limpid.reshape({w}, (-1,))), {w}.shape) / 9)",
    "limpid.assign({w}, limpid.permute_dims({w}, range({w}.ndim)[::-1]) - 0.1 * {w}.grad)",
    "limpid.assign({w}, {w} / (1 + limpid.sqrt(limpid.sum({w} * {w}))) - 0.1 * {w}.grad)",
    "limpid.assign({w}, {w} - 0.1 * limpid.mean({w}.grad)); {w}.grad = {w}.grad * 2",
    "t = {w} * 1; limpid.assign({w}, {m} + 0.1 * {w}.grad); limpid.assign({m}, t)",
]


@dataclass
class Drawing:
    """A program that is being drawn; `values` has each value at all points, by name."""

    chance: Random
    dtype: str
    seed: int
    functional: bool
    odd: bool
    extents: list[int]
    given: list[Given] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    values: dict[str, list[Any]] = field(default_factory=dict)
    count: int = 0

    @classmethod
    def begun(cls, seed: int) -> Drawing:
        """What there is before the first line."""
        chance = Random(seed)
        extents = [chance.choice(EXTENTS) for _ in range(3)] + [0] * (chance.random() < 0.1)
        functional, odd = chance.random() < 0.3, chance.random() < 0.1
        made = cls(chance, chance.choice(DTYPES), seed, functional, odd, extents)
        for _ in range(chance.choice([1, 2, 3])):
            made.argument(*made.some_shape())
        for _ in range(0 if functional else chance.choice([0, 1, 2])):
            made.parameter(*made.some_shape())
        return made

    # What instructions ask

    def choose(self, among: Sequence[Any]) -> Any:
        return self.chance.choice(among)

    def one_of(self, texts: Sequence[str], **words: Any) -> str:
        return str(self.choose(texts).format(**words))

    def floats(self, fits: Callable[[Any], bool] = lambda x: True) -> str:
        """The name of a value of floats, the latest more often; nothing if none fits."""
        names = [
            name
            for name, (x, *_) in reversed(self.values.items())
            if isinstance(x, np.ndarray) and x.dtype.kind == "f" and fits(x)
        ]
        return str(self.choose(names[: self.choose([2, len(names)])])) if names else ""

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.values[name][0].shape)

    def rank(self, name: str) -> int:
        return len(self.shape(name))

    def axis(self, name: str) -> int:
        return int(self.choose(range(-self.rank(name), self.rank(name)))) if self.rank(name) else 0

    def some_shape(self) -> tuple[int, ...]:
        """Of one of the program's extents for each axis, and not too large."""
        shape: tuple[int, ...] = ()
        for _ in range(self.choose([2, 1, 3, 4, 0])):
            extent = self.choose(self.extents)
            shape += (extent if extent * prod(shape) <= LARGEST else 2,)
        return shape

    def argument(self, *shape: int, bound: int = 0) -> str:
        return self._new("argument", shape, bound, self.choose(LAYOUTS))

    def parameter(self, *shape: int) -> str:
        if self.functional:
            return self.argument(*shape)
        return self._new("parameter", shape)

    def buffer(self, *shape: int) -> str:
        """A slot that a line writes to."""
        if self.functional:
            return "None"
        name = self._new("buffer", shape)
        self.values[name] = [None] * NEAR
        return name

    def indices(self, bound: int, *shape: int) -> str:
        return self.argument(*shape, bound=max(bound, 1))

    def _new(self, kind: str, shape: tuple[int, ...], bound: int = 0, layout: str = "rows") -> str:
        letter = {"argument": "n" if bound else "x", "parameter": "w", "buffer": "b"}[kind]
        self.count += 1
        odd = self.odd and kind == "argument" and not bound
        new = Given(f"{letter}{self.count}", shape, kind, bound, layout, odd)
        self.given.append(new)
        self.values[new.name] = [new.number(self.seed, k, self.dtype) for k in range(NEAR)]
        return new.name

    # How it is drawn

    def line(self) -> None:
        """Draw a line; none is added if it can't be computed."""
        if self.chance.random() < 0.1:
            self.remember()
            return
        weighted = [i for i, weight in INSTRUCTIONS.items() for _ in range(weight)]
        given, values = list(self.given), dict(self.values)
        text = self.choose(weighted)(self)
        found = [self._value(text, point) for point in range(NEAR)] if text else [None]
        if not _tame(found, self.odd):
            self.given, self.values = given, values
            return
        self.count += 1
        name = f"v{self.count}"
        self.lines.append(f"{name} = {text}")
        self.values[name] = found

    def remember(self) -> None:
        """Let a line write a moving average, which later lines read."""
        x = self.floats(lambda x: x.size < LARGEST)
        if self.functional or not x:
            return
        name = self._new("buffer", self.shape(x))
        text = f"0.9 * {name} + 0.1 * {x}"
        self.lines.append(f"limpid.assign({name}, limpid.stop_gradient({text}))")
        self.values[name] = [self._value(text, point) for point in range(NEAR)]

    def _value(self, text: str, point: int) -> Any:
        names = {name: values[point] for name, values in self.values.items()}
        limpid.manual_seed(0)
        try:
            with np.errstate(all="ignore"):
                value = eval(text, {"limpid": limpid, "np": np, "F": F, **names})
                assert not isinstance(value, tuple | list), text
                return np.asarray(value)
        except (ValueError, IndexError, TypeError):
            return None

    def leave_out(self, left_out: Callable[[], bool]) -> None:
        """Leave out some of what no line uses."""
        for line in reversed(self.lines):
            name = re.findall(r"\w+\b", line.removeprefix("limpid.assign"))[0]
            after = self.lines[self.lines.index(line) + 1 :]
            if left_out() and name not in _named(after):
                self.lines.remove(line)
                del self.values[name]
        used = _named(self.lines)
        self.given = [g for g in self.given if not left_out() or g.name in used]
        self.values = {
            name: x
            for name, x in self.values.items()
            if name[0] == "v" or any(g.name == name for g in self.given)
        }

    def ends(self) -> list[str]:
        """What no line uses."""
        used = _named(self.lines)
        return [name for name in self.values if name[0] == "v" and name not in used]

    def program(self) -> Program:
        ends = self.ends()
        floats = [name for name in ends if self.values[name][0].dtype.kind == "f"] or [
            self.floats()
        ]
        # of positive terms: where terms cancel each other, errors are large beside what is left
        loss = " + ".join(f"limpid.sum(limpid.sin({name}) ** 2)" for name in floats)
        lines = [line.partition(" = ")[0] for line in self.lines if line[0] == "v"]
        some = [name for name in lines if Random(name).random() < 0.3]
        as_given = [g.name for g in self.given if Random(g.name).random() < 0.2]
        results = tuple(dict.fromkeys([*some, *ends, *as_given]))
        self.chance.seed(self.seed)
        program = Program(
            self.dtype, self.seed, tuple(self.given), tuple(self.lines), loss, (), results,
            self.functional, self.choose([False, True]), tuple(self.choose(PROBES)),
        )  # fmt: skip
        return program if self.functional else self._with_updates(program)

    def _with_updates(self, program: Program) -> Program:
        """Train the parameters that have gradients."""
        trained = Drawn(program, "float64").trained()
        updates = []
        for g in program.of("parameter"):
            self.chance.seed(f"{self.seed}, {g.name}")
            if g.name in trained and self.choose([True, True, False]):
                text = self.choose(UPDATES)
                if "permute" in text and g.shape != g.shape[::-1]:
                    continue
                m = self._new("buffer", g.shape) if "{m}" in text else ""
                updates.append(text.format(w=g.name, m=m))
        if trained and not updates:
            updates = ["pass"]
        return replace(program, given=tuple(self.given), updates=tuple(updates))


def _named(lines: Sequence[str]) -> set[str]:
    """What lines read, or write to."""
    return set(re.findall(r"\w+", "\n".join(line.partition(" = ")[2] or line for line in lines)))


def _tame(found: Sequence[Any], odd: bool) -> bool:
    """Whether there are values, not too many and not too large, nearly the same at all points."""
    if any(x is None for x in found):
        return False
    first = found[0]
    if first.size > LARGEST or first.ndim > 5 or not is_steady(found, float):
        return False
    if first.dtype.kind != "f":
        return True
    finite = first[np.isfinite(first)]
    if finite.size < first.size and not odd:
        return False
    largest = np.abs(finite).max(initial=0)
    # of a number less itself, eager's gradient is exact by luck
    return bool(largest < LARGEST) and (bool(largest) or not finite.size)


@st.composite
def programs(draw: Any, longest: int) -> Program:
    """Random programs. All follows from a seed, but hypothesis leaves out lines of what fails."""
    seed = draw(st.integers(0, 2**64 - 1))
    drawing = Drawing.begun(seed)
    length = drawing.chance.randint(longest // 5, longest)
    for _ in range(4 * length):
        drawing.line()
        if len(drawing.lines) == length:
            break
    drawing.leave_out(lambda: draw(st.integers(0, 7)) == 0)
    assume(drawing.lines)
    return drawing.program()
