"""Random numbers: published bits, distributions, streams, state, and gradients through draws."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from copy import deepcopy
from typing import Any

import mpmath
import numpy as np
import pytest
from scipy import stats

import limpid
from limpid.ops.gaussian import cumulative, log, lower_quantile
from limpid.ops.philox import blocks
from limpid.random import Generator
from tests.philox_reference import philox_word

# Random123 1.14, kat_vectors: philox4x32, 10 rounds: counter, key, result.
PUBLISHED = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "result"), PUBLISHED)
def test_published_vectors(counter: str, key: str, result: str) -> None:
    c, k = words(counter), words(key)
    assert philox_word(c, k) == words(result)
    made = blocks(k[0] | k[1] << 32, c[0] | c[1] << 32, 1, c[2] | c[3] << 32)
    assert made[0].tolist() == words(result)


def test_reference_has_the_structure_that_numpy_has() -> None:
    """The plain-integer reference, with words of 64 bits, gives NumPy's Philox4x64."""
    theirs = np.random.Philox(key=[5, 6], counter=[1, 2, 3, 4])
    counter = [2, 2, 3, 4]  # NumPy counts before it makes a block
    assert philox_word(counter, [5, 6], 64) == theirs.random_raw(4).tolist()


def test_blocks_are_a_function_of_key_and_counter_alone() -> None:
    whole = blocks(3, 0, 20_000)
    np.testing.assert_array_equal(blocks(3, 8190, 7), whole[8190:8197])
    wrapped = blocks(3, 2**64 - 2, 4)
    np.testing.assert_array_equal(wrapped[2:], whole[:2])
    for i in (0, 1, 8191, 8192, 19_999):
        assert whole[i].tolist() == philox_word([i, 0, 0, 0], [3, 0])


def test_golden_numbers() -> None:
    """The same on every machine, for ever."""
    draw = limpid.random
    state = Generator(0).words((4,), 32)
    assert state.tolist() == words(PUBLISHED[0][2])

    def bits(x: limpid.Tensor) -> list[str]:
        size = x.dtype.storage.itemsize
        return [f"{w:0{2 * size}x}" for w in x.numpy().view(f"u{size}").tolist()]

    assert bits(draw.uniform(shape=2, generator=Generator(0))) == ["3ecc4fd0", "3f6169c5"]
    assert bits(draw.normal(shape=3, generator=Generator(0))) == GOLDEN["normal"]
    double = draw.normal(shape=3, dtype="float64", generator=Generator(0))
    assert bits(double) == GOLDEN["double"]
    cut = draw.truncated_normal(shape=3, generator=Generator(0))
    assert bits(cut) == GOLDEN["truncated"]


GOLDEN = {
    "normal": ["be82fa4e", "3f96bb4f", "3f2153b8"],
    "double": ["3ff2d769e93cb520", "3fd11fbd69d8e303", "bfd69580971eeee6"],
    "truncated": ["be79ca90", "3f8c23b0", "3f190469"],
}


def test_normal_quantile_is_accurate() -> None:
    rng = np.random.default_rng(0)
    p = np.concatenate([rng.uniform(0, 0.5, 5000), 10 ** rng.uniform(-300, -0.4, 5000)])
    z = -stats.norm.ppf(p)
    np.testing.assert_allclose(lower_quantile(p), z, rtol=2e-15, atol=1e-16)
    single = np.maximum(p, 2.0**-33).astype(np.float32)
    z = -stats.norm.ppf(single.astype(np.float64))
    np.testing.assert_allclose(lower_quantile(single), z, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(log(p), np.log(p), rtol=1e-15)
    with mpmath.workdps(60):
        for x in (-37.0, -8.0, -2.0, -0.1, 0.0, 0.7, 3.0, 9.0):
            assert cumulative(x) == float(mpmath.ncdf(x))


N = 200_000


def kolmogorov(sample: limpid.Tensor, distribution: Any) -> float:
    return float(stats.kstest(sample.numpy().astype(np.float64), distribution).pvalue)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distributions(dtype: str) -> None:
    g = Generator(2024)
    draw = limpid.random
    assert kolmogorov(draw.uniform(shape=N, dtype=dtype, generator=g), stats.uniform.cdf) > 0.01
    z = draw.normal(shape=N, dtype=dtype, generator=g)
    assert z.dtype == dtype
    assert kolmogorov(z, stats.norm.cdf) > 0.01
    moments = [float(np.mean(z.numpy().astype(np.float64) ** k)) for k in (1, 2, 3, 4)]
    np.testing.assert_allclose(moments, [0, 1, 0, 3], atol=0.05)
    t = draw.truncated_normal(3.0, 2.0, -1.0, 0.5, N, dtype=dtype, generator=g)
    assert kolmogorov(t, stats.truncnorm(-1, 0.5, 3.0, 2.0).cdf) > 0.01
    assert t.numpy().min() >= 1.0
    assert t.numpy().max() <= 4.0


def test_neighbouring_keys_and_positions_are_independent() -> None:
    columns = [Generator(seed).words((N,), 32) / 2.0**32 for seed in range(4)]
    columns.append(np.roll(columns[0], 1))
    assert np.abs(np.corrcoef(columns) - np.eye(5)).max() < 0.01


def test_integers() -> None:
    g = Generator(1)
    counts = np.bincount(limpid.random.integers(7, shape=N, generator=g).numpy(), minlength=7)
    assert stats.chisquare(counts).pvalue > 0.01
    small = limpid.random.integers(-5, 5, (3, 4), dtype="int8", generator=g)
    assert small.dtype == limpid.int8
    assert small.shape == (3, 4)
    assert limpid.random.integers(3, 4, generator=g).item() == 3
    wide = limpid.random.integers(-(2**63), 2**63, 1000, generator=g).numpy()
    assert (wide < 0).any()
    assert (wide > 0).any()


def test_permutation() -> None:
    g = Generator(1)
    assert sorted(limpid.random.permutation(50, generator=g).tolist()) == list(range(50))
    orders = [tuple(limpid.random.permutation(3, generator=g).tolist()) for _ in range(1200)]
    assert stats.chisquare(list({o: orders.count(o) for o in orders}.values())).pvalue > 0.001
    x = limpid.tensor(np.arange(6.0).reshape(3, 2), requires_grad=True)
    shuffled = limpid.random.permutation(x, generator=g)
    limpid.sum(shuffled * np.array([[1.0], [2.0], [3.0]])).backward()
    assert sorted(x.grad.numpy()[:, 0]) == [1.0, 2.0, 3.0]
    assert limpid.random.permutation(0, generator=g).shape == (0,)


def test_bernoulli() -> None:
    g = Generator(1)
    p = limpid.tensor([0.0, 0.25, 1.0])
    drawn = limpid.random.bernoulli(p, (N // 10, 3), generator=g)
    assert drawn.dtype == limpid.bool_
    np.testing.assert_allclose(drawn.numpy().mean(0), [0.0, 0.25, 1.0], atol=0.01)
    assert limpid.random.bernoulli(p, dtype="float32", generator=g).dtype == limpid.float32


def test_choice() -> None:
    g = Generator(1)
    p = np.array([0.1, 0.0, 0.6, 0.3])
    drawn = limpid.random.choice(4, (N // 10,), p=p, generator=g).numpy()
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / drawn.size, p, atol=0.02)
    firsts = [limpid.random.choice(4, 3, False, p, generator=g).tolist() for _ in range(3000)]
    assert all(sorted(f) == [0, 2, 3] for f in firsts)
    share = np.bincount([f[0] for f in firsts], minlength=4) / len(firsts)
    np.testing.assert_allclose(share, p, atol=0.03)
    items = limpid.random.choice([5.0, 6.0, 7.0], (2, 2), generator=g)
    assert items.shape == (2, 2)
    assert set(items.numpy().ravel()) <= {5.0, 6.0, 7.0}
    rows = limpid.random.choice(np.arange(10).reshape(5, 2), 5, False, generator=g).numpy()
    assert sorted(rows[:, 0]) == [0, 2, 4, 6, 8]
    assert limpid.random.choice(3, generator=g).shape == ()


def test_draws_never_overlap() -> None:
    """Words of one draw after another are the words of one long draw, up to the block's end."""
    g = Generator(9)
    parts = [g.words((n,), 32) for n in (5, 1, 0, 4, 9)]
    whole = Generator(9).words((4 * 7,), 32)
    taken = np.concatenate([np.pad(p, (0, -p.size % 4)) for p in parts])
    kept = np.concatenate([np.pad(np.ones(p.size, bool), (0, -p.size % 4)) for p in parts])
    np.testing.assert_array_equal(taken[kept], whole[: taken.size][kept])
    assert g.state.numpy().tolist() == [9, 7]


def test_same_seed_gives_same_bits_in_another_process() -> None:
    code = (
        "import limpid, hashlib; limpid.manual_seed(5); r = limpid.random;"
        "x = r.normal(shape=1000).numpy().tobytes() + r.permutation(100).numpy().tobytes();"
        "print(hashlib.sha256(x).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1


def test_split_and_fold_in() -> None:
    g = Generator(3)
    first, second = g.split(2)
    third = g.split(1)[0]
    folded, again = g.fold_in(7), Generator(3).fold_in(7)
    assert folded.state_dict()["state"].tolist() == again.state_dict()["state"].tolist()
    keys = {int(x.state.numpy()[0]) for x in (g, first, second, third, folded, g.fold_in(8))}
    assert len(keys) == 6
    assert [x.state.numpy()[0] for x in Generator(3).split(2)] == [
        first.state.numpy()[0],
        second.state.numpy()[0],
    ]


def test_state_is_saved_and_restored() -> None:
    g = Generator(3)
    g.words((10,), 32)
    saved, copied, pickled = g.state_dict(), deepcopy(g), pickle.loads(pickle.dumps(g))
    expected = limpid.random.normal(shape=5, generator=g).numpy()
    other = Generator(0)
    other.load_state_dict(saved)
    for restored in (other, copied, pickled):
        drawn = limpid.random.normal(shape=5, generator=restored).numpy()
        np.testing.assert_array_equal(drawn, expected)
    before = other.state.numpy().tolist()
    for wrong in ({}, {"state": [1, 2]}, {"state": np.zeros(3, np.uint64)}):
        with pytest.raises(limpid.errors.StateError):
            other.load_state_dict(wrong)
    assert other.state.numpy().tolist() == before


def test_default_generator_is_per_thread() -> None:
    limpid.random.seed(11)
    limpid.random.uniform(shape=3)
    found = []
    thread = threading.Thread(target=lambda: found.append(limpid.random.default_generator()))
    thread.start()
    thread.join()
    assert found[0].state.numpy().tolist() == [0, 0]
    assert limpid.random.default_generator().state.numpy().tolist() == [11, 1]


def test_threads_that_share_a_generator_take_different_blocks() -> None:
    g = Generator(0)
    found: list[np.ndarray] = []
    draw = lambda: found.extend(g.words((4,), 32) for _ in range(200))
    threads = [threading.Thread(target=draw) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({w.tobytes() for w in found}) == 1600
    assert g.state.numpy()[1] == 1600


def test_gradients_flow_through_parameters_of_draws() -> None:
    mean = limpid.tensor([1.0, 2.0], requires_grad=True, dtype="float64")
    std = limpid.tensor(0.5, requires_grad=True, dtype="float64")
    x = limpid.random.normal(mean, std, (4, 2), generator=Generator(1))
    z = limpid.random.normal(shape=(4, 2), dtype="float64", generator=Generator(1)).numpy()
    limpid.sum(x).backward()
    np.testing.assert_array_equal(mean.grad.numpy(), [4.0, 4.0])
    np.testing.assert_allclose(std.grad.item(), z.sum())
    low = limpid.tensor(-1.0, requires_grad=True, dtype="float64")
    high = limpid.tensor(3.0, requires_grad=True, dtype="float64")
    u = limpid.random.uniform(low, high, 5, generator=Generator(2))
    limpid.sum(u).backward()
    total = low.grad.item() + high.grad.item()
    assert total == pytest.approx(5.0)
    assert x.dtype == u.dtype == limpid.float64


def draws(g: Generator) -> list[Any]:
    r = limpid.random
    p = np.array([0.2, 0.3, 0.5])
    return [
        r.uniform(-1.0, 3.0, (2, 3), generator=g),
        r.normal(2.0, 0.5, 5, dtype="float64", generator=g),
        r.truncated_normal(1.0, 2.0, 0.0, 1.0, 3, generator=g),
        r.integers(-5, 9, 4, generator=g),
        r.bernoulli(0.3, 6, generator=g),
        r.permutation(5, generator=g),
        r.permutation(np.arange(6.0).reshape(3, 2), generator=g),
        r.choice(3, (2, 2), p=p, generator=g),
        r.choice(3, 2, replace=False, p=p, generator=g),
        r.choice(7, 2, replace=False, generator=g),
        r.choice(7, (), generator=g),
    ]


def test_a_recorded_function_draws_fresh_numbers_as_eager_does() -> None:
    g, h = Generator(4), Generator(4)
    recorded = limpid.record(lambda: draws(g))
    assert g.state.numpy().tolist() == [4, 0]  # recording draws nothing
    results = []
    for _ in range(3):
        theirs, ours = recorded(), draws(h)
        for a, b in zip(theirs, ours, strict=True):
            assert a.spec == b.spec
            np.testing.assert_array_equal(a.numpy(), b.numpy())
        results.append(np.concatenate([a.numpy().ravel() for a in theirs]))
    assert not np.array_equal(results[0], results[1])
    assert g.state.numpy().tolist() == h.state.numpy().tolist()
    g.seed(4)
    again = np.concatenate([a.numpy().ravel() for a in recorded()])
    np.testing.assert_array_equal(again, results[0])


def test_a_replay_gives_the_same_numbers() -> None:
    """Running the graph changes no state: only what `writes` says would."""
    g = Generator(4)
    recorded = limpid.record(lambda: limpid.random.normal(shape=3, generator=g))
    first, writes = recorded.graph.evaluate([])
    second, _ = recorded.graph.evaluate([])
    np.testing.assert_array_equal(first[0], second[0])
    assert writes["random.state"].tolist() == [4, 1]


def test_shapes_and_types() -> None:
    r = limpid.random
    assert r.normal().shape == ()
    assert r.normal(np.zeros((3, 1), np.float32), [1.0, 2.0]).shape == (3, 2)
    assert r.normal(np.zeros(3)).dtype == limpid.float64
    assert r.normal(np.float64(0), dtype=None).dtype == limpid.float32  # NumPy scalars are weak
    assert r.uniform(shape=(0, 4)).shape == (0, 4)
    for dtype in ("float16", "float32", "float64"):
        u = r.uniform(shape=1000, dtype=dtype).numpy()
        assert u.dtype == dtype
        assert u.min() >= 0
        assert u.max() < 1
        assert np.isfinite(r.normal(shape=1000, dtype=dtype).numpy()).all()
    assert r.normal(limpid.tensor([1, 2])).dtype == limpid.float32
    leaf = r.normal(shape=2)
    leaf.requires_grad = True
    assert leaf.is_leaf


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda r: r.uniform(2.0, 1.0), "ArgumentError"),
        (lambda r: r.normal(0.0, -1.0), "ArgumentError"),
        (lambda r: r.normal(0.0, float("nan")), "ArgumentError"),
        (lambda r: r.normal(shape=(2, -1)), "ShapeError"),
        (lambda r: r.normal(shape="ab"), "ArgumentError"),
        (lambda r: r.normal(shape=2.5), "ArgumentError"),
        (lambda r: r.normal(dtype="int32"), "DTypeError"),
        (lambda r: r.normal(np.zeros(3), np.ones(2)), "ShapeError"),
        (lambda r: r.truncated_normal(low=2.0, high=1.0), "ArgumentError"),
        (lambda r: r.truncated_normal(low=50.0, high=60.0), "ArgumentError"),
        (lambda r: r.truncated_normal(low=float("nan")), "ArgumentError"),
        (lambda r: r.integers(3, 3), "ArgumentError"),
        (lambda r: r.integers(0.5), "ArgumentError"),
        (lambda r: r.integers(0, 300, dtype="uint8"), "ArgumentError"),
        (lambda r: r.integers(3, dtype="float32"), "DTypeError"),
        (lambda r: r.bernoulli(1.5), "ArgumentError"),
        (lambda r: r.permutation(-1), "ArgumentError"),
        (lambda r: r.permutation(np.array(2.0)), "ShapeError"),
        (lambda r: r.choice(3, 4, replace=False), "ArgumentError"),
        (lambda r: r.choice(3, p=[0.5, 0.5]), "ShapeError"),
        (lambda r: r.choice(2, p=[0.5, 0.6]), "ArgumentError"),
        (lambda r: r.choice(2, p=[-0.5, 1.5]), "ArgumentError"),
        (lambda r: r.choice(3, 2, replace=False, p=[0.0, 1.0, 0.0]), "ArgumentError"),
        (lambda r: r.choice(0), "ArgumentError"),
        (lambda r: r.Generator(-1), "ArgumentError"),
        (lambda r: r.Generator(2**64), "ArgumentError"),
        (lambda r: r.Generator("x"), "ArgumentError"),
        (lambda r: limpid.record(lambda: r.default_generator().split(2)), "AbstractError"),
        (lambda r: limpid.record(lambda: r.default_generator().state_dict()), "AbstractError"),
    ],
)
def test_errors(call: Any, error: str) -> None:
    with pytest.raises(getattr(limpid.errors, error)):
        call(limpid.random)
