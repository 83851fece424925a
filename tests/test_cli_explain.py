"""`limpid explain` and `limpid derive`: expressions, files, filters, formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from limpid.cli import main

SQUARE = ["sum((W @ x)**2)", "W=[[0.1,0.5],[-0.3,0.8]]", "x=[0.2,0.4]"]
PROGRAM = """
import numpy as np
import limpid
from limpid import nn

print("made")
limpid.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
data = np.ones((6, 4), np.float32)

def loss():
    loss = nn.functional.cross_entropy(model(data), np.arange(6) % 3)
    return loss

number = 3
broken = lambda: 1 / 0
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    file = tmp_path / "train.py"
    file.write_text(PROGRAM)
    return str(file)


def output(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert main(arguments) == status
    found = capsys.readouterr()
    return found.err if status else found.out


def test_derive_prints_equations(capsys: pytest.CaptureFixture[str]) -> None:
    assert output(capsys, "derive", *SQUARE, "--wrt", "W").splitlines()[:4] == [
        "forward",
        "  L = sum((W @ x) ** 2)",
        "backward",
        "  dL_dW = 2 * outer(W @ x, x)",
    ]


def test_derive_prints_latex_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    latex = output(capsys, "derive", *SQUARE, "--latex", "--shapes")
    assert r"\underset{2 \times 2}{W}" in latex
    found = json.loads(output(capsys, "derive", *SQUARE, "--json"))
    assert set(found["results"]) == {"W", "x"}
    assert found["orders"]["outputs"] == 1


def test_programs(capsys: pytest.CaptureFixture[str], program: str, tmp_path: Path) -> None:
    text = output(capsys, "explain", f"{program}:loss", "--wrt", "0.bias")
    assert "∂/∂0.bias" in text
    assert "∂/∂2.bias" not in text
    assert "made" not in text
    text = output(capsys, "derive", f"{program}:loss", "--wrt", "2.weight")
    assert "dloss_d_2_weight = dloss_d_2.T @ _1" in text
    page = tmp_path / "page.html"
    output(capsys, "explain", f"{program}:loss", "--html", str(page))
    assert page.read_text().startswith("<!DOCTYPE html>")


def test_filters(capsys: pytest.CaptureFixture[str], program: str) -> None:
    def edges(*options: str) -> int:
        text = output(capsys, "explain", f"{program}:loss", "--json", *options)
        return len(json.loads(text)["edges"])

    assert edges() > edges("--module", "2") == 3
    assert edges("--depth", "1") == 1
    assert edges("--share", "0.5") <= edges()


def test_latex_of_a_record(capsys: pytest.CaptureFixture[str]) -> None:
    assert r"\begin{align}" in output(capsys, "explain", *SQUARE, "--latex")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["explain", "x * x", "x=[1,2]"], "put sum"),
        (["explain", *SQUARE, "--wrt", "q"], "there are W, x"),
        (["derive", "x * x", "x=1", "x=2"], "given twice"),
        (["explain", "missing.py:loss"], "no such file"),
    ],
)
def test_errors(capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str) -> None:
    text = output(capsys, *arguments, status=1)
    assert reason in text
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("number", "no tensor but int"),
        ("nothing", "has no nothing"),
        ("broken", "ZeroDivisionError"),
        ("model", "no tensor|missing"),
    ],
)
def test_errors_of_programs(
    capsys: pytest.CaptureFixture[str], program: str, name: str, reason: str
) -> None:
    import re

    text = output(capsys, "explain", f"{program}:{name}", status=1)
    assert re.search(reason, text)
    assert len([line for line in text.splitlines() if line != "made"]) == 1
