"""MyGrad."""

from collections.abc import Callable

import mygrad
import numpy as np
from mygrad.nnet.losses import softmax_crossentropy

from benchmarks.workloads import Chain, Network


def network(work: Network) -> Callable[[], float]:
    layers = [(mygrad.tensor(w), mygrad.tensor(b)) for w, b in work.parameters()]
    x, labels = work.data()

    def step() -> float:
        y = x
        for i, (weight, bias) in enumerate(layers):
            y = mygrad.matmul(y, weight.T) + bias
            if i < len(layers) - 1:
                y = mygrad.maximum(y, 0)
        loss = softmax_crossentropy(y, labels)
        loss.backward()
        for pair in layers:
            for p in pair:
                p.data -= np.float32(work.rate) * p.grad
                p.null_grad()
        return loss.item()

    return step


def chain(work: Chain) -> Callable[[], float]:
    x, w = work.data()
    start = mygrad.tensor(x)

    def step() -> float:
        start.null_grad()
        y = start
        for _ in range(work.operations // 4):
            y = mygrad.sin(mygrad.tanh(y) * w + start)
        total = y.sum()
        total.backward()
        return total.item()

    return step
