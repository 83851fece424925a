"""HIPS autograd."""

from collections.abc import Callable
from typing import Any

import autograd.numpy as np
from autograd import value_and_grad

from benchmarks.workloads import Chain, Network


def build(work: Network | Chain) -> Callable[[], Any]:
    return chain(work) if isinstance(work, Chain) else network(work)


def network(work: Network) -> Callable[[], Any]:
    parameters = work.parameters()
    x, labels = work.data()
    rows = np.arange(len(labels))

    def loss(layers: list) -> float:
        y = x
        for i, (weight, bias) in enumerate(layers):
            y = np.dot(y, weight.T) + bias
            if i < len(layers) - 1:
                y = np.maximum(y, 0)
        shifted = y - np.max(y, axis=1, keepdims=True)
        logarithm = np.log(np.sum(np.exp(shifted), axis=1))
        return np.mean(logarithm - shifted[rows, labels])

    differentiated = value_and_grad(loss)

    def step() -> Any:
        value, gradients = differentiated(parameters)
        for (weight, bias), (for_weight, for_bias) in zip(parameters, gradients, strict=True):
            weight -= np.float32(work.rate) * for_weight
            bias -= np.float32(work.rate) * for_bias
        return value

    return step


def chain(work: Chain) -> Callable[[], Any]:
    x, w = work.data()

    def total(start: np.ndarray) -> float:
        y = start
        for _ in range(work.operations // 4):
            y = np.sin(np.tanh(y) * w + start)
        return np.sum(y)

    differentiated = value_and_grad(total)
    return lambda: differentiated(x)[0]
