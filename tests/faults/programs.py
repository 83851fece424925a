"""What the programs of the corpus share: data drawn from a seed, and the usual training step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

import limpid
from limpid import data, nn, optim
from tests.faults.case import Case, Program

Arrays = tuple[np.ndarray, np.ndarray]


def case(name: str, make: Callable[[bool], Program], source: str, **findings: Any) -> Case:
    """The case of a maker that takes whether the program is to be faulty."""
    return Case(name, partial(make, True), partial(make, False), source, **findings)


def draw(seed: int) -> np.random.Generator:
    """The generator of a program's data; limpid's own starts from the same seed."""
    limpid.manual_seed(seed)
    return np.random.default_rng(seed)


def normal(random: np.random.Generator, *shape: int, scale: float = 1.0) -> np.ndarray:
    """Normal numbers in float32."""
    return (scale * random.standard_normal(shape)).astype(np.float32)


def clouds(random: np.random.Generator, n: int, features: int, classes: int) -> Arrays:
    """A cloud of points for each class, about as far apart as they are wide; as many of each."""
    centres = 1.5 * random.standard_normal((classes, features))
    y = np.arange(n) % classes
    return (centres[y] + random.standard_normal((n, features))).astype(np.float32), y


def curve(random: np.random.Generator, n: int, features: int) -> Arrays:
    """Points (n, features), and a smooth function of them with a little noise, (n, 1)."""
    x = random.uniform(-1, 1, (n, features))
    slope = random.choice([-1.0, 1.0], (features, 1)) / np.sqrt(features)
    y = np.sin(2 * x @ slope) + 0.05 * random.standard_normal((n, 1))
    return x.astype(np.float32), y.astype(np.float32)


def batches(count: int, size: int, *arrays: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    """So many batches, from the start of the data again where they end."""
    n = len(arrays[0])
    rows = [np.arange(k * size, (k + 1) * size) % n for k in range(count)]
    return [tuple(a[chosen] for a in arrays) for chosen in rows]


def training(
    model: nn.Module, optimizer: Any, loss: Callable[..., Any], calls: Sequence[tuple[Any, ...]]
) -> Program:
    """The step that everybody writes."""

    def step(*batch: Any) -> Any:
        optimizer.zero_grad()
        value = loss(*batch)
        value.backward()
        optimizer.step()
        return value

    return Program(step, calls, model, optimizer)


def digits(n: int, channels: bool = False) -> Arrays:
    """The first of the built-in digits, between 0 and 1: (n, 64), or (n, 1, 8, 8)."""
    train = data.load_digits().train
    x, y = np.asarray(train.x[:n]), np.asarray(train.y[:n])
    return x.reshape((n, 1, 8, 8) if channels else (n, 64)), y


class RMSprop(optim.Optimizer):
    """v ← α v + (1 − α) g²,  w ← w − lr · g / (√v + eps)."""

    def __init__(self, params: Any, lr: float = 0.01, alpha: float = 0.99, eps: float = 1e-8):
        super().__init__(params, {"lr": lr, "alpha": alpha, "eps": eps})

    def slots(self, group: Any) -> tuple[str, ...]:
        return ("square_avg",)

    def coefficients(self, group: Any, step: Any) -> dict[str, Any]:
        alpha = group.value("alpha")
        return {
            "rate": group.value("lr"), "keep": alpha, "fresh": 1 - alpha, "eps": group.value("eps")
        }  # fmt: skip

    def update(self, p: Any, g: Any, held: Any, c: Any, group: Any) -> tuple[Any, dict[str, Any]]:
        v = c["keep"] * held["square_avg"] + c["fresh"] * (g * g)
        return p - c["rate"] * (g / (limpid.sqrt(v) + c["eps"])), {"square_avg": v}
