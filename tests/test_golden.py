"""The text of a few backward graphs, to the letter: a refactoring that changes them is seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid.graph.text import format_graph

FLOAT = np.float32
GOLDEN = {}


def gate(x: Any, y: Any, z: Any) -> Any:
    return (x + y) * z


GOLDEN[gate] = (
    (0, 1, 2),
    (FLOAT(-2), FLOAT(5), FLOAT(-4)),
    """
def graph(arg0: float32[()], arg1: float32[()], arg2: float32[()]):
    c1: constant[float32[()]] = 1.0
    v1: float32[()] = identity(arg0)
    v2: float32[()] = identity(arg1)
    v3: float32[()] = identity(arg2)
    v4: float32[()] = add(v1, v2)
    v5: float32[()] = multiply(c1, v3)
    v6: float32[()] = multiply(c1, v4)
    return (v5, v5, v6)
""",
)


def squared_norm(w: Any, x: Any) -> Any:
    q = w @ x
    return limpid.sum(q * q)


GOLDEN[squared_norm] = (
    (0, 1),
    (np.ones((2, 3), FLOAT), np.ones(3, FLOAT)),
    """
def graph(arg0: float32[2, 3], arg1: float32[3]):
    c1: constant[float32[()]] = 1.0
    v1: float32[2, 3] = identity(arg0)
    v2: float32[3] = identity(arg1)
    v3: float32[2] = matmul(v1, v2)
    v4: float32[2] = broadcast_to(c1, shape=(2,))
    v5: float32[2] = multiply(v4, v3)
    v6: float32[2] = multiply(v4, v3)
    v7: float32[2] = add(v5, v6)
    v8: float32[2, 1] = reshape(v7, shape=(2, 1))
    v9: float32[2, 3] = multiply(v8, v2)
    v10: float32[3] = matmul(v7, v1)
    return (v9, v10)
""",
)


def hinge(scores: Any) -> Any:
    return limpid.sum(limpid.maximum(0, scores - scores[0] + 1))


GOLDEN[hinge] = (
    (0,),
    (np.ones(3, FLOAT),),
    """
def graph(arg0: float32[3]):
    c1: constant[float32[()]] = 1.0
    c2: constant[float32[()]] = 0.5
    v1: float32[3] = identity(arg0)
    v2: float32[()] = get_item(v1, key=(0,))
    v3: float32[3] = subtract(v1, v2)
    v4: float32[3] = add(v3, 1)
    v5: float32[3] = broadcast_to(c1, shape=(3,))
    v6: bool[3] = greater(v4, 0)
    v7: bool[3] = equal(v4, 0)
    v8: float32[3] = where(v7, c2, v6)
    v9: float32[3] = multiply(v5, v8)
    v10: float32[3] = negative(v9)
    v11: float32[()] = sum(v10, axis=(0,), keepdims=False)
    v12: float32[3] = add_at(v11, key=(0,), shape=(3,))
    v13: float32[3] = add(v9, v12)
    return (v13,)
""",
)


def chain(x: Any) -> Any:
    return limpid.sum(limpid.sigmoid(limpid.exp(x) * x))


GOLDEN[chain] = (
    (0,),
    (np.ones((2, 2), FLOAT),),
    """
def graph(arg0: float32[2, 2]):
    c1: constant[float32[()]] = 1.0
    v1: float32[2, 2] = identity(arg0)
    v2: float32[2, 2] = exp(v1)
    v3: float32[2, 2] = multiply(v2, v1)
    v4: float32[2, 2] = sigmoid(v3)
    v5: float32[2, 2] = broadcast_to(c1, shape=(2, 2))
    v6: float32[2, 2] = subtract(1, v4)
    v7: float32[2, 2] = multiply(v4, v6)
    v8: float32[2, 2] = multiply(v5, v7)
    v9: float32[2, 2] = multiply(v8, v1)
    v10: float32[2, 2] = multiply(v8, v2)
    v11: float32[2, 2] = multiply(v9, v2)
    v12: float32[2, 2] = add(v10, v11)
    return (v12,)
""",
)


@pytest.mark.parametrize("function", GOLDEN, ids=lambda f: f.__name__)
def test_backward_graph(function: Any) -> None:
    argnums, arguments, expected = GOLDEN[function]
    recorded = limpid.record(limpid.grad(function, argnums), *arguments)
    assert "\n" + format_graph(recorded.graph, comments=False) == expected
