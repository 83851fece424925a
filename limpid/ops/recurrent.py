"""The pointwise parts of recurrent cells, each one box: the gates of LSTM and GRU.

The matrix products with input and state come before them. The activated gates are a further
output: the derivatives read them, and so may a person who asks what a gate did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from limpid.differentiation.declaration import general
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.relation import Relation
from limpid.errors import ShapeError
from limpid.graph.dtype import result_type
from limpid.graph.node import Array, Spec
from limpid.ops.activation import sigmoid
from limpid.ops.elementary import tanh
from limpid.ops.join import concat

Shares = dict[int, Any]  # operand number → downstream gradient


def _parts(x: Any, count: int) -> list[Any]:
    """Equal parts along the last axis."""
    size = x.shape[-1] // count
    return [x[..., k * size : (k + 1) * size] for k in range(count)]


def _joined(parts: list[Any]) -> Any:
    return concat(parts, axis=-1)


def _slope(y: Any) -> Any:
    """Of a sigmoid, in terms of its value."""
    return y * (1 - y)


def _picked(downstream: Callable[..., Shares], number: int) -> Callable[..., Any]:
    """The rule of one operand from that of all."""
    return lambda g, y, *operands: downstream((number,), g, y, *operands)[number]


def _known(*upstream: Any) -> list[Any]:
    """Upstream gradients, 0 where nothing came."""
    return [0 if g is None else g for g in upstream]


def _check(gates: int, state: Any, *wide: Any) -> None:
    """ShapeError unless each of the wide operands has `gates` values for each of the state."""
    shape = getattr(state, "shape", ())
    for x in wide:
        if not shape or x.shape != (*shape[:-1], gates * shape[-1]):
            raise ShapeError(
                f"a state of shape {shape} needs gates of shape (…, {gates} · hidden size), but "
                f"theirs is {x.shape}"
            )


def _relation(*operands: Spec, outputs: tuple[str, ...]) -> Relation:
    """Batch axes are mapped; the last ones as far as outputs name them like the operands."""
    *wide, state = operands
    batch = tuple(range(state.ndim - 1))
    given = (*("gate",) * len(wide), "state")
    return Relation(
        tuple((*batch, label) for label in given),
        tuple((*batch, label) for label in outputs),
    )


def _lstm(a: Array, c: Array) -> tuple[Array, Array, Array]:
    _check(4, c, a)
    gates = sigmoid(a)  # (…, 4·H), also where the tanh will be: one call is quicker than two
    i, f, n, o = _parts(gates, 4)
    np.tanh(_parts(a, 4)[2], out=n)
    cell = f * c
    cell += i * n
    return o * np.tanh(cell), cell, gates


def _lstm_plainly(a: Array, c: Array) -> tuple[Array, Array, Array]:
    i, f, n, o = _parts(a, 4)
    i, f, n, o = sigmoid(i), sigmoid(f), np.tanh(n), sigmoid(o)
    cell = f * c + i * n
    return o * np.tanh(cell), cell, np.concatenate([i, f, n, o], axis=-1)


def _lstm_shape(a: Spec, c: Spec) -> tuple[Spec, Spec, Spec]:
    _check(4, c, a)
    kind = result_type([a.dtype, c.dtype], float_only=True)
    return Spec(c.shape, kind), Spec(c.shape, kind), Spec(a.shape, kind)


def _lstm_downstream(needed: Sequence[int], g: Any, y: Any, a: Any, c: Any) -> Shares:
    (_, cell, gates), (gh, gcell) = y, _known(*g[:2])
    i, f, n, o = _parts(gates, 4)
    t = tanh(cell)
    arriving = gcell + gh * (o * (1 - t * t))  # at the new cell, also by way of h
    shares: Shares = {1: arriving * f}
    if 0 in needed:
        at_gates = [arriving * n, arriving * c, arriving * i, gh * t]
        if g[2] is not None:
            at_gates = [p + q for p, q in zip(at_gates, _parts(g[2], 4), strict=True)]
        slopes = [_slope(i), _slope(f), 1 - n * n, _slope(o)]
        shares[0] = _joined([p * s for p, s in zip(at_gates, slopes, strict=True)])
    return shares


def _lstm_along_gates(da: Any, y: Any, a: Any, c: Any) -> tuple[Any, Any, Any]:
    _, cell, gates = y
    i, f, n, o = _parts(gates, 4)
    slopes = [_slope(i), _slope(f), 1 - n * n, _slope(o)]
    di, df, dn, do = (p * s for p, s in zip(_parts(da, 4), slopes, strict=True))
    t = tanh(cell)
    dcell = df * c + di * n + i * dn
    return do * t + o * (1 - t * t) * dcell, dcell, _joined([di, df, dn, do])


def _lstm_along_cell(dc: Any, y: Any, a: Any, c: Any) -> tuple[Any, Any, None]:
    _, cell, gates = y
    _, f, _, o = _parts(gates, 4)
    t = tanh(cell)
    dcell = f * dc
    return o * (1 - t * t) * dcell, dcell, None


lstm_gates: Primitive = general(
    "lstm_gates",
    _lstm,
    vjp=[_picked(_lstm_downstream, 0), _picked(_lstm_downstream, 1)],
    jvp=[_lstm_along_gates, _lstm_along_cell],
    shape=_lstm_shape,
    relation=lambda a, c: _relation(a, c, outputs=("state", "state", "gate")),
    outputs=3,
    numeric="float",
    math=r"\sigma({a}_o) \tanh(\sigma({a}_f) {c} + \sigma({a}_i) \tanh {a}_g)",
    native=_lstm_plainly,
    doc="""The pointwise part of an LSTM cell: (a, c) → (h, c', gates).

    a (…, 4·H) holds, in this order, what enters input, forget, cell and output gate; c is (…, H).
    With (i, f, n, o) = (σ, σ, tanh, σ)(a): c' = f·c + i·n and h = o·tanh c'.

    Source: Hochreiter and Schmidhuber 1997, Long Short-Term Memory; the forget gate is that of
    Gers et al. 2000.
    """,
)
lstm_gates.vjp_all, lstm_gates.partial_upstream = _lstm_downstream, True


def _gru(a: Array, b: Array, h: Array) -> tuple[Array, Array]:
    _check(3, h, a, b)
    gates = sigmoid(a + b)  # (…, 3·H)
    r, z, n = _parts(gates, 3)
    np.tanh(_parts(a, 3)[2] + r * _parts(b, 3)[2], out=n)
    return n + z * (h - n), gates


def _gru_plainly(a: Array, b: Array, h: Array) -> tuple[Array, Array]:
    (a_r, a_z, a_n), (b_r, b_z, b_n) = _parts(a, 3), _parts(b, 3)
    r, z = sigmoid(a_r + b_r), sigmoid(a_z + b_z)
    n = np.tanh(a_n + r * b_n)
    return n + z * (h - n), np.concatenate([r, z, n], axis=-1)


def _gru_shape(a: Spec, b: Spec, h: Spec) -> tuple[Spec, Spec]:
    _check(3, h, a, b)
    kind = result_type([a.dtype, b.dtype, h.dtype], float_only=True)
    return Spec(h.shape, kind), Spec(a.shape, kind)


def _gru_downstream(needed: Sequence[int], g: Any, y: Any, a: Any, b: Any, h: Any) -> Shares:
    gates, (gh,) = y[1], _known(g[0])
    r, z, n = _parts(gates, 3)
    shares: Shares = {2: gh * z}
    if 0 in needed or 1 in needed:
        at_r, at_z, at_n = _known(*(None,) * 3 if g[1] is None else _parts(g[1], 3))
        at_n = (at_n + gh * (1 - z)) * (1 - n * n)
        at_r = (at_r + at_n * _parts(b, 3)[2]) * _slope(r)
        at_z = (at_z + gh * (h - n)) * _slope(z)
        shares[0] = _joined([at_r, at_z, at_n])
        shares[1] = _joined([at_r, at_z, at_n * r])
    return shares


def _gru_along(da: Any, db: Any, y: Any, b: Any, h: Any) -> tuple[Any, Any]:
    """The tangents for those of a and b, one of which is None."""
    r, z, n = _parts(y[1], 3)
    dr, dz, dn = _parts(db if da is None else da, 3)
    dr, dz = dr * _slope(r), dz * _slope(z)
    dn = (dn * (1 if db is None else r) + dr * _parts(b, 3)[2]) * (1 - n * n)
    return dn * (1 - z) + dz * (h - n), _joined([dr, dz, dn])


gru_gates: Primitive = general(
    "gru_gates",
    _gru,
    vjp=[_picked(_gru_downstream, k) for k in range(3)],
    jvp=[
        lambda da, y, a, b, h: _gru_along(da, None, y, b, h),
        lambda db, y, a, b, h: _gru_along(None, db, y, b, h),
        lambda dh, y, a, b, h: (_parts(y[1], 3)[1] * dh, None),
    ],
    shape=_gru_shape,
    relation=lambda a, b, h: _relation(a, b, h, outputs=("state", "any")),  # n depends on r
    outputs=2,
    numeric="float",
    math=r"(1 - z) \tanh({a}_n + r {b}_n) + z {h}",
    native=_gru_plainly,
    doc="""The pointwise part of a GRU cell: (a, b, h) → (h', gates).

    a and b (…, 3·H) hold, in this order, what enters reset, update and new gate from the input and
    from the state; h is (…, H). With r = σ(a_r + b_r), z = σ(a_z + b_z), n = tanh(a_n + r·b_n):
    h' = (1 − z)·n + z·h.

    Source: Cho et al. 2014, Learning Phrase Representations using RNN Encoder-Decoder.
    """,
)
gru_gates.vjp_all, gru_gates.partial_upstream = _gru_downstream, True
