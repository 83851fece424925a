"""The networks of the literature against PyTorch's layers with the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.nn import init, models

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers


def same(module: Any) -> Any:
    """PyTorch's layer of the same name with the same options, or a sequence of them."""
    if isinstance(module, nn.Sequential):
        return torch.nn.Sequential(*map(same, module))
    kind = getattr(torch.nn, type(module).__name__)
    if isinstance(module, nn.Conv2d):
        made = kind(
            module.in_channels, module.out_channels, module.kernel_size, module.stride,
            module.padding, module.dilation, module.groups, module.bias is not None,
        )  # fmt: skip
    elif isinstance(module, nn.Linear):
        made = kind(module.in_features, module.out_features)
    elif isinstance(module, nn.MaxPool2d):
        made = kind(module.kernel_size, module.stride)
    elif isinstance(module, nn.LocalResponseNorm):
        made = kind(module.size, module.alpha, module.beta, module.k)
    elif isinstance(module, nn.BatchNorm2d):
        made = kind(module.num_features)
    else:
        made = kind()
    return made


class Block(torch.nn.Module):
    """A residual block with a shortcut of option A."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.stride, self.missing = block.stride, block.missing
        self.conv1, self.bn1 = same(block.conv1), same(block.bn1)
        self.conv2, self.bn2 = same(block.conv2), same(block.bn2)

    def forward(self, x: Any) -> Any:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        x = x[:, :, :: self.stride, :: self.stride]
        half = self.missing // 2
        return torch.relu(y + torch.nn.functional.pad(x, (0, 0, 0, 0, half, half)))


class Residual(torch.nn.Module):
    """The whole residual network."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.conv1, self.bn1 = same(model.conv1), same(model.bn1)
        for name in ("layer1", "layer2", "layer3"):
            setattr(self, name, torch.nn.Sequential(*map(Block, getattr(model, name))))
        self.fc = same(model.fc)

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


def compare(mine: Any, theirs: Any, x: np.ndarray, tolerance: float) -> None:
    """Value and gradients of all parameters, in training mode."""
    theirs = theirs.to(getattr(torch, str(x.dtype)))
    theirs.load_state_dict({n: torch.tensor(v) for n, v in mine.state_dict().items()})
    y, expected = mine(x), theirs(torch.tensor(x))
    np.testing.assert_allclose(y.value, expected.detach(), rtol=tolerance, atol=tolerance)
    limpid.sum(y * y).backward()
    (expected * expected).sum().backward()
    wanted = {n: p.grad.numpy() for n, p in theirs.named_parameters()}
    for name, parameter in mine.named_parameters():
        scale = max(1.0, np.abs(wanted[name]).max())
        error = np.abs(parameter.grad.value - wanted[name]).max() / scale
        assert error < tolerance, name


def normal(*shape: int, dtype: str = "float64") -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


def test_lenet() -> None:
    limpid.random.seed(0)
    model = models.lenet((3, 12, 9), dropout=0.0, dtype="float64")
    theirs = torch.nn.Sequential()
    theirs.features, theirs.classifier = same(model.features), same(model.classifier)
    for module in theirs.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    compare(model, theirs, normal(4, 3, 12, 9), 1e-10)


def test_resnet20() -> None:
    limpid.random.seed(0)
    model = models.resnet20(dtype="float64")
    compare(model, Residual(model), normal(2, 3, 32, 32), 1e-9)


def test_alexnet_features() -> None:
    with init.skip_draws():
        model = models.alexnet(num_classes=2).features
    limpid.random.seed(0)
    for module in model:
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight)
    compare(model, same(model), normal(1, 3, 227, 227, dtype="float32"), 2e-4)


@pytest.mark.parametrize("stages", [models.vggs.VGG11, models.vggs.VGG16])
def test_vgg_features(stages: Any) -> None:
    narrow = [[n // 16 for n in stage] for stage in stages]
    with init.skip_draws():
        model = models.VGG(narrow, num_classes=2, dtype="float64").features
    limpid.random.seed(0)
    for module in model:
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight)
    compare(model, same(model), normal(1, 3, 64, 32), 1e-10)
