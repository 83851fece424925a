"""Values that eager refuses: the truths by which a program knows that it must not be believed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.compiler.program.translation import translate
from limpid.compiler.program.values import evaluate
from limpid.graph.registry import primitives
from limpid.ops.windows.grid import grid_sample

F = nn.functional


class Check(NamedTuple):
    """A function of operands, such as it takes, and operand numbers with others that it refuses."""

    primitive: str
    function: Any
    good: tuple[Any, ...]
    bad: tuple[tuple[int, Any], ...]


def op(name: str, **params: Any) -> Any:
    return lambda *operands: primitives[name](*operands, **params)


X = np.arange(12.0).reshape(4, 3)
LABELS = np.array([0, 2, 1, 0])
IGNORED = np.array([0, -100, 1, -100])
GRID = np.zeros((1, 2, 2, 2))
IMAGE = np.arange(9.0).reshape(1, 1, 3, 3)
ROWS, COLUMNS = np.array([0, 3, -1]), np.array([2, 0, 1])
SAMPLE = {"mode": "bilinear", "padding": "zeros", "align": False, "orders": (0, 0)}
LABEL = {"ignore_index": -100, "label_smoothing": 0.0, "reduction": "mean"}
BAD_LABELS = tuple((1, np.array([0, wrong, 1, 0])) for wrong in (3, -1, -99, 1 << 40))
WORDS = np.arange(5, dtype=np.uint64) << np.uint64(60)

CHECKS = [
    Check("cross_entropy", lambda x, t: F.cross_entropy(x, t), (X, LABELS), BAD_LABELS),
    Check("cross_entropy", lambda x, t: F.cross_entropy(x, t), (X, IGNORED), ()),
    Check(
        "cross_entropy",
        lambda x, t: F.cross_entropy(x, t, ignore_index=1, label_smoothing=0.1),
        (X, LABELS),
        BAD_LABELS[:1],
    ),
    Check("nll", lambda x, t: F.nll_loss(x, t), (X, LABELS), BAD_LABELS),
    Check("multi_hinge", lambda x, t: F.multi_margin_loss(x, t), (X, LABELS), BAD_LABELS),
    Check("less_target", op("less_target", axis=1, **LABEL), (X, LABELS), BAD_LABELS),
    Check(
        "target_distribution",
        op("target_distribution", classes=3, axis=1, dtype="float64", **LABEL),
        (LABELS,),
        tuple((0, labels) for _, labels in BAD_LABELS),
    ),
    Check(
        "binary_cross_entropy",
        lambda p, t: F.binary_cross_entropy(p, t),
        (np.array([0.0, 1.0, np.nan]), np.ones(3)),
        ((0, np.array([0.5, 0.5, -1e-9])), (0, np.array([1.0 + 1e-9, np.nan, 0.5]))),
    ),
    Check(
        "get_item",
        lambda x, i: x[i],
        (X, np.array([3, -4])),
        ((1, np.array([4, 0])), (1, np.array([0, -5]))),
    ),
    Check(
        "get_item",
        lambda x, i, j: x[i, None, j],
        (X, np.array([[3], [-4]], np.int8), np.array([1, 2], np.uint16)),
        ((1, np.array([[4], [0]])), (2, np.array([0, 3])), (2, np.array([-4, 0]))),
    ),
    Check(
        "add_at",
        op("add_at", key=("array",), shape=(4, 3)),
        (X, np.array([3, -4, 0, 0])),
        ((1, np.array([4, 0, 0, 0])), (1, np.array([-5, 0, 0, 0]))),
    ),
    Check(
        "set_item",
        lambda x, i: limpid.set_item(x, (slice(1, None), i), 0),
        (X, np.array([2, -3])),
        ((1, np.array([3, 0])), (1, np.array([0, -4]))),
    ),
    Check(
        "is_last",
        op("is_last", key=("array",), shape=(4, 3)),
        (np.array([3, -4, 0]),),
        ((0, np.array([4, 0, 0])), (0, np.array([-5, 0, 0]))),
    ),
    Check(
        "unpool",
        op("unpool", extents=(4,)),
        (X, np.array([[3, 0, 0]] * 4)),
        ((1, np.array([[4, 0, 0]] * 4)), (1, np.array([[-1, 0, 0]] * 4))),
    ),
    Check(
        "unpool_adjoint",
        op("unpool_adjoint", extents=(3,)),
        (X, np.array([[2, 0]] * 4)),
        ((1, np.array([[3, 0]] * 4)), (1, np.array([[-1, 0]] * 4))),
    ),
    Check(
        "largest_at",
        op("largest_at"),
        (np.ones(4), np.array([3, -1]), np.array([2.0, 5.0])),
        ((1, np.array([4, 0])), (1, np.array([-2, 0]))),
    ),
    Check(
        "bag_argmax",
        op("bag_argmax", count=2),
        (X, np.array([0, 0, 1]), np.array([3, -1, 0])),
        ((1, np.array([0, 0, 2])), (2, np.array([4, 0, 0])), (2, np.array([-2, 0, 0]))),
    ),
    Check(
        "take_along_axis",
        lambda x, i: limpid.take_along_axis(x, i, 1),
        (X, np.array([[2], [-3], [0], [1]])),
        ((1, np.array([[2], [-4], [0], [1]])), (1, np.array([[3], [0], [0], [1]]))),
    ),
    Check(
        "scatter_add",
        op("scatter_add", axis=1, extent=3),
        (X, np.array([[2, -3, 0]] * 4)),
        ((1, np.array([[2, -4, 0]] * 4)), (1, np.array([[3, 0, 0]] * 4))),
    ),
    Check(
        "one_hot",
        lambda i: limpid.one_hot(i, 3),
        (LABELS,),
        ((0, np.array([0, 3])), (0, np.array([-1, 0]))),
    ),
    Check(
        "row_numbers",
        op("row_numbers", count=5),
        (np.array([2, 0, 3]),),
        ((0, np.array([2, 0, 2])), (0, np.array([6, -1, 0]))),
    ),
    Check(
        "occurrences",
        op("occurrences", count=4),
        (np.array([[0, 3], [-1, 3]]),),
        ((0, np.array([4, 0])), (0, np.array([-2, 0]))),
    ),
    Check(
        "sparse_matmul",
        op("sparse_matmul", extent=4),
        (np.ones(3), X[:3], ROWS, COLUMNS),
        ((2, ROWS + 1), (2, ROWS - 1), (3, COLUMNS + 1), (3, COLUMNS - 2)),
    ),
    Check(
        "sampled_matmul",
        op("sampled_matmul"),
        (X, X[:3], ROWS, COLUMNS),
        ((2, ROWS + 1), (2, ROWS - 1), (3, COLUMNS + 1), (3, COLUMNS - 2)),
    ),
    Check(
        "grid_sample",
        lambda x, grid: grid_sample(x, grid),
        (IMAGE, GRID),
        ((1, GRID + np.nan), (1, np.where(GRID == 0, np.inf, 0))),
    ),
    Check(
        "grid_spread",
        op("grid_spread", extents=(3, 3), **SAMPLE),
        (IMAGE[..., :2, :2], GRID),
        ((1, GRID + np.nan),),
    ),
    Check(
        "grid_slopes",
        op("grid_slopes", **SAMPLE),
        (IMAGE[..., :2, :2], IMAGE, GRID),
        ((2, GRID - np.inf),),
    ),
    Check(
        "power",
        lambda a, b: a**b,
        (np.array([2, 3]), np.array([0, 4])),
        ((1, np.array([2, -1])),),
    ),
    Check(
        "bits_to_choice",
        op("bits_to_choice"),
        (WORDS, np.array([0.25, 0.0, 0.75])),
        (
            (1, np.array([0.25, 0.5, 0.5])),
            (1, np.array([1.5, -0.5, 0.0])),
            (1, np.array([1.0, np.nan, 0.0])),
        ),
    ),
]


def truth(check: Check, operands: Any) -> bool:
    """Whether the program would be believed."""
    program = translate(limpid.record(check.function, *operands).graph)
    assert program.checks
    assert check.primitive in {node.op.name for _, node in program.checks}
    found = evaluate([value for value, _ in program.checks] + [*program.outputs], operands)
    truths = found[: len(program.checks)]
    assert all(t.shape == () and t.dtype == bool for t in truths)
    return all(truths)


IDS = [f"{check.primitive}-{number}" for number, check in enumerate(CHECKS)]


@pytest.mark.parametrize("check", CHECKS, ids=IDS)
def test_what_eager_takes_is_believed(check: Check) -> None:
    check.function(*check.good)
    assert truth(check, check.good)


@pytest.mark.parametrize("check", CHECKS, ids=IDS)
def test_what_eager_refuses_is_not_believed(check: Check) -> None:
    for number, wrong in check.bad:
        operands = [*check.good[:number], wrong, *check.good[number + 1 :]]
        with pytest.raises((limpid.errors.LimpidError, ValueError, IndexError)):
            check.function(*operands)
        assert not truth(check, operands)


def test_every_check_is_tested() -> None:
    declared = {name for name, p in primitives.items() if p.valid is not None}
    assert declared == {check.primitive for check in CHECKS}


def test_what_takes_all_values_is_not_checked() -> None:
    program = translate(limpid.record(lambda x: x**2 + x[1:3, ::-1][0, 0], X).graph)
    assert program.checks == ()


def test_checks_of_gradients_name_their_nodes() -> None:
    gradient = limpid.grad(lambda x, t: F.cross_entropy(x, t))
    program = translate(limpid.record(gradient, X, LABELS).graph)
    assert {node.op.name for _, node in program.checks} == {"less_target"}
    assert all(truth.node is node for truth, node in program.checks)
