"""Comparing initialisations: theory against closed forms and against what is measured."""

from __future__ import annotations

import json

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.cli.init_report import report_initialisation
from limpid.diagnosis import initial_report
from limpid.diagnosis.spectrum.theory import ACTIVATIONS, expect, moments
from limpid.errors import ArgumentError, OperandError


@pytest.mark.parametrize("q", [0.01, 1.0, 7.0])
def test_moments_of_relu_are_the_closed_form(q):
    assert moments("relu", q) == pytest.approx((q / 2, 0.5), rel=1e-9)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("q", [0.1, 1.0, 4.0])
def test_moments_are_those_of_samples(name, q):
    z = np.sqrt(q) * np.random.default_rng(0).standard_normal(400_000)
    f = ACTIVATIONS[name]
    value, slope = moments(name, q)
    step = 1e-6
    slopes = (np.asarray(f(z + step)) - np.asarray(f(z - step))) / (2 * step)
    assert value == pytest.approx(np.mean(np.asarray(f(z)) ** 2), rel=0.02)
    assert slope == pytest.approx(np.mean(slopes**2), rel=0.02)


def test_selu_has_its_fixed_point():
    """With weights of variance 1/n, mean 0 and variance 1 stay as they are."""
    assert moments("selu", 1.0)[0] == pytest.approx(1.0, rel=1e-9)


def test_theory_goes_from_layer_to_layer():
    found = expect("relu", [1.0] * 10, 3.0)
    assert found.signals == pytest.approx([3 * 0.5**k for k in range(1, 11)])
    assert found.chi == pytest.approx([0.5] * 10)


@pytest.mark.parametrize("activation", ["relu", "tanh", "selu"])
@pytest.mark.parametrize("initialisation", ["he", "xavier normal"])
def test_wide_networks_do_what_theory_says(activation, initialisation):
    """On average: a network of finite width is off by a factor of its own."""
    starts = [
        initial_report(
            depth=4, width=300, activations=activation, initialisations=initialisation,
            batch=32, seed=seed,
        ).starts[0]
        for seed in range(8)
    ]  # fmt: skip
    measured = [np.log(start.measured_chi) for start in starts]
    assert np.mean(measured) == pytest.approx(np.log(starts[0].chi), abs=0.05)
    signals = np.mean([start.signals[1:] for start in starts], axis=0)
    expected = np.mean([start.theory_signals for start in starts], axis=0)
    assert signals == pytest.approx(expected, rel=0.1)
    assert len(starts[0].signals) == len(starts[0].gradients) == 5


def test_what_is_known_of_initialisations_comes_out():
    report = initial_report(depth=15, width=64, activations=["sigmoid", "relu", "tanh"])
    assert report.best("relu").initialisation == "he"
    assert report["he", "relu"].distance < 0.5
    assert report["xavier normal", "relu"].signal == pytest.approx(2**-7.5, rel=0.5)
    assert report["normal 0.01", "relu"].gradient < 1e-12
    assert all(report[name, "sigmoid"].gradient < 1e-4 for name in ("he", "orthogonal"))
    orthogonal = report["orthogonal", "tanh"]
    assert orthogonal.product <= 1 + 1e-5
    assert "sigmoid: none keeps both sizes" in str(report)


def test_gradients_and_signals_are_the_real_ones():
    report = initial_report(depth=3, width=16, activations="elu", initialisations=["he"], batch=5)
    (start,) = report.starts
    inputs = np.random.default_rng(0).standard_normal((5, 16)).astype(np.float32)
    assert start.signals[0] == pytest.approx(np.mean(inputs.astype(float) ** 2))
    assert start.gradients[-1] == pytest.approx(1)


def test_models_are_compared_and_left_as_they_are():
    limpid.manual_seed(3)
    net = nn.Sequential(
        nn.Linear(6, 30), nn.BatchNorm1d(30), nn.ReLU(), nn.Dropout(0.2), nn.Linear(30, 4)
    )
    before = net.state_dict()
    limpid.manual_seed(4)
    expected = limpid.random.normal(0.0, 1.0, (2,)).tolist()
    limpid.manual_seed(4)
    x = np.random.default_rng(0).standard_normal((8, 6)).astype(np.float32)
    report = initial_report(net, x, initialisations=["he", "normal 0.01"])
    assert [s.initialisation for s in report.starts] == ["as it is", "he", "normal 0.01"]
    assert report.subject == "Sequential"
    assert all(np.array_equal(v, before[k]) for k, v in net.state_dict().items())
    assert limpid.random.normal(0.0, 1.0, (2,)).tolist() == expected
    again = initial_report(lambda: net, x, initialisations=["he"])
    assert again["he", "as it is"].signals == report["he", "as it is"].signals
    assert "–" in str(report)  # there is no theory of any model


def test_integer_inputs():
    net = nn.Sequential(nn.Embedding(5, 8), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))
    report = initial_report(net, np.array([[0, 1], [4, 2]]), initialisations=["orthogonal"])
    assert len(report.starts) == 2


def test_text_html_and_json():
    class Named(nn.Sequential):
        pass

    Named.__name__ = "<script>[red]"
    net = Named(nn.Linear(3, 3), nn.Tanh())
    report = initial_report(net, np.ones((2, 3), np.float32), initialisations=["he"])
    assert str(report).startswith("<script>[red]")
    page = report._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    data = report.to_json()
    assert data["format"] == "limpid initial report 1"
    assert data["best"].keys() == {"as it is"}
    json.dumps(data, allow_nan=False)


def test_zero_signals_are_told():
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2))
    nn.init.constant_(net[0].bias, -1000.0)
    report = initial_report(net, np.ones((2, 3), np.float32), initialisations=["he"])
    assert all(start.distance == np.inf for start in report.starts)
    json.dumps(report.to_json(), allow_nan=False)
    str(report)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"activations": ["swoosh"]}, ArgumentError, "'swoosh' is not among sigmoid"),
        ({"initialisations": []}, ArgumentError, "at least one of normal 0.01"),
        ({"depth": 0}, ArgumentError, "depth"),
        ({"x": np.ones((2, 3))}, ArgumentError, "no model was given"),
        ({"model": nn.Linear(2, 2)}, ArgumentError, "x is needed"),
        ({"model": 3, "x": np.ones((2, 2))}, OperandError, "must be a module"),
        ({"model": nn.ReLU(), "x": np.ones((2, 2))}, ArgumentError, "no parameter of two axes"),
    ],
)
def test_errors_name_the_thing(given, error, message):
    with pytest.raises(error, match=message):
        initial_report(**given)


def test_on_the_command_line(tmp_path, capsys):
    file = tmp_path / "nets.py"
    file.write_text(
        "from limpid import nn\n"
        "def net():\n    return nn.Sequential(nn.Linear(5, 9), nn.Tanh(), nn.Linear(9, 2))\n"
    )
    report_initialisation(f"{file}:net", ["5"])
    shown = capsys.readouterr().out
    assert "Sequential, before training" in shown
    assert "orthogonal" in shown
    report_initialisation(f"{file}:net", ["5"], json=True)
    assert json.loads(capsys.readouterr().out)["subject"] == "Sequential"
    for arguments, message in [
        (("mlp", ["5"]), "inputs of their own"),
        ((f"{file}:net",), "--input 3,32,32"),
        ((f"{file}:net", ["5:nothing"]), "no type such as"),
        (("nowhere.py:net", ["5"]), "no such file"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            report_initialisation(*arguments)
