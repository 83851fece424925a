"""Wrong backward functions written last, to see how the checker does with what it never saw."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.wrong_rules import forwards as f
from tests.wrong_rules.case import Cases, floats, positive

CASES = Cases()
wrong = CASES.wrong
X = floats(5, 4, seed=31)


@wrong("mean", f.batch_norm, X, positive(4, seed=31), floats(4, seed=32))
def batch_norm_sum_of_products(g: Any, cache: Any) -> Any:
    normal, gamma, deviation = cache
    d = g * gamma
    dx = (d - d.mean(0) - normal * (d * normal).sum(0)) / deviation
    return dx, (g * normal).sum(0), g.sum(0)


@wrong("chain", f.scale_and_shift, X, floats(4, seed=33), floats(4, seed=34))
def gamma_without_its_input(g: Any, cache: Any) -> Any:
    _, gamma, _ = cache
    return g * gamma, g.sum(0), g.sum(0)


@wrong("chain|mask missing|elements", f.dropout, X, np.array([1, 0, 1, 1]))
def dropout_mask_left_out(g: Any, kept: Any) -> Any:
    return g / 0.8, None


def gated(x: Any, h: Any, w: Any) -> Any:
    """A forget gate: h σ(x w)."""
    s = 1 / (1 + np.exp(-(x @ w)))
    return h * s, (x, h, w, s)


GATED = X, floats(5, 6, seed=35), floats(4, 6, seed=36)


@wrong("chain", gated, *GATED)
def forget_gate_half(g: Any, cache: Any) -> Any:
    x, h, w, s = cache
    d = g * h * s
    return d @ w.T, g * s, x.T @ d


@wrong("swapped|chain|missing", gated, *GATED)
def gate_and_memory_exchanged(g: Any, cache: Any) -> Any:
    x, h, w, s = cache
    d = g * s * s * (1 - s)
    return d @ w.T, g * h, x.T @ d


@wrong("sign|elements", f.cross_entropy, floats(5, 3, seed=37), np.array([0, 2, 1, 1, 0]))
def label_added(g: Any, cache: Any) -> Any:
    p, labels = cache
    d = p.copy()
    d[np.arange(len(p)), labels] += 1
    return g * d / len(p), None


@wrong("factor", f.regularised, X, floats(4, 3, seed=38))
def penalty_without_two(g: Any, cache: Any) -> Any:
    x, w, y = cache
    d = 2 * g * y / len(x)
    return d @ w.T, x.T @ d + 0.1 * g * w


def largest(x: Any) -> Any:
    return x.max(-1), x


@wrong("chain|mask missing|diagonal|elements", largest, X)
def maximum_to_all(g: Any, x: Any) -> Any:
    return np.repeat(g[:, None], x.shape[1], 1)


def bilinear(x: Any, a: Any, y: Any) -> Any:
    return x @ a @ y, (x, a, y)


@wrong("transposed", bilinear, floats(4, seed=39), floats(4, 3, seed=39), floats(3, seed=39))
def bilinear_matrix_turned(g: Any, cache: Any) -> Any:
    x, a, y = cache
    return g * a @ y, g * np.outer(y, x), g * a.T @ x


@wrong("transposed|moved", bilinear, floats(4, seed=39), floats(4, 4, seed=39), floats(4, seed=40))
def bilinear_square_matrix_turned(g: Any, cache: Any) -> Any:
    x, a, y = cache
    return g * a @ y, g * np.outer(y, x), g * a.T @ x


def batched(a: Any, b: Any) -> Any:
    return a @ b, (a, b)


@wrong("transposed", batched, floats(3, 4, 5, seed=41), floats(3, 5, 6, seed=41))
def batched_factor_turned(g: Any, cache: Any) -> Any:
    a, b = cache
    return g @ b.swapaxes(1, 2), g.swapaxes(1, 2) @ a


@wrong("unsummed", batched, floats(3, 4, 5, seed=41), floats(5, 6, seed=41))
def shared_factor_not_summed(g: Any, cache: Any) -> Any:
    a, b = cache
    return g @ b.T, a.swapaxes(1, 2) @ g


def grid(a: Any, b: Any) -> Any:
    return a[:, None] * b[None, :], (a, b)


@wrong("wrong axis", grid, floats(4, seed=42), floats(4, seed=43))
def grid_summed_over_the_own_axis(g: Any, cache: Any) -> Any:
    a, b = cache
    return (g * b[None, :]).sum(0), (g * a[:, None]).sum(0)


@wrong("chain", f.tanh, X)
def tanh_without_the_square(g: Any, cache: Any) -> Any:
    return g * (1 - cache[1])


def squared_hinge(m: Any) -> Any:
    return np.maximum(0, 1 - m) ** 2, m


@wrong("factor", squared_hinge, X)
def squared_hinge_without_two(g: Any, m: Any) -> Any:
    return -g * np.maximum(0, 1 - m)


@wrong("sign", squared_hinge, X)
def squared_hinge_positive(g: Any, m: Any) -> Any:
    return 2 * g * np.maximum(0, 1 - m)


def binary_cross_entropy(z: Any, t: Any) -> Any:
    p = 1 / (1 + np.exp(-z))
    return -np.mean(t * np.log(p) + (1 - t) * np.log(1 - p)), (p, t)


TARGETS = np.array([[1, 0, 1, 1], [0, 0, 1, 0], [1, 1, 0, 0], [0, 1, 0, 1], [1, 0, 0, 1]])


@wrong("sign", binary_cross_entropy, X, TARGETS)
def target_minus_probability(g: Any, cache: Any) -> Any:
    p, t = cache
    return g * (t - p) / t.size, None


@wrong("mean", binary_cross_entropy, X, TARGETS)
def divided_by_the_batch_only(g: Any, cache: Any) -> Any:
    p, t = cache
    return g * (p - t) / len(t), None


@wrong("accumulation|sign|chain", binary_cross_entropy, X, TARGETS)
def only_the_positive_term(g: Any, cache: Any) -> Any:
    p, t = cache
    return -g * t * (1 - p) / t.size, None


def normalised(x: Any) -> Any:
    length = np.sqrt((x * x).sum(-1, keepdims=True))
    return x / length, (x, length)


@wrong("accumulation|diagonal", normalised, X)
def length_as_a_constant(g: Any, cache: Any) -> Any:
    _, length = cache
    return g / length


def gelu(x: Any) -> Any:
    t = np.tanh(0.8 * (x + 0.045 * x**3))
    return 0.5 * x * (1 + t), (x, t)


@wrong("accumulation", gelu, X)
def gelu_without_the_slope_of_the_gate(g: Any, cache: Any) -> Any:
    _, t = cache
    return g * 0.5 * (1 + t)


@wrong("accumulation", gelu, X)
def gelu_inner_cube_forgotten(g: Any, cache: Any) -> Any:
    x, t = cache
    return g * 0.5 * (1 + t + x * (1 - t * t) * 0.8)


def log_softmax(x: Any) -> Any:
    y = x - x.max(-1, keepdims=True)
    y = y - np.log(np.exp(y).sum(-1, keepdims=True))
    return y, y


@wrong("upstream", log_softmax, X)
def log_softmax_second_term_alone(g: Any, y: Any) -> Any:
    return g - np.exp(y)


@wrong("accumulation", log_softmax, X)
def log_softmax_without_the_sum(g: Any, y: Any) -> Any:
    return g.copy()


def doubled(x: Any) -> Any:
    return np.repeat(x, 2, -1), x


@wrong("accumulation", doubled, X)
def one_of_the_copies(g: Any, x: Any) -> Any:
    return g[:, ::2].copy()


def padded(x: Any) -> Any:
    return np.pad(x, 1), x


@wrong("shape", padded, X)
def padding_not_taken_off(g: Any, x: Any) -> Any:
    return g


@wrong("moved", padded, X)
def taken_off_at_one_end(g: Any, x: Any) -> Any:
    return g[2:, 2:]


def turned(x: Any) -> Any:
    return np.swapaxes(x, 0, 1) * 2.0, x


@wrong("moved|shape|transposed", turned, X)
def reshaped_in_place_of_turned(g: Any, x: Any) -> Any:
    return 2.0 * g.reshape(x.shape)


def twice_the_same(x: Any, w: Any) -> Any:
    h = np.tanh(x @ w)
    return h @ w, (x, w, h)


@wrong("accumulation", twice_the_same, X, floats(4, 4, seed=44))
def shared_weight_once(g: Any, cache: Any) -> Any:
    x, w, h = cache
    d = (g @ w.T) * (1 - h * h)
    return d @ w.T, x.T @ d


def variance(x: Any) -> Any:
    return x.var(0), x


@wrong("mean", variance, X)
def variance_not_divided(g: Any, x: Any) -> Any:
    return 2 * g * (x - x.mean(0))


@wrong("accumulation|elements|unknown", variance, X)
def variance_about_zero(g: Any, x: Any) -> Any:
    return 2 * g * x / len(x)
