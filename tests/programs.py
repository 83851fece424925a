"""Random programs of public operations: straight lines, the same in limpid and in JAX.

A program is data: shapes of inputs and lines, each an instruction on earlier values. Instructions
take the library as their first argument. What may grow is followed by something bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import limpid

FULL = [(), (1,), (3,), (2, 3), (3, 3), (3, 1), (1, 3), (2, 3, 3)]
EMPTY = [(0,), (0, 3), (3, 0), (2, 0, 3)]
Instruction = Callable[..., Any]  # (library, *values, **choices) → value
MASK = np.array([True, False, True])


UNARY: dict[str, Instruction] = {
    "sin": lambda lib, x: lib.sin(x),
    "tanh": lambda lib, x: lib.tanh(x),
    "exp": lambda lib, x: lib.exp(-x * x),
    "sqrt": lambda lib, x: lib.sqrt(1.5 + lib.sin(x)),
    "log": lambda lib, x: lib.log(1 + x**2),
    "ratio": lambda lib, x: x / (2 + lib.square(x)),
    "reverse_ratio": lambda lib, x: 1 / (1.5 + lib.tanh(x)),
    "negative": lambda lib, x: -x,
    "abs": lambda lib, x: abs(x),
    "weak": lambda lib, x: 3 - 2 * lib.sin(x) + np.float64(0.5) * x,
    "integer_power": lambda lib, x: lib.tanh(x) ** 3,
    "real_power": lambda lib, x: (1.5 + lib.sin(x)) ** -1.5,
    "power_of_two": lambda lib, x: 2.0 ** lib.tanh(x),
    "relu": lambda lib, x: lib.maximum(x, 0),
    "clip": lambda lib, x: lib.clip(x, -0.75, 0.8),
    "mask": lambda lib, x: (x > 0.1) * x,
    "where": lambda lib, x: lib.where(x > 0.2, lib.sin(x), x * x / (1 + x * x)),
    "fan_out": lambda lib, x: x * lib.sin(x) + x,
    "detached": lambda lib, x: lib.stop_gradient(x) * lib.tanh(x),
    "floor": lambda lib, x: x + lib.floor(3 * x),
    "flatten": lambda lib, x: lib.reshape(x, (-1,)),
    "new_axis": lambda lib, x: x[..., None],
    "swapped": lambda lib, x: lib.permute_dims(x, tuple(reversed(range(x.ndim)))),
    "copied": lambda lib, x: lib.stack([x, lib.sin(x), x], axis=x.ndim),
    "doubled": lambda lib, x: _rebound(x, lambda t: t + t),
}
ALONG: dict[str, Instruction] = {
    "sum": lambda lib, x, axis, keepdims: lib.tanh(lib.sum(x, axis=axis, keepdims=keepdims)),
    "mean": lambda lib, x, axis, keepdims: lib.mean(x, axis=axis, keepdims=keepdims),
    "max": lambda lib, x, axis, keepdims: lib.max(x, axis=axis, keepdims=keepdims),
    "min": lambda lib, x, axis, keepdims: lib.min(x, axis=axis, keepdims=keepdims),
    "prod": lambda lib, x, axis, keepdims: lib.prod(lib.sin(x), axis=axis, keepdims=keepdims),
    "var": lambda lib, x, axis, keepdims: lib.var(x, axis=axis, keepdims=keepdims),
    "logsumexp": lambda lib, x, axis, keepdims: lib.logsumexp(
        lib.tanh(x), axis=axis, keepdims=keepdims
    ),
    "sum_twice": lambda lib, x, axis, keepdims: (
        lib.sin(lib.sum(x, axis=axis, keepdims=keepdims)) + lib.sum(x)
    ),
}
ON_AXIS: dict[str, Instruction] = {
    "cumsum": lambda lib, x, axis: lib.sin(lib.cumsum(x, axis=axis)),
    "cumprod": lambda lib, x, axis: lib.cumprod(lib.sin(x), axis=axis),
    "flip": lambda lib, x, axis: lib.flip(x, axis=axis) * x,
    "roll": lambda lib, x, axis: lib.roll(x, 1, axis=axis) - x,
    "sort": lambda lib, x, axis: lib.sort(x, axis=axis),
    "softmax": lambda lib, x, axis: lib.softmax(x, axis=axis),
    "concat": lambda lib, x, axis: lib.concat([x, lib.sin(x), x], axis=axis),
    "gathered": lambda lib, x, axis: lib.take_along_axis(x, lib.argsort(-x, axis=axis), axis=axis),
    "taken": lambda lib, x, axis: lib.take(x, np.array([0, -1, 0]), axis=axis),
    "moved": lambda lib, x, axis: lib.moveaxis(x, axis, 0),
    "tiled": lambda lib, x, axis: lib.repeat(x, 2, axis=axis),
}
ITEMS: dict[str, Instruction] = {
    "first": lambda lib, x: x[0],
    "last": lambda lib, x: x[..., -1],
    "backwards": lambda lib, x: x[::-1] * x,
    "every_second": lambda lib, x: x[..., ::2],
    "empty": lambda lib, x: x[3:],
    "repeated": lambda lib, x: x[np.array([0, -1, 0])],
    "masked": lambda lib, x: x[..., MASK],
    "points": lambda lib, x: x[np.array([0, 1]), ..., np.array([[1], [0]])],
    "replaced": lambda lib, x: lib.set_item(x, (0,), lib.sin(x[-1])),
    "replaced_twice": lambda lib, x: lib.set_item(
        x, np.array([0, 1]), 2 * lib.set_item(x, np.array([1, 0]), 1.5)[1:3]
    ),
}
BINARY: dict[str, Instruction] = {
    "add": lambda lib, a, b: a + b,
    "subtract": lambda lib, a, b: a - b,
    "multiply": lambda lib, a, b: a * lib.tanh(b),
    "divide": lambda lib, a, b: a / (1.5 + lib.sin(b)),
    "power": lambda lib, a, b: (1.5 + lib.sin(a)) ** lib.tanh(b),
    "maximum": lambda lib, a, b: lib.maximum(a, b),
    "minimum": lambda lib, a, b: lib.minimum(a, b),
    "choice": lambda lib, a, b: lib.where(a > b, a * a / (1 + a * a), lib.sin(b)),
    "hypot": lambda lib, a, b: lib.hypot(1 + a * a, b),
    "logaddexp": lambda lib, a, b: lib.logaddexp(a, b),
    "rebound": lambda lib, a, b: _rebound(a, lambda t: t * b),
    "outer": lambda lib, a, b: lib.tanh(lib.reshape(a, (-1, 1)) * lib.reshape(b, (1, -1))),
    "matmul": lambda lib, a, b: lib.tanh(a @ b),
    "matmul_transposed": lambda lib, a, b: lib.tanh(lib.matmul(a, lib.matrix_transpose(b))),
    "contraction": lambda lib, a, b: lib.tanh(lib.einsum("...i,...i->...", a, b)),
    "trace": lambda lib, a, b: lib.tanh(lib.einsum("ij,ji->", a, b)),
    "batched": lambda lib, a, b: lib.tanh(lib.einsum("...ij,jk->...ik", a, b)),
    "joined": lambda lib, a, b: lib.concat([lib.reshape(a, (-1,)), lib.reshape(b, (-1,))]),
    "stacked": lambda lib, a, b: lib.stack(lib.broadcast_arrays(a, b)),
    "written": lambda lib, a, b: lib.set_item(a, (slice(0, 1),), b),
    "detached_factor": lambda lib, a, b: a * lib.stop_gradient(lib.sin(b)),
}
CAST: dict[str, Instruction] = {
    "single": lambda lib, x: lib.sin(lib.astype(x, "float32")),
    "through_single": lambda lib, x: lib.astype(lib.astype(x, "float32"), "float64") * x,
    "double": lambda lib, x: lib.astype(x, "float64"),
}
JUMPS = ("mask", "where", "floor", "choice")  # a finite difference may step over one
CUTS = ("detached", "detached_factor")  # a finite difference knows nothing of them
GROUPS = {"unary": UNARY, "along": ALONG, "on_axis": ON_AXIS, "items": ITEMS, "binary": BINARY}


def _rebound(x: Any, change: Callable[[Any], Any]) -> Any:
    """`t += …` lets the name stand for something new."""
    t = x * 1.0
    kept = t * 2.0
    t += change(x)
    return t + kept


@dataclass(frozen=True)
class Line:
    """One instruction: its group and name, the numbers of the values it takes, its choices."""

    group: str
    name: str
    operands: tuple[int, ...]
    choices: tuple[tuple[str, Any], ...] = ()

    def run(self, lib: Any, values: Sequence[Any]) -> Any:
        table = CAST if self.group == "cast" else GROUPS[self.group]
        return table[self.name](lib, *[values[i] for i in self.operands], **dict(self.choices))


@dataclass(frozen=True)
class Program:
    """Shapes of the inputs and the lines; the result adds up whatever no later line used."""

    shapes: tuple[tuple[int, ...], ...]
    lines: tuple[Line, ...]
    seed: int

    def __call__(self, lib: Any, *inputs: Any) -> Any:
        values = list(inputs)
        for line in self.lines:
            values.append(line.run(lib, values))
        used = {i for line in self.lines for i in line.operands}
        ends = [lib.sum(lib.sin(v)) for i, v in enumerate(values) if i not in used]
        return lib.astype(sum(ends[1:], ends[0]), "float64")

    @property
    def point(self) -> list[Any]:
        """Where it is differentiated; no two numbers are equal."""
        rng = np.random.default_rng(self.seed)
        return [np.asarray(rng.normal(size=shape)) for shape in self.shapes]

    @property
    def directions(self) -> list[Any]:
        rng = np.random.default_rng(self.seed + 1)
        return [np.asarray(rng.normal(size=shape)) for shape in self.shapes]

    def has(self, *names: str) -> bool:
        """Whether any of these instructions or groups is in it."""
        return any(line.name in names or line.group in names for line in self.lines)


def random_program(seed: int, length: int, cast: bool = False) -> Program:
    """A program of a given length; what does not fit together is drawn again."""
    rng = np.random.default_rng(seed)
    shapes = FULL + EMPTY if rng.random() < 0.15 else FULL
    inputs = [shapes[i] for i in rng.integers(len(shapes), size=rng.integers(1, 4))]
    program = Program(tuple(inputs), (), seed)
    values = program.point
    lines: list[Line] = []
    while len(lines) < length:
        line = _draw(rng, values, cast)
        try:
            with np.errstate(all="ignore"):
                value = line.run(limpid, values)
        except (ValueError, IndexError, TypeError):
            continue
        if value.size > 200 or value.ndim > 4 or not np.isfinite(value).all():
            continue
        values.append(value)
        lines.append(line)
    return Program(tuple(inputs), tuple(lines), seed)


def _draw(rng: np.random.Generator, values: Sequence[Any], cast: bool) -> Line:
    group = str(rng.choice(["unary", "unary", "along", "on_axis", "items", "binary", "binary"]))
    if cast and rng.random() < 0.3:
        return Line("cast", str(rng.choice(list(CAST))), (_pick(rng, values),))
    name = str(rng.choice(list(GROUPS[group])))
    if group == "binary":
        return Line(group, name, (_pick(rng, values), _pick(rng, values)))
    operand = _pick(rng, values)
    rank = values[operand].ndim
    if group == "along":
        axes = [None, (), *range(-rank, rank), tuple(range(rank))]
        axis = axes[rng.integers(len(axes))]
        choices = (("axis", axis), ("keepdims", bool(rng.random() < 0.5)))
        return Line(group, name, (operand,), choices)
    if group == "on_axis":
        axis = int(rng.integers(-rank, rank)) if rank else 0
        return Line(group, name, (operand,), (("axis", axis),))
    return Line(group, name, (operand,))


def _pick(rng: np.random.Generator, values: Sequence[Any]) -> int:
    """The number of a value; the latest two more often."""
    among = len(values) if rng.random() < 0.5 else min(2, len(values))
    return int(len(values) - 1 - rng.integers(among))
