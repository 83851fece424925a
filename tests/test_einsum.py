"""einsum and the products made of it: shapes of all kinds against NumPy, and what is refused."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import limpid
from limpid.errors import ArgumentError, ShapeError
from limpid.graph.node import reachable
from limpid.ops.contract import contract


@st.composite
def einsums(draw: st.DrawFn) -> tuple[str, list[tuple[int, ...]]]:
    """Subscripts that say something, and shapes that fit them."""
    extents = {label: draw(st.sampled_from([2, 3, 4, 2, 3, 1, 0])) for label in "abcd"}
    further = draw(st.lists(st.integers(1, 2), max_size=2))
    terms, shapes = [], []
    for _ in range(draw(st.integers(1, 4))):
        labels = draw(st.lists(st.sampled_from("abcd"), max_size=4))
        thin = draw(st.sampled_from(["", "", "", "abcd"]))  # labels given extent 1, to be stretched
        shape = [1 if n in thin and extents[n] else extents[n] for n in labels]
        if further and draw(st.booleans()):
            at = draw(st.integers(0, len(labels)))
            inside = further[draw(st.integers(0, len(further))) :]
            labels, shape = [*labels[:at], "...", *labels[at:]], [*shape[:at], *inside, *shape[at:]]
        terms.append("".join(labels))
        shapes.append(tuple(shape))
    subscripts = ",".join(terms)
    if draw(st.booleans()):
        used = sorted(set(subscripts) - set(",."))
        output = draw(st.permutations(used))[: draw(st.integers(0, len(used)))]
        subscripts += "->" + ("..." if "..." in subscripts else "") + "".join(output)
    return subscripts, shapes


@settings(max_examples=300, deadline=None)
@given(einsums(), st.sampled_from([True, False, "optimal"]), st.integers(0, 99))
def test_any_einsum(case: tuple[str, list[tuple[int, ...]]], optimize: Any, seed: int) -> None:
    subscripts, shapes = case
    rng = np.random.default_rng(seed)
    xs = [rng.normal(size=shape) for shape in shapes]
    expected = np.einsum(subscripts, *xs)
    weights = rng.normal(size=expected.shape)

    def weighted(*operands: Any) -> Any:
        return limpid.sum(limpid.einsum(subscripts, *operands, optimize=optimize) * weights)

    found = limpid.einsum(subscripts, *xs, optimize=optimize)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    gradients = limpid.grad(weighted, range(len(xs)))(*xs)
    for i, (x, g) in enumerate(zip(xs, gradients, strict=True)):
        direction = rng.normal(size=x.shape)
        moved = np.einsum(subscripts, *xs[:i], direction, *xs[i + 1 :])  # linear in each operand
        assert g.shape == x.shape
        np.testing.assert_allclose((g * direction).sum(), (moved * weights).sum(), atol=1e-10)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 3), max_size=3),
    st.lists(st.integers(0, 3), max_size=3),
    st.lists(st.integers(0, 3), max_size=3),
)
def test_any_tensordot(left: list[int], inner: list[int], right: list[int]) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(*left, *inner)), rng.normal(size=(*inner, *right))
    expected = np.tensordot(a, b, axes=len(inner))
    np.testing.assert_allclose(limpid.tensordot(a, b, len(inner)), expected, atol=1e-12)
    order = rng.permutation(len(inner))
    axes = [int(k) + len(left) for k in order], [int(k) for k in order]
    np.testing.assert_allclose(limpid.tensordot(a, b, axes), expected, atol=1e-12)


def test_adjoints_are_einsums() -> None:
    """The primitive's backward graph holds nothing but the primitive, at every order."""
    a = limpid.tensor(np.ones((2, 3, 4)), requires_grad=True)
    b = limpid.tensor(np.ones((2, 4, 5)), requires_grad=True)
    y = limpid.einsum("bij,bjk->ikb", a, b)
    y.backward(np.ones(y.shape), create_graph=True)
    assert a.grad is not None
    assert a.grad.node is not None
    names = {n.op.name for n in reachable([a.grad.node]) if n.inputs}
    assert names == {"einsum"}


def test_two_operands_are_one_node() -> None:
    a, b = limpid.tensor(np.ones((3, 4)), requires_grad=True), np.ones((5, 4))
    y = limpid.einsum("ij,kj->ki", a, b)
    assert y.node is not None
    assert y.node.params == {"subscripts": "ij,kj->ki"}
    assert y.node.inputs[0] is a.node


def test_a_chain_is_contracted_in_a_good_order() -> None:
    thin, wide = np.ones((2, 300)), np.ones((300, 300))
    recorded = limpid.record(lambda *xs: limpid.einsum("ab,bc,cd->ad", *xs), thin, wide, wide)
    sizes = [node.outputs[0].size for node in recorded.graph.nodes]
    assert max(sizes) <= 600  # (thin · wide) · wide, never wide · wide


@pytest.mark.parametrize(
    ("subscripts", "shapes", "error", "words"),
    [
        ("ij,jk", [(2, 3)], ArgumentError, "names 2 operands but 1"),
        ("ij->k", [(2, 3)], ArgumentError, "'k' is in no operand"),
        ("ij->ii", [(2, 3)], ArgumentError, "'i' is twice"),
        ("i$", [(2, 3)], ArgumentError, "letters"),
        ("...i->i", [(2, 3)], ArgumentError, r"must have '\.\.\.'"),
        ("ii", [(2, 3)], ShapeError, "diagonal needs equal extents"),
        ("ij,jk", [(2, 3), (4, 5)], ShapeError, "'j' has extents 3 and 4"),
        ("i", [(2, 3)], ShapeError, "does not fit an operand of 2"),
        ("ijk...", [(2, 3)], ShapeError, "does not fit an operand of 2"),
    ],
)
def test_refused(subscripts: str, shapes: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        limpid.einsum(subscripts, *map(np.ones, shapes))


def test_refused_paths_and_lists() -> None:
    three = [np.ones((2, 2))] * 3
    with pytest.raises(ArgumentError, match="path"):
        limpid.einsum("ij,jk,kl", *three, optimize=[(0, 3)])
    with pytest.raises(ArgumentError, match="string of subscripts"):
        limpid.einsum(3.5, np.ones(2))


def test_the_primitive_checks_its_operands() -> None:
    with pytest.raises(ShapeError, match="a label has one extent"):
        contract(np.ones((2, 3)), np.ones((6, 1)), subscripts="ij,jk->ik")
    with pytest.raises(ShapeError, match="a label has one extent"):
        limpid.record(lambda a, b: contract(a, b, subscripts="ij,jk->ik"), *[np.ones((2, 3))] * 2)
    with pytest.raises(ShapeError, match="axes of 'ij,jk->ik'"):
        contract(limpid.tensor(np.ones(3)), np.ones((3, 1)), subscripts="ij,jk->ik")


def test_integers_and_float32() -> None:
    whole = limpid.tensor(np.arange(6).reshape(2, 3))
    single = limpid.tensor(np.ones((3, 2), np.float32))
    assert limpid.einsum("ij,jk", whole, whole.T).dtype == limpid.int64
    assert limpid.einsum("ij,jk", whole, single).dtype == limpid.float32
    assert (whole @ single).dtype == limpid.float32


def test_numbers_are_weak() -> None:
    """A tenth stays a tenth beside float64, and does not widen float32."""
    for dtype in (np.float64, np.float32):
        x = limpid.tensor(np.array([1.0, 3.0], dtype))
        products = [
            limpid.einsum(",i->i", 0.1, x),
            limpid.einsum(",i,->i", 0.1, x, np.float64(1.0)),
            limpid.dot(0.1, x),
            limpid.inner(x, 0.1),
            limpid.kron(0.1, x),
            limpid.outer(0.1, x)[0],
        ]
        for y in products:
            assert y.dtype == dtype
            np.testing.assert_array_equal(y.numpy(), dtype(0.1) * x.numpy())
    assert limpid.einsum(",", np.float64(0.1), np.float64(0.1)).dtype == np.float64


@pytest.mark.parametrize("kind", [np.asarray, limpid.tensor])
def test_products_refuse_what_does_not_fit(kind: Any) -> None:
    two, three = kind(np.ones((2, 3))), kind(np.ones((3, 3)))
    with pytest.raises(ShapeError, match="differ in extent"):
        limpid.tensordot(two, two, 1)
    with pytest.raises(ArgumentError, match="between 0 and"):
        limpid.tensordot(two, three, 3)
    with pytest.raises(ArgumentError, match="one to one"):
        limpid.tensordot(two, three, ([0, 0], [1, 1]))
    with pytest.raises(ShapeError, match="lengths 3 and 2"):
        limpid.vecdot(two, kind(np.ones(2)))
    with pytest.raises(ShapeError, match="3 elements"):
        limpid.cross(two, kind(np.ones(2)))


def test_matmul_names_operands_and_line() -> None:
    weights, inputs = limpid.tensor(np.ones((2, 3))), limpid.tensor(np.ones((2, 3)))
    with pytest.raises(ShapeError) as caught:
        _ = weights @ inputs
    assert "inner extents differ: (2, 3) @ (2, 3)" in str(caught.value)
    assert "weights" in str(caught.value)
    assert "inputs" in str(caught.value)
    with pytest.raises(ShapeError, match="at least 1 dimension"):
        _ = weights @ 2.0
    with pytest.raises(ShapeError, match="at least 1 dimension"):
        limpid.record(lambda w: w @ 2.0, np.ones((2, 3)))


def test_strange_memory() -> None:
    """Read-only, transposed and reversed operands."""
    base = np.arange(24.0).reshape(2, 3, 4)
    base.flags.writeable = False
    for x in (base, base.transpose(2, 0, 1), base[::-1, :, ::2], base[:, :0]):
        w = np.ones((x.shape[-1], 2))
        np.testing.assert_array_equal(limpid.matmul(limpid.asarray(x), w).numpy(), x @ w)
        found = limpid.einsum("abc,cd->dba", x, w)
        np.testing.assert_array_equal(found, np.einsum("abc,cd->dba", x, w))
