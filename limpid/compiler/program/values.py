"""What primitives do to arrays, in a few kinds of steps: the form between a graph and loops.

input      an operand                        number
constant   an array or a number that is known
map        a function of elements            function (NumPy's name), operands broadcast
reduce     a function along axes             function, axes; the axes are gone
accumulate the same for each element and all before it
                                             function, axis
reshape    the same elements in row-major order
permute    axes in another order             axes
broadcast  to a shape
slice      a part along each axis            starts, stops, steps; negative steps go backwards
window     sliding windows, along new axes   axes, sizes; the axes of sizes come last
affine     elements at affine places         places: for each axis of x where it starts, and its
                                             terms (axis of the value, step)
join       pieces put together               places: for each piece (starts, steps); fill
gather     x, index: slices at indices       axis; `np.take`
take_along x, index: elements at indices     axis; `np.take_along_axis`
scatter_add, scatter_along                   axis; the transposes of these two: g added to zeros
scatter_max                                  axis, fill; as scatter_along, but the largest of g is
                                             kept, and `fill` where nothing came
contract   a contraction of two arrays
nested     programs within this one           bodies; number, of the output
call       whatever else: a primitive as NumPy does it

Functions of maps are NumPy's, "erf" and "erfc", and "cast" and "view" (the same bits) to the
value's type; of reductions also "argmax" and "argmin", the row-major place of the first extreme,
or NaN, among the reduced axes, and "magnitudes" of all axes, which has an axis of bins; of
`accumulate` also "recurrence" of a and b, which is h[i] = a[i] · h[i − 1] + b[i]. Pieces of a join
do not overlap, their steps are positive; `fill` is a number for what they leave, None if they leave
nothing. Indices are int64 and within their axis; `take_along` has the index's shape and differs
from x along the axis only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from limpid.graph.node import Array
from limpid.ops.errorfunction import erf, erfc
from limpid.ops.plain.functions import recurrence, scatter_add, scatter_along, scatter_max
from limpid.ops.plain.magnitudes import magnitudes
from limpid.ops.windows.execution import execute

Shape = tuple[int, ...]


@dataclass(eq=False, slots=True)
class Value:
    """An array that a program computes: its form, and how it comes about. Nobody changes it.

    order    of its axes in memory, slowest first; None for row-major
    node     of the graph, that it serves; None for inputs and constants
    output   which output of the node it is; None on the way there
    """

    kind: str
    shape: Shape
    dtype: np.dtype[Any]
    operands: tuple[Value, ...] = ()
    params: dict[str, Any] = field(default_factory=dict)
    order: tuple[int, ...] | None = None
    node: Any = None
    output: int | None = None

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


def ordered(ends: Iterable[Value], leaves: Collection[Value] = ()) -> list[Value]:
    """All values that the ends depend on, operands first; no recursion.

    Those among the leaves are not looked behind.
    """
    seen: dict[Value, None] = {}
    stack: list[Any] = list(reversed(list(ends)))
    while stack:
        value = stack.pop()
        if type(value) is tuple:  # all operands were seen
            seen[value[0]] = None
        elif value not in seen:
            new = [x for x in value.operands if x not in seen] if value not in leaves else ()
            if new:
                stack.append((value,))
                stack.extend(reversed(new))
            else:
                seen[value] = None
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


def mark(values: Iterable[Value], node: Any, outputs: Iterable[int | None]) -> None:
    """Let values, and all that they are made of, serve a node, but for what serves one already."""
    new = []
    for value, output in zip(values, outputs, strict=True):
        if node is not None and _is_unmarked(value):
            value.output = output  # who made it knew nothing of nodes
            new.append(value)
    while new:
        value = new.pop()
        if _is_unmarked(value):
            value.node = node
            new.extend(value.operands)


def _is_unmarked(value: Value) -> bool:
    return value.node is None and value.kind not in ("input", "constant")


def copied(x: Value) -> Value:
    """The same elements in a buffer of their own."""
    return Value("map", x.shape, x.dtype, (x,), {"function": "cast"}, node=x.node)


def evaluate(ends: Sequence[Value], inputs: Sequence[Any]) -> list[Array]:
    """The values on NumPy: what native code has to agree with."""
    found: dict[Value, Any] = {}
    for value in ordered(ends):
        operands = [found[x] for x in value.operands]
        result = np.asarray(_EVALUATE[value.kind](value, operands, inputs))
        found[value] = result.astype(value.dtype, copy=False).reshape(value.shape)
    return [found[value] for value in ends]


OTHERS: dict[str, Any] = {"erf": erf, "erfc": erfc}  # functions of elements that NumPy lacks


def _map(value: Value, operands: list[Any], inputs: Any) -> Any:
    name = value.params["function"]
    if name == "where":
        return np.where(*operands)
    if name == "cast":
        return operands[0].astype(value.dtype)
    if name == "view":
        return operands[0].view(value.dtype)
    return (OTHERS.get(name) or getattr(np, name))(*operands)


def _reduce(value: Value, operands: list[Any], inputs: Any) -> Any:
    (x,) = operands
    name, axes = value.params["function"], value.params["axes"]
    if name == "squares":
        return np.sum(x * x, axis=axes)
    if name == "magnitudes":
        return magnitudes(x)
    if name not in ("argmax", "argmin"):
        return getattr(np, name).reduce(x, axis=axes, dtype=value.dtype)
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    moved = x.transpose(*kept, *axes)
    return getattr(np, name)(moved.reshape(*moved.shape[: len(kept)], -1), axis=-1)


def _accumulate(value: Value, operands: list[Any], inputs: Any) -> Any:
    name, axis = value.params["function"], value.params["axis"]
    if name != "recurrence":
        return getattr(np, name).accumulate(operands[0], axis=axis)
    return recurrence(*operands, axis=axis)


def _join(value: Value, operands: list[Any], inputs: Any) -> Any:
    fill = value.params["fill"]
    y = np.full(value.shape, 0 if fill is None else fill, value.dtype)
    for piece, (starts, steps) in zip(operands, value.params["places"], strict=True):
        sides = zip(starts, piece.shape, steps, strict=True)
        y[tuple(slice(start, start + n * step, step) for start, n, step in sides)] = piece
    return y


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


def _window(value: Value, operands: list[Any], inputs: Any) -> Any:
    sizes, axes = value.params["sizes"], value.params["axes"]
    return sliding_window_view(operands[0], sizes, axes)


def _affine(value: Value, operands: list[Any], inputs: Any) -> Any:
    (x,) = operands
    places, strides = value.params["places"], [0] * len(value.shape)
    for (_, terms), stride in zip(places, x.strides, strict=True):
        for axis, step in terms:
            strides[axis] += step * stride
    first = x[tuple(slice(start, None) for start, _ in places)]
    return as_strided(first, value.shape, strides)


def _gather(value: Value, operands: list[Any], inputs: Any) -> Any:
    x, index = operands
    return np.take(x, index, axis=value.params["axis"])


def _take_along(value: Value, operands: list[Any], inputs: Any) -> Any:
    x, index = operands
    return np.take_along_axis(x, index, axis=value.params["axis"])


def _scatter_add(value: Value, operands: list[Any], inputs: Any) -> Any:
    g, index = operands
    axis = value.params["axis"]
    return scatter_add(g, index, axis=axis, extent=value.shape[axis])


def _scatter_along(value: Value, operands: list[Any], inputs: Any) -> Any:
    g, index = operands
    axis = value.params["axis"]
    return scatter_along(g, index, axis=axis, extent=value.shape[axis])


def _scatter_max(value: Value, operands: list[Any], inputs: Any) -> Any:
    g, index = operands
    axis, fill = value.params["axis"], value.params["fill"]
    return scatter_max(g, index, axis=axis, extent=value.shape[axis], fill=fill)


def _nested(value: Value, operands: list[Any], inputs: Any) -> Any:
    return value.params["bodies"].run(operands)[value.params["number"]]


_EVALUATE: dict[str, Any] = {
    "input": lambda v, xs, inputs: inputs[v.params["number"]],
    "constant": lambda v, xs, inputs: v.params["array"],
    "map": _map,
    "reduce": _reduce,
    "accumulate": _accumulate,
    "reshape": lambda v, xs, inputs: xs[0].reshape(v.shape),
    "permute": lambda v, xs, inputs: xs[0].transpose(v.params["axes"]),
    "broadcast": lambda v, xs, inputs: np.broadcast_to(xs[0], v.shape),
    "slice": _slice,
    "window": _window,
    "affine": _affine,
    "join": _join,
    "gather": _gather,
    "take_along": _take_along,
    "scatter_add": _scatter_add,
    "scatter_along": _scatter_along,
    "scatter_max": _scatter_max,
    "contract": _contract,
    "nested": _nested,
    "call": _call,
}
