"""What is drawn of a network: the plane before it, and a panel for each of its modules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limpid.diagnosis.warp.contours import Window
from limpid.errors import ArgumentError, OperandError
from limpid.graph.context import no_grad
from limpid.nn.containers import Sequential
from limpid.nn.layers.linear import Linear
from limpid.nn.module import Module
from limpid.tensor import asarray

Array = np.ndarray[Any, np.dtype[Any]]

INPUT, LINEAR, OTHER = "input", "linear", "other"


@dataclass(frozen=True)
class Stage:
    """The plane after so many modules of a network.

    modules  how many have been applied
    kind     input, linear or other, by the last of them
    layer    the linear map that it belongs to, counted from 1; 0 for the input
    width    how many numbers each point has here
    """

    modules: int
    kind: str
    layer: int
    width: int
    title: str

    @property
    def is_plane(self) -> bool:
        """Whether a point has two numbers here, so that all of the plane can be looked at."""
        return self.width == 2


@dataclass(frozen=True)
class View:
    """How the points of a stage are put on paper: (value − middle) · directionsᵀ, in a window.

    directions  (2, width): the two axes, or the first two principal components of wider layers
    shares      of the variance that each of the two shows
    """

    stage: Stage
    middle: Array
    directions: Array
    shares: tuple[float, float]
    window: Window

    @property
    def is_projected(self) -> bool:
        """Whether principal components are shown."""
        return self.stage.width > 2

    def project(self, values: Array) -> Array:
        """Values (…, width) as points (…, 2); those of two-wide stages as they are."""
        if self.stage.is_plane:
            return values
        return (values - self.middle) @ self.directions.T

    @property
    def note(self) -> str:
        """What a person must know about the axes."""
        if self.is_projected:
            shown = f"{sum(self.shares):.0%} of the variance"
            return f"first 2 principal components of {self.stage.width}, {shown}"
        return "one dimension only" if self.stage.width == 1 else ""


def check_network(model: Any) -> list[Module]:
    """The modules of a network of the plane, or an error that says why it is none."""
    if not isinstance(model, Sequential):
        raise OperandError(
            f"a Sequential of modules is needed, not {type(model).__name__}: each of them is a "
            "panel of the picture"
        )
    modules = list(model)
    if not modules or not isinstance(modules[0], Linear) or modules[0].in_features != 2:
        raise ArgumentError("the network must begin with a Linear of 2 inputs: it warps the plane")
    return modules


def find_stages(modules: Sequence[Module]) -> list[Stage]:
    """The input, and a stage after each module."""
    values = follow(modules, np.zeros((1, 2), np.float32))
    stages, layer = [Stage(0, INPUT, 0, 2, "before the network")], 0
    layers = sum(isinstance(module, Linear) for module in modules)
    for number, (module, value) in enumerate(zip(modules, values[1:]), 1):
        if value.ndim != 2:
            raise ArgumentError(
                f"{type(module).__name__} gives the shape {value.shape[1:]} for a point; each "
                "stage must give a vector"
            )
        is_linear = isinstance(module, Linear)
        layer += is_linear
        what = "linear map" if is_linear else type(module).__name__
        if is_linear and layer == layers and number == len(modules):
            what = "the scores"
        kind = LINEAR if is_linear else OTHER
        stages.append(Stage(number, kind, layer, value.shape[1], f"layer {layer}: {what}"))
    return stages


@no_grad()
def follow(modules: Sequence[Module], x: Array) -> list[Array]:
    """Points (…, 2) before and after each of the modules, which are applied one after another."""
    value = asarray(np.ascontiguousarray(x.reshape(-1, x.shape[-1]), np.float32))
    found = [value.numpy()]
    for module in modules:
        value = module(value)
        found.append(value.numpy())
    return [part.reshape(*x.shape[:-1], *part.shape[1:]) for part in found]


@no_grad()
def apply_all(modules: Sequence[Module], x: Array) -> Array:
    """What points (K, width) become by all of these modules."""
    value = asarray(np.ascontiguousarray(x, np.float32))
    for module in modules:
        value = module(value)
    return np.asarray(value.numpy())


def principal_directions(values: Array) -> tuple[Array, Array, tuple[float, float]]:
    """(mean, first two principal components, their shares of the variance) of (N, width)."""
    values = values.astype(np.float64)
    width = values.shape[1]
    middle = values.mean(axis=0)
    if width < 2:
        return np.zeros(width), np.eye(2, width), (1.0, 0.0)
    _, lengths, rows = np.linalg.svd(values - middle, full_matrices=False)
    lengths, rows = np.append(lengths, [0, 0])[:width], np.concatenate([rows, np.zeros((2, width))])
    directions = rows[:2]
    # Of both signs the one whose largest part is positive, so that pictures don't flip by chance.
    largest = np.take_along_axis(directions, np.abs(directions).argmax(1)[:, None], axis=1)
    directions = directions * np.where(largest < 0, -1.0, 1.0)
    shares = lengths**2 / (np.sum(lengths**2) or 1.0)
    return middle, directions, (float(shares[0]), float(shares[1]))
