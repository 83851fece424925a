"""What `make bench` does without peers: counts, agreement, contenders that can't, tables."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from benchmarks import groups, rounds, watching
from benchmarks.machine import Watch
from benchmarks.rounds import Measured, check, measure
from benchmarks.tables import Run, compiled_tables, eager_tables, fastest_peer
from benchmarks.workloads import DESCRIPTIONS, WORKLOADS, Convolutional, multiply_adds
from limpid.compiler.machine.rates import Rates, measure_rates

RUN = Run(threads=2, rounds=3, seconds=0.1, rates=[Rates(5e11, 4e10)], others=0.01)


def test_multiply_adds_of_layers_are_counted() -> None:
    assert multiply_adds(WORKLOADS["mlp32"]) == 32 * (2 * 784 * 32 + 3 * (32 * 32 + 32 * 10))
    assert multiply_adds(WORKLOADS["logistic"]) is None


def test_multiply_adds_of_windows_are_those_of_each_output() -> None:
    layers = (("conv", 2, 3, 3, 1, 1), ("pool", 2), ("conv", 3, 4, 3, 0, 2), ("largest",))
    work = Convolutional((2, 20), (*layers, ("linear", 4, 5)), batch=7)
    first, second, last = 20 * 2 * 3 * 3, (10 - 4) * 3 * 4 * 3, 4 * 5
    assert multiply_adds(work) == 7 * (2 * first + 3 * second + 3 * last)


def test_each_workload_has_contenders_and_a_description() -> None:
    assert DESCRIPTIONS.keys() == WORKLOADS.keys()
    assert all(len(groups.entrants(workload)) >= 4 for workload in WORKLOADS)
    assert "torch_channels_last" in groups.entrants("conv4")
    assert "torch_channels_last" not in groups.entrants("time-delay")


def test_contenders_are_measured_in_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = groups.Entry("Absent", "absent", compiles=True)
    monkeypatch.setitem(rounds.CONTENDERS, "absent", absent)
    names = ["limpid_compiled", "limpid_eager", "absent"]
    found = measure("mlp32", names, threads=1, rounds=2, seconds=0.01)
    compiled, eager = found["limpid_compiled"], found["limpid_eager"]
    assert len(compiled.times) == len(eager.times) == 2
    assert 0 < compiled.median < 1
    assert compiled.memory > 10e6
    assert compiled.cold is not None
    assert compiled.warm is not None
    assert eager.cold is None
    assert not found["absent"].times
    assert "benchmarks.contenders.absent" in found["absent"].reason


@dataclass
class Answered:
    name: str
    losses: list[float]


def test_contenders_that_compute_something_else_are_refused() -> None:
    check([Answered("a", [2.0, 1.0, 0.5]), Answered("b", [2.0, 1.0, 0.5004])])
    with pytest.raises(SystemExit, match="b computes something else"):
        check([Answered("a", [2.0, 1.0, 0.5]), Answered("b", [2.0, 1.0, 0.501])])


def test_ratios_are_those_of_one_round() -> None:
    found = {
        "limpid_compiled": Measured([1e-3, 2e-3, 4e-3], cold=0.5, warm=0.02, memory=50_000_000),
        "torch_eager": Measured([3e-3, 3e-3, 20e-3]),
        "torch_compiled": Measured(reason="CppCompileError: none"),
        "jax_jit": Measured([2e-3, 4e-3, 8e-3]),
    }
    assert fastest_peer(found) == "torch_eager"
    found["jax_jit"].times = [2e-3, 2.4e-3, 8e-3]
    assert fastest_peer(found) == "jax_jit"
    text = compiled_tables(groups.GROUPS["compiled"], {"mlp512": found}, RUN)
    ours = next(line for line in text.splitlines() if line.startswith("| limpid compiled | 2.00"))
    assert "| 2.00 (1.60 … 2.00) |" in ours
    operations = 2 * (multiply_adds(WORKLOADS["mlp512"]) or 0)
    assert f"| {operations / 2e-3 / 5e11:.0%} | 0.500 | 0.0200 | 50 |" in ours
    assert "torch.compile can't run here: `CppCompileError: none`" in text


def test_eager_tables_hold_what_there_is() -> None:
    found = {"limpid_eager": Measured([1e-3, 1e-3]), "torch_eager": Measured([2e-3, 3e-3])}
    text = eager_tables(groups.GROUPS["windows"], {"conv4": found}, RUN)
    assert "| conv4 | 1.000 | 2.500 (2.50×, 2.00 … 3.00) |" in text


def test_the_machine_is_measured() -> None:
    watch = Watch()
    rates = measure_rates(1)
    assert rates.bandwidth > 1e8
    assert rates.flops is None or rates.flops > 1e8
    others = watch.others()
    assert others is None or 0 <= others < 1.5


def test_watched_steps_give_what_others_give() -> None:
    found = [watching.contender("mlp32", options) for options in watching.WATCHES.values()]
    assert [contender.values for contender in found] == [0, 0, 12, 18, 24, 18]
    assert len({contender.run().item() for contender in found}) == 1
    times = watching.measure([contender.run for contender in found], 3, 0.001)
    assert (times > 0).all()
    assert watching.row("mlp32", "norms", 12, times, 2).startswith("| mlp32 | norms | 12 | ")
