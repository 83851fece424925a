"""Space warping: the data that pictures show is right, what is wrong is said, files are whole."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.cli import main
from limpid.diagnosis import figures
from limpid.diagnosis.warp import from_arrays, make_points, read_points, warp
from limpid.diagnosis.warp.contours import Window, join, line_in_window, zero_segments
from limpid.diagnosis.warp.frames import find_boundary, grid_lines
from limpid.errors import ArgumentError, DataError, MissingLibraryError, OperandError

ACTIVATIONS = {
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
}


def weights(found: Any) -> list[tuple[Any, Any]]:
    layers = [module for module in found.model if isinstance(module, nn.Linear)]
    return [(la.weight.detach().numpy(), la.bias.detach().numpy()) for la in layers]


def by_hand(found: Any, activation: str, x: Any) -> list[Any]:
    """The values before and after each module, computed with NumPy."""
    values = [x]
    for number, (weight, bias) in enumerate(weights(found)):
        values += [ACTIVATIONS[activation](values[-1])] if number else []
        values.append(values[-1] @ weight.T + bias)
    return values


# Points


@pytest.mark.parametrize("kind", ["spirals", "moons", "circles", "xor"])
def test_points_are_those_of_the_seed(kind):
    first, again, other = (make_points(kind, 51, 0.1, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.x, again.x)
    assert (first.x != other.x).any()
    assert first.x.shape == (51, 2)
    assert np.bincount(first.y).tolist() == [26, 25]


def test_shapes_without_noise():
    circles, xor = make_points("circles", 40, 0.0), make_points("xor", 40, 0.0)
    radius = np.linalg.norm(circles.x, axis=1)
    np.testing.assert_allclose(radius, np.where(circles.y == 0, 1.0, 0.5), rtol=1e-6)
    np.testing.assert_array_equal(xor.y == 1, xor.x[:, 0] * xor.x[:, 1] < 0)
    spirals = make_points("spirals", 40, 0.0)
    np.testing.assert_allclose(spirals.x[:20], -spirals.x[20:], atol=1e-6)
    moons = make_points("moons", 40, 0.0).x
    np.testing.assert_allclose(moons[:20], -moons[20:], atol=1e-6)


TABLE = "width,height,kind\n1,2,<b>a</b>\n2,1,b & c\n1.5,2.5,<b>a</b>\n2.5,0.5,b & c\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "points.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_is_read_and_standardised(tmp_path):
    points = read_points(write(tmp_path, TABLE))
    assert points.classes == ("<b>a</b>", "b & c")
    assert points.y.tolist() == [0, 1, 0, 1]
    np.testing.assert_allclose(points.x.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(points.x.std(axis=0), 1, rtol=1e-6)
    assert points.note == "standardised"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("a,b,label\n", "a header but no rows"),
        ("1,2,3,0\n4,5,6,1\n", "3 features, but the plane has 2 coordinates"),
        ("1,0\n2,1\n", "1 feature, but"),
        ("1,2,0\n3,4,0\n", "nothing to tell apart"),
        ("1,2,0\n3,nan,1\n", "row 2, column 2: 'nan' is not a number"),
        ("1,2,0\n3,inf,1\n", "is not a number"),
        ("1,2,0\n3,1e300,1\n", "too large for float32"),
        ("1,2,0\n3,x,1\n", "'x' is not a number"),
        ("1,2,0\n3,4\n", "row 2 has 2 cells"),
        ("".join(f"{i},{i},{i}\n" for i in range(7)), "7 classes; up to 6"),
    ],
)
def test_tables_that_are_no_points(tmp_path, text, words):
    path = write(tmp_path, text)
    with pytest.raises(DataError, match=re.escape(words)) as caught:
        read_points(path)
    assert str(path) in str(caught.value)


def test_arguments_that_make_no_sense(tmp_path):
    for wrong in (
        {"data": "squares"}, {"n": 1}, {"n": 2.5}, {"noise": -1}, {"noise": float("nan")},
        {"noise": True}, {"seed": -1}, {"epochs": -1}, {"lr": 0}, {"lr": float("inf")},
        {"frames": 0}, {"hidden": (0,)}, {"hidden": (600,)}, {"activation": "step"},
        {"label": "kind"}, {"data": str(write(tmp_path, TABLE)), "noise": 0.1},
    ):  # fmt: skip
        with pytest.raises(ArgumentError):
            warp(**{"data": "xor", "epochs": 0, "frames": 1, **wrong})
    with pytest.raises(OperandError, match="from_arrays"):
        warp([[0, 1]])
    with pytest.raises(DataError, match="No such file"):
        read_points(tmp_path / "nothing.csv")


def test_a_run_that_diverges_says_so():
    with pytest.raises(ArgumentError, match="has diverged; a smaller learning rate than 1e\\+30"):
        warp("xor", (2,), lr=1e30, activation="relu", epochs=5, n=20)


# What the planes show


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_points_and_grid_are_what_the_layers_make_of_them(activation):
    found = warp("moons", (2, 2), activation=activation, epochs=20, n=40, frames=3)
    grid = grid_lines(found.views[0].window)
    expected = zip(by_hand(found, activation, found.points.x), by_hand(found, activation, grid))
    for view, plane, (places, lines) in zip(found.views, found.frames[-1].planes, expected):
        assert view.stage.is_plane
        np.testing.assert_allclose(plane.points, places, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(plane.grid, lines, rtol=1e-4, atol=1e-4)


def test_the_grid_is_straight_and_spans_the_window():
    grid = grid_lines(Window(1.0, 2.0, 3.0))
    vertical, level = np.split(grid, 2)
    assert (vertical[:, :, 0] == vertical[:, :1, 0]).all()
    assert (level[:, :, 1] == level[:, :1, 1]).all()
    assert grid[..., 0].min() == -2
    assert grid[..., 1].max() == 5


def test_frames_are_moments_of_the_training():
    found = warp("moons", (2,), epochs=30, n=40, frames=4)
    assert [frame.epoch for frame in found.frames] == [0, 3, 13, 30]
    short = warp("moons", (2,), epochs=3, n=40, frames=1)
    middle, end = found.frames[1], short.frames[0]
    assert middle.loss == end.loss
    np.testing.assert_array_equal(middle.planes[0].points, end.planes[0].points)
    np.testing.assert_allclose(middle.planes[-1].points, end.planes[-1].points, rtol=1e-6)


def test_many_epochs_have_the_frames_that_were_asked_for():
    found = warp("xor", (2,), epochs=300, n=4, frames=4)
    assert [frame.epoch for frame in found.frames] == [0, 33, 133, 300]


def test_loss_and_accuracy_are_those_of_the_scores():
    found = warp("xor", (3,), epochs=40, n=60, frames=1)
    scores = found.frames[-1].planes[-1].points.astype(np.float64)
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    chosen = chances[np.arange(60), found.points.y]
    assert found.frames[-1].loss == pytest.approx(-np.log(chosen).mean(), rel=1e-4)
    assert found.frames[-1].accuracy == np.mean(scores.argmax(axis=1) == found.points.y)


def test_hyperplanes_are_where_units_are_zero():
    found = warp("moons", (2, 2), activation="relu", epochs=30, n=40, frames=1, seed=3)
    layers = weights(found)
    lines = [(k, line) for k, p in enumerate(found.frames[-1].planes) for line in p.hyperplanes]
    assert {line.layer for _, line in lines} == {1, 2}
    for place, line in lines:
        assert place == 2 * (line.layer - 1)
        weight, bias = (part[line.unit].astype(np.float64) for part in layers[line.layer - 1])
        np.testing.assert_allclose(line.ends @ weight + bias, 0, atol=1e-9)
        left, right, bottom, top = found.views[place].window.bounds
        for x, y in line.ends:
            sides = min(abs(x - left), abs(x - right)), min(abs(y - bottom), abs(y - top))
            assert min(sides) < 1e-9  # it ends at a side of the window
        middle = line.ends.mean(axis=0) + 0.1 * line.normal
        assert middle @ weight + bias > 0
        assert np.linalg.norm(line.normal) == pytest.approx(1)


def test_folds_are_where_deeper_units_are_zero():
    found = warp("moons", (3, 2), activation="relu", epochs=30, n=40, frames=1, seed=1)
    folds = found.frames[-1].planes[0].folds
    assert {(fold.layer, fold.unit) for fold in folds} == {(2, 0), (2, 1)}
    assert sum(len(fold.segments) for fold in folds) > 20
    for fold in folds:
        values = by_hand(found, "relu", fold.segments.astype(np.float64))[3]
        assert np.abs(values[..., fold.unit]).max() < 1e-4
    assert not found.frames[-1].planes[1].folds


@pytest.mark.parametrize("kind", ["xor", "three"])
def test_the_boundary_is_where_probabilities_are_equal(kind):
    points = three_classes() if kind == "three" else make_points("xor", 60)
    found = warp(points, (2, 2), epochs=60, frames=1)
    for k, (view, plane) in enumerate(zip(found.views, found.frames[-1].planes)):
        if not view.stage.is_plane:
            continue
        scores = values_from(found, k, plane.boundary.reshape(-1, 2))
        chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        best = np.sort(chances, axis=1)
        assert len(best) > 10
        assert np.abs(best[:, -1] - best[:, -2]).max() < 1e-3
        inside = np.abs(plane.boundary - [view.window.x, view.window.y]).max()
        assert inside <= view.window.half * (1 + 1e-6)


def values_from(found: Any, start: int, x: Any) -> Any:
    value = limpid.asarray(x.astype(np.float32))
    with limpid.no_grad():
        for module in list(found.model)[start:]:
            value = module(value)
    return value.numpy().astype(np.float64)


def three_classes() -> Any:
    rng = np.random.default_rng(0)
    middles = np.array([[0.0, 1.0], [-1.0, -0.6], [1.0, -0.6]])
    y = np.repeat([0, 1, 2], 20)
    return from_arrays(middles[y] + rng.normal(size=(60, 2)) * 0.2, y, ("up", "left", "right"))


def test_each_boundary_of_three_classes_is_found_once():
    model = nn.Sequential(nn.Linear(2, 3))
    limpid.assign(model[0].weight, np.array([[0, 1], [-1, -1], [1, -1]], np.float32))
    limpid.assign(model[0].bias, np.zeros(3, np.float32))
    found = find_boundary(list(model), Window(0, 0, 1))
    length = np.linalg.norm(found[:, 0] - found[:, 1], axis=1).sum()
    # From the origin: down to (0, −1), and to (±1, ½), where 2y = ±x.
    assert length == pytest.approx(1 + 2 * np.sqrt(1.25), rel=0.02)


def test_the_shading_is_the_likelier_class():
    found = warp("circles", (2,), epochs=20, n=40, frames=1)
    plane, window = found.frames[-1].planes[0], found.views[0].window
    size = len(plane.winners)
    scores = values_from(found, 0, window.lattice(size).reshape(-1, 2))
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_array_equal(plane.winners.reshape(-1), scores.argmax(axis=1))
    np.testing.assert_allclose(plane.confidence.reshape(-1), chances.max(axis=1), rtol=1e-4)


def test_wider_layers_are_seen_by_principal_components():
    found = warp("circles", (5,), epochs=30, n=50, frames=2)
    values = by_hand(found, "tanh", found.points.x)[2].astype(np.float64)
    view, plane = found.views[2], found.frames[-1].planes[2]
    centred = values - values.mean(axis=0)
    variances = np.linalg.eigvalsh(centred.T @ centred)[::-1]
    assert view.shares == pytest.approx(tuple(variances[:2] / variances.sum()), rel=1e-4)
    np.testing.assert_allclose(np.sum(plane.points**2, axis=0), variances[:2], rtol=1e-3)
    assert "principal components of 5" in view.note
    assert not plane.winners.size
    scores = by_hand(found, "tanh", found.frames[-1].planes[0].boundary)
    np.testing.assert_allclose(plane.boundary, view.project(scores[2]), atol=1e-4)


def test_layers_of_one_unit_lie_on_a_line():
    found = warp("moons", (1,), epochs=5, n=20, frames=1)
    plane = found.frames[-1].planes[1]
    assert (plane.points[:, 1] == 0).all()
    assert found.views[1].note == "one dimension only"


def test_regions_of_a_network_that_is_known():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    limpid.assign(model[0].weight, np.eye(2, dtype=np.float32))
    limpid.assign(model[0].bias, np.zeros(2, np.float32))
    found = warp(make_points("xor", 20), model=model, epochs=0)
    assert found.frames[-1].regions == 4
    assert [view.stage.title for view in found.views][2] == "layer 1: ReLU"


def test_networks_that_warp_no_plane():
    for model, error in (
        (nn.Linear(2, 2), OperandError),
        (nn.Sequential(nn.Linear(3, 2)), ArgumentError),
        (nn.Sequential(nn.ReLU()), ArgumentError),
        (nn.Sequential(nn.Linear(2, 3)), ArgumentError),
    ):
        with pytest.raises(error):
            warp("xor", model=model, epochs=0)


def test_no_hidden_layer_is_a_line():
    found = warp("moons", (), epochs=20, n=40, frames=1)
    boundary = found.frames[-1].planes[0].boundary
    assert len(join(boundary)) == 1
    directions = boundary[:, 1] - boundary[:, 0]
    cross = directions[:, 0] * directions[0, 1] - directions[:, 1] * directions[0, 0]
    assert np.abs(cross).max() < 1e-5


def test_same_seed_same_numbers_and_the_generator_is_left_alone():
    limpid.manual_seed(5)
    expected = limpid.random.normal(shape=(3,)).tolist()
    limpid.manual_seed(5)
    first, again = (warp("spirals", epochs=10, n=40, frames=3, seed=2) for _ in range(2))
    assert limpid.random.normal(shape=(3,)).tolist() == expected
    assert first.data == again.data
    other = warp("spirals", epochs=10, n=40, frames=3, seed=3)
    assert first.data["frames"][-1]["loss"] != other.data["frames"][-1]["loss"]


# Curves


def test_lines_that_miss_the_window():
    window = Window(0, 0, 1)
    assert not len(line_in_window(np.array([1.0, 0.0]), 5.0, window))
    assert not len(line_in_window(np.zeros(2), 0.0, window))
    assert not len(line_in_window(np.array([np.nan, 1.0]), 0.0, window))
    np.testing.assert_allclose(line_in_window(np.array([0.0, 2.0]), 1.0, window)[:, 1], -0.5)


def test_crossing_curves_keep_apart():
    saddle = zero_segments(lambda p: p[:, 0] * p[:, 1] - 1e-4, Window(0, 0, 1), 20)
    assert np.abs(saddle[..., 0] * saddle[..., 1] - 1e-4).max() < 1e-9
    assert len(join(saddle)) == 2
    for sign in (1, -1):  # a cell in which two branches pass: each keeps to its side
        coarse = zero_segments(lambda p, s=sign: p[:, 0] * p[:, 1] * s - 0.02, Window(0, 0, 1), 4)
        across = coarse @ [1, sign]
        assert len(coarse) > 4
        assert (across[:, 0] * across[:, 1] > 0).all()
    assert not len(zero_segments(lambda p: np.ones(len(p)), Window(0, 0, 1), 20))
    assert not len(zero_segments(lambda p: np.full(len(p), np.nan), Window(0, 0, 1), 20))


# Files


@pytest.fixture(scope="module")
def small() -> Any:
    return warp("xor", (2,), epochs=10, n=20, frames=3)


@pytest.mark.parametrize("ending", [".svg", ".png", ".pdf", ".gif", ".apng", ".html", ".json"])
def test_every_kind_of_file(small, tmp_path, ending):
    path = small.save(tmp_path / f"warp{ending}")
    starts = {".png": b"\x89PNG", ".apng": b"\x89PNG", ".pdf": b"%PDF", ".gif": b"GIF8",
              ".svg": b"<svg", ".html": b"<!doctype html>", ".json": b"{"}  # fmt: skip
    assert path.read_bytes().startswith(starts[ending])
    assert path.read_bytes() == small.save(tmp_path / f"again{ending}").read_bytes()


@pytest.mark.parametrize("ending", [".gif", ".apng"])
def test_animations_have_all_moments(small, tmp_path, ending):
    from PIL import Image

    with Image.open(small.save(tmp_path / f"warp{ending}")) as image:
        assert image.n_frames == len(small.frames) == 3
        shown = []
        for number in range(3):
            image.seek(number)
            shown.append(np.asarray(image.convert("RGB")).astype(int))
    assert all((picture[0, 0] == 255).all() for picture in shown)
    assert (shown[0] != shown[1]).any(axis=2).mean() > 0.001
    middle = shown[0][len(shown[0]) // 2 :, -40:]  # beside the legend nothing moves
    np.testing.assert_array_equal(middle, shown[2][len(shown[2]) // 2 :, -40:])


def test_data_is_what_was_saved(small, tmp_path):
    stored = json.loads(small.save(tmp_path / "warp.json").read_text())
    assert stored == json.loads(json.dumps(small.data))
    plane = stored["frames"][-1]["planes"][0]
    np.testing.assert_array_equal(plane["points"], small.points.x)


def test_unknown_endings(small, tmp_path):
    with pytest.raises(ArgumentError, match=re.escape(".html, .svg")):
        small.save(tmp_path / "warp.bmp")


def test_without_matplotlib_pages_still_come(small, tmp_path, monkeypatch):
    import builtins

    usual = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.split(".")[0] == "matplotlib":
            raise ImportError(name)
        return usual(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert small.save(tmp_path / "warp.html").exists()
    with pytest.raises(MissingLibraryError, match=re.escape("pip install 'limpid[pictures]'")):
        small.save(tmp_path / "warp.png")


def test_settings_of_the_user_stay(small, tmp_path):
    import matplotlib

    matplotlib.rcParams["font.size"] = 31.0
    try:
        small.save(tmp_path / "warp.svg")
        assert matplotlib.rcParams["font.size"] == 31.0
        assert "31px" not in (tmp_path / "warp.svg").read_text()
    finally:
        matplotlib.rcdefaults()


def test_names_in_pictures_are_text(tmp_path):
    points = from_arrays(np.eye(2), np.array([0, 1]), ("<script>", "$\\frac{"), "a $ <b>")
    path = warp(points, (2,), epochs=0, frames=1).save(tmp_path / "warp.svg")
    text = path.read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "$\\frac{" in text


def test_dark_pictures(small, tmp_path):
    from PIL import Image

    for ending in (".png", ".gif", ".apng"):
        for dark, paper in ((True, figures.DARK.paper), (False, figures.LIGHT.paper)):
            with Image.open(small.save(tmp_path / f"d{ending}", dark=dark)) as image:
                assert "#{:02x}{:02x}{:02x}".format(*image.convert("RGB").getpixel((0, 0))) == paper
    assert "prefers-color-scheme:dark" in small.save(tmp_path / "d.svg").read_text()


def test_names_in_any_script(tmp_path):
    points = from_arrays(np.eye(2), np.array([0, 1]), ("猫", "\x07犬\ud800"), "點 🙂")
    found = warp(points, (2,), epochs=0, frames=2)
    for ending in (".svg", ".png", ".gif", ".html", ".json"):
        assert found.save(tmp_path / f"w{ending}").stat().st_size > 1000


# The command


def test_the_command(tmp_path, capsys):
    path = tmp_path / "w.html"
    assert main(["warp", "xor", "--hidden", "2", "3", "--epochs", "5", "--points", "20",
                 "--frames", "2", "-o", str(path), "--json"]) == 0  # fmt: skip
    told = json.loads(capsys.readouterr().out)
    assert told["title"] == "xor, 2 → 2 → 3 → 2, tanh"
    assert told["moments"] == 2
    assert path.exists()


def test_the_command_on_a_table(tmp_path, capsys):
    path = write(tmp_path, TABLE)
    assert main(["warp", str(path), "--epochs", "2", "-o", str(tmp_path / "w.json")]) == 0
    assert "of 4 points, standardised, are on" in capsys.readouterr().err
    assert main(["warp", str(write(tmp_path, "")), "-o", str(tmp_path / "w.html")]) == 1
    assert "empty" in capsys.readouterr().err
    assert main(["warp", "xor", "-o", str(tmp_path / "no" / "w.html"), "--epochs", "1"]) == 1
    assert "No such file" in capsys.readouterr().err


def test_the_course_of_the_loss_is_whole_even_for_one_frame():
    found = warp("xor", (2,), epochs=100, n=20, frames=1)
    assert len(found.course) > 50
    assert found.course[0][0] == 0
    assert found.course[-1] == (100, found.frames[-1].loss)
    assert [frame.epoch for frame in found.frames] == [100]
