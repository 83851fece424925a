"""Programs of functions against what eager does."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid.compiler.program.translation import Program, translate
from limpid.compiler.program.values import evaluate, ordered


def called(program: Program) -> set[str]:
    """The primitives that NumPy would have to be asked for."""
    return {v.params["primitive"].name for v in ordered(program.outputs) if v.kind == "call"}


def agree(function: Any, *arrays: np.ndarray, tolerance: float = 1e-12) -> Program:
    """The function's program calls nothing, and gives what eager does, but for rounding."""
    graph = limpid.record(function, *arrays).graph
    program = translate(graph)
    assert not called(program)
    expected, _ = graph.evaluate(arrays)
    ends = [*program.outputs, *(truth for truth, _ in program.checks)]
    found = evaluate(ends, arrays)
    for actual, wanted in zip(found, expected, strict=False):
        wanted = np.asarray(wanted)
        assert actual.dtype == wanted.dtype
        assert actual.shape == wanted.shape
        if wanted.dtype.kind != "f":
            np.testing.assert_array_equal(actual, wanted)
            continue
        finite = wanted[np.isfinite(wanted)]
        scale = max(1.0, float(np.abs(finite).max(initial=0)))
        np.testing.assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance * scale)
    assert all(found[len(program.outputs) :])
    return program


def numbers(*shape: int, dtype: Any = np.float64, seed: int = 0) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).normal(size=shape)).astype(dtype)
