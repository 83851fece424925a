"""What a decision depends on: the gradient of a score with respect to the input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from limpid.diagnosis.pictures.canvas import BLUE, clear
from limpid.diagnosis.pictures.images import (
    caption,
    find_image_shape,
    for_the_eye,
    largest,
    show,
)
from limpid.diagnosis.pictures.passes import fresh, gradients_of, without_trace
from limpid.diagnosis.pictures.picture import Picture, indexed_rows
from limpid.errors import ArgumentError, OperandError, ShapeError
from limpid.ops.axes import integer
from limpid.tensor import Tensor

Array = np.ndarray[Any, np.dtype[Any]]
KINDS = ("gradient", "input×gradient")
MOST = 9  # examples that are drawn
_ASCII = {"input*gradient": "input×gradient", "inputxgradient": "input×gradient"}


def saliency(
    model: Any, x: Any, target: Any = None, *, kind: str = "gradient", smooth: int = 0,
    noise: float = 0.15, seed: int = 0, shape: Sequence[int] | None = None,
) -> Picture:  # fmt: skip
    """Which inputs a score depends on most: its gradient with respect to the input.

    model   a module, which runs as after `eval()`, or a function; x (N, …) → scores (N, classes)
    x       a batch of examples
    target  the class, or one for each example; by default the one with the highest score
    kind    "gradient": ∂score/∂x, shown by magnitude, of several channels the largest;
            "input×gradient": x · ∂score/∂x (or "input*gradient"), around zero, channels summed
    smooth  SmoothGrad: the mean over so many copies of x with noise added
    noise   its standard deviation, as a share of the range of x
    seed    of that noise
    shape   (H, W) or (C, H, W) of examples that come flat; by default square

    Nothing of the model changes. `data` has `saliency` and `gradient`, shaped as x, `target` and
    `score`, one for each example.

    >>> import numpy as np
    >>> from limpid import diagnosis
    >>> weights = np.array([[1.0, -2.0], [0.0, 4.0]])
    >>> diagnosis.saliency(lambda x: x @ weights, np.ones((1, 2)), target=1).data["gradient"]
    array([[-2.,  4.]])
    """
    kind = _ASCII.get(kind, kind)
    if kind not in KINDS:
        raise ArgumentError(f"kind is {' or '.join(map(repr, KINDS))}, not {kind!r}")
    smooth = integer(smooth, "smooth")
    if not 0 <= noise < np.inf:
        raise ArgumentError(f"noise is a share of the range of x, at least 0, not {noise}")
    with without_trace(model, evaluating=True):
        given = fresh(x)
        scores = _scores(model, given)
        chosen = _targets(target, scores)
        gradient = _gradient(scores, given, chosen)
        values = scores.value[np.arange(len(chosen)), chosen]
        if smooth:
            gradient = _smoothed(model, given.value, chosen, smooth, noise, seed)
    inputs = given.value
    found = gradient if kind == "gradient" else inputs * gradient
    data = {"kind": kind, "target": chosen, "score": values, "input": inputs,
            "gradient": gradient, "saliency": found}  # fmt: skip
    images = _images(inputs, found, shape)
    shown = max(1, min(len(inputs), MOST))
    down = -(-shown // 3)
    across = -(-shown // down)
    size = (2.9 * across, 0.5 + 1.75 * down) if images else (6.4, 0.6 + 1.5 * shown)
    title = f"Saliency: {kind}" + (f", mean of {smooth} noisy copies" if smooth else "")
    return Picture(
        title, data, ("example", *(f"axis {i}" for i in range(1, found.ndim)), "saliency"),
        lambda: indexed_rows(found),
        lambda figure: _paint(figure, title, data, images, across), size,
    )  # fmt: skip


def _scores(model: Any, x: Tensor) -> Tensor:
    if not callable(model):
        raise OperandError(f"saliency takes a module or a function, not {type(model).__name__}")
    scores = model(x)
    if not isinstance(scores, Tensor):
        raise OperandError(f"the model must return scores, a tensor, not {type(scores).__name__}")
    if not x.ndim or scores.ndim != 2 or scores.shape[0] != x.shape[0] or not scores.shape[1]:
        raise ShapeError(
            f"x (N, …) gives scores (N, classes); here {x.shape} gives {scores.shape}"
            "\nremedy: x[None] is a batch of one example"
        )
    if not scores.requires_grad:
        raise OperandError("the scores do not depend on x by anything that can be differentiated")
    return scores


def _targets(target: Any, scores: Tensor) -> Array:
    """One class for each example."""
    count, classes = scores.shape
    if target is None:
        return np.asarray(scores.value.argmax(axis=1))
    given = np.asarray(target.value if isinstance(target, Tensor) else target)
    if given.dtype.kind not in "iu" or given.shape not in ((), (count,)):
        raise ArgumentError(f"target is a class, or one for each of the {count} examples")
    if given.size and (given.min() < 0 or given.max() >= classes):
        raise ArgumentError(f"target: classes are from 0 to {classes - 1}, not {target}")
    return np.array(np.broadcast_to(given, count))


def _gradient(scores: Tensor, x: Tensor, chosen: Array) -> Array:
    """∂ score of the class / ∂ example; examples of a batch are taken not to mix."""
    total = scores[np.arange(len(chosen)), chosen].sum()
    (gradient,) = gradients_of(total, [x])
    if gradient is None:
        raise OperandError("the scores do not depend on x by anything that can be differentiated")
    return np.array(gradient)


def _smoothed(
    model: Any, x: Array, chosen: Array, smooth: int, noise: float, seed: int
) -> Array:  # fmt: skip
    random = np.random.default_rng(integer(seed, "seed"))
    axes = tuple(range(1, x.ndim))
    spread = noise * (x.max(axis=axes, keepdims=True) - x.min(axis=axes, keepdims=True))
    total = np.zeros(x.shape, np.float64)
    for _ in range(smooth):
        noisy = fresh((x + spread * random.standard_normal(x.shape)).astype(x.dtype))
        total += _gradient(_scores(model, noisy), noisy, chosen)
    return (total / smooth).astype(x.dtype)


def _images(x: Array, found: Array, shape: Any) -> list[tuple[Array, Array]]:
    """(input, saliency) as images of the first examples; none where they are no images."""
    if x.ndim == 2:
        image = find_image_shape(x.shape[1], shape)
        if image is None:
            return []
        x, found = x.reshape(-1, *image), found.reshape(-1, *image)
    if x.ndim not in (3, 4) or not x.size:
        return []
    return [(one, s) for one, s in zip(x[:MOST], found[:MOST], strict=True)]


def _paint(figure: Any, title: str, data: Any, images: list[Any], across: int) -> None:
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    signed = data["kind"] != KINDS[0]
    if not images:
        _paint_bars(figure, data, signed)
        return
    rows = -(-len(images) // across)
    for k, (given, found) in enumerate(images):
        left = figure.add_subplot(rows, 2 * across, 2 * k + 1)
        right = figure.add_subplot(rows, 2 * across, 2 * k + 2)
        show(left, for_the_eye(given), None)
        caption(left, f"input {k}")
        show(right, _flat(found, signed), signed)
        caption(right, f"class {data['target'][k]}: {data['score'][k]:.3g}")


def _flat(found: Array, signed: bool) -> Array:
    """(H, W) of (C, H, W)."""
    amount = found if signed else np.abs(found)
    if amount.ndim == 2:
        return amount
    return amount.sum(axis=0) if signed else amount.max(axis=0)


def _paint_bars(figure: Any, data: Any, signed: bool) -> None:
    """Examples that are no images: a bar for each number."""
    found = [one.ravel() for one in data["saliency"][:MOST]]
    for k, line in enumerate(found):
        axes = figure.add_subplot(len(found), 1, k + 1)
        axes.bar(np.arange(len(line)), line if signed else np.abs(line), color=BLUE)
        axes.axhline(0, color="0.5", linewidth=0.6)
        axes.margins(y=0.1)
        if not np.isfinite(line).all() or not line.any():
            axes.set_ylim(-1 if signed else 0, largest(line))
        axes.set_title(clear(f"example {k}, class {data['target'][k]}: {data['score'][k]:.3g}", 60))
        axes.set_ylabel("x · ∂s/∂x" if signed else "|∂s/∂x|")
    if len(found):
        axes.set_xlabel("input")
