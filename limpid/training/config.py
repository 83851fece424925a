"""What a training run is told: data, network, loss, optimiser, and when to stop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from limpid.data.scaling import AUTO, SCALES
from limpid.errors import ArgumentError
from limpid.training.construction import (
    ACTIVATIONS,
    INITIALISATIONS,
    LOSSES,
    NETWORKS,
    OPTIMIZERS,
)

MOST = 2**63 - 1

Bounds = tuple[float, float]
BOUNDS: dict[str, tuple[str, Bounds]] = {  # name → (condition in words, closed interval)
    "epochs": ("at least 1", (1, math.inf)),
    "seed": ("from 0 to 2**63 - 1", (0, MOST)),
    "patience": ("at least 1", (1, math.inf)),
    "batch_size": ("at least 1, or full", (1, math.inf)),
    "lr": ("above 0", (math.ulp(0.0), math.inf)),
    "momentum": ("from 0 to below 1", (0, math.nextafter(1, 0))),
    "dropout": ("from 0 to below 1", (0, math.nextafter(1, 0))),
    "test_fraction": ("between 0 and 1", (math.ulp(0.0), math.nextafter(1, 0))),
    "tolerance": ("above 0", (math.ulp(0.0), math.inf)),
    "weight_decay": ("at least 0", (0, math.inf)),
    "l1": ("at least 0", (0, math.inf)),
    "l2": ("at least 0", (0, math.inf)),
}
CHOICES: dict[str, Any] = {
    "model": NETWORKS,
    "activation": ACTIVATIONS,
    "init": INITIALISATIONS,
    "loss": LOSSES,
    "optimizer": OPTIMIZERS,
    "scale": SCALES,
}
WHOLE = ("epochs", "seed", "patience", "batch_size")
TRUTHS = ("nesterov", "eager")


@dataclass(frozen=True)
class Config:
    """The settings of a training run; ArgumentError for impossible ones.

    data           "digits" or a path, see `limpid.data.load`
    label, scale, test_fraction  see `limpid.data.load`
    model          mlp, or for images lenet
    hidden         the widths of the hidden linear layers, () for none; None for the model's usual
    activation     between the layers: relu, tanh, sigmoid …
    init           how weights begin: default (as nn.Linear), xavier, kaiming, orthogonal …
    dropout        the probability with which a hidden unit is left out in training; None for the
                   model's usual one
    loss           cross-entropy, hinge (Σ max(0, s_j − s_y + 1)) or mse (against one-hot)
    optimizer      adamw, adam or sgd
    lr             learning rate; None for the usual one of model and optimiser
    momentum, nesterov  of sgd
    weight_decay   None for the optimiser's usual one
    l1, l2         adds l1·Σ|w| + ½·l2·Σw² over the weights (not the biases) to the loss
    batch_size     examples in a step; None for all of them
    epochs         how often every example is used
    seed           decides the first weights, the order of examples and dropout
    tolerance, patience  stop at epoch t + k when |f(t + k) − f(t)| < tolerance; k is the patience,
                         f the mean of what is minimised over an epoch
    eager          run every operation by itself; without it the whole step is compiled

    >>> Config(hidden=(32,), optimizer="sgd").learning_rate
    0.1
    """

    data: str = "digits"
    label: str | None = None
    scale: str = AUTO
    test_fraction: float = 0.2
    model: str = "mlp"
    hidden: tuple[int, ...] = None  # type: ignore[assignment]  # a tuple once it is made
    activation: str = "relu"
    init: str = "default"
    dropout: float = None  # type: ignore[assignment]  # a number once it is made
    loss: str = "cross-entropy"
    optimizer: str = "adamw"
    lr: float | None = None
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float | None = None
    l1: float = 0.0
    l2: float = 0.0
    batch_size: int | None = 32
    epochs: int = 30
    seed: int = 0
    tolerance: float | None = None
    patience: int | None = None
    eager: bool = False

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            _check_choice(name, getattr(self, name), known)
        for name in ("hidden", "dropout"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, getattr(NETWORKS[self.model], name))
        object.__setattr__(self, "hidden", tuple(self.hidden))
        for name, (words, bounds) in BOUNDS.items():
            _check_number(name, getattr(self, name), words, bounds)
        for name in TRUTHS:
            if not isinstance(getattr(self, name), bool):
                raise ArgumentError(f"{name} is True or False, not {getattr(self, name)!r}")
        if not all(isinstance(width, int) and 0 < width < MOST for width in self.hidden):
            raise ArgumentError(f"hidden must be widths of at least 1, not {self.hidden}")
        self._check_together()

    def _check_together(self) -> None:
        if self.momentum and self.optimizer != "sgd":
            raise ArgumentError(f"momentum belongs to sgd; {self.optimizer} has its own")
        if self.nesterov and not self.momentum:
            raise ArgumentError("nesterov needs sgd with a momentum, such as 0.9")
        if self.patience is not None and self.tolerance is None:
            raise ArgumentError("patience needs a tolerance, such as 1e-4")

    @property
    def learning_rate(self) -> float:
        """The learning rate, given or usual."""
        return NETWORKS[self.model].rates[self.optimizer] if self.lr is None else self.lr

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self) | {"hidden": list(self.hidden)}


def _check_choice(name: str, value: Any, known: Any) -> None:
    if value not in known:
        raise ArgumentError(f"{name} {value!r} is unknown; choose from {', '.join(known)}")


def _check_number(name: str, value: Any, words: str, bounds: Bounds) -> None:
    if value is None and any(f.name == name and "None" in str(f.type) for f in fields(Config)):
        return
    kinds = (int,) if name in WHOLE else (int, float)
    good = isinstance(value, kinds) and not isinstance(value, bool)
    if not good or not bounds[0] <= value <= bounds[1] or value == math.inf:
        raise ArgumentError(f"{name} must be {words}, not {value}")


def config_from_dict(stored: Mapping[str, Any]) -> Config:
    """The config that was stored; settings of other versions of limpid are an error.

    Runs that do not say were eager: nothing was compiled when they began.
    """
    known = {f.name for f in fields(Config)}
    unknown = sorted(set(stored) - known)
    if unknown:
        raise ArgumentError(f"the run has settings that this limpid lacks: {', '.join(unknown)}")
    return Config(**{"eager": True, **stored})
