"""Native contractions: equal to NumPy's, for every shape of tile, in any layout, on any thread."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import limpid
from limpid.compiler.contraction import contract as contracting
from limpid.compiler.contraction import lanes
from limpid.compiler.contraction.borders import pieces
from limpid.compiler.contraction.product import product_module
from limpid.compiler.machine.target import Target, native_target
from limpid.compiler.runtime import single
from limpid.differentiation.relation import einsum_relation
from limpid.graph.node import spec_of
from limpid.nn import functional as F
from limpid.ops import native
from limpid.ops.windows.contraction import Contraction, labelled
from tests.native import needs_native
from tests.table import ROWS

pytestmark = needs_native
CONVOLUTIONS = [row for row in ROWS if "conv" in row.primitive]
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


@pytest.fixture
def everything(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Native code also where it wastes work; a list of whether it was used."""
    used = []

    def provider(*arguments: Any) -> bool:
        used.append(single.contract(*arguments))
        return used[-1]

    monkeypatch.setattr(lanes, "WASTE", float("inf"))
    monkeypatch.setattr(native, "provider", provider)
    forget()
    yield used
    forget()


def forget() -> None:
    contracting._plan.cache_clear()
    single._windowed.cache_clear()


def close(actual: Any, expected: Any, dtype: str) -> None:
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * scale)


@dtypes
@pytest.mark.parametrize("row", CONVOLUTIONS, ids=[row.id for row in CONVOLUTIONS])
def test_rows_of_convolution(row: Any, dtype: str, everything: list[bool]) -> None:
    operands = row.sample(dtype)
    actual = row.call(*operands)
    assert all(everything)
    assert everything or not actual.size
    native.provider = None
    close(actual, row.call(*operands), dtype)


@dtypes
@pytest.mark.parametrize("m", [1, 7, 8, 9, 31])
@pytest.mark.parametrize("n", [1, 3, 16, 17, 32, 33, 50])
def test_tiles_of_every_size(m: int, n: int, dtype: str, everything: list[bool]) -> None:
    rng = np.random.default_rng(m * 100 + n)
    a, b = rng.normal(size=(m, 5)).astype(dtype), rng.normal(size=(5, n)).astype(dtype)
    y = np.full((m, n), np.nan, dtype)
    product = labelled(einsum_relation("ik,kj->ij"), a.shape, b.shape)
    assert contracting.contract(product, a, b, y)
    close(y, a @ b, dtype)


@pytest.mark.parametrize("spelling", ["ik,kj->ij", "ki,kj->ij", "ik,jk->ij", "nik,nkj->nij",
                                      "nik,kj->nij", "ijk,kl->jil", "abk,bkc->abc"])  # fmt: skip
@pytest.mark.parametrize("order", ["C", "F"])
def test_products_in_any_layout(spelling: str, order: str, everything: list[bool]) -> None:
    rng = np.random.default_rng(0)
    extents = {"i": 9, "j": 19, "k": 6, "l": 5, "n": 3, "a": 2, "b": 4, "c": 17}
    left, right = spelling.split("->")[0].split(",")
    a, b = (
        np.asarray(rng.normal(size=[extents[c] for c in part]), order=order)
        for part in (left, right)
    )
    expected = np.einsum(spelling, a, b)
    y = np.full(expected.shape, np.nan, order=order)
    assert contracting.contract(labelled(einsum_relation(spelling), a.shape, b.shape), a, b, y)
    close(y, expected, "float64")


def test_large_sums_are_shared_out(everything: list[bool]) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(16, 8, 20, 20)).astype("f4")
    g = rng.normal(size=(16, 16, 20, 20)).astype("f4")
    window = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
    weight = limpid.primitives["conv_weight"]
    actual = weight(x, g, kernel=(3, 3), **window)
    native.provider = None
    close(actual, weight(x.astype("f8"), g.astype("f8"), kernel=(3, 3), **window), "float32")


def test_borders_are_cut_without_copies() -> None:
    """The pieces read no padding, and together have every product that lies inside once."""
    x, w = np.zeros((2, 3, 9, 7)), np.zeros((4, 3, 5, 3))
    window = {"stride": (2, 1), "padding": ((3, 2), (1, 1)), "dilation": (1, 2), "groups": 1}
    (whole,) = limpid.primitives["conv"].lower(spec_of(x), spec_of(w), **window)
    found = pieces(whole)
    assert found is not None
    ones = np.ones((1, 1, 9, 7)), np.ones((1, 1, 5, 3))
    inside = limpid.primitives["conv"](*ones, **window).sum() * 2 * 3 * 4
    assert sum(p.contraction.multiply_adds() for p in found if not p.empty) == inside


def test_windows_wholly_in_the_padding_are_zero(everything: list[bool]) -> None:
    y = F.conv1d(np.ones((1, 1, 2)), np.ones((3, 1, 1)), padding=4)
    assert y.sum(axis=(0, 1)).tolist() == [0, 0, 0, 0, 3, 3, 0, 0, 0, 0]


@pytest.mark.parametrize("seed", range(40))
def test_random_local_convolutions(seed: int, everything: list[bool]) -> None:
    """More loops than any other contraction has, and axes of extent 1 that are padded."""
    rng = np.random.default_rng(seed)
    rank, batch = int(rng.integers(1, 4)), int(rng.choice([1, 2, 9]))
    channels, made = int(rng.choice([1, 3, 16])), int(rng.choice([1, 4, 16]))
    kernel, stride, dilation, padding = (
        tuple(int(n) for n in rng.integers(low, high, rank))
        for low, high in ((1, 4), (1, 4), (1, 3), (0, 3))
    )
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
    extents = tuple(
        max(s - 2 * p, 1) + int(n) for s, p, n in zip(spans, padding, rng.integers(0, 4, rank))
    )
    places = tuple((e + 2 * p - s) // t + 1 for e, p, s, t in zip(extents, padding, spans, stride))
    window = {"stride": stride, "padding": tuple((p, p) for p in padding), "dilation": dilation}
    x, g = rng.normal(size=(batch, channels, *extents)), rng.normal(size=(batch, made, *places))
    w = rng.normal(size=(*places, made, channels, *kernel))
    primitives = limpid.primitives

    def three() -> list[Any]:
        return [
            primitives["local_conv"](x, w, **window),
            primitives["local_conv_input"](g, w, extents=extents, **window),
            primitives["local_conv_weight"](x, g, kernel=kernel, **window),
        ]

    actual = three()
    native.provider = None
    for a, expected in zip(actual, three(), strict=True):
        close(a, expected, "float64")


def test_what_wastes_too_much_is_left_to_numpy() -> None:
    y = np.zeros((1, 1))
    product = labelled(einsum_relation("ik,kj->ij"), (1, 4), (4, 1))
    assert not contracting.contract(product, np.ones((1, 4)), np.ones((4, 1)), y)
    assert not contracting.contract(product, np.ones((1, 4), int), np.ones((4, 1), int), y)


@pytest.mark.parametrize("width", [4, 8, 16, 32])
def test_any_width_of_vectors(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors of 1 to 8 floats: slower, never different in meaning."""
    host = native_target()
    assert host is not None
    narrow = Target(host.name, host.features, width, 3, 2)
    monkeypatch.setattr(contracting, "native_target", lambda: narrow)
    monkeypatch.setattr(lanes, "WASTE", float("inf"))
    contracting._plan.cache_clear()
    contracting._kernel.cache_clear()
    try:
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=(10, 6)).astype("f4"), rng.normal(size=(6, 11)).astype("f4")
        y = np.zeros((10, 11), "f4")
        product = labelled(einsum_relation("ik,kj->ij"), a.shape, b.shape)
        assert contracting.contract(product, a, b, y)
        close(y, a @ b, "float32")
    finally:
        contracting._plan.cache_clear()
        contracting._kernel.cache_clear()


def test_the_text_of_a_module_is_plain() -> None:
    host = native_target()
    assert host is not None
    text = product_module(host, "float32", 2)
    assert "define void @product" in text
    assert "fast" not in text  # no fast-math: results are what the order of operations says


def test_without_native_code_the_meaning_is_the_same() -> None:
    code = """
import numpy as np, limpid
from limpid.compiler.machine.target import native_target
from limpid.nn import functional as F
rng = np.random.default_rng(0)
y = F.conv2d(rng.normal(size=(2, 16, 8, 8)), rng.normal(size=(16, 16, 3, 3)), padding=1)
print(native_target() is None, float(abs(y).sum()).hex())
"""
    found = [
        subprocess.run([sys.executable, "-c", code], env=os.environ | {"LIMPID_NATIVE": value},
                       capture_output=True, text=True, check=True).stdout.split()
        for value in ("0", "1")
    ]  # fmt: skip
    assert [f[0] for f in found] == ["True", "False"]
    assert np.isclose(float.fromhex(found[0][1]), float.fromhex(found[1][1]), rtol=1e-13)


def test_contractions_are_data() -> None:
    product = labelled(einsum_relation("ik,kj->ij"), (2, 3), (3, 4))
    assert isinstance(product, Contraction)
    assert eval(repr(product), {n: getattr(sys.modules[Contraction.__module__], n)
                                for n in ("Contraction", "Index", "Axis")}) == product  # fmt: skip


@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.parametrize("batch", [1, 33])
def test_windows_that_all_lie_in_the_padding(batch: int, groups: int) -> None:
    x, w = np.ones((batch, 8, 1)), np.ones((16, 8 // groups, 1))

    def forward(x: Any, w: Any) -> Any:
        return F.conv1d(x, w, stride=2, padding=1, groups=groups)

    np.testing.assert_array_equal(forward(x, w), np.zeros((batch, 16, 2)))
    for gradient in limpid.grad(lambda x, w: limpid.sum(forward(x, w)), (0, 1))(x, w):
        assert not gradient.any()
