"""Linear layers."""

from __future__ import annotations

from typing import Any

from limpid.differentiation.failure import name_errors
from limpid.nn import init
from limpid.nn.functional.linear import bilinear, linear
from limpid.nn.module import Module
from limpid.ops.axes import integer
from limpid.ops.create import zeros
from limpid.tensor import Parameter


class Linear(Module):
    """x · weightᵀ + bias; (…, in_features) → (…, out_features).

    weight (out_features, in_features) and bias (out_features) start uniform in ±1/√in_features.
    Raises ShapeError, and DTypeError for an input of another float type than the parameters.

    >>> import limpid
    >>> layer = limpid.nn.Linear(3, 2)
    >>> layer(limpid.tensor([[1.0, 2.0, 3.0]])).shape, layer
    ((1, 2), Linear(in_features=3, out_features=2, bias=True))
    """

    @name_errors
    def __init__(self, in_features: int, out_features: int, bias: bool = True, dtype: Any = None):
        self.in_features = integer(in_features, "in_features")
        self.out_features = integer(out_features, "out_features")
        self.weight = Parameter(zeros((out_features, in_features), dtype))
        self.bias = Parameter(zeros((out_features,), dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        init.fan_in_uniform_(self.in_features, self.weight, self.bias)

    def forward(self, input: Any) -> Any:
        """x · weightᵀ + bias."""
        return linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Sizes, and whether there is a bias."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Bilinear(Module):
    """Σ_ij x_i · weight_kij · z_j + bias_k; (…, in1), (…, in2) → (…, out).

    weight (out_features, in1_features, in2_features) and bias (out_features) start uniform in
    ±1/√in1_features.

    >>> import limpid
    >>> layer = limpid.nn.Bilinear(3, 4, 2)
    >>> layer(limpid.zeros((5, 3)), limpid.zeros((5, 4))).shape
    (5, 2)
    """

    @name_errors
    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        dtype: Any = None,
    ):
        self.in1_features = integer(in1_features, "in1_features")
        self.in2_features = integer(in2_features, "in2_features")
        self.out_features = integer(out_features, "out_features")
        self.weight = Parameter(zeros((out_features, in1_features, in2_features), dtype))
        self.bias = Parameter(zeros((out_features,), dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        init.fan_in_uniform_(self.in1_features, self.weight, self.bias)

    def forward(self, input1: Any, input2: Any) -> Any:
        """Σ_ij x_i · weight_kij · z_j + bias_k."""
        return bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Sizes, and whether there is a bias."""
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )
