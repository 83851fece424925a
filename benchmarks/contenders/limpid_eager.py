"""limpid, eager."""

from collections.abc import Callable

import limpid
from benchmarks.workloads import Chain, Convolutional, Network
from limpid import nn, optim


def network(work: Network) -> Callable[[], float]:
    layers: list[nn.Module] = []
    for weight, bias in work.parameters():
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        layer.load_state_dict({"weight": weight, "bias": bias})
        layers += [layer, nn.ReLU()]
    return training(nn.Sequential(*layers[:-1]), work)


class Largest(nn.Module):
    """The largest over time."""

    def forward(self, x: limpid.Tensor) -> limpid.Tensor:
        return limpid.max(x, axis=-1)


def windows(work: Convolutional) -> Callable[[], float]:
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
    return training(nn.Sequential(*layers), work)


def training(model: nn.Module, work: Network | Convolutional) -> Callable[[], float]:
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
