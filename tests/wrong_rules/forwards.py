"""Forward functions as lectures write them: NumPy, returning the output and a cache."""

from __future__ import annotations

from typing import Any

import numpy as np


def affine(x: Any, w: Any, b: Any) -> Any:
    return x @ w + b, (x, w, b)


def linear(x: Any, w: Any) -> Any:
    return x @ w, (x, w)


def relu(x: Any) -> Any:
    return np.maximum(x, 0), x


def leaky_relu(x: Any) -> Any:
    return np.where(x > 0, x, 0.1 * x), x


def sigmoid(x: Any) -> Any:
    y = 1 / (1 + np.exp(-x))
    return y, (x, y)


def tanh(x: Any) -> Any:
    y = np.tanh(x)
    return y, (x, y)


def exp(x: Any) -> Any:
    y = np.exp(x)
    return y, (x, y)


def log(x: Any) -> Any:
    return np.log(x), x


def sqrt(x: Any) -> Any:
    y = np.sqrt(x)
    return y, (x, y)


def square(x: Any) -> Any:
    return x * x, x


def sine(x: Any) -> Any:
    return np.sin(x), x


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    y = e / e.sum(-1, keepdims=True)
    return y, y


def cross_entropy(scores: Any, labels: Any) -> Any:
    p, _ = softmax(scores)
    n = len(scores)
    return -np.log(p[np.arange(n), labels]).mean(), (p, labels)


def mean_squared_error(x: Any, y: Any) -> Any:
    return np.mean((x - y) ** 2), (x, y)


def half_squared_error(x: Any, y: Any) -> Any:
    return 0.5 * np.sum((x - y) ** 2), (x, y)


def hinge(scores: Any, labels: Any) -> Any:
    n = len(scores)
    right = scores[np.arange(n), labels][:, None]
    margins = np.maximum(0, scores - right + 1)
    margins[np.arange(n), labels] = 0
    return margins.sum() / n, (margins, labels)


def multiply(a: Any, b: Any) -> Any:
    return a * b, (a, b)


def divide(a: Any, b: Any) -> Any:
    return a / b, (a, b)


def subtract(a: Any, b: Any) -> Any:
    return a - b, (a, b)


def scale_and_shift(x: Any, gamma: Any, beta: Any) -> Any:
    return gamma * x + beta, (x, gamma, beta)


def batch_norm(x: Any, gamma: Any, beta: Any) -> Any:
    deviation = np.sqrt(x.var(0) + 1e-5)
    normal = (x - x.mean(0)) / deviation
    return gamma * normal + beta, (normal, gamma, deviation)


def layer_norm(x: Any) -> Any:
    deviation = np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    normal = (x - x.mean(-1, keepdims=True)) / deviation
    return normal, (normal, deviation)


def affine_relu(x: Any, w: Any, b: Any) -> Any:
    z = x @ w + b
    return np.maximum(z, 0), (x, w, z)


def two_layers(x: Any, w1: Any, w2: Any) -> Any:
    h = np.tanh(x @ w1)
    return h @ w2, (x, w1, w2, h)


def residual(x: Any, w: Any) -> Any:
    h = np.tanh(x @ w)
    return x + h, (x, w, h)


def gate(x: Any) -> Any:
    s = 1 / (1 + np.exp(-x))
    return x * s, (x, s)


def recurrent_step(x: Any, h: Any, wx: Any, wh: Any, b: Any) -> Any:
    new = np.tanh(x @ wx + h @ wh + b)
    return new, (x, h, wx, wh, new)


def total(x: Any) -> Any:
    return np.sum(x, 0), x


def mean(x: Any) -> Any:
    return np.mean(x, 0), x


def cumulative_sum(x: Any) -> Any:
    return np.cumsum(x, -1), x


def shift_right(x: Any) -> Any:
    return np.roll(x, 1, -1), x


def reverse(x: Any) -> Any:
    return x[..., ::-1] * 2.0, x


def difference(x: Any) -> Any:
    return x[..., 1:] - x[..., :-1], x


def joined(a: Any, b: Any) -> Any:
    return np.concatenate([a, b], -1), (a, b)


def embedding(table: Any, rows: Any) -> Any:
    return table[rows], (table, rows)


def norm(x: Any) -> Any:
    y = np.sqrt((x * x).sum())
    return y, (x, y)


def convolution(x: Any, k: Any) -> Any:
    n = len(x) - len(k) + 1
    return np.array([x[i : i + len(k)] @ k for i in range(n)]), (x, k)


def max_pool(x: Any) -> Any:
    """Pairs of neighbours in the last axis."""
    pairs = x.reshape(*x.shape[:-1], -1, 2)
    return pairs.max(-1), (x, pairs)


def attention(q: Any, k: Any, v: Any) -> Any:
    p, _ = softmax(q @ k.T)
    return p @ v, (q, k, v, p)


def dropout(x: Any, kept: Any) -> Any:
    """With inverted scaling; kept: 1 where a unit stays, with a chance of 0.8."""
    return x * kept / 0.8, kept


def quadratic_form(x: Any, a: Any) -> Any:
    return x @ a @ x, (x, a)


def cube(x: Any) -> Any:
    return x**3, x


def softplus(x: Any) -> Any:
    return np.log1p(np.exp(x)), x


def log_sum_exp(x: Any) -> Any:
    top = x.max(-1, keepdims=True)
    y = np.log(np.exp(x - top).sum(-1)) + top[..., 0]
    return y, (x, y)


def outer(a: Any, b: Any) -> Any:
    return np.outer(a, b), (a, b)


def clip(x: Any) -> Any:
    return np.clip(x, -0.8, 0.8), x


def absolute(x: Any) -> Any:
    return np.abs(x), x


def penalty(w: Any) -> Any:
    return 0.5 * 0.3 * np.sum(w * w), w


def regularised(x: Any, w: Any) -> Any:
    y = x @ w
    return np.sum(y * y) / len(x) + 0.1 * np.sum(w * w), (x, w, y)


def average_pool(x: Any) -> Any:
    return x.reshape(*x.shape[:-1], -1, 2).mean(-1), x


def reciprocal(x: Any) -> Any:
    y = 1 / x
    return y, (x, y)


def flattened_affine(x: Any, w: Any, b: Any) -> Any:
    rows = x.reshape(len(x), -1)
    return rows @ w + b, (x, w, b)


def product(x: Any) -> Any:
    y = np.prod(x, -1)
    return y, (x, y)


def transpose(x: Any) -> Any:
    return x.T * 3.0, x
