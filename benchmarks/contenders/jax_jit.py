"""JAX: the whole step jitted, parameters donated.

Written as it was found to run fastest: channels last, pooling by a reshape (its gradient is faster
than a window's), weights (out, in), a deep network as a scan.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.workloads import Convolutional, Logistic, Network, Scalars, Workload

Loss = Callable[..., jax.Array]  # of parameters and data
Problem = tuple[Loss, Any, tuple[Any, ...]]  # the loss, the first parameters, the data
DEEP = 8  # layers from which on they are a scan
UNROLL = 4  # iterations of the scan that are compiled as one


def build(work: Workload) -> Callable[[], jax.Array]:
    loss, parameters, data = KINDS[work.kind](work)
    rate = work.rate
    state = jax.tree.map(jnp.array, parameters)
    data = jax.tree.map(jnp.array, data)

    def train(parameters: Any, *data: Any) -> tuple[Any, jax.Array]:
        value, gradients = jax.value_and_grad(loss)(parameters, *data)
        return jax.tree.map(lambda p, g: p - rate * g, parameters, gradients), value

    jitted = jax.jit(train, donate_argnums=0)

    def step() -> jax.Array:
        nonlocal state
        state, value = jitted(state, *data)
        return value.block_until_ready()

    return step


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """As in optax: integer labels, mean over the batch."""
    of_labels = jnp.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    return jnp.mean(jax.nn.logsumexp(logits, axis=1) - of_labels)


def network(work: Network) -> Problem:
    activation = {"relu": jax.nn.relu, "tanh": jnp.tanh}[work.activation]
    if len(work.sizes) > DEEP:
        return deep(work, activation)

    def loss(layers: Any, x: jax.Array, labels: jax.Array) -> jax.Array:
        for weight, bias in layers[:-1]:
            x = activation(x @ weight.T + bias)
        weight, bias = layers[-1]
        return cross_entropy(x @ weight.T + bias, labels)

    return loss, work.parameters(), with_short_labels(work)


def deep(work: Network, activation: Callable[[jax.Array], jax.Array]) -> Problem:
    """Equal layers, stacked."""
    weights, biases = (np.stack(parts) for parts in zip(*work.parameters(), strict=True))

    def layer(x: jax.Array, pair: Any) -> tuple[jax.Array, None]:
        weight, bias = pair
        return activation(x @ weight + bias), None

    def loss(stacked: Any, x: jax.Array, labels: jax.Array) -> jax.Array:
        (inner, last) = stacked
        x, _ = lax.scan(layer, x, inner, unroll=UNROLL)
        return cross_entropy(x @ last[0] + last[1], labels)

    weights = weights.swapaxes(1, 2)  # (layer, in, out)
    stacked = ((weights[:-1], biases[:-1]), (weights[-1], biases[-1]))
    return loss, stacked, with_short_labels(work)


def windows(work: Convolutional) -> Problem:
    space = "HW"[: work.rank]
    images, kernels = f"N{space}C", f"{space}IO"
    axes = (1,) * work.rank

    def loss(parameters: Any, x: jax.Array, labels: jax.Array) -> jax.Array:
        remaining = iter(parameters)
        for kind, *sizes in work.layers:
            if kind == "conv":
                (weight, bias), (padding, dilation) = next(remaining), sizes[3:]
                x = bias + lax.conv_general_dilated(
                    x, weight, axes, [(padding, padding)] * work.rank,
                    rhs_dilation=(dilation,) * work.rank,
                    dimension_numbers=(images, kernels, images),
                )  # fmt: skip
            elif kind == "linear":
                weight, bias = next(remaining)
                x = x @ weight + bias
            else:
                x = LAYERS[kind](x, *sizes)
        return cross_entropy(x, labels)

    x, labels = with_short_labels(work)
    parameters = [(np.moveaxis(w, (0, 1), (-1, -2)), bias) for w, bias in work.parameters()]
    return loss, parameters, (np.moveaxis(x, 1, -1), labels)


def pool(x: jax.Array, size: int) -> jax.Array:
    n, height, width, c = x.shape
    return x.reshape(n, height // size, size, width // size, size, c).max((2, 4))


def flatten(x: jax.Array) -> jax.Array:
    """In the order in which the weights of the other contenders are."""
    return jnp.moveaxis(x, -1, 1).reshape(len(x), -1)


def largest(x: jax.Array) -> jax.Array:
    return x.max(1)


LAYERS: dict[Any, Callable[..., jax.Array]] = {
    "relu": jax.nn.relu,
    "pool": pool,
    "flatten": flatten,
    "largest": largest,
}


def logistic(work: Logistic) -> Problem:
    def loss(parameters: Any, x: jax.Array, classes: jax.Array) -> jax.Array:
        weight, bias = parameters
        z = x @ weight + bias
        softplus = jnp.maximum(z, 0) + jnp.log1p(jnp.exp(-jnp.abs(z)))  # faster than nn's
        return jnp.mean(softplus - classes * z)

    return loss, work.parameters(), work.data()


def scalars(work: Scalars) -> Problem:
    def answer(layers: Any, values: list[jax.Array]) -> jax.Array:
        for layer in layers:
            sums = []
            for weights, total in layer:
                for weight, value in zip(weights, values, strict=True):
                    total = total + weight * value
                sums.append(total)
            values = sums if layer is layers[-1] else [jnp.tanh(s) for s in sums]
        return values[0]

    def loss(layers: Any, samples: Any) -> jax.Array:
        errors = [(answer(layers, values) - target) ** 2 for values, target in samples]
        return sum(errors[1:], errors[0]) / len(errors)

    return loss, work.parameters(), (work.samples(),)


def with_short_labels(work: Network | Convolutional) -> tuple[np.ndarray, np.ndarray]:
    """JAX's integers have 32 bits."""
    x, labels = work.data()
    return x, labels.astype(np.int32)


KINDS: dict[str, Callable[[Any], Problem]] = {
    "network": network,
    "windows": windows,
    "logistic": logistic,
    "scalars": scalars,
}
