"""Eager products of matrices by the kernel: equal to NumPy's in any layout, on any thread."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from ctypes import c_int64, c_void_p
from typing import Any

import numpy as np
import pytest

import limpid
from limpid.compiler.contraction import providers
from limpid.compiler.contraction.copying import copying_functions
from limpid.compiler.machine.loading import address, load
from limpid.compiler.machine.target import Target, native_target
from limpid.compiler.runtime import single
from limpid.ops import native
from tests.native import needs_native

pytestmark = needs_native
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """All products go to the kernel, of whatever size; whether it did them."""
    used = []

    def multiply(a: Any, b: Any) -> Any:
        made = single.multiply(a, b)
        used.append(made is not None)
        return made

    monkeypatch.setattr(native, "LEAST", 0)
    monkeypatch.setattr(native, "multiplier", multiply)
    monkeypatch.setattr(providers, "TABLE", [])
    single._products.clear()
    yield used
    single._products.clear()


def close(actual: Any, expected: Any) -> None:
    tolerance = 1e-12 if actual.dtype == np.float64 else 2e-6
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * scale)


def numbers(shape: Any, dtype: str, layout: str = "C", seed: int = 0) -> Any:
    """Numbers in a layout: row-major, columns first, every other element, backwards."""
    rng = np.random.default_rng(seed)
    if layout == "apart":
        return rng.normal(size=[2 * n for n in shape]).astype(dtype)[
            tuple([slice(None, None, 2)] * len(shape))
        ]
    if layout == "backwards":
        return rng.normal(size=shape).astype(dtype)[..., ::-1]
    x = rng.normal(size=shape).astype(dtype)
    return np.ascontiguousarray(x.mT).mT if layout == "F" else x


@dtypes
@pytest.mark.parametrize("left", ["C", "F", "apart", "backwards"])
@pytest.mark.parametrize("right", ["C", "F", "apart", "backwards"])
@pytest.mark.parametrize(
    "shape", [(9, 5, 33), (70, 130, 20), (8, 600, 64), (129, 17, 100)], ids=str
)
def test_any_layout(shape: Any, left: str, right: str, dtype: str, kernel: list[bool]) -> None:
    m, k, n = shape
    a, b = numbers((m, k), dtype, left), numbers((k, n), dtype, right, seed=1)
    close(limpid.matmul(a, b), a.astype(float) @ b.astype(float))
    assert kernel


@pytest.mark.parametrize("shapes", [((3, 20, 30), (3, 30, 40)), ((3, 20, 30), (30, 40)),
    ((2, 3, 20, 30), (2, 1, 30, 40)), ((20, 30), (3, 30, 40)), ((1, 20, 30), (3, 30, 40))],
    ids=str)  # fmt: skip
def test_stacks(shapes: Any, kernel: list[bool]) -> None:
    a, b = numbers(shapes[0], "float64"), numbers(shapes[1], "float64", seed=1)
    close(limpid.matmul(a, b), a @ b)
    close(limpid.matmul(a, b.mT.copy().mT), a @ b)
    assert all(kernel)


@pytest.mark.parametrize("spelling", ["ab,bc->ac", "abc,cbd->ad", "abc,dc->dab", "abcd,ebcd->ae",
    "nab,nbc->nac", "anb,bnc->nca"])  # fmt: skip
def test_einsum(spelling: str, kernel: list[bool]) -> None:
    extents = {"a": 21, "b": 6, "c": 35, "d": 11, "e": 40, "n": 3}
    left, right = spelling.split("->")[0].split(",")
    a, b = (numbers([extents[i] for i in part], "float64") for part in (left, right))
    close(limpid.einsum(spelling, a, b), np.einsum(spelling, a, b))


@pytest.mark.parametrize("shape", [(300, 200, 500), (1030, 520, 96), (64, 9000, 48),
    (8, 40000, 16)], ids=str)  # fmt: skip
@pytest.mark.parametrize("turned", [False, True])
def test_large_ones_are_shared_out(shape: Any, turned: bool, kernel: list[bool]) -> None:
    m, k, n = shape
    a = numbers((m, k), "float32", "F" if turned else "C")
    b = numbers((k, n), "float32", "F" if turned else "C", seed=1)
    close(limpid.matmul(a, b), a.astype(float) @ b.astype(float))
    assert all(kernel)


def test_gradients_use_it(kernel: list[bool]) -> None:
    x, w = numbers((40, 30), "float64"), numbers((30, 20), "float64", seed=1)
    gradient = limpid.grad(lambda x, w: limpid.sum(limpid.sin(x @ w)), argnums=(0, 1))
    found = gradient(x, w)
    assert len(kernel) == 3
    g = np.cos(x @ w)
    close(found[0], g @ w.T)
    close(found[1], x.T @ g)


def test_not_finite_numbers(kernel: list[bool]) -> None:
    a, b = np.ones((20, 20)), np.ones((20, 20))
    a[3, 4], a[7, 7], b[5, 6] = np.nan, np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(limpid.matmul(a, b), a @ b)


def test_others_are_left_to_numpy() -> None:
    a = np.ones((64, 64))
    assert single.multiply(a.astype(int), a.astype(int)) is None
    assert single.multiply(a, a.astype("f4")) is None
    assert single.multiply(a.astype(">f8"), a.astype(">f8")) is None
    assert single.multiply(a, np.ones((63, 64))) is None


def test_several_python_threads(kernel: list[bool]) -> None:
    a, b = numbers((300, 200), "float64"), numbers((200, 300), "float64", "F", seed=1)
    expected, wrong = limpid.matmul(a, b), []

    def work(n: int) -> None:
        for k in range(20):
            x = a * (n + 1) * (k + 1)
            if not np.allclose(limpid.matmul(x, b), expected * (n + 1) * (k + 1), rtol=1e-12):
                wrong.append((n, k))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_no_number_depends_on_threads() -> None:
    code = """
import hashlib, numpy as np, limpid
rng, digest = np.random.default_rng(0), hashlib.sha256()
for m, k, n in [(300, 400, 500), (64, 9000, 48), (8, 40000, 16), (1030, 64, 64)]:
    for a in (rng.normal(size=(m, k)), rng.normal(size=(k, m)).T):
        for b in (rng.normal(size=(k, n)), rng.normal(size=(n, k)).T):
            digest.update(limpid.matmul(a, b).tobytes())
print(digest.hexdigest())
"""
    found = {
        subprocess.run([sys.executable, "-c", code], env=os.environ | {"LIMPID_NUM_THREADS": n},
                       capture_output=True, text=True, check=True).stdout
        for n in "123"
    }  # fmt: skip
    assert len(found) == 1


@dtypes
@pytest.mark.parametrize("width", [8, 16, 64])
@pytest.mark.parametrize("layout", ["C", "F", "apart"])
def test_copies_of_matrices(layout: str, width: int, dtype: str) -> None:
    """All elements come over, and nothing beside them is written to."""
    host = native_target()
    assert host is not None
    target = Target(host.name, host.features, width, 4, 2)
    declared, text = copying_functions(target, dtype)
    module = load("\n".join([*declared, text]), target)
    copies = module.function("copies", c_void_p, c_int64)
    for rows, columns in [(1, 1), (5, 3), (16, 16), (33, 32), (40, 7), (100, 31)]:
        x, y = numbers((rows, columns), dtype, layout), np.full((rows, columns + 5), -1, dtype)
        spec = np.array([rows, columns, *x.strides, y.strides[0]], np.int64)
        entries = np.array([[0, 0, address(spec)]], np.int64)
        start = x.__array_interface__["data"][0]
        table = np.array([start, address(y), address(entries), 1], np.int64)
        copies(address(table), 1)
        np.testing.assert_array_equal(y[:, :columns], x)
        assert (y[:, columns:] == -1).all()
