"""What primitives do to arrays, in a few kinds of steps: the form between a graph and loops.

input      an operand                        number
constant   an array or a number that is known
map        a function of elements            function (NumPy's name), operands broadcast
reduce     a function along axes             function, axes; the axes are gone
reshape    the same elements in row-major order
permute    axes in another order             axes
broadcast  to a shape
slice      starts and steps along each axis
contract   a contraction of two arrays
call       whatever else: a primitive as NumPy does it
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from limpid.graph.node import Array
from limpid.ops.windows.execution import execute

Shape = tuple[int, ...]


@dataclass(eq=False, frozen=True)
class Value:
    """An array that a program computes: its form, and how it comes about."""

    kind: str
    shape: Shape
    dtype: np.dtype[Any]
    operands: tuple[Value, ...] = ()
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The number of elements."""
        count = 1
        for extent in self.shape:
            count *= extent
        return count

    def __repr__(self) -> str:
        what = self.params.get("function", self.kind)
        return f"<{what} → {self.dtype.name}{list(self.shape)}>"


def ordered(ends: Iterable[Value]) -> list[Value]:
    """All values that the ends depend on, operands first; no recursion."""
    seen: dict[Value, None] = {}
    stack = [(value, False) for value in reversed(list(ends))]
    while stack:
        value, done = stack.pop()
        if done:
            seen[value] = None
        elif value not in seen:
            stack.append((value, True))
            stack.extend((x, False) for x in reversed(value.operands) if x not in seen)
    return list(seen)


def rebuilt(ends: Iterable[Value], change: Callable[[Value], Value]) -> list[Value]:
    """The ends with every value changed, operands first."""
    ends = list(ends)
    made: dict[Value, Value] = {}
    for value in ordered(ends):
        operands = tuple(made[x] for x in value.operands)
        moved = any(a is not b for a, b in zip(operands, value.operands, strict=True))
        made[value] = change(replace(value, operands=operands) if moved else value)
    return [made[end] for end in ends]


def copied(x: Value) -> Value:
    """The same elements in a buffer of their own."""
    return Value("map", x.shape, x.dtype, (x,), {"function": "cast"})


def evaluate(ends: Sequence[Value], inputs: Sequence[Any]) -> list[Array]:
    """The values on NumPy: what native code has to agree with."""
    found: dict[Value, Any] = {}
    for value in ordered(ends):
        operands = [found[x] for x in value.operands]
        result = np.asarray(_EVALUATE[value.kind](value, operands, inputs))
        found[value] = result.astype(value.dtype, copy=False).reshape(value.shape)
    return [found[value] for value in ends]


def _map(value: Value, operands: list[Any], inputs: Any) -> Any:
    name = value.params["function"]
    if name == "where":
        return np.where(*operands)
    if name == "cast":
        return operands[0].astype(value.dtype)
    return getattr(np, name)(*operands)


def _slice(value: Value, operands: list[Any], inputs: Any) -> Any:
    key = tuple(
        slice(start, None if stop < 0 else stop, step)
        for start, stop, step in zip(
            value.params["starts"], value.params["stops"], value.params["steps"], strict=True
        )
    )
    return operands[0][key]


def _contract(value: Value, operands: list[Any], inputs: Any) -> Any:
    y = np.zeros(value.shape, value.dtype)
    left, right = (np.asarray(x, value.dtype) for x in operands)
    for part in value.params["parts"]:
        execute(part, left, right, y)
    return y


def _call(value: Value, operands: list[Any], inputs: Any) -> Any:
    made = value.params["primitive"].evaluate(operands, value.params["params"])
    return made[value.params["number"]] if isinstance(made, tuple) else made


_EVALUATE: dict[str, Any] = {
    "input": lambda v, xs, inputs: inputs[v.params["number"]],
    "constant": lambda v, xs, inputs: v.params["array"],
    "map": _map,
    "reduce": lambda v, xs, inputs: getattr(np, v.params["function"]).reduce(
        xs[0], axis=v.params["axes"], dtype=v.dtype
    ),
    "reshape": lambda v, xs, inputs: xs[0].reshape(v.shape),
    "permute": lambda v, xs, inputs: xs[0].transpose(v.params["axes"]),
    "broadcast": lambda v, xs, inputs: np.broadcast_to(xs[0], v.shape),
    "slice": _slice,
    "contract": _contract,
    "call": _call,
}
