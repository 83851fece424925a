"""The one effect: assigning to a slot."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.errors import OperandError, ShapeError
from limpid.graph.context import context
from limpid.graph.registry import operation
from limpid.ops.cast import astype
from limpid.tensor import Tensor, asarray


@operation
def assign(slot: Tensor, value: Any) -> None:
    """Give a slot (a parameter, a buffer, any leaf) a new value. The only write there is.

    Eager: the slot has a new array and a new version, so that a gradient that needs the old value
    raises OverwrittenError. Recording: the new value becomes an output of the graph.
    Raises ShapeError if the value does not have the slot's shape.

    >>> import limpid
    >>> w = limpid.tensor([1.0, 2.0], requires_grad=True)
    >>> limpid.assign(w, w - 0.5 * limpid.tensor([1.0, 1.0])); w
    tensor([0.5, 1.5], requires_grad=True)
    """
    storage = slot.storage if isinstance(slot, Tensor) else None
    if storage is None:
        raise OperandError(
            "only a slot can be assigned to (a parameter, a buffer, a tensor made by "
            f"limpid.tensor), not {type(slot).__name__}"
        )
    new = asarray(value)
    if new.shape != slot.shape:
        raise ShapeError(f"a slot of shape {slot.shape} can't hold a value of shape {new.shape}")
    if new.dtype is not slot.dtype:
        new = astype(new, slot.dtype)
    recorder = context.state.recorder
    if recorder is not None:
        recorder.assign(slot, new)
    else:
        storage.write(np.array(new.value, order="C"))  # the caller may write into what it came from
