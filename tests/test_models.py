"""The networks of the literature: their sizes, their forward passes, their state dicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.errors import ArgumentError, ShapeError
from limpid.nn import init, models
from limpid.training.runs import load_model, resume, train


def undrawn(build: Any, *args: Any, **kwargs: Any) -> nn.Module:
    with init.skip_draws():
        return build(*args, **kwargs)


@pytest.mark.parametrize(
    ("build", "shape", "parameters"),
    [
        (models.lenet5, (1, 32, 32), 60_850),
        (models.lenet, (1, 28, 28), 422_154),
        (models.alexnet, (3, 224, 224), 60_965_224),
        (models.vgg11, (3, 224, 224), 132_863_336),
        (models.vgg16, (3, 224, 224), 138_357_544),
        (models.resnet20, (3, 32, 32), 269_722),
    ],
)
def test_parameters(build: Any, shape: Any, parameters: int) -> None:
    found = nn.summary(undrawn(build), shape)
    assert (found.parameters, found.unused) == (parameters, 0)
    classes = 10 if parameters < 10**6 else 1000
    assert found.rows[-1].shapes == ((classes,),)


def test_lenet5_as_published() -> None:
    """The numbers in the text of the paper, section II.B."""
    found = nn.summary(models.lenet5(), (1, 32, 32))
    rows = {row.path: row for row in found.rows if row.parameters}
    assert [rows[name].shapes[0] for name in ("c1", "s2", "c3", "s4", "c5", "f6")] == [
        (6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (120, 1, 1), (84,),
    ]  # fmt: skip
    assert [row.parameters for row in rows.values()] == [156, 12, 1516, 32, 48_120, 10_164, 850]
    assert found.parameters - 850 == 60_000
    assert len(models.lenets.CONNECTIONS) == 60


@pytest.mark.parametrize("side", [224, 227])
def test_alexnet_as_published(side: int) -> None:
    """Section 3.5 of the paper, but for the first layer: 253,440 there is a slip for 290,400."""
    found = nn.summary(undrawn(models.alexnet), (3, side, side), strict=True)
    units = [row.units for row in found.rows if row.multiply_adds]
    assert units == [290_400, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]
    assert found.units == sum(units) == 659_272
    assert found.multiply_adds == 724_406_816
    convolutions = [row for row in found.rows if row.kind == "Conv2d"]
    assert [row.shapes[0][0] for row in convolutions] == [96, 256, 384, 384, 256]


def test_alexnet_takes_two_sizes() -> None:
    model = undrawn(models.alexnet)
    with pytest.raises(ShapeError, match=r"224.*227.*not \(64, 64\)"):
        model(limpid.zeros((1, 3, 64, 64)))
    small = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
    init.normal_(model.features[0].weight, 0.0, 0.01)
    large = np.pad(small, ((0, 0), (0, 0), (2, 1), (2, 1)))
    with limpid.no_grad():
        first = model.features[0]
        padded = nn.Conv2d(3, 96, 11, stride=4, padding=2)
        padded.load_state_dict(first.state_dict())
        np.testing.assert_allclose(first(large).numpy(), padded(small).numpy(), atol=1e-5)


def test_vgg_has_the_keys_of_torchvision() -> None:
    state = undrawn(models.vgg11, num_classes=3).state_dict()
    convolutions = [f"features.{i}.{n}" for i in (0, 3, 6, 8, 11, 13, 16, 18) for n in WB]
    assert list(state) == convolutions + [f"classifier.{i}.{n}" for i in (0, 3, 6) for n in WB]
    assert state["classifier.0.weight"].shape == (4096, 25_088)
    names = [f"features.{i}" for i in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)]
    found = [n for n, m in undrawn(models.vgg16).named_modules() if isinstance(m, nn.Conv2d)]
    assert found == names


WB = ("weight", "bias")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (models.lenet5, (2, 1, 32, 32)),
        (lambda dtype: models.lenet((3, 9, 10), dtype=dtype), (2, 3, 9, 10)),
        (models.resnet20, (2, 3, 32, 32)),
    ],
)
def test_they_train(build: Any, shape: Any, dtype: str) -> None:
    limpid.random.seed(0)
    model = build(dtype=dtype)
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    y = model(x)
    assert (y.shape, y.dtype) == ((2, 10), dtype)
    nn.functional.cross_entropy(y, limpid.asarray([1, 7])).backward()
    gradients = [p.grad for p in model.parameters()]
    assert all(g is not None and g.dtype == dtype for g in gradients)
    assert all(float(limpid.max(limpid.abs(g))) > 0 for g in gradients)


def test_lenet_of_other_images_and_widths() -> None:
    model = models.lenet((2, 4, 5), 3, hidden=(7, 6), dropout=0.1, activation=nn.Tanh)
    assert model(limpid.zeros((1, 2, 4, 5))).shape == (1, 3)
    assert [m.out_features for m in model.modules() if isinstance(m, nn.Linear)] == [7, 6, 3]
    assert models.lenet(hidden=())(limpid.zeros((1, 1, 28, 28))).shape == (1, 10)
    for image in ((8, 8), (1, 3, 8), (1, 8.5, 8)):
        with pytest.raises(ArgumentError, match="image"):
            models.lenet(image)


# First values


def test_first_values() -> None:
    limpid.random.seed(0)
    model = models.resnet20()
    weight = model.layer3[1].conv1.weight.value
    assert abs(weight.std() / np.sqrt(2 / (64 * 9)) - 1) < 0.02
    assert all(float(m.weight.value.mean()) == 1 for m in model.modules() if is_norm(m))


def is_norm(module: nn.Module) -> bool:
    return isinstance(module, nn.BatchNorm2d)


def test_alexnet_begins_with_open_units() -> None:
    model = undrawn(models.alexnet, num_classes=2)
    biases = [m.bias.value for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert [float(b.mean()) for b in biases] == [0, 1, 0, 1, 1, 1, 1, 0]


def test_skipped_draws_leave_values_and_generator() -> None:
    generator = str(limpid.random.default_generator().state_dict())
    weight = limpid.Parameter(np.full((3, 3), 5.0))
    with init.skip_draws():
        for draw in (
            init.uniform_, init.normal_, init.trunc_normal_, init.orthogonal_,
            init.xavier_normal_, init.kaiming_uniform_,
        ):  # fmt: skip
            assert draw(weight) is weight
        assert not nn.Linear(2, 2).weight.value.any()
    assert (weight.value == 5).all()
    assert str(limpid.random.default_generator().state_dict()) == generator
    init.uniform_(weight)
    assert (weight.value != 5).all()


# On the digits


@pytest.mark.parametrize(
    "seed", [0, *[pytest.param(n, marks=pytest.mark.long) for n in range(1, 5)]]
)
def test_lenet_reads_digits(seed: int, tmp_path: Any) -> None:
    result = train(model="lenet", seed=seed, output=tmp_path)
    assert result.test_accuracy >= 0.985
    images = limpid.data.load_digits().test
    scores = load_model(tmp_path)(images.x.reshape(len(images), -1))
    assert np.mean(scores.value.argmax(1) == images.y) == result.test_accuracy


def test_settings_of_lenet(tmp_path: Any) -> None:
    settings = {"hidden": (5, 4), "activation": "tanh", "init": "xavier", "optimizer": "sgd"}
    result = train(model="lenet", dropout=0.25, epochs=1, output=tmp_path / "a", **settings)
    widths = [m.out_features for m in result.model.modules() if isinstance(m, nn.Linear)]
    assert widths == [5, 4, 10]
    assert {m.p for m in result.model.modules() if isinstance(m, nn.Dropout)} == {0.25}
    assert result.metrics[0]["learning_rate"] == 0.05
    assert sum(isinstance(m, nn.Tanh) for m in result.model.modules()) == 4


def test_lenet_resumes_bit_for_bit(tmp_path: Any) -> None:
    small = {"model": "lenet", "hidden": (8,), "batch_size": 128}
    whole = train(epochs=2, output=tmp_path / "whole", **small)
    train(epochs=1, output=tmp_path / "half", **small)
    rest = resume(tmp_path / "half", epochs=2)
    for name, value in whole.model.state_dict().items():
        np.testing.assert_array_equal(value, rest.model.state_dict()[name])


def test_lenet_needs_images() -> None:
    data = limpid.data.from_arrays(np.random.rand(20, 30), np.arange(20) % 2)
    with pytest.raises(limpid.errors.DataError, match=r"needs images.*\(30,\)"):
        train(model="lenet", dataset=data)
    colour = limpid.data.from_arrays(np.random.rand(20, 3, 6, 5), np.arange(20) % 2)
    built = limpid.training.construction.build_model(
        limpid.training.Config(model="lenet"), colour.train.x.shape[1:], 2
    )
    assert built(colour.train.x.reshape(len(colour.train), -1)).shape == (len(colour.train), 2)
