"""How alike or how far apart vectors are, and losses of pairs and triplets of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from limpid.differentiation.elementwise import broadcast
from limpid.differentiation.failure import name_errors
from limpid.errors import ArgumentError, ShapeError
from limpid.nn.functional.losses import at_least, check_reduction, reduced
from limpid.ops.arithmetic import equal, where
from limpid.ops.axes import normal_axis
from limpid.ops.comparison import minimum
from limpid.ops.elementary import sqrt
from limpid.ops.layout import broadcast_arrays
from limpid.ops.rectifier import relu
from limpid.ops.reduce import sum
from limpid.ops.statistics import vector_norm
from limpid.tensor import operand

SMALL = 1e-12  # added to squared lengths in `cosine_embedding_loss`, as in PyTorch


@name_errors
def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    """x1 · x2 / (max(‖x1‖, eps) · max(‖x2‖, eps)) along an axis; the other axes broadcast.

    The lower bound of the lengths is not differentiated. Raises ShapeError.

    >>> import limpid
    >>> a, b = limpid.tensor([[3.0, 4.0]]), limpid.tensor([[8.0, 6.0]])
    >>> limpid.nn.functional.cosine_similarity(a, b)
    tensor([0.96000004])
    """
    x1, x2 = broadcast_arrays(operand(x1), operand(x2))
    axis = normal_axis(dim, len(x1.shape), "dim")
    return sum(_unit(x1, axis, eps) * _unit(x2, axis, eps), axis=axis)


def _unit(x: Any, axis: int, eps: float) -> Any:
    return x / at_least(vector_norm(x, axis, keepdims=True), eps)


@name_errors
def pairwise_distance(
    x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Any:
    """‖x1 − x2 + eps‖ₚ along the last axis; the other axes broadcast: (N, D), (N, D) → (N).

    >>> import limpid
    >>> a, b = limpid.tensor([[1.0, 1.0]]), limpid.tensor([[4.0, 5.0]])
    >>> limpid.nn.functional.pairwise_distance(a, b, eps=0.0)
    tensor([5.])
    """
    x1, x2 = operand(x1), operand(x2)
    if not broadcast(x1.shape, x2.shape):
        raise ShapeError("distances are of vectors; these are single numbers")
    return vector_norm(x1 - x2 + eps, -1, bool(keepdim), p)


@name_errors
def cosine_embedding_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: str = "mean"
) -> Any:
    """1 − cos where the target is 1, max(0, cos − margin) where it is −1.

    cos is that of the angle between input1 and input2, both (N, D) with a target (N), or (D) with a
    target (). Raises ShapeError for other shapes.

    >>> import limpid
    >>> a, b = limpid.tensor([[1.0, 0.0]]), limpid.tensor([[0.0, 1.0]])
    >>> limpid.nn.functional.cosine_embedding_loss(a, b, limpid.tensor([1]))
    tensor(1.)
    """
    input1, input2, target = operand(input1), operand(input2), operand(target)
    check_reduction(reduction)
    if len(input1.shape) not in (1, 2) or input1.shape != input2.shape:
        raise ShapeError(
            "both inputs must have the same shape (N, D) or (D), not "
            f"{input1.shape} and {input2.shape}"
        )
    if target.shape != input1.shape[:-1]:
        raise ShapeError(
            f"inputs of shape {input1.shape} need a target of shape {input1.shape[:-1]}, not "
            f"{target.shape}"
        )
    squares = [sum(x * x, axis=-1) + SMALL for x in (input1, input2)]
    cosine = sum(input1 * input2, axis=-1) / sqrt(squares[0] * squares[1])
    apart = where(equal(target, -1), relu(cosine - margin), 0.0)
    return reduced(where(equal(target, 1), 1.0 - cosine, apart), None, reduction)


@name_errors
def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Any:
    """max(0, margin + ‖anchor − positive‖ − ‖anchor − negative‖), over vectors (N, D) or (D).

    p, eps  as in `pairwise_distance`
    swap    take ‖positive − negative‖ where that is smaller than ‖anchor − negative‖

    Source: Balntas et al. 2016, Learning shallow convolutional feature descriptors with triplet
    losses.

    >>> import limpid
    >>> a, b, c = (limpid.tensor([[x]]) for x in (0.0, 1.0, 3.0))
    >>> limpid.nn.functional.triplet_margin_loss(a, b, c, margin=4.0, eps=0.0)
    tensor(2.)
    """
    return _triplet(
        (anchor, positive, negative),
        lambda a, b: pairwise_distance(a, b, p, eps),
        margin,
        swap,
        reduction,
    )


@name_errors
def triplet_margin_with_distance_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    distance_function: Callable[[Any, Any], Any] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Any:
    """`triplet_margin_loss` with a distance of one's own; `pairwise_distance` by default.

    >>> import limpid
    >>> a, b, c = (limpid.tensor([[x]]) for x in (0.0, 1.0, 3.0))
    >>> f = limpid.nn.functional.triplet_margin_with_distance_loss
    >>> f(a, b, c, distance_function=lambda x, y: limpid.abs(x - y), margin=4.0)
    tensor(2.)
    """
    distance = pairwise_distance if distance_function is None else distance_function
    return _triplet((anchor, positive, negative), distance, margin, swap, reduction)


def _triplet(
    given: tuple[Any, Any, Any],
    distance: Callable[[Any, Any], Any],
    margin: float,
    swap: bool,
    reduction: str,
) -> Any:
    anchor, positive, negative = (operand(x) for x in given)
    check_reduction(reduction)
    check_margin(margin)
    if not len(anchor.shape) == len(positive.shape) == len(negative.shape):
        raise ShapeError(
            "anchor, positive and negative must have equally many axes, not shapes "
            f"{anchor.shape}, {positive.shape} and {negative.shape}"
        )
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return reduced(relu(margin + near - far), None, reduction)


def check_margin(margin: float) -> None:
    """Raise ArgumentError unless the margin is positive."""
    if not margin > 0:
        raise ArgumentError(f"the margin must be positive, not {margin}")
