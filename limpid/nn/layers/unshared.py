"""Layers that slide as a convolution does, with weights for places or for pairs of channels."""

from __future__ import annotations

from math import prod
from typing import Any

from limpid.differentiation.failure import name_errors
from limpid.errors import ArgumentError, ShapeError
from limpid.nn import functional as F
from limpid.nn import init
from limpid.nn.functional.unshared import connections
from limpid.nn.module import Module
from limpid.ops.axes import integer
from limpid.ops.create import zeros
from limpid.ops.random import permutation
from limpid.ops.windows.geometry import check_axes, output_extents, paddings, per_axis
from limpid.tensor import Parameter, operand

Table = tuple[tuple[int, int], ...]


class LocallyConnected(Module):
    """Base of `LocallyConnected1d`, `LocallyConnected2d` and `LocallyConnected3d`."""

    rank: int

    @name_errors
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        input_size: Any,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        bias: bool = True,
        dtype: Any = None,
    ):
        rank = self.rank
        self.in_channels = integer(in_channels, "in_channels")
        self.out_channels = integer(out_channels, "out_channels")
        self.input_size = per_axis(input_size, rank, "input_size")
        self.kernel_size = per_axis(kernel_size, rank, "kernel_size")
        self.stride = per_axis(stride, rank, "stride")
        self.padding = per_axis(padding, rank, "padding", least=0)
        self.dilation = per_axis(dilation, rank, "dilation")
        sides = paddings(self.padding, rank, self.kernel_size, self.stride, self.dilation)
        places = output_extents(
            self.input_size, self.kernel_size, self.stride, sides, self.dilation
        )
        shape = (*places, out_channels, in_channels, *self.kernel_size)
        self.weight = Parameter(zeros(shape, dtype))
        self.bias = Parameter(zeros((out_channels, *places), dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew, uniform in ±1/√(in · kernel area)."""
        init.fan_in_uniform_(self.in_channels * prod(self.kernel_size), self.weight, self.bias)

    def forward(self, input: Any) -> Any:
        """At each place the window times the weights of this place, plus their bias."""
        return F.locally_connected(
            input, self.weight, self.bias, self.stride, self.padding, self.dilation
        )

    def extra_repr(self) -> str:
        """Sizes."""
        return (
            f"{self.in_channels}, {self.out_channels}, input_size={self.input_size}, "
            f"kernel_size={self.kernel_size}, stride={self.stride}"
        )


class LocallyConnected1d(LocallyConnected):
    """A convolution with weights of its own at each place: (N, in, W) → (N, out, O).

    weight (O, out, in, K), bias (out, O); `input_size` is W.

    >>> import limpid
    >>> limpid.nn.LocallyConnected1d(3, 4, 10, 5)(limpid.zeros((2, 3, 10))).shape
    (2, 4, 6)
    """

    rank = 1


class LocallyConnected2d(LocallyConnected):
    """As `LocallyConnected1d` for images: weight (*O, out, in, K, K), bias (out, *O).

    >>> import limpid
    >>> layer = limpid.nn.LocallyConnected2d(3, 4, (6, 6), 3)
    >>> layer(limpid.zeros((3, 6, 6))).shape, layer.weight.shape
    ((4, 4, 4), (4, 4, 4, 3, 3, 3))
    """

    rank = 2


class LocallyConnected3d(LocallyConnected):
    """As `LocallyConnected1d` for volumes: weight (*O, out, in, K, K, K), bias (out, *O).

    >>> import limpid
    >>> limpid.nn.LocallyConnected3d(1, 2, 4, 3)(limpid.zeros((1, 1, 4, 4, 4))).shape
    (1, 2, 2, 2, 2)
    """

    rank = 3


class MapConv(Module):
    """Base of `MapConv2d` and `MapConvTranspose2d`."""

    @name_errors
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        table: Any,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        bias: bool = True,
        dtype: Any = None,
    ):
        self.in_channels = integer(in_channels, "in_channels")
        self.out_channels = integer(out_channels, "out_channels")
        pairs = connections(table, in_channels, out_channels)
        self.table: Table = tuple((i, o) for i, o in pairs.tolist())
        self.kernel_size = per_axis(kernel_size, 2, "kernel_size")
        self.stride = per_axis(stride, 2, "stride")
        self.padding = per_axis(padding, 2, "padding", least=0)
        self.weight = Parameter(zeros((len(self.table), *self.kernel_size), dtype))
        self.bias = Parameter(zeros((out_channels,), dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew, uniform in ±1/√(connections of an output · kernel area)."""
        connections = max(1, len(self.table) // max(1, self.out_channels))
        init.fan_in_uniform_(connections * prod(self.kernel_size), self.weight, self.bias)

    def checked(self, input: Any) -> Any:
        """The input; ShapeError for other channels, of which the table says nothing."""
        x = operand(input)
        check_axes(x.shape, 2)
        if x.shape[-3] != self.in_channels:
            raise ShapeError(
                f"the layer was made for {self.in_channels} channels, but the shape is {x.shape}"
            )
        return x

    def extra_repr(self) -> str:
        """Sizes."""
        return (
            f"{self.in_channels}, {self.out_channels}, connections={len(self.table)}, "
            f"kernel_size={self.kernel_size}, stride={self.stride}"
        )


class MapConv2d(MapConv):
    """A convolution that connects only the pairs (input channel, output channel) of a table.

    (N, in, H, W) → (N, out, *O); weight (T, K, K), a kernel for each pair, and bias (out).

    Source: LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition (C3).

    >>> import limpid
    >>> layer = limpid.nn.MapConv2d(2, 3, [(0, 0), (1, 1), (0, 2), (1, 2)], 5)
    >>> layer(limpid.zeros((1, 2, 14, 14))).shape, layer.weight.shape
    ((1, 3, 10, 10), (4, 5, 5))
    """

    def forward(self, input: Any) -> Any:
        """The convolution along the connections, plus the bias."""
        x = self.checked(input)
        return F.map_conv(
            x, self.weight, self.table, self.out_channels, self.bias, self.stride, self.padding
        )


class MapConvTranspose2d(MapConv):
    """The transposed convolution of a connection table.

    >>> import limpid
    >>> layer = limpid.nn.MapConvTranspose2d(2, 2, limpid.nn.one_to_one_table(2), 2, stride=2)
    >>> layer(limpid.zeros((1, 2, 3, 3))).shape
    (1, 2, 6, 6)
    """

    def forward(self, input: Any) -> Any:
        """The transposed convolution along the connections, plus the bias."""
        x = self.checked(input)
        return F.map_conv_transpose(
            x, self.weight, self.table, self.out_channels, self.bias, self.stride, self.padding
        )


def full_table(in_channels: int, out_channels: int) -> Table:
    """Every channel connected to every one.

    >>> import limpid
    >>> limpid.nn.full_table(2, 1)
    ((0, 0), (1, 0))
    """
    return tuple((i, o) for o in range(out_channels) for i in range(in_channels))


def one_to_one_table(channels: int) -> Table:
    """Each channel connected to the one of the same number.

    >>> import limpid
    >>> limpid.nn.one_to_one_table(2)
    ((0, 0), (1, 1))
    """
    return tuple((channel, channel) for channel in range(channels))


def random_table(
    in_channels: int, out_channels: int, connections: int, generator: Any = None
) -> Table:
    """Each output connected to `connections` distinct inputs.

    >>> import limpid
    >>> len(limpid.nn.random_table(6, 16, 4))
    64
    """
    if not 0 < connections <= in_channels:
        raise ArgumentError(
            f"random_table: connections are from 1 to the {in_channels} inputs, not {connections}"
        )
    draws = [permutation(in_channels, generator=generator) for _ in range(out_channels)]
    return tuple(
        (i, o) for o, draw in enumerate(draws) for i in sorted(draw.tolist()[:connections])
    )
