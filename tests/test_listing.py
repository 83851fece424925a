"""What a step shows of its native code: loops beside lines, and the text of LLVM."""

from __future__ import annotations

import linecache
import re
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import errors, nn, optim
from limpid.compiler.machine.target import Target
from limpid.compiler.program.values import copied, mark
from limpid.compiler.steps import preparation
from limpid.compiler.steps.reports.reading import Reading
from tests.native import HOST, agree, cut_all_bands, needs_native, numbers

pytestmark = needs_native

PROGRAM = """
from limpid import compile, nn, optim, tanh
layers = [nn.Linear(8, 16), nn.Linear(16, 4)]
parameters = [p for layer in layers for p in layer.parameters()]
optimizer = optim.SGD(parameters, lr=0.5)
@compile
def step(x, y):
    optimizer.zero_grad()
    hidden = tanh(layers[0](x))
    loss = nn.functional.mse_loss(layers[1](hidden), y)
    loss.backward()
    optimizer.step()
    return loss
"""
GOLDEN = """
step: 1 phase, 16 stages
phase 1
  as a whole, on one thread
    1  loop 8 × 16                                            nest0
         weight.copy: float32[8, 16] = copy(weight.T)         step.py:8: layers[0](x)
    2  product: rows i=6, lanes j=16, sums k=8                contract.float32.1
         v1.product: float32[6, 16] = x · weight.copy         step.py:8: layers[0](x)
    3  loop 6 × 16                                            nest1
         v1 = v1.product + bias                               step.py:8: layers[0](x)
         v2: float32[6, 16] = tanh(v1)                        step.py:8: tanh(layers[0](x))
         v16: float32[6, 16] = 1.0 - v2 * v2                  ∂ step.py:8: tanh(layers[0](x))
    4  loop 16 × 4                                            nest2
         weight_2.copy: float32[16, 4] = copy(weight_2.T)     step.py:9: layers[1](hidden)
    5  product: rows i=6, lanes j=4, sums k=16                contract.float32.1
         v3.product: float32[6, 4] = v2 · weight_2.copy       step.py:9: layers[1](hidden)
    6  loop 6 × 4                                             nest3
         v3 = v3.product + bias_2                             step.py:9: layers[1](hidden)
         v4.subtract = v3 - y                                 step.py:9: nn.functional.mse_loss(lay…
         v5.sum: float32[()] = sum(square(v4.subtract))
         v10: float32[6, 4] = 0.041666668 * (2.0 * v4.subtract)
                                                              ∂ step.py:9: nn.functional.mse_loss(l…
    7  once                                                   nest4
         v5 → result: float32[()] = v5.sum / 24.0             step.py:9: nn.functional.mse_loss(lay…
         v21: float32[()] = float32(lr)                       step.py:11: optimizer.step()
    8  product: rows i=6, lanes j=16, sums k=4                contract.float32.1
         v11: float32[6, 16] = v10 · weight_2                 ∂ step.py:9: layers[1](hidden)
    9  loop 6 × 16                                            nest5
         v17: float32[6, 16] = v11 * v16                      ∂ step.py:8: tanh(layers[0](x))
         v20 → bias.grad: float32[16] = sum(v17, axis=0)      ∂ step.py:8: layers[0](x)
    10 product: rows j=8, lanes i=16, sums k=6                contract.float32.1
         v19 → weight.grad: float32[16, 8] order (1, 0) = v17.T · x
                                                              ∂ step.py:8: layers[0](x)
    11 product: rows i=4, lanes j=16, sums k=6                contract.float32.1
         v13 → weight_2.grad: float32[4, 16] = v10.T · v2     ∂ step.py:9: layers[1](hidden)
    12 loop 6 × 4                                             nest6
         v14 → bias_2.grad: float32[4] = sum(v10, axis=0)     ∂ step.py:9: layers[1](hidden)
    13 loop 16 × 8                                            nest7
         v23 → weight: float32[16, 8] = weight - v21 * v19    step.py:11: optimizer.step()
    14 loop 16                                                nest8
         v26 → bias: float32[16] = bias - v21 * v20           step.py:11: optimizer.step()
    15 loop 4 × 16                                            nest9
         v29 → weight_2: float32[4, 16] = weight_2 - v21 * v13
                                                              step.py:11: optimizer.step()
    16 loop 4                                                 nest10
         v32 → bias_2: float32[4] = bias_2 - v21 * v14        step.py:11: optimizer.step()
"""


def of_text(text: str, file: str = "step.py") -> dict[str, Any]:
    """Run a program of which messages can show the lines."""
    lines = text.lstrip().splitlines(keepends=True)
    linecache.cache[file] = len(text), None, lines, file
    names: dict[str, Any] = {}
    exec(compile("".join(lines), file, "exec"), names)
    return names


def on(monkeypatch: pytest.MonkeyPatch, target: Target | None) -> None:
    monkeypatch.setattr(preparation, "native_target", lambda: target)


def convolutional() -> tuple[Any, tuple[Any, ...]]:
    """A step with padding, strides, pooling, normalisation and Adam."""
    limpid.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.GELU(), nn.Flatten(),
        nn.Linear(72, 3),
    )  # fmt: skip
    optimizer = optim.Adam(model.parameters())

    @limpid.compile
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step, (numbers(4, 1, 12, 12, dtype=np.float32), np.array([0, 1, 2, 0]))


def test_a_small_step_to_the_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    assert HOST is not None
    on(monkeypatch, Target(HOST.name, HOST.features, 64, 8, 2))
    limpid.manual_seed(0)
    step = of_text(PROGRAM)["step"]
    step(numbers(6, 8, dtype=np.float32), numbers(6, 4, dtype=np.float32))
    assert step.listing().splitlines() == GOLDEN.strip().splitlines()


@pytest.mark.parametrize("cut", [False, True])
def test_every_stage_is_there_once(cut: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if cut:
        cut_all_bands(monkeypatch)
    step, given = convolutional()
    step(*given)
    text = step.listing()
    schedule = step.latest().executor.native.schedule
    found = re.findall(r"^ {4}(\d+) +(?:loop|once|product|call)", text, re.M)
    assert list(map(int, found)) == list(range(1, len(schedule.stages) + 1))
    assert max(map(len, text.splitlines())) <= 100
    assert ("shared by threads" in text) == cut
    written = re.findall(r"^ +([\w.#\[\]]+)(?: → [^:=]+)?: \w+\[", text, re.M)
    assert len(set(written)) == len(written) == len(schedule.buffered)


def test_values_know_their_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    cut_all_bands(monkeypatch)
    step, given = convolutional()
    step(*given)
    recording = step.latest()
    nodes = set(recording.graph.nodes)
    values = [v for stage in recording.executor.native.schedule.stages for v in stage.values]
    assert {value.node for value in values} <= nodes
    made: dict[Any, list[Any]] = {}
    for value in values:
        if value.output is not None:
            made.setdefault((value.node, value.output), []).append(value)
    for (node, output), found in made.items():
        assert len(found) == 1
        assert found[0].shape == node.outputs[output].shape


def test_what_serves_a_node_already_stays() -> None:
    (x,) = agree(lambda x: np.tanh(x) + 1, numbers(3)).ends
    inner = x.operands[0]
    mark([inner], "first", [0])
    mark([x, copied(x)], "second", [1, None])
    assert [(v.node, v.output) for v in (inner, x)] == [("first", 0), ("second", 1)]
    assert copied(x).node == "second"
    assert copied(x).output is None
    assert inner.operands[0].node is None


def test_the_lines_of_the_program_are_beside() -> None:
    step, given = convolutional()
    step(*given)
    text = step.listing()
    assert re.search(r"\n.* = v5\[0\] · .*\n? +test_listing\.py:\d+ 3: model\(x\)", text)
    assert re.search(r"∂ test_listing\.py:\d+ 3: model\(x\)", text)
    assert re.search(r"v9 → self\[4\].*\n +test_listing\.py:\d+ 4: model\(x\)", text)
    assert re.search(r" → self\[3\]\.weight: float32\[8, 4, 3, 3\] = self\[3\]\.weight - v", text)
    assert re.search(r"test_listing\.py:\d+: optimizer\.step\(\)", text)
    assert "→ result: float32[()] =" in text
    assert "→ 3.weight.grad: float32[8, 4, 3, 3]" in text


def test_the_same_program_in_two_files() -> None:
    for file in ("first.py", "second.py"):
        step = of_text(PROGRAM, file)["step"]
        step(numbers(6, 8, dtype=np.float32), numbers(6, 4, dtype=np.float32))
        assert f" {file}:8: tanh(layers[0](x))" in step.listing()


def test_call_outs_are_shown_as_such() -> None:
    step = limpid.compile(lambda x: limpid.linalg.inv(limpid.sort(x, axis=0)) * 2)
    step(numbers(3, 3))
    text = step.listing()
    assert text.count("by NumPy") == 2
    assert "v1[0]: float64[3, 3] = sort(x, axis=0, descending=False)" in text
    assert re.search(r"\d +call\n +v2: float64\[3, 3\] = inv\(v1\[0\]\) +test_listing", text)


def test_a_call_out_that_fails_names_its_line() -> None:
    step = limpid.compile(lambda x: limpid.linalg.inv(x @ x) + 1)
    step(np.eye(3))
    with pytest.raises(errors.MatrixError, match=r"test_listing\.py:\d+: limpid\.linalg\.inv"):
        step(np.zeros((3, 3)))


def test_graphs_within_are_named_by_their_nodes() -> None:
    step = limpid.compile(lambda x: limpid.recompute(lambda t: limpid.sin(limpid.tanh(t)))(x))
    step(numbers(3))
    assert re.search(r"v1_body\.v1 = tanh\(x\)|sin\(tanh\(x\)\)", step.listing())


def test_a_schedule_shows_itself() -> None:
    schedule = agree(
        lambda a, b: np.sum(np.exp(-(a - b) * 2), axis=1), numbers(3, 5), numbers(3, 5)
    ).schedule
    text = "sum: float64[3] = sum(exp(-(input0 - input1) * 2), axis=1)"
    assert str(schedule).splitlines() == [
        "phase 1",
        "  as a whole, on one thread",
        "    1  loop 3 × 5",
        f"         {text.replace('* 2)', '* 2.0)')}",
    ]
    ((block,),) = schedule.phases
    assert str(block).startswith("as a whole, on one thread\n  1  loop 3 × 5\n")
    assert str(block.stages[0]).startswith("1  loop 3 × 5\n")


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda x: (x + 1) * 2 - x, "(input0 + 1.0) * 2.0 - input0"),
        (lambda x: x - (1 - x), "input0 - (1.0 - input0)"),
        (lambda x: -(x * x), "-(input0 * input0)"),
        (lambda x: x[1:, ::2] * 3, "input0[1:, ::2] * 3.0"),
        (lambda x: x[::-1] * 3, "input0[::-1] * 3.0"),
        (lambda x: np.concatenate([x, x * 2]), "= input0 * 2.0"),
        (lambda x: np.add.accumulate(x, axis=1), "cumsum(input0, axis=1)"),
        (lambda x: x.astype(np.float32), "float32(input0)"),
        (lambda x: np.where(x > 0, x, 0), "where(input0 > 0.0, input0, 0.0)"),
        (lambda x: x.reshape(2, 8).T + 1, "input0.reshape(2, 8).T + 1.0"),
        (lambda x: x.T[0] + 1, "input0.T[0:1] + 1.0"),
        (lambda x: np.max(x), "max(input0)"),
    ],
)
def test_expressions(function: Any, text: str) -> None:
    assert text in str(agree(function, numbers(4, 4)).schedule)


def test_long_expressions_come_apart() -> None:
    def long(x: Any) -> Any:
        for n in range(20):
            x = np.sin(x + n)
        return x

    lines = str(agree(long, numbers(3)).schedule).splitlines()[3:]
    assert 2 < len(lines) < 20
    assert max(map(len, lines)) < 100


def test_llvm_has_all_functions_and_their_stages() -> None:
    step, given = convolutional()
    step(*given)
    text = step.llvm()
    functions = Reading("step", step.latest(), "llvm()").functions()
    for names in functions.values():
        for name in names:
            assert f"void @{name}(" in text
    assert re.match(r"; \w+: stages? \d+", text)
    assert "; contract.float32.3: stage" in text


def test_a_method_shows_itself() -> None:
    class Doubling:
        @limpid.compile
        def step(self, x: Any) -> Any:
            return 2 * x

    doubling = Doubling()
    doubling.step(np.ones(3))
    assert "= 2.0 * x" in doubling.step.listing()
    assert doubling.step.profile(np.ones(3), runs=1).rows[0].flops == 3


@pytest.mark.parametrize("method", ["listing", "llvm", "memory"])
def test_nothing_to_show_before_the_first_call(method: str) -> None:
    step = limpid.compile(lambda x: x + 1)
    with pytest.raises(errors.ArgumentError, match="has not been recorded yet; call it first"):
        getattr(step, method)()


@pytest.mark.parametrize("method", ["listing", "llvm", "memory", "profile"])
def test_without_native_code(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, None)
    step = limpid.compile(lambda x: x + 1)
    step(np.ones(3))
    with pytest.raises(errors.NativeError, match="LIMPID_NATIVE=0 is set") as error:
        getattr(step, method)(*([np.ones(3)] if method == "profile" else []))
    assert "remedy: unset LIMPID_NATIVE" in str(error.value)
