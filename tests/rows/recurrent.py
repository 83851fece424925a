"""Rows of limpid/ops/recurrent.py, and of the cells made of it."""

from typing import Any

import numpy as np
from scipy.special import expit

import limpid
from limpid.nn import functional as F
from tests.table import Row, Sample, named, normal

lstm_gates = limpid.primitives["lstm_gates"]
gru_gates = limpid.primitives["gru_gates"]


def lstm_by_hand(a: Any, c: Any) -> tuple[Any, ...]:
    i, f, g, o = np.split(a, 4, axis=-1)
    gates = np.concatenate([expit(i), expit(f), np.tanh(g), expit(o)], axis=-1)
    cell = expit(f) * c + expit(i) * np.tanh(g)
    return expit(o) * np.tanh(cell), cell, gates


def lstm_by_torch(t: Any, a: Any, c: Any) -> tuple[Any, ...]:
    i, f, g, o = a.chunk(4, -1)
    gates = t.cat([i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()], -1)
    cell = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * cell.tanh(), cell, gates


def gru_by_hand(a: Any, b: Any, h: Any) -> tuple[Any, ...]:
    (ar, az, an), (br, bz, bn) = np.split(a, 3, axis=-1), np.split(b, 3, axis=-1)
    r, z = expit(ar + br), expit(az + bz)
    n = np.tanh(an + r * bn)
    return (1 - z) * n + z * h, np.concatenate([r, z, n], axis=-1)


def gru_by_torch(t: Any, a: Any, b: Any, h: Any) -> tuple[Any, ...]:
    (ar, az, an), (br, bz, bn) = a.chunk(3, -1), b.chunk(3, -1)
    r, z = (ar + br).sigmoid(), (az + bz).sigmoid()
    n = (an + r * bn).tanh()
    return (1 - z) * n + z * h, t.cat([r, z, n], -1)


def read_only(*shape: int) -> Sample:
    """Every second element of a larger array, and not to be written to."""

    def sample(rng: np.random.Generator) -> np.ndarray:
        x = rng.normal(size=(*shape[:-1], 2 * shape[-1]))[..., ::2]
        x.flags.writeable = False
        return x

    return named(sample, f"strided {shape}")


def fortran(*shape: int) -> Sample:
    return named(lambda rng: np.asfortranarray(rng.normal(size=shape)), f"fortran {shape}")


def _lstm(*operands: Sample) -> Row:
    return Row("lstm_gates", lstm_gates, operands, lstm_by_hand, lstm_by_torch)


def _gru(*operands: Sample) -> Row:
    return Row("gru_gates", gru_gates, operands, gru_by_hand, gru_by_torch)


def _cell(name: str, primitive: str, gates: int, batch: tuple[int, ...], bias: bool) -> Row:
    """A functional cell: input 3, state 2."""
    states = 2 if name == "lstm_cell" else 1
    shapes = [(*batch, 3), *[(*batch, 2)] * states, (gates * 2, 3), (gates * 2, 2)]
    shapes += [(gates * 2,)] * 2 * bias

    def arguments(x: Any, h: Any, *others: Any) -> Any:
        return (x, (h, others[0]), *others[1:]) if states == 2 else (x, h, *others)

    def with_torch(torch: Any, *operands: Any) -> Any:
        return getattr(torch, name)(*arguments(*operands))

    return Row(
        primitive,
        lambda *operands: getattr(F, name)(*arguments(*operands)),
        tuple(normal(*shape) for shape in shapes),
        torch=with_torch if batch else None,
        label=f"{name} {batch}{' with biases' if bias else ''}",
    )


CELLS = (("rnn_tanh_cell", "tanh", 1), ("lstm_cell", "lstm_gates", 4), ("gru_cell", "gru_gates", 3))
ROWS = [
    _lstm(normal(3, 8), normal(3, 2)), _lstm(normal(4), normal(1)),
    _lstm(normal(2, 3, 4), normal(2, 3, 1)), _lstm(normal(0, 8), normal(0, 2)),
    _lstm(normal(3, 0), normal(3, 0)), _lstm(fortran(3, 8), read_only(3, 2)),
    Row("lstm_gates", lambda a, c: lstm_gates(a, c)[0], (normal(2, 8), normal(2, 2)),
        lambda a, c: lstm_by_hand(a, c)[0], lambda t, a, c: lstm_by_torch(t, a, c)[0], label="h"),
    Row("lstm_gates", lambda a, c: lstm_gates(a, c)[1:], (normal(2, 8), normal(2, 2)),
        lambda a, c: lstm_by_hand(a, c)[1:], lambda t, a, c: lstm_by_torch(t, a, c)[1:],
        label="cell, gates"),
    _gru(normal(3, 6), normal(3, 6), normal(3, 2)), _gru(normal(3), normal(3), normal(1)),
    _gru(normal(2, 1, 6), normal(2, 1, 6), normal(2, 1, 2)),
    _gru(normal(0, 6), normal(0, 6), normal(0, 2)),
    _gru(read_only(2, 6), fortran(2, 6), fortran(2, 2)),
    Row("gru_gates", lambda a, b, h: gru_gates(a, b, h)[0], (normal(2, 3), normal(2, 3),
        normal(2, 1)), lambda a, b, h: gru_by_hand(a, b, h)[0],
        lambda t, a, b, h: gru_by_torch(t, a, b, h)[0], label="h"),
    Row("gru_gates", lambda a, b, h: gru_gates(a, b, h)[1], (normal(2, 3), normal(2, 3),
        normal(2, 1)), lambda a, b, h: gru_by_hand(a, b, h)[1],
        lambda t, a, b, h: gru_by_torch(t, a, b, h)[1], label="gates"),
    *[_cell(*cell, batch, bias)
      for cell in CELLS for batch in ((), (4,)) for bias in (True, False)],
]  # fmt: skip
