"""Calling what was recorded: arguments by name, and gradients that can't pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid.errors import AbstractError, ArgumentError, CutError

POINT = np.array([1.0, 2.0, 3.0])


def test_keywords_and_dicts_go_by_name() -> None:
    by_keyword = limpid.record(lambda a, b: a - b, a=np.array(0.0), b=np.array(0.0))
    assert by_keyword(b=np.array(2.0), a=np.array(10.0)).item() == 8.0
    one = np.array(1.0)
    by_key = limpid.record(lambda d: d["a"] - d["b"], {"a": one, "b": one})
    assert by_key({"b": np.array(2.0), "a": np.array(10.0)}).item() == 8.0


@pytest.mark.parametrize("arguments", [(POINT,), (POINT, POINT, POINT), (POINT, [POINT])])
def test_other_arguments_than_recorded(arguments: Any) -> None:
    recorded = limpid.record(lambda a, b: a - b, POINT, POINT)
    with pytest.raises(ArgumentError, match="positional arguments"):
        recorded(*arguments)


def test_a_gradient_is_not_lost_on_the_way_in() -> None:
    recorded = limpid.record(lambda t: t * 3, POINT)
    with pytest.raises(CutError, match="recorded function"):
        limpid.grad(lambda t: limpid.sum(t * t) + limpid.sum(recorded(t)))(POINT)
    with limpid.no_grad():
        assert recorded(limpid.tensor(POINT, requires_grad=True)).tolist() == [3.0, 6.0, 9.0]


def test_a_gradient_is_not_lost_through_a_closure() -> None:
    def function(t: Any) -> Any:
        return limpid.sum(t) + limpid.sum(limpid.record(lambda y: y * t, POINT)(POINT))

    with pytest.raises(CutError, match=r"used in a recording.*y \* t"):
        limpid.grad(function)(POINT)


def test_a_tensor_of_the_recording_around_this_one() -> None:
    with pytest.raises(AbstractError, match=r"another recording.*b \* a"):
        limpid.record(lambda a: limpid.record(lambda b: b * a, POINT)(a), POINT)
