"""Wrong backward functions that the checker was developed with."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from tests.wrong_rules import forwards as f
from tests.wrong_rules.case import Cases, floats, positive

CASES = Cases()
wrong = CASES.wrong
X, W, B = floats(4, 5), floats(5, 3), floats(3)
LABELS = np.array([0, 2, 1, 2])


def affine_like(x: Any, w: Any, b: Any) -> Any:
    return x @ w + b


@wrong("sign", f.subtract, X, floats(4, 5, seed=1))
def subtract_adds(g: Any, cache: Any) -> Any:
    return g, g


@wrong("sign", f.divide, X, positive(4, 5), like=limpid.divide)
def divide_without_minus(g: Any, cache: Any) -> Any:
    a, b = cache
    return g / b, g * a / b**2


@wrong("transposed", f.affine, X, W, B, like=affine_like)
def affine_weight_transposed(g: Any, cache: Any) -> Any:
    x, w, _ = cache
    return g @ w.T, g.T @ x, g.sum(0)


@wrong("transposed", f.linear, X, floats(5, 5))
def square_weight_not_transposed(g: Any, cache: Any) -> Any:
    x, w = cache
    return g @ w, x.T @ g


@wrong("transposed", f.outer, floats(4), floats(4, seed=1))
def outer_upstream_not_transposed(g: Any, cache: Any) -> Any:
    a, b = cache
    return g.T @ b, g.T @ a


@wrong("mean", f.cross_entropy, floats(4, 3), LABELS)
def cross_entropy_not_divided(g: Any, cache: Any) -> Any:
    p, labels = cache
    d = p.copy()
    d[np.arange(len(p)), labels] -= 1
    return g * d, None


@wrong("mean", f.affine, X, W, B)
def bias_averaged(g: Any, cache: Any) -> Any:
    x, w, _ = cache
    return g @ w.T, x.T @ g, g.mean(0)


@wrong("factor", f.mean_squared_error, floats(4, 5), floats(4, 5, seed=1))
def squared_error_without_two(g: Any, cache: Any) -> Any:
    x, y = cache
    return g * (x - y) / x.size, -g * (x - y) / x.size


@wrong("factor", f.half_squared_error, floats(4, 5), floats(4, 5, seed=1))
def half_squared_error_with_two(g: Any, cache: Any) -> Any:
    x, y = cache
    return 2 * g * (x - y), -2 * g * (x - y)


@wrong("factor", f.dropout, floats(4, 5), np.array([1, 0, 1, 1, 1]))
def dropout_not_rescaled(g: Any, kept: Any) -> Any:
    return g * kept, None


@wrong("unsummed", f.affine, X, W, B)
def bias_not_summed(g: Any, cache: Any) -> Any:
    x, w, _ = cache
    return g @ w.T, x.T @ g, g


@wrong("unsummed", f.scale_and_shift, X, floats(5), floats(5, seed=1))
def gamma_not_summed(g: Any, cache: Any) -> Any:
    x, gamma, _ = cache
    return g * gamma, g * x, g.sum(0)


@wrong("wrong axis", f.affine, X, W, B)
def bias_summed_over_features(g: Any, cache: Any) -> Any:
    x, w, _ = cache
    return g @ w.T, x.T @ g, g.sum(1)


@wrong("wrong axis", f.multiply, floats(4, 4), floats(4), like=limpid.multiply)
def broadcast_factor_summed_over_columns(g: Any, cache: Any) -> Any:
    a, b = cache
    return g * b, (g * a).sum(1)


@wrong("accumulation", f.residual, X, floats(5, 5))
def residual_without_the_skip(g: Any, cache: Any) -> Any:
    x, w, h = cache
    d = g * (1 - h * h)
    return d @ w.T, x.T @ d


@wrong("accumulation", f.gate, X, like=limpid.silu)
def swish_without_the_second_use(g: Any, cache: Any) -> Any:
    _, s = cache
    return g * s


@wrong("accumulation", f.quadratic_form, floats(5), floats(5, 5), like=lambda x, a: x @ a @ x)
def quadratic_form_one_side(g: Any, cache: Any) -> Any:
    x, a = cache
    return g * (a @ x), g * np.outer(x, x)


@wrong("accumulation", f.regularised, X, W)
def penalty_forgotten(g: Any, cache: Any) -> Any:
    x, w, y = cache
    d = 2 * g * y / len(x)
    return d @ w.T, x.T @ d


@wrong("mask", f.relu, X, like=limpid.relu)
def relu_mask_reversed(g: Any, x: Any) -> Any:
    return g * (x < 0)


@wrong("mask", f.affine_relu, X, W, B, like=lambda x, w, b: limpid.relu(x @ w + b))
def hidden_relu_mask_reversed(g: Any, cache: Any) -> Any:
    x, w, z = cache
    d = g * (z < 0)
    return d @ w.T, x.T @ d, d.sum(0)


@wrong("mask", f.leaky_relu, X)
def leaky_sides_exchanged(g: Any, x: Any) -> Any:
    return np.where(x > 0, 0.1 * g, g)


@wrong("chain|mask missing", f.relu, X)
def relu_passes_everything(g: Any, x: Any) -> Any:
    return g


@wrong("output for input", f.sine, X, like=limpid.sin)
def sine_of_the_output(g: Any, x: Any) -> Any:
    return g * np.cos(np.sin(x))


@wrong("output for input", f.log, positive(4, 5))
def log_of_the_output(g: Any, x: Any) -> Any:
    return g / np.log(x)


@wrong("input for output", f.tanh, X)
def tanh_of_the_input(g: Any, cache: Any) -> Any:
    x, _ = cache
    return g * (1 - x * x)


@wrong("input for output", f.sigmoid, X, like=limpid.sigmoid)
def sigmoid_of_the_input(g: Any, cache: Any) -> Any:
    x, _ = cache
    return g * x * (1 - x)


@wrong("upstream", f.sigmoid, X)
def sigmoid_without_upstream(g: Any, cache: Any) -> Any:
    _, y = cache
    return y * (1 - y)


@wrong("upstream", f.affine, X, W, B, like=affine_like)
def weight_without_upstream(g: Any, cache: Any) -> Any:
    x, w, _ = cache
    return g @ w.T, x.T @ np.ones_like(g), g.sum(0)


@wrong("swapped", f.multiply, X, floats(4, 5, seed=1))
def multiply_not_swapped(g: Any, cache: Any) -> Any:
    a, b = cache
    return g * a, g * b


@wrong("swapped", f.joined, floats(4, 3), floats(4, 3, seed=1))
def parts_exchanged(g: Any, cache: Any) -> Any:
    return g[:, 3:], g[:, :3]


@wrong("moved", f.shift_right, X)
def shifted_the_same_way(g: Any, x: Any) -> Any:
    return np.roll(g, 1, -1)


@wrong("moved", f.reverse, X)
def not_reversed(g: Any, x: Any) -> Any:
    return 2.0 * g


@wrong("chain", f.two_layers, X, floats(5, 6), floats(6, 3))
def hidden_activation_left_out(g: Any, cache: Any) -> Any:
    x, w1, w2, h = cache
    d = g @ w2.T
    return d @ w1.T, x.T @ d, h.T @ g


@wrong("chain", f.exp, X)
def exp_passes_the_gradient_on(g: Any, cache: Any) -> Any:
    return g


@wrong("elements", f.difference, X)
def last_column_forgotten(g: Any, x: Any) -> Any:
    d = np.zeros_like(x)
    d[:, 1:] += g
    d[:, :-2] -= g[:, :-1]
    return d


@wrong("elements", f.convolution, floats(8), floats(3), like=None)
def convolution_border(g: Any, cache: Any) -> Any:
    x, k = cache
    d = np.convolve(g, k)
    d[0] = d[-1] = 0
    return d, np.correlate(x, g)


@wrong("diagonal", f.softmax, floats(4, 3))
def softmax_as_if_elementwise(g: Any, y: Any) -> Any:
    return g * y * (1 - y)


@wrong("missing", f.scale_and_shift, X, floats(5), floats(5, seed=1))
def gamma_without_gradient(g: Any, cache: Any) -> Any:
    _, gamma, _ = cache
    return g * gamma, np.zeros_like(gamma), g.sum(0)


@wrong("shape", f.flattened_affine, floats(4, 2, 3), floats(6, 3), B)
def not_shaped_back(g: Any, cache: Any) -> Any:
    x, w, _ = cache
    return g @ w.T, x.reshape(len(x), -1).T @ g, g.sum(0)


@wrong("accumulation", f.embedding, floats(6, 3), np.array([1, 4, 1, 0]))
def repeated_rows_assigned(g: Any, cache: Any) -> Any:
    table, rows = cache
    d = np.zeros_like(table)
    d[rows] = g
    return d, None
