"""The workloads in limpid: a function that takes one training step, and what it is called with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import limpid
from benchmarks.workloads import Chain, Convolutional, Logistic, Network, Scalars, Workload
from limpid import nn, optim

Step = tuple[Callable[..., limpid.Tensor], tuple[Any, ...]]


def training_step(work: Workload) -> Step:
    """The function and its arguments."""
    return KINDS[work.kind](work)


def network(work: Network) -> Step:
    activation = {"relu": nn.ReLU, "tanh": nn.Tanh}[work.activation]
    layers: list[nn.Module] = []
    for weight, bias in work.parameters():
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        layer.load_state_dict({"weight": weight, "bias": bias})
        layers += [layer, activation()]
    return classifying(nn.Sequential(*layers[:-1]), work)


class Largest(nn.Module):
    """The largest over time."""

    def forward(self, x: limpid.Tensor) -> limpid.Tensor:
        return limpid.max(x, axis=-1)


def windows(work: Convolutional) -> Step:
    conv, pool = ((nn.Conv1d, nn.MaxPool1d), (nn.Conv2d, nn.MaxPool2d))[work.rank - 1]
    made = {
        "conv": lambda i, o, k, p, d: conv(i, o, k, padding=p, dilation=d),
        "relu": nn.ReLU, "pool": pool, "flatten": nn.Flatten, "linear": nn.Linear,
        "largest": Largest,
    }  # fmt: skip
    layers = [made[kind](*sizes) for kind, *sizes in work.layers]
    parameters = iter(work.parameters())
    for layer in layers:
        if list(layer.parameters()):
            weight, bias = next(parameters)
            layer.load_state_dict({"weight": weight, "bias": bias})
    return classifying(nn.Sequential(*layers), work)


def classifying(model: nn.Module, work: Network | Convolutional) -> Step:
    optimizer = optim.SGD(model.parameters(), lr=work.rate)

    def train(x: limpid.Tensor, labels: limpid.Tensor) -> limpid.Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    return train, tuple(map(limpid.tensor, work.data()))


def logistic(work: Logistic) -> Step:
    weight, bias = map(limpid.Parameter, work.parameters())
    optimizer = optim.SGD([weight, bias], lr=work.rate)

    def train(x: limpid.Tensor, classes: limpid.Tensor) -> limpid.Tensor:
        optimizer.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(x @ weight + bias, classes)
        loss.backward()
        optimizer.step()
        return loss

    return train, tuple(map(limpid.tensor, work.data()))


def scalars(work: Scalars) -> Step:
    layers = [
        [
            ([limpid.Parameter(w) for w in weights], limpid.Parameter(bias))
            for weights, bias in layer
        ]
        for layer in work.parameters()
    ]
    every = [p for layer in layers for weights, bias in layer for p in (*weights, bias)]
    optimizer = optim.SGD(every, lr=work.rate)

    def answer(values: list[Any]) -> Any:
        for layer in layers:
            sums = []
            for weights, total in layer:
                for weight, value in zip(weights, values, strict=True):
                    total = total + weight * value
                sums.append(total)
            values = sums if layer is layers[-1] else [limpid.tanh(s) for s in sums]
        return values[0]

    def train(samples: list[tuple[list[limpid.Tensor], limpid.Tensor]]) -> limpid.Tensor:
        optimizer.zero_grad()
        errors = [(answer(values) - target) ** 2 for values, target in samples]
        loss = sum(errors[1:], errors[0]) / len(errors)
        loss.backward()
        optimizer.step()
        return loss

    samples = [([limpid.tensor(v) for v in x], limpid.tensor(t)) for x, t in work.samples()]
    return train, (samples,)


def chain(work: Chain) -> Step:
    x, w = work.data()
    start, factor = limpid.tensor(x, requires_grad=True), limpid.tensor(w)

    def train() -> limpid.Tensor:
        start.grad = None
        y = start
        for _ in range(work.operations // 4):
            y = limpid.sin(limpid.tanh(y) * factor + start)
        total = limpid.sum(y)
        total.backward()
        return total

    return train, ()


KINDS: dict[str, Callable[[Any], Step]] = {
    "network": network,
    "windows": windows,
    "logistic": logistic,
    "scalars": scalars,
    "chain": chain,
}
