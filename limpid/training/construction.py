"""From settings to objects: network, first weights, loss, optimiser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any

import limpid.nn.functional as functional
from limpid.errors import DataError
from limpid.nn import init
from limpid.nn.containers import Sequential, Unflatten
from limpid.nn.layers import activations
from limpid.nn.layers.dropout import Dropout
from limpid.nn.layers.linear import Linear
from limpid.nn.models.lenets import LeNet
from limpid.nn.module import Module
from limpid.optim import SGD, Adam, AdamW, Optimizer
from limpid.tensor import Parameter, Tensor
from limpid.training.step import Loss, Objective

if TYPE_CHECKING:
    from limpid.training.config import Config

ACTIVATIONS: dict[str, Callable[[], Module]] = {
    "relu": activations.ReLU,
    "tanh": activations.Tanh,
    "sigmoid": activations.Sigmoid,
    "leaky-relu": activations.LeakyReLU,
    "elu": activations.ELU,
    "selu": activations.SELU,
    "celu": activations.CELU,
    "gelu": activations.GELU,
    "silu": activations.SiLU,
    "mish": activations.Mish,
    "softplus": activations.Softplus,
    "softsign": activations.Softsign,
    "hardtanh": activations.Hardtanh,
    "hardswish": activations.Hardswish,
}

INITIALISATIONS: dict[str, Callable[[Parameter], Any] | None] = {
    "default": None,  # as nn.Linear begins
    "xavier": init.xavier_uniform_,
    "xavier-normal": init.xavier_normal_,
    "kaiming": init.kaiming_uniform_,
    "kaiming-normal": init.kaiming_normal_,
    "orthogonal": init.orthogonal_,
    "truncated-normal": lambda w: init.trunc_normal_(w, std=0.02, a=-0.04, b=0.04),
}


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"adamw": AdamW, "adam": Adam, "sgd": SGD}


def squared_error(scores: Any, y: Any) -> Tensor:
    """The mean of (s − one-hot(y))² over all scores."""
    target = functional.one_hot(y, scores.shape[1])  # (batch, classes)
    return functional.mse_loss(scores, target.astype(scores.dtype))


LOSSES: dict[str, Loss] = {
    "cross-entropy": functional.cross_entropy,
    "hinge": functional.multiclass_hinge_loss,
    "mse": squared_error,
}


@dataclass(frozen=True)
class Network:
    """A kind of network, and the settings that suit it where none are given.

    build  `build(config, shape, classes)` for examples of this shape, which come flat
    rates  learning rates by optimiser
    """

    build: Callable[[Config, Sequence[int], int], Module]
    hidden: tuple[int, ...]
    dropout: float
    rates: dict[str, float]


def build_perceptron(config: Config, shape: Sequence[int], classes: int) -> Module:
    """A multi-layer perceptron: features → hidden … → classes."""
    layers: list[Module] = []
    for width, following in pairwise((prod(shape), *config.hidden, classes)):
        if layers:
            layers.append(ACTIVATIONS[config.activation]())
            layers += [Dropout(config.dropout)] if config.dropout else []
        layers.append(Linear(width, following))
    return Sequential(*layers)


def build_lenet(config: Config, shape: Sequence[int], classes: int) -> Module:
    """Two convolutions with max-pooling, then hidden … → classes; see `limpid.nn.models.lenet`."""
    image = (1, *shape) if len(shape) == 2 else tuple(shape)  # (C, H, W)
    if len(image) != 3 or min(image[1:]) < 4:
        raise DataError(
            f"lenet needs images, (H, W) or (C, H, W) of at least 4×4 pixels; an example here has "
            f"the shape {tuple(shape)}"
        )
    activation = ACTIVATIONS[config.activation]
    lenet = LeNet(image, classes, config.hidden, config.dropout, activation)
    return Sequential({"image": Unflatten(1, image), "lenet": lenet})


NETWORKS: dict[str, Network] = {
    "mlp": Network(build_perceptron, (128, 64), 0.0, {"adamw": 1e-3, "adam": 1e-3, "sgd": 0.1}),
    "lenet": Network(build_lenet, (128,), 0.5, {"adamw": 2e-3, "adam": 2e-3, "sgd": 0.05}),
}


def build_model(config: Config, shape: Sequence[int], classes: int) -> Module:
    """The network that the config names, with the config's first weights.

    shape  of one example; the network takes examples flat, (batch, features)

    Random numbers come from this thread's default generator.
    """
    model = NETWORKS[config.model].build(config, shape, classes)
    begin = INITIALISATIONS[config.init]
    if begin is not None:
        for parameter in model.parameters():
            if parameter.ndim > 1:
                begin(parameter)
            else:
                init.zeros_(parameter)
    return model


def build_objective(config: Config, model: Module) -> Objective:
    """The loss with the penalties that the config asks for, over the weights but not the biases."""
    weights = [p for p in model.parameters() if p.ndim > 1]
    return Objective(LOSSES[config.loss], weights, config.l1, config.l2)


def build_optimizer(config: Config, model: Module) -> Optimizer:
    """The optimiser that the config names."""
    parameters, lr = list(model.parameters()), config.learning_rate
    options: dict[str, Any] = {}
    if config.weight_decay is not None:
        options["weight_decay"] = config.weight_decay
    if config.optimizer == "sgd":
        options |= {"momentum": config.momentum, "nesterov": config.nesterov}
    return OPTIMIZERS[config.optimizer](parameters, lr, **options)
