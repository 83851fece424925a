"""Recurrent cells, one step each, and what they share with recurrent layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.differentiation.failure import name_errors
from limpid.errors import ArgumentError, ShapeError
from limpid.nn import functional as F
from limpid.nn import init
from limpid.nn.functional.cells import pair
from limpid.nn.module import Module
from limpid.ops.axes import integer
from limpid.ops.create import zeros
from limpid.ops.elementary import tanh
from limpid.ops.rectifier import relu
from limpid.tensor import Parameter, operand

ACTIVATIONS = {"tanh": tanh, "relu": relu}


def check_nonlinearity(name: str) -> str:
    """The name of a known activation; ArgumentError for another one."""
    if name not in ACTIVATIONS:
        raise ArgumentError(f"nonlinearity is one of {', '.join(ACTIVATIONS)}, not {name!r}")
    return name


class Recurrent(Module):
    """Base of cells and layers: sizes, and parameters uniform in ±1/√hidden_size."""

    gates = 1  # how many values the weights give for each of the state
    states = 1  # h, or h and c

    @name_errors
    def __init__(self, input_size: int, hidden_size: int, bias: bool):
        self.input_size = integer(input_size, "input_size")
        self.hidden_size = integer(hidden_size, "hidden_size", 1)
        self.bias = bias

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        init.fan_in_uniform_(self.hidden_size, *self.parameters())

    def states_of(self, hx: Any, shapes: list[tuple[int, ...]], dtype: Any) -> tuple[Any, ...]:
        """What hx holds, checked; zeros where there is no hx."""
        if hx is None:
            return tuple(np.zeros(shape, dtype.storage) for shape in shapes)  # constants
        given = pair(hx) if self.states == 2 else (hx,)
        states = tuple(operand(s) for s in given)
        for name, state, shape in zip("hc", states, shapes, strict=False):
            if state.shape != shape:
                raise ShapeError(f"the state {name} must have shape {shape}, not {state.shape}")
        return states


class RNNCellBase(Recurrent):
    """Base of cells: one step; (N, in), (N, H) → (N, H), or without the batch.

    weight_ih (gates·H, in), weight_hh (gates·H, H), bias_ih and bias_hh (gates·H,).
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, dtype: Any = None):
        super().__init__(input_size, hidden_size, bias)
        rows = self.gates * hidden_size
        self.weight_ih = Parameter(zeros((rows, input_size), dtype))
        self.weight_hh = Parameter(zeros((rows, hidden_size), dtype))
        self.bias_ih = Parameter(zeros((rows,), dtype)) if bias else None
        self.bias_hh = Parameter(zeros((rows,), dtype)) if bias else None
        self.reset_parameters()

    def step(self, function: Any, input: Any, hx: Any) -> Any:
        """The function of the cell, of checked input and states."""
        input = operand(input)
        if len(input.shape) not in (1, 2) or input.shape[-1] != self.input_size:
            raise ShapeError(
                f"the input must have shape (N, {self.input_size}) or ({self.input_size},), not "
                f"{input.shape}"
            )
        shape = (*input.shape[:-1], self.hidden_size)
        states = self.states_of(hx, [shape] * self.states, self.weight_hh.dtype)
        hx = states if self.states == 2 else states[0]
        return function(input, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)

    def extra_repr(self) -> str:
        """Sizes."""
        return f"{self.input_size}, {self.hidden_size}{'' if self.bias else ', bias=False'}"


class RNNCell(RNNCellBase):
    """`functional.rnn_tanh_cell`, or with nonlinearity="relu" `rnn_relu_cell`, with parameters.

    >>> import limpid
    >>> limpid.nn.RNNCell(3, 2)(limpid.zeros((5, 3))).shape
    (5, 2)
    """

    @name_errors
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        dtype: Any = None,
    ):
        self.nonlinearity = check_nonlinearity(nonlinearity)
        super().__init__(input_size, hidden_size, bias, dtype)

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The new state; hx is 0 if not given."""
        relu_like = self.nonlinearity == "relu"
        return self.step(F.rnn_relu_cell if relu_like else F.rnn_tanh_cell, input, hx)

    def extra_repr(self) -> str:
        """Sizes, and the nonlinearity if it is not tanh."""
        other = "" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}"
        return super().extra_repr() + other


class LSTMCell(RNNCellBase):
    """`functional.lstm_cell` with parameters; its gates are in the order i, f, g, o.

    >>> import limpid
    >>> h, c = limpid.nn.LSTMCell(3, 2)(limpid.zeros((5, 3)))
    >>> h.shape, c.shape
    ((5, 2), (5, 2))
    """

    gates, states = 4, 2

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """The new (h, c); both are 0 if not given."""
        return self.step(F.lstm_cell, input, hx)


class GRUCell(RNNCellBase):
    """`functional.gru_cell` with parameters; its gates are in the order r, z, n.

    >>> import limpid
    >>> limpid.nn.GRUCell(3, 2)(limpid.zeros(3)).shape
    (2,)
    """

    gates = 3

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The new state; hx is 0 if not given."""
        return self.step(F.gru_cell, input, hx)
