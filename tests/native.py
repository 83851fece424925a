"""Programs in native code beside NumPy: what tests of the compiler share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from limpid.compiler.machine.target import Target, native_target
from limpid.compiler.program.tracing import trace
from limpid.compiler.program.values import Value, evaluate
from limpid.compiler.runtime.native import Native
from limpid.compiler.schedule import bands
from limpid.compiler.steps import known

HOST = native_target()
needs_native = pytest.mark.skipif(HOST is None, reason="LIMPID_NATIVE=0, or no llvmlite")


def native(ends: Any, width: int | None = None) -> Native:
    assert HOST is not None
    target = HOST if width is None else Target(HOST.name, HOST.features, width, 4, 2)
    return Native(ends, target)


def close(actual: Any, expected: Any, tolerance: float = 1e-12) -> None:
    expected = np.asarray(expected)
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    finite = expected[np.isfinite(expected)] if expected.dtype.kind == "f" else np.zeros(0)
    scale = max(1.0, float(np.abs(finite).max(initial=0)))
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * scale)


def program(forward: Any, *inputs: np.ndarray) -> tuple[Value, ...]:
    values = [Value("input", x.shape, x.dtype, params={"number": n}) for n, x in enumerate(inputs)]
    return trace(forward, values, {})


def agree(
    forward: Any, *inputs: np.ndarray, width: int | None = None, tolerance: float = 1e-12
) -> Native:
    """Check a traced function against NumPy; nothing of it may be left to NumPy."""
    ends = program(forward, *inputs)
    made = native(ends, width)
    assert not any(block.is_call for phase in made.schedule.phases for block in phase)
    for actual, expected in zip(made.run(inputs), evaluate(ends, inputs), strict=True):
        close(actual, expected, tolerance)
    return made


def numbers(*shape: int, seed: int = 0, dtype: Any = float) -> Any:
    return np.asarray(np.random.default_rng(seed).normal(size=shape) * 3).astype(dtype)


def cut_all_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on all axes are cut into chunks and slots, however little there is to do."""
    for name, number in {"SHARED": 4, "GRAIN": 0.1, "CACHE": 100}.items():
        monkeypatch.setattr(bands, name, number)
    monkeypatch.setattr(known, "name_of", lambda *_: None)  # those on disk are cut as usual


@pytest.fixture(params=["whole", "cut"])
def cut(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether all bands are cut: tests that take it are run both ways."""
    if request.param == "cut":
        cut_all_bands(monkeypatch)
    return bool(request.param == "cut")
