"""`limpid summary`: shipped models, those in a file, what it prints and refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from limpid.cli import main

FILE = """
import beside
import limpid
from limpid import nn

print("this goes to stderr")

class Net(nn.Module):
    def __init__(self):
        self.a, self.b = nn.Conv2d(3, 4, 5), nn.Conv2d(4, 4, beside.KERNEL)
    def forward(self, x):
        return self.b(self.a(x))

class Tagger(nn.Module):
    def __init__(self):
        self.table, self.out = nn.Embedding(100, 16), nn.Linear(16, 5)
    def forward(self, words):
        return self.out(self.table(words))

class Broken(nn.Module):
    def forward(self, x):
        return x + undefined

ready = nn.Sequential(nn.Linear(3, 2))

def made():
    return Net()

def asks(width):
    return Net()

number = 3

if __name__ == "__main__":
    raise SystemExit("not run")
"""


@pytest.fixture
def file(tmp_path: Any, monkeypatch: Any) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "beside.py").write_text("KERNEL = 5")
    (tmp_path / "nets.py").write_text(FILE)
    return "nets.py"


def shown(capsys: Any, *arguments: str) -> Any:
    assert main(["summary", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_shipped_model(capsys: Any) -> None:
    assert main(["summary", "lenet5"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "c1      Conv2d         6×28×28          156        117,600" in out
    assert main(["summary", "lenet", "--input", "1,8,8"]) == 0
    assert "53,514" in capsys.readouterr().out


def test_alexnet_as_json(capsys: Any) -> None:
    found = shown(capsys, "alexnet", "--input", "3,227,227", "--strict")
    assert found["totals"]["parameters"] == 60_965_224
    assert found["totals"]["units"] == 659_272
    assert found["inputs"] == [{"shape": [3, 227, 227], "dtype": "float32"}]


@pytest.mark.parametrize("name", ["Net", "made"])
def test_a_model_in_a_file(file: str, capsys: Any, name: str) -> None:
    assert main(["summary", f"{file}:{name}", "--input", "3,32,32", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["rows"][1]["shapes"] == [[4, 24, 24]]
    assert err == "this goes to stderr\n"


def test_a_ready_model_and_words(file: str, capsys: Any) -> None:
    assert shown(capsys, f"{file}:ready", "--input", "3")["totals"]["parameters"] == 8
    found = shown(capsys, f"{file}:Tagger", "--input", "20:int64")
    assert found["rows"][1]["shapes"] == [[20, 5]]
    assert found["inputs"][0]["dtype"] == "int64"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nothing"], "no model named 'nothing'; there are lenet, lenet5, alexnet"),
        (["nets.txt:Net"], "no model named"),
        (["missing.py:Net", "--input", "3"], "missing.py: no such file"),
        (["nets.py:Net"], "--input 3,32,32"),
        (["nets.py:Net", "--input", "3,x"], "not '3,x'"),
        (["nets.py:Net", "--input", "3,32,32:int7"], "'int7' is not an element type"),
        (["nets.py:missing", "--input", "3"], "nets.py has no missing; it has Net, Tagger, Broken"),
        (["nets.py:number", "--input", "3"], "is no module of limpid.nn but int"),
        (["nets.py:asks", "--input", "3"], "asks(): TypeError"),
        (["nets.py:Broken", "--input", "3"], "name 'undefined' is not defined (line 22)"),
        (["nets.py:Net", "--input", "3,8,8"],
         "b (Conv2d): a window of 5 (kernel 5) does not fit into 4"),
        (["lenet5", "--input", "1,28,28"], "c5 (Conv2d): a window of 5"),
        (["lenet", "--input", "1,8,8", "--input", "3"], "lenet: TypeError"),
        (["resnet20", "--strict"],
         "layer2.0.conv1 (Conv2d): along spatial axes 0, 1 (32 − 3 + 2·1)/2 + 1 = 16.5"),
    ],
)  # fmt: skip
def test_errors_are_one_line(file: str, capsys: Any, arguments: list[str], text: str) -> None:
    assert main(["summary", *arguments]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    line = err.removeprefix("this goes to stderr\n")
    assert line.startswith("limpid: ")
    assert line.count("\n") == 1
    assert text in line
    assert "typer" not in line


def test_a_file_with_an_error(file: str, capsys: Any, tmp_path: Any) -> None:
    for text, told in (
        ("x = 1\nx = 1 / 0", "ZeroDivisionError: division by zero (line 2)"),
        ("def f(:\n", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3 (line 1)"),
    ):
        (tmp_path / "bad.py").write_text(text)
        assert main(["summary", "bad.py:f", "--input", "3"]) == 1
        assert told in capsys.readouterr().err


def test_help(capsys: Any) -> None:
    assert main(["summary", "--help"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    for text in ("lenet5", "FILE.py:NAME", "--input", "--strict", "receptive field"):
        assert text in out
    assert main(["summary"]) == 2
