"""Wrong backward functions that were set aside until the checker was finished."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from tests.wrong_rules import forwards as f
from tests.wrong_rules.case import Cases, floats, positive

CASES = Cases()
wrong = CASES.wrong
X, W, B = floats(6, 4, seed=2), floats(4, 3, seed=2), floats(3, seed=2)
LABELS = np.array([2, 0, 1, 1, 0, 2])


@wrong("sign", f.hinge, floats(6, 3, seed=2), LABELS)
def hinge_with_the_wrong_sign(g: Any, cache: Any) -> Any:
    margins, labels = cache
    n = len(labels)
    d = (margins > 0) * 1.0
    d[np.arange(n), labels] -= d.sum(1)
    return -g * d / n, None


@wrong("sign", f.difference, X)
def difference_reversed(g: Any, x: Any) -> Any:
    d = np.zeros_like(x)
    d[:, 1:] -= g
    d[:, :-1] += g
    return d


@wrong("transposed", f.two_layers, X, floats(4, 5, seed=2), floats(5, 3, seed=2))
def second_weight_transposed(g: Any, cache: Any) -> Any:
    x, w1, w2, h = cache
    d = (g @ w2.T) * (1 - h * h)
    return d @ w1.T, x.T @ d, g.T @ h


@wrong(
    "transposed",
    f.recurrent_step,
    X,
    floats(6, 5, seed=2),
    floats(4, 5, seed=2),
    floats(5, 5, seed=2),
    floats(5, seed=2),
)
def hidden_weight_not_transposed(g: Any, cache: Any) -> Any:
    x, h, wx, wh, new = cache
    d = g * (1 - new * new)
    return d @ wx.T, d @ wh, x.T @ d, h.T @ d, d.sum(0)


@wrong("transposed", f.transpose, floats(4, 4, seed=2))
def transpose_not_undone(g: Any, x: Any) -> Any:
    return 3.0 * g


@wrong("mean", f.mean_squared_error, floats(6, 4, seed=2), floats(6, 4, seed=3))
def squared_error_summed(g: Any, cache: Any) -> Any:
    x, y = cache
    return 2 * g * (x - y), -2 * g * (x - y)


@wrong("mean", f.linear, X, W)
def weight_gradient_averaged(g: Any, cache: Any) -> Any:
    x, w = cache
    return g @ w.T, x.T @ g / len(x)


@wrong("mean", f.hinge, floats(6, 3, seed=4), LABELS)
def hinge_not_divided(g: Any, cache: Any) -> Any:
    margins, labels = cache
    d = (margins > 0) * 1.0
    d[np.arange(len(labels)), labels] -= d.sum(1)
    return g * d, None


@wrong("factor", f.penalty, W)
def penalty_with_two(g: Any, w: Any) -> Any:
    return 2 * 0.3 * g * w


@wrong("factor", f.square, X, like=limpid.square)
def square_without_two(g: Any, x: Any) -> Any:
    return g * x


@wrong("factor|mean", f.average_pool, floats(4, 6, seed=2))
def average_pool_not_halved(g: Any, x: Any) -> Any:
    return np.repeat(g, 2, -1)


@wrong("unsummed", f.recurrent_step, X, floats(6, 5), floats(4, 5), floats(5, 5), floats(5))
def recurrent_bias_not_summed(g: Any, cache: Any) -> Any:
    x, h, wx, wh, new = cache
    d = g * (1 - new * new)
    return d @ wx.T, d @ wh.T, x.T @ d, h.T @ d, d


@wrong("unsummed", f.multiply, X, floats(6, 1, seed=2), like=limpid.multiply)
def column_factor_not_summed(g: Any, cache: Any) -> Any:
    a, b = cache
    return g * b, g * a


@wrong("wrong axis", f.batch_norm, floats(5, 5), positive(5), floats(5, seed=2))
def beta_summed_over_features(g: Any, cache: Any) -> Any:
    normal, gamma, deviation = cache
    d = g * gamma
    dx = (d - d.mean(0) - normal * (d * normal).mean(0)) / deviation
    return dx, (g * normal).sum(0), g.sum(1)


@wrong("accumulation", f.batch_norm, X, positive(4, seed=2), floats(4, seed=2))
def batch_norm_without_the_variance(g: Any, cache: Any) -> Any:
    normal, gamma, deviation = cache
    d = g * gamma
    return (d - d.mean(0)) / deviation, (g * normal).sum(0), g.sum(0)


@wrong("accumulation", f.layer_norm, X)
def layer_norm_without_the_mean(g: Any, cache: Any) -> Any:
    normal, deviation = cache
    return (g - normal * (g * normal).mean(-1, keepdims=True)) / deviation


@wrong("accumulation", f.embedding, floats(5, 3, seed=2), np.array([3, 3, 0, 2, 0]))
def embedding_rows_not_added(g: Any, cache: Any) -> Any:
    table, rows = cache
    d = np.zeros_like(table)
    d[rows] += g
    return d, None


def residual_like(x: Any, w: Any) -> Any:
    return x + limpid.tanh(x @ w)


@wrong("accumulation", f.residual, X, floats(4, 4, seed=2), like=residual_like)
def only_the_skip(g: Any, cache: Any) -> Any:
    x, _, h = cache
    return g, x.T @ (g * (1 - h * h))


@wrong("mask", f.clip, X)
def clip_mask_reversed(g: Any, x: Any) -> Any:
    return g * (np.abs(x) > 0.8)


@wrong("mask", f.affine_relu, X, W, B)
def hidden_mask_from_below(g: Any, cache: Any) -> Any:
    x, w, z = cache
    d = np.where(z > 0, 0, g)
    return d @ w.T, x.T @ d, d.sum(0)


@wrong("chain|mask missing", f.affine_relu, X, W, B)
def hidden_mask_left_out(g: Any, cache: Any) -> Any:
    x, w, _ = cache
    return g @ w.T, x.T @ g, g.sum(0)


@wrong("output for input", f.cube, positive(6, 4, seed=2))
def cube_of_the_output(g: Any, x: Any) -> Any:
    return 3 * g * (x**3) ** 2


@wrong("output for input", f.softplus, X, like=limpid.softplus)
def softplus_of_the_output(g: Any, x: Any) -> Any:
    y = np.log1p(np.exp(x))
    return g / (1 + np.exp(-y))


@wrong("input for output", f.exp, X)
def exp_of_the_input(g: Any, cache: Any) -> Any:
    x, _ = cache
    return g * x


@wrong("input for output", f.sqrt, positive(6, 4, seed=2), like=limpid.sqrt)
def sqrt_of_the_input(g: Any, cache: Any) -> Any:
    x, _ = cache
    return g / (2 * x)


@wrong("upstream", f.mean_squared_error, X, floats(6, 4, seed=3))
def loss_without_upstream(g: Any, cache: Any) -> Any:
    x, y = cache
    return 2 * (x - y) / x.size, -2 * (x - y) / x.size


@wrong("upstream", f.tanh, X, like=limpid.tanh)
def tanh_without_upstream(g: Any, cache: Any) -> Any:
    _, y = cache
    return 1 - y * y


@wrong("swapped", f.linear, floats(4, 4, seed=2), floats(4, 4, seed=3))
def linear_gradients_exchanged(g: Any, cache: Any) -> Any:
    x, w = cache
    return x.T @ g, g @ w.T


@wrong("swapped", f.attention, X, floats(6, 4, seed=3), floats(6, 4, seed=4))
def query_and_key_exchanged(g: Any, cache: Any) -> Any:
    q, k, v, p = cache
    dp = g @ v.T
    ds = p * (dp - (dp * p).sum(-1, keepdims=True))
    return ds.T @ q, ds @ k, p.T @ g


@wrong("moved", f.cumulative_sum, X)
def summed_from_the_wrong_end(g: Any, x: Any) -> Any:
    return np.cumsum(g, -1)


@wrong("moved", f.convolution, floats(8, seed=2), floats(3, seed=2))
def kernel_not_flipped(g: Any, cache: Any) -> Any:
    x, k = cache
    return np.convolve(g, k[::-1]), np.correlate(x, g)


@wrong("chain", f.norm, X)
def norm_not_divided(g: Any, cache: Any) -> Any:
    x, _ = cache
    return g * x


@wrong("chain", f.recurrent_step, X, floats(6, 5), floats(4, 5), floats(5, 5), floats(5))
def tanh_of_the_step_left_out(g: Any, cache: Any) -> Any:
    x, h, wx, wh, _ = cache
    return g @ wx.T, g @ wh.T, x.T @ g, h.T @ g, g.sum(0)


@wrong("chain", f.log, positive(6, 4, seed=2))
def log_passes_the_gradient_on(g: Any, x: Any) -> Any:
    return g


@wrong("elements", f.max_pool, floats(4, 6, seed=2))
def last_window_forgotten(g: Any, cache: Any) -> Any:
    x, pairs = cache
    d = (pairs == pairs.max(-1, keepdims=True)) * g[..., None]
    d[:, -1] = 0
    return d.reshape(x.shape)


@wrong("elements", f.cross_entropy, floats(6, 3, seed=2), LABELS)
def one_not_subtracted_at_the_label(g: Any, cache: Any) -> Any:
    p, _ = cache
    return g * p / len(p), None


@wrong("diagonal", f.softmax, X)
def softmax_without_the_others(g: Any, y: Any) -> Any:
    return y * (1 - y) * g


@wrong("missing", f.attention, X, floats(5, 4, seed=3), floats(5, 3, seed=4))
def key_without_gradient(g: Any, cache: Any) -> Any:
    _, k, v, p = cache
    dp = g @ v.T
    ds = p * (dp - (dp * p).sum(-1, keepdims=True))
    return ds @ k, np.zeros_like(k), p.T @ g


@wrong("shape", f.batch_norm, X, positive(4, seed=2), floats(4, seed=2))
def gamma_with_an_axis_too_many(g: Any, cache: Any) -> Any:
    normal, gamma, deviation = cache
    d = g * gamma
    dx = (d - d.mean(0) - normal * (d * normal).mean(0)) / deviation
    return dx, (g * normal).sum(0, keepdims=True), g.sum(0)


@wrong("chain", f.sigmoid, X, like=limpid.sigmoid)
def sigmoid_half_of_the_rule(g: Any, cache: Any) -> Any:
    _, y = cache
    return g * y
