"""Embedding: a table of vectors, looked up by number."""

from __future__ import annotations

from typing import Any

from limpid.errors import ArgumentError
from limpid.nn import init
from limpid.nn.functional.layers import embedding
from limpid.nn.linear import extent
from limpid.nn.module import Module
from limpid.ops.arithmetic import where
from limpid.ops.create import arange, zeros
from limpid.ops.state import assign
from limpid.tensor import Parameter


class Embedding(Module):
    """Rows of `weight` (num_embeddings, embedding_dim) by number: (…) → (…, embedding_dim).

    The weight starts standard normal. Gradients of a row that is used twice add up.

    padding_idx  this row starts as 0 and gets no gradient

    >>> import limpid
    >>> table = limpid.nn.Embedding(10, 4)
    >>> table(limpid.tensor([[1, 2, 2]])).shape
    (1, 3, 4)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        dtype: Any = None,
    ):
        self.num_embeddings = extent(num_embeddings, "num_embeddings")
        self.embedding_dim = extent(embedding_dim, "embedding_dim")
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ArgumentError(
                    f"padding_idx {padding_idx} is out of range for {num_embeddings} rows"
                )
            padding_idx %= num_embeddings
        self.padding_idx = padding_idx
        self.weight = Parameter(zeros((num_embeddings, embedding_dim), dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            padding = arange(self.num_embeddings).reshape(-1, 1) == self.padding_idx
            assign(self.weight, where(padding, 0.0, self.weight.detach()))

    def forward(self, input: Any) -> Any:
        """The rows with these numbers."""
        return embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        """Sizes."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
