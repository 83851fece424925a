"""One step of recurrent networks, with PyTorch's names and argument order."""

from __future__ import annotations

from typing import Any

from limpid.differentiation.failure import name_errors
from limpid.errors import ShapeError
from limpid.nn.functional.linear import linear
from limpid.ops.elementary import tanh
from limpid.ops.rectifier import relu
from limpid.ops.recurrent import gru_gates, lstm_gates
from limpid.tensor import operand


@name_errors
def rnn_tanh_cell(
    input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> Any:
    """Tanh(input · w_ihᵀ + b_ih + hx · w_hhᵀ + b_hh); (…, in), (…, H) → (…, H).

    w_ih (H, in), w_hh (H, H), biases (H,). Raises ShapeError where they do not fit.

    Source: Elman 1990, Finding Structure in Time.

    >>> import limpid
    >>> one = limpid.tensor([[1.0]])
    >>> limpid.nn.functional.rnn_tanh_cell(one, one * 0, one, one)
    tensor([[0.7615942]])
    """
    input, hx = _checked(1, input, hx, w_ih, w_hh, b_ih, b_hh)
    return tanh(linear(input, w_ih, b_ih) + linear(hx, w_hh, b_hh))


@name_errors
def rnn_relu_cell(
    input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> Any:
    """`rnn_tanh_cell` with max(x, 0) in place of tanh.

    >>> import limpid
    >>> one = limpid.tensor([[1.0]])
    >>> limpid.nn.functional.rnn_relu_cell(one, one, one, one)
    tensor([[2.]])
    """
    input, hx = _checked(1, input, hx, w_ih, w_hh, b_ih, b_hh)
    return relu(linear(input, w_ih, b_ih) + linear(hx, w_hh, b_hh))


@name_errors
def lstm_cell(
    input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> tuple[Any, Any]:
    """One step of an LSTM: (…, in), ((…, H), (…, H)) → the new h and c.

    hx is (h, c). With i, f, g, o the parts of input · w_ihᵀ + b_ih + h · w_hhᵀ + b_hh:
    c' = σ(f)·c + σ(i)·tanh g and h' = σ(o)·tanh c'. w_ih (4·H, in), w_hh (4·H, H), biases (4·H,).

    Source: Hochreiter and Schmidhuber 1997, Long Short-Term Memory; Gers et al. 2000.

    >>> import limpid
    >>> x, h, c = limpid.zeros((2, 3)), limpid.zeros((2, 1)), limpid.ones((2, 1))
    >>> h, c = limpid.nn.functional.lstm_cell(x, (h, c), limpid.ones((4, 3)), limpid.ones((4, 1)))
    >>> c.tolist()
    [[0.5], [0.5]]
    """
    h, c = pair(hx)
    input, h, c = _checked(4, input, h, w_ih, w_hh, b_ih, b_hh, c)
    h, c, _ = lstm_gates(linear(input, w_ih, b_ih) + linear(h, w_hh, b_hh), c)
    return h, c


@name_errors
def gru_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """One step of a GRU: (…, in), (…, H) → (…, H).

    With a_r, a_z, a_n the parts of input · w_ihᵀ + b_ih and b_r, b_z, b_n those of hx · w_hhᵀ +
    b_hh: r = σ(a_r + b_r), z = σ(a_z + b_z), n = tanh(a_n + r·b_n), h' = (1 − z)·n + z·h.
    w_ih (3·H, in), w_hh (3·H, H), biases (3·H,).

    Source: Cho et al. 2014, Learning Phrase Representations using RNN Encoder-Decoder.

    >>> import limpid
    >>> x, h = limpid.zeros((2, 3)), limpid.ones((2, 1))
    >>> limpid.nn.functional.gru_cell(x, h, limpid.ones((3, 3)), limpid.zeros((3, 1))).tolist()
    [[0.5], [0.5]]
    """
    input, hx = _checked(3, input, hx, w_ih, w_hh, b_ih, b_hh)
    return gru_gates(linear(input, w_ih, b_ih), linear(hx, w_hh, b_hh), hx)[0]


def pair(hx: Any) -> tuple[Any, Any]:
    """The two states (h, c) of an LSTM."""
    if not isinstance(hx, tuple | list) or len(hx) != 2:
        raise ShapeError(f"the state is a pair (h, c), not {type(hx).__name__}")
    return hx[0], hx[1]


def _checked(
    gates: int, input: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, *c: Any
) -> list[Any]:
    """Input and states as operands; ShapeError, with all shapes, unless everything fits."""
    x, *states = (operand(given) for given in (input, h, *c))
    size = states[0].shape[-1] if states[0].shape else 0
    batch = x.shape[:-1]
    fits = (
        len(x.shape) > 0
        and all(s.shape == (*batch, size) for s in states)
        and w_ih.shape == (gates * size, x.shape[-1])
        and w_hh.shape == (gates * size, size)
        and all(b is None or b.shape == (gates * size,) for b in (b_ih, b_hh))
    )
    if not fits:
        biases = ", ".join(f"{b.shape}" for b in (b_ih, b_hh) if b is not None)
        several = "" if gates == 1 else f"{gates}·"
        raise ShapeError(
            f"an input (…, in), states (…, H), weights ({several}H, in) and ({several}H, H)"
            f" and biases ({several}H,) are needed, but the shapes are {x.shape}, "
            f"{', '.join(str(s.shape) for s in states)}, {w_ih.shape} and {w_hh.shape}"
            f"{', ' + biases if biases else ''}"
        )
    return [x, *states]
