"""The rows of the table against PyTorch in float64: values, VJPs, JVPs, second derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from tests.table import ROWS, Row
from tests.test_table import Case, close

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

WITH_TORCH = [row for row in ROWS if row.torch is not None]
TOLERANCE = 1e-8


class Peer:
    """The same row in PyTorch, on the same numbers."""

    def __init__(self, case: Case):
        self.case = case

    def results(self, *point: Any) -> tuple[Any, ...]:
        operands = list(self.case.operands)
        for i, x in zip(self.case.numbers, point, strict=True):
            operands[i] = x
        tensors = [
            torch.from_numpy(np.array(x, order="C")) if isinstance(x, np.ndarray) else x
            for x in operands
        ]
        found = self.case.row.torch(torch, *tensors)
        found = found if isinstance(found, tuple | list) else (found,)
        return tuple(r for r in found if r.is_floating_point())

    def scalar(self, *point: Any) -> Any:
        weights = map(torch.from_numpy, self.case.weights)
        return sum((r * w).sum() for r, w in zip(self.results(*point), weights, strict=True))

    def point(self) -> list[Any]:
        return [torch.from_numpy(np.array(x)).requires_grad_() for x in self.case.point]

    def gradient(self, point: list[Any], create_graph: bool = False) -> list[Any]:
        found = torch.autograd.grad(
            self.scalar(*point), point, create_graph=create_graph, allow_unused=True
        )
        return [torch.zeros_like(x) if g is None else g for g, x in zip(found, point, strict=True)]


def rows(which: list[Row]) -> Any:
    return pytest.mark.parametrize("row", which, ids=[row.id for row in which])


@rows(WITH_TORCH)
def test_value(row: Row) -> None:
    case = Case(row)
    for mine, theirs in zip(
        case.results(*case.point), Peer(case).results(*case.point), strict=True
    ):
        close(mine, theirs.detach().numpy(), TOLERANCE)


@rows([row for row in WITH_TORCH if row.order >= 1])
def test_vjp_and_jvp(row: Row) -> None:
    case = Case(row)
    peer = Peer(case)
    theirs = peer.gradient(peer.point())
    for g, t in zip(case.gradient(*case.point), theirs, strict=True):
        close(g, t.numpy(), TOLERANCE)
    slope = sum(np.sum(t.numpy() * v) for t, v in zip(theirs, case.directions, strict=True))
    close(case.slope(*case.point), slope, TOLERANCE)


@rows([row for row in WITH_TORCH if row.order >= 2])
def test_second_derivative(row: Row) -> None:
    case = Case(row)
    peer = Peer(case)
    point = peer.point()
    first = peer.gradient(point, create_graph=True)
    directions = list(map(torch.from_numpy, case.directions))
    weighted = sum((g * v).sum() for g, v in zip(first, directions, strict=True))
    if weighted.requires_grad:
        found = torch.autograd.grad(weighted, point, allow_unused=True)
    else:
        found = [None] * len(point)
    mine = limpid.jvp(case.gradient, tuple(case.point), tuple(case.directions))[1]
    for h, t, x in zip(mine, found, case.point, strict=True):
        close(h, np.zeros_like(x) if t is None else t.numpy(), TOLERANCE)
