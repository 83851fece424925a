"""What the stages of a step take, and what the machine can do at most."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import errors, nn, optim
from limpid.compiler.emission.interpreter import interpreter
from limpid.compiler.machine import loading, rates
from limpid.compiler.machine.clock import Clock
from limpid.compiler.machine.instructions import ticks
from limpid.compiler.machine.rates import Rates, machine_rates
from limpid.compiler.machine.target import native_target
from limpid.compiler.runtime.timing import timed
from limpid.compiler.steps.reports import profile as reports
from limpid.compiler.steps.reports.figures import size_text, time_text
from limpid.compiler.steps.reports.work import moved, operations
from tests.native import agree, cut_all_bands, needs_native, numbers

pytestmark = needs_native
RATES = Rates(1e11, 2e10, 5e10)


@pytest.fixture(autouse=True)
def known_rates(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(reports, "machine_rates", lambda threads, seen: RATES)


def training() -> tuple[Any, Any, tuple[Any, Any]]:
    """A step with random numbers and state, its model and arguments."""
    limpid.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 32), nn.Tanh(), nn.Dropout(0.5), nn.Linear(32, 4))
    optimizer = optim.Adam(model.parameters())

    @limpid.compile(keep=1, probe="loss")
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step, model, (numbers(16, 20, dtype=np.float32), numbers(16, 4, dtype=np.float32))


def everything(step: Any, model: Any) -> list[bytes]:
    """State, gradients, random counter, what is probed and kept."""
    found = [p.detach().numpy().tobytes() for p in model.parameters()]
    found += [np.asarray(p.grad.value).tobytes() for p in model.parameters()]
    found += [x.tobytes() for x in step.latest().state()]
    found += [x.tobytes() for x in step.probed.values()]
    return found + [x.tobytes() for x in step.sight.kept[0].state]


def test_nothing_changes() -> None:
    step, model, given = training()
    for _ in range(3):
        step(*given)
    other, twin, _ = training()
    for _ in range(3):
        other(*given)
    held = [p.grad for p in model.parameters()]
    before = everything(step, model)
    step.profile(*given, runs=3)
    assert everything(step, model) == before
    assert all(p.grad is gradient for p, gradient in zip(model.parameters(), held, strict=True))
    assert step.count == 1
    after = []
    for compiled, network in ((step, model), (other, twin)):
        limpid.manual_seed(1)
        after.append([compiled(*given).value.tobytes(), *everything(compiled, network)])
    assert after[0] == after[1]


def test_rows_are_the_stages_of_the_listing() -> None:
    step, _, given = training()
    step(*given)
    profile = step.profile(*given, runs=20)
    schedule = step.latest().executor.native.schedule
    assert [row.number for row in profile.rows] == list(range(1, len(schedule.stages) + 1))
    assert all(f"void @{name}(" in step.llvm() for row in profile.rows for name in row.functions)
    assert all(row.seconds > 0 for row in profile.rows if row.functions)
    assert sum(row.seconds for row in profile.rows) + profile.rest >= profile.timed
    products = [row for row in profile.rows if row.kind == "product"]
    assert products[0].flops == 2 * 16 * 20 * 32
    assert products[0].values == ("v1.product",)
    (place,) = products[0].places
    assert (place.scope, place.backward) == ("0", False)
    assert place.text == "model(x)"
    assert Path(place.file).name == "test_step_profile.py"


@pytest.mark.parametrize("cut", [False, True])
def test_shares_are_of_what_was_measured(cut: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if cut:
        cut_all_bands(monkeypatch)
    step, _, given = training()
    profile = step.profile(*given, runs=10)
    for row in profile.rows:
        assert row.copy == pytest.approx(row.bytes / row.seconds / 2e10)
        peaks = {row.flops / row.seconds / most for most in (1e11, 5e10)}
        assert row.peak in [pytest.approx(peak) for peak in peaks]


def test_calls_are_timed() -> None:
    def wait(x: Any) -> Any:
        time.sleep(0.01)
        return x

    class Wait(limpid.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return wait(x)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g

    step = limpid.compile(lambda x: Wait.apply(x + 1) * 2)
    profile = step.profile(np.ones(3), runs=2)
    (call,) = [row for row in profile.rows if row.kind == "call"]
    assert 0.01 <= call.seconds < profile.timed
    assert call.peak is None


def test_runs() -> None:
    step = limpid.compile(lambda x: x + 1)
    assert step.profile(np.ones(3), runs=7).runs >= 14
    with pytest.raises(errors.ArgumentError, match="runs must be at least 1, not 0"):
        step.profile(np.ones(3), runs=0)
    with pytest.raises(errors.LimpidError):
        step.profile(np.ones(3), runs=1.5)


def test_a_call_that_fails() -> None:
    step = limpid.compile(lambda x, n: limpid.take(x, n))
    step(np.ones(3), np.array([0, 2]))
    with pytest.raises(errors.IndexingError):
        step.profile(np.ones(3), np.array([0, 3]), runs=1)


def test_what_runs_uncompiled() -> None:
    w = limpid.Parameter([1.0])
    step = limpid.compile(lambda x: x + 1)
    with pytest.raises(errors.ArgumentError, match="carries a gradient"):
        step.profile(w * 2, runs=1)


def test_it_prints_and_is_data() -> None:
    step, _, given = training()
    profile = step.profile(*given, runs=3)
    lines = str(profile).splitlines()
    assert max(map(len, lines)) <= 100
    assert len(lines) == 3 + len(profile.rows) + 1
    assert lines[1].endswith("100 GFLOP/s, copies 20.0 GB/s")
    assert lines[-1].endswith("between stages")
    data = json.loads(json.dumps(profile.to_dict()))
    assert data["step"] == "step"
    assert data["rates"] == {"flops": 1e11, "bandwidth": 2e10, "doubles": 5e10}
    assert data["flops"] == profile.flops
    assert [stage["bytes"] for stage in data["stages"]] == [row.bytes for row in profile.rows]
    assert data["stages"][0]["places"][0]["scope"] == "0"


@pytest.mark.parametrize(
    ("function", "shapes", "flops", "bytes_"),
    [
        (lambda a, b: np.exp(a + b), [(6, 4), (4,)], 48, 8 * (24 + 4 + 24)),
        (lambda a: np.sum(a * a, axis=0), [(6, 4)], 48, 8 * (24 + 4)),
        (lambda a: a[::2] * 2, [(6, 4)], 12, 8 * (12 + 12)),
        (lambda a: a.T.copy(), [(6, 4)], 0, 8 * 48),
        (lambda a: np.broadcast_to(a, (5, 4)) + 1, [(4,)], 20, 8 * (4 + 20)),
        (lambda a: np.add.accumulate(a), [(6, 4)], 24, 8 * 48),
        (lambda a: np.where(a > 0, a, 0), [(6,)], 6, 8 * 12),
        (lambda a: np.take(a, np.array([1, 1]), axis=0), [(6, 4)], 0, 8 * (8 + 2 + 8)),
    ],
)
def test_work(function: Any, shapes: Any, flops: int, bytes_: int) -> None:
    schedule = agree(function, *(numbers(*shape) for shape in shapes)).schedule
    assert sum(map(operations, schedule.stages)) == flops
    assert sum(moved(stage, schedule.buffered) for stage in schedule.stages) == bytes_


def test_timing_leaves_no_counters() -> None:
    native = agree(lambda x: np.tanh(x), numbers(50))
    timing = timed(native, 3)
    assert all(record[9] == 0 for _, _, record in native.groups)
    assert set(timing.stages) == set(native.schedule.stages)
    assert 0 < timing.stages[native.schedule.stages[0]] <= timing.timed


def test_the_clock() -> None:
    clock = Clock()
    time.sleep(0.05)
    tick = clock.seconds_per_tick()
    other = Clock()
    time.sleep(0.05)
    assert other.seconds_per_tick() == pytest.approx(tick, rel=0.05)
    assert 1e-11 < tick < 1e-6


@pytest.mark.parametrize("machine", ["x86_64", "arm64", "riscv64"])
def test_other_processors_have_a_clock(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from llvmlite import binding

    monkeypatch.setattr("platform.machine", lambda: machine)
    binding.parse_assembly(interpreter()).verify()
    assert ("cntvct_el0" in ticks()[0]) == (machine == "arm64")


def test_rates_are_measured_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LIMPID_CACHE", str(tmp_path))
    made = [Rates(3e9, 1e9), Rates(2e9, 2e9, 1e9), Rates(9e9, 1e9)]
    left = list(made)
    monkeypatch.setattr(rates, "measure_rates", lambda threads: left.pop(0))
    monkeypatch.setattr(rates, "_known", {})
    assert machine_rates(2) == machine_rates(2) == made[0]
    rates._known.clear()
    assert machine_rates(2) == made[0]  # from the file
    assert machine_rates(2, 2e9) == made[0]
    assert machine_rates(2, 4e9) == Rates(3e9, 2e9, 1e9)  # the best of both
    rates._known.clear()
    assert machine_rates(2) == Rates(3e9, 2e9, 1e9)
    assert machine_rates(1) == made[2]
    assert left == []


def test_rates_without_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMPID_CACHE", "")
    monkeypatch.setattr(rates, "measure_rates", lambda threads: RATES)
    monkeypatch.setattr(rates, "_known", {})
    assert machine_rates(2) == RATES
    assert RATES.peak(np.float64) == 5e10
    assert RATES.peak(np.float32) == RATES.peak(np.int64) == 1e11


def test_figures() -> None:
    assert [size_text(n) for n in (0, 1023, 1536, 5 << 30)] == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "5.0 GiB",
    ]
    assert [time_text(s) for s in (1e-7, 9.996e-6, 0.0123, 65.0)] == [
        "0.10 µs", "10.0 µs", "12.3 ms", "65.0 s",
    ]  # fmt: skip


def test_no_multiply_add_of_the_peak_is_optimised_away() -> None:
    """Chains that LLVM can tell to be equal become one, and the peak would be too high."""
    binding = loading._binding()
    target = native_target()
    assert target is not None
    for dtype in rates.NAMES:
        module = binding.parse_assembly(rates.loop_text(dtype, target.lanes(dtype)))
        loading._optimise(module, loading._machine(target))
        assert str(module).count("call <") == rates.CHAINS
