"""Powers: whole, zero and negative exponents, zero and negative bases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid.errors import ArgumentError
from tests.test_elementwise import INF, NAN, gradient


def test_power_of_negative_base_and_whole_exponent() -> None:
    x = np.array([-3.0, -0.5, 0.0, 2.0])
    np.testing.assert_array_equal(limpid.tensor(x) ** 2, x * x)
    np.testing.assert_array_equal(gradient(lambda x: x**2, x)[0], 2 * x)
    np.testing.assert_array_equal(gradient(lambda x: x**3, x)[0], 3 * x * x)
    np.testing.assert_array_equal(gradient(lambda x: x**2.0, x)[0], 2 * x)
    whole = np.full(4, 2)
    np.testing.assert_array_equal(gradient(lambda x: x**whole, x)[0], 2 * x)


def test_integers_to_powers_are_exact() -> None:
    assert (limpid.tensor(3) ** 35).item() == 3**35
    assert (limpid.tensor([7]) ** limpid.tensor([20])).tolist() == [7**20]
    with pytest.raises(ArgumentError, match="negative integer powers"):
        limpid.tensor([2]) ** -1


def test_zero_to_the_zero() -> None:
    assert (limpid.tensor(0.0) ** 0).item() == 1
    for a, b, by_base, by_exponent in [
        (0.0, 0.0, 0, 0), (0.0, 1.0, 1, 0), (0.0, 2.0, 0, 0), (2.0, 0.0, 0, np.log(2)),
        (-2.0, 0.0, 0, NAN), (0.0, 0.5, INF, 0), (0.0, -1.0, -INF, -INF),
    ]:  # fmt: skip
        with np.errstate(all="ignore"):
            found = gradient(limpid.power, a, b)
        np.testing.assert_allclose(found, (by_base, by_exponent))
    for exponent in (0, 0.0):
        assert gradient(lambda x, e=exponent: x**e, 0.0)[0] == 0


def test_mixed_second_derivative_of_power_at_exponent_zero() -> None:
    def by_base(b: Any) -> Any:
        return limpid.grad(lambda a: a**b)(limpid.asarray(np.array(2.0)))

    assert limpid.grad(by_base)(np.array(0.0)) == 0.5


def test_base_zero_as_a_number() -> None:
    np.testing.assert_array_equal(gradient(lambda b: 0.0**b, [0.5, 2.0])[0], [0, 0])


def test_domain_of_power() -> None:
    a = np.array([2.0, 0, 0, -2, -2])
    b = np.array([-1.5, 0, -1, 3, 0.5])
    assert limpid.power.domain(a, b).tolist() == [True, True, False, True, False]
