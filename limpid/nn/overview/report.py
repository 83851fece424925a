"""A model in numbers: what each layer makes, holds, computes and sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np

from limpid.differentiation.relation import atoms
from limpid.errors import ArgumentError, OperandError, ShapeError
from limpid.graph.dtype import as_dtype, default_float
from limpid.graph.graph import Graph, input_specs, is_reference
from limpid.graph.node import Node, Spec, next_number
from limpid.nn.module import Module
from limpid.nn.overview.divisibility import remainders
from limpid.nn.overview.receptive import Tracker
from limpid.nn.overview.table import draw
from limpid.nn.overview.tracing import Call, trace
from limpid.ops.axes import integer
from limpid.ops.windows.contraction import lowered
from limpid.transforms.pattern import label_extents

Shape = tuple[int, ...]
MOST = 4  # operations that are named in one row


@dataclass(frozen=True)
class Field:
    """A receptive field along one spatial axis of an input.

    Element o of the layer's output depends on at most `size` elements of the input, the first of
    which is number stride·o + offset. Stride 0: every output sees the same ones.
    """

    input: int
    axis: int  # of the input, without the batch
    size: int
    stride: float
    offset: float


@dataclass(frozen=True)
class Row:
    """One layer, or the operations that a module does between the layers that it calls.

    path, kind      where it is in the model, and its class; for operations their names
    shapes          of its outputs, for one example
    parameters      the elements of all parameters that it reads; `shared` of them were counted
                    in a row above
    units           the elements of its outputs
    multiply_adds   the products that are added up, for one example; those with padding count
    memory          bytes of the outputs that it computes; 0 where they only have another shape
    fields          the receptive field along each spatial axis of the inputs
    notes           where windows do not divide what they slide over
    """

    path: str
    kind: str
    shapes: tuple[Shape, ...]
    parameters: int
    shared: int
    units: int
    multiply_adds: int
    memory: int
    fields: tuple[Field, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """What `summary` found: a row for each layer in the order of calls, and totals.

    units   those of layers that multiply by weights: an activation has no units of its own
    unused  elements of parameters that no row reads; they count in `parameters`
    """

    model: str
    inputs: tuple[Spec, ...]  # for one example
    rows: tuple[Row, ...]
    parameters: int
    trainable: int
    unused: int
    units: int
    multiply_adds: int
    memory: int

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it."""
        totals = ("parameters", "trainable", "unused", "units", "multiply_adds", "memory")
        return {
            "format": "limpid summary 1",
            "model": self.model,
            "inputs": [{"shape": list(x.shape), "dtype": x.dtype.name} for x in self.inputs],
            "rows": [_row_to_json(row) for row in self.rows],
            "totals": {name: getattr(self, name) for name in totals},
        }

    def __str__(self) -> str:
        return draw(self)

    __repr__ = __str__


def _row_to_json(row: Row) -> dict[str, Any]:
    listed = {
        "shapes": [list(shape) for shape in row.shapes],
        "fields": [asdict(seen) for seen in row.fields],
        "notes": list(row.notes),
    }
    return asdict(row) | listed


def summary(model: Module, *shapes: Any, dtype: Any = None, strict: bool = False) -> Summary:
    """What each layer of a model makes, holds, computes and sees, for one example.

    shapes  of the inputs, without the batch: `summary(model, (3, 32, 32))`
    dtype   of the inputs, or one for each; by default the float type of the parameters
    strict  raise ShapeError, naming the layer, where windows do not divide what they slide over:
            (W − K + 2P)/S + 1 is not a whole number, and the last elements are not read. Otherwise
            that is a note in the row: what is computed is well defined.

    The model is recorded once in eval mode on a batch of one, so no values are computed and nothing
    changes. Multiply-adds and receptive fields come from the declarations of the primitives.

    Raises ShapeError, naming the layer, where a shape does not fit or a result would have less
    than one element along an axis.

    >>> import limpid
    >>> found = limpid.nn.summary(limpid.nn.Conv2d(3, 10, 5, padding=2), (3, 32, 32))
    >>> found.rows[0].shapes, found.parameters, found.multiply_adds
    (((10, 32, 32),), 760, 768000)
    """
    if not isinstance(model, Module):
        raise OperandError(f"summary takes a module, not {type(model).__name__}")
    inputs = _inputs(model, shapes, dtype)
    arrays = [np.zeros((1, *x.shape), x.dtype.storage) for x in inputs]
    graph, call = trace(model, arrays)
    rows = tuple(Rows(model, graph, strict).of(call))
    held = {id(p): p for p in model.parameters()}.values()
    total = sum(p.size for p in held)
    return Summary(
        model=type(model).__name__,
        inputs=inputs,
        rows=rows,
        parameters=total,
        trainable=sum(p.size for p in held if p.requires_grad),
        unused=total - sum(row.parameters - row.shared for row in rows),
        units=sum(row.units for row in rows if row.multiply_adds),
        multiply_adds=sum(row.multiply_adds for row in rows),
        memory=sum(row.memory for row in rows),
    )


def _inputs(model: Module, shapes: Sequence[Any], dtype: Any) -> tuple[Spec, ...]:
    if not shapes:
        raise ArgumentError("summary needs the shape of an input without the batch: (3, 32, 32)")
    several = isinstance(dtype, list | tuple)
    given = list(dtype) if several else [dtype] * len(shapes)
    if len(given) != len(shapes):
        raise ArgumentError(f"summary: {len(given)} dtypes for {len(shapes)} inputs")
    usual = next((p.dtype for p in model.parameters()), default_float())
    return tuple(
        Spec(_shape(shape), usual if kind is None else as_dtype(kind))
        for shape, kind in zip(shapes, given, strict=True)
    )


def _shape(given: Any) -> Shape:
    numbers = given if isinstance(given, list | tuple) else (given,)
    return tuple(integer(n, "summary: an extent of an input") for n in numbers)


class Rows:
    """Makes the rows of a summary from a graph and the calls during which it was recorded."""

    def __init__(self, model: Module, graph: Graph, strict: bool) -> None:
        self.graph = graph
        self.strict = strict
        self.tracker = Tracker(graph)
        self.parameters = {p.node: p for p in model.parameters()}
        self.counted: set[Node] = set()  # parameters that a row has
        self.used: dict[tuple[Node, int], int] = {}  # value → number of the last node that reads it
        for node in graph.nodes:
            for x, i in zip(node.inputs, node.indices):
                if isinstance(x, Node):
                    self.used[x, i] = node.number
        for node, i in filter(is_reference, (*graph.outputs, *graph.writes.values())):
            self.used[node, i] = next_number()

    def of(self, call: Call) -> Iterator[Row]:
        """The rows of a call: of the calls in it, and of the operations between them."""
        if not call.calls:
            values = [(x.node, x.index) for x in call.outputs]
            shapes = [x.shape for x in call.outputs]
            kind = type(call.module).__name__
            yield self._row(call, kind, self._between(call.start, call.stop), values, shapes)
            return
        start = call.start
        for inner in call.calls:
            yield from self._operations(call, start, inner.start)
            yield from self.of(inner)
            start = inner.stop
        yield from self._operations(call, start, call.stop)

    def _operations(self, call: Call, start: int, stop: int) -> Iterator[Row]:
        """The row of what a module computes itself between two calls, if there is something."""
        nodes = self._between(start, stop)
        if not nodes:
            return
        made = [(node, i) for node in nodes for i in range(len(node.outputs))]
        values = [value for value in made if self.used.get(value, 0) > stop] or made[-1:]
        names = list(dict.fromkeys(node.op.name for node in nodes))
        kind = ", ".join(names[:MOST]) + (", …" if len(names) > MOST else "")
        shapes = [node.outputs[i].shape for node, i in values]
        yield self._row(call, kind, nodes, values, shapes)

    def _between(self, start: int, stop: int) -> list[Node]:
        return [node for node in self.graph.nodes if start < node.number < stop]

    def _row(
        self, call: Call, kind: str, nodes: list[Node], values: list[Any], shapes: list[Shape]
    ) -> Row:
        read = {x for node in nodes for x in node.inputs if isinstance(x, Node)}
        own = {node for node in read if node in self.parameters}
        shared = own & self.counted
        self.counted |= own
        notes = tuple(dict.fromkeys(note for node in nodes for note in remainders(node)))
        if notes and self.strict:
            raise ShapeError(f"{call.name}: {notes[0]}")
        within = set() if all(map(is_view, nodes)) else set(nodes)
        made = [node.outputs[i] for node, i in values if node in within]
        return Row(
            path=call.path,
            kind=kind,
            shapes=tuple(shape[1:] if shape[:1] == (1,) else shape for shape in shapes),
            parameters=sum(self.parameters[node].size for node in own),
            shared=sum(self.parameters[node].size for node in shared),
            units=sum(map(prod, shapes)),
            multiply_adds=sum(map(products, nodes)),
            memory=sum(x.size * x.dtype.storage.itemsize for x in made),
            fields=self._fields(values),
            notes=notes,
        )

    def _fields(self, values: list[Any]) -> tuple[Field, ...]:
        """Of the first value, along the axes that windows slide along."""
        seen = self.tracker.fields.get(values[0], {}) if values else {}
        return tuple(
            Field(n, axis - 1, found.size, _number(found.stride), _number(found.low))
            for (n, axis), found in sorted(seen.items(), key=lambda item: item[0])
            if (n, axis) in self.tracker.spatial
        )


def products(node: Node) -> int:
    """The multiply-adds of a node: of its contractions, and of the graphs that it runs."""
    count = sum(part.multiply_adds() for part in lowered(node) if part.right is not None)
    graphs = [value for value in node.params.values() if isinstance(value, Graph)]
    inside = max((sum(map(products, graph.nodes)) for graph in graphs), default=0)
    return count + inside * int(node.params.get("length", 1))  # a loop runs its body so often


def is_view(node: Node) -> bool:
    """Whether a node has the elements of its operand, all of them, under other indices."""
    op: Any = node.op
    specs = input_specs(node)
    if len(specs) != 1 or node.outputs[0].dtype is not specs[0].dtype:
        return False
    if op.local_rules == (1,):
        return True
    if not op.jointly_linear:
        return False
    relation = op.relation(specs, node.params)
    if relation.moved or relation.mixed or len(node.outputs) > 1:
        return False
    extents = label_extents(relation, [specs[0].shape], [node.outputs[0].shape])
    read, made = (
        sorted(str(x) for x in atoms(axes[0]) if extents.get(x) != 1)
        for axes in (relation.operands, relation.outputs)
    )
    return read == made


def _number(value: Fraction) -> float:
    return int(value) if value.denominator == 1 else float(value)
