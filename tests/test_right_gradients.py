"""check_grad raises no false alarm: random right functions, float64 and float32."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import limpid
from limpid.errors import KinkWarning
from limpid.explanation.checking.diagnosis import Diagnosis
from limpid.explanation.checking.subject import subject_of
from limpid.transforms.point import Point
from tests.programs import CUTS, JUMPS, Program, random_program

COUNT = 200
MANY = 1000


def wrapped(program: Program, dtype: str) -> Any:
    """The program as a Function whose backward is right, inside another operation."""

    def narrow(*xs: Any) -> Any:
        return limpid.astype(program(limpid, *[limpid.astype(x, dtype) for x in xs]), dtype)

    class Program_(limpid.Function):  # noqa: N801  # a name of its own in messages
        @staticmethod
        def forward(ctx: Any, *xs: Any) -> Any:
            ctx.save_for_backward(*xs)
            return narrow(*xs)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return limpid.vjp(narrow, *ctx.saved_tensors)[1](g)

    return narrow, Program_


def right(seed: int) -> tuple[Any, list[Any], dict[str, Any]]:
    """A function, where to check it, and how."""
    draw, number = np.random.default_rng(seed), seed
    program = random_program(number, int(draw.integers(2, 6)))
    while program.has(*JUMPS, *CUTS):
        number += 1_000_000
        program = random_program(number, int(draw.integers(2, 6)))
    dtype = "float64" if seed % 2 else "float32"
    plain, function = wrapped(program, dtype)
    point = [x.astype(dtype) for x in program.point]
    if seed % 4 < 2:
        return plain, point, {}
    return (function, point, {}) if seed % 3 else (lambda *xs: function.apply(*xs) * 2, point, {})


def check(seed: int) -> None:
    function, point, options = right(seed)
    if not sum(x.size for x in point):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KinkWarning)
        limpid.check_grad(function, *point, order=1, **options)


def findings(seed: int) -> list[Any]:
    """What the diagnosis alone says, which judges in `limpid grade`."""
    function, arguments, _ = right(seed)
    function = function.apply if isinstance(function, type) else function
    point = Point(function, arguments, None)
    with point.doubled() as noise:
        found = Diagnosis(subject_of(point), None, max(1e-6, 30 * noise**0.5)).findings()
    return [f for f in found if f.cause != "kink"]


@pytest.mark.parametrize("chunk", range(6))
def test_the_diagnosis_finds_nothing_in_what_is_right(chunk: int) -> None:
    for seed in range(chunk, 60, 6):
        if sum(x.size for x in right(seed)[1]):
            assert findings(seed) == []


@pytest.mark.parametrize("chunk", range(10))
def test_right_gradients_pass(chunk: int) -> None:
    for seed in range(chunk, COUNT, 10):
        check(seed)


@pytest.mark.long
@pytest.mark.parametrize("chunk", range(20))
def test_many_right_gradients_pass(chunk: int) -> None:
    for seed in range(chunk, MANY, 20):
        check(seed)
