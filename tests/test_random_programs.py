"""Random programs: every way to run or differentiate one must agree with every other.

The programs are fixed by their seeds. `make test-long` takes more and longer ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import limpid
from limpid.graph.text import format_graph, parse_graph
from tests.programs import CUTS, JUMPS, Program, random_program
from tests.test_table import close

EXACT = 1e-10
COUNT = 160
MANY = 6000


class Run:
    """A program as a function, its derivatives, and the point where they are compared."""

    def __init__(self, program: Program):
        self.program = program
        self.point = tuple(program.point)
        self.directions = tuple(program.directions)
        self.gradient = limpid.grad(self.value, range(len(self.point)), unused="zeros")

    def value(self, *inputs: Any) -> Any:
        return self.program(limpid, *inputs)

    def slope(self, *inputs: Any) -> Any:
        """The derivative along the directions, by forward mode."""
        return limpid.jvp(self.value, inputs, self.directions)[1]

    def along(self, gradients: Any) -> Any:
        """Gradients times directions."""
        parts = [limpid.sum(g * v) for g, v in zip(gradients, self.directions, strict=True)]
        return sum(parts[1:], parts[0])


def values(run: Run, tolerance: float) -> None:
    """Tensors compute what arrays do."""
    traced = run.value(*map(limpid.tensor, run.point))
    close(traced.numpy(), run.value(*run.point), tolerance)


def forward_and_reverse(run: Run, tolerance: float) -> None:
    gradient = run.gradient(*run.point)
    close(run.slope(*run.point), run.along(gradient), tolerance)
    for g, x in zip(gradient, run.point, strict=True):
        assert (g.shape, g.dtype) == (x.shape, x.dtype)


def backward_and_explained(run: Run, tolerance: float) -> None:
    """`.backward()` and the sums of `explain` give what `grad` gives."""
    leaves = [limpid.tensor(x, requires_grad=True) for x in run.point]
    result = run.value(*leaves)
    if not result.requires_grad:
        return
    record = limpid.explain(result)
    result.backward()
    explained = [s for s in record.steps if s.op == "input"]
    for leaf, expected in zip(leaves, run.gradient(*run.point), strict=True):
        if leaf.grad is None:
            assert not expected.any()
            continue
        close(leaf.grad.numpy(), expected, tolerance)
        value = leaf.detach().numpy()
        (step,) = [s for s in explained if s.value and np.array_equal(s.value.array, value)][:1]
        assert step.gradient is not None
        close(step.gradient.array, expected, tolerance)


def recorded(run: Run, tolerance: float) -> None:
    """The recorded graph, and what is parsed from its text, compute what eager does."""
    _check_graph(run, run.value, [run.value(*run.point)], tolerance)


def recorded_gradient(run: Run, tolerance: float) -> None:
    _check_graph(run, run.gradient, run.gradient(*run.point), tolerance)


def _check_graph(run: Run, function: Any, expected: Any, tolerance: float) -> None:
    graph = limpid.record(function, *run.point).graph
    graph.check()
    text = format_graph(graph, comments=False)
    rebuilt = parse_graph(text, graph.constants())
    assert format_graph(rebuilt, comments=False) == text
    for form in (graph, rebuilt):
        results, _ = form.evaluate(run.point)
        for actual, wanted in zip(results, expected, strict=True):
            close(actual, wanted, tolerance)


def second_order(run: Run, tolerance: float) -> None:
    """Forward over reverse, reverse over forward, both twice, and recorded."""
    point, numbers = run.point, range(len(run.point))

    def product(*inputs: Any) -> Any:
        return limpid.jvp(run.gradient, inputs, run.directions)[1]

    expected = product(*point)
    over_forward = limpid.grad(run.slope, numbers, unused="zeros")(*point)
    weighted = limpid.grad(lambda *p: run.along(run.gradient(*p)), numbers, unused="zeros")
    replayed = [t.numpy() for t in limpid.record(product, *point)(*point)]
    for found in (over_forward, weighted(*point), replayed):
        for actual, wanted in zip(found, expected, strict=True):
            close(actual, wanted, tolerance)
    close(limpid.jvp(run.slope, point, run.directions)[1], run.along(expected), tolerance)


def finite_differences(run: Run, tolerance: float) -> None:
    if run.program.has("cast", *JUMPS, *CUTS):
        return

    def difference(h: float) -> float:
        ahead = run.value(*[x + h * v for x, v in zip(run.point, run.directions, strict=True)])
        behind = run.value(*[x - h * v for x, v in zip(run.point, run.directions, strict=True)])
        return float((ahead - behind) / (2 * h))

    coarse, fine = difference(1e-4), difference(5e-5)
    error = abs(fine - coarse) + 1e-6 * max(1.0, abs(fine))  # it is as exact as the two agree
    assert abs(float(run.slope(*run.point)) - (4 * fine - coarse) / 3) <= error


CHECKS = [
    values,
    forward_and_reverse,
    backward_and_explained,
    recorded,
    recorded_gradient,
    second_order,
    finite_differences,
]
Check = Callable[[Run, float], None]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("seed", range(COUNT))
def test_program(seed: int, check: Check) -> None:
    check(Run(random_program(seed, 2 + seed % 7)), EXACT)


@pytest.mark.parametrize("check", CHECKS[1:6], ids=lambda check: check.__name__)
@pytest.mark.parametrize("seed", range(COUNT // 2))
def test_program_of_mixed_precision(seed: int, check: Check) -> None:
    check(Run(random_program(seed, 2 + seed % 7, cast=True)), 1e-4)


@pytest.mark.long
def test_many_programs() -> None:
    for seed in range(COUNT, MANY):
        run = Run(random_program(seed, 2 + seed % 12))
        for check in CHECKS:
            try:
                check(run, EXACT)
            except Exception as error:
                error.add_note(f"{check.__name__} of seed {seed}: {run.program}")
                raise
