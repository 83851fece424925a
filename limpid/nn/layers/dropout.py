"""Dropout layers; `limpid.nn.functional` documents them. In `eval` mode they do nothing.

`inplace` is accepted as in PyTorch and changes nothing: tensors never alias for writing.
"""

from __future__ import annotations

from typing import Any

from limpid.differentiation.failure import name_errors
from limpid.nn import functional as F
from limpid.nn.functional.dropout import check_probability
from limpid.nn.module import Module


class DropoutLayer(Module):
    """Base of dropout layers: they have a probability."""

    @name_errors
    def __init__(self, p: float = 0.5, inplace: bool = False):
        check_probability(p)
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(DropoutLayer):
    """Each element is 0 with probability p, else divided by 1 − p; in `eval` mode the input itself.

    Source: Srivastava et al. 2014, Dropout: A Simple Way to Prevent Neural Networks from
    Overfitting.

    >>> import limpid
    >>> limpid.nn.Dropout(0.5).eval()(limpid.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """

    def forward(self, input: Any) -> Any:
        """The input with some elements 0."""
        return F.dropout(input, self.p, self.training)


class Dropout1d(DropoutLayer):
    """Whole channels of (N, C, L) or (C, L) are 0 with probability p."""

    def forward(self, input: Any) -> Any:
        """The input with some channels 0."""
        return F.dropout1d(input, self.p, self.training)


class Dropout2d(DropoutLayer):
    """Whole channels of (N, C, H, W) or (C, H, W) are 0 with probability p."""

    def forward(self, input: Any) -> Any:
        """The input with some channels 0."""
        return F.dropout2d(input, self.p, self.training)


class Dropout3d(DropoutLayer):
    """Whole channels of (N, C, D, H, W) or (C, D, H, W) are 0 with probability p."""

    def forward(self, input: Any) -> Any:
        """The input with some channels 0."""
        return F.dropout3d(input, self.p, self.training)


class AlphaDropout(DropoutLayer):
    """Dropout that keeps mean and variance behind SELU."""

    def forward(self, input: Any) -> Any:
        """The input with some elements at SELU's lower limit, scaled and shifted."""
        return F.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(DropoutLayer):
    """Alpha dropout of whole channels of (N, C, …)."""

    def forward(self, input: Any) -> Any:
        """The input with some channels at SELU's lower limit, scaled and shifted."""
        return F.feature_alpha_dropout(input, self.p, self.training)
