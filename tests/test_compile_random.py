"""Compiled equals eager for random programs: as accurate, and the same bits however it is run.

`make test-long` takes more of them. A failure prints the program, which is Python.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.bits import assert_same_bits, threads
from tests.drawing import programs
from tests.drawn import CALLS, POINTS, Drawn, Program, named
from tests.extended import assert_as_accurate, is_same_function, is_steady, wider_than
from tests.native import cut_all_bands

FEW, MANY = 200, 800
STATISTICS = {"norm": lambda x: np.sqrt(np.sum(np.square(x, dtype=float))), "mean": np.mean}
Found = dict[str, Any]
RANDOM = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)


def check(program: Program) -> bool:
    """Whether the program could be judged."""
    eager, exact = references(program)
    if not can_be_judged(program, eager, exact):
        return False
    with pytest.MonkeyPatch.context() as patch:
        if program.cut:
            cut_all_bands(patch)
        with threads(2):
            step = Drawn(program, program.dtype).compiled()
            found = [step.run(point) for point in range(POINTS)]
            assert_same_bits("a second run", step.run(), found[0])
            as_accurate(found, eager, exact)
            as_accurate(with_probes(program, found), eager, exact)
        with threads(1):
            assert_same_bits("one thread", Drawn(program, program.dtype).compiled().run(), found[0])
    return True


def references(program: Program) -> tuple[list[Found], list[Found]]:
    """What eager gives at all points, and in extended precision, with the values of all lines."""
    names = [*program.names, *program.results]
    drawn = Drawn(program, program.dtype, names)
    eager = [drawn.run(point) for point in range(POINTS)]
    with wider_than(program.dtype) as wide:
        drawn = Drawn(program, wide, names)
        return eager, [drawn.run(point) for point in range(POINTS)]


def can_be_judged(program: Program, eager: list[Found], exact: list[Found]) -> bool:
    """Not where rounding decides on which side of a jump a value is."""
    for name in exact[0]:
        of_all = [run[name] for run in exact]
        if not is_steady(of_all, program.dtype):
            return False
        if not is_same_function([run[name] for run in eager], of_all):
            return False
    return True


def as_accurate(found: list[Found], eager: list[Found], exact: list[Found]) -> None:
    for name in found[0]:
        assert_as_accurate(name, *([run[name] for run in runs] for runs in (found, eager, exact)))


def with_probes(program: Program, found: list[Found]) -> list[Found]:
    """What probes give. Neither they, nor keeping calls, nor running these again change a bit."""
    step = Drawn(program, program.dtype).compiled(keep=CALLS, probe=program.patterns)
    shown = []
    for point in range(POINTS):
        assert_same_bits("a probed run", step.run(point), found[point])
        probed = step.step.probed
        shown.append({program.key(CALLS, n): probed[n] for n in program.names if n in probed})
        for name, values in STATISTICS.items():
            for n in program.names:
                if f"{name}:{n}" in probed:
                    np.testing.assert_allclose(probed[f"{name}:{n}"], values(probed[n]), 1e-4, 1e-4)
    for call in range(1, CALLS + 1):
        again = step.step.replay(CALLS + 1 - call)
        assert_same_bits("a replay", named(f"call {call}", again.result), found[-1])
        left = {x.tobytes() for x in again.state.values()}
        for name in program.written:
            assert found[-1][f"call {call}, {name} after"].tobytes() in left, f"{name}: a replay"
    return shown


def check_many(count: int, longest: int) -> None:
    """Check so many programs, which differ from one another."""
    judged: dict[str, bool] = {}
    failed = []

    @settings(RANDOM, max_examples=8 * count)  # hypothesis likes to repeat itself
    @given(programs(longest))
    def run(program: Program) -> None:
        text = program.source()
        if not failed and (text in judged or len(judged) == count):
            return
        try:
            judged[text] = check(program)
        except BaseException:
            failed.append(text)
            raise

    run()
    assert len(judged) == count
    assert sum(judged.values()) >= 0.9 * count


def test_some_programs() -> None:
    check_many(FEW, 15)


@pytest.mark.long
def test_many_programs() -> None:
    check_many(MANY, 30)
