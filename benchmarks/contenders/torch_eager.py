"""PyTorch, eager."""

import os
from collections.abc import Callable

import torch

from benchmarks.workloads import Chain, Convolutional, Network

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def network(work: Network) -> Callable[[], float]:
    layers: list[torch.nn.Module] = []
    for weight, bias in work.parameters():
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
        layer.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})
        layers += [layer, torch.nn.ReLU()]
    return training(torch.nn.Sequential(*layers[:-1]), work)


class Largest(torch.nn.Module):
    """The largest over time."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.amax(-1)


def windows(
    work: Convolutional, layout: torch.memory_format = torch.contiguous_format
) -> Callable[[], float]:
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
    return training(nn.Sequential(*layers), work, layout)


def training(
    model: torch.nn.Module,
    work: Network | Convolutional,
    layout: torch.memory_format = torch.contiguous_format,
) -> Callable[[], float]:
    optimizer = torch.optim.SGD(model.parameters(), lr=work.rate)
    x, labels = map(torch.tensor, work.data())
    if x.ndim == 4:
        model, x = model.to(memory_format=layout), x.to(memory_format=layout)

    def step() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def chain(work: Chain) -> Callable[[], float]:
    x, w = work.data()
    start, factor = torch.tensor(x, requires_grad=True), torch.tensor(w)

    def step() -> float:
        start.grad = None
        y = start
        for _ in range(work.operations // 4):
            y = torch.sin(torch.tanh(y) * factor + start)
        total = y.sum()
        total.backward()
        return total.item()

    return step
