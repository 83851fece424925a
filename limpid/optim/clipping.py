"""Bounding gradients before a step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from limpid.errors import ArgumentError, NoGradientError
from limpid.graph.context import no_grad
from limpid.ops.cast import astype
from limpid.ops.comparison import clip, maximum, minimum
from limpid.ops.elementary import abs, sqrt
from limpid.ops.power import power
from limpid.ops.reduce import max, sum
from limpid.tensor import Tensor, asarray


def _with_gradient(parameters: Any) -> list[Tensor]:
    given: Iterable[Any] = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p for p in given if p.grad is not None]


@no_grad()
def clip_grad_norm_(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """Scale all gradients together so that their joint norm is at most `max_norm`.

    The factor is max_norm / (norm + 1e-6), at most 1. Returns the norm before. With
    error_if_nonfinite a norm that is NaN or infinite raises NoGradientError.

    Source: Pascanu, Mikolov and Bengio 2013, On the difficulty of training recurrent neural
    networks.

    >>> import limpid
    >>> w = limpid.Parameter([3.0, 4.0]); (w * w).sum().backward()
    >>> limpid.optim.clip_grad_norm_([w], 1.0), limpid.vector_norm(w.grad).item() <= 1
    (tensor(10.), True)
    """
    held = _with_gradient(parameters)
    norm = _joint_norm([p.grad for p in held], float(norm_type))
    if error_if_nonfinite and not norm.item() < float("inf"):
        raise NoGradientError(
            f"the gradients have the norm {norm.item()}, so they can't be scaled; look for the "
            "first NaN or infinity in the forward pass"
        )
    factor = minimum(float(max_norm) / (norm + 1e-6), 1.0)
    for p in held:
        p.grad = p.grad * astype(factor, p.dtype)
    return norm


def _joint_norm(gradients: list[Any], p: float) -> Any:
    if not p > 0:
        raise ArgumentError(f"norm_type must be positive, not {p}")
    if not gradients:
        return asarray(0.0)
    if p == float("inf"):
        parts = [max(abs(g)) if g.size else asarray(0.0) for g in gradients]
    else:
        parts = [sum(g * g if p == 2 else power(abs(g), p)) for g in gradients]
    total = parts[0]
    for part in parts[1:]:
        total = maximum(total, part) if p == float("inf") else total + part
    if p == float("inf"):
        return total
    return sqrt(total) if p == 2 else power(total, 1 / p)


@no_grad()
def clip_grad_value_(parameters: Any, clip_value: float) -> None:
    """Bound every element of the gradients to [−clip_value, clip_value].

    >>> import limpid
    >>> w = limpid.Parameter([3.0, 0.1]); (w * w).sum().backward()
    >>> limpid.optim.clip_grad_value_([w], 1.0); w.grad
    tensor([1. , 0.2])
    """
    for p in _with_gradient(parameters):
        p.grad = clip(p.grad, -float(clip_value), float(clip_value))
