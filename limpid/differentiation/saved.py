"""Reading back what a node saved for its derivative rules."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.errors import FreedError, OverwrittenError
from limpid.graph.context import context
from limpid.graph.dtype import as_dtype
from limpid.graph.node import Freed, Leaf, Node, Origin, Spec
from limpid.graph.registry import operations
from limpid.graph.source import describe
from limpid.tensor import Tensor


def zeros(spec: Spec, recording: bool = False) -> Any:
    """Zeros of this spec: an array, or a tensor when recording."""
    array = np.zeros(spec.shape, spec.dtype.storage)
    return Tensor(None, 0, array) if recording else array


def saved_values(node: Node) -> tuple[list[Any], Any]:
    """Operands and outputs as the rules of this node may read them: arrays, else specs."""
    saved = node.saved
    if type(saved) is not tuple:
        saved = checked(node)
    count = len(node.outputs)
    operands = []
    for x, i, v in zip(node.inputs, node.indices, saved[count:]):
        if v is None:
            operands.append(x.outputs[i])
        else:
            if type(x) is Node and not x.inputs:
                check_version(x, node)
            operands.append(v)
    if count == 1:
        return operands, node.outputs[0] if saved[0] is None else saved[0]
    return operands, tuple([spec if v is None else v for spec, v in zip(node.outputs, saved)])


def saved_tensors(node: Node) -> tuple[list[Any], Any]:
    """The same as tensors that belong to the graph, so that rules record. May set the origin."""
    if node.saved is None:  # recorded without values
        operands = [
            Tensor(x, i, None) if type(x) is Node else x
            for x, i in zip(node.inputs, node.indices, strict=True)
        ]
        operands = _promoted(node, operands)
        made = tuple(Tensor(node, k, None) for k in range(len(node.outputs)))
        return operands, made[0] if len(made) == 1 else made
    saved = checked(node)
    count = len(node.outputs)
    operands = [
        x if type(x) is not Node else x.outputs[i] if v is None else _tensor(x, i, v)
        for x, i, v in zip(node.inputs, node.indices, saved[count:], strict=True)
    ]
    outputs = [
        spec if v is None else Tensor(node, k, v)
        for k, (spec, v) in enumerate(zip(node.outputs, saved))
    ]
    return operands, outputs[0] if count == 1 else tuple(outputs)


def _tensor(node: Node, index: int, value: Any) -> Tensor:
    """A saved operand as part of the graph; an integer that was saved as a float is a constant."""
    same = value.dtype is node.outputs[index].dtype.storage
    return Tensor(node, index, value) if same else Tensor(None, 0, value)


def _promoted(node: Node, operands: list[Any]) -> list[Any]:
    """The operands, integers as floats where they are computed with as such (see `_promote`)."""
    op: Any = node.op
    dtype = node.outputs[0].dtype
    if op.numeric not in ("same", "float") or dtype.kind != "float":
        return operands
    for i, (x, k) in enumerate(zip(node.inputs, node.indices, strict=True)):
        if type(x) is Node:
            kind = x.outputs[k].dtype.kind
        else:
            kind = as_dtype(x.dtype).kind if hasattr(x, "dtype") else "float"
        if kind != "float" and not op.masks(len(operands))[i]:
            context.state.origin = Origin(node, i, "local")
            operands[i] = operations["astype"](operands[i], dtype)
    return operands


def checked(node: Node) -> tuple[Any, ...]:
    """The saved values, after making sure that they are still there and unchanged."""
    saved = node.saved
    if type(saved) is Freed:
        raise FreedError(
            f"the values that {node.op.name} saved for its gradient were freed\n"
            f"  saved at {describe(node.source)}\n"
            f"  freed by the backward pass at {describe(saved.source)}\n"
            "remedy: pass retain_graph=True to the first backward()"
        )
    first = len(node.outputs)
    for i, x in enumerate(node.inputs):
        if type(x) is Node and not x.inputs and saved[first + i] is not None:
            check_version(x, node)
    return saved


def check_version(leaf: Node, reader: Node) -> None:
    """Raise OverwrittenError if the slot was assigned to after the reader was made."""
    storage = leaf.op.storage if isinstance(leaf.op, Leaf) else None
    if storage is not None and storage.version > reader.number:
        raise OverwrittenError(
            f"a value that the gradient of {reader.op.name} needs was overwritten\n"
            f"  saved at {describe(reader.source)}\n"
            f"  overwritten at {describe(storage.written)}\n"
            "remedy: run backward() before the assignment, or compute with a copy"
        )
