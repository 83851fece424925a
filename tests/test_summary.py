"""nn.summary: shapes, parameters, units, multiply-adds, memory; what it must leave alone."""

from __future__ import annotations

import json
from math import prod
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.errors import (
    AbstractError,
    ArgumentError,
    DTypeError,
    IndexingError,
    OperandError,
    ShapeError,
)
from limpid.graph.node import spec_of
from limpid.graph.registry import primitives
from limpid.nn import functional as F
from limpid.ops.windows.execution import execute

RNG = np.random.default_rng(0)


def column(found: nn.Summary, name: str) -> list[Any]:
    return [getattr(row, name) for row in found.rows]


def test_the_numbers_of_the_lecture() -> None:
    """Ten 5×5 filters with stride 1 and pad 2 on 3×32×32."""
    found = nn.summary(nn.Conv2d(3, 10, 5, stride=1, padding=2), (3, 32, 32))
    (row,) = found.rows
    assert row.shapes == ((10, 32, 32),)
    assert (row.parameters, row.multiply_adds, row.units) == (760, 768_000, 10_240)
    assert (row.memory, row.notes) == (4 * 10_240, ())
    assert [(f.size, f.stride, f.offset) for f in row.fields] == [(5, 1, -2), (5, 1, -2)]
    assert (found.parameters, found.multiply_adds, found.units) == (760, 768_000, 10_240)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_multiply_adds_of_a_convolution(rank: int, groups: int) -> None:
    """Outputs × input channels of a group × kernel area."""
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[rank - 1]
    model = kind(4, 8, 3, stride=2, padding=1, dilation=2, groups=groups)
    (row,) = nn.summary(model, (4, *(9,) * rank)).rows
    assert row.multiply_adds == prod(row.shapes[0]) * (4 // groups) * 3**rank
    assert row.parameters == 8 * (4 // groups) * 3**rank + 8


@pytest.mark.parametrize(
    ("name", "shapes", "params", "count"),
    [
        ("matmul", [(3, 4), (4, 5)], {}, 60),
        ("matmul", [(4,), (4, 5)], {}, 20),
        ("matmul", [(2, 1, 3, 4), (5, 4, 6)], {}, 720),
        ("matmul", [(2, 3, 4), (4,)], {}, 24),
        ("einsum", [(3, 4, 5), (5, 3, 2)], {"subscripts": "abc,cad->abd"}, 120),
        ("einsum", [(3,), (4,)], {"subscripts": "a,b->ba"}, 12),
        ("linear", [(2, 7, 3), (4, 3), (4,)], {}, 168),
    ],
)
def test_products_lower_to_the_contraction_that_they_are(
    name: str, shapes: list[Any], params: Any, count: int
) -> None:
    from limpid.ops import affine

    op: Any = affine.linear if name == "linear" else primitives[name]
    operands = [RNG.normal(size=shape) for shape in shapes]
    (part,) = op.lower(*map(spec_of, operands), **params)
    expected = op.evaluate(operands, params)
    found = np.empty(expected.shape)
    execute(part, operands[0], operands[1], found)
    found = found + (operands[2] if name == "linear" else 0)
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert part.multiply_adds() == count


# Rows


class Residual(nn.Module):
    """Operations of its own between and after two layers."""

    def __init__(self, channels: int) -> None:
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Any) -> Any:
        return F.relu(x + self.second(F.relu(self.first(x))))


def test_operations_between_layers_have_rows() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), Residual(4), nn.Flatten(), nn.Linear(144, 2))
    found = nn.summary(model, (3, 8, 8))
    assert [(r.path, r.kind) for r in found.rows] == [
        ("0", "Conv2d"), ("1.first", "Conv2d"), ("1", "relu"), ("1.second", "Conv2d"),
        ("1", "add, relu"), ("2", "Flatten"), ("3", "Linear"),
    ]  # fmt: skip
    assert column(found, "shapes")[4:] == [((4, 6, 6),), ((144,),), ((2,),)]
    assert [r.fields[0].size for r in found.rows] == [3, 5, 5, 7, 7, 7, 8]
    assert column(found, "memory") == [576, 576, 576, 576, 576, 0, 8]
    assert found.memory == sum(column(found, "memory"))


def test_units_are_those_of_layers_with_weights() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.AvgPool2d(2))
    found = nn.summary(model, (1, 6, 6))
    assert column(found, "units") == [32, 32, 32, 8]
    assert found.units == 32
    assert column(found, "multiply_adds") == [288, 0, 0, 0]
    assert column(found, "parameters") == [20, 4, 0, 0]


class Twice(nn.Module):
    """A layer called twice in a row, and once more after another one."""

    def __init__(self) -> None:
        self.shared = nn.Linear(4, 4)
        self.other = nn.Linear(4, 4, bias=False)
        self.unused = limpid.Parameter(np.zeros(7, np.float32))

    def forward(self, x: Any) -> Any:
        return self.shared(self.other(self.shared(self.shared(x))))


def test_a_shared_layer_has_a_row_for_each_call_and_counts_once() -> None:
    model = Twice()
    model.other.requires_grad_(False)
    found = nn.summary(model, 4)
    assert column(found, "path") == ["shared", "shared", "other", "shared"]
    assert column(found, "parameters") == [20, 20, 16, 20]
    assert column(found, "shared") == [0, 20, 0, 20]
    assert (found.parameters, found.trainable, found.unused) == (43, 27, 7)
    text = str(found)
    assert text.count("(20)") == 2
    assert "27 of 43 parameters are trained." in text
    assert "7 parameters are held by the model but not used." in text


def test_tied_parameters_count_once() -> None:
    embedding = nn.Embedding(10, 4)
    head = nn.Linear(4, 10, bias=False)
    head.weight = embedding.weight
    found = nn.summary(nn.Sequential(embedding, head), 6, dtype="int64")
    assert column(found, "shapes") == [((6, 4),), ((6, 10),)]
    assert column(found, "multiply_adds") == [0, 240]
    assert found.parameters == 40
    assert found.inputs[0].dtype is limpid.int64


class Siamese(nn.Module):
    """Two inputs of different shapes, functional code at the root, several outputs."""

    def __init__(self) -> None:
        self.weight = limpid.Parameter(np.ones((3, 1, 3), np.float32))
        self.table = nn.Embedding(5, 3)

    def forward(self, signal: Any, word: Any) -> Any:
        y = F.conv1d(signal, self.weight)
        return {"sum": y + self.table(word)[:, :, None], "none": None}


def test_several_inputs_and_functional_code() -> None:
    found = nn.summary(Siamese(), (1, 20), (), dtype=[None, "int64"])
    assert column(found, "kind") == ["conv", "Embedding", "get_item, add"]
    assert column(found, "path") == ["", "table", ""]
    assert found.rows[0].parameters == 9
    assert [f.size for f in found.rows[2].fields] == [3]
    assert [(f.input, f.axis) for f in found.rows[2].fields] == [(0, 1)]
    assert "Siamese on 1×20 float32, 1 int64" in str(found)


class Looped(nn.Module):
    """A recurrent network by hand."""

    def __init__(self) -> None:
        self.w = limpid.Parameter(np.zeros((4, 4), np.float32))

    def forward(self, x: Any) -> Any:
        def step(h: Any, x: Any) -> Any:
            h = limpid.tanh(h @ self.w + x)
            return h, h

        return limpid.scan(step, x[:, 0], limpid.swapaxes(x, 0, 1))[0]


def test_a_loop_multiplies_as_often_as_it_runs() -> None:
    assert nn.summary(Looped(), (7, 4)).multiply_adds == 7 * 16


def test_several_outputs_and_none() -> None:
    class Split(nn.Module):
        def forward(self, x: Any) -> Any:
            return x * 2, [limpid.sum(x, axis=1)]

    found = nn.summary(nn.Sequential(nn.Identity(), Split()), (3,))
    assert column(found, "shapes") == [((3,),), ((3,), ())]
    assert column(found, "units") == [3, 4]
    assert column(found, "memory") == [0, 16]


# What it leaves alone


def test_nothing_changes() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 2))
    model[1].eval()
    before = model.state_dict()
    modes = [m.training for m in model.modules()]
    generator = limpid.random.default_generator().state_dict()
    held = [dict(vars(m)) for m in model.modules()]
    nn.summary(model, 3)
    assert modes == [m.training for m in model.modules()]
    assert str(generator) == str(limpid.random.default_generator().state_dict())
    assert all(p.grad is None for p in model.parameters())
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    for module, kept in zip(model.modules(), held, strict=True):
        assert {n for n in vars(module) if n != "_names"} - {"training"} == {
            n for n in kept if n != "_names"
        } - {"training"}


def test_nothing_changes_after_an_error() -> None:
    class Reads(nn.Module):
        def forward(self, x: Any) -> Any:
            return x if float(x.sum()) else -x

    model = nn.Sequential(nn.Linear(3, 3), Reads())
    with pytest.raises(AbstractError, match="float"):
        nn.summary(model, 3)
    assert model.training
    assert not any("forward" in vars(m) for m in model.modules())
    assert model(limpid.ones((1, 3))).shape == (1, 3)


def test_a_forward_of_its_own_stays() -> None:
    model = nn.Sequential(nn.Linear(3, 3))
    model[0].forward = lambda x: x * 2
    assert nn.summary(model, 3).rows[0].multiply_adds == 0
    assert model(limpid.ones((1, 3))).tolist() == [[2.0, 2.0, 2.0]]


# Errors and notes


def test_a_result_below_one_names_the_layer_and_the_numbers() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(2, 2, 5)))
    with pytest.raises(ShapeError, match=r"^1\.1 \(Conv2d\): a window of 5.* 4 .*axis 1"):
        nn.summary(model, (1, 14, 10))
    with pytest.raises(ShapeError, match=r"^Conv1d: .*window of 5.* 4"):
        nn.summary(nn.Conv1d(1, 1, 5), (1, 4))


@pytest.mark.parametrize(
    ("model", "shape", "text"),
    [
        (nn.Conv2d(3, 8, 11, stride=4), (3, 224, 224),
         r"axes 0, 1 \(224 − 11 \+ 2·0\)/4 \+ 1 = 54.25: the last of 224 is not read"),
        (nn.Conv2d(3, 8, 3, stride=2, padding=1), (3, 32, 31),
         r"axis 0 \(32 − 3 \+ 2·1\)/2 \+ 1 = 16.5: the last of padding is not read"),
        (nn.Conv1d(1, 1, 3, stride=5, dilation=2), (1, 13),
         r"axis 0 \(13 − 5 \+ 2·0\)/5 \+ 1 = 2.6: the last 3 of 13 are not read"),
        (nn.MaxPool1d(2), (1, 5), r"axis 0 \(5 − 2 \+ 2·0\)/2 \+ 1 = 2.5: the last of 5 is"),
        (nn.AvgPool2d(3, 2), (1, 6, 7), r"axis 0 \(6 − 3 \+ 2·0\)/2 \+ 1 = 2.5"),
    ],
)  # fmt: skip
def test_what_does_not_divide_is_a_note_or_an_error(model: Any, shape: Any, text: str) -> None:
    found = nn.summary(model, shape)
    (note,) = found.rows[0].notes
    assert note in str(found)
    with pytest.raises(ShapeError, match=rf"^{type(model).__name__}: along spatial {text}"):
        nn.summary(model, shape, strict=True)


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (nn.Conv2d(3, 8, 11, stride=4), (3, 227, 227)),
        (nn.MaxPool1d(2, ceil_mode=True), (1, 5)),
        (nn.ConvTranspose1d(1, 1, 4, stride=3), (1, 5)),
        (nn.Linear(5, 2), (5,)),
        (nn.Conv1d(1, 1, 3, padding="same"), (1, 5)),
    ],
)
def test_what_divides_has_no_note(model: Any, shape: Any) -> None:
    assert nn.summary(model, shape, strict=True).rows[0].notes == ()


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nn.summary(nn.Linear(3, 2)), ArgumentError, "the shape of an input"),
        (lambda: nn.summary(abs, 3), OperandError, "takes a module, not builtin"),
        (lambda: nn.summary(nn.Linear(3, 2), (-3,)), ArgumentError, "from 0 on, not -3"),
        (lambda: nn.summary(nn.Linear(3, 2), (3.0,)), ArgumentError, "from 0 on, not 3.0"),
        (lambda: nn.summary(nn.Linear(3, 2), 3, dtype=["float32"] * 2), ArgumentError, "2 dtypes"),
        (lambda: nn.summary(nn.Linear(3, 2), 3, dtype="float64"), DTypeError, "^Linear: .*float64"),
        (lambda: nn.summary(nn.Linear(3, 2), 4), ShapeError, "must end in 3"),
        (lambda: nn.summary(nn.Embedding(3, 2), 4), IndexingError, "^Embedding: .*integer"),
    ],
)
def test_wrong_calls(call: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        call()


# What is shown


TABLE = """\
Sequential on 3×12×11 float32
───────────────────────────────────────────────────────────────────────────────────────
layer  kind     output  parameters  multiply-adds  units   memory  sees  stride  offset
───────────────────────────────────────────────────────────────────────────────────────
0      Conv2d   10×4×4         760         12,000    160    640 B   5×5       2       0
1      ReLU     10×4×4           –              –    160    640 B   5×5       2       0
2      Flatten  160              –              –    160        –   5×5       2       0
3      Dropout  160              –              –    160        –   5×5       2       0
───────────────────────────────────────────────────────────────────────────────────────
total                          760         12,000    160  1.2 KiB
───────────────────────────────────────────────────────────────────────────────────────
For one example. Sees: how many elements of the input, along each axis, element o of an output
depends on, from number stride·o + offset on; those beyond the borders count, too.
The total of units is that of the layers which multiply by weights.
0: along spatial axis 0 (12 − 5 + 2·0)/2 + 1 = 4.5: the last of 12 is not read."""


def test_the_table() -> None:
    model = nn.Sequential(nn.Conv2d(3, 10, 5, stride=2), nn.ReLU(), nn.Flatten(), nn.Dropout())
    assert str(nn.summary(model, (3, 12, 11))) == TABLE


def test_a_network_without_windows_has_no_fields() -> None:
    text = str(nn.summary(nn.Sequential(nn.Linear(3, 4), nn.Tanh()), (3,)))
    assert "sees" not in text
    assert "total of units is that of the layers which multiply" in text


def test_json_and_back() -> None:
    record = nn.summary(nn.models.lenet5(), (1, 32, 32)).to_json()
    assert json.loads(json.dumps(record)) == record
    assert record["format"] == "limpid summary 1"
    assert record["rows"][0]["fields"][0] == {
        "input": 0, "axis": 1, "size": 5, "stride": 1, "offset": 0,
    }  # fmt: skip
    assert record["totals"]["parameters"] == 60_850
