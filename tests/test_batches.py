"""Scaling, splitting, data in memory, and mini-batches that go on where they stopped."""

from __future__ import annotations

import numpy as np
import pytest

from limpid.data import Batches, from_arrays, split_by_class
from limpid.data.scaling import fit_scaling
from limpid.errors import ArgumentError, DataError
from limpid.random import Generator

RNG = np.random.default_rng(0)


# Scaling, splitting


def test_scaling():
    x = np.array([[0.0, 5.0, 7.0], [4.0, 5.0, 9.0]])
    standard = fit_scaling("standard", x).apply(x)
    np.testing.assert_allclose(standard, [[-1, 0, -1], [1, 0, 1]])  # a constant feature becomes 0
    np.testing.assert_allclose(fit_scaling("unit", -x).apply(x), x / 9)
    np.testing.assert_array_equal(fit_scaling("none", x).apply(x), x.astype(np.float32))
    np.testing.assert_array_equal(fit_scaling("unit", x * 0).apply(x), x.astype(np.float32))
    with pytest.raises(ArgumentError):
        fit_scaling("log", x)


def test_split_is_stratified_and_fixed():
    y = np.repeat([0, 1, 2], [50, 20, 10])
    train, test = split_by_class(y, 0.2)
    assert np.bincount(y[test]).tolist() == [10, 4, 2]
    assert sorted([*train, *test]) == list(range(80))
    np.testing.assert_array_equal(test, split_by_class(y, 0.2)[1])
    for fraction in (0, 1, -1, 2, float("nan")):
        with pytest.raises(ArgumentError):
            split_by_class(y, fraction)


# Batches


@pytest.mark.parametrize("size", [1, 3, 5, 7, 100, None])
def test_an_epoch_takes_everything_once(size):
    batches = Batches(7, size, Generator(1))
    for _ in range(3):
        parts = list(batches)
        assert len(parts) == len(batches)
        assert sorted(np.concatenate(parts).tolist()) == list(range(7))
    assert all(len(p) == min(size or 7, 7) for p in parts[:-1])


def test_full_batches_keep_their_order():
    assert next(iter(Batches(5, None, Generator(0)))).tolist() == [0, 1, 2, 3, 4]


def test_epochs_differ_and_seeds_decide():
    a, b, c = (Batches(50, 50 // 2, Generator(seed)) for seed in (3, 3, 4))
    first, second = np.concatenate(list(a)), np.concatenate(list(a))
    assert first.tolist() != second.tolist()
    assert first.tolist() == np.concatenate(list(b)).tolist()
    assert first.tolist() != np.concatenate(list(c)).tolist()


@pytest.mark.parametrize("taken", range(9))
def test_batches_go_on_where_they_stopped(taken):
    """Seven examples by two: four batches an epoch; stop after any of two epochs' batches."""
    generator = Generator(5)
    batches = Batches(7, 2, generator)

    def forever(batches):
        while True:
            yield from batches

    stream = forever(batches)
    for _ in range(taken):
        next(stream)
    state = batches.state_dict()
    expected = [next(stream).tolist() for _ in range(9)]
    other = Batches(7, 2, Generator(99))
    other.load_state_dict(state)
    again = forever(other)
    assert [next(again).tolist() for _ in range(9)] == expected


def test_impossible_batches():
    for count, size in ((0, 1), (5, 0), (5, -1)):
        with pytest.raises(ArgumentError):
            Batches(count, size, Generator(0))


# Arrays in memory


def test_from_arrays():
    x, y = RNG.normal(size=(20, 2, 3)), np.arange(20) % 2
    data = from_arrays(x, y.tolist(), name="mine")
    assert (data.name, data.features, len(data.test)) == ("mine", 6, 4)
    assert data.digest == from_arrays(x, y).digest == from_arrays(x, y, scale="none").digest
    assert data.digest != from_arrays(x + 1, y).digest
    with pytest.raises(ArgumentError):
        from_arrays(x, y, x)
    with pytest.raises(DataError):
        from_arrays([], [])
