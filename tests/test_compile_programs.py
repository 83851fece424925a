"""Steps of many kinds, compiled and not: the same bits in results, state and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn, optim
from tests.compiled import assert_same

BATCHES = np.random.default_rng(0).normal(size=(4, 4, 3)).astype(np.float32)
Made = tuple[Callable[..., Any], Any]  # a step, and what holds its state


def weight() -> Any:
    return limpid.Parameter(np.ones(3, np.float32))


def descent(loss: Callable[[Any], Any], *modules: Any) -> Callable[[Any], Any]:
    """A step of gradient descent."""
    optimizer = optim.SGD([p for m in modules for p in m.parameters()], lr=0.1, momentum=0.5)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        found = loss(x)
        found.backward()
        optimizer.step()
        return found

    return step


def by_hand(loss: Callable[[Any, Any], Any]) -> Made:
    """The same without an optimiser."""
    w = weight()

    def step(x: Any) -> Any:
        w.grad = None
        found = loss(w, x)
        found.backward()
        limpid.assign(w, w - 0.01 * w.grad)
        return found

    return step, w


def a_rate_that_the_step_lowers() -> Made:
    w = weight()
    optimizer = optim.SGD([w], lr=0.5)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        limpid.sum((x * w) ** 2).backward()
        optimizer.step()
        optimizer.param_groups[0]["lr"] *= 0.9
        return w.grad

    return step, w


def a_penalty_on_the_gradient() -> Made:
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))

    def loss(x: Any) -> Any:
        g = limpid.grad(lambda x: limpid.sum(net(x)))(x)
        return limpid.sum((limpid.sqrt(limpid.sum(g * g, axis=1) + 1e-8) - 1) ** 2)

    return descent(loss, net), net


def a_closure() -> Made:
    net = nn.Linear(3, 1)
    optimizer = optim.SGD(net.parameters(), lr=0.1)

    def step(x: Any) -> Any:
        def closure() -> Any:
            optimizer.zero_grad()
            loss = limpid.sum(net(x) ** 2)
            loss.backward()
            return loss

        return optimizer.step(closure)

    return step, net


def tied_weights() -> Made:
    net = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
    net[2].weight = net[0].weight
    return descent(lambda x: limpid.sum(net(x) ** 2), net), net


def recomputation() -> Made:
    body = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5), nn.Tanh())
    head = nn.Linear(3, 1)
    again = limpid.recompute(lambda x: body(x))
    return descent(lambda x: limpid.sum(head(again(x)) ** 2), body, head), body


class Cube(limpid.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return limpid.asarray(x.numpy() ** 3)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x * x


def a_function_of_the_users() -> Made:
    return by_hand(lambda w, x: limpid.sum(Cube.apply(x * w)))


def a_condition() -> Made:
    def loss(w: Any, x: Any) -> Any:
        small, large = (lambda x: limpid.sum(x * w)), (lambda x: limpid.sum(x * w * w))
        return limpid.cond(limpid.sum(x) > 0, large, small, x)

    return by_hand(loss)


def a_moving_average() -> Made:
    net, slow = nn.Linear(3, 2), nn.Linear(3, 2).requires_grad_(False)
    train = descent(lambda x: limpid.sum((net(x) - slow(x) + 1) ** 2), net)

    def step(x: Any) -> Any:
        loss = train(x)
        with limpid.no_grad():
            for p, q in zip(net.parameters(), slow.parameters(), strict=True):
                q *= 0.9
                q += 0.1 * p
        return loss, list(slow.parameters()), loss.detach()

    return step, slow


def gradients_of_what_was_computed() -> Made:
    w = weight()

    def step(x: Any) -> Any:
        w.grad = None
        y = x * w
        y.retain_grad()
        limpid.sum(y * y).backward()
        return y.grad, w.grad

    return step, w


def transforms() -> Made:
    def step(x: Any) -> Any:
        return (
            limpid.jacobian(lambda v: limpid.tanh(v) * v)(x[0]),
            limpid.hessian(lambda v: limpid.sum(v**3))(x[0]),
            limpid.vjp(limpid.sin, x)[1](x),
            limpid.jvp(limpid.sin, (x,), (x,)),
        )

    return step, None


def a_mean_of_all_batches() -> Made:
    norm = nn.BatchNorm1d(3, momentum=None)
    return norm, norm


def results_of_every_kind() -> Made:
    w = weight()

    def step(x: Any) -> Any:
        y = x * w
        with limpid.no_grad():
            closed = y * 2
        return {
            "y": y, "detached": y.detach(), "w": w, "closed": closed, "twice": [x, x],
            "indices": limpid.argmax(y, axis=1), "mask": y > 0, "number": 3, "nothing": None,
        }  # fmt: skip

    return step, w


KINDS = [
    a_rate_that_the_step_lowers, a_penalty_on_the_gradient, a_closure, tied_weights, recomputation,
    a_function_of_the_users, a_condition, a_moving_average, gradients_of_what_was_computed,
    transforms, a_mean_of_all_batches, results_of_every_kind,
]  # fmt: skip


def seen(value: Any) -> Any:
    """What can be seen of a result: values, and whether they carry gradients."""
    if isinstance(value, limpid.Tensor):
        return value.requires_grad, np.array(value.detach())
    if isinstance(value, dict):
        return {key: seen(part) for key, part in value.items()}
    return [seen(part) for part in value] if isinstance(value, tuple | list) else value


def state_of(holder: Any) -> Any:
    return holder.state_dict() if isinstance(holder, nn.Module) else seen(holder)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_step(kind: Callable[[], Made]) -> None:
    logs = []
    for compiled in (False, True):
        limpid.manual_seed(0)
        step, holder = kind()
        run = limpid.compile(step) if compiled else step
        logs.append([(seen(run(limpid.tensor(x))), state_of(holder)) for x in BATCHES])
    assert_same(logs[1], logs[0], 100)
    assert run.count == 1, run.why_recompiled()
    run.verify(BATCHES[0])
