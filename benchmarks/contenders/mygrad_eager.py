"""MyGrad."""

from collections.abc import Callable

import mygrad
import numpy as np
from mygrad.nnet.losses import softmax_crossentropy

from benchmarks.workloads import Chain, Network


def build(work: Network | Chain) -> Callable[[], mygrad.Tensor]:
    return chain(work) if isinstance(work, Chain) else network(work)


def network(work: Network) -> Callable[[], mygrad.Tensor]:
    layers = [(mygrad.tensor(w), mygrad.tensor(b)) for w, b in work.parameters()]
    x, labels = work.data()

    def step() -> mygrad.Tensor:
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
        return loss

    return step


def chain(work: Chain) -> Callable[[], mygrad.Tensor]:
    x, w = work.data()
    start = mygrad.tensor(x)

    def step() -> mygrad.Tensor:
        start.null_grad()
        y = start
        for _ in range(work.operations // 4):
            y = mygrad.sin(mygrad.tanh(y) * w + start)
        total = y.sum()
        total.backward()
        return total

    return step
