"""What tells one graph from another for native code: all that decides what is computed.

Primitives by name and by where their code is, params, constants by content; inputs and slots by
their order. Names, lines and modules don't count. Graphs with code that is not limpid's own have
none: it may change without anybody noticing.
"""

from __future__ import annotations

import marshal
from hashlib import sha256
from types import FunctionType
from typing import Any

import numpy as np

from limpid.errors import PACKAGE
from limpid.graph.graph import Graph, is_reference
from limpid.graph.node import Node
from limpid.graph.registry import inner, primitives

LARGEST = 1 << 20  # bytes of constants that are looked at
VERSION = 2  # of marshal's format; in later ones it matters how often objects are held
PLAIN = (int, float, str, bool, type(None))


CODE = ("forward", "native", "valid", "lower")  # what a primitive's native code is made of


class _Unknown(Exception):  # noqa: N818  # no error: such a graph has no fingerprint
    """Nobody can tell what this is."""


def fingerprint(graph: Graph) -> bytes | None:
    """The same for graphs that compute the same; None for one with parts that nobody knows."""
    try:
        form = _Reader().graph(graph)
    except _Unknown:
        return None
    return sha256(marshal.dumps(form, VERSION)).digest()


class _Reader:
    """Makes plain data of graphs."""

    def __init__(self) -> None:
        self._left = LARGEST
        self._known: dict[Any, list[Any]] = {}  # primitives, each with its code

    def graph(self, graph: Graph) -> tuple[Any, ...]:
        """Its leaves, its nodes, its ends."""
        leaves = (*graph.inputs.values(), *graph.slots.values())
        number = {leaf: n for n, leaf in enumerate(leaves)}
        nodes: list[Any] = []  # for each node its primitive, params, indices, and as many operands
        add = nodes.append
        known, constant = self._known, self._constant
        for node in graph.nodes:
            op: Any = node.op
            if op not in known:
                self._meet(op)
            add(op.name)
            add(self._params(node.params) if node.params else None)
            add(node.indices)
            for x in node.inputs:
                add(number[x] if type(x) is Node else constant(x))
            number[node] = len(number)
        ends = [
            (number[end[0]], end[1]) if is_reference(end) else constant(end)
            for end in (*graph.outputs, *graph.writes.values())
        ]
        slots = list(graph.slots)
        code = sorted((op.name, found) for op, found in known.items())
        return (
            [(leaf.outputs[0].shape, leaf.outputs[0].dtype.name) for leaf in leaves],
            (len(graph.inputs), len(graph.outputs), [slots.index(name) for name in graph.writes]),
            nodes,
            ends,
            code,
        )

    def _meet(self, op: Any) -> None:
        if primitives.get(op.name) is not op and inner.get(op.name) is not op:
            raise _Unknown
        self._known[op] = [_place(getattr(op, name)) for name in CODE]

    def _params(self, params: Any) -> list[Any]:
        return [(name, self._plain(x)) for name, x in params.items()]

    def _plain(self, x: Any) -> Any:
        if type(x) in PLAIN:
            return x
        if type(x) is tuple:
            return tuple([self._plain(part) for part in x])
        if isinstance(x, Graph):
            return self.graph(x)
        raise _Unknown

    def _constant(self, x: Any) -> Any:
        """A number, or an array by its content: apart from numbers of nodes, which are alone."""
        if type(x) in PLAIN:
            return (x,)
        if type(x) is np.ndarray and x.dtype != object:
            self._left -= x.nbytes
            if self._left >= 0:
                return x.dtype.str, x.shape, x.tobytes()
        raise _Unknown


def _place(function: Any) -> Any:
    """Where a function of limpid or of NumPy is."""
    if function is None:
        return None
    if type(function) is np.ufunc:
        return function.__name__
    if type(function) is FunctionType and function.__code__.co_filename.startswith(PACKAGE):
        return function.__module__, function.__qualname__, function.__code__.co_firstlineno
    raise _Unknown
