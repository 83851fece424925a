"""How gradients pass through the layers: where they vanish and where they explode."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from limpid.diagnosis.doctor.facts import Facts, LayerFacts
from limpid.diagnosis.doctor.finding import Finding
from limpid.diagnosis.doctor.rules.progress import begins_badly, falls

# Layers that keep the size of what passes keep that of gradients. Sigmoid layers of the usual
# default take a factor of 0.14 each, rectified ones 0.4: three of the former are harmless.
VANISHED = 1e-6
FADED = 1e-3  # a sign of it only where the loss stays where it is
EXPLODED = 1e4
GROWN = 1e2  # where the loss gets worse, or begins absurdly high
STEEP = 1e3  # times the loss: what a change of all weights by their own size would bring
DEPTH = 4  # layers; with fewer it is a matter of first weights, not of depth


def vanishing(facts: Facts) -> Iterator[Finding]:
    """Gradients that are smaller by orders of magnitude at the first layers."""
    layers = through(facts)
    if len(layers) < DEPTH - 1:
        return
    sizes = np.array([middle(x) for x in layers])
    if np.sum(sizes > 0) < DEPTH - 1:
        return  # what is cut off at once does not fade
    last = int(np.argmax(sizes))
    first = int(np.argmin(sizes[: last + 1]))
    ratio = float(sizes[first] / sizes[last])
    if last - first < DEPTH - 2 or not (ratio < VANISHED or (ratio < FADED and not falls(facts))):
        return
    each = ratio ** (1 / max(last - first, 1))
    yield Finding(
        "vanishing", layers[first].name,
        f"the gradient is {sizes[first]:.2g} at {layers[first].name} and {sizes[last]:.2g} at "
        f"{layers[last].name}: {ratio:.2g} of it, a factor of {each:.2g} for each layer",
        "each layer passes on less than it is given: small weights, or functions that are flat "
        "where they are used",
        "relu instead of sigmoid, He's initialisation, normalisation, or residual connections",
        {"ratio": ratio, "each": each, "layers": last - first},
    )  # fmt: skip


def exploding(facts: Facts) -> Iterator[Finding]:
    """Gradients that grow on the way back, or that are out of proportion to the loss."""
    layers = through(facts)
    sizes = np.array([middle(x) for x in layers])
    if len(layers) > 1 and np.all(sizes > 0):
        last = len(sizes) - 1
        first = int(np.argmax(sizes))
        ratio = float(sizes[first] / sizes[last])
        hurts = not falls(facts) or begins_badly(facts) or steepness(facts) > STEEP
        deep = len(layers) >= DEPTH  # else it takes time steps to grow so far
        if (ratio > EXPLODED and (deep or hurts)) or (ratio > GROWN and deep and hurts):
            each = ratio ** (1 / max(last - first, 1))
            yield Finding(
                "exploding", layers[first].name,
                f"the gradient is {sizes[last]:.2g} at {layers[last].name} and {sizes[first]:.2g} "
                f"at {layers[first].name}: {ratio:.2g} times as large, {each:.2g} for each layer",
                "each layer passes on more than it is given",
                "smaller first weights, normalisation, clip_grad_norm_",
                {"ratio": ratio, "each": each, "layers": last - first},
            )  # fmt: skip
            return
    steep = steepness(facts)
    if steep > STEEP and not falls(facts):
        yield Finding(
            "exploding", facts.source,
            f"‖gradient‖·‖weights‖ is {steep:.2g} times the loss at the first calls",
            "the same weights are used again and again, or layers amplify",
            "clip_grad_norm_, smaller first weights, shorter sequences", {"steepness": steep},
        )  # fmt: skip


def steepness(facts: Facts) -> float:
    """‖gradient‖·‖weights‖ over the loss, in the first calls."""
    trained = [p for p in facts.weights if len(p.gradients) == len(p.weights)]
    if not trained or not facts.losses:
        return 0.0
    calls = min(3, min(len(p.gradients) for p in trained))
    found = [
        sum(p.gradients[t] * p.weights[t] for p in trained) / max(abs(facts.losses[t]), 1e-30)
        for t in range(min(calls, len(facts.losses)))
    ]
    return float(np.median(found)) if found else 0.0


def through(facts: Facts) -> list[LayerFacts]:
    """The layers through whose outputs gradients come, in the order of the program."""
    return [
        x for x in facts.layers.values()
        if x.gradients and np.isfinite(x.gradients).any()
    ]  # fmt: skip


def middle(layer: LayerFacts) -> float:
    """The median over the calls."""
    return float(np.nanmedian(layer.gradients))
