"""Initial values of parameters, with PyTorch's names and arguments.

Each function gives a tensor a new value through `limpid.assign` and returns it. Random numbers
come from `generator`, or else from this thread's default generator (`limpid.random.seed`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from math import prod, sqrt
from threading import local
from typing import Any, TypeVar

from limpid.errors import ArgumentError, OperandError, ShapeError
from limpid.graph.context import no_grad
from limpid.ops import random
from limpid.ops.create import eye, full
from limpid.ops.elementary import sign
from limpid.ops.layout import reshape
from limpid.ops.linalg.factors import qr
from limpid.ops.state import assign
from limpid.ops.triangle import diagonal
from limpid.tensor import Tensor

F = TypeVar("F", bound=Callable[..., Tensor])

GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": sqrt(2.0), "selu": 0.75}
GAINS |= {f"conv{transpose}{n}d": 1.0 for transpose in ("", "_transpose") for n in (1, 2, 3)}


class _Drawing(local):
    """Whether this thread draws initial values."""

    enabled = True


_drawing = _Drawing()


@contextmanager
def skip_draws() -> Iterator[None]:
    """Inside, no initial values are drawn: parameters keep theirs, in new layers zeros.

    For large models whose weights are loaded next, or don't matter; per thread.

    >>> import limpid
    >>> with limpid.nn.init.skip_draws():
    ...     layer = limpid.nn.Linear(2, 1)
    >>> layer.weight
    tensor([[0., 0.]], requires_grad=True)
    """
    before = _drawing.enabled
    _drawing.enabled = False
    try:
        yield
    finally:
        _drawing.enabled = before


def _draws(function: F) -> F:
    """A decorator: the function leaves the tensor as it is inside `skip_draws`."""

    @wraps(function)
    def wrapped(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return function(tensor, *args, **kwargs) if _drawing.enabled else tensor

    return wrapped  # type: ignore[return-value]  # it takes and returns the same


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance of signals through a nonlinearity.

    param  the negative slope of "leaky_relu", 0.01 by default

    >>> import limpid
    >>> limpid.nn.init.calculate_gain("tanh")
    1.6666666666666667
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else float(param)
        return sqrt(2.0 / (1 + slope * slope))
    if nonlinearity not in GAINS:
        known = ", ".join([*GAINS, "leaky_relu"])
        raise ArgumentError(f"no gain is known for {nonlinearity!r}; known are {known}")
    return GAINS[nonlinearity]


@_draws
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform in [a, b).

    >>> import limpid
    >>> w = limpid.nn.init.uniform_(limpid.Parameter(limpid.zeros(100)), -1.0, 1.0)
    >>> bool(limpid.max(limpid.abs(w)) <= 1)
    True
    """
    _check(tensor)
    return _fill(
        tensor, random.uniform(a, b, tensor.shape, dtype=tensor.dtype, generator=generator)
    )


@_draws
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Normal with this mean and standard deviation."""
    _check(tensor)
    return _fill(
        tensor, random.normal(mean, std, tensor.shape, dtype=tensor.dtype, generator=generator)
    )


@_draws
def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Any = None,
) -> Tensor:
    """Normal, conditioned on lying in [a, b]; a and b are values, as in PyTorch.

    >>> import limpid
    >>> w = limpid.nn.init.trunc_normal_(limpid.Parameter(limpid.zeros(100)), std=3.0)
    >>> bool(limpid.max(limpid.abs(w)) <= 2)
    True
    """
    _check(tensor)
    if not std > 0:
        raise ArgumentError(f"std must be positive, not {std}")
    low, high = (a - mean) / std, (b - mean) / std
    return _fill(
        tensor,
        random.truncated_normal(
            mean, std, low, high, tensor.shape, dtype=tensor.dtype, generator=generator
        ),
    )


def constant_(tensor: Tensor, val: float) -> Tensor:
    """The same number everywhere."""
    _check(tensor)
    return _fill(tensor, full(tensor.shape, val, tensor.dtype))


def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere."""
    return constant_(tensor, 1.0)


def eye_(tensor: Tensor) -> Tensor:
    """A matrix with 1 on the diagonal and 0 elsewhere."""
    _check(tensor)
    if tensor.ndim != 2:
        raise ShapeError(f"eye_ needs a matrix, not shape {tensor.shape}")
    return _fill(tensor, eye(tensor.shape[0], tensor.shape[1], dtype=tensor.dtype))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform in ±gain·√(6 / (fan_in + fan_out)).

    Source: Glorot and Bengio 2010, Understanding the difficulty of training deep feedforward
    neural networks.
    """
    bound = gain * sqrt(6.0 / max(1, sum(fans(tensor))))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Normal with deviation gain·√(2 / (fan_in + fan_out)); source as `xavier_uniform_`."""
    return normal_(tensor, 0.0, gain * sqrt(2.0 / max(1, sum(fans(tensor)))), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Uniform in ±gain·√(3 / fan).

    a     the negative slope of the leaky ReLU that follows (0: ReLU)
    mode  "fan_in" keeps the variance forward, "fan_out" backward

    Source: He, Zhang, Ren and Sun 2015, Delving Deep into Rectifiers.
    """
    bound = sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Normal with standard deviation gain / √fan; arguments as `kaiming_uniform_`."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


@_draws
@no_grad()
def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """A random matrix with orthonormal rows or columns, times gain; uniform among such matrices.

    A tensor of more dimensions is taken as a matrix (shape[0], rest).

    Source: Saxe, McClelland and Ganguli 2014, Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks.
    """
    _check(tensor)
    if tensor.ndim < 2:
        raise ShapeError(f"orthogonal_ needs at least 2 dimensions, not shape {tensor.shape}")
    if not tensor.size:
        return tensor
    rows, columns = tensor.shape[0], tensor.size // tensor.shape[0]
    tall = (max(rows, columns), min(rows, columns))
    q, r = qr(random.normal(shape=tall, dtype=tensor.dtype, generator=generator))
    signs = sign(diagonal(r))  # without them the matrices would not be uniform
    q = q * (signs + (signs == 0))
    return _fill(tensor, reshape(gain * (q if rows >= columns else q.mT), tensor.shape))


def fan_in_uniform_(fan_in: int, *tensors: Tensor | None) -> None:
    """Uniform in ±1/√fan_in, each of the tensors that are not None: how PyTorch's layers begin.

    >>> import limpid
    >>> weight = limpid.Parameter(limpid.zeros((2, 100)))
    >>> limpid.nn.init.fan_in_uniform_(100, weight, None)
    >>> bool(limpid.max(limpid.abs(weight)) <= 0.1)
    True
    """
    bound = 1 / sqrt(fan_in) if fan_in else 0.0
    for tensor in tensors:
        if tensor is not None:
            uniform_(tensor, -bound, bound)


def fans(tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out): how many numbers one output sums, how many outputs one input feeds.

    >>> import limpid
    >>> limpid.nn.init.fans(limpid.zeros((8, 3, 5, 5)))
    (75, 200)
    """
    _check(tensor)
    if tensor.ndim < 2:
        raise ShapeError(f"fan_in and fan_out need at least 2 dimensions, not shape {tensor.shape}")
    field = prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f'mode must be "fan_in" or "fan_out", not {mode!r}')
    fan = fans(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / sqrt(max(1, fan))


def _check(tensor: Any) -> None:
    if not isinstance(tensor, Tensor) or tensor.storage is None:
        raise OperandError(
            f"only a parameter or another leaf can be given a value, not {type(tensor).__name__}"
        )


@no_grad()
def _fill(tensor: Tensor, value: Any) -> Tensor:
    assign(tensor, value)
    return tensor
