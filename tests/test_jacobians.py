"""Jacobians and Hessians, the passes they take, and their structure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid.errors import ArgumentError, SeedError

X = np.array([0.5, -1.0, 2.0])


# Jacobians


def test_shapes_and_modes() -> None:
    w = np.random.default_rng(0).normal(size=(2, 3))
    x = np.random.default_rng(1).normal(size=(3, 4))
    exact = np.einsum("ik,lj->ijkl", w, np.eye(4))  # ∂(w·x)[i, j] / ∂x[k, l]
    for mode in ("auto", "forward", "reverse"):
        jacobian = limpid.jacobian(lambda x: w @ x, mode=mode)(x)
        assert jacobian.shape == (2, 4, 3, 4)
        np.testing.assert_allclose(jacobian, exact, atol=1e-15)


def test_passes_are_counted_and_few() -> None:
    def tall(x: Any) -> Any:
        return limpid.sin(limpid.broadcast_to(x, (50, 2)))

    def wide(x: Any) -> Any:
        return limpid.sum(x * x, axis=0)

    for f, x, forward, reverse in [(tall, np.ones(2), 2, 100), (wide, np.ones((50, 2)), 100, 2)]:
        counts = {}
        for mode in ("forward", "reverse", "auto"):
            with limpid.count_passes() as passes:
                limpid.jacobian(f, mode=mode)(x)
            counts[mode] = (passes.forward, passes.reverse)
        assert counts["forward"] == (forward, 0)
        assert counts["reverse"] == (0, reverse)
        assert counts["auto"] == min(counts["forward"], counts["reverse"], key=sum)
    with limpid.count_passes() as outer:
        with limpid.count_passes() as inner:
            limpid.hessian(lambda x: limpid.sum(x**3))(X)
        limpid.sum(limpid.tensor(X, requires_grad=True)).backward()
    assert str(inner) == "3 forward, 1 reverse"
    assert str(outer) == "3 forward, 2 reverse"


def test_nested_jacobians() -> None:
    def f(p: Any) -> Any:
        return {"u": p["a"] * 2, "v": [limpid.sum(p["b"]), None]}

    p = {"a": np.ones(2), "b": np.ones((2, 1))}
    for mode in ("forward", "reverse"):
        j = limpid.jacobian(f, mode=mode)(p)
        np.testing.assert_array_equal(j["u"]["a"], 2 * np.eye(2))
        np.testing.assert_array_equal(j["u"]["b"], np.zeros((2, 2, 1)))
        np.testing.assert_array_equal(j["v"][0]["a"], np.zeros(2))
        np.testing.assert_array_equal(j["v"][0]["b"], np.ones((2, 1)))
        assert j["v"][1] is None
    pair = limpid.jacobian(lambda a, b: a * b, (0, 1))(X, X + 1)
    np.testing.assert_array_equal(pair[0], np.diag(X + 1))
    np.testing.assert_array_equal(pair[1], np.diag(X))
    hessian = limpid.hessian(lambda a, b: limpid.sum(a * b * b), (0, 1))(X, X)
    np.testing.assert_array_equal(hessian[0][0], np.zeros((3, 3)))
    np.testing.assert_array_equal(hessian[0][1], np.diag(2 * X))
    np.testing.assert_array_equal(hessian[1][1], np.diag(2 * X))


@pytest.mark.parametrize("mode", ["forward", "reverse", "auto"])
def test_jacobians_of_odd_sizes(mode: str) -> None:
    def jacobian(f: Any, x: Any) -> Any:
        return limpid.jacobian(f, mode=mode)(x)

    assert jacobian(lambda x: x * 2, np.zeros((0, 3))).shape == (0, 3, 0, 3)
    assert jacobian(lambda x: limpid.sum(x), np.zeros((0, 3))).shape == (0, 3)
    assert jacobian(lambda x: x[:0], X).shape == (0, 3)
    assert jacobian(lambda x: x * x, 3.0) == 6.0
    assert jacobian(lambda x: limpid.stack([x, x * x]), np.array(3.0)).tolist() == [1.0, 6.0]
    assert jacobian(lambda x: np.ones(2), X).tolist() == [[0.0] * 3] * 2
    narrow = jacobian(lambda x: limpid.astype(x, "float64") * 2, X.astype("f4"))
    assert narrow.dtype == np.float32
    tensor = jacobian(lambda x: x * x, limpid.tensor(X))
    assert isinstance(tensor, limpid.Tensor)


def test_jacobian_mistakes() -> None:
    with pytest.raises(SeedError, match=r"output 1 is int64\[\]"):
        limpid.jacobian(lambda x: (x, limpid.argmax(x)))(X)
    with pytest.raises(ArgumentError, match="mode is one of"):
        limpid.jacobian(limpid.sin, mode="backward")
    with pytest.raises(SeedError, match="scalar"):
        limpid.hessian(lambda x: x * x)(X)


# Structures


def structure(f: Any, *args: Any, **options: Any) -> Any:
    return limpid.jacobian_structure(f, *args, **options)


def test_a_jacobian_too_large_to_be_formed() -> None:
    def layer(x: Any) -> Any:
        return limpid.relu(x)

    found = structure(layer, np.ones((100, 4096), np.float32))
    assert found.kind == "diagonal"
    assert found.size == 409_600**2
    assert found.entries == 409_600
    assert "diagonal: [i j] → [i j] of 100×4096 → 100×4096" in str(found)


X34 = np.ones((3, 4))


@pytest.mark.parametrize(
    ("f", "kind", "entries"),
    [
        (lambda x: limpid.tanh(x) * 2 + 1, "diagonal", 12),
        (lambda x: limpid.exp(x) * limpid.sin(x) - x, "diagonal", 12),
        (lambda x: limpid.reshape(x, (2, 6)), "selection", 12),
        (lambda x: limpid.reshape(limpid.reshape(x, (3, 2, 2)), (3, 4)), "diagonal", 12),
        (lambda x: limpid.reshape(x, (12,)), "diagonal", 12),
        (lambda x: x.T, "selection", 12),
        (lambda x: x.T.T, "diagonal", 12),
        (lambda x: limpid.flip(x), "selection", 12),
        (lambda x: limpid.sin(limpid.flip(x)) ** 2, "selection", 12),
        (lambda x: x[np.array([0, 2, 2, 1])], "selection", 16),
        (lambda x: x[:, 1], "selection", 3),
        (lambda x: limpid.broadcast_to(x, (5, 3, 4)), "selection", 60),
        (lambda x: x + limpid.flip(x, axis=0), "block", 36),
        (lambda x: limpid.softmax(x, axis=1), "block", 48),
        (lambda x: x @ np.ones((4, 5)), "block", 60),
        (lambda x: np.ones((2, 3)) @ x, "block", 24),
        (lambda x: limpid.sum(x, axis=0), "block", 12),
        (lambda x: limpid.cumsum(x, axis=0), "block", 36),
        (lambda x: limpid.sum(limpid.reshape(x, (3, 2, 2)), axis=1), "block", 12),
        (lambda x: limpid.sum(x), "dense", 12),
        (lambda x: x @ x.T, "dense", 108),
        (lambda x: x / limpid.sum(x), "dense", 144),
        (lambda x: x.detach(), "zero", 0),
        (lambda x: np.ones(3), "zero", 0),
        (lambda x: limpid.astype(x, "int64") * 1.0, "zero", 0),
    ],
)
def test_kinds_of_structure(f: Any, kind: str, entries: int) -> None:
    found = structure(f, X34)
    assert (found.kind, found.entries) == (kind, entries)
    assert str(found).startswith(f"{kind}: ")


def test_structure_of_a_linear_layer() -> None:
    args = np.ones((32, 784)), np.ones((784, 10)), np.ones(10)
    x, w, b = structure(lambda x, w, b: x @ w + b, *args, argnums=(0, 1, 2))
    assert (x.kind, x.mapped, x.contracted) == ("block", ("i",), ("j",))
    assert (x.input_axes, x.output_axes) == (("i", "j"), ("i", "k"))
    assert (w.kind, w.mapped, w.contracted) == ("block", ("j",), ("i",))
    assert (b.kind, b.mapped, b.entries) == ("selection", ("i",), 320)


def test_structure_of_nestings_and_modules() -> None:
    model = limpid.nn.Sequential(limpid.nn.Linear(3, 4), limpid.nn.Tanh(), limpid.nn.Linear(4, 1))
    x = np.ones((5, 3), np.float32)
    found = structure(lambda m, x: {"y": m(x), "z": x}, model, x, argnums=(0, 1))
    assert found["y"][1].kind == "block"
    assert found["z"][1].kind == "diagonal"
    assert found["y"][0].keys() == dict(model.named_parameters()).keys()
    assert found["z"][0]["0.weight"].kind == "zero"


def test_structure_of_calls_of_python() -> None:
    class Opaque(limpid.Function):
        def forward(ctx, x):
            return x * 2.0

        def backward(ctx, g):
            return g * 2.0

    assert structure(lambda x: Opaque.apply(x), X34).kind == "dense"


def test_a_structure_holds_for_all_values() -> None:
    def f(x: Any) -> Any:
        return x if x[0] > 0 else x[::-1]

    with pytest.raises(limpid.errors.AbstractError):
        structure(f, X)


def test_structures_of_odd_sizes() -> None:
    assert structure(lambda x: x * 2, np.zeros((0, 3))).entries == 0
    assert structure(lambda x: x * x, 3.0).kind == "diagonal"
    assert structure(lambda x: x * np.ones(4), 3.0).kind == "dense"  # a full column
    assert structure(lambda x: x * x, np.ones((1, 1))).kind == "diagonal"
    assert structure(lambda x: limpid.sum(x), np.ones(1)).kind == "diagonal"
    computed = limpid.tensor(X, requires_grad=True) * 2
    assert structure(limpid.sin, computed).kind == "diagonal"


def random_program(rng: np.random.Generator) -> Any:
    """A function of a small matrix, made of operations of all kinds."""
    steps = [
        lambda x, y: limpid.sin(x),
        lambda x, y: x * y if x.shape == y.shape else x,
        lambda x, y: x + y if x.shape == y.shape else x * 2,
        lambda x, y: x - limpid.mean(y),
        lambda x, y: limpid.permute_dims(x),
        lambda x, y: limpid.reshape(x, (2, -1)) if x.size % 2 == 0 else x,
        lambda x, y: limpid.reshape(x, (-1, 3)) if x.size % 3 == 0 else x,
        lambda x, y: limpid.reshape(x, (x.size,)),
        lambda x, y: limpid.flip(x, axis=0) if x.ndim else x,
        lambda x, y: limpid.roll(x, 1, axis=-1) if x.ndim else x,
        lambda x, y: limpid.sum(x, axis=0) if x.ndim > 1 else x,
        lambda x, y: limpid.sum(x, axis=-1, keepdims=True) if x.ndim else x,
        lambda x, y: limpid.softmax(x, axis=-1) if x.ndim else x,
        lambda x, y: limpid.cumsum(x, axis=0) if x.ndim else x,
        lambda x, y: x[..., ::2] if x.ndim else x,
        lambda x, y: x[1:] if x.ndim and x.shape[0] > 2 else x,
        lambda x, y: x[np.array([0, -1, 0])] if x.ndim else x,
        lambda x, y: limpid.concat([x, x[:1]]) if x.ndim and x.size < 40 else x,
        lambda x, y: limpid.stack([x, limpid.cos(x)], axis=-1) if x.size < 20 else x,
        lambda x, y: limpid.broadcast_to(x, (2, *x.shape)) if x.size < 20 else x,
        lambda x, y: limpid.tril(x) if x.ndim == 2 else x,
        lambda x, y: limpid.diagonal(x) if x.ndim == 2 else x,
        lambda x, y: limpid.pad(x, 1) if x.ndim and x.size < 16 else x,
        lambda x, y: x @ np.ones((x.shape[-1], 2)) if x.ndim == 2 else x,
        lambda x, y: limpid.squeeze(x),
        lambda x, y: x[:, None] * limpid.sin(x) if x.ndim == 1 and x.size < 8 else x,
    ]
    chosen = [(int(n), int(back)) for n, back in rng.integers(0, (len(steps), 3), size=(6, 2))]

    def program(x: Any) -> Any:
        values = [x]
        for n, back in chosen:
            values.append(steps[n](values[-1], values[max(0, len(values) - 1 - back)]))
        return values[-1]

    return program


@pytest.mark.parametrize("seed", [*range(200), 1847, 2499, 2570, 3177, 3262])
def test_structures_of_random_programs_are_bounds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    f = random_program(rng)
    shape = [(3, 4), (4, 3), (6,), (2, 2, 3), (1, 6)][seed % 5]
    x = rng.normal(size=shape)
    found = structure(f, x)
    jacobian = limpid.jacobian(f, mode="reverse")(x)
    check_bound(found, jacobian)


def check_bound(found: Any, jacobian: Any) -> None:
    """No entry is nonzero that the record rules out."""
    rows, columns = int(np.prod(found.output)), int(np.prod(found.input))
    assert jacobian.shape == (*found.output, *found.input)
    flat = jacobian.reshape(rows, columns) != 0
    assert flat.sum() <= found.entries <= flat.size
    if found.kind == "diagonal":
        assert rows == columns
        assert not (flat & ~np.eye(rows, dtype=bool)).any()
    elif found.kind == "selection":
        assert (flat.sum(1) <= 1).all()
    elif found.kind == "zero":
        assert not flat.any()
    assert flat.sum(1).max(initial=0) <= (found.entries // rows if rows else 0)
    for label in found.mapped:
        _check_mapped(label, found, jacobian != 0)


def _check_mapped(label: str, found: Any, nonzero: Any) -> None:
    """Where a whole axis is mapped onto a whole axis, nonzero entries have equal indices."""
    if label not in found.input_axes or label not in found.output_axes:
        return
    i = found.input_axes.index(label)
    for k, name in enumerate(found.output_axes):
        if name == label:
            for at in np.argwhere(nonzero):
                assert at[k] == at[len(found.output) + i]
