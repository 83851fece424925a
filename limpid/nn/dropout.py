"""Dropout."""

from __future__ import annotations

from typing import Any

from limpid.errors import ArgumentError
from limpid.nn.functional.layers import dropout
from limpid.nn.module import Module


class Dropout(Module):
    """Each element is 0 with probability p, else divided by 1 − p; in `eval` mode the input itself.

    Source: Srivastava et al. 2014, Dropout: A Simple Way to Prevent Neural Networks from
    Overfitting.

    >>> import limpid
    >>> limpid.nn.Dropout(0.5).eval()(limpid.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """

    def __init__(self, p: float = 0.5, inplace: bool = False):
        if not 0 <= p <= 1:
            raise ArgumentError(f"a probability is from 0 to 1, not {p}")
        self.p = p

    def forward(self, input: Any) -> Any:
        """The input with some elements 0."""
        return dropout(input, self.p, self.training)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}"
