"""Activation functions as modules, with PyTorch's names and arguments.

`inplace` is accepted where PyTorch has it and changes nothing: tensors never alias for writing.
"""

from __future__ import annotations

from typing import Any

from limpid.errors import ShapeError
from limpid.nn import functional as F
from limpid.nn.module import Module
from limpid.nn.tree import HIDDEN
from limpid.ops.create import full
from limpid.tensor import Parameter


class Activation(Module):
    """Base of activation modules: `repr` shows their options."""

    def extra_repr(self) -> str:
        """The options."""
        hidden = (HIDDEN, "training")
        options = [(n, v) for n, v in vars(self).items() if n not in hidden]
        return ", ".join(f"{n}={v!r}" for n, v in options if not isinstance(v, Parameter))


class ReLU(Activation):
    """max(x, 0)."""

    def __init__(self, inplace: bool = False):
        pass

    def forward(self, input: Any) -> Any:
        """max(x, 0)."""
        return F.relu(input)


class ReLU6(Activation):
    """min(max(x, 0), 6)."""

    def __init__(self, inplace: bool = False):
        pass

    def forward(self, input: Any) -> Any:
        """min(max(x, 0), 6)."""
        return F.relu6(input)


class LeakyReLU(Activation):
    """x where it is positive, else negative_slope · x."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False):
        self.negative_slope = negative_slope

    def forward(self, input: Any) -> Any:
        """x where it is positive, else negative_slope · x."""
        return F.leaky_relu(input, self.negative_slope)


class PReLU(Activation):
    """x where it is positive, else weight · x; weights are learnt, one or one per channel."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25, dtype: Any = None):
        self.num_parameters = num_parameters
        self.weight = Parameter(full((num_parameters,), float(init), dtype))

    def forward(self, input: Any) -> Any:
        """x where it is positive, else weight · x."""
        return F.prelu(input, self.weight)


class RReLU(Activation):
    """x where it is positive, else slope · x; slopes are random in training, equal in `eval`."""

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False):
        self.lower = lower
        self.upper = upper

    def forward(self, input: Any) -> Any:
        """x where it is positive, else slope · x."""
        return F.rrelu(input, self.lower, self.upper, self.training)


class ELU(Activation):
    """x where it is positive, else alpha · (e^x − 1)."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        self.alpha = alpha

    def forward(self, input: Any) -> Any:
        """x where it is positive, else alpha · (e^x − 1)."""
        return F.elu(input, self.alpha)


class SELU(Activation):
    """ELU scaled so that mean 0 and variance 1 are kept (Klambauer et al. 2017)."""

    def __init__(self, inplace: bool = False):
        pass

    def forward(self, input: Any) -> Any:
        """The scaled ELU."""
        return F.selu(input)


class CELU(Activation):
    """max(x, 0) + min(0, alpha · (e^(x/alpha) − 1))."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        self.alpha = alpha

    def forward(self, input: Any) -> Any:
        """The continuously differentiable ELU."""
        return F.celu(input, self.alpha)


class GELU(Activation):
    """x · Φ(x); approximate="tanh" for the cheaper formula."""

    def __init__(self, approximate: str = "none"):
        self.approximate = approximate

    def forward(self, input: Any) -> Any:
        """x · Φ(x)."""
        return F.gelu(input, self.approximate)


class SiLU(Activation):
    """x · σ(x)."""

    def __init__(self, inplace: bool = False):
        pass

    def forward(self, input: Any) -> Any:
        """x · σ(x)."""
        return F.silu(input)


class Mish(Activation):
    """x · tanh(softplus(x))."""

    def __init__(self, inplace: bool = False):
        pass

    def forward(self, input: Any) -> Any:
        """x · tanh(softplus(x))."""
        return F.mish(input)


class Sigmoid(Activation):
    """1 / (1 + e^−x)."""

    def forward(self, input: Any) -> Any:
        """1 / (1 + e^−x)."""
        return F.sigmoid(input)


class LogSigmoid(Activation):
    """log σ(x)."""

    def forward(self, input: Any) -> Any:
        """log σ(x)."""
        return F.logsigmoid(input)


class Tanh(Activation):
    """tanh x."""

    def forward(self, input: Any) -> Any:
        """tanh x."""
        return F.tanh(input)


class Tanhshrink(Activation):
    """x − tanh x."""

    def forward(self, input: Any) -> Any:
        """x − tanh x."""
        return F.tanhshrink(input)


class Softplus(Activation):
    """log(1 + e^(beta·x)) / beta; x itself where beta·x exceeds the threshold."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Any) -> Any:
        """log(1 + e^(beta·x)) / beta."""
        return F.softplus(input, self.beta, self.threshold)


class Softsign(Activation):
    """x / (1 + |x|)."""

    def forward(self, input: Any) -> Any:
        """x / (1 + |x|)."""
        return F.softsign(input)


class Softshrink(Activation):
    """x drawn towards 0 by lambd, and 0 within it."""

    def __init__(self, lambd: float = 0.5):
        self.lambd = lambd

    def forward(self, input: Any) -> Any:
        """x drawn towards 0 by lambd."""
        return F.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        """The limit."""
        return str(self.lambd)


class Hardshrink(Activation):
    """x where |x| > lambd, else 0."""

    def __init__(self, lambd: float = 0.5):
        self.lambd = lambd

    def forward(self, input: Any) -> Any:
        """x where |x| > lambd, else 0."""
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        """The limit."""
        return str(self.lambd)


class Hardtanh(Activation):
    """min(max(x, min_val), max_val)."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False):
        self.min_val = min_val
        self.max_val = max_val

    def forward(self, input: Any) -> Any:
        """min(max(x, min_val), max_val)."""
        return F.hardtanh(input, self.min_val, self.max_val)


class Hardsigmoid(Activation):
    """min(max(x/6 + ½, 0), 1)."""

    def __init__(self, inplace: bool = False):
        pass

    def forward(self, input: Any) -> Any:
        """min(max(x/6 + ½, 0), 1)."""
        return F.hardsigmoid(input)


class Hardswish(Activation):
    """x · hardsigmoid(x)."""

    def __init__(self, inplace: bool = False):
        pass

    def forward(self, input: Any) -> Any:
        """x · hardsigmoid(x)."""
        return F.hardswish(input)


class Threshold(Activation):
    """x where it is larger than the threshold, else value."""

    def __init__(self, threshold: float, value: float, inplace: bool = False):
        self.threshold = threshold
        self.value = value

    def forward(self, input: Any) -> Any:
        """x where it is larger than the threshold, else value."""
        return F.threshold(input, self.threshold, self.value)


class GLU(Activation):
    """a · σ(b), where a and b are the halves along an axis."""

    def __init__(self, dim: int = -1):
        self.dim = dim

    def forward(self, input: Any) -> Any:
        """a · σ(b)."""
        return F.glu(input, self.dim)


class Softmax(Activation):
    """exp(x) / Σ exp(x) along an axis; `functional.softmax` says which if none is named."""

    def __init__(self, dim: int | None = None):
        self.dim = dim

    def forward(self, input: Any) -> Any:
        """exp(x) / Σ exp(x)."""
        return F.softmax(input, self.dim)


class Softmax2d(Activation):
    """exp(x) / Σ exp(x) over the channels at each place of an image (N, C, H, W) or (C, H, W)."""

    def forward(self, input: Any) -> Any:
        """exp(x) / Σ exp(x)."""
        if len(input.shape) not in (3, 4):
            raise ShapeError(
                f"the input must have shape (N, C, H, W) or (C, H, W), not {input.shape}"
            )
        return F.softmax(input, -3)


class Softmin(Activation):
    """softmax(−x) along an axis."""

    def __init__(self, dim: int | None = None):
        self.dim = dim

    def forward(self, input: Any) -> Any:
        """softmax(−x)."""
        return F.softmin(input, self.dim)


class LogSoftmax(Activation):
    """log softmax(x) along an axis."""

    def __init__(self, dim: int | None = None):
        self.dim = dim

    def forward(self, input: Any) -> Any:
        """log softmax(x)."""
        return F.log_softmax(input, self.dim)
