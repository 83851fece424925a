"""The experiments of the lectures: against NumPy by hand, by seed, their sentences, their files."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from limpid import nn
from limpid.cli import main
from limpid.data import load_digits
from limpid.diagnosis.experiments import (
    EXPERIMENTS,
    compare_batches,
    compare_depths,
    compare_rates,
    compare_shifts,
)
from limpid.diagnosis.experiments.batch import WIDTHS
from limpid.diagnosis.experiments.depth import gradient_norms
from limpid.diagnosis.experiments.networks import build
from limpid.diagnosis.experiments.shift import CANVAS, DIGIT, MARGIN, draw_large, measure_changes
from limpid.errors import ArgumentError

SMALL: dict[str, dict[str, Any]] = {
    "depth": {"depths": (2, 4), "width": 6, "examples": 8},
    "batch": {"updates": 6},
    "rate": {"rates": (0.1, 1000.0), "epochs": 1},
    "shift": {"shifts": (0, 1, 2), "examples": 6, "epochs": 1},
}

# (activation, its derivative), both of what comes in
FUNCTIONS = {
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "relu": (lambda z: z * (z > 0), lambda z: (z > 0) * 1.0),
    "elu": (lambda z: np.where(z > 0, z, np.exp(np.minimum(z, 0)) - 1),
            lambda z: np.where(z > 0, 1.0, np.exp(np.minimum(z, 0)))),
}  # fmt: skip


def norms_by_hand(model: Any, activation: str, x: Any, y: Any) -> list[float]:
    """‖∂L/∂Wᵏ‖ by the chain rule, with NumPy."""
    layers = [module for module in model if isinstance(module, nn.Linear)]
    function, derivative = FUNCTIONS[activation]
    inputs, sums = [x], []
    for layer in layers:
        sums.append(inputs[-1] @ layer.weight.detach().numpy().T + layer.bias.detach().numpy())
        inputs.append(function(sums[-1]))
    exps = np.exp(sums[-1] - sums[-1].max(axis=1, keepdims=True))
    upstream = (exps / exps.sum(axis=1, keepdims=True) - np.eye(10)[y]) / len(y)  # ∂L/∂z
    found = []
    for k in reversed(range(len(layers))):
        found.append(float(np.sqrt(np.sum((upstream.T @ inputs[k]) ** 2))))
        if k:
            upstream = upstream @ layers[k].weight.detach().numpy() * derivative(sums[k - 1])
    return found[::-1]


@pytest.mark.parametrize("activation", list(FUNCTIONS))
@pytest.mark.parametrize("start", ["default", "xavier", "kaiming", "orthogonal"])
@pytest.mark.parametrize("depth", [2, 7, 30])
def test_depth_against_the_chain_rule_by_hand(activation, start, depth):
    rng = np.random.default_rng(depth)
    x, y = rng.normal(size=(9, 64)), rng.integers(0, 10, 9)
    found = gradient_norms(activation, start, depth, 12, x, y, seed=4)
    model = build((64, *[12] * (depth - 1), 10), activation, start, 4, "float64")
    np.testing.assert_allclose(found, norms_by_hand(model, activation, x, y), rtol=1e-9)
    assert len(found) == depth


def test_depth_reports_those_norms():
    digits = load_digits("standard").train
    x = digits.x[:8].reshape(8, 64).astype(np.float64)
    found = compare_depths(**SMALL["depth"])
    for result in found.results:
        model = build((64, *[6] * (result["depth"] - 1), 10), result["activation"],
                      result["start"], 0, "float64")  # fmt: skip
        expected = norms_by_hand(model, result["activation"], x, digits.y[:8])
        np.testing.assert_allclose(result["norms"], expected, rtol=1e-9)
    assert found.table.rows[0][2] == f"{found.results[0]['norms'][0]:.3g}"


def test_the_sentence_on_depth_follows_from_the_numbers():
    found = compare_depths((2, 12), ["sigmoid", "tanh"], ["xavier"], width=16, examples=16)
    sigmoid, tanh = (
        found.results[2 * i + 1]["norms"][0] / found.results[2 * i]["norms"][0] for i in (0, 1)
    )
    assert sigmoid < 1e-3 < tanh < 1
    assert 1e6 < 1 / sigmoid < 3e6
    assert "shrinks by a factor of 10⁶ with sigmoid" in found.sentence
    assert f"shrinks by a factor of {1 / tanh:.2g} with tanh and xavier" in found.sentence
    alone = compare_depths((3,), ["relu"], ["kaiming"], width=4, examples=4)
    assert "One depth" in alone.sentence or "one depth only" in alone.sentence


def test_each_run_of_the_batches_makes_its_updates():
    """Three updates by hand, with NumPy, for the full batch; and the loss of each moment."""
    found = compare_batches(("full",), updates=3, lr=0.5)
    part = load_digits().train
    x, y = part.x.reshape(len(part), -1).astype(np.float64), part.y
    model = build(WIDTHS, "relu", "kaiming", 0)
    w1, b1, w2, b2 = (p.detach().numpy().astype(np.float64) for p in model.parameters())
    losses = []
    for _ in range(4):
        z = x @ w1.T + b1
        scores = np.maximum(z, 0) @ w2.T + b2
        chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        losses.append(-np.log(chances[np.arange(len(y)), y]).mean())
        upstream = (chances - np.eye(10)[y]) / len(y)
        inner = upstream @ w2 * (z > 0)
        w2, b2 = w2 - 0.5 * upstream.T @ np.maximum(z, 0), b2 - 0.5 * upstream.sum(axis=0)
        w1, b1 = w1 - 0.5 * inner.T @ x, b1 - 0.5 * inner.sum(axis=0)
    np.testing.assert_allclose(found.results[0]["losses"], losses, rtol=1e-4)


def test_the_sentence_on_batches_follows_from_the_numbers():
    found = compare_batches((8, "full"), updates=60)
    reached = max(min(result["losses"]) for result in found.results)
    assert f"To a loss of {reached:.3g}," in found.sentence
    for result in found.results:
        first = next(n for n, loss in zip(result["updates"], result["losses"]) if loss <= reached)
        assert f"takes {first} updates" in found.sentence
        seconds = result["seconds"]
        assert seconds == sorted(seconds)
        assert seconds[0] < seconds[-1]


def test_batches_that_diverge_are_said_to():
    found = compare_batches((1,), updates=200, lr=1e6)
    assert not all(map(np.isfinite, found.results[0]["losses"])) or "takes" in found.sentence
    assert json.dumps(found.data, allow_nan=False)


def test_rates_fall_guess_and_diverge():
    found = compare_rates((1e-6, 0.3, 1000.0), epochs=1)
    assert [result["course"] for result in found.results] == ["guesses", "falls", "diverges"]
    tiny, good, wild = found.results
    assert abs(tiny["losses"][-1] - tiny["losses"][0]) < 1e-3
    assert tiny["losses"][0] == good["losses"][0] == wild["losses"][0]
    assert "at a rate of 0.3;" in found.sentence
    assert "diverges at 1e+03." in found.sentence
    assert found.plots[0].marks == [(1000.0, "diverges")]
    (lost,) = compare_rates((1e30,), epochs=1).results
    assert not np.isfinite(lost["losses"][-1])
    assert lost["course"] == "diverges"
    assert "falls at none" in compare_rates((1e-6,), epochs=1).sentence


def test_digits_are_enlarged_and_moved():
    images = load_digits().test.x[:3]
    large = draw_large(images)
    assert large.shape == (3, 1, CANVAS, CANVAS)
    border = large.copy()
    border[:, :, MARGIN : MARGIN + DIGIT, MARGIN : MARGIN + DIGIT] = 0
    assert not border.any()
    blocks = large[:, 0, MARGIN : MARGIN + DIGIT, MARGIN : MARGIN + DIGIT]
    middles = blocks[:, 1::3, 1::3]  # the middle of each third is the pixel itself
    np.testing.assert_allclose(middles, images, atol=1e-6)


def test_changes_are_relative_norms():
    digits = draw_large(load_digits().test.x[:4])
    identity = nn.Sequential(nn.Identity())
    found = measure_changes(identity, digits, (0, 3))
    moved = np.zeros_like(digits)
    moved[..., 3:] = digits[..., :-3]
    norm = lambda a: np.sqrt((a.reshape(4, -1).astype(np.float64) ** 2).sum(axis=1))
    assert found["no pooling"][0] == 0
    assert found["no pooling"][1] == pytest.approx(np.mean(norm(moved - digits) / norm(digits)))
    pool = lambda a: a.reshape(4, CANVAS // 4, 4, CANVAS // 4, 4).max(axis=(2, 4))
    expected = np.mean(norm(pool(moved) - pool(digits)) / norm(pool(digits)))
    assert found["max over 4 × 4"][1] == pytest.approx(expected)
    assert found["max over all"] == [0, 0]


def test_pooling_forgives_small_shifts():
    found = compare_shifts((0, 1), examples=30, epochs=1)
    changes = {result["pooling"]: result["changes"][1] for result in found.results}
    assert changes["max over all"] < changes["max over 8 × 8"] < changes["max over 4 × 4"]
    assert changes["max over 4 × 4"] < changes["max over 2 × 2"] < changes["no pooling"]
    assert f"change by {changes['no pooling']:.0%} as they are" in found.sentence


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_same_seed_same_numbers(name):
    def numbers(seed: int) -> Any:
        results = EXPERIMENTS[name](**SMALL[name], seed=seed).results
        return [{k: v for k, v in result.items() if k != "seconds"} for result in results]

    assert numbers(1) == numbers(1)
    assert numbers(1) != numbers(2)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("depth", {"depths": ()}), ("depth", {"depths": (1,)}), ("depth", {"depths": (2.5,)}),
        ("depth", {"depths": "2"}), ("depth", {"activations": ["step"]}),
        ("depth", {"activations": "relu"}), ("depth", {"starts": ["hot"]}),
        ("depth", {"width": 0}), ("depth", {"examples": 0}), ("depth", {"seed": -1}),
        ("batch", {"sizes": ()}), ("batch", {"sizes": (0,)}), ("batch", {"sizes": (5000,)}),
        ("batch", {"sizes": "full"}), ("batch", {"updates": 0}), ("batch", {"lr": 0}),
        ("batch", {"lr": float("nan")}), ("rate", {"rates": ()}), ("rate", {"rates": (-1,)}),
        ("rate", {"rates": (float("nan"),)}), ("rate", {"epochs": 0}),
        ("rate", {"optimizer": "newton"}), ("shift", {"shifts": ()}), ("shift", {"shifts": (9,)}),
        ("shift", {"shifts": (-1,)}), ("shift", {"examples": 0}),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense(name, settings):
    with pytest.raises(ArgumentError):
        EXPERIMENTS[name](**settings)


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_files(name, tmp_path):
    found = EXPERIMENTS[name](**SMALL[name])
    page = found.save(tmp_path / "e.html").read_text()
    assert found.sentence.split(",")[0] in page
    assert "<script" not in page
    assert not re.search(r'(src|href)="http', page)
    for ending in (".svg", ".png", ".pdf"):
        path = found.save(tmp_path / f"e{ending}")
        assert path.read_bytes() == found.save(tmp_path / f"f{ending}").read_bytes()
    assert json.loads(found.save(tmp_path / "e.json").read_text()) == json.loads(
        json.dumps(found.data, allow_nan=False)
    )
    with pytest.raises(ArgumentError, match="unknown kind"):
        found.save(tmp_path / "e.txt")


def test_the_command(capsys, tmp_path):
    page = tmp_path / "s.html"
    assert main(["experiment", "rate", "--html", str(page)]) == 0
    shown = capsys.readouterr()
    assert "learning rate" in shown.out
    assert "After 5 epochs the loss is lowest" in shown.out
    assert str(page) in shown.err
    assert main(["experiment", "rate", "--json", "--seed", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"]["seed"] == 1
    assert main(["experiment", "width"]) == 1
    assert "there are depth, batch, rate, shift" in capsys.readouterr().err
