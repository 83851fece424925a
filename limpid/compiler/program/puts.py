"""Puts: how joins and scatters are written, part after part.

put    x, target             x written into a part of a join                  starts, steps
put    x, indices, target    x put together with what a scatter has there     function, axis

Both are in memory that is filled with a number first. What computes x can write it there.
"""

from __future__ import annotations

from typing import Any

from limpid.compiler.program.values import Value
from limpid.compiler.program.views import Located, locate

SCATTERS = {"scatter_add": "add", "scatter_along": "add", "scatter_max": "maximum"}
FILLED = ("join", *SCATTERS)
SLICES = ("gather", "scatter_add")  # slices are at indices; of the others single elements


def fill_of(value: Value) -> Any:
    """The number that a join or a scatter is filled with; None for a join without gaps."""
    return value.params["fill"] if value.kind == "join" else value.params.get("fill", 0)


def puts(value: Value) -> list[Value]:
    """What is written into a join or a scatter."""
    if value.kind == "join":
        return [
            _put((x, value), {"starts": starts, "steps": steps})
            for x, (starts, steps) in zip(value.operands, value.params["places"], strict=True)
        ]
    params = {"function": SCATTERS[value.kind], "axis": value.params["axis"]}
    return [_put((*value.operands, value), params)]


def _put(operands: tuple[Value, ...], params: dict[str, Any]) -> Value:
    target = operands[-1]
    return Value("put", operands[0].shape, target.dtype, operands, params, node=target.node)


def is_at_indices(value: Value) -> bool:
    """Whether a value is a put into a scatter."""
    return value.kind == "put" and len(value.operands) == 3


def part(put: Value) -> Located:
    """The part of a join that a put writes."""
    base, offset, strides = locate(put.operands[-1])
    offset += sum(n * s for n, s in zip(put.params["starts"], strides, strict=True))
    steps = put.params["steps"]
    return Located(base, offset, tuple(n * s for n, s in zip(steps, strides, strict=True)))


def indexed_axes(value: Value) -> range:
    """The axes of a gather, or of a put at indices, along which the indices are."""
    kind = value.operands[-1].kind if value.kind == "put" else value.kind
    axis, many = value.params["axis"], len(value.operands[1].shape)
    return range(axis, axis + (many if kind in SLICES else 1))
