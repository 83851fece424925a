"""What values are called where a schedule is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from limpid.compiler.program.values import Value
from limpid.compiler.program.views import GIVEN, base
from limpid.graph.node import Node

REDUCTIONS = {
    "add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min", "logical_and": "all",
    "logical_or": "any",
}  # fmt: skip
RUNNING = {"add": "cumsum", "multiply": "cumprod"}


class Names:
    """Names of values, in the order in which they are asked for.

    A node's output has the node's name, what is computed on the way there its function's besides:
    `v7.exp`. The second of a name is `v7.exp#2`.

    inputs     by their numbers
    nodes      names of nodes; those that are not there are called by their primitives
    constants  names of arrays, by their ids
    """

    def __init__(
        self,
        inputs: Sequence[str] = (),
        nodes: Mapping[Node, str] | None = None,
        constants: Mapping[int, str] | None = None,
    ):
        self._inputs, self._nodes, self._constants = inputs, nodes or {}, constants or {}
        self._names: dict[Value, str] = {}
        self._count: Counter[str] = Counter()

    def within(self, inputs: Sequence[str]) -> Names:
        """Names in a program within this one, whose inputs are called so."""
        names = Names(inputs, self._nodes, self._constants)
        names._names, names._count = self._names, self._count
        return names

    def __getitem__(self, value: Value) -> str:
        name = self._names.get(value)
        if name is None:
            name = self._plain(value)
            if value.kind not in GIVEN:
                self._count[name] += 1
                name += f"#{self._count[name]}" if self._count[name] > 1 else ""
            self._names[value] = name
        return name

    def _plain(self, value: Value) -> str:
        """A name that others may have, too."""
        if value.kind in GIVEN:
            return self._given(value)
        node = value.node
        name = None if node is None else self._nodes.get(node, node.op.name)
        if name is not None and value.output is not None:
            return f"{name}[{value.output}]" if len(node.outputs) > 1 else name
        if is_copy(value):
            word = "copy" if value.kind == "map" else "padded"
            return f"{self[base(value.operands[0])]}.{word}"
        return word_for(value) if name is None else f"{name}.{word_for(value)}"

    def _given(self, value: Value) -> str:
        if value.kind == "input":
            number = value.params["number"]
            return self._inputs[number] if number < len(self._inputs) else f"input{number}"
        array = value.params["array"]
        if id(array) in self._constants:
            return self._constants[id(array)]
        return number_text(array) if array.size == 1 else spec_text(value)


def is_copy(value: Value) -> bool:
    """Whether a value has the elements of its operand, perhaps with zeros around them."""
    if value.kind == "map":
        return value.params["function"] == "cast" and value.dtype == value.operands[0].dtype
    return value.kind == "join" and len(value.operands) == 1


def word_for(value: Value) -> str:
    """What a value does, in a word: as NumPy says it."""
    function = value.params.get("function", value.kind)
    if value.kind == "reduce":
        return REDUCTIONS.get(function, function)
    if value.kind == "accumulate":
        return RUNNING.get(function, function)
    if value.kind == "call":
        return str(value.params["primitive"].name)
    return {"contract": "product"}.get(function, function)


def spec_text(value: Value) -> str:
    """Type and extents, and the order of axes in memory if that is not the usual one."""
    order = f" order {value.order}" if value.order not in (None, usual_order(value)) else ""
    return f"{value.dtype.name}[{', '.join(map(str, value.shape)) or '()'}]{order}"


def usual_order(value: Value) -> tuple[int, ...]:
    """The last axis innermost."""
    return tuple(range(len(value.shape)))


def number_text(array: Any) -> str:
    """The number in an array of one element."""
    return str(np.asarray(array).reshape(()))
