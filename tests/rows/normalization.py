"""Rows of limpid/ops/normalization.py, and of the layers made of it."""

from typing import Any

import numpy as np

import limpid
from limpid.nn import functional as F
from limpid.ops import normalization
from tests.table import Row, Sample, named, normal, positive

standardize = limpid.primitives["standardize"]
window_sum = limpid.primitives["window_sum"]
local_response = limpid.primitives["local_response"]
EPS = 1e-3


def by_hand(x: Any, weight: Any, bias: Any, axis: tuple[int, ...], eps: float) -> Any:
    """(y, z, mean, variance), in NumPy."""
    mean, var = x.mean(axis, keepdims=True), x.var(axis, keepdims=True)
    z = (x - mean) / np.sqrt(var + eps)
    return weight * z + bias, z, mean, var


def by_torch(x: Any, weight: Any, bias: Any, axis: tuple[int, ...], eps: float) -> Any:
    mean, var = x.mean(axis, keepdim=True), x.var(axis, correction=0, keepdim=True)
    z = (x - mean) / (var + eps).sqrt()
    return weight * z + bias, z, mean, var


def _all_outputs(axis: tuple[int, ...], *operands: Any) -> Row:
    return Row(
        "standardize",
        lambda x, w, b: standardize(x, w, b, axis=axis, eps=EPS),
        operands,
        lambda x, w, b: by_hand(x, w, b, axis, EPS),
        lambda t, x, w, b: by_torch(x, w, b, axis, EPS),
        label=f"{axis} of {' '.join(getattr(o, 'label', str(o)) for o in operands)}",
    )


def far(offset: float, *shape: int) -> Sample:
    """Standard normal numbers around a distant mean."""
    return named(lambda rng: rng.normal(size=shape) + offset, f"{shape} around {offset:g}")


def fortran(*shape: int) -> Sample:
    return named(lambda rng: np.asfortranarray(rng.normal(size=shape)), f"fortran {shape}")


def read_only(*shape: int) -> Sample:
    """Every second element of a larger array, and not to be written to."""

    def sample(rng: np.random.Generator) -> np.ndarray:
        x = rng.normal(size=(*shape[:-1], 2 * shape[-1]))[..., ::2]
        x.flags.writeable = False
        return x

    return named(sample, f"strided {shape}")


def _batch(sample: Sample, channels: int, label: str) -> Row:
    """Batch normalisation in training, with parameters."""
    return Row(
        "standardize",
        lambda x, w, b: F.batch_norm(x, None, None, w, b, True, eps=EPS),
        (sample, normal(channels), normal(channels)),
        None,
        lambda t, x, w, b: t.nn.functional.batch_norm(x, None, None, w, b, True, eps=EPS),
        label=f"batch {label}",
    )


def _local(size: int, alpha: float, beta: float, k: float, *shape: int) -> Row:
    return Row(
        "local_response",
        lambda x: F.local_response_norm(x, size, alpha, beta, k),
        (normal(*shape),),
        lambda x: neighbours(x, size, alpha, beta, k),
        lambda t, x: t.nn.functional.local_response_norm(x, size, alpha, beta, k),
        label=f"{size} of {shape}, beta {beta}",
    )


def neighbours(x: Any, size: int, alpha: float, beta: float, k: float) -> Any:
    """Local response normalisation by a loop over the channels."""
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        window = x[:, max(c - size // 2, 0) : c + (size - 1) // 2 + 1]
        y[:, c] = x[:, c] / (k + alpha / size * (window**2).sum(1)) ** beta
    return y


def windows(x: Any, before: int, after: int) -> Any:
    """Sums of neighbours along axis 1, by a loop."""
    y = np.empty_like(x)
    for i in range(x.shape[1]):
        y[:, i] = x[:, max(i - before, 0) : i + after + 1].sum(1)
    return y


ROWS = [
    _all_outputs((0,), normal(5, 3), normal(3), normal(3)),
    _all_outputs((0, 2), normal(3, 2, 4), normal(2, 1), normal(1, 2, 1)),
    _all_outputs((1, 2), normal(3, 2, 4), normal(2, 4), normal(4)),
    _all_outputs((2,), normal(3, 2, 4), normal(2, 1), normal(3, 1, 1)),
    _all_outputs((1,), normal(3, 4, 2), normal(4, 1), normal(2)),
    _all_outputs((0, 1), normal(3, 4), 1, 0),
    _all_outputs((1,), normal(3, 4), -1.5, 0.5),
    Row("standardize", lambda x: standardize(x, 1, 0, axis=(), eps=EPS), (normal(3),),
        lambda x: (0 * x, 0 * x, x, 0 * x), label="no axes"),
    _batch(normal(4, 3), 3, "4x3"),
    _batch(normal(2, 3, 5), 3, "2x3x5"),
    _batch(normal(2, 3, 2, 4), 3, "2x3x2x4"),
    _batch(normal(1, 2, 2, 1, 3), 2, "1x2x2x1x3"),
    _batch(fortran(3, 2, 4), 2, "Fortran"),
    _batch(read_only(3, 2, 4), 2, "strided, read-only"),
    _batch(normal(0, 3, 2), 3, "empty"),
    Row("standardize", lambda x, w: F.batch_norm(x, None, None, w, training=True),
        (normal(3, 0, 2), normal(0)), lambda x, w: x, label="batch, no channels"),
    Row("standardize", lambda x: F.batch_norm(x, None, None, training=True),
        (far(1e4, 6, 3, 4),), lambda x: by_hand(x, 1, 0, (0, 2), 1e-5)[0],
        lambda t, x: t.nn.functional.batch_norm(x, None, None, training=True),
        dtypes=("float64",), value_tolerance=1e-10, tolerance=1e-5, label="batch far from 0"),
    Row("standardize", lambda x, m, v, w, b: F.batch_norm(x, m, v, w, b, eps=EPS),
        (normal(2, 3, 4), normal(3), positive(3), normal(3), normal(3)),
        torch=lambda t, x, m, v, w, b: t.nn.functional.batch_norm(x, m, v, w, b, eps=EPS),
        wrt=(0, 3, 4), label="batch, running statistics"),
    Row("standardize", F.batch_norm, (normal(4, 3), normal(3), positive(3)),
        torch=lambda t, *args: t.nn.functional.batch_norm(*args), wrt=(0,),
        label="batch, running statistics alone"),
    Row("standardize", lambda x, w, b: F.layer_norm(x, (4,), w, b),
        (normal(3, 2, 4), normal(4), normal(4)),
        torch=lambda t, x, w, b: t.nn.functional.layer_norm(x, (4,), w, b), label="layer"),
    Row("standardize", lambda x, w: F.layer_norm(x, (2, 4), w, eps=EPS),
        (normal(3, 2, 4), normal(2, 4)),
        torch=lambda t, x, w: t.nn.functional.layer_norm(x, (2, 4), w, eps=EPS),
        label="layer, two axes"),
    Row("standardize", lambda x: F.layer_norm(x, 5), (normal(5),),
        torch=lambda t, x: t.nn.functional.layer_norm(x, (5,)), label="layer, one axis"),
    Row("standardize", lambda x: F.layer_norm(x, 0), (normal(3, 0),),
        torch=lambda t, x: t.nn.functional.layer_norm(x, (0,)), label="layer of nothing"),
    Row("standardize", lambda x, w, b: F.group_norm(x, 2, w, b, EPS),
        (normal(3, 4, 2), normal(4), normal(4)),
        torch=lambda t, x, w, b: t.nn.functional.group_norm(x, 2, w, b, EPS), label="group"),
    Row("standardize", lambda x: F.group_norm(x, 3, eps=EPS), (normal(2, 6),),
        torch=lambda t, x: t.nn.functional.group_norm(x, 3, eps=EPS), label="group, no space"),
    Row("standardize", lambda x, w, b: F.instance_norm(x, None, None, w, b, eps=EPS),
        (normal(2, 3, 2, 3), normal(3), normal(3)),
        torch=lambda t, x, w, b: t.nn.functional.instance_norm(x, None, None, w, b, eps=EPS),
        label="instance"),
    Row("standardize", lambda x: F.instance_norm(x), (fortran(2, 3, 5),),
        torch=lambda t, x: t.nn.functional.instance_norm(x), label="instance, Fortran"),
    Row("sum", lambda x, w: F.rms_norm(x, (4,), w, EPS), (normal(3, 2, 4), normal(4)),
        lambda x, w: w * x / np.sqrt((x * x).mean(-1, keepdims=True) + EPS),
        lambda t, x, w: t.nn.functional.rms_norm(x, (4,), w, EPS), label="rms"),
    Row("sum", lambda x: F.rms_norm(x, (2, 4), eps=EPS), (normal(3, 2, 4),),
        torch=lambda t, x: t.nn.functional.rms_norm(x, (2, 4), eps=EPS), label="rms, two axes"),
    Row("norm", F.normalize, (normal(3, 4),), lambda x: x / np.linalg.norm(x, axis=1)[:, None],
        lambda t, x: t.nn.functional.normalize(x), label="normalize"),
    Row("norm", lambda x: F.normalize(x, 3.0, -1), (normal(2, 3, 4),),
        torch=lambda t, x: t.nn.functional.normalize(x, 3.0, -1), label="normalize, order 3"),
    Row("norm", lambda x: F.normalize(x, 1, 0, 100.0), (normal(3, 4),), lambda x: x / 100,
        lambda t, x: t.nn.functional.normalize(x, 1, 0, 100.0), order=1, label="normalize, eps"),
    *[Row("window_sum", lambda x, i=i, j=j: window_sum(x, axis=1, before=i, after=j),
          (normal(2, n, 3),), lambda x, i=i, j=j: windows(x, i, j), label=f"{i} and {j} of {n}",
          order=1)
      for n, i, j in ((5, 1, 1), (4, 0, 0), (4, 2, 1), (3, 0, 3), (2, 5, 4), (7, 3, 2), (1, 1, 0),
                      (0, 1, 1))],
    Row("local_response",
        lambda x: local_response(x, axis=1, before=1, after=2, alpha=0.3, beta=0.6, k=1.2),
        (normal(2, 5, 3),), label="both outputs"),
    _local(3, 0.5, 0.75, 1.0, 2, 5, 3), _local(4, 0.5, 0.75, 2.0, 2, 5, 2, 2),
    _local(1, 0.7, 1.0, 1.0, 1, 3, 4), _local(9, 2.0, 0.5, 1.0, 2, 3, 2),
    _local(5, 0.3, 0.75, 1.0, 0, 4, 2),
    Row("local_response", lambda x: normalization.local_response(x, -1, 0, 2, 0.5, 2.0, 1.5),
        (fortran(3, 4),), label="last axis", value_tolerance=0),
]  # fmt: skip
