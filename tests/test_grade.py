"""`limpid grade`: partial credit, and a student's file that nothing of is trusted."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limpid.cli import main
from limpid.errors import ArgumentError
from limpid.explanation.grading import grade_file
from limpid.explanation.grading.student import printable
from limpid.explanation.grading.wire import MOST_BYTES, WireError, receive, send

REFERENCE = """
import numpy as np
import limpid

def affine_forward(x, w, b):
    return x.reshape(len(x), -1) @ w + b, (x, w)

def affine_backward(dout, cache):
    x, w = cache
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout.sum(0)

def softmax_loss(x, y):
    p = np.exp(x - x.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    n = len(x)
    d = p.copy()
    d[np.arange(n), y] -= 1
    return -np.log(p[np.arange(n), y]).mean(), d / n

class Square(limpid.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        return 2 * g * ctx.saved_tensors[0]

def accuracy(scores, labels):
    return (scores.argmax(1) == labels).mean()

def example_affine(rng):
    return rng.normal(size=(4, 2, 3)), rng.normal(size=(6, 5)), rng.normal(size=5)
"""
TWICE = """
def twice_forward(x):
    return 2 * x, None

def twice_backward(dout, cache):
    return 2 * dout
"""


@pytest.fixture
def files(tmp_path: Path) -> Any:
    """Write a student's file and a reference; grade them."""

    def grade(student: str, reference: str = REFERENCE, seconds: float = 10.0) -> Any:
        (tmp_path / "student.py").write_text(student)
        (tmp_path / "reference.py").write_text(reference)
        result = grade_file(tmp_path / "student.py", tmp_path / "reference.py", seconds)
        return {score.name: score for score in result.scores}

    return grade


def test_the_reference_gets_all_points(files: Any) -> None:
    scores = files(REFERENCE)
    assert list(scores) == ["affine", "softmax_loss", "Square", "accuracy"]
    assert all(score.points == score.of for score in scores.values())
    assert [score.of for score in scores.values()] == [10, 10, 10, 5]
    assert not any(score.findings or score.notes for score in scores.values())
    kinds = [score.kind for score in scores.values()]
    assert kinds == ["pair", "loss", "class", "plain"]


def test_partial_credit_and_causes(files: Any) -> None:
    student = REFERENCE.replace("dout.sum(0)", "dout.mean(0)").replace("2 * g *", "g *")
    student = student.replace("scores.argmax(1) ==", "scores.argmin(1) ==")
    scores = files(student)
    assert scores["affine"].parts["gradient"] == (3.33, 5)
    assert [f.cause for f in scores["affine"].findings] == ["mean"]
    assert scores["affine"].findings[0].operand == "b"
    assert [f.cause for f in scores["Square"].findings] == ["factor"]
    assert scores["Square"].points == 5
    assert scores["softmax_loss"].points == 10
    assert scores["accuracy"].parts == {"runs": (1, 1), "shape": (1, 1), "value": (0, 3)}


def test_a_wrong_forward_does_not_count_twice(files: Any) -> None:
    """The gradient is right for the student's own forward."""
    student = REFERENCE.replace(".mean(), d / n", ".sum(), d").replace("@ w + b", "@ w - b")
    scores = files(student)
    assert scores["softmax_loss"].points == 7
    assert "judged against its own forward" in scores["softmax_loss"].notes[-1]
    assert "value of the output" in scores["softmax_loss"].notes[0]
    assert [f.cause for f in scores["affine"].findings] == ["sign"]


def test_shapes_and_errors(files: Any) -> None:
    student = """
import numpy as np

def affine_forward(x, w, b):
    return (x.reshape(len(x), -1) @ w + b).T, (x, w)

def affine_backward(dout, cache):
    raise ValueError("not [bold]yet[/bold]\\x1b[31m")

def softmax_loss(x, y):
    return 3.0

class Square:
    pass

def accuracy(scores, labels):
    return "many"
"""
    scores = files(student)
    assert scores["affine"].parts == {
        "runs": (1, 1),
        "shape": (0, 1),
        "value": (0, 3),
        "gradient": (0, 5),
    }
    assert "it must be (4, 5)" in scores["affine"].notes[0]
    assert (
        "ValueError (line 8): not [bold]yet[/bold]\ufffd[31m"
        in scores["affine"].findings[0].evidence
    )
    assert "must return (loss, gradient)" in scores["softmax_loss"].notes[0]
    assert scores["Square"].points == scores["accuracy"].points == 0
    assert "array of numbers" in scores["accuracy"].notes[0]


def test_what_is_not_there(files: Any) -> None:
    scores = files("def affine_forward(x, w, b):\n    return x, None\n")
    assert scores["affine"].notes == ["affine_backward not defined"]
    assert scores["Square"].notes == ["Square not defined"]
    scores = files("def broken(:\n")
    assert all("SyntaxError" in score.notes[0] for score in scores.values())
    assert sum(score.points for score in scores.values()) == 0


HOSTILE = {
    "exits": "import os\ndef twice_forward(x):\n    os._exit(0)\n",
    "leaves": "def twice_forward(x):\n    raise SystemExit\n",
    "hangs": "def twice_forward(x):\n    while True:\n        pass\n",
    "speaks": (
        "import os\ndef twice_forward(x):\n    os.write(1, b'x' * 99)\n    print('{}')\n"
        "    return 3 * x, None\n"
    ),
    "is not numbers": "def twice_forward(x):\n    return [object()] * 3, None\n",
    "is huge": "import numpy as np\ndef twice_forward(x):\n    return np.zeros(10**10), None\n",
    "writes to every pipe": (
        "import os\ndef twice_forward(x):\n    for n in range(3, 20):\n        try:\n"
        "            os.write(n, b'\\xff' * 64)\n        except OSError:\n            pass\n"
        "    return 2 * x, None\n"
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_nothing_of_the_file_is_trusted(files: Any, kind: str) -> None:
    started = time.monotonic()
    backward = "def twice_backward(dout, cache):\n    return 2 * dout\n"
    after = "def thrice(x):\n    return 3 * x\n"
    scores = files(HOSTILE[kind] + backward + after, TWICE + after, 2.0)
    assert scores["twice"].parts["value"][0] == 0
    assert scores["thrice"].points == scores["thrice"].of  # the others are graded all the same
    assert time.monotonic() - started < 30


def test_nothing_is_written_to_disk(files: Any, tmp_path: Path) -> None:
    here = tmp_path / "here"
    student = f"def twice_forward(x):\n    open({str(here)!r}, 'wb', 0).write(b'x')\n"
    scores = files(student + "def twice_backward(dout, cache): ...\n", TWICE)
    assert "OSError" in scores["twice"].notes[0]
    assert not here.read_bytes()


def test_the_time_limit_is_said(files: Any) -> None:
    scores = files(HOSTILE["hangs"] + "def twice_backward(dout, cache): ...\n", TWICE, 1.0)
    assert scores["twice"].notes == ["it ran longer than 1 s"]


def test_inputs_are_found_or_told(files: Any) -> None:
    shape = "def column(x):\n    assert x.shape == (7, 1)\n    return 2 * x\n"
    with pytest.raises(ArgumentError, match=r"define example_column\(rng\)"):
        files(shape, shape)
    told = (
        shape + "\ndef inputs():\n    import numpy as np\n    return {'column': np.ones((7, 1))}\n"
    )
    assert files(shape, told)["column"].points == 5


def test_a_wrong_reference_is_refused(files: Any) -> None:
    with pytest.raises(ArgumentError, match="the reference twice has a wrong gradient itself: x"):
        files(TWICE, TWICE.replace("2 * dout", "3 * dout"))
    with pytest.raises(ArgumentError, match="no function to be graded"):
        files(TWICE, "x = 3")
    with pytest.raises(ArgumentError, match="can't be loaded"):
        files(TWICE, "1 / 0")
    with pytest.raises(ArgumentError, match="no such file"):
        grade_file("nowhere.py", "nowhere.py")


def test_the_command(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "a.py").write_text(TWICE.replace("2 * dout", "-2 * dout"))
    (tmp_path / "b.py").write_text(TWICE)
    arguments = ["grade", str(tmp_path / "a.py"), "--against", str(tmp_path / "b.py")]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "5 / 10" in out
    assert "gradient of x: the sign is wrong" in out
    assert "5 of 10 points (50%)" in out
    assert main([*arguments, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["points"], data["of"]) == (5, 10)
    assert data["functions"][0]["findings"][0]["cause"] == "sign"
    assert main([*arguments[:3], str(tmp_path / "none.py")]) == 1


def test_messages_are_data() -> None:
    stream = io.BytesIO()
    send(stream, {"a": 1}, [np.arange(3), np.array(2.5), np.zeros((0, 2))])
    stream.seek(0)
    words, arrays = receive(stream)
    assert words == {"a": 1}
    assert [a.shape for a in arrays] == [(3,), (), (0, 2)]
    for data in (
        b"\xff" * 8,
        (2).to_bytes(8, "little") + b"[]",
        (3).to_bytes(8, "little") + b"abc",
    ):
        with pytest.raises(WireError):
            receive(io.BytesIO(data))
    for form in (["O", [3]], ["f8", [-1]], ["f8", [MOST_BYTES]], ["f8"], 3):
        head = json.dumps({"words": {}, "arrays": [form]}).encode()
        with pytest.raises((WireError, EOFError)):
            receive(io.BytesIO(len(head).to_bytes(8, "little") + head))
    assert printable("a\x1b[31mb\n<b>") == "a\ufffd[31mb\ufffd<b>"
