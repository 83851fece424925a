"""Losses of a choice among classes, with PyTorch's names, argument order, defaults and meaning."""

from __future__ import annotations

from typing import Any

from limpid.differentiation.failure import name_errors
from limpid.errors import ArgumentError, NoGradientError, ShapeError
from limpid.graph.dtype import as_dtype
from limpid.nn.functional.losses import check_reduction, paired, reduced
from limpid.ops import class_losses, losses
from limpid.ops.cast import as_floats
from limpid.ops.gather import take
from limpid.ops.multilabel import multilabel_hinge
from limpid.ops.statistics import mean
from limpid.tensor import Tensor, operand


def _class_weights(weight: Any) -> tuple[Any, ...]:
    if weight is None:
        return ()
    weight = operand(weight)
    if isinstance(weight, Tensor) and weight.requires_grad:
        raise NoGradientError(
            "class weights are constants of the loss; pass weight.detach() if that is meant"
        )
    return (weight,)


def _class_axis(input: Any) -> int:
    if not input.ndim:
        raise ShapeError("scores need an axis of classes, but this is a single number")
    return 0 if input.ndim == 1 else 1


@name_errors
def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """−Σ_c q_c log softmax(input)_c, one box, stable for any scores.

    input            scores (C), (N, C) or (N, C, d1, …)
    target           class numbers (), (N) or (N, d1, …), where q is 1 at the class; or, as floats,
                     probabilities q of the shape of the scores
    weight           (C) a factor for each class; "mean" divides by the sum of the factors used
    ignore_index     rows with this class number count nothing
    label_smoothing  ε: the target becomes (1 − ε)·q + ε/C

    The gradient is (softmax(input) − q) / N. Raises ShapeError, DTypeError, ArgumentError for a
    class number out of range.

    >>> import limpid
    >>> scores = limpid.tensor([[2.0, 0.0], [0.0, 0.0]])
    >>> limpid.nn.functional.cross_entropy(scores, limpid.tensor([0, 1]))
    tensor(0.4100376)
    """
    input, target = as_floats(input), operand(target)
    check_reduction(reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise ArgumentError(f"label_smoothing must be from 0 to 1, not {label_smoothing}")
    axis = _class_axis(input)
    if as_dtype(target.dtype).kind == "float":
        return _soft_cross_entropy(input, target, weight, axis, reduction, label_smoothing)
    return class_losses.cross_entropy(
        input,
        target,
        *(() if weight is None else _class_weights(weight)),
        axis=axis,
        ignore_index=ignore_index,
        label_smoothing=float(label_smoothing),
        reduction=reduction,
    )


def _soft_cross_entropy(
    input: Any, q: Any, weight: Any, axis: int, reduction: str, label_smoothing: float
) -> Any:
    if label_smoothing:
        q = q * (1.0 - label_smoothing) + label_smoothing / input.shape[axis]
    for factors in _class_weights(weight):
        q = q * factors.reshape((-1,) + (1,) * (input.ndim - 1 - axis))
    return class_losses.soft_cross_entropy(input, q, axis=axis, reduction=reduction)


@name_errors
def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Any:
    """−input[target]: the negative log-likelihood, for log-probabilities.

    Shapes and options as in `cross_entropy`, which is this after `log_softmax`.

    >>> import limpid
    >>> limpid.nn.functional.nll_loss(limpid.tensor([[-0.1, -2.0]]), limpid.tensor([1]))
    tensor(2.)
    """
    input, target = as_floats(input), operand(target)
    check_reduction(reduction)
    return class_losses.nll(
        input,
        target,
        *_class_weights(weight),
        axis=_class_axis(input),
        ignore_index=ignore_index,
        reduction=reduction,
    )


@name_errors
def multi_margin_loss(
    input: Any,
    target: Any,
    p: int = 1,
    margin: float = 1.0,
    weight: Any = None,
    reduction: str = "mean",
) -> Any:
    """Σ_{j≠y} max(0, margin − s_y + s_j)^p / C: the multi-class hinge as PyTorch has it.

    input (N, C) or (C), target (N) or (), p 1 or 2; weight (C) is the factor of each target
    class. The lecture's form, not divided by C, is `multiclass_hinge_loss`.

    >>> import limpid
    >>> scores = limpid.tensor([[3.0, 5.0, 1.0]])
    >>> limpid.nn.functional.multi_margin_loss(scores, limpid.tensor([0]))
    tensor(1.)
    """
    return _multi_hinge(input, target, p, margin, weight, reduction, average=True)


@name_errors
def multiclass_hinge_loss(
    input: Any, target: Any, margin: float = 1.0, reduction: str = "mean"
) -> Any:
    """Σ_{j≠y} max(0, s_j − s_y + 1): the SVM loss of the lectures; not in PyTorch.

    Its gradient is 1 at each class over the margin, and minus their number at the target class.

    >>> import limpid
    >>> scores = limpid.tensor([[3.0, 5.0, 1.0]])
    >>> limpid.nn.functional.multiclass_hinge_loss(scores, limpid.tensor([0]))
    tensor(3.)
    """
    return _multi_hinge(input, target, 1, margin, None, reduction, average=False)


def _multi_hinge(
    input: Any, target: Any, p: int, margin: float, weight: Any, reduction: str, average: bool
) -> Any:
    input, target = as_floats(input), operand(target)
    check_reduction(reduction)
    if p not in (1, 2):
        raise ArgumentError(f"p must be 1 or 2, not {p}")
    if input.ndim not in (1, 2):
        raise ShapeError(f"scores must have shape (N, C) or (C), not {input.shape}")
    factors = _class_weights(weight)
    if factors and factors[0].shape != input.shape[-1:]:
        raise ShapeError(f"there are {input.shape[-1]} classes but weights of {factors[0].shape}")
    inner = "none" if factors else reduction
    each = class_losses.multi_hinge(
        input, target, p=int(p), margin=float(margin), average=average, reduction=inner
    )
    if not factors:
        return each
    factor = factors[0].astype(as_dtype(input.dtype).storage)
    return reduced(each, take(factor, target, axis=0), reduction)


@name_errors
def multilabel_margin_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """Σ_ij max(0, 1 − s_{y_j} + s_i) / C over the labels y_j and the classes i that are no labels.

    input   scores (N, C) or (C)
    target  class numbers in the same shape: the labels of each row, then −1; what comes after the
            first −1 counts nothing

    Raises ShapeError, DTypeError, ArgumentError for a class number out of range.

    >>> import limpid
    >>> scores = limpid.tensor([[0.1, 0.2, 0.4, 0.8]])
    >>> limpid.nn.functional.multilabel_margin_loss(scores, limpid.tensor([[3, 0, -1, 1]]))
    tensor(0.85)
    """
    check_reduction(reduction)
    return multilabel_hinge(as_floats(input), operand(target), reduction=reduction)


@name_errors
def multilabel_soft_margin_loss(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean"
) -> Any:
    """Binary cross-entropy of each class's score, averaged over the classes: (…, C) → (…).

    target  1 for the labels, 0 for other classes, in the shape of the scores
    weight  (C) a factor for each class

    >>> import limpid
    >>> scores = limpid.tensor([[0.0, 0.0]])
    >>> limpid.nn.functional.multilabel_soft_margin_loss(scores, limpid.tensor([[1.0, 0.0]]))
    tensor(0.6931472)
    """
    check_reduction(reduction)
    input, target = paired(as_floats(input), target)
    _class_axis(input)
    each = reduced(losses.binary_cross_entropy_with_logits(input, target, 1), weight, "none")
    return reduced(mean(each, axis=-1), None, reduction)
