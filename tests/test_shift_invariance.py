"""The example with digits anywhere on a canvas: scanning, plain networks, pooling, the picture."""

from __future__ import annotations

import zlib
from xml.etree import ElementTree

import numpy as np
import pytest

import limpid
from examples.shift_invariance import picture, train
from examples.shift_invariance.__main__ import main
from examples.shift_invariance.canvases import (
    CANVAS,
    DIGIT,
    LEFT,
    PLACES,
    RIGHT,
    digits_to_test,
    digits_to_train,
    place,
)
from examples.shift_invariance.network import MARGIN, MODELS, Scanner
from examples.shift_invariance.pooling import POOLS, changes
from examples.svg import Drawing, encode_png
from limpid.data import load_digits

# Canvases


def test_digits_lie_where_they_are_placed():
    digits = np.random.default_rng(0).random((3, DIGIT, DIGIT)).astype(np.float32)
    rows, columns = [0, 5, PLACES - 1], [PLACES - 1, 3, 0]
    canvases = place(digits, rows, columns)
    assert canvases.shape == (3, 1, CANVAS, CANVAS)
    for canvas, digit, row, column in zip(canvases[:, 0], digits, rows, columns):
        np.testing.assert_array_equal(canvas[row : row + DIGIT, column : column + DIGIT], digit)
        assert canvas.sum() == pytest.approx(digit.sum(), rel=1e-5)
    with pytest.raises(IndexError):
        place(digits[:1], [0], [PLACES])


def test_places_to_train_and_to_test_differ():
    assert not set(LEFT) & set(RIGHT)
    x, y = digits_to_train(2, seed=0)
    assert len(x) == len(y) == 2 * len(load_digits().train)
    assert not x[..., LEFT.stop + DIGIT - 1 :].any()
    assert not digits_to_test(RIGHT, seed=0)[0][..., : RIGHT.start].any()


# Networks


def test_a_digit_is_the_same_everywhere():
    """Scores do not depend on the place where all windows that see the digit are there."""
    limpid.random.seed(0)
    scanner = Scanner()
    digits = load_digits().test.x[:5]
    inner = range(DIGIT - 1 - MARGIN, PLACES - (DIGIT - 1 - MARGIN))
    scores = [
        scanner(place(digits, [row] * 5, [column] * 5)).detach().numpy()
        for row, column in [(inner[0], inner[-1]), (6, 6), (inner[-1], inner[0])]
    ]
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-6)
    np.testing.assert_allclose(scores[2], scores[1], atol=1e-6)


def test_the_deciding_window_moves_with_the_digit():
    limpid.random.seed(0)
    scanner = Scanner()
    digit = load_digits().test.x[:1]
    found = [picture.best_windows(scanner, place(digit, [row], [4]))[0] for row in (3, 9)]
    assert found[1] == (found[0][0] + 6, found[0][1])


def test_scanning_knows_digits_at_places_never_trained_on():
    scanning = train.test(train.train("scanning", seed=0, epochs=5, copies=1), seed=0)
    assert scanning["unseen places"] >= 0.8
    assert abs(scanning["seen places"] - scanning["unseen places"]) < 0.02
    wide = train.test(train.train("plain MLP, wide", seed=0, epochs=8, copies=1), seed=0)
    assert wide["seen places"] >= 0.4
    assert wide["unseen places"] <= 0.2


# Pooling


def test_pooling_forgets_small_shifts():
    digits = load_digits().test.x
    table = np.array([changes(digits, size) for size in POOLS.values()])  # (pools, shifts)
    assert np.all(np.diff(table, axis=0) < 0)  # the larger the window, the less it notices
    assert np.all(table[-1] == 0)  # the greatest of all pixels is the same wherever the digit lies
    one_dot = place(np.eye(DIGIT)[None, :1] * np.eye(DIGIT)[:1, :, None], [4], [4])
    assert one_dot.sum() == 1
    moved = np.roll(one_dot, 3, axis=3)  # from the left to the right end of a 4 × 4 window
    pooled = limpid.nn.functional.max_pool2d
    np.testing.assert_array_equal(pooled(moved, 4), pooled(one_dot, 4))
    assert np.any(pooled(moved, 2) != pooled(one_dot, 2))


# The command and its picture


def test_the_command(tmp_path, capsys):
    main(["--epochs", "1", "--copies", "1", "--tries", "1", "--output", str(tmp_path)])
    printed = capsys.readouterr().out
    assert all(f"| {name}" in printed for name in (*MODELS, *POOLS))
    root = ElementTree.parse(tmp_path / "places.svg").getroot()
    assert len(root.findall("{*}image")) == 4 + len(MODELS)


def test_heat_maps_are_png_files_whose_cells_keep_their_shades():
    shades = np.array([[0, 128, 255], [255, 0, 7]], np.uint8)
    file = encode_png(shades)
    start = file.index(b"IDAT") + 4
    rows = np.frombuffer(zlib.decompress(file[start:]), np.uint8).reshape(2, 4)
    np.testing.assert_array_equal(rows, np.pad(shades, ((0, 0), (1, 0))))  # filter 0, then bytes
    drawing = Drawing(10, 10)
    drawing.heat_map(np.full((2, 2), 0.5), (0, 0, 4, 4))  # all equal: nothing to divide by
    drawing.heat_map(np.array([[-1.0, 2.0]]), (0, 0, 4, 4), low=0, high=1)  # beyond both ends
    assert str(drawing).count("<image") == 2
