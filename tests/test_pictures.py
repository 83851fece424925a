"""Pictures of what networks do: their data is right, they draw, and they leave no trace."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import diagnosis, errors, nn, optim
from limpid.diagnosis.pictures import canvas
from limpid.graph.context import context
from limpid.nn import functional
from limpid.ops.plain.magnitudes import magnitudes

X = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
Y = np.array([0, 1, 2, 0, 1, 2])
IMAGES = np.random.default_rng(1).random((4, 1, 8, 8), np.float32)


def perceptron() -> nn.Sequential:
    limpid.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Dropout(0.5), nn.Linear(7, 3))


class Pictured(nn.Module):
    """A convolution with everything that a pass could change."""

    def __init__(self) -> None:
        self.conv = nn.Conv2d(1, 3, 3)
        self.norm = nn.BatchNorm2d(3)
        self.drop = nn.Dropout(0.5)
        self.last = nn.Linear(3 * 6 * 6, 4)

    def forward(self, x: Any) -> Any:
        hidden = limpid.relu(self.norm(self.conv(x)))
        return self.last(self.drop(hidden.reshape(len(x), -1)))


def loss_of(model: nn.Module) -> Any:
    return lambda: functional.cross_entropy(model(X), Y)


def watched(steps: int = 4) -> list[dict[str, Any]]:
    return [
        {
            "step": 10 * s,
            "values": {
                f"grad:{layer}.{kind}": {"norm": 10.0**-depth * (s + 1)}
                for depth, layer in enumerate(("out", "mid", "in"))
                for kind in ("weight", "bias")
            },
        }
        for s in range(steps)
    ]


def pictures() -> dict[str, Any]:
    """One of each kind."""
    model, network = perceptron(), Pictured()
    edges = np.linspace(-1, 1, 9)
    histogram = {"counts": [0, 1, 4, 9, 9, 4, 1, 0], "edges": edges}
    ridge = [{"step": s, "grad:fc.weight": {"histogram": histogram}} for s in range(5)]
    return {
        "flow": diagnosis.gradient_flow(watched()),
        "ridge": diagnosis.gradient_flow(ridge, kind="ridge"),
        "histograms": diagnosis.histograms(model, X, lambda s: functional.cross_entropy(s, Y)),
        "curve": diagnosis.landscape(loss_of(model), along="gradient", points=5),
        "plane": diagnosis.landscape(loss_of(model), points=5),
        "filters": diagnosis.filters(network),
        "maps": diagnosis.activation_maps(network, IMAGES),
        "saliency": diagnosis.saliency(network, IMAGES),
        "bars": diagnosis.saliency(model, X, kind="input*gradient"),
    }


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return pictures()


NAMES = (
    "flow", "ridge", "histograms", "curve", "plane", "filters", "maps", "saliency", "bars",
)  # fmt: skip


# Every picture


@pytest.mark.parametrize("name", NAMES)
def test_files(made: dict[str, Any], name: str, tmp_path: Path) -> None:
    picture = made[name]
    beginnings = {".svg": b"<svg", ".png": b"\x89PNG", ".pdf": b"%PDF", ".json": b"{", ".csv": b""}
    for ending, beginning in beginnings.items():
        path = picture.save(tmp_path / f"{name}{ending}")
        assert path.read_bytes().startswith(beginning)
        assert 50 < path.stat().st_size < 400_000
    root = ET.fromstring((tmp_path / f"{name}.svg").read_text())
    assert root.tag.endswith("svg")
    assert root.get("aria-label") == picture.title
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    assert len(picture.svg) < 150_000
    with pytest.raises(errors.ArgumentError, match=r"\.svg, \.png, \.pdf, \.json, \.csv"):
        picture.save(tmp_path / "picture.bmp")


@pytest.mark.parametrize("name", NAMES)
def test_data_is_plain(made: dict[str, Any], name: str) -> None:
    picture = made[name]
    data = picture.to_dict()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert set(data) == {"title", *picture.data}
    header, *rows = csv.reader(io.StringIO(picture.csv()))
    assert rows
    assert {len(row) for row in rows} == {len(header)}


@pytest.mark.parametrize("name", NAMES)
def test_the_same_picture_twice(made: dict[str, Any], name: str) -> None:
    assert pictures()[name].svg == made[name].svg


def test_notebooks(made: dict[str, Any]) -> None:
    assert made["flow"]._repr_svg_() == made["flow"].svg
    assert made["flow"].svg in made["flow"]._repr_html_()


def test_pyplot_is_left_alone() -> None:
    """Neither imported nor changed, whatever the user has set."""
    code = """if True:
        import sys, matplotlib
        matplotlib.rcParams.update({"axes.facecolor": "red", "svg.fonttype": "path"})
        def settings():  # not by dict(): that looks for a backend
            return {name: matplotlib.rcParams._get(name) for name in matplotlib.rcParams}
        before = settings()
        from limpid import diagnosis, nn
        picture = diagnosis.filters(nn.Conv2d(1, 2, 3))
        assert "#ff0000" not in picture.svg and "</text>" in picture.svg
        assert "matplotlib.pyplot" not in sys.modules
        assert settings() == before
        import matplotlib.pyplot as plt
        plt.figure(7)
        diagnosis.filters(nn.Conv2d(1, 2, 3)).svg
        assert plt.get_fignums() == [7] and plt.gcf().number == 7
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def test_only_drawing_imports_matplotlib() -> None:
    code = """if True:
        import sys
        from limpid import diagnosis, nn
        diagnosis.filters(nn.Conv2d(1, 2, 3)).to_dict()
        assert "matplotlib" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.split(".")[0] == "matplotlib":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    picture = diagnosis.filters(nn.Conv2d(1, 2, 3))
    assert picture.csv()
    with pytest.raises(errors.MissingLibraryError, match=r"pip install 'limpid\[pictures\]'"):
        _ = picture.figure
    assert picture._repr_svg_() is None
    assert "limpid[pictures]" in picture._repr_html_()


WILD = "<script>alert('1')</script> & $x^{$ \x00\x1b\u202e 漢字"


def test_names_are_text() -> None:
    picture = diagnosis.gradient_flow({1: {f"grad:{WILD}.weight": {"norm": 1.0}}})
    root = ET.fromstring(picture.svg)
    assert not [e for e in root.iter() if e.tag.endswith("script")]
    assert any("$x^{$" in text for text in root.itertext())
    assert diagnosis.histograms({WILD: np.ones(3)}).svg.count("<script") == 0


def test_powers_are_written_out() -> None:
    assert [canvas.power_of_ten(e) for e in (-12, 0, 3)] == ["10⁻¹²", "10⁰", "10³"]


# Gradient flow


def test_flow_takes_layers_together() -> None:
    data = diagnosis.gradient_flow(watched()).data
    assert data["layers"] == ["out", "mid", "in"]
    assert data["steps"] == [0, 10, 20, 30]
    expected = np.sqrt(2) * np.outer([1, 0.1, 0.01], [1, 2, 3, 4])
    np.testing.assert_allclose(data["norms"], expected, rtol=1e-12)
    single = diagnosis.gradient_flow(watched(), by="parameter").data
    assert single["layers"][:2] == ["out.weight", "out.bias"]
    np.testing.assert_allclose(single["norms"][0], [1, 2, 3, 4])


def test_flow_of_every_form_of_history() -> None:
    class Watch:
        history = watched()

    expected = diagnosis.gradient_flow(watched()).to_dict()
    as_dict = {line["step"]: line["values"] for line in watched()}
    flat = [{"step": line["step"], **line["values"]} for line in watched()]
    single = [{line["step"]: line["values"]} for line in watched()]
    for history in (Watch(), as_dict, flat, single):
        assert diagnosis.gradient_flow(history).to_dict() == expected


def test_flow_of_a_saved_history(tmp_path: Path) -> None:
    path = tmp_path / "seen.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in watched()))
    expected = diagnosis.gradient_flow(watched()).to_dict()
    assert diagnosis.gradient_flow(path).to_dict() == expected
    path.write_text('{"step": 1, "values": {"grad:a.w": {"norm": "inf"}}}\n')
    assert diagnosis.gradient_flow(path).data["norms"].tolist() == [[np.inf]]
    path.write_text("{broken")
    with pytest.raises(errors.RunError, match="is not the history of a watch"):
        diagnosis.gradient_flow(path)


def test_other_names_are_left_out() -> None:
    """A watch also looks at outputs, parameters and updates."""
    others = {"fc": {"norm": 1.0}, "state:fc.w": {"norm": 2.0}, "update:fc.w": {"norm": 3.0}}
    seen = {1: {**others, "grad:fc.w": {"norm": 4.0}}}
    assert diagnosis.gradient_flow(seen).data["norms"].tolist() == [[4.0]]
    with pytest.raises(errors.ArgumentError, match="no norms of gradients"):
        diagnosis.gradient_flow({1: others})


def test_layers_stay_in_order() -> None:
    """Also those that come later, such as a layer that is trained only from some step on."""
    late = {1: {"grad:a.w": 1.0, "grad:c.w": 1.0}, 2: {f"grad:{n}.w": 1.0 for n in "abc"}}
    assert diagnosis.gradient_flow(late).data["layers"] == ["a", "b", "c"]


def test_flow_of_numbers_that_went_wrong() -> None:
    history = {
        1: {"grad:a.weight": {"norm": 1.0}, "grad:b.weight": {"norm": 0.0}},
        2: {"grad:a.weight": {"norm": np.nan}},
        3: {"grad:a.weight": {"norm": np.inf}, "grad:b.weight": {"norm": 1e-300}},
    }
    picture = diagnosis.gradient_flow(history)
    np.testing.assert_array_equal(picture.data["norms"], [[1, np.nan, np.inf], [0, np.nan, 1e-300]])
    np.testing.assert_array_equal(picture.data["taken"], [[1, 1, 1], [1, 0, 1]])
    assert "NaN or infinite" in picture.svg
    assert ">zero<" in picture.svg
    assert picture.to_dict()["norms"][0] == [1.0, "nan", "inf"]
    assert picture.csv().splitlines()[1:] == [
        "1,a,1.0", "1,b,0.0", "2,a,nan", "3,a,inf", "3,b,1e-300",
    ]  # fmt: skip


def test_norms_near_the_ends_of_the_range() -> None:
    history = {1: {f"grad:a.{p}": {"norm": 3e-200} for p in "wb"}}
    assert diagnosis.gradient_flow(history).data["norms"][0, 0] == pytest.approx(3e-200 * 2**0.5)


@pytest.mark.parametrize("history", [[], {}, watched(1), {5: {"grad:a.w": {"norm": 0.0}}}])
def test_flow_of_little(history: Any) -> None:
    assert diagnosis.gradient_flow(history).svg


def test_a_spike_survives_thinning() -> None:
    history = {s: {"grad:a.w": {"norm": 1e6 if s == 4321 else 1.0}} for s in range(10_000)}
    picture = diagnosis.gradient_flow(history)
    assert picture.data["norms"].shape == (1, 10_000)
    from limpid.diagnosis.pictures.logmap import MOST, thin_out

    steps, norms, taken = thin_out(*(picture.data[n] for n in ("steps", "norms", "taken")))
    assert len(steps) <= MOST
    assert norms.max() == 1e6
    assert taken.all()
    assert len(picture.svg) < 30_000


def test_flow_of_a_run(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    data = diagnosis.gradient_flow(run, by="parameter").data
    assert data["unit"] == "epoch"
    assert data["steps"] == [1, 2]
    for name, norms in zip(data["layers"], data["norms"], strict=True):
        assert norms.tolist() == [line["gradient_norms"][name] for line in lines]
    assert diagnosis.gradient_flow(lines, by="parameter").to_dict() == (
        diagnosis.gradient_flow(str(run / "metrics.jsonl"), by="parameter").to_dict()
    )


@pytest.mark.parametrize(
    ("history", "options", "error", "message"),
    [
        (7, {}, errors.OperandError, "a history is a watch"),
        ("nowhere", {}, errors.RunError, "nowhere is not a run folder"),
        ([{"a": 1, "b": 2}], {}, errors.OperandError, "a step and values"),
        ([{"step": "x", "values": {}}], {}, errors.OperandError, "a step and values"),
        (watched(), {"kind": "pie"}, errors.ArgumentError, "'heat' or 'ridge'"),
        (watched(), {"by": "colour"}, errors.ArgumentError, "'layer' or 'parameter'"),
        (watched(), {"kind": "ridge"}, errors.ArgumentError, "no histograms.*it has norm"),
        ({1: {"grad:a": {"mean": 1.0}}}, {}, errors.ArgumentError, "no norms of gradients.*mean"),
        ({1: {"grad:a": {"norm": "much"}}}, {}, errors.OperandError, "a number, not 'much'"),
        (
            {1: {"grad:a": {"histogram": [1, 2]}}},
            {"kind": "ridge"},
            errors.OperandError,
            "a: a histogram is",
        ),
    ],
)
def test_impossible_flows(history: Any, options: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=f"(?s){message}"):
        diagnosis.gradient_flow(history, **options)


def test_ridges_keep_counts() -> None:
    wide, narrow = np.linspace(-2, 2, 9), np.linspace(-1, 1, 9)
    counts = np.array([0, 1, 4, 9, 9, 4, 1, 0])
    history = {
        s: {f"grad:fc.{p}": {"histogram": {"counts": counts, "edges": e}}}
        for s, p, e in ((1, "weight", wide), (2, "weight", narrow))
    }
    layer = diagnosis.gradient_flow(history, kind="ridge").data["layers"]["fc"]
    assert layer["steps"] == [1, 2]
    assert layer["edges"].tolist() == wide.tolist()
    np.testing.assert_allclose(layer["counts"][0], counts)
    np.testing.assert_allclose(layer["counts"].sum(axis=1), counts.sum())
    np.testing.assert_allclose(layer["counts"][1], [0, 0, 1, 13, 13, 1, 0, 0])


def test_ridges_of_a_watch() -> None:
    """Counts over orders of magnitude, signs apart; drawn by magnitude alone."""
    counts = magnitudes(np.array([0.0] * 5 + [2.0] * 6 + [-2.0] * 7 + [np.nan]))
    seen = {s: {"grad:fc.weight": {"histogram": counts}, "fc": {"norm": 1.0}} for s in (1, 2)}
    picture = diagnosis.gradient_flow(seen, kind="ridge")
    layer = picture.data["layers"]["fc"]
    edges, found = layer["edges"], layer["counts"][0]
    assert edges.shape == (64,)
    assert (edges[31], edges[32], edges[53], edges[54]) == (0, 0, 1, 4)
    assert (edges[9], edges[10]) == (-4, -1)
    assert (found[31], found[53], found[9], found.sum()) == (5, 6, 7, 18)
    assert layer["nan"].tolist() == [1, 1]
    assert "NaN from step 1" in picture.svg
    assert "|gradient|" in picture.svg
    from limpid.diagnosis.pictures.ridges import Ridge

    folded = Ridge([1], found[None], edges, layer["nan"][:1]).without_signs()
    assert folded.edges[:2].tolist() == [0, 0]
    assert (folded.counts[0, 0], folded.counts[0, 53 - 31], folded.counts.sum()) == (5, 13, 18)


# Histograms


def test_histograms_count_what_there_is() -> None:
    model = perceptron()
    model.eval()
    found = diagnosis.histograms(model, X, lambda s: functional.cross_entropy(s, Y), bins=7).data
    assert list(found["histograms"]) == ["weights", "gradients", "activations"]
    total = loss_of(model)()
    gradients = limpid.grad(lambda m: functional.cross_entropy(m(X), Y))(model)
    hidden = np.tanh(X @ model[0].weight.value.T + model[0].bias.value)
    assert total.item() > 0
    for sort, name, array in (
        ("weights", "3.weight", model[3].weight.value),
        ("gradients", "0.weight", gradients["0.weight"]),
        ("activations", "1", hidden),
    ):
        h = found["histograms"][sort][name]
        counts, edges = np.histogram(np.asarray(array, np.float64), 7)
        assert h["counts"].sum() == h["size"] == np.size(array)
        np.testing.assert_allclose(h["edges"], edges, rtol=1e-5)
        assert np.abs(h["counts"] - counts).sum() <= 2  # rounding at an edge moves one
        assert h["mean"] == pytest.approx(float(np.mean(array)), rel=1e-4)


def test_ugly_arrays_have_histograms() -> None:
    arrays = {
        "empty": np.zeros(0), "scalar": np.float32(3), "constant": np.full(5, 1e30),
        "wrong": np.array([1.0, np.nan, np.inf, 0.0]), "all wrong": np.full(3, np.nan),
        "whole": np.arange(5), "truths": np.array([True, False]), "huge": np.array([-1e308, 1e308]),
    }  # fmt: skip
    picture = diagnosis.histograms(arrays)
    values = picture.data["histograms"]["values"]
    assert values["wrong"]["not_finite"] == 2
    assert values["wrong"]["zeros"] == 1
    assert values["constant"]["counts"].sum() == 5
    assert values["empty"]["size"] == 0
    assert "2 not finite" in picture.svg
    assert diagnosis.histograms({}).svg


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: diagnosis.histograms(3), errors.OperandError, "a limpid.nn.Module, not int"),
        (lambda: diagnosis.histograms({"a": "text"}), errors.OperandError, "a: .* of numbers"),
        (lambda: diagnosis.histograms({"a": X}, X), errors.ArgumentError, "belong to a model"),
        (lambda: diagnosis.histograms(perceptron(), bins=0), errors.ArgumentError, "bins"),
        (
            lambda: diagnosis.histograms(perceptron(), loss=limpid.sum),
            errors.ArgumentError, "loss needs x",
        ),
        (
            lambda: diagnosis.histograms(perceptron(), X, lambda s: s),
            errors.ShapeError, "the loss must return one float",
        ),
    ],
)  # fmt: skip
def test_impossible_histograms(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


# Landscapes


def training_step(model: nn.Module) -> Any:
    optimizer = optim.Adam(model.parameters())

    @limpid.compile
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def transformed_step(model: nn.Module) -> Any:
    return limpid.compile(
        lambda x, y: limpid.value_and_grad(lambda m: functional.cross_entropy(m(x), y))(model)[0]
    )


SURFACES = {
    "function": lambda model: lambda x, y: functional.cross_entropy(model(x), y),
    "compiled": lambda m: limpid.compile(lambda x, y: functional.cross_entropy(m(x), y)),
    "training step": training_step,
    "transformed step": transformed_step,
}


@pytest.mark.parametrize("kind", SURFACES)
def test_the_middle_is_the_loss_and_slopes_are_the_gradient(kind: str) -> None:
    model = perceptron()
    model.eval()
    loss = functional.cross_entropy(model(X), Y).item()
    gradients = limpid.grad(lambda m: functional.cross_entropy(m(X), Y))(model)
    norm = np.sqrt(sum(np.sum(np.square(g.value, dtype=np.float64)) for g in gradients.values()))
    size = np.sqrt(sum(np.sum(np.square(p.value, dtype=np.float64)) for p in model.parameters()))
    data = diagnosis.landscape(SURFACES[kind](model), X, Y, along="gradient", span=1e-2).data
    assert data["centre"] == pytest.approx(loss, rel=1e-6)
    assert data["loss"].shape == (61,)
    assert data["loss"][30] == data["centre"]
    assert data["slopes"][0] == pytest.approx(-norm * size, rel=1e-5)
    (x,) = data["distances"]
    numeric = np.polyfit(x, data["loss"], 3)[-2]
    assert numeric == pytest.approx(data["slopes"][0], rel=2e-3)


@pytest.mark.parametrize("kind", SURFACES)
def test_a_landscape_changes_nothing(kind: str) -> None:
    model = perceptron()  # in training: dropout draws
    before, counter = model.state_dict(), limpid.random.default_generator().state_dict()
    marks = [p.grad for p in model.parameters()]
    data = diagnosis.landscape(SURFACES[kind](model), X, Y, points=5).data
    assert data["loss"].shape == (5, 5)
    assert np.isfinite(data["loss"]).all()
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    after = limpid.random.default_generator().state_dict()
    assert {k: np.asarray(v).tolist() for k, v in after.items()} == {
        k: np.asarray(v).tolist() for k, v in counter.items()
    }
    assert [p.grad for p in model.parameters()] == marks == [None] * 4


def test_surfaces_agree_with_one_another() -> None:
    found = [
        diagnosis.landscape(make(perceptron().eval()), X, Y, points=5).data["loss"]
        for make in SURFACES.values()
    ]
    for one, other in pairwise(found):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_random_directions_are_as_long_as_the_filters() -> None:
    model = perceptron().eval()
    seen: list[Any] = []

    def loss() -> Any:
        seen.append({n: np.array(p.value, np.float64) for n, p in model.named_parameters()})
        return functional.cross_entropy(model(X), Y)

    diagnosis.landscape(loss, along="random", span=1.0, points=3)
    _, first, middle, last = seen  # the first call finds the parameters
    for name, there in middle.items():
        moved = last[name] - there
        np.testing.assert_allclose(first[name], there - moved, atol=1e-6)
        if there.ndim > 1:
            lengths = [np.linalg.norm(x, axis=1) for x in (moved, there)]
            np.testing.assert_allclose(*lengths, rtol=1e-5)
        else:
            assert not moved.any()


def test_a_direction_of_ones_own_and_a_part_of_the_parameters() -> None:
    w, v = limpid.Parameter([1.0, 2.0]), limpid.Parameter([3.0])
    w.node.op.label, v.node.op.label = "w", "v"

    def loss() -> Any:
        return limpid.sum(w * w) + limpid.sum(v * v)

    data = diagnosis.landscape(loss, along={"w": [1.0, 0.0]}, wrt=w, span=1, points=3).data
    assert data["loss"].tolist() == [13.0, 14.0, 17.0]
    assert data["slopes"] == [2.0]
    moved = diagnosis.landscape(loss, along="gradient", wrt="v", span=1, points=3).data
    assert moved["loss"].tolist() == [41.0, 14.0, 5.0]


def test_batch_statistics_are_not_taken_along() -> None:
    network = Pictured()
    before = network.state_dict()
    targets = np.arange(4)
    diagnosis.landscape(lambda: functional.cross_entropy(network(IMAGES), targets), points=3)
    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_landscapes_with_holes() -> None:
    w = limpid.Parameter([0.5, -0.2])
    hole = diagnosis.landscape(lambda: limpid.sum(limpid.log(w + 0.6)), span=3.0, points=9)
    assert np.isnan(hole.data["loss"]).any()
    assert "not finite" in hole.svg
    curve = diagnosis.landscape(lambda: limpid.sum(limpid.log(w + 0.6)), along="gradient", span=3.0)
    assert "not finite" in curve.svg
    flat = diagnosis.landscape(lambda: limpid.sum(w * 0.0), points=3)
    assert not flat.data["loss"].any()
    assert flat.svg
    nothing = diagnosis.landscape(lambda: limpid.sum(w) * np.nan, points=3)
    assert nothing.svg


def eager_training() -> Any:
    model = perceptron()

    def step() -> Any:
        loss = functional.cross_entropy(model(X), Y)
        loss.backward()
        return loss

    return step


W = limpid.Parameter([1.0])


def total() -> Any:
    return limpid.sum(W * W)


@pytest.mark.parametrize(
    ("loss", "options", "error", "message"),
    [
        (3, {}, errors.OperandError, "a function or a compiled step"),
        (lambda: 1.0, {}, errors.OperandError, "a scalar tensor"),
        (lambda: W * [1, 2], {}, errors.ShapeError, "one float"),
        (lambda: limpid.tensor(1.0), {}, errors.ArgumentError, "depends on no parameter"),
        (eager_training(), {}, errors.ArgumentError, r"backward\(\)"),
        (limpid.compile(lambda: W * [1.0, 2.0]), {}, errors.ArgumentError, "one loss"),
        (lambda: total() * 0.0, {"along": "gradient"}, errors.ArgumentError, "no direction"),
        (total, {"along": "up"}, errors.ArgumentError, "'up'"),
        (total, {"along": []}, errors.ArgumentError, "one or two"),
        (total, {"along": {"u": 1.0}}, errors.ArgumentError, "no 'u'"),
        (total, {"along": {"parameter": [1.0, 2.0]}}, errors.ShapeError, r"the shape \(1,\)"),
        (total, {"span": 0}, errors.ArgumentError, "span"),
        (total, {"points": 2}, errors.ArgumentError, "points"),
        (total, {"seed": -1}, errors.ArgumentError, "seed"),
        (total, {"wrt": "u"}, errors.ArgumentError, "no 'u'"),
        (total, {"wrt": 3}, errors.OperandError, "wrt is"),
    ],
)
def test_impossible_landscapes(loss: Any, options: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        diagnosis.landscape(loss, **options)


def test_a_step_without_gradients_has_no_slopes() -> None:
    evaluated = limpid.compile(limpid.no_grad(lambda: limpid.sum(W * W)))
    data = diagnosis.landscape(evaluated, along="random", points=3).data
    assert data["centre"] == 1.0
    assert np.isnan(data["slopes"][0])
    with pytest.raises(errors.ArgumentError, match="there is none"):
        diagnosis.landscape(evaluated, along="gradient")


# Filters, maps, saliency


def test_filters_are_the_weights() -> None:
    network = Pictured()
    weights = network.conv.weight.value
    np.testing.assert_array_equal(diagnosis.filters(network).data["filters"], weights)
    np.testing.assert_array_equal(diagnosis.filters(network.state_dict()).data["filters"], weights)
    digits = nn.Sequential(nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 3))
    found = diagnosis.filters(digits).data
    assert found["layer"] == "0"
    np.testing.assert_array_equal(found["filters"][:, 0].reshape(5, 64), digits[0].weight.value)
    shaped = diagnosis.filters(nn.Linear(24, 2), shape=(2, 3, 4)).data["filters"]
    assert shaped.shape == (2, 2, 3, 4)
    assert diagnosis.filters(network, "conv").data["layer"] == "conv"


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv1d(2, 3, 5), nn.Conv2d(3, 8, 5), nn.Conv2d(40, 40, 3), nn.Conv3d(1, 2, 3),
        nn.Conv2d(1, 300, 3), nn.Conv2d(1, 1, 1), nn.Linear(784, 200),
    ],
    ids=str,
)  # fmt: skip
def test_filters_of_many_shapes(layer: nn.Module) -> None:
    picture = diagnosis.filters(layer)
    assert len(picture.svg) < 130_000
    assert picture.data["filters"].size == next(layer.parameters()).size


def test_what_is_no_filter_is_passed_over() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.places = limpid.Parameter(np.zeros((1, 9, 4), np.float32))
            self.conv = nn.Conv2d(1, 2, 3)

    assert diagnosis.filters(Net()).data["layer"] == "conv"


def test_filters_that_are_not_finite() -> None:
    layer = nn.Conv2d(1, 2, 3)
    limpid.assign(layer.weight, np.full((2, 1, 3, 3), np.nan, np.float32))
    assert diagnosis.filters(layer).svg


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: diagnosis.filters(perceptron()), r"no convolution.*shape=\(H, W\)"),
        (lambda: diagnosis.filters(nn.ReLU()), "no convolution"),
        (lambda: diagnosis.filters(Pictured(), "fc9"), "no layer 'fc9'; there are: conv"),
        (lambda: diagnosis.filters(nn.Linear(12, 2), shape=(5, 5)), "of 12 numbers"),
    ],
)
def test_impossible_filters(call: Any, message: str) -> None:
    with pytest.raises(errors.LimpidError, match=f"(?s){message}"):
        call()


def test_maps_are_what_the_layer_returns() -> None:
    network = Pictured()
    expected = network.conv(limpid.asarray(IMAGES)).value
    found = diagnosis.activation_maps(network, IMAGES, example=2).data
    assert found["layer"] == "conv"
    np.testing.assert_array_equal(found["maps"], expected[2])
    np.testing.assert_array_equal(found["input"], IMAGES[2])
    flat = nn.Sequential(nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 2, 3))
    assert diagnosis.activation_maps(flat, IMAGES.reshape(4, -1)).data["layer"] == "1"
    named = diagnosis.activation_maps(network, IMAGES, "norm").data["maps"]
    scale = 1 / np.sqrt(1 + network.norm.eps)  # as after eval(): the running statistics
    np.testing.assert_allclose(named, expected[0] * scale, rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: diagnosis.activation_maps(perceptron(), X), "no layer of Sequential makes maps"),
        (lambda: diagnosis.activation_maps(Pictured(), IMAGES, "x"), "no layer 'x'; .* conv"),
        (lambda: diagnosis.activation_maps(Pictured(), IMAGES, "last"), "'last' makes no maps"),
        (lambda: diagnosis.activation_maps(Pictured(), IMAGES, example=4), "the batch has 4"),
        (lambda: diagnosis.activation_maps(len, IMAGES), "a limpid.nn.Module"),
    ],
)  # fmt: skip
def test_impossible_maps(call: Any, message: str) -> None:
    with pytest.raises(errors.LimpidError, match=message):
        call()


def test_saliency_is_the_gradient() -> None:
    model = perceptron().eval()
    x = X.astype(np.float32)
    targets = np.array([2, 1, 0, 2, 1, 0])
    expected = limpid.grad(lambda x: limpid.sum(model(x)[np.arange(6), targets]))(x)
    found = diagnosis.saliency(model, x, targets).data
    np.testing.assert_allclose(found["gradient"], expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(
        found["score"], model(limpid.asarray(x)).value[np.arange(6), targets]
    )
    product = diagnosis.saliency(model, x, targets, kind="input×gradient").data
    np.testing.assert_allclose(product["saliency"], x * expected, rtol=1e-5, atol=1e-7)
    best = diagnosis.saliency(model, x).data["target"]
    np.testing.assert_array_equal(best, model(limpid.asarray(x)).value.argmax(axis=1))
    one = diagnosis.saliency(model, x, 1).data["gradient"]
    column = limpid.grad(lambda x: limpid.sum(model(x)[:, 1]))(x)
    np.testing.assert_allclose(one, column, rtol=1e-5, atol=1e-7)


def test_smooth_saliency_is_a_mean_of_gradients() -> None:
    model = perceptron().eval()
    smooth = diagnosis.saliency(model, X, 0, smooth=3, noise=0.2, seed=5).data["gradient"]
    random = np.random.default_rng(5)
    spread = 0.2 * (X.max(axis=1, keepdims=True) - X.min(axis=1, keepdims=True))
    gradient = limpid.grad(lambda x: limpid.sum(model(x)[:, 0]))
    copies = [
        gradient((X + spread * random.standard_normal(X.shape)).astype(X.dtype)) for _ in range(3)
    ]
    np.testing.assert_allclose(smooth, np.mean(copies, axis=0), rtol=1e-4, atol=1e-6)
    without = diagnosis.saliency(model, X, 0, smooth=2, noise=0).data["gradient"]
    np.testing.assert_allclose(without, gradient(X), rtol=1e-5, atol=1e-7)


def test_passes_change_nothing() -> None:
    network = Pictured()
    network.norm.eval()  # a mode that differs
    before, modes = network.state_dict(), [m.training for m in network.modules()]
    for p in network.parameters():
        p.grad = limpid.asarray(np.ones(p.shape, np.float32))
    counter = limpid.random.default_generator().state_dict()
    x = limpid.tensor(IMAGES, requires_grad=True)
    with limpid.no_grad():
        diagnosis.saliency(network, x, 1, smooth=2)
    diagnosis.activation_maps(network, x)
    diagnosis.histograms(network, x, lambda s: functional.cross_entropy(s, np.arange(4)))
    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    assert [m.training for m in network.modules()] == modes
    assert all((p.grad.value == 1).all() for p in network.parameters())
    assert x.grad is None
    after = limpid.random.default_generator().state_dict()
    assert {k: np.asarray(v).tolist() for k, v in after.items()} == {
        k: np.asarray(v).tolist() for k, v in counter.items()
    }


def test_saliency_of_images_in_colour_and_of_nothing() -> None:
    colour = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(2 * 16, 3))
    for kind in ("gradient", "input×gradient"):
        picture = diagnosis.saliency(colour, np.ones((2, 3, 6, 6), np.float32), kind=kind)
        assert picture.data["saliency"].shape == (2, 3, 6, 6)
        assert picture.svg
    assert diagnosis.saliency(colour, np.full((1, 3, 6, 6), np.nan, np.float32)).svg
    assert diagnosis.saliency(perceptron(), np.zeros((0, 5), np.float32)).svg


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: diagnosis.saliency(perceptron(), X[0]), r"remedy: x\[None\]"),
        (lambda: diagnosis.saliency(perceptron(), X, 3), "from 0 to 2"),
        (lambda: diagnosis.saliency(perceptron(), X, [0, 1]), "one for each of the 6"),
        (lambda: diagnosis.saliency(perceptron(), X, kind="x"), "'gradient' or 'input×gradient'"),
        (lambda: diagnosis.saliency(perceptron(), X, noise=-1), "noise"),
        (lambda: diagnosis.saliency(perceptron(), X, shape=(2, 2)), "of 5 numbers"),
        (lambda: diagnosis.saliency(lambda x: x.detach(), X), "do not depend on x"),
        (lambda: diagnosis.saliency(lambda x: 3, X), "must return scores"),
        (lambda: diagnosis.saliency(3, X), "a module or a function"),
        (lambda: diagnosis.saliency(perceptron(), np.array(["a"])), "an array of numbers"),
    ],
)
def test_impossible_saliency(call: Any, message: str) -> None:
    with pytest.raises(errors.LimpidError, match=message):
        call()


# The report


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "digits & <b>"
    limpid.training.train(data="digits", hidden=(8,), epochs=2, output=folder)
    return folder


def test_the_report_of_a_run(run: Path) -> None:
    finding = {"rule": "vanishing", "where": WILD, "evidence": {"ratio": 1e-9}, "remedy": "ReLU"}
    page = diagnosis.report_page(run, [finding])
    assert page.count("<svg ") == 7
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "ratio: 1e-09" in page
    assert "Report of digits &amp; &lt;b&gt;" in page
    assert "default-src 'none'" in page
    assert len(page) < 300_000


def test_the_report_without_findings(run: Path) -> None:
    assert "Nothing was found" in diagnosis.report_page(run, [])
    assert "Findings" not in diagnosis.report_page(run)


def test_the_report_of_what_is_left_of_a_run(run: Path, tmp_path: Path) -> None:
    with pytest.raises(errors.RunError, match="no such run folder"):
        diagnosis.report_page(tmp_path / "none")
    with pytest.raises(errors.RunError, match="is not a run folder"):
        diagnosis.report_page(tmp_path)
    (tmp_path / "metrics.jsonl").write_text((run / "metrics.jsonl").read_text())
    assert "There are no weights to show" in diagnosis.report_page(tmp_path)
    (tmp_path / "config.json").write_text('["a"')
    (tmp_path / "checkpoint.safetensors").write_bytes(b"damaged")
    assert "There are no weights to show" in diagnosis.report_page(str(tmp_path))
    (tmp_path / "metrics.jsonl").write_text("")
    assert "No epoch has ended yet" in diagnosis.report_page(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1, "train_loss": NaN, "test_loss": null}\n')
    assert "the history has no norms" in diagnosis.report_page(tmp_path)


def test_the_report_of_updates_and_activations(tmp_path: Path) -> None:
    def line(epoch: int) -> dict[str, Any]:
        return {
            "epoch": epoch, "train_loss": 1.0, "test_loss": 2.0,
            "gradient_norms": {"fc.w": 1.0}, "weight_norms": {"fc.w": 4.0, "fc.b": 3.0},
            "update_norms": {"fc.w": 0.03, "fc.b": 0.04}, "activation_norms": {"fc": 7.0, "": 1.0},
        }  # fmt: skip

    lines = [line(1), line(2)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    page = diagnosis.report_page(tmp_path)
    assert page.count("<svg ") == 5  # loss, gradients, weights, updates, activations
    from limpid.diagnosis.pictures.flow import ratio_map
    from limpid.diagnosis.pictures.history import read_history

    found = ratio_map(read_history(tmp_path), "Updates", "ratio").data
    assert found["layers"] == ["fc"]
    np.testing.assert_allclose(found["norms"], [[0.01, 0.01]])


def test_pictures_are_imported_when_they_are_used() -> None:
    code = """if True:
        import sys, limpid, limpid.diagnosis
        assert not [m for m in sys.modules if m.startswith("limpid.diagnosis.pictures")]
        assert limpid.diagnosis.gradient_flow and "matplotlib" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'draw_all'"):
        _ = limpid.diagnosis.draw_all
    assert all(hasattr(diagnosis, name) for name in diagnosis.__all__)


def test_who_watches_modules_sees_nothing_of_it() -> None:
    seen: list[str] = []

    class Watching:
        def note_result(self, module: Any, scope: str, value: Any) -> None:
            seen.append(scope)

    model, state = perceptron(), context.state
    state.trail, before = Watching(), state.trail
    try:
        diagnosis.landscape(loss_of(model), points=3)
        diagnosis.histograms(model, X)
        diagnosis.saliency(model, X, smooth=1)
        diagnosis.activation_maps(Pictured(), IMAGES)
        assert not seen
        model(X)
        assert seen
    finally:
        state.trail = before
