"""Rows of limpid/ops/activation.py and limpid/ops/rectifier.py."""

import numpy as np
from scipy import special

import limpid
from tests.table import Row, away, distinct, normal

RELU_SCALE, RELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def times(factor, *shape):
    """Numbers that keep their distance from multiples of the factor."""
    return lambda rng: np.asarray(factor * away(*shape)(rng))


def functional(name, *arguments, **named):
    def theirs(t, x):
        return getattr(t.nn.functional, name)(x, *arguments, **named)

    return theirs


def rows(name, call, sample, reference, torch, label="", order=2):
    """One row for a matrix, one for a 0-d or empty operand."""
    shape = () if len(name) % 2 else (2, 0, 3)
    return [
        Row(name, call, (sample(3, 4),), reference, torch, label=f"{label} 3x4", order=order),
        Row(name, call, (sample(*shape),), reference, torch, label=f"{label} {shape}", order=order),
    ]


def softplus(x):
    return np.logaddexp(0, x)


def elu(x, alpha):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def threes(*shape):
    return times(3, *shape)


def normals(*shape):
    return lambda rng: np.asarray(2 * normal(*shape)(rng))


def prelu(x, w):
    w = w.reshape((-1, *[1] * (x.ndim - 2))[: x.ndim])
    return np.where(x > 0, x, w * x)


ROWS = [
    *rows("sigmoid", limpid.sigmoid, normals, special.expit, lambda t, x: t.sigmoid(x)),
    *rows("log_sigmoid", limpid.log_sigmoid, normals, special.log_expit, functional("logsigmoid")),
    *rows("hard_sigmoid", limpid.hard_sigmoid, threes, lambda x: np.clip(x / 6 + 0.5, 0, 1),
          functional("hardsigmoid"), order=1),
    *rows("hard_tanh", limpid.hard_tanh, away, lambda x: np.clip(x, -1, 1),
          functional("hardtanh"), order=1),
    *rows("hard_tanh", lambda x: limpid.hard_tanh(x, -2, 1), away, lambda x: np.clip(x, -2, 1),
          functional("hardtanh", -2, 1), "limits", order=1),
    *rows("soft_sign", limpid.soft_sign, away, lambda x: x / (1 + np.abs(x)),
          functional("softsign")),
    *rows("softplus", limpid.softplus, normals, softplus, functional("softplus")),
    *rows("softplus", lambda x: limpid.softplus(x, 2.0, 3.0), away,
          lambda x: np.where(2 * x > 3, x, softplus(2 * x) / 2), functional("softplus", 2, 3),
          "parameters"),
    *rows("silu", limpid.silu, normals, lambda x: x * special.expit(x), functional("silu")),
    *rows("mish", limpid.mish, normals, lambda x: x * np.tanh(softplus(x)), functional("mish")),
    *rows("gelu", limpid.gelu, normals, lambda x: x * special.ndtr(x), functional("gelu")),
    *rows("gelu_tanh", lambda x: limpid.gelu(x, approximate="tanh"), normals,
          lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
          functional("gelu", approximate="tanh")),
    *rows("hard_swish", limpid.hard_swish, threes, lambda x: x * np.clip(x + 3, 0, 6) / 6,
          functional("hardswish")),
    *rows("tanh_shrink", limpid.tanh_shrink, normals, lambda x: x - np.tanh(x),
          functional("tanhshrink")),
    *rows("relu", limpid.relu, away, lambda x: np.maximum(x, 0), functional("relu"), order=1),
    *rows("relu6", limpid.relu6, threes, lambda x: np.clip(x, 0, 6), functional("relu6"), order=1),
    *rows("leaky_relu", limpid.leaky_relu, away, lambda x: np.where(x > 0, x, 0.01 * x),
          functional("leaky_relu"), order=1),
    *rows("leaky_relu", lambda x: limpid.leaky_relu(x, 1.3), away,
          lambda x: np.where(x > 0, x, 1.3 * x), functional("leaky_relu", 1.3), "slope", order=1),
    *rows("elu", limpid.elu, away, lambda x: elu(x, 1), functional("elu")),
    *rows("elu", lambda x: limpid.elu(x, 0.7), away, lambda x: elu(x, 0.7),
          functional("elu", 0.7), "alpha"),
    *rows("selu", limpid.selu, away, lambda x: RELU_SCALE * elu(x, RELU_ALPHA),
          functional("selu")),
    *rows("celu", limpid.celu, away, lambda x: elu(x, 1), functional("celu")),
    *rows("celu", lambda x: limpid.celu(x, 2.5), away, lambda x: 2.5 * elu(x / 2.5, 1)
          + np.maximum(x, 0) - 2.5 * np.maximum(x / 2.5, 0), functional("celu", 2.5), "alpha"),
    *rows("soft_shrink", lambda x: limpid.soft_shrink(x, 1.0), away,
          lambda x: np.sign(x) * np.maximum(np.abs(x) - 1, 0), functional("softshrink", 1.0),
          order=1),
    *rows("hard_shrink", lambda x: limpid.hard_shrink(x, 1.0), away,
          lambda x: np.where(np.abs(x) > 1, x, 0), functional("hardshrink", 1.0), order=1),
    *rows("threshold", lambda x: limpid.threshold(x, 1.0, -4.0), away,
          lambda x: np.where(x > 1, x, -4.0), functional("threshold", 1.0, -4.0), order=1),
    *[
        Row("prelu", limpid.prelu, (away(*shape), normal(count)), prelu,
            lambda t, x, w: t.nn.functional.prelu(x, w))
        for shape, count in [((3, 4), 4), ((2, 3, 2, 2), 3), ((2, 3, 4), 1), ((5,), 1)]
    ],
    Row("prelu", limpid.prelu, (away(), normal(1)), prelu),
    Row("sigmoid", limpid.glu, (normal(3, 4),),
        lambda x: x[:, :2] * special.expit(x[:, 2:]), functional("glu"), label="glu"),
    Row("sigmoid", lambda x: limpid.glu(x, axis=1), (normal(2, 6, 1),),
        lambda x: x[:, :3] * special.expit(x[:, 3:]), functional("glu", 1), label="glu, axis 1"),
    Row("max", lambda x: limpid.maxout(x, 3), (distinct(2, 6),),
        lambda x: x.reshape(2, 2, 3).max(2), label="maxout", order=1),
    Row("max", lambda x: limpid.maxout(x, 2, axis=1), (distinct(2, 4, 3),),
        lambda x: x.reshape(2, 2, 2, 3).max(2), label="maxout, axis 1", order=1),
]  # fmt: skip
