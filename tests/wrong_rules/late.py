"""Wrong backward functions written after the checker: other functions, and mistakes deep inside."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.wrong_rules import forwards as f
from tests.wrong_rules.case import Cases, floats, positive

CASES = Cases()
wrong = CASES.wrong


def unrolled(x: Any, w: Any, u: Any) -> Any:
    """Three steps of a recurrent network; x: (steps, batch, features)."""
    h = [np.zeros((x.shape[1], u.shape[0]))]
    for step in x:
        h.append(np.tanh(step @ w + h[-1] @ u))
    return h[-1], (x, w, u, h)


def through_time(g: Any, cache: Any) -> Any:
    x, w, u, h = cache
    dx, dw, du = np.zeros_like(x), np.zeros_like(w), np.zeros_like(u)
    for t in reversed(range(len(x))):
        d = g * (1 - h[t + 1] ** 2)
        dx[t], g = d @ w.T, d @ u.T
        dw += x[t].T @ d
        du += h[t].T @ d
    return dx, dw, du


STEPS = floats(3, 4, 5, seed=7), floats(5, 6, seed=7), floats(6, 6, seed=7)


@wrong("accumulation", unrolled, *STEPS)
def only_the_first_step_counts(g: Any, cache: Any) -> Any:
    x, _, u, h = cache
    dx, _, du = through_time(g, cache)
    for t in reversed(range(len(x))):
        d = g * (1 - h[t + 1] ** 2)
        g, dw = d @ u.T, x[t].T @ d
    return dx, dw, du


@wrong("accumulation|elements", unrolled, *STEPS)
def truncated_after_one_step(g: Any, cache: Any) -> Any:
    x, w, _, h = cache
    d = g * (1 - h[-1] ** 2)
    dx = np.zeros_like(x)
    dx[-1] = d @ w.T
    return dx, x[-1].T @ d, h[-2].T @ d


@wrong("transposed", unrolled, *STEPS)
def recurrent_weight_not_transposed(g: Any, cache: Any) -> Any:
    x, w, u, h = cache
    dx, dw, du = np.zeros_like(x), np.zeros_like(w), np.zeros_like(u)
    for t in reversed(range(len(x))):
        d = g * (1 - h[t + 1] ** 2)
        dx[t], g = d @ w.T, d @ u
        dw += x[t].T @ d
        du += h[t].T @ d
    return dx, dw, du


def conv2d(x: Any, w: Any) -> Any:
    """x: (N, C, H, W), w: (F, C, 3, 3), no padding."""
    n, _, height, width = x.shape
    y = np.zeros((n, len(w), height - 2, width - 2))
    for i in range(3):
        for j in range(3):
            part = x[:, :, i : i + height - 2, j : j + width - 2]
            y += np.einsum("nchw,fc->nfhw", part, w[:, :, i, j])
    return y, (x, w)


def conv2d_backward(g: Any, cache: Any) -> Any:
    x, w = cache
    height, width = g.shape[2:]
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(3):
        for j in range(3):
            window = (slice(None), slice(None), slice(i, i + height), slice(j, j + width))
            dx[window] += np.einsum("nfhw,fc->nchw", g, w[:, :, i, j])
            dw[:, :, i, j] = np.einsum("nfhw,nchw->fc", g, x[window])
    return dx, dw


IMAGES = floats(2, 2, 5, 5, seed=7), floats(3, 2, 3, 3, seed=8)


@wrong("moved", conv2d, *IMAGES)
def kernel_turned(g: Any, cache: Any) -> Any:
    x, w = cache
    return conv2d_backward(g, (x, w[:, :, ::-1, ::-1]))[0], conv2d_backward(g, cache)[1]


@wrong("mean", conv2d, *IMAGES)
def kernel_averaged_over_the_batch(g: Any, cache: Any) -> Any:
    dx, dw = conv2d_backward(g, cache)
    return dx, dw / len(g)


@wrong("accumulation|elements", conv2d, *IMAGES)
def windows_assigned(g: Any, cache: Any) -> Any:
    _, w = cache
    dx, dw = conv2d_backward(g, cache)
    height, width = g.shape[2:]
    for i in range(3):
        for j in range(3):
            part = np.einsum("nfhw,fc->nchw", g, w[:, :, i, j])
            dx[:, :, i : i + height, j : j + width] = part
    return dx, dw


@wrong("moved|transposed", conv2d, *IMAGES)
def kernel_rows_and_columns_exchanged(g: Any, cache: Any) -> Any:
    dx, dw = conv2d_backward(g, cache)
    return dx, dw.transpose(0, 1, 3, 2)


def three_layers(x: Any, w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
    z1 = x @ w1 + b1
    a1 = np.maximum(z1, 0)
    z2 = a1 @ w2 + b2
    a2 = 1 / (1 + np.exp(-z2))
    return a2, (x, w1, w2, z1, a1, a2)


def three_layers_backward(
    g: Any, cache: Any, gate: Any = None, outer: Any = None, count: int = 1
) -> Any:
    x, w1, w2, z1, a1, a2 = cache
    d2 = g * (a2 * (1 - a2) if outer is None else outer)
    d1 = (d2 @ w2.T) * ((z1 > 0) if gate is None else gate)
    return d1 @ w1.T, x.T @ d1, d1.sum(0), a1.T @ d2 / count, d2.sum(0)


NETWORK = (
    floats(4, 5, seed=9),
    floats(5, 7, seed=9),
    floats(7, seed=9),
    floats(7, 3, seed=9),
    floats(3, seed=9),
)


@wrong("mask", three_layers, *NETWORK)
def deep_mask_reversed(g: Any, cache: Any) -> Any:
    return three_layers_backward(g, cache, gate=cache[3] <= 0)


@wrong("chain|mask missing", three_layers, *NETWORK)
def deep_mask_left_out(g: Any, cache: Any) -> Any:
    return three_layers_backward(g, cache, gate=1)


@wrong("chain", three_layers, *NETWORK)
def output_gate_left_out(g: Any, cache: Any) -> Any:
    return three_layers_backward(g, cache, outer=1)


@wrong("chain", three_layers, *NETWORK)
def output_gate_without_its_second_factor(g: Any, cache: Any) -> Any:
    return three_layers_backward(g, cache, outer=cache[5])


@wrong("mean", three_layers, *NETWORK)
def one_weight_averaged(g: Any, cache: Any) -> Any:
    return three_layers_backward(g, cache, count=len(g))


@wrong("input for output", three_layers, *NETWORK)
def output_gate_of_the_hidden_sum(g: Any, cache: Any) -> Any:
    a2 = cache[5]
    z2 = np.log(a2 / (1 - a2))
    return three_layers_backward(g, cache, outer=z2 * (1 - z2))


def scaled_attention(q: Any, k: Any, v: Any) -> Any:
    p, _ = f.softmax(q @ k.T / np.sqrt(q.shape[-1]))
    return p @ v, (q, k, v, p)


HEADS = floats(5, 3, seed=11), floats(6, 3, seed=12), floats(6, 4, seed=13)


def scaled_attention_backward(g: Any, cache: Any, scale: float, diagonal: bool = False) -> Any:
    q, k, v, p = cache
    dp = g @ v.T
    ds = p * (dp - (0 if diagonal else (dp * p).sum(-1, keepdims=True))) * scale
    return ds @ k, ds.T @ q, p.T @ g


@wrong("factor|chain", scaled_attention, *HEADS)
def scores_not_scaled(g: Any, cache: Any) -> Any:
    return scaled_attention_backward(g, cache, 1.0)


@wrong("accumulation|diagonal", scaled_attention, *HEADS)
def attention_without_the_sum(g: Any, cache: Any) -> Any:
    return scaled_attention_backward(g, cache, 3**-0.5, True)


@wrong("missing|accumulation", f.norm, floats(4, 5, seed=14))
def norm_as_a_constant(g: Any, cache: Any) -> Any:
    return np.zeros_like(cache[0])


@wrong("sign", f.log_sum_exp, floats(4, 5, seed=15))
def log_sum_exp_negative(g: Any, cache: Any) -> Any:
    x, y = cache
    return -g[:, None] * np.exp(x - y[:, None])


@wrong("chain", f.product, positive(4, 3, seed=16))
def product_not_divided(g: Any, cache: Any) -> Any:
    x, y = cache
    return np.broadcast_to((g * y)[:, None], x.shape)


@wrong("unsummed", f.divide, floats(4, 5, seed=17), positive(5, seed=17))
def divisor_not_summed(g: Any, cache: Any) -> Any:
    a, b = cache
    return g / b, -g * a / b**2


@wrong("shape|unsummed", f.mean, floats(4, 5, seed=18))
def mean_not_spread(g: Any, x: Any) -> Any:
    return g / len(x)


@wrong("elements", f.absolute, floats(4, 5, seed=19))
def absolute_as_if_positive(g: Any, x: Any) -> Any:
    return g * 1.0


@wrong("mask", f.max_pool, floats(4, 6, seed=20))
def the_smaller_one_gets_it(g: Any, cache: Any) -> Any:
    x, pairs = cache
    return ((pairs == pairs.min(-1, keepdims=True)) * g[..., None]).reshape(x.shape)


@wrong("in place", f.relu, floats(4, 5, seed=21))
def relu_writes_into_its_upstream(g: Any, x: Any) -> Any:
    g[x <= 0] = 0
    return g


@wrong("swapped", f.subtract, floats(4, 5, seed=22), floats(4, 5, seed=23))
def difference_exchanged(g: Any, cache: Any) -> Any:
    return -g, g


@wrong("output for input", f.reciprocal, positive(4, 5, seed=24))
def reciprocal_of_the_output(g: Any, cache: Any) -> Any:
    _, y = cache
    return -g / y**2


@wrong("moved", f.cumulative_sum, floats(4, 5, seed=25))
def shifted_cumulative_sum(g: Any, x: Any) -> Any:
    right = np.cumsum(g[:, ::-1], -1)[:, ::-1]
    return np.roll(right, 1, -1)


@wrong("upstream", three_layers, *NETWORK)
def last_bias_without_upstream(g: Any, cache: Any) -> Any:
    *others, _ = three_layers_backward(g, cache)
    a2 = cache[5]
    return *others, (a2 * (1 - a2)).sum(0)
