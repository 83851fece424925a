"""Normalisation layers, with PyTorch's names, arguments, state and meaning."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.differentiation.failure import name_errors
from limpid.errors import ArgumentError, ShapeError
from limpid.nn import functional as F
from limpid.nn.functional.normalization import last_extents
from limpid.nn.init import ones_, zeros_
from limpid.nn.module import Module
from limpid.ops.axes import integer
from limpid.ops.cast import astype
from limpid.ops.create import full, ones, zeros
from limpid.ops.layout import reshape
from limpid.ops.state import assign
from limpid.tensor import Buffer, Parameter, operand


def _parameters(
    shape: tuple[int, ...], weighted: bool, biased: bool, dtype: Any
) -> tuple[Parameter | None, Parameter | None]:
    """A weight of ones and a bias of zeros, where they are wanted."""
    weight = Parameter(ones(shape, dtype)) if weighted else None
    bias = Parameter(zeros(shape, dtype)) if weighted and biased else None
    return weight, bias


class Normalization(Module):
    """Base of normalisation layers: a weight that starts as 1, a bias that starts as 0."""

    weight: Parameter | None = None
    bias: Parameter | None = None

    def reset_parameters(self) -> None:
        """Let the weight be 1 and the bias 0."""
        if self.weight is not None:
            ones_(self.weight)
        if self.bias is not None:
            zeros_(self.bias)


class ChannelNorm(Normalization):
    """Base of batch and instance normalisation: parameters and running statistics of channels.

    running_mean (C,) starts as 0, running_var (C,) as 1; `num_batches_tracked` counts.
    """

    ranks: tuple[int, ...] = ()  # how many axes an input may have
    single: bool = False  # whether the smaller number is that of an input without a batch

    @name_errors
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        self.num_features = integer(num_features, "num_features")
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        shape = (self.num_features,)
        self.weight, self.bias = _parameters(shape, affine, bias, dtype)
        self.running_mean = Buffer(zeros(shape, dtype)) if track_running_stats else None
        self.running_var = Buffer(ones(shape, dtype)) if track_running_stats else None
        self.num_batches_tracked = Buffer(np.int64(0)) if track_running_stats else None

    def reset_running_stats(self) -> None:
        """Let the running mean be 0, the running variance 1 and the count 0."""
        slots = (self.running_mean, self.running_var, self.num_batches_tracked)
        for slot, start in zip(slots, (0.0, 1.0, 0), strict=True):
            if slot is not None:
                assign(slot, full(slot.shape, start))

    def checked(self, input: Any) -> Any:
        """The input as an operand; ShapeError for another number of axes or channels."""
        input = operand(input)
        rank = len(input.shape)
        if rank not in self.ranks:
            raise ShapeError(
                f"the input must have {' or '.join(map(str, self.ranks))} axes, but its "
                f"shape is {input.shape}"
            )
        channels = input.shape[0 if self.single and rank == self.ranks[0] else 1]
        if channels != self.num_features and (self.affine or self.track_running_stats):
            raise ShapeError(
                f"the layer was made for {self.num_features} channels, but the input has "
                f"{channels}: its shape is {input.shape}"
            )
        return input

    def extra_repr(self) -> str:
        """The options."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


class BatchNorm(ChannelNorm):
    """Base of batch normalisation: `functional.batch_norm` with the layer's state."""

    def forward(self, input: Any) -> Any:
        """In training with the batch's statistics, which the running ones follow."""
        input = self.checked(input)
        momentum: Any = 0.0 if self.momentum is None else self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked = self.num_batches_tracked + 1
            if self.momentum is None:  # the mean of all batches so far
                momentum = 1 / astype(self.num_batches_tracked, input.dtype)
        return F.batch_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            momentum,
            self.eps,
        )


class BatchNorm1d(BatchNorm):
    """Each channel of a batch brought to mean 0 and variance 1, then scaled and shifted.

    (N, C) or (N, C, L) → the same. weight, bias, running_mean and running_var are (C,).

    momentum  how far a batch moves the running statistics; None for the mean over all batches
    affine    with a weight and a bias
    track_running_stats  if False, `eval` mode uses the batch's statistics, too

    Raises ShapeError for other numbers of axes or channels, and for one value per channel in
    training. Source: Ioffe and Szegedy 2015, Batch Normalization.

    >>> import limpid
    >>> layer = limpid.nn.BatchNorm1d(1, eps=0.0)
    >>> layer(limpid.tensor([[1.0], [3.0]])).tolist(), layer.running_mean
    ([[-1.0], [1.0]], tensor([0.2]))
    >>> layer.eval()(limpid.tensor([[0.2]])).tolist()
    [[0.0]]
    """

    ranks = (2, 3)


class BatchNorm2d(BatchNorm):
    """`BatchNorm1d` for images, (N, C, H, W).

    >>> import limpid
    >>> limpid.nn.BatchNorm2d(3)(limpid.zeros((4, 3, 8, 8))).shape
    (4, 3, 8, 8)
    """

    ranks = (4,)


class BatchNorm3d(BatchNorm):
    """`BatchNorm1d` for volumes, (N, C, D, H, W)."""

    ranks = (5,)


class InstanceNorm(ChannelNorm):
    """Base of instance normalisation: `functional.instance_norm` with the layer's state."""

    single = True

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, dtype, bias=bias)

    def forward(self, input: Any) -> Any:
        """Each channel of each example standardised; an input without a batch is one example."""
        input = self.checked(input)
        single = len(input.shape) == self.ranks[0]
        y = F.instance_norm(
            reshape(input, (1, *input.shape)) if single else input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self.momentum or 0.0,
            self.eps,
        )
        return reshape(y, input.shape) if single else y


class InstanceNorm1d(InstanceNorm):
    """Each channel of each example brought to mean 0 and variance 1.

    (N, C, L) or (C, L) → the same. By default there are neither parameters nor running statistics;
    otherwise they are those of `BatchNorm1d`.

    Raises ShapeError for other numbers of axes or channels, and for one value per channel.
    Source: Ulyanov et al. 2016, Instance Normalization.

    >>> import limpid
    >>> limpid.nn.InstanceNorm1d(1, eps=0.0)(limpid.tensor([[[1.0, 3.0]]]))
    tensor([[[-1.,  1.]]])
    """

    ranks = (2, 3)


class InstanceNorm2d(InstanceNorm):
    """`InstanceNorm1d` for images, (N, C, H, W) or (C, H, W)."""

    ranks = (3, 4)


class InstanceNorm3d(InstanceNorm):
    """`InstanceNorm1d` for volumes, (N, C, D, H, W) or (C, D, H, W)."""

    ranks = (4, 5)


class LayerNorm(Normalization):
    """Each example brought to mean 0 and variance 1 over its last axes, then scaled and shifted.

    normalized_shape  the extents of these axes, or one extent; weight and bias have this shape
    elementwise_affine, bias  with a weight, and with a bias

    Source: Ba, Kiros and Hinton 2016, Layer Normalization.

    >>> import limpid
    >>> limpid.nn.LayerNorm(2, eps=0.0)(limpid.tensor([[1.0, 3.0], [5.0, 9.0]])).tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """

    @name_errors
    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        dtype: Any = None,
    ):
        self.normalized_shape = last_extents(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.weight, self.bias = _parameters(self.normalized_shape, elementwise_affine, bias, dtype)

    def forward(self, input: Any) -> Any:
        """`functional.layer_norm`."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The options."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class RMSNorm(Normalization):
    """Each example divided by the root of its mean square over its last axes, then scaled.

    eps  by default the distance from 1 to the next larger number of the element type

    Source: Zhang and Sennrich 2019, Root Mean Square Layer Normalization.

    >>> import limpid
    >>> limpid.nn.RMSNorm(2, eps=0.0)(limpid.tensor([[3.0, -3.0]])).tolist()
    [[1.0, -1.0]]
    """

    @name_errors
    def __init__(
        self,
        normalized_shape: Any,
        eps: float | None = None,
        elementwise_affine: bool = True,
        dtype: Any = None,
    ):
        self.normalized_shape = last_extents(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.weight, _ = _parameters(self.normalized_shape, elementwise_affine, False, dtype)

    def forward(self, input: Any) -> Any:
        """`functional.rms_norm`."""
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """The options."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class GroupNorm(Normalization):
    """Each group of channels of each example standardised; (N, C, …) → (N, C, …).

    Raises ArgumentError where the groups do not divide the channels.
    Source: Wu and He 2018, Group Normalization.

    >>> import limpid
    >>> limpid.nn.GroupNorm(2, 6)(limpid.zeros((4, 6, 5))).shape
    (4, 6, 5)
    """

    @name_errors
    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        self.num_groups = integer(num_groups, "num_groups")
        self.num_channels = integer(num_channels, "num_channels")
        if not num_groups or num_channels % num_groups:
            raise ArgumentError(f"{num_groups} groups do not divide {num_channels} channels")
        self.eps = eps
        self.affine = affine
        self.weight, self.bias = _parameters((num_channels,), affine, bias, dtype)

    def forward(self, input: Any) -> Any:
        """`functional.group_norm`."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The options."""
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LocalResponseNorm(Module):
    """Each element damped by the squares of its neighbours in other channels; (N, C, L, …).

    Source: Krizhevsky, Sutskever and Hinton 2012, ImageNet Classification with Deep Convolutional
    Neural Networks.

    >>> import limpid
    >>> limpid.nn.LocalResponseNorm(5)(limpid.zeros((2, 8, 4, 4))).shape
    (2, 8, 4, 4)
    """

    @name_errors
    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0):
        self.size = integer(size, "size", 1)
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Any) -> Any:
        """`functional.local_response_norm`."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """The options."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
