"""From settings to objects: network, first weights, loss, optimiser."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import limpid.nn.functional as functional
from limpid.nn import activations, init
from limpid.nn.containers import Sequential
from limpid.nn.dropout import Dropout
from limpid.nn.linear import Linear
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


def build_model(config: Config, features: int, classes: int) -> Module:
    """A multi-layer perceptron: features → hidden … → classes, with the config's first weights.

    Random numbers come from this thread's default generator.
    """
    layers: list[Module] = []
    widths = (features, *config.hidden, classes)
    for width, following in pairwise(widths):
        if layers:
            layers.append(ACTIVATIONS[config.activation]())
            layers += [Dropout(config.dropout)] if config.dropout else []
        layers.append(_linear(width, following, INITIALISATIONS[config.init]))
    return Sequential(*layers)


def _linear(width: int, following: int, begin: Callable[[Parameter], Any] | None) -> Linear:
    layer = Linear(width, following)
    if begin is not None:
        begin(layer.weight)
        if layer.bias is not None:
            init.zeros_(layer.bias)
    return layer


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
