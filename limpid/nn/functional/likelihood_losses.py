"""Losses that are negative log likelihoods: of normal numbers, of counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.differentiation.failure import name_errors
from limpid.errors import ArgumentError, ShapeError
from limpid.graph.dtype import as_dtype
from limpid.nn.functional.losses import at_least, check_reduction, paired, reduced
from limpid.ops import losses
from limpid.ops.arithmetic import where
from limpid.ops.cast import astype
from limpid.ops.elementary import exp, log
from limpid.ops.layout import reshape
from limpid.tensor import known_values, operand

LOG_2_PI = 1.8378770664093453


@name_errors
def gaussian_nll_loss(
    input: Any,
    target: Any,
    var: Any,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Any:
    """½(log v + (input − target)²/v), where v = max(var, eps): a normal number's −log likelihood.

    var   the variance of each element, or one for all of them along an axis (extent 1; or the last
          axis left out), or a number. The bound eps is not differentiated.
    full  add the constant ½ log 2π, too

    Raises ShapeError, ArgumentError for a negative variance.

    >>> import limpid
    >>> mean, x = limpid.tensor([1.0]), limpid.tensor([3.0])
    >>> limpid.nn.functional.gaussian_nll_loss(mean, x, limpid.tensor([1.0]))
    tensor(2.)
    """
    check_reduction(reduction)
    if not eps > 0:
        raise ArgumentError(f"eps must be positive, not {eps}")
    input, target = paired(input, target)
    var = at_least(_variance(var, input), eps)
    each = 0.5 * (log(var) + losses.squared_error(input, target) / var)
    return reduced(each + 0.5 * LOG_2_PI if full else each, None, reduction)


def _variance(var: Any, input: Any) -> Any:
    """The variance in a shape that broadcasts against the input."""
    if isinstance(var, float | int):
        var = np.full((), var, as_dtype(input.dtype).storage)
    var = operand(var)
    values = known_values(var)
    if values is not None and values.min(initial=0) < 0:
        raise ArgumentError(f"a variance is negative: {values.min()}")
    if not var.shape or var.shape == input.shape:
        return var
    if var.shape == input.shape[:-1]:
        return reshape(var, (*var.shape, 1))
    differing = [n for n, m in zip(var.shape, input.shape) if n != m]
    if len(var.shape) != len(input.shape) or differing != [1]:
        raise ShapeError(
            f"a variance of shape {var.shape} does not fit predictions of shape "
            f"{input.shape}; along one axis at most it may have extent 1"
        )
    return var


@name_errors
def poisson_nll_loss(
    input: Any,
    target: Any,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Any:
    """exp(input) − target·input: −log likelihood of counts whose log rate is the input.

    log_input  False: the input is the rate itself, and the loss input − target·log(input + eps)
    full       add Stirling's approximation of log(target!) where the target is larger than 1

    >>> import limpid
    >>> limpid.nn.functional.poisson_nll_loss(limpid.tensor([0.0]), limpid.tensor([3.0]))
    tensor(1.)
    """
    check_reduction(reduction)
    input, target = paired(input, target)
    each = exp(input) - target * input if log_input else input - target * log(input + eps)
    if full:
        each = each + _stirling(astype(target, input.dtype))
    return reduced(each, None, reduction)


def _stirling(count: Any) -> Any:
    """Approximately log(count!), 0 for 0 and 1."""
    n = where(count > 1, count, 2.0)
    return where(count > 1, n * log(n) - n + 0.5 * (log(n) + LOG_2_PI), 0.0)
