"""The corpus of faults shows what it says, without any rule: by the programs' own numbers."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import limpid
from tests.faults.case import Case, Program
from tests.faults.corpus import CASES, OWN, RUNS
from tests.faults.shown import SHOWN, measure

NANS = [c for c in CASES if c.nan]
PROGRAMS = {
    **{f"{c.name}-{kind}": getattr(c, kind) for c in CASES for kind in ("faulty", "healthy")},
    **{f"run-{name}": make for name, make in RUNS.items()},
}
SLUGS = {
    "vanishing", "exploding", "dead-units", "saturated-units", "update-ratio", "initial-scale",
    "unused-parameters", "unchanged-parameters", "loss-not-falling", "loss-at-chance",
    "missing-zero-grad", "softmax-twice", "wrong-mode", "input-scale", "underflow",
    "label-mismatch",
}  # fmt: skip


def named(cases: list[Case]) -> Any:
    return pytest.mark.parametrize("case", cases, ids=[c.name for c in cases])


def is_finite(value: Any) -> bool:
    array = np.asarray(value)
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def state(program: Program) -> dict[str, Any]:
    """The parameters and what the optimiser keeps of them."""
    assert program.optimizer is not None
    held: dict[str, Any] = {}
    for group in program.optimizer.param_groups:
        for i, p in enumerate(group["params"]):
            held[str(i)] = p
            slots = program.optimizer.state.get(p, {})
            held |= {f"{i}.{name}": slot for name, slot in slots.items()}
    return held


def finite_parts(program: Program, batch: tuple[Any, ...], loss: Any) -> dict[str, bool]:
    """What is finite after a call."""
    slots = state(program)
    gradients = [p.grad for p in slots.values() if getattr(p, "grad", None) is not None]
    return {
        "input": all(map(is_finite, batch)),
        "loss": is_finite(loss.value),
        "gradients": all(is_finite(g.value) for g in gradients),
        "state": all(is_finite(slot.value) for slot in slots.values()),
    }


def calls(program: Program, step: Any) -> list[dict[str, bool]]:
    return [finite_parts(program, batch, step(*batch)) for batch in program.batches]


@named(NANS)
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_nan_comes_where_the_case_says(case: Case, compiled: bool) -> None:
    program, nan = case.faulty(), case.nan
    assert nan is not None
    seen = calls(program, limpid.compile(program.step) if compiled else program.step)
    assert all(all(parts.values()) for parts in seen[: nan.step - 1])
    found = seen[nan.step - 1]
    if nan.born == "forward":
        assert found["input"]
        assert not (found["loss"] and found["gradients"])
    elif nan.born == "local derivative":
        assert found["input"]
        assert found["loss"]
        assert not found["gradients"]
    elif nan.born == "update":
        assert found["input"]
        assert found["loss"]
        assert not found["state"]
    else:
        assert nan.born == "input"
        assert not found["input"]


@named(NANS)
def test_near_miss_stays_finite(case: Case) -> None:
    program = case.healthy()
    given = case.nan is not None and case.nan.born == "input" and bool(case.masked)
    for parts in calls(program, program.step):
        assert all(ok or (given and name == "input") for name, ok in parts.items())


@named([c for c in CASES if not c.nan])
def test_programs_for_the_doctor_stay_finite(case: Case) -> None:
    for make in (case.faulty, case.healthy):
        program = make()
        assert all(all(parts.values()) for parts in calls(program, program.step))


def losses(program: Program, step: Any) -> np.ndarray:
    return np.array([float(step(*batch).item()) for batch in program.batches[:4]])


@pytest.mark.parametrize("name", PROGRAMS)
def test_compiled_is_eager(name: str) -> None:
    """To rounding, which grows where a program is on its way to infinity: hence the first calls."""
    eager = PROGRAMS[name]()
    expected = losses(eager, eager.step)
    compiled = PROGRAMS[name]()  # made after the other has run: they share a random generator
    step = limpid.compile(compiled.step)
    found = losses(compiled, step)
    in_half = "float16" in str(step.graph)
    np.testing.assert_allclose(found, expected, rtol=1e-2 if in_half else 2e-5)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_the_same_each_time(name: str) -> None:
    first = PROGRAMS[name]()
    expected = losses(first, first.step)
    second = PROGRAMS[name]()
    np.testing.assert_array_equal(losses(second, second.step), expected)


@named(NANS)
def test_lines_are_in_the_source(case: Case) -> None:
    """As they stand there, without comments."""
    maker: Any = case.faulty
    source = Path(inspect.getfile(maker.func)).read_text(encoding="utf-8")
    lines = {line.split("  #")[0].strip() for line in source.splitlines()}
    assert case.nan is not None
    assert case.nan.line in lines
    assert not case.masked or case.masked in lines


@named(CASES)
def test_cases_are_well_formed(case: Case) -> None:
    assert re.fullmatch(r"[\w.-]+/[\w.-]+#\d+|written for the corpus", case.source)
    assert set(case.rules) | set(case.also) <= SLUGS
    assert bool(case.rules) != bool(case.nan)


def test_names_are_told_apart() -> None:
    names = [c.name for c in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", RUNS)
def test_healthy_runs_learn(name: str) -> None:
    program = RUNS[name]()
    found = np.array([float(program.step(*batch).item()) for batch in program.batches])
    assert np.isfinite(found).all()
    tenth = max(len(found) // 10, 1)
    assert found[-2 * tenth :].mean() < 0.8 * found[:tenth].mean()


@named([c for c in CASES if set(c.rules) & set(SHOWN)])
def test_faults_show_and_near_misses_do_not(case: Case) -> None:
    """One of the rules is to be found: one of them is shown by the faulty program."""
    faulty = measure(case.faulty())
    healthy = measure(case.healthy())
    shown = [SHOWN[rule] for rule in case.rules if rule in SHOWN]
    shown = [OWN[case.name]] if case.name in OWN else shown
    assert any(is_shown(faulty, healthy) for is_shown in shown)
    assert not any(is_shown(healthy, healthy) for is_shown in shown)


@named([c for c in CASES if not c.nan])
def test_near_misses_learn(case: Case) -> None:
    facts = measure(case.healthy())
    assert np.mean(facts.losses[-8:]) < 0.9 * facts.losses[0]
