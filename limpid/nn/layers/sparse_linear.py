"""Linear layers whose input is sparse: given by the elements that are not 0."""

from __future__ import annotations

from typing import Any

from limpid.differentiation.failure import name_errors
from limpid.graph.context import no_grad
from limpid.nn import init
from limpid.nn.functional.embedding import check_rows, integers
from limpid.nn.functional.sparse_linear import index_linear, sparse_linear
from limpid.nn.layers.linear import Linear
from limpid.nn.module import Module
from limpid.ops.axes import integer
from limpid.ops.cast import stop_gradient
from limpid.ops.create import zeros
from limpid.ops.elementary import abs
from limpid.ops.lookup import largest_at
from limpid.ops.state import assign
from limpid.tensor import Buffer, Parameter, operand


class SparseLinear(Linear):
    """`Linear` for rows that are mostly 0: only their other elements are given, and read.

    weight (out_features, in_features) and bias (out_features) are those of `Linear`, so that one's
    state dict fits the other.

    >>> import limpid
    >>> layer = limpid.nn.SparseLinear(100000, 2)
    >>> indices, values = limpid.tensor([[3, 70000], [5, -1]]), limpid.ones((2, 2))
    >>> layer(indices, values).shape, layer
    ((2, 2), SparseLinear(in_features=100000, out_features=2, bias=True))
    """

    def forward(  # type: ignore[override]  # the input comes in parts
        self, indices: Any, values: Any, rows: int | None = None
    ) -> Any:
        """`functional.sparse_linear`."""
        return sparse_linear(indices, values, self.weight, self.bias, rows)


class IndexLinear(Module):
    """x · weight + bias for rows that are mostly 0: keys, values and sizes → (N, out_features).

    weight has the shape (in_features, out_features): what one input contributes lies together.

    normalize  count each value in units of the largest size of its column that was met in training
               (the buffer `largest`), and add a `shift`, learnt for each column. In `eval` mode
               larger values than were met count as ±1

    >>> import limpid
    >>> layer = limpid.nn.IndexLinear(100000, 2, normalize=True)
    >>> keys, values = limpid.tensor([3, 70000, 5]), limpid.ones(3)
    >>> layer(keys, values, limpid.tensor([2, 1])).shape
    (2, 2)
    """

    @name_errors
    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        normalize: bool = False,
        dtype: Any = None,
    ):
        self.in_features = integer(in_features, "in_features")
        self.out_features = integer(out_features, "out_features")
        self.weight = Parameter(zeros((in_features, out_features), dtype))
        self.bias = Parameter(zeros((out_features,), dtype)) if bias else None
        self.shift = Parameter(zeros((in_features,), dtype)) if normalize else None
        self.largest = Buffer(zeros((in_features,), dtype)) if normalize else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew, uniform in ±1/√in_features; nothing was met yet."""
        init.fan_in_uniform_(self.in_features, self.weight, self.bias)
        for slot in (self.shift, self.largest):
            if slot is not None:
                init.zeros_(slot)

    def forward(self, keys: Any, values: Any, sizes: Any = None) -> Any:
        """`functional.index_linear`; without sizes all elements are one row."""
        if self.largest is not None and self.training:
            self._meet(self.largest, keys, values)
        return index_linear(keys, values, sizes, self.weight, self.bias, self.largest, self.shift)

    def _meet(self, largest: Buffer, keys: Any, values: Any) -> None:
        """Raise the largest sizes so far to the sizes of these values."""
        keys, values = integers(keys), operand(values)
        check_rows("index_linear", keys, self.in_features, what="column")
        with no_grad():
            assign(largest, largest_at(largest, keys, abs(stop_gradient(values))))

    def extra_repr(self) -> str:
        """Sizes, whether there is a bias, and whether values are normalised."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}, normalize={self.largest is not None}"
        )
