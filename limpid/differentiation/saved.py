"""Reading back what a node saved for its derivative rules."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.errors import FreedError, OverwrittenError
from limpid.graph.node import Freed, Node, Spec
from limpid.graph.source import describe
from limpid.tensor import Tensor


def zeros(spec: Spec, recording: bool = False) -> Any:
    """Zeros of this spec: an array, or a tensor when recording."""
    array = np.zeros(spec.shape, spec.dtype.storage)
    return Tensor(None, 0, array) if recording else array


def saved_values(node: Node) -> tuple[list[Any], Any]:
    """Operands and outputs as the rules of this node may read them: arrays, else specs."""
    saved = checked(node)
    count = len(node.outputs)
    operands = [
        x.outputs[i] if v is None else v
        for x, i, v in zip(node.inputs, node.indices, saved[count:], strict=True)
    ]
    return operands, saved[0] if count == 1 else saved[:count]


def saved_tensors(node: Node) -> tuple[list[Any], Any]:
    """The same as tensors that belong to the graph, so that rules record."""
    if node.saved is None:  # recorded without values
        operands = [
            Tensor(x, i, None) if type(x) is Node else x
            for x, i in zip(node.inputs, node.indices, strict=True)
        ]
        made = tuple(Tensor(node, k, None) for k in range(len(node.outputs)))
        return operands, made[0] if len(made) == 1 else made
    saved = checked(node)
    count = len(node.outputs)
    operands = [
        x if type(x) is not Node else x.outputs[i] if v is None else Tensor(x, i, v)
        for x, i, v in zip(node.inputs, node.indices, saved[count:], strict=True)
    ]
    made = tuple(None if v is None else Tensor(node, k, v) for k, v in enumerate(saved[:count]))
    return operands, made[0] if count == 1 else made


def checked(node: Node) -> tuple[Any, ...]:
    """The saved values, after making sure that they are still there and unchanged."""
    saved = node.saved
    if type(saved) is Freed:
        raise FreedError(
            f"the values saved by {node.op.name} at {describe(node.source)} were freed by the "
            f"backward pass at {describe(saved.source)}\n"
            "remedy: pass retain_graph=True to the first backward()"
        )
    if node.versions is not None:
        for storage, version in node.versions:
            if storage.version != version:
                raise OverwrittenError(
                    f"a value that the gradient of {node.op.name} needs was overwritten\n"
                    f"  saved at {describe(node.source)}\n"
                    f"  overwritten at {describe(storage.written)}\n"
                    "remedy: run backward() before the assignment, or compute with a copy"
                )
    return saved  # type: ignore[no-any-return]  # a tuple unless freed
