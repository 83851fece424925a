"""Linear algebra beyond the table: large systems, degenerate matrices, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg

import limpid
from limpid import linalg
from limpid.differentiation.relation import structure
from limpid.errors import ArgumentError, DTypeError, MatrixError, ShapeError
from limpid.graph.graph import input_specs

RNG = np.random.default_rng(5)
SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])


def asarray(x: Any) -> Any:
    return np.asarray(x)


def leaf(x: Any) -> Any:
    return limpid.tensor(x, requires_grad=True)


KINDS = pytest.mark.parametrize("kind", [asarray, leaf])


@KINDS
@pytest.mark.parametrize(
    "function",
    [linalg.inv, linalg.det, linalg.slogdet, linalg.cholesky, linalg.eigh, linalg.eigvalsh,
     lambda x: linalg.solve(x, np.ones(2)), lambda x: linalg.solve_triangular(x, np.ones(2)),
     lambda x: linalg.matrix_power(x, 2)],
)  # fmt: skip
def test_square_matrices_only(function: Any, kind: Any) -> None:
    with pytest.raises(ShapeError, match=r"needs square matrices.*\(2, 3\)"):
        function(kind(np.ones((2, 3))))
    with pytest.raises(ShapeError, match=r"needs matrices.*\(3,\)"):
        function(kind(np.ones(3)))


@pytest.mark.parametrize("name", ["inv", "det", "qr", "svd", "svdvals", "pinv", "eigh", "cholesky"])
def test_recording_checks_shapes(name: str) -> None:
    with pytest.raises(ShapeError, match=f"{name}: needs matrices"):
        limpid.record(getattr(linalg, name), np.ones(3))


@KINDS
def test_singular_matrices(kind: Any) -> None:
    for function in (linalg.inv, lambda x: linalg.solve(x, np.ones((2, 1)))):
        with pytest.raises(MatrixError, match=r"the matrix.*singular"):
            function(kind(SINGULAR))
        with pytest.raises(MatrixError, match=r"matrix \[1, 0\] of the operand.*singular"):
            function(kind(np.stack([np.eye(2), SINGULAR])[:, None]))
    with pytest.raises(MatrixError, match="0 on its diagonal"):
        linalg.solve_triangular(kind(np.zeros((2, 2))), np.ones(2))
    with pytest.raises(MatrixError, match="not positive definite"):
        linalg.cholesky(kind(-np.eye(2)))
    with pytest.raises(MatrixError, match="NaN or infinite"):
        linalg.svd(kind(np.full((2, 2), np.nan)))
    with pytest.raises(np.linalg.LinAlgError):  # NumPy code catches it, too
        linalg.inv(kind(SINGULAR))


def test_errors_name_operand_and_line() -> None:
    weights = leaf(SINGULAR)
    with pytest.raises(MatrixError) as caught:
        linalg.inv(weights)
    assert str(caught.value).startswith("inv: the matrix")
    assert "weights: float64[2, 2]" in str(caught.value)
    assert "test_linalg.py" in str(caught.value)


@KINDS
def test_systems_refuse_what_does_not_fit(kind: Any) -> None:
    with pytest.raises(ShapeError, match="2 unknowns"):
        linalg.solve(kind(np.eye(2)), kind(np.ones(3)))
    with pytest.raises(ShapeError, match="at least 1 dimension"):
        linalg.solve(kind(np.eye(2)), kind(np.ones(())))
    with pytest.raises(ShapeError, match="do not broadcast"):
        linalg.solve(kind(np.ones((2, 3, 3))), kind(np.ones((4, 3, 1))))
    with pytest.raises(ShapeError, match="3 equations"):
        linalg.lstsq(kind(np.ones((3, 2))), kind(np.ones(2)))


def test_half_precision_and_integers() -> None:
    with pytest.raises(DTypeError, match="float16 is not supported"):
        linalg.inv(np.eye(2, dtype=np.float16))
    with pytest.raises(DTypeError, match="float16 is not supported"):
        linalg.svd(limpid.tensor(np.eye(2, dtype=np.float16)))
    assert linalg.inv(limpid.tensor([[2, 0], [0, 4]])).dtype == limpid.float32
    assert linalg.inv([[2.0, 0.0], [0.0, 4.0]]).dtype == np.float32


def test_bad_arguments() -> None:
    with pytest.raises(ArgumentError, match="integer"):
        linalg.matrix_power(np.eye(2), 0.5)
    with pytest.raises(ArgumentError, match="mode"):
        linalg.qr(np.eye(2), mode="raw")
    with pytest.raises(ArgumentError, match="order of a matrix norm"):
        linalg.matrix_norm(np.eye(2), ord=3)
    with pytest.raises(ArgumentError, match="axis twice"):
        linalg.norm(np.ones((2, 2)), 2, axis=(0, -2))
    with pytest.raises(ArgumentError, match="rtol"):
        linalg.pinv(np.eye(2), rtol="small")


def test_complete_bases_have_no_gradient() -> None:
    x = leaf(RNG.normal(size=(4, 2)))
    for _ in range(2):  # also when the rules have been looked at before
        with pytest.raises(ArgumentError, match="full_matrices=False"):
            linalg.svd(x)
        with pytest.raises(ArgumentError, match="mode='reduced'"):
            linalg.qr(x, mode="complete")
    with limpid.no_grad():
        assert linalg.svd(x).U.shape == (4, 4)
        assert linalg.qr(x, mode="complete").Q.shape == (4, 4)
    assert linalg.svd(x.detach().numpy()).U.shape == (4, 4)


def test_named_results() -> None:
    x = leaf(RNG.normal(size=(3, 3)))
    u, s, vh = linalg.svd(x)
    np.testing.assert_allclose((u * s @ vh).detach().numpy(), x.detach().numpy(), atol=1e-12)
    assert linalg.svd(x).S.shape == s.shape
    assert linalg.slogdet(x).logabsdet.requires_grad
    assert linalg.qr(x).R.shape == (3, 3)
    assert linalg.eigh(x).eigenvalues.shape == (3,)


# Systems


@pytest.mark.parametrize("n", [1, 63, 64, 65, 200])
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("transpose", [False, True])
def test_substitution_in_blocks(n: int, lower: bool, transpose: bool) -> None:
    a = RNG.normal(size=(n, n)) + 2 * np.sqrt(n) * np.eye(n)
    b = RNG.normal(size=(n, 3))
    unread = np.triu(np.full((n, n), np.nan), 1)
    triangle = np.tril(a) if lower else np.triu(a)
    soiled = triangle + (unread if lower else unread.T)  # what is not read may be anything
    found = linalg.solve_triangular(soiled, b, lower=lower, transpose=transpose)
    expected = scipy.linalg.solve_triangular(triangle, b, lower=lower, trans=int(transpose))
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-13)
    gradient = limpid.grad(
        lambda m: limpid.sum(linalg.solve_triangular(m, b, lower=lower, transpose=transpose))
    )(soiled)
    assert np.isfinite(gradient).all()
    assert (np.triu(gradient, 1) == 0).all() if lower else (np.tril(gradient, -1) == 0).all()


def test_substitution_is_as_accurate_as_lapack() -> None:
    """A triangle of condition 10^12 or so: the residual stays at rounding."""
    n = 150
    a = np.tril(RNG.normal(size=(n, n)))
    a[np.arange(n), np.arange(n)] = RNG.uniform(0.5, 1.0, n)
    b = RNG.normal(size=(n, 1))
    mine = linalg.solve_triangular(a, b, lower=True)
    theirs = scipy.linalg.solve_triangular(a, b, lower=True)

    def backward_error(x: Any) -> float:
        return float(np.abs(a @ x - b).max() / (np.abs(a) @ np.abs(x)).max())

    assert backward_error(mine) <= 4 * backward_error(theirs) + 1e-15


def test_unit_diagonal_is_not_read() -> None:
    a = np.tril(RNG.normal(size=(70, 70))) / 70
    np.fill_diagonal(a, np.nan)
    found = linalg.solve_triangular(a, np.ones(70), lower=True, unit_diagonal=True)
    np.fill_diagonal(a, 1.0)
    np.testing.assert_allclose(a @ found, np.ones(70), atol=1e-13)


def test_lstsq_as_numpy() -> None:
    a, b = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 2))
    for mine, theirs in zip(linalg.lstsq(a, b), np.linalg.lstsq(a, b), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-12)
    wide = linalg.lstsq(a.T, b[:3, 0])
    np.testing.assert_allclose(wide.x, np.linalg.lstsq(a.T, b[:3, 0])[0], atol=1e-12)
    assert wide.residuals.shape == (0,)


def test_matrix_power_zero_is_connected() -> None:
    x = np.array([[np.inf, 1.0], [2.0, 3.0]], np.float32)
    y = linalg.matrix_power(limpid.tensor(x), 0)
    assert y.dtype == limpid.float32
    np.testing.assert_array_equal(y.numpy(), np.eye(2))
    gradient = limpid.grad(lambda m: limpid.sum(linalg.matrix_power(m, 0)))(x)
    np.testing.assert_array_equal(gradient, np.zeros((2, 2)))


# Degenerate matrices


def cofactors(x: Any) -> Any:
    """By deleting rows and columns."""
    n = len(x)
    minors = [
        [np.linalg.det(np.delete(np.delete(x, i, 0), j, 1)) for j in range(n)] for i in range(n)
    ]
    return np.array(minors) * (-1.0) ** np.add.outer(np.arange(n), np.arange(n))


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 4])
def test_gradient_of_the_determinant_at_any_rank(rank: int) -> None:
    x = RNG.normal(size=(4, rank)) @ RNG.normal(size=(rank, 4))
    np.testing.assert_allclose(limpid.grad(linalg.det)(x), cofactors(x), atol=1e-12)


def test_slogdet_of_a_singular_matrix() -> None:
    sign, logarithm = linalg.slogdet(SINGULAR)
    assert (sign, logarithm) == (0, -np.inf)
    with pytest.raises(MatrixError, match="singular"):
        limpid.grad(lambda x: linalg.slogdet(x).logabsdet)(SINGULAR)


@pytest.mark.parametrize("x", [np.eye(3), np.zeros((3, 3)), np.diag([1.0, 1.0, 2.0])])
def test_equal_eigenvalues(x: Any) -> None:
    """Symmetric functions of the eigenvalues have the right gradient."""
    for values in (linalg.eigvalsh, lambda m: linalg.eigh(m).eigenvalues):
        squares = limpid.grad(lambda m, values=values: limpid.sum(values(m) ** 2))
        np.testing.assert_allclose(squares(x), 2 * x, atol=1e-12)
        turned = limpid.grad(lambda m, values=values: limpid.sum(values(m)))(x)
        np.testing.assert_allclose(turned, np.eye(3), atol=1e-12)
        second = limpid.hvp(
            lambda m, values=values: limpid.sum(values(m)), (x,), (np.ones_like(x),)
        )
        assert np.isfinite(x).all()
        assert not np.isnan(second[0]).all()


def test_vectors_of_equal_eigenvalues_have_no_silent_gradient() -> None:
    weights = RNG.normal(size=(3, 3))
    for function, x in [
        (lambda m: linalg.eigh(m).eigenvectors, np.eye(3)),
        (lambda m: linalg.svd(m).U, np.eye(3)),
    ]:
        with np.errstate(all="ignore"):
            g = limpid.grad(lambda m, f=function: limpid.sum(f(m) * weights))(x)
        assert not np.isfinite(g).all() or np.abs(g).max() > 1e200


@pytest.mark.parametrize("x", [np.eye(3), np.zeros((3, 2)), np.ones((2, 3))])
def test_equal_and_zero_singular_values(x: Any) -> None:
    squares = limpid.grad(lambda m: limpid.sum(linalg.svdvals(m) ** 2))
    np.testing.assert_allclose(squares(x), 2 * x, atol=1e-12)
    whole = limpid.grad(lambda m: limpid.sum(linalg.svd(m, full_matrices=False).S ** 2))
    np.testing.assert_allclose(whole(x), 2 * x, atol=1e-12)


def test_pinv_at_constant_rank() -> None:
    """Of rank 1 in 3 × 3: the derivative along a change that keeps the rank."""
    u, v = RNG.normal(size=3), RNG.normal(size=3)
    du, dv = RNG.normal(size=3), RNG.normal(size=3)

    def along(t: float) -> Any:
        return np.linalg.pinv(np.outer(u + t * du, v + t * dv), rtol=1e-9)

    tangent = limpid.jvp(
        lambda m: linalg.pinv(m, rtol=1e-9),
        (np.outer(u, v),),
        (np.outer(du, v) + np.outer(u, dv),),
    )[1]
    np.testing.assert_allclose(tangent, (along(1e-6) - along(-1e-6)) / 2e-6, atol=1e-7)


EMPTY = [linalg.det, linalg.slogdet, linalg.inv, linalg.cholesky, linalg.qr, linalg.eigh,
         linalg.eigvalsh, linalg.svd, linalg.svdvals, linalg.pinv, linalg.matrix_norm,
         lambda x: linalg.matrix_power(x, 3)]  # fmt: skip


@pytest.mark.parametrize("function", EMPTY)
@pytest.mark.parametrize("shape", [(0, 0), (2, 0, 0), (0, 2, 2)])
def test_empty_matrices(function: Any, shape: Any) -> None:
    x = np.ones(shape)

    def total(m: Any) -> Any:
        results = function(m)
        results = results if isinstance(results, tuple) else (results,)
        return sum((limpid.sum(y) for y in results), 0.0)

    assert limpid.grad(total)(x).shape == shape
    assert limpid.jvp(total, (x,), (x,))[1] == 0


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_empty_oblong_matrices(shape: Any) -> None:
    x = np.ones(shape)
    for function in (linalg.qr, linalg.pinv, linalg.svdvals, linalg.matrix_rank):
        found, expected = function(x), getattr(np.linalg, function.__name__)(x)
        pairs = zip(found, expected, strict=True) if function is linalg.qr else [(found, expected)]
        assert all(np.shape(y) == np.shape(z) for y, z in pairs)
    assert linalg.lstsq(x, np.ones(shape[0])).x.shape == (shape[1],)


def test_strange_memory() -> None:
    base = RNG.normal(size=(4, 4, 4))
    base.flags.writeable = False
    for x in (base.T, base[::-1, ::-1], base[:, 1:3, ::2]):
        np.testing.assert_allclose(linalg.inv(limpid.asarray(x)).numpy(), np.linalg.inv(x))
        b = x[..., :1]
        np.testing.assert_allclose(
            linalg.solve_triangular(x, b), np.linalg.solve(np.triu(x), b), rtol=1e-10
        )


def test_structure_of_jacobians() -> None:
    x = leaf(RNG.normal(size=(2, 3, 3)))
    for y, expected in [
        (linalg.inv(x), "block"),
        (linalg.solve(x, np.ones((3, 1))), "block"),
        (linalg.det(x), "block"),
        (linalg.inv(leaf(np.eye(3))), "dense"),
        (linalg.diagonal(x), "selection"),
        (limpid.einsum("bij,bij->bij", x, x), "diagonal"),
        (limpid.einsum("bij,bjk->bik", x, x), "block"),
    ]:
        assert y.node is not None
        relation = y.node.op.relation(input_specs(y.node), y.node.params)
        assert structure(relation, 0) == expected


def test_namespace_is_whole() -> None:
    """The Array API's extension has these; complex ones (eig, eigvals) limpid has no types for."""
    names = """cholesky cross det diagonal eigh eigvalsh inv matmul matrix_norm matrix_power
    matrix_rank matrix_transpose outer pinv qr slogdet solve svd svdvals tensordot trace vecdot
    vector_norm"""
    assert set(names.split()) <= set(linalg.__all__)
    assert all(callable(getattr(linalg, name)) for name in linalg.__all__)
