"""Losses that compare a prediction with a target element by element."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.differentiation.elementwise import elementwise
from limpid.errors import ArgumentError
from limpid.graph.node import Array
from limpid.ops.activation import log_sigmoid, sigmoid
from limpid.ops.arithmetic import where
from limpid.ops.comparison import clip
from limpid.ops.elementary import exp, log, sign

squared_error = elementwise(
    "squared_error",
    lambda x, target: np.square(x - target),
    local=[lambda y, x, target: 2 * (x - target), lambda y, x, target: 2 * (target - x)],
    math="({x} - {target})^2",
)
absolute_error = elementwise(
    "absolute_error",
    lambda x, target: np.abs(x - target),
    local=[lambda y, x, target: sign(x - target), lambda y, x, target: sign(target - x)],
    math="|{x} - {target}|",
    kink="0 where both are equal",
)


def _huber(x: Any, target: Any, *, delta: float) -> Any:
    distance = np.abs(x - target)
    return np.where(distance < delta, 0.5 * distance * distance, delta * (distance - 0.5 * delta))


huber = elementwise(
    "huber",
    _huber,
    local=[
        lambda y, x, target, *, delta: clip(x - target, -delta, delta),
        lambda y, x, target, *, delta: clip(target - x, -delta, delta),
    ],
    math=r"\mathrm{huber}({x} - {target})",
)


def _smooth_l1(x: Any, target: Any, *, beta: float) -> Any:
    distance = np.abs(x - target)
    return np.where(distance < beta, 0.5 / beta * distance * distance, distance - 0.5 * beta)


smooth_l1 = elementwise(
    "smooth_l1",
    _smooth_l1,
    local=[
        lambda y, x, target, *, beta: clip((x - target) / beta, -1, 1),
        lambda y, x, target, *, beta: clip((target - x) / beta, -1, 1),
    ],
    math=r"\mathrm{huber}({x} - {target}) / \beta",
)


def _check_probabilities(p: Array) -> None:
    wrong = (p < 0) | (p > 1)
    if np.any(wrong):
        raise ArgumentError(
            f"binary_cross_entropy takes probabilities from 0 to 1, but got {p[wrong].flat[0]}\n"
            "remedy: binary_cross_entropy_with_logits takes scores and applies the sigmoid itself"
        )


LEAST_LOG = -100.0  # as in PyTorch: log 0 counts as −100, so that 0·log 0 and the loss are finite


def _bce(p: Any, target: Any) -> Any:
    _check_probabilities(np.asarray(p))
    with np.errstate(divide="ignore"):
        return _bce_plainly(p, target)


def _bce_plainly(p: Any, target: Any) -> Any:
    yes, no = np.maximum(np.log(p), LEAST_LOG), np.maximum(np.log1p(-p), LEAST_LOG)
    return -(target * yes + (1 - target) * no)


def _log_odds(p: Any) -> Any:
    """log p − log(1 − p), with both logarithms bounded as in the loss."""
    return clip(log(p), LEAST_LOG, None) - clip(log(1 - p), LEAST_LOG, None)


binary_cross_entropy = elementwise(
    "binary_cross_entropy",
    _bce,
    local=[
        lambda y, p, target: (p - target) / clip(p * (1 - p), 1e-12, None),
        lambda y, p, target: -_log_odds(p),
    ],
    math=r"-{target} \log {p} - (1 - {target}) \log(1 - {p})",
    domain=lambda p, target: (p >= 0) & (p <= 1),
    smooth=lambda p, target: (p > 0) & (p < 1),
    numeric="float",
    native=_bce_plainly,
    valid=lambda p, target: np.logical_not((p < 0) | (p > 1)).all(),
)


def _bce_with_logits(x: Any, target: Any, pos_weight: Any) -> Any:
    softplus_negative = np.log1p(np.exp(-np.abs(x))) + np.maximum(-x, 0)  # log(1 + e^−x)
    return (1 - target) * x + (1 + (pos_weight - 1) * target) * softplus_negative


binary_cross_entropy_with_logits = elementwise(
    "binary_cross_entropy_with_logits",
    _bce_with_logits,
    local=[
        lambda y, x, target, pos_weight: (
            (1 + (pos_weight - 1) * target) * sigmoid(x) - pos_weight * target
        ),
        lambda y, x, target, pos_weight: (1 - pos_weight) * log_sigmoid(x) - x,
        lambda y, x, target, pos_weight: -target * log_sigmoid(x),
    ],
    math=r"-w {target} \log \sigma({x}) - (1 - {target}) \log \sigma(-{x})",
    numeric="float",
)


def _kl(x: Any, target: Any, *, log_target: bool) -> Any:
    if log_target:
        return np.exp(target) * (target - x)
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = np.where(target == 0, 0, target * np.log(target))
    return entropy - target * x


kl_divergence = elementwise(
    "kl_divergence",
    _kl,
    local=[
        lambda y, x, target, *, log_target: -exp(target) if log_target else -target,
        lambda y, x, target, *, log_target: (
            exp(target) * (target - x + 1) if log_target else log(target) + 1 - x
        ),
    ],
    math=r"{target} (\log {target} - {x})",
    domain=lambda x, target, *, log_target=False: (target >= 0) | log_target,
    smooth=lambda x, target, *, log_target=False: (target > 0) | log_target,
    numeric="float",
)

logistic = elementwise(
    "logistic",
    lambda x, sign: np.log1p(np.exp(-np.abs(sign * x))) + np.maximum(-(sign * x), 0),
    local=[
        lambda y, x, sign: -sign * sigmoid(-sign * x),
        lambda y, x, sign: -x * sigmoid(-sign * x),
    ],
    math=r"-\log \sigma({sign} {x})",
    numeric="float",
)
hinge = elementwise(
    "hinge",
    lambda x, sign, *, margin: np.maximum(margin - sign * x, 0),
    local=[
        lambda y, x, sign, *, margin: where(margin - sign * x > 0, -sign, 0),
        lambda y, x, sign, *, margin: where(margin - sign * x > 0, -x, 0),
    ],
    math=r"\max(0, 1 - {sign} {x})",
    kink="0 at the margin",
)
