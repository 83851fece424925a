"""The memory of a step, counted."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn, optim
from tests.native import cut_all_bands, needs_native, numbers

pytestmark = needs_native
PARAMETERS = 4 * (20 * 32 + 32 + 32 * 4 + 4)


def training(momentum: float = 0.0) -> Any:
    limpid.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 32), nn.Tanh(), nn.Linear(32, 4))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=momentum)

    @limpid.compile
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        out = model(x)
        loss = nn.functional.mse_loss(out, y)
        loss.backward()
        optimizer.step()
        return loss, out

    step(numbers(16, 20, dtype=np.float32), numbers(16, 4, dtype=np.float32))
    return step


def test_what_is_given_and_what_comes_out() -> None:
    memory = training().memory()
    assert memory.inputs == 4 * 16 * (20 + 4)
    assert memory.state == PARAMETERS + 8  # and the learning rate
    assert memory.gradients == PARAMETERS
    assert memory.results == 4 * (1 + 16 * 4)
    assert memory.peak == sum(
        [memory.inputs, memory.state, memory.gradients, memory.results, memory.constants,
         memory.between]
    )  # fmt: skip


def test_state_of_an_optimiser_counts() -> None:
    assert training(0.9).memory().state >= 2 * PARAMETERS


@pytest.mark.parametrize("cut", [False, True])
def test_buffers(cut: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if cut:
        cut_all_bands(monkeypatch)
    step = training()
    native, memory = step.latest().executor.native, step.memory()
    assert memory.common == native.memory.common
    assert memory.thread == native.memory.local
    assert memory.threads == native.buffers.workers
    sizes = [buffer.bytes for buffer in memory.buffers]
    assert sizes == sorted(sizes, reverse=True)
    names = [buffer.name for buffer in memory.buffers]
    assert len(set(names)) == len(names)
    assert len(names) + len(native.homes) == len(native.schedule.buffered)
    found = {buffer.name: buffer for buffer in memory.buffers}
    hidden = found["v2"]  # the derivative of tanh reads its output
    assert hidden.kept
    assert hidden.where in ("common", "thread")
    assert hidden.place is not None
    assert hidden.place.scope == "1"
    assert hidden.phases[0] <= hidden.phases[1] <= len(native.schedule.phases)
    common = [buffer.bytes for buffer in memory.buffers if buffer.where == "common"]
    assert sum(common) >= memory.common >= max(common, default=0)
    assert all(not b.kept for b in memory.buffers if b.place is not None and b.place.backward)
    assert memory.kept == sum(buffer.bytes for buffer in memory.buffers if buffer.kept)
    assert memory.unshared >= max(b.bytes for b in memory.buffers if b.where != "output")


def test_it_prints_and_is_data() -> None:
    memory = training().memory()
    lines = str(memory).splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0].startswith("step: ")
    assert lines[2].split()[:2] == ["state", "3.1"]
    data = json.loads(json.dumps(memory.to_dict()))
    assert data["peak"] == memory.peak
    assert data["buffers"][0]["bytes"] == memory.buffers[0].bytes
    assert {"file", "line", "scope", "text", "backward"} == set(data["buffers"][0]["place"])


def test_a_step_that_makes_nothing() -> None:
    step = limpid.compile(lambda x: x)
    step(np.ones(3))
    memory = step.memory()
    assert (memory.inputs, memory.between, memory.kept) == (24, 0, 0)
    assert str(memory)
