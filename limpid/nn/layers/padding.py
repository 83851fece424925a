"""Padding as layers, with PyTorch's names and arguments."""

from __future__ import annotations

from typing import Any

from limpid.differentiation.failure import name_errors
from limpid.errors import ArgumentError
from limpid.nn.functional.padding import pad
from limpid.nn.module import Module
from limpid.ops.windows.geometry import check_axes
from limpid.tensor import operand


class Padding(Module):
    """Base of padding layers: elements are added at the ends of the last axes.

    padding  one number for all ends, or (before, after) of the last axis, then of the one before;
             negative numbers take away

    Input (C, …) or (N, C, …), with `rank` more axes.
    """

    rank = 1
    mode = "constant"

    @name_errors
    def __init__(self, padding: Any):
        self.padding = self._numbers(padding)

    def _numbers(self, padding: Any) -> tuple[int, ...]:
        """Two for every axis."""
        given = padding if isinstance(padding, tuple | list) else (padding,) * (2 * self.rank)
        if len(given) != 2 * self.rank or not all(hasattr(n, "__index__") for n in given):
            raise ArgumentError(
                f"padding is an integer or {2 * self.rank} integers, not {padding!r:.60}"
            )
        return tuple(int(n.__index__()) for n in given)

    def forward(self, input: Any) -> Any:
        """The input, padded."""
        input = operand(input)
        check_axes(input.shape, self.rank)
        return pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        """The widths."""
        return f"{self.padding}"


class ConstantPadding(Padding):
    """Base of layers that pad with one number, for inputs of any rank."""

    def __init__(self, padding: Any, value: float):
        super().__init__(padding)
        self.value = value

    def forward(self, input: Any) -> Any:
        """The input, padded."""
        return pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        """The widths and the number."""
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(ConstantPadding):
    """A number added at both ends of the last axis: (…, W) → (…, W + left + right).

    >>> import limpid
    >>> limpid.nn.ConstantPad1d((1, 2), 9.0)(limpid.tensor([[1.0, 2.0]]))
    tensor([[9., 1., 2., 9., 9.]])
    """


class ConstantPad2d(ConstantPadding):
    """A number added around the last two axes; padding (left, right, top, bottom)."""

    rank = 2


class ConstantPad3d(ConstantPadding):
    """A number added around the last three axes: (left, right, top, bottom, front, back)."""

    rank = 3


class ZeroPadding(ConstantPadding):
    """Base of layers that pad with zeros."""

    def __init__(self, padding: Any):
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        """The widths."""
        return f"{self.padding}"


class ZeroPad1d(ZeroPadding):
    """Zeros added at both ends of the last axis.

    >>> import limpid
    >>> limpid.nn.ZeroPad1d(1)(limpid.tensor([[1.0, 2.0]]))
    tensor([[0., 1., 2., 0.]])
    """


class ZeroPad2d(ZeroPadding):
    """Zeros added around the last two axes; padding (left, right, top, bottom)."""

    rank = 2


class ZeroPad3d(ZeroPadding):
    """Zeros added around the last three axes; padding (left, right, top, bottom, front, back)."""

    rank = 3


class ReflectionPad1d(Padding):
    """The last axis continued by its reflection, abc → cb|abc|ba.

    Raises ShapeError unless fewer elements are added than there are.

    >>> import limpid
    >>> limpid.nn.ReflectionPad1d(2)(limpid.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 2., 1., 2., 3., 2., 1.]])
    """

    mode = "reflect"


class ReflectionPad2d(Padding):
    """The last two axes continued by their reflection; padding (left, right, top, bottom)."""

    rank = 2
    mode = "reflect"


class ReflectionPad3d(Padding):
    """The last three axes continued by their reflection."""

    rank = 3
    mode = "reflect"


class ReplicationPad1d(Padding):
    """The first and the last element repeated, abc → aa|abc|cc.

    >>> import limpid
    >>> limpid.nn.ReplicationPad1d((0, 2))(limpid.tensor([[1.0, 2.0, 3.0]]))
    tensor([[1., 2., 3., 3., 3.]])
    """

    mode = "replicate"


class ReplicationPad2d(Padding):
    """The pixels at the border repeated; padding (left, right, top, bottom)."""

    rank = 2
    mode = "replicate"


class ReplicationPad3d(Padding):
    """The elements at the border of a volume repeated."""

    rank = 3
    mode = "replicate"


class CircularPad1d(Padding):
    """The last axis continued from its other end, abc → bc|abc|ab.

    Raises ShapeError if more elements are added than there are.

    >>> import limpid
    >>> limpid.nn.CircularPad1d(1)(limpid.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 1., 2., 3., 1.]])
    """

    mode = "circular"


class CircularPad2d(Padding):
    """The last two axes continued from their other ends; padding (left, right, top, bottom)."""

    rank = 2
    mode = "circular"


class CircularPad3d(Padding):
    """The last three axes continued from their other ends."""

    rank = 3
    mode = "circular"
