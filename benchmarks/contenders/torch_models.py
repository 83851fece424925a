"""The workloads in PyTorch, eager or compiled."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional

from benchmarks.workloads import Chain, Convolutional, Logistic, Network, Scalars, Workload

Step = Callable[[], torch.Tensor]
torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def training_step(
    work: Workload,
    layout: torch.memory_format = torch.contiguous_format,
    compiled: bool = False,
) -> Step:
    """One step. Compiled are the loss with its gradients, and the update."""
    if isinstance(work, Chain):
        return chain(work)
    loss, parameters = KINDS[work.kind](work, layout)
    optimizer = torch.optim.SGD(parameters, lr=work.rate)
    update: Callable[[], Any] = optimizer.step
    if compiled:
        loss, update = torch.compile(loss), torch.compile(update)

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        update()
        return value

    return step


Problem = tuple[Callable[[], torch.Tensor], Sequence[torch.Tensor]]  # the loss; parameters


def network(work: Network, layout: torch.memory_format) -> Problem:
    activation = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[work.activation]
    layers: list[torch.nn.Module] = []
    for weight, bias in work.parameters():
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
        layer.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})
        layers += [layer, activation()]
    return classifying(torch.nn.Sequential(*layers[:-1]), work, layout)


class Largest(torch.nn.Module):
    """The largest over time."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.amax(-1)


def windows(work: Convolutional, layout: torch.memory_format) -> Problem:
    nn = torch.nn
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
            layer.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})
    return classifying(nn.Sequential(*layers), work, layout)


def classifying(
    model: torch.nn.Module, work: Network | Convolutional, layout: torch.memory_format
) -> Problem:
    x, labels = map(torch.tensor, work.data())
    if x.ndim == 4:
        model, x = model.to(memory_format=layout), x.to(memory_format=layout)
    return lambda: functional.cross_entropy(model(x), labels), list(model.parameters())


def logistic(work: Logistic, layout: torch.memory_format) -> Problem:
    weight, bias = (torch.tensor(p, requires_grad=True) for p in work.parameters())
    x, classes = map(torch.tensor, work.data())

    def loss() -> torch.Tensor:
        return functional.binary_cross_entropy_with_logits(x @ weight + bias, classes)

    return loss, [weight, bias]


def scalars(work: Scalars, layout: torch.memory_format) -> Problem:
    layers = [
        [([parameter(w) for w in weights], parameter(bias)) for weights, bias in layer]
        for layer in work.parameters()
    ]
    samples = [([torch.tensor(v) for v in x], torch.tensor(t)) for x, t in work.samples()]

    def answer(values: list[torch.Tensor]) -> torch.Tensor:
        for layer in layers:
            sums = []
            for weights, total in layer:
                for weight, value in zip(weights, values, strict=True):
                    total = total + weight * value
                sums.append(total)
            values = sums if layer is layers[-1] else [torch.tanh(s) for s in sums]
        return values[0]

    def loss() -> torch.Tensor:
        errors = [(answer(values) - target) ** 2 for values, target in samples]
        return sum(errors[1:], errors[0]) / len(errors)

    return loss, [p for layer in layers for weights, bias in layer for p in (*weights, bias)]


def parameter(number: Any) -> torch.Tensor:
    return torch.tensor(number, requires_grad=True)


def chain(work: Chain) -> Step:
    x, w = work.data()
    start, factor = torch.tensor(x, requires_grad=True), torch.tensor(w)

    def step() -> torch.Tensor:
        start.grad = None
        y = start
        for _ in range(work.operations // 4):
            y = torch.sin(torch.tanh(y) * factor + start)
        total = y.sum()
        total.backward()
        return total

    return step


KINDS: dict[str, Callable[..., Problem]] = {
    "network": network,
    "windows": windows,
    "logistic": logistic,
    "scalars": scalars,
}
