"""PyTorch, eager."""

import os
from collections.abc import Callable

import torch

from benchmarks.workloads import Chain, Network

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def network(work: Network) -> Callable[[], float]:
    layers: list[torch.nn.Module] = []
    for weight, bias in work.parameters():
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
        layer.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})
        layers += [layer, torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.SGD(model.parameters(), lr=work.rate)
    x, labels = map(torch.tensor, work.data())

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
