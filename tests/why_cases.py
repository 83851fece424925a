"""Gradients that are missing, zero or tiny, with the reason that `limpid.why` must name.

Written before `why`. `SEEN` was run while it was made; `UNSEEN` was set aside and run afterwards.
Each case is `build(random)` → Question; the guilty line of the case, where there is one, ends with
`# guilty`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

import limpid
from limpid import nn

Random = np.random.Generator


class Question(NamedTuple):
    """`why(p, loss, **options)` is asked; the answer has this status and kind."""

    p: Any
    loss: Any
    status: str  # "none", "zero", "tiny", "arrives"
    kind: str
    options: Mapping[str, Any] = MappingProxyType({})


Build = Callable[[Random], Question]


def guilty_line(build: Build) -> int | None:
    """The number of the line that the answer must name; None where no line is guilty."""
    lines, first = inspect.getsourcelines(build)
    found = [first + i for i, line in enumerate(lines) if line.rstrip().endswith("# guilty")]
    return found[0] if found else None


def parameter(random: Random, *shape: int, dtype: str = "float64") -> Any:
    return limpid.Parameter(random.standard_normal(shape), dtype=dtype)


def data(random: Random, *shape: int) -> Any:
    return limpid.tensor(random.standard_normal(shape))


# Seen


def detached(random: Random) -> Question:
    x, w, v = data(random, 3, 4), parameter(random, 4, 5), parameter(random, 5)
    h = limpid.tanh(x @ w)
    kept = h.detach()  # guilty
    loss = limpid.sum((kept @ v) ** 2)
    return Question(w, loss, "none", "detached")


def item_as_a_scale(random: Random) -> Question:
    x, w, v = data(random, 3, 4), parameter(random, 4), parameter(random, 4)

    def loss() -> Any:
        scale = limpid.mean(x @ w).item()  # guilty
        return limpid.sum(x @ v) * scale

    return Question(w, loss, "none", "left")


def encoder_in_no_grad(random: Random) -> Question:
    x, w, v = data(random, 3, 4), parameter(random, 4, 5), parameter(random, 5)
    with limpid.no_grad():
        h = x @ w  # guilty
    loss = limpid.sum(limpid.tanh(h) @ v)
    loss.backward()
    return Question(w, loss, "none", "no_grad")


def frozen(random: Random) -> Question:
    x, w, v = data(random, 3, 4), parameter(random, 4, 5), parameter(random, 5)
    w.requires_grad = False
    loss = limpid.sum(limpid.tanh(x @ w) @ v)
    return Question(w, loss, "none", "frozen")


def unused_layer(random: Random) -> Question:
    x = data(random, 3, 4)
    net = nn.ModuleDict(
        {"a": nn.Linear(4, 2, dtype="float64"), "spare": nn.Linear(4, 2, dtype="float64")}
    )
    loss = limpid.sum(net["a"](x) ** 2)
    return Question(net["spare"].weight, loss, "none", "unused")


def rebound_by_its_update(random: Random) -> Question:
    x = data(random, 3, 4)
    p = limpid.tensor(random.standard_normal(4), requires_grad=True)
    for _ in range(2):
        loss = limpid.sum((x @ p) ** 2)
        loss.backward()
        if p.grad is None:
            break
        p = p - 0.1 * p.grad  # guilty
    return Question(p, loss, "none", "replaced")


def dead_rectifiers(random: Random) -> Question:
    x, w, v = data(random, 3, 4), parameter(random, 4, 5), parameter(random, 5)
    h = limpid.relu(x @ w - 1000.0)  # guilty
    loss = limpid.sum((h @ v + 1.0) ** 2)
    return Question(w, loss, "zero", "mask")


def saturated_sigmoid(random: Random) -> Question:
    x = limpid.tensor(np.abs(random.standard_normal((3, 4))) + 1.0)
    w = limpid.Parameter(np.full((4, 2), 400.0))
    y = limpid.sigmoid(x @ w)  # guilty
    loss = limpid.sum((y - 0.5) ** 2)
    return Question(w, loss, "zero", "saturated")


def zero_weights(random: Random) -> Question:
    x, w = data(random, 3, 4), parameter(random, 4, 5)
    v = limpid.Parameter(np.zeros((5, 2)))
    h = limpid.tanh(x @ w)
    y = h @ v  # guilty
    loss = limpid.sum((y - 1.0) ** 2)
    loss.backward()
    return Question(w, loss, "zero", "zero factor")


def integer_cast(random: Random) -> Question:
    x, w, v = data(random, 3, 4), parameter(random, 4, 5), parameter(random, 5)
    level = limpid.astype(3.0 * (x @ w), limpid.int64)  # guilty
    loss = limpid.sum(limpid.astype(level, limpid.float64) @ v)
    return Question(w, loss, "none", "flat")


def underflow_in_half_precision(random: Random) -> Question:
    x = limpid.tensor(random.standard_normal((3, 4)), dtype="float16")
    w = limpid.Parameter(random.standard_normal(4), dtype="float16")
    y = limpid.tanh(x @ w) * 1e-5  # guilty
    loss = limpid.sum(y * 1e-4)
    return Question(w, loss, "zero", "underflow")


def chain_of_sigmoids(random: Random) -> Question:
    w = parameter(random, 5)
    h = w * 0.5
    for _ in range(14):
        h = limpid.sigmoid(h)
    loss = limpid.sum(h)
    return Question(w, loss, "tiny", "small factors")


def other_branch_of_where(random: Random) -> Question:
    w, v = parameter(random, 6), parameter(random, 6)
    y = limpid.where(np.ones(6, bool), v, w * w)  # guilty
    loss = limpid.sum(y * y)
    return Question(w, loss, "zero", "mask")


# Set aside


def numpy_in_the_middle(random: Random) -> Question:
    x, w, v = data(random, 3, 4), parameter(random, 4, 5), parameter(random, 5)

    def normalised(h: Any) -> Any:
        a = h.detach().numpy()  # guilty
        return limpid.tensor((a - a.mean()) / a.std())

    def loss() -> Any:
        return limpid.sum((normalised(x @ w) @ v) ** 2)

    return Question(w, loss, "none", "detached")


def accuracy_as_loss(random: Random) -> Question:
    x, w, v = data(random, 3, 4), parameter(random, 4), parameter(random, 4)
    right = x @ w > 0  # guilty
    loss = limpid.mean(limpid.astype(right, limpid.float64)) + limpid.sum(v * v)
    return Question(w, loss, "none", "flat")


def optimizer_of_an_older_layer(random: Random) -> Question:
    x = data(random, 3, 4)
    net = nn.ModuleDict({"fc": nn.Linear(4, 2, dtype="float64")})
    optimizer = limpid.optim.SGD(net.parameters(), lr=0.1)
    net["fc"] = nn.Linear(4, 2, dtype="float64")
    loss = limpid.sum(net["fc"](x) ** 2)
    loss.backward()
    return Question(net["fc"].weight, loss, "arrives", "optimizer", {"optimizer": optimizer})


def beyond_the_limits_of_clip(random: Random) -> Question:
    w = limpid.Parameter(5.0 + random.random(6))
    y = limpid.clip(w, -1.0, 1.0)  # guilty
    loss = limpid.sum(y * random.standard_normal(6))
    return Question(w, loss, "zero", "mask")


def the_maximum_is_elsewhere(random: Random) -> Question:
    w = limpid.Parameter(random.random(4))
    v = limpid.Parameter(2.0 + random.random(4))
    both = limpid.stack([w, v])
    best = limpid.max(both, axis=0)
    loss = limpid.sum(best * best)
    return Question(w, loss, "zero", "routed")


def nearly_saturated_tanh(random: Random) -> Question:
    x, w, v = data(random, 3, 4), parameter(random, 4, 5), parameter(random, 5)
    h = limpid.tanh(x @ w * 0.001 + 15.0)  # guilty
    loss = limpid.sum(h @ v)
    return Question(w, loss, "tiny", "saturated")


def two_uses_that_cancel(random: Random) -> Question:
    w, v = parameter(random, 4), parameter(random, 4)
    a = limpid.sum(w * v)
    b = limpid.sum(v * w)
    loss = (a - b) + limpid.sum(v * v)
    return Question(w, loss, "zero", "cancels")


def gradient_of_a_computed_tensor(random: Random) -> Question:
    x, w = data(random, 3, 4), parameter(random, 4, 5)
    h = limpid.tanh(x @ w)  # guilty
    loss = limpid.sum(h * h)
    loss.backward()
    return Question(h, loss, "none", "computed")


def cleared_after_backward(random: Random) -> Question:
    x, w = data(random, 3, 4), parameter(random, 4)
    optimizer = limpid.optim.SGD([w], lr=0.1)
    loss = limpid.sum((x @ w) ** 2)
    loss.backward()
    optimizer.zero_grad()
    return Question(w, loss, "arrives", "arrives")


def penalty_switched_off(random: Random) -> Question:
    w, v = parameter(random, 4), parameter(random, 4)
    strength = 0.0
    penalty = limpid.sum(w * w)
    loss = limpid.sum(v * v) + strength * penalty  # guilty
    return Question(w, loss, "zero", "zero factor")


def the_part_that_is_not_read(random: Random) -> Question:
    w, v = parameter(random, 3), parameter(random, 4)
    both = limpid.concat([v, w * w])
    first = both[:4]
    loss = limpid.sum(first * first)
    return Question(w, loss, "zero", "routed")


def replaced_without_a_graph(random: Random) -> Question:
    x = data(random, 3, 4)
    W = limpid.tensor(random.standard_normal(4), requires_grad=True)
    loss = limpid.sum((x @ W) ** 2)
    loss.backward()
    with limpid.no_grad():
        W = W - 0.1 * W.grad  # guilty
    loss = limpid.sum((x @ W) ** 2)
    return Question(W, loss, "none", "replaced")


def state_detached_between_chunks(random: Random) -> Question:
    x, start, w = data(random, 4, 3), parameter(random, 3), parameter(random, 3, 3)
    h = limpid.tanh(start)
    total = limpid.sum(w * w)
    for t in range(4):
        h = limpid.tanh(h @ w + x[t])
        if t == 1:
            h = h.detach()  # guilty
    total = total + limpid.sum(h)
    return Question(start, total, "none", "detached")


SEEN: list[Build] = [
    detached, item_as_a_scale, encoder_in_no_grad, frozen, unused_layer, rebound_by_its_update,
    dead_rectifiers, saturated_sigmoid, zero_weights, integer_cast, underflow_in_half_precision,
    chain_of_sigmoids, other_branch_of_where,
]  # fmt: skip
UNSEEN: list[Build] = [
    numpy_in_the_middle, accuracy_as_loss, optimizer_of_an_older_layer, beyond_the_limits_of_clip,
    the_maximum_is_elsewhere, nearly_saturated_tanh, two_uses_that_cancel,
    gradient_of_a_computed_tensor, cleared_after_backward, penalty_switched_off,
    the_part_that_is_not_read, replaced_without_a_graph, state_detached_between_chunks,
]  # fmt: skip


# Written after `why` was there, to look for what it does not know


def a_number_put_back(random: Random) -> Question:
    x, w, v = data(random, 3, 4), parameter(random, 4), parameter(random, 4)
    scale = float(limpid.mean(x @ w))  # guilty
    loss = limpid.sum(x @ v) * limpid.tensor(scale, dtype="float64")
    return Question(w, loss, "none", "left")


def a_loss_made_of_a_number(random: Random) -> Question:
    x, w = data(random, 3, 4), parameter(random, 4)
    number = limpid.sum((x @ w) ** 2).item()  # guilty
    return Question(w, limpid.tensor(number, requires_grad=True), "none", "left")


def replaced_in_its_module(random: Random) -> Question:
    x = data(random, 3, 4)
    net = nn.ModuleDict({"fc": nn.Linear(4, 2, dtype="float64")})
    old = net["fc"].weight
    limpid.sum(net["fc"](x) ** 2).backward()  # parameters learn their names when a module runs
    net["fc"].weight = parameter(random, 2, 4)
    loss = limpid.sum(net["fc"](x) ** 2)
    return Question(old, loss, "none", "replaced")


def forgotten_by_a_function(random: Random) -> Question:
    class Scaled(limpid.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, factor: Any) -> Any:
            ctx.save_for_backward(factor)
            return x * factor

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.saved_tensors[0], None

    w, v = parameter(random, 4), parameter(random, 4)
    y = Scaled.apply(v, w)  # guilty
    return Question(w, limpid.sum(y * y), "none", "flat")


def an_argmax(random: Random) -> Question:
    w, v = parameter(random, 5), parameter(random, 5)
    k = limpid.argmax(w)  # guilty
    loss = limpid.sum(limpid.one_hot(k, 5) * v)
    return Question(w, loss, "none", "flat")


def hard_tanh_beyond_its_ends(random: Random) -> Question:
    w = limpid.Parameter(9.0 + random.random(4))
    y = limpid.hard_tanh(w)  # guilty
    return Question(w, limpid.sum(y * y * 2.0), "zero", "mask")


def a_certain_cross_entropy(random: Random) -> Question:
    w = limpid.Parameter(np.array([[0.0, 5000.0, 0.0]]) + random.random((1, 3)))
    loss = nn.functional.cross_entropy(w, np.array([1]))  # guilty
    return Question(w, loss, "zero", "saturated")


def max_pooling_elsewhere(random: Random) -> Question:
    w = limpid.Parameter(random.random((1, 1, 2, 2)))
    row = limpid.concat([w, w.detach() + 5.0], axis=3)
    best = limpid.max(row, axis=3)  # guilty
    return Question(w, limpid.sum(best * best), "zero", "routed")


def underflow_in_single_precision(random: Random) -> Question:
    w = limpid.Parameter(random.random(4) + 0.5, dtype="float32")
    small = w * 1e-30  # guilty
    loss = limpid.sum(small * 1e-30)
    return Question(w, loss, "zero", "underflow")


def a_mask_by_multiplication(random: Random) -> Question:
    w, v = parameter(random, 4), parameter(random, 4)
    mask = np.zeros(4)
    loss = limpid.sum(w * mask) + limpid.sum(v * v)  # guilty
    return Question(w, loss, "zero", "zero factor")


def cut_in_one_of_two_layers(random: Random) -> Question:
    x, w, v = data(random, 3, 4), parameter(random, 4, 4), parameter(random, 4, 4)

    def loss() -> Any:
        h = limpid.tanh(x @ v)
        h = limpid.stop_gradient(h)
        h = limpid.tanh(x @ w) + h
        h = limpid.round(h)  # guilty
        return limpid.sum(h @ v)

    return Question(w, loss, "none", "flat")


def a_deep_narrow_network(random: Random) -> Question:
    x, w = data(random, 3, 4), parameter(random, 4, 4)
    h = limpid.tanh(x @ w)
    for _ in range(12):
        h = limpid.tanh(h @ (random.standard_normal((4, 4)) * 0.02))
    return Question(w, limpid.sum(h), "tiny", "small factors")


LATER: list[Build] = [
    a_number_put_back, a_loss_made_of_a_number, replaced_in_its_module, forgotten_by_a_function,
    an_argmax, hard_tanh_beyond_its_ends, a_certain_cross_entropy, max_pooling_elsewhere,
    underflow_in_single_precision, a_mask_by_multiplication, cut_in_one_of_two_layers,
    a_deep_narrow_network,
]  # fmt: skip
