"""How little max-pooled features change when the image moves a little."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from limpid.compiler.steps.step import compile
from limpid.data.digits import load_digits
from limpid.diagnosis.experiments.networks import check_numbers, seeded
from limpid.diagnosis.experiments.result import Curve, Experiment, Plot, Table
from limpid.errors import ArgumentError
from limpid.graph.context import no_grad
from limpid.nn.containers import Flatten, Sequential
from limpid.nn.functional.class_losses import cross_entropy
from limpid.nn.functional.pooling import avg_pool2d, max_pool2d
from limpid.nn.functional.resampling import interpolate
from limpid.nn.layers.activations import ReLU
from limpid.nn.layers.convolution import Conv2d
from limpid.nn.layers.linear import Linear
from limpid.nn.layers.pooling import MaxPool2d
from limpid.ops.axes import integer
from limpid.optim import Adam
from limpid.tensor import asarray
from limpid.training.step import Objective, train_step

Array = np.ndarray[Any, np.dtype[Any]]

DIGIT, MARGIN = 24, 8  # pixels of a side of the digit and around it
CANVAS = DIGIT + 2 * MARGIN
CHANNELS, POOLED, RATE, BATCH = 8, 4, 0.003, 32
SHIFTS = tuple(range(MARGIN + 1))

POOLS: dict[str, Callable[[Any], Any]] = {
    "no pooling": lambda features: features,
    "max over 2 × 2": lambda features: max_pool2d(features, 2),
    "max over 4 × 4": lambda features: max_pool2d(features, 4),
    "max over 8 × 8": lambda features: max_pool2d(features, 8),
    "mean over 4 × 4": lambda features: avg_pool2d(features, 4),
    "max over all": lambda features: max_pool2d(features, CANVAS),
}


def compare_shifts(
    shifts: Sequence[int] = SHIFTS, *, examples: int = 200, epochs: int = 2, seed: int = 0
) -> Experiment:
    """How much features change when a digit moves to the right, with and without pooling.

    A convolution of 8 channels and 5 × 5 pixels with ReLU learns the digits, 24 × 24 pixels in the
    middle of 40 × 40, with max-pooling and a linear layer behind it. Then digits that it has not
    seen are moved: ‖f(moved) − f(x)‖ / ‖f(x)‖ for its features f, pooled in several ways, as a mean
    over the digits.

    shifts  pixels, up to 8

    >>> found = compare_shifts((0, 1), examples=5, epochs=1)
    >>> found.results[0]["pooling"], found.results[0]["changes"][0]
    ('no pooling', 0.0)
    """
    shifts = check_numbers(shifts, "shifts", 0)
    if shifts[-1] > MARGIN:
        raise ArgumentError(f"shifts are up to {MARGIN} pixels, not {shifts[-1]}")
    integer(examples, "examples", 1)
    integer(epochs, "epochs")
    data = load_digits()
    filters = learn(draw_large(data.train.x), data.train.y, epochs, seed)
    digits = draw_large(data.test.x[:examples])
    changes = measure_changes(filters, digits, shifts)
    results = [{"pooling": name, "changes": found} for name, found in changes.items()]
    settings = {
        "shifts": list(shifts), "examples": len(digits), "epochs": epochs, "seed": seed,
        "canvas": CANVAS, "digit": DIGIT,
    }  # fmt: skip
    rows = [[name, *(f"{change:.0%}" for change in found)] for name, found in changes.items()]
    curves = [Curve(name, list(shifts), found) for name, found in changes.items()]
    title = "change of the features"
    return Experiment(
        "shift",
        "Small shifts and max-pooling",
        _sentence(changes, shifts),
        settings,
        results,
        Table(["change when shifted by", *(f"{shift} px" for shift in shifts)], rows),
        [Plot(title, "shift in pixels", "‖f(moved) − f(x)‖ / ‖f(x)‖", curves)],
        columns=1,
    )


def draw_large(images: Array) -> Array:
    """Digits (N, 8, 8) as (N, 1, CANVAS, CANVAS), enlarged smoothly, in the middle."""
    large = interpolate(images[:, None], size=(DIGIT, DIGIT), mode="bilinear", align_corners=False)
    return np.pad(np.asarray(large), [(0, 0), (0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN)])


def learn(x: Array, y: Array, epochs: int, seed: int) -> Sequential:
    """The convolution and its activation, trained as the first layer of a small network."""
    with seeded(seed):
        filters = Sequential(Conv2d(1, CHANNELS, 5, padding=2), ReLU())
        places = (CANVAS // POOLED) ** 2
        head = [MaxPool2d(POOLED), Flatten(), Linear(CHANNELS * places, 10)]
    model = Sequential(filters, *head)
    optimizer, objective = Adam(list(model.parameters()), RATE), Objective(cross_entropy)
    step, rng = compile(train_step), np.random.default_rng(seed)
    for _ in range(epochs):
        order = rng.permutation(len(y))[: len(y) // BATCH * BATCH].reshape(-1, BATCH)
        for chosen in order:
            step(model, objective, optimizer, x[chosen], y[chosen])
    return filters


@no_grad()
def measure_changes(
    filters: Sequential, digits: Array, shifts: Sequence[int]
) -> dict[str, list[float]]:
    """For each way of pooling, the mean relative change of the features by shift."""
    before = filters(asarray(digits))
    found: dict[str, list[float]] = {name: [] for name in POOLS}
    for shift in shifts:
        after = filters(asarray(np.roll(digits, shift, axis=3)))  # what leaves on the right is 0
        for name, pool in POOLS.items():
            found[name].append(_change(pool(before).numpy(), pool(after).numpy()))
    return found


def _change(before: Array, after: Array) -> float:
    before = before.reshape(len(before), -1).astype(np.float64)
    after = after.reshape(len(after), -1).astype(np.float64)
    lengths = np.linalg.norm(before, axis=1)
    differences = np.linalg.norm(after - before, axis=1)
    return float(np.mean(differences / np.where(lengths > 0, lengths, 1.0)))


def _sentence(changes: dict[str, list[float]], shifts: Sequence[int]) -> str:
    moved = [i for i, shift in enumerate(shifts) if shift]
    if not moved:
        return "Nothing was moved, so nothing changed."
    at, shift = moved[0], shifts[moved[0]]
    plain, four, whole = (changes[n][at] for n in ("no pooling", "max over 4 × 4", "max over all"))
    return (
        f"Moved by {shift} pixel{'s' * (shift != 1)}, features change by {plain:.0%} as they are, "
        f"by {four:.0%} after max-pooling over 4 × 4 and by {whole:.0%} after the maximum over all."
    )
