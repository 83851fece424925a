"""Who does products: by a plain table of processors and shapes, eager and in compiled steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn, optim
from limpid.compiler.contraction import providers
from limpid.compiler.contraction.providers import EAGER, KERNEL, NUMPY, STEP, Row, provider_of
from limpid.compiler.machine.target import Target, native_target
from limpid.compiler.runtime import single
from limpid.differentiation.relation import einsum_relation
from limpid.ops.windows.contraction import Contraction, labelled
from tests.native import needs_native

APPLE = Target("apple-m2", "", 16, 6, 2)
SERVER = Target("znver5", "", 64, 8, 2)
LAPTOP = Target("haswell", "", 32, 6, 2)


def product(m: int, k: int, n: int) -> Contraction:
    return labelled(einsum_relation("ik,kj->ij"), (m, k), (k, n))


@pytest.mark.parametrize(
    ("target", "where", "shape", "who"),
    [
        (SERVER, EAGER, (128, 512, 512), KERNEL),
        (SERVER, EAGER, (16, 16, 16), NUMPY),
        (SERVER, EAGER, (512, 2, 512), NUMPY),
        (SERVER, EAGER, (1, 2048, 2048), NUMPY),
        (SERVER, STEP, (16, 16, 16), KERNEL),
        (LAPTOP, EAGER, (128, 512, 512), NUMPY),
        (LAPTOP, STEP, (128, 512, 512), KERNEL),
        (APPLE, EAGER, (128, 512, 512), NUMPY),
        (APPLE, STEP, (128, 512, 512), NUMPY),
        (APPLE, STEP, (32, 32, 32), KERNEL),
    ],
)
def test_the_table_decides(target: Target, where: str, shape: Any, who: str) -> None:
    assert provider_of(product(*shape), target, where) == who


def test_the_first_row_that_fits() -> None:
    rows = [Row("a", work=(0, 100)), Row("b", terms=4), Row("c", rows=2)]
    shapes = [(2, 2, 2), (50, 4, 50), (2, 50, 50), (50, 50, 50)]
    found = [provider_of(product(*shape), SERVER, STEP, rows) for shape in shapes]
    assert found == ["a", "b", "c", KERNEL]


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A library that does products of 1,000 multiply-adds and more in steps; what it has done."""
    done: list[Any] = []

    def multiplied(part: Contraction, left: Any, right: Any, out: Any) -> None:
        done.append((left.shape, right.shape))
        providers.PROVIDERS[NUMPY](part, left, right, out)

    monkeypatch.setitem(providers.PROVIDERS, "made up", multiplied)
    monkeypatch.setattr(providers, "TABLE", [Row("made up", STEP, work=(1000, np.inf))])
    return done


def trained(compiled: bool) -> tuple[list[float], Any]:
    limpid.manual_seed(0)
    model = nn.Sequential(nn.Linear(30, 20), nn.Tanh(), nn.Linear(20, 5))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 30)).astype("f4"), rng.integers(0, 5, 12)

    def train(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    step = limpid.compile(train) if compiled else train
    return [step(x, y).item() for _ in range(4)], step


@needs_native
def test_a_library_in_a_compiled_step(library: list[Any]) -> None:
    losses, step = trained(compiled=True)
    assert {((12, 30), (30, 20)), ((12, 20), (20, 5)), ((20, 12), (12, 30))} <= set(library)
    assert "call" in str(step.listing())
    np.testing.assert_allclose(losses, trained(compiled=False)[0], rtol=1e-5)


@needs_native
def test_a_library_sees_operands_as_they_lie(library: list[Any]) -> None:
    x, w = np.random.default_rng(0).normal(size=(2, 8, 20, 9))

    def forward(x: Any, w: Any) -> Any:
        return limpid.sin(limpid.einsum("abc,dcb->ad", limpid.exp(x), limpid.tanh(w[::2]).mT))

    np.testing.assert_allclose(limpid.compile(forward)(x, w), forward(x, w), rtol=1e-12)
    assert len(library) == 1


@needs_native
def test_loops_stay_native(library: list[Any]) -> None:
    w = np.random.default_rng(0).normal(size=(20, 20))

    def body(h: Any, x: Any) -> Any:
        return limpid.tanh(h @ w + x), h

    def run(x: Any) -> Any:
        return limpid.scan(body, limpid.asarray(np.zeros((4, 20))), x)[0]

    x = np.random.default_rng(1).normal(size=(5, 4, 20))
    np.testing.assert_allclose(limpid.compile(run)(x), run(x), rtol=1e-12)
    assert not library


@needs_native
def test_the_table_of_this_processor_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eager products go where the table says, whatever was done before."""
    target = native_target()
    assert target is not None
    a, b = np.random.default_rng(0).normal(size=(2, 64, 64))
    expected = a @ b
    for who in (KERNEL, NUMPY):
        single._products.clear()
        monkeypatch.setattr(providers, "TABLE", [Row(who)])
        made = single.multiply(a, b)
        assert (made is None) == (who == NUMPY)
        np.testing.assert_allclose(limpid.matmul(a, b), expected, rtol=1e-12)
    single._products.clear()
