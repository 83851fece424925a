"""Misuse of layers and losses: one message that names the layer, the numbers and one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.errors import ArgumentError, IndexingError, LimpidError, ShapeError
from limpid.nn import functional as F


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape)


LAYERS: list[tuple[Any, tuple[Any, ...], type[LimpidError], str]] = [
    (nn.Softmax(5), (zeros(2, 3),), ArgumentError, "axis 5 is out of range for 2 dim"),
    (nn.MSELoss(), (zeros(3, 2), zeros(3)), ShapeError, r"\(3, 2\) but the target \(3,\)"),
    (nn.MSELoss(reduction="x"), (zeros(3), zeros(3)), ArgumentError, "reduction must be.*'x'"),
    (nn.PairwiseDistance(), (zeros(2, 3), zeros(2, 4)), ShapeError, r"\(2, 3\) and \(2, 4\)"),
    (nn.TripletMarginLoss(), (zeros(2, 3), zeros(2, 4), zeros(2, 3)), ShapeError, r"\(2, 4\)"),
    (nn.MultiMarginLoss(weight=np.ones(2)), (zeros(4, 3), np.array([0, 1, 1, 0])), ShapeError,
     r"3 classes but weights of \(2,\)"),
    (nn.MultiMarginLoss(p=3), (zeros(2, 3), np.array([0, 1])), ArgumentError, "1 or 2, not 3"),
    (nn.Bilinear(4, 2, 1, dtype="float64"), (zeros(2, 3), zeros(2, 2)), ShapeError,
     r"\(1, 4, 2\).* end in 4 and 2.*\(2, 3\) and \(2, 2\)"),
    (nn.AvgPool2d(2, divisor_override=1.5), (zeros(1, 2, 4, 4),), ArgumentError, "not 1.5"),
    (nn.MapConv2d(2, 3, [(0, 0), (1, 2)], 3, dtype="float64"), (zeros(1, 3, 5, 5),), ShapeError,
     r"made for 2 channels.*\(1, 3, 5, 5\)"),
    (nn.Conv2d(1, 1, 3, padding=5, padding_mode="reflect", dtype="float64"), (zeros(1, 1, 5, 5),),
     ShapeError, r"'reflect' adds at most 4 .* \(1, 1, 5, 5\), not \(5, 5\)"),
    (nn.Conv1d(1, 1, 3, padding=6, padding_mode="circular", dtype="float64"), (zeros(1, 1, 5),),
     ShapeError, r"'circular' adds at most 5 .* \(1, 1, 5\), not \(6, 6\)"),
    (nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect", dtype="float64"), (zeros(5, 5),),
     ShapeError, r"4 axes .* but its shape is \(5, 5\)"),
    (nn.MapConvTranspose2d(2, 3, [(0, 0), (1, 2)], 3, dtype="float64"), (zeros(1, 3, 5, 5),),
     ShapeError, r"made for 2 channels.*\(1, 3, 5, 5\)"),
]  # fmt: skip


class Network(nn.Module):
    """A layer at a path."""

    def __init__(self, layer: Any):
        self.body = nn.ModuleDict({"layer": layer})

    def forward(self, *x: Any) -> Any:
        return self.body["layer"](*x)


@pytest.mark.parametrize("number", range(len(LAYERS)))
@pytest.mark.parametrize("way", ["eager", "recorded"])
def test_a_layer_in_a_network(number: int, way: str) -> None:
    layer, operands, kind, match = LAYERS[number]
    network = Network(layer)
    with pytest.raises(kind, match=f"(?s){match}") as error:
        network(*operands) if way == "eager" else limpid.record(network, *operands)
    assert " in body.layer: " in str(error.value)
    assert str(error.value).count("\n  at ") == 1
    assert error.value.located


FUNCTIONS: list[tuple[str, Any]] = [
    ("mse_loss", lambda: F.mse_loss(zeros(3), zeros(3), "x")),
    ("huber_loss", lambda: F.huber_loss(zeros(3), zeros(3), delta=-1.0)),
    ("kl_div", lambda: F.kl_div(zeros(3), zeros(3), "x")),
    ("l1_loss", lambda: F.l1_loss(zeros(3), zeros(3), weight=zeros(2))),
    ("soft_margin_loss", lambda: F.soft_margin_loss(zeros(3), zeros(2))),
    ("cross_entropy", lambda: F.cross_entropy(zeros(1, 3), np.array([0]), label_smoothing=2.0)),
    ("nll_loss", lambda: F.nll_loss(zeros(1, 3), np.array([0]), reduction="x")),
    ("multi_margin_loss", lambda: F.multi_margin_loss(zeros(1, 3), np.array([0]), p=3)),
    ("poisson_nll_loss", lambda: F.poisson_nll_loss(zeros(3), zeros(3), reduction="x")),
    ("rrelu", lambda: F.rrelu(zeros(2, 3), noise=zeros(4))),
    ("rrelu", lambda: F.rrelu(zeros(2, 3), noise=zeros(5, 2, 3))),
    ("rrelu", lambda: F.rrelu(zeros(2, 3), 0.5, 0.1)),
]


@pytest.mark.parametrize(("name", "call"), FUNCTIONS)
def test_a_function_names_itself(name: str, call: Any) -> None:
    with pytest.raises((ArgumentError, ShapeError)) as error:
        call()
    assert str(error.value).startswith(f"{name}: ")
    assert str(error.value).count("\n  at ") == 1


@pytest.mark.parametrize("p", ["a", None, np.nan, -0.1])
def test_no_probability(p: Any) -> None:
    with pytest.raises(ArgumentError, match="Dropout: a probability is from 0 to 1, not"):
        nn.Dropout(p)


INDEXED: list[tuple[Any, tuple[Any, ...], tuple[Any, ...]]] = [
    (nn.MaxUnpool2d(2), (zeros(1, 1, 1, 1), zeros(1, 1, 1, 1).astype(int)),
     (zeros(1, 1, 1, 1), np.full((1, 1, 1, 1), 4))),
    (nn.Embedding(4, 2), (np.array([0]),), (np.array([4]),)),
    (nn.EmbeddingBag(4, 2), (np.array([[0]]),), (np.array([[4]]),)),
    (nn.EmbeddingBag(4, 2), (np.array([0, 0]), np.array([0])), (np.array([0, 0]), np.array([3]))),
    (nn.SparseLinear(4, 2, dtype="float64"), (np.array([[0]]), zeros(1, 1)),
     (np.array([[4]]), zeros(1, 1))),
    (nn.IndexLinear(4, 2, dtype="float64"), (np.array([0]), zeros(1), np.array([1])),
     (np.array([0]), zeros(1), np.array([2]))),
    (nn.CrossEntropyLoss(), (zeros(1, 2), np.array([0])), (zeros(1, 2), np.array([2]))),
    (nn.BCELoss(), (zeros(1), zeros(1)), (zeros(1) + 2, zeros(1))),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "good", "bad"), INDEXED)
def test_values_that_are_wrong_when_a_recording_runs(layer: Any, good: Any, bad: Any) -> None:
    recorded = limpid.record(Network(layer), *good)
    recorded(*good)
    with pytest.raises((ArgumentError, IndexingError)) as error:
        recorded(*bad)
    assert " in body.layer: " in str(error.value)
    assert str(error.value).count("\n  at ") == 1
    assert 'self.body["layer"](*x)' in str(error.value)  # the line that was recorded
