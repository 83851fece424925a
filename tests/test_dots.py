"""Contractions whose lanes are terms of the sum: few rows and columns, long sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid.compiler.contraction import lanes
from limpid.compiler.program.translation import translate
from limpid.compiler.runtime.native import Native
from limpid.nn.functional import conv1d, conv2d
from tests.native import close, cut, native, needs_native, numbers  # noqa: F401  # a fixture

pytestmark = needs_native


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lanes are terms of the sum wherever they can be."""
    monkeypatch.setattr(lanes, "PUT_TOGETHER", -1e9)
    monkeypatch.setattr(lanes, "THIN", float("inf"))
    monkeypatch.setattr(lanes, "WASTE", float("inf"))


def program(f: Any, *inputs: Any, width: int | None = None, tolerance: float = 1e-12) -> Native:
    graph = limpid.record(f, *inputs).graph
    made = native(translate(graph).outputs, width)
    for actual, expected in zip(made.run(inputs), graph.evaluate(inputs)[0], strict=True):
        close(actual, expected, tolerance)
    return made


def count(made: Native) -> int:
    return sum(name.endswith(".dots") for name in made.functions.texts)


@pytest.mark.usefixtures("everywhere", "cut")
@pytest.mark.parametrize("width", [8, 16, 64])
@pytest.mark.parametrize("shape", [(1, 1, 40), (3, 5, 2), (4, 4, 16), (9, 2, 33), (5, 7, 100),
    (70, 3, 15)], ids=str)  # fmt: skip
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_of_every_size(shape: Any, width: int, dtype: str) -> None:
    i, j, k = shape
    a, b = numbers(i, k, dtype=dtype), numbers(j, k, seed=1, dtype=dtype)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    made = program(lambda a, b: a @ b.mT, a, b, width=width, tolerance=tolerance)
    assert count(made) == 1


@pytest.mark.usefixtures("everywhere", "cut")
@pytest.mark.parametrize("spelling", ["nik,njk->ij", "nik,njk->nij", "nik,nk->ni", "ikl,jkl->ij",
    "ilk,jlk->ji", "imk,njk->imnj"])  # fmt: skip
def test_sums_and_loops_around_them(spelling: str) -> None:
    extents = {"i": 6, "j": 5, "k": 21, "l": 4, "m": 3, "n": 2}
    left, right = spelling.split("->")[0].split(",")
    a, b = (numbers(*(extents[c] for c in part), seed=n) for n, part in enumerate((left, right)))
    program(lambda a, b: limpid.einsum(spelling, a, b), a, b)


@pytest.mark.usefixtures("everywhere", "cut")
@pytest.mark.parametrize("options", [{}, {"padding": 2}, {"dilation": 2, "padding": 1},
    {"groups": 2}], ids=str)  # fmt: skip
def test_gradients_of_filters_between_few_channels(options: dict[str, Any]) -> None:
    groups = options.get("groups", 1)
    x, w = numbers(3, 4, 9, 21), numbers(6, 4 // groups, 3, 3, seed=1)

    def loss(x: Any, w: Any) -> Any:
        return limpid.sum(limpid.sin(conv2d(x, w, **options)))

    made = program(lambda x, w: limpid.grad(loss, argnums=1)(x, w), x, w)
    assert count(made) or "dilation" in options  # there the gradient does not lie along rows


@pytest.mark.usefixtures("everywhere")
def test_no_number_depends_on_what_it_is_added_to() -> None:
    """The last row and column fill up tiles; they are added once."""
    x, g = numbers(8, 5, 64), numbers(8, 3, 60, seed=1)

    def weight(x: Any, g: Any) -> Any:
        return limpid.grad(lambda w: limpid.sum(conv1d(x, w) * g))(np.zeros((3, 5, 5)))

    program(weight, x, g)


def test_the_first_layer_of_a_network_of_images_uses_them() -> None:
    x, w = numbers(64, 1, 28, 28, dtype="float32"), numbers(6, 1, 5, 5, seed=1, dtype="float32")

    def loss(x: Any, w: Any) -> Any:
        return limpid.sum(conv2d(x, w, padding=2) ** 2)

    made = program(lambda x, w: limpid.grad(loss, argnums=1)(x, w), x, w, tolerance=1e-4)
    assert count(made) == 1


def test_matrices_with_vectors_stay_loops() -> None:
    made = program(lambda a, b: a @ b, numbers(50, 300), numbers(300, seed=1))
    assert not count(made)
