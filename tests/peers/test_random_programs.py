"""Random programs against JAX in float64: value, gradient and Hessian times vector."""

from __future__ import annotations

from typing import Any

import pytest

import limpid
from tests.programs import random_program
from tests.test_random_programs import Run
from tests.test_table import close

jax = pytest.importorskip("jax")
pytestmark = pytest.mark.peers
jax.config.update("jax_enable_x64", True)
jnp = jax.numpy

TOLERANCE = 1e-8
COUNT = 30


class Jax:
    """JAX's functions under limpid's names."""

    softmax = staticmethod(jax.nn.softmax)
    logsumexp = staticmethod(jax.scipy.special.logsumexp)
    stop_gradient = staticmethod(jax.lax.stop_gradient)

    def __getattr__(self, name: str) -> Any:
        return getattr(jnp, name)

    def set_item(self, x: Any, key: Any, value: Any) -> Any:
        return x.at[key].set(value)


@pytest.mark.parametrize("seed", range(COUNT))
def test_program(seed: int) -> None:
    run = Run(random_program(seed, 2 + seed % 7))
    numbers = tuple(range(len(run.point)))

    def function(*inputs: Any) -> Any:
        return run.program(Jax(), *inputs)

    gradient = jax.grad(function, numbers)
    point = tuple(map(jnp.asarray, run.point))
    expected, second = jax.jvp(gradient, point, tuple(map(jnp.asarray, run.directions)))
    close(run.value(*run.point), function(*point), TOLERANCE)
    ours, ours_second = limpid.jvp(run.gradient, run.point, run.directions)
    for actual, wanted in zip((*ours, *ours_second), (*expected, *second), strict=True):
        close(actual, wanted, TOLERANCE)
