"""The backward pass of a traced model, with gradients of inner values kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from limpid.diagnosis.spectrum.tracing import Traced
from limpid.differentiation.reverse import reverse
from limpid.graph.node import Node
from limpid.tensor import Tensor


def gradients_of(traced: Traced, nodes: Iterable[Node]) -> Mapping[Node, Any]:
    """{node: gradient} of these nodes and of all leaves, as the engine finds them.

    Of a node of several outputs it is a list. Nothing is left in `.grad`.
    """
    marked = [node for node in nodes if node.retained is None]
    for node in marked:
        node.retained = {}  # the engine gives the gradients of nodes that keep theirs
    outputs = [Tensor(node, k, None) for node, k in traced.ends]
    try:
        with np.errstate(all="ignore"):
            found, _ = reverse(outputs, traced.gradients, None, recording=False)
    finally:
        for node in marked:
            node.retained = None
    return found
