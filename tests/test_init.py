"""Initial values: their bounds, moments, reproducibility and errors."""

from __future__ import annotations

import numpy as np
import pytest

import limpid
from limpid.errors import ArgumentError, OperandError, ShapeError
from limpid.nn import init


def fresh(*shape: int, dtype: str = "float32") -> limpid.Parameter:
    return limpid.Parameter(np.zeros(shape, dtype))


def values(parameter: limpid.Tensor) -> np.ndarray:
    return parameter.detach().numpy()


SHAPE = (300, 200)
STATISTICS = [  # function, expected standard deviation, bound
    (lambda w: init.uniform_(w, -2.0, 4.0), 6 / np.sqrt(12), None),
    (lambda w: init.normal_(w, 1.0, 0.5), 0.5, None),
    (init.xavier_uniform_, np.sqrt(2 / 500), np.sqrt(6 / 500)),
    (init.xavier_normal_, np.sqrt(2 / 500), None),
    (lambda w: init.xavier_normal_(w, gain=3.0), 3 * np.sqrt(2 / 500), None),
    (init.kaiming_uniform_, np.sqrt(2 / 200), np.sqrt(6 / 200)),
    (lambda w: init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"), np.sqrt(2 / 300),
     None),
    (lambda w: init.kaiming_normal_(w, a=1.0), np.sqrt(1 / 200), None),
    (lambda w: init.kaiming_normal_(w, nonlinearity="tanh"), 5 / 3 / np.sqrt(200), None),
    (lambda w: init.trunc_normal_(w, std=0.02, a=-0.04, b=0.04), 0.02 * 0.8796, 0.04),
]  # fmt: skip


@pytest.mark.parametrize(("function", "deviation", "bound"), STATISTICS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_moments_and_bounds(function, deviation, bound, dtype) -> None:
    limpid.random.seed(0)
    w = fresh(*SHAPE, dtype=dtype)
    assert function(w) is w
    assert w.requires_grad
    assert w.dtype == np.dtype(dtype)
    assert values(w).std() == pytest.approx(deviation, rel=0.02)
    if bound is not None:
        assert np.abs(values(w)).max() <= bound * (1 + 1e-6)
        assert np.abs(values(w)).max() > bound * 0.99
    again = fresh(*SHAPE, dtype=dtype)
    limpid.random.seed(0)
    np.testing.assert_array_equal(values(function(again)), values(w))


def test_a_generator_of_ones_own() -> None:
    functions = (
        init.uniform_, init.normal_, init.trunc_normal_, init.xavier_uniform_,
        init.xavier_normal_, init.kaiming_uniform_, init.kaiming_normal_, init.orthogonal_,
    )  # fmt: skip
    for function in functions:
        a, b = (
            values(function(fresh(4, 4), generator=limpid.random.Generator(7))) for _ in range(2)
        )
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3), (4, 2, 3)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    w = values(init.orthogonal_(fresh(*shape, dtype="float64"), gain=2.0))
    m = w.reshape(shape[0], -1)
    small = m @ m.T if m.shape[0] <= m.shape[1] else m.T @ m
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)


def test_constants() -> None:
    assert values(init.constant_(fresh(2), 0.5)).tolist() == [0.5, 0.5]
    assert values(init.ones_(fresh(2))).tolist() == [1.0, 1.0]
    assert values(init.zeros_(init.ones_(fresh(2)))).tolist() == [0.0, 0.0]
    np.testing.assert_array_equal(values(init.eye_(fresh(2, 3))), np.eye(2, 3))


def test_gains() -> None:
    assert init.calculate_gain("relu") == np.sqrt(2)
    assert init.calculate_gain("leaky_relu", 0.2) == pytest.approx(np.sqrt(2 / 1.04))
    assert init.calculate_gain("leaky_relu") == pytest.approx(np.sqrt(2 / 1.0001))
    assert init.calculate_gain("conv2d") == 1
    with pytest.raises(ArgumentError, match="no gain is known for 'step'"):
        init.calculate_gain("step")


def test_errors() -> None:
    for function in (init.xavier_uniform_, init.kaiming_normal_, init.orthogonal_):
        with pytest.raises(ShapeError, match="at least 2 dimensions"):
            function(fresh(3))
    with pytest.raises(ShapeError, match="needs a matrix"):
        init.eye_(fresh(3))
    with pytest.raises(ArgumentError, match="fan_in"):
        init.kaiming_uniform_(fresh(2, 2), mode="fan")
    with pytest.raises(ArgumentError):
        init.uniform_(fresh(2), 1.0, 0.0)
    with pytest.raises(ArgumentError):
        init.normal_(fresh(2), std=-1.0)
    for wrong in (np.zeros((2, 2)), fresh(2, 2) * 2, None):
        with pytest.raises(OperandError, match="can be given a value"):
            init.normal_(wrong)


def test_empty_parameters() -> None:
    for function in (init.xavier_uniform_, init.kaiming_normal_, init.orthogonal_, init.eye_):
        assert function(fresh(0, 3)).shape == (0, 3)
