"""Losses, with PyTorch's names, argument order, defaults and meaning."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from limpid.differentiation.failure import name_errors
from limpid.errors import ArgumentError, ShapeError
from limpid.ops import losses
from limpid.ops.arithmetic import equal, where
from limpid.ops.cast import stop_gradient
from limpid.ops.comparison import maximum
from limpid.ops.elementary import abs
from limpid.ops.reduce import sum
from limpid.ops.statistics import mean
from limpid.tensor import Tensor, operand


def reduced(each: Any, weight: Any, reduction: str) -> Any:
    """The losses of the elements, weighted and reduced."""
    if weight is not None:
        each = each * weight
    if reduction == "mean":
        return mean(each)
    if reduction == "sum":
        return sum(each)
    check_reduction(reduction)
    return each


def _weighted(each: Any, weight: Any, reduction: str) -> Any:
    """The losses reduced; with weights "mean" divides by their sum."""
    if weight is None:
        return reduced(each, None, reduction)
    weight = operand(weight)
    if weight.shape != each.shape:
        raise ShapeError(f"there are losses of shape {each.shape} but weights of {weight.shape}")
    total = reduced(each, weight, "sum" if reduction == "mean" else reduction)
    return total / sum(weight) if reduction == "mean" else total


def check_reduction(reduction: str) -> None:
    if reduction not in ("none", "mean", "sum"):
        raise ArgumentError(f'reduction must be "none", "mean" or "sum", not {reduction!r}')


def at_least(x: Any, bound: float) -> Any:
    """max(x, bound) whose gradient passes as if there were no bound."""
    return x + stop_gradient(maximum(x, bound) - x)


def paired(input: Any, target: Any) -> tuple[Any, Any]:
    """Both as operands; ShapeError where broadcasting would pair the wrong elements silently."""
    input = operand(input)
    if isinstance(target, float | int):
        return input, target
    target = operand(target)
    if input.shape != target.shape and target.shape:
        raise ShapeError(
            f"the prediction has shape {input.shape} but the target {target.shape}\n"
            "remedy: reshape one of them; broadcasting would pair every prediction with every "
            "target"
        )
    return input, target


@name_errors
def mse_loss(input: Any, target: Any, reduction: str = "mean", weight: Any = None) -> Any:
    """(input − target)².

    weight  a factor for each element; "mean" divides by their sum

    >>> import limpid
    >>> limpid.nn.functional.mse_loss(limpid.tensor([1.0, 2.0]), limpid.tensor([0.0, 4.0]))
    tensor(2.5)
    """
    return _weighted(losses.squared_error(*paired(input, target)), weight, reduction)


@name_errors
def l1_loss(input: Any, target: Any, reduction: str = "mean", weight: Any = None) -> Any:
    """|input − target|, the mean absolute error; its derivative at 0 is 0.

    weight  a factor for each element; "mean" divides by their sum

    >>> import limpid
    >>> limpid.nn.functional.l1_loss(limpid.tensor([1.0, 2.0]), limpid.tensor([0.0, 4.0]))
    tensor(1.5)
    """
    return _weighted(losses.absolute_error(*paired(input, target)), weight, reduction)


@name_errors
def huber_loss(
    input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None
) -> Any:
    """½d² where |d| < delta, else delta·(|d| − ½delta); d = input − target.

    weight  a factor for each element; "mean" divides by the number of elements

    >>> import limpid
    >>> limpid.nn.functional.huber_loss(limpid.tensor([1.0, 3.0]), limpid.tensor([0.5, 0.0]))
    tensor(1.3125)
    """
    if not delta > 0:
        raise ArgumentError(f"delta must be positive, not {delta}")
    each = losses.huber(*paired(input, target), delta=float(delta))
    return reduced(each, weight, reduction)


@name_errors
def smooth_l1_loss(input: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    """½d²/beta where |d| < beta, else |d| − ½beta; d = input − target. For beta = 0: |d|.

    >>> import limpid
    >>> limpid.nn.functional.smooth_l1_loss(limpid.tensor([1.0, 3.0]), limpid.tensor([0.5, 0.0]))
    tensor(1.3125)
    """
    if not beta >= 0:
        raise ArgumentError(f"beta must not be negative, but is {beta}")
    pair = paired(input, target)
    if not beta:
        return reduced(losses.absolute_error(*pair), None, reduction)
    return reduced(losses.smooth_l1(*pair, beta=float(beta)), None, reduction)


@name_errors
def binary_cross_entropy(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean"
) -> Any:
    """−t·log p − (1 − t)·log(1 − p) for probabilities p; logarithms are bounded below by −100.

    Raises ArgumentError for p outside [0, 1]. With scores instead of probabilities use
    `binary_cross_entropy_with_logits`, which is stable.

    >>> import limpid
    >>> limpid.nn.functional.binary_cross_entropy(limpid.tensor([0.5]), limpid.tensor([1.0]))
    tensor(0.6931472)
    """
    pair = paired(input, target)
    return reduced(losses.binary_cross_entropy(*pair), weight, reduction)


@name_errors
def binary_cross_entropy_with_logits(
    input: Any,
    target: Any,
    weight: Any = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Any:
    """−w·t·log σ(x) − (1 − t)·log σ(−x), stable for any score x; w is pos_weight.

    The gradient is σ(x) − t (without weights).

    >>> import limpid
    >>> f = limpid.nn.functional.binary_cross_entropy_with_logits
    >>> f(limpid.tensor([-1000.0]), limpid.tensor([1.0]))
    tensor(1000.)
    """
    score, label = paired(input, target)
    factor = 1 if pos_weight is None else operand(pos_weight)
    each = losses.binary_cross_entropy_with_logits(score, label, factor)
    return reduced(each, weight, reduction)


@name_errors
def kl_div(input: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Any:
    """t·(log t − input), where input holds log-probabilities, target probabilities t.

    reduction   also "batchmean": the sum divided by the batch size, the divergence proper
    log_target  target holds log-probabilities, too

    >>> import limpid
    >>> q = limpid.log(limpid.tensor([[0.5, 0.5]]))
    >>> limpid.nn.functional.kl_div(q, limpid.tensor([[1.0, 0.0]]), reduction="batchmean")
    tensor(0.6931472)
    """
    each = losses.kl_divergence(*paired(input, target), log_target=bool(log_target))
    if reduction == "batchmean":
        return sum(each) / (each.shape[0] if each.ndim else 1)
    return reduced(each, None, reduction)


@name_errors
def logistic_loss(input: Any, target: Any = 1, reduction: str = "mean") -> Any:
    """−log σ(target·input) = log(1 + e^(−target·input)), for labels +1 and −1.

    For a score w·x of class 1 it is −log σ(w·x), with gradient −(1 − p)·x, p = σ(w·x).

    >>> import limpid
    >>> limpid.nn.functional.logistic_loss(limpid.tensor([0.0]))
    tensor(0.6931472)
    """
    return reduced(losses.logistic(*paired(input, target)), None, reduction)


@name_errors
def soft_margin_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """log(1 + e^(−target·input)): `logistic_loss` under PyTorch's name."""
    return reduced(losses.logistic(*paired(input, target)), None, reduction)


@name_errors
def hinge_loss(input: Any, target: Any, margin: float = 1.0, reduction: str = "mean") -> Any:
    """max(0, margin − target·input), for labels +1 and −1; not in PyTorch.

    >>> import limpid
    >>> limpid.nn.functional.hinge_loss(limpid.tensor([0.5, 2.0]), limpid.tensor([1.0, 1.0]))
    tensor(0.25)
    """
    each = losses.hinge(*paired(input, target), margin=float(margin))
    return reduced(each, None, reduction)


@name_errors
def margin_ranking_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: str = "mean"
) -> Any:
    """max(0, margin − target·(input1 − input2)): target +1 if the first should rank higher."""
    input1, input2 = paired(input1, input2)
    each = losses.hinge(*paired(input1 - input2, target), margin=float(margin))
    return reduced(each, None, reduction)


@name_errors
def hinge_embedding_loss(
    input: Any, target: Any, margin: float = 1.0, reduction: str = "mean"
) -> Any:
    """input where the target is 1, max(0, margin − input) where it is −1."""
    input, target = paired(input, target)
    apart = losses.hinge(input, 1, margin=float(margin))
    return reduced(where(equal(target, 1), input, apart), None, reduction)


@name_errors
def l1_cost(input: Any, reduction: str = "sum") -> Any:
    """Σ|input|: a pull towards 0, for activations; its derivative at 0 is 0. Not in PyTorch.

    For the weights of a model there is `l1_penalty`.

    >>> import limpid
    >>> limpid.nn.functional.l1_cost(limpid.tensor([1.0, -2.0]))
    tensor(3.)
    """
    return reduced(abs(operand(input)), None, reduction)


def l1_penalty(parameters: Any, strength: float = 1.0) -> Any:
    """strength·Σ|w| over all parameters: pulls weights to exactly 0. Add it to a loss.

    parameters  a module, a tensor, or several tensors

    >>> import limpid
    >>> limpid.nn.functional.l1_penalty([limpid.Parameter([1.0, -2.0])], 0.1)
    tensor(0.3, requires_grad=True)
    """
    return strength * _total([sum(abs(p)) for p in _tensors(parameters)])


def l2_penalty(parameters: Any, strength: float = 1.0) -> Any:
    """½·strength·Σw² over all parameters; its gradient is strength·w, that of weight decay.

    parameters  a module, a tensor, or several tensors

    >>> import limpid
    >>> limpid.nn.functional.l2_penalty([limpid.Parameter([1.0, -2.0])], 0.1)
    tensor(0.25, requires_grad=True)
    """
    return 0.5 * strength * _total([sum(p * p) for p in _tensors(parameters)])


def _tensors(parameters: Any) -> list[Any]:
    if hasattr(parameters, "parameters"):
        parameters = parameters.parameters()
    found = [parameters] if isinstance(parameters, Tensor) else list(_iterated(parameters))
    if not found:
        raise ArgumentError("there are no parameters to penalise")
    return found


def _iterated(parameters: Any) -> Iterable[Any]:
    if not isinstance(parameters, Iterable):
        raise ArgumentError(f"parameters must be a module or tensors, not {parameters!r:.60}")
    return parameters


def _total(terms: list[Any]) -> Any:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
