"""Embedding: a table of vectors, looked up by number."""

from __future__ import annotations

from typing import Any

from limpid.differentiation.failure import name_errors
from limpid.errors import ShapeError
from limpid.nn import init
from limpid.nn.functional.embedding import (
    embedding,
    embedding_bag,
    normal_padding,
    refuse_sparse,
)
from limpid.nn.module import Module
from limpid.ops.arithmetic import where
from limpid.ops.axes import integer
from limpid.ops.create import arange, zeros
from limpid.ops.state import assign
from limpid.tensor import Parameter, operand


class Table(Module):
    """Base of layers that look up rows of `weight` (num_embeddings, embedding_dim)."""

    @name_errors
    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        max_norm: float | None,
        norm_type: float,
        scale_grad_by_freq: bool,
        sparse: bool,
        weight: Any,
        freeze: bool,
        dtype: Any,
    ):
        refuse_sparse(sparse)
        self.num_embeddings = integer(num_embeddings, "num_embeddings")
        self.embedding_dim = integer(embedding_dim, "embedding_dim")
        self.padding_idx = normal_padding(padding_idx, self.num_embeddings)
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        if weight is None:
            self.weight = Parameter(zeros((num_embeddings, embedding_dim), dtype))
            self.reset_parameters()
        else:
            self.weight = self._given(weight, dtype)
        if freeze:
            self.weight.requires_grad = False

    def _given(self, weight: Any, dtype: Any) -> Parameter:
        """A weight that others made: a parameter as it is, or a copy."""
        made = weight if isinstance(weight, Parameter) else Parameter(weight, dtype=dtype)
        if made.shape != (self.num_embeddings, self.embedding_dim):
            raise ShapeError(
                f"{self.num_embeddings} rows of {self.embedding_dim} "
                f"numbers don't fit a weight of shape {made.shape}"
            )
        return made

    def reset_parameters(self) -> None:
        """Draw the weight anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            padding = arange(self.num_embeddings).reshape(-1, 1) == self.padding_idx
            assign(self.weight, where(padding, 0.0, self.weight.detach()))


class Embedding(Table):
    """Rows of `weight` (num_embeddings, embedding_dim) by number: (…) → (…, embedding_dim).

    The weight starts standard normal. Gradients of a row that is used twice add up.

    padding_idx         this row starts as 0 and gets no gradient
    max_norm, norm_type, scale_grad_by_freq, sparse   as in `functional.embedding`

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
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Any = None,
        _freeze: bool = False,
        dtype: Any = None,
    ):
        super().__init__(
            num_embeddings,
            embedding_dim,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            _weight,
            _freeze,
            dtype,
        )

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Any,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """A layer with this table (a copy of it), which is not trained unless freeze is False.

        >>> import limpid
        >>> table = limpid.nn.Embedding.from_pretrained(limpid.tensor([[1.0, 2.0], [3.0, 4.0]]))
        >>> table(limpid.tensor([1]))
        tensor([[3., 4.]])
        """
        rows, width, given = _two_axes(embeddings)
        options = (padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
        return cls(rows, width, *options, given, freeze)

    def forward(self, input: Any) -> Any:
        """The rows with these numbers."""
        return embedding(
            input,
            self.weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
        )

    def extra_repr(self) -> str:
        """Sizes, and what differs from the defaults."""
        return f"{self.num_embeddings}, {self.embedding_dim}" + _shown(
            padding_idx=self.padding_idx,
            max_norm=self.max_norm,
            norm_type=None if self.norm_type == 2 else self.norm_type,
            scale_grad_by_freq=self.scale_grad_by_freq or None,
        )


class EmbeddingBag(Table):
    """The sum, mean or maximum of bags of rows of `weight` (num_embeddings, embedding_dim).

    Arguments as in `functional.embedding_bag`.

    >>> import limpid
    >>> bags = limpid.nn.EmbeddingBag(10, 4, mode="sum")
    >>> bags(limpid.tensor([1, 2, 4, 5]), limpid.tensor([0, 3])).shape
    (2, 4)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Any = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        dtype: Any = None,
    ):
        super().__init__(
            num_embeddings,
            embedding_dim,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            _weight,
            False,
            dtype,
        )
        self.mode = mode
        self.include_last_offset = include_last_offset

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Any,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """A layer with this table (a copy of it), which is not trained unless freeze is False."""
        rows, width, given = _two_axes(embeddings)
        options = (max_norm, norm_type, scale_grad_by_freq, mode, sparse)
        layer = cls(rows, width, *options, given, include_last_offset, padding_idx)
        layer.weight.requires_grad = not freeze
        return layer

    def forward(self, input: Any, offsets: Any = None, per_sample_weights: Any = None) -> Any:
        """One vector for each bag."""
        return embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            False,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )

    def extra_repr(self) -> str:
        """Sizes, the mode, and what differs from the defaults."""
        return f"{self.num_embeddings}, {self.embedding_dim}" + _shown(
            max_norm=self.max_norm,
            norm_type=None if self.norm_type == 2 else self.norm_type,
            scale_grad_by_freq=self.scale_grad_by_freq or None,
            mode=self.mode,
            padding_idx=self.padding_idx,
        )


def _shown(**options: Any) -> str:
    """Options that are not None, as `repr` shows them."""
    return "".join(f", {name}={value!r}" for name, value in options.items() if value is not None)


def _two_axes(embeddings: Any) -> tuple[int, int, Any]:
    """Both extents of a table that others made, and the table."""
    given = operand(embeddings)
    if len(given.shape) != 2:
        raise ShapeError(f"a table must have shape (rows, width), not {given.shape}")
    return given.shape[0], given.shape[1], given
