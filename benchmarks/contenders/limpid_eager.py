"""limpid, eager."""

from collections.abc import Callable

import limpid
from benchmarks.workloads import Chain, Network
from limpid import nn, optim


def network(work: Network) -> Callable[[], float]:
    layers: list[nn.Module] = []
    for weight, bias in work.parameters():
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        layer.load_state_dict({"weight": weight, "bias": bias})
        layers += [layer, nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    optimizer = optim.SGD(model.parameters(), lr=work.rate)
    x, labels = map(limpid.tensor, work.data())

    def step() -> float:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def chain(work: Chain) -> Callable[[], float]:
    x, w = work.data()
    start, factor = limpid.tensor(x, requires_grad=True), limpid.tensor(w)

    def step() -> float:
        start.grad = None
        y = start
        for _ in range(work.operations // 4):
            y = limpid.sin(limpid.tanh(y) * factor + start)
        total = limpid.sum(y)
        total.backward()
        return total.item()

    return step
