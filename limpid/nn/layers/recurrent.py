"""Recurrent layers, with PyTorch's names, arguments, state and meaning.

A layer is a `limpid.scan`: recorded, a sequence of any length is one node. The products of the
whole input with its weight are one matrix product before the loop.
"""

from __future__ import annotations

from typing import Any

from limpid.differentiation.failure import name_errors
from limpid.errors import ArgumentError, ShapeError
from limpid.nn import functional as F
from limpid.nn.functional.dropout import check_probability
from limpid.nn.layers.cells import ACTIVATIONS, Recurrent, check_nonlinearity
from limpid.ops.affine import check_type
from limpid.ops.axes import integer
from limpid.ops.create import zeros
from limpid.ops.join import concat, stack
from limpid.ops.layout import permute_dims, reshape
from limpid.ops.recurrent import gru_gates, lstm_gates
from limpid.tensor import Parameter, asarray, operand
from limpid.transforms.scan import scan

State = tuple[Any, ...]  # (h,), or (h, c)


class RNNBase(Recurrent):
    """Base of layers: they go through a sequence, (T, N, in) → (T, N, out) and the last states.

    num_layers     layers on top of one another, each with the outputs of the one below as input
    batch_first    sequences are (N, T, in) and (N, T, out); states are not changed by it
    dropout        the probability with which an output is dropped between layers, in training
    bidirectional  a second pass from the end; outputs of both are side by side
    proj_size      of an LSTM: h is multiplied by a matrix that gives it this size

    A sequence may also be (T, in), without a batch. States are (layers · directions, N, size).
    Parameters are called as in PyTorch: weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, (for
    proj_size weight_hr_l0), then those ending in _l0_reverse, then _l1.
    """

    @name_errors
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        dtype: Any = None,
    ):
        super().__init__(input_size, hidden_size, bias)
        self.num_layers = integer(num_layers, "num_layers", 1)
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = integer(proj_size, "proj_size")
        check_probability(dropout)
        if self.proj_size and self.states == 1:
            raise ArgumentError("proj_size is for LSTM only")
        if self.proj_size >= self.hidden_size:
            raise ArgumentError(
                f"proj_size {proj_size} must be smaller than hidden_size {hidden_size}"
            )
        self.suffixes = [
            f"l{layer}{direction}"
            for layer in range(num_layers)
            for direction in (("", "_reverse") if bidirectional else ("",))
        ]
        for number, suffix in enumerate(self.suffixes):
            for name, shape in self._shapes(number).items():
                setattr(self, f"{name}_{suffix}", Parameter(zeros(shape, dtype)))
        self.reset_parameters()

    @property
    def output_size(self) -> int:
        """The size of h."""
        return self.proj_size or self.hidden_size

    def _shapes(self, number: int) -> dict[str, tuple[int, ...]]:
        """The shapes of the parameters of one direction of one layer, in PyTorch's order."""
        directions = 1 + self.bidirectional
        inputs = self.input_size if number < directions else self.output_size * directions
        rows = self.gates * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, inputs),
            "weight_hh": (rows, self.output_size),
        }
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        return shapes

    def step(self, now: Any, held: Any, state: State) -> State:
        """The next state; `now` and `held` are the products of input and h with their weights."""
        raise NotImplementedError

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """(outputs, last states); hx, the first states, is 0 if not given. An LSTM's is (h, c)."""
        given = operand(input)
        x, states = self._coming_in(given, hx)
        directions = 1 + self.bidirectional
        last: list[State] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = F.dropout(x, self.dropout, self.training)
            made = []
            for direction in range(directions):
                number = layer * directions + direction
                state, y = self._run(x, states[number], number, reverse=direction == 1)
                last.append(state)
                made.append(y)
            x = made[0] if directions == 1 else concat(made, axis=-1)  # (T, N, directions · out)
        # After no steps at all these are still the arrays that the states began with.
        finals = [asarray(stack(list(parts))) for parts in zip(*last, strict=True)]
        if len(given.shape) == 2:
            x = reshape(x, (x.shape[0], x.shape[2]))
            finals = [reshape(s, (s.shape[0], s.shape[2])) for s in finals]
        elif self.batch_first:
            x = permute_dims(x, (1, 0, 2))
        return x, finals[0] if self.states == 1 else tuple(finals)

    def _coming_in(self, x: Any, hx: Any) -> tuple[Any, list[State]]:
        """The sequence as (T, N, in), and the first states of each direction of each layer."""
        if len(x.shape) not in (2, 3) or x.shape[-1] != self.input_size:
            axes = "(N, T," if self.batch_first else "(T, N,"
            raise ShapeError(
                f"the input must have shape {axes} {self.input_size}) or (T, {self.input_size}), "
                f"not {x.shape}"
            )
        weight = getattr(self, f"weight_hh_{self.suffixes[0]}")
        check_type(x, weight)
        batch: tuple[int, ...] = ()
        if len(x.shape) == 3:
            x = permute_dims(x, (1, 0, 2)) if self.batch_first else x
            batch = (x.shape[1],)
        count = len(self.suffixes)
        shapes = [(count, *batch, self.output_size), (count, *batch, self.hidden_size)]
        found = self.states_of(hx, shapes[: self.states], weight.dtype)
        if not batch:
            x = reshape(x, (x.shape[0], 1, x.shape[1]))
            found = tuple(reshape(s, (count, 1, s.shape[-1])) for s in found)
        for state in found:
            check_type(state, weight)
        return x, [tuple(s[number] for s in found) for number in range(count)]

    def _run(self, x: Any, state: State, number: int, reverse: bool) -> tuple[State, Any]:
        """One direction of one layer: its last state and its outputs, (T, N, out)."""
        suffix = self.suffixes[number]
        weight_ih, weight_hh = (getattr(self, f"weight_{kind}_{suffix}") for kind in ("ih", "hh"))
        bias_ih, bias_hh = (getattr(self, f"bias_{kind}_{suffix}", None) for kind in ("ih", "hh"))
        projection = getattr(self, f"weight_hr_{suffix}", None)
        products = F.linear(x, weight_ih, bias_ih)  # (T, N, gates · H)

        def body(state: State, now: Any) -> tuple[State, Any]:
            state = self.step(now, F.linear(state[0], weight_hh, bias_hh), state)
            if projection is not None:
                state = (F.linear(state[0], projection), *state[1:])
            return state, state[0]

        return scan(body, state, products, reverse=reverse)

    def extra_repr(self) -> str:
        """Sizes, and the options that are not as by default."""
        options = {
            "proj_size": (self.proj_size, 0),
            "num_layers": (self.num_layers, 1),
            "bias": (self.bias, True),
            "batch_first": (self.batch_first, False),
            "dropout": (self.dropout, 0.0),
            "bidirectional": (self.bidirectional, False),
        }
        shown = [f"{n}={v}" for n, (v, default) in options.items() if v != default]
        return ", ".join([str(self.input_size), str(self.hidden_size), *shown])


class RNN(RNNBase):
    """Elman's recurrent network: hₜ = tanh(xₜ · w_ihᵀ + b_ih + hₜ₋₁ · w_hhᵀ + b_hh).

    nonlinearity  "tanh", or "relu" for max(x, 0); the other arguments are those of `RNNBase`

    >>> import limpid
    >>> outputs, h = limpid.nn.RNN(3, 2, num_layers=2)(limpid.zeros((7, 5, 3)))
    >>> outputs.shape, h.shape
    ((7, 5, 2), (2, 5, 2))
    """

    @name_errors
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        dtype: Any = None,
    ):
        self.nonlinearity = check_nonlinearity(nonlinearity)
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            dtype=dtype,
        )

    def step(self, now: Any, held: Any, state: State) -> State:
        """The nonlinearity of the sum."""
        return (ACTIVATIONS[self.nonlinearity](now + held),)


class LSTM(RNNBase):
    """Long short-term memory: `functional.lstm_cell` along a sequence. Arguments: `RNNBase`.

    Source: Hochreiter and Schmidhuber 1997; proj_size: Sak et al. 2014.

    >>> import limpid
    >>> outputs, (h, c) = limpid.nn.LSTM(3, 2, bidirectional=True)(limpid.zeros((7, 5, 3)))
    >>> outputs.shape, h.shape, c.shape
    ((7, 5, 4), (2, 5, 2), (2, 5, 2))
    """

    gates, states = 4, 2

    def step(self, now: Any, held: Any, state: State) -> State:
        """The gates, of the sum."""
        h, c, _ = lstm_gates(now + held, state[1])
        return h, c


class GRU(RNNBase):
    """Gated recurrent units: `functional.gru_cell` along a sequence. Arguments: `RNNBase`.

    Source: Cho et al. 2014.

    >>> import limpid
    >>> outputs, h = limpid.nn.GRU(3, 2, batch_first=True)(limpid.zeros((5, 7, 3)))
    >>> outputs.shape, h.shape
    ((5, 7, 2), (1, 5, 2))
    """

    gates = 3

    def step(self, now: Any, held: Any, state: State) -> State:
        """The gates."""
        return (gru_gates(now, held, state[0])[0],)
