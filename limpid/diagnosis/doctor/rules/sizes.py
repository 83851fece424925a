"""Sizes that are not as theory has them: of first weights, of inputs, of numbers in short types."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from limpid.diagnosis.doctor.facts import Facts, LayerFacts
from limpid.diagnosis.doctor.finding import Finding
from limpid.diagnosis.doctor.rules.flow import steepness
from limpid.diagnosis.doctor.rules.progress import CALLS as COURSE
from limpid.diagnosis.doctor.rules.progress import bounces, falls
from limpid.diagnosis.doctor.rules.wiring import named

# A layer keeps the size of what it is given if its weights have a standard deviation of 1/√fan-in;
# He's is √2 times that, the usual default 0.58 times. Beyond these a network amplifies or forgets.
LARGE_GAIN = 6.0  # four times He's
LARGE_WHOLE = 20.0  # by which all layers together amplify, where one by one they may be smaller
SMALL_GAIN = 0.1  # a sixth of the usual default
SMALL_WHOLE = 1e-3
# Inputs of size 1 are what initialisations are made for. Pixels from 0 to 255 have about 100;
# counts up to 16, which networks still learn from, have 8.
LARGE_INPUT = 30.0
WORSE = 3.0  # times the loss of guessing, at the first call
STEEP = 30.0  # ‖gradient‖·‖weights‖ over the loss: a squared error of scaled inputs has about 2
CALLS = 3
# Half precision: subnormal numbers have lost digits, below them there is 0.
LOST = 0.5
STUCK = 0.75  # of the elements with a gradient: an update below half a unit in the last place


def initial_scale(facts: Facts) -> Iterator[Finding]:
    """First weights that amplify, that forget, or that are all the same."""
    alike = [p for p in facts.weights if p.alike and p.reached and p.trainable]
    if alike and facts.seen >= CALLS:
        zero = all(p.weights[0] == 0 for p in alike)
        yield Finding(
            "initial-scale", named(alike), f"after {facts.calls} calls all units of "
            f"{len(alike)} layers still have the same weights",
            f"they began with {'zeros' if zero else 'one value'}, so all units of a layer get one "
            "gradient", "random first weights, such as limpid.nn.init.kaiming_normal_",
            {"layers": len(alike)},
        )  # fmt: skip
        return
    layers = [x for x in first_gains(facts) if x[1] > 0]
    if len(layers) < 2:  # nothing is passed on: such weights are only a place to begin
        return
    yield from _too_large(facts, layers)
    yield from _too_small(facts, layers)


def first_gains(facts: Facts) -> list[tuple[LayerFacts, float]]:
    """Layers with √fan-in times the root mean square of their first weights."""
    found = []
    for layer in facts.layers.values():
        weight = facts.parameters.get(layer.weight)
        if weight is None or not weight.weights or "#" in layer.name:
            continue
        size = weight.weights[0] / np.sqrt(max(prod(weight.shape), 1))
        found.append((layer, float(size * np.sqrt(layer.fan_in))))
    return found


def whole_gain(facts: Facts) -> float:
    """The size of what the last layer gives against that of the first one's input."""
    layers = list(facts.layers.values())
    if not layers or not layers[0].inputs:
        return float("nan")
    return layers[-1].outputs[0] / max(layers[0].inputs[0], 1e-30)


def _too_large(facts: Facts, layers: list[tuple[LayerFacts, float]]) -> Iterator[Finding]:
    worst, gain = max(layers, key=lambda x: x[1])
    whole = whole_gain(facts)
    amplifies = worst.outputs[0] > LARGE_GAIN * max(worst.inputs[0], 1e-30) * 0.3
    if gain > LARGE_GAIN and amplifies and (whole > LARGE_GAIN or _saturates(facts)):
        evidence = f"first weights {gain:.3g} times as large as 1/√{worst.fan_in}"
    elif whole > LARGE_WHOLE and gain > 2.0:
        evidence = f"the layers together amplify {whole:.3g} times, the largest {gain:.3g} times"
    else:
        return
    yield Finding(
        "initial-scale", worst.name, evidence,
        "the weights begin too large for the number of inputs of each unit",
        f"a standard deviation of {np.sqrt(2 / worst.fan_in):.3g} (He) or "
        f"{np.sqrt(1 / worst.fan_in):.3g} (LeCun)", {"gain": gain, "whole": whole},
    )  # fmt: skip


def _saturates(facts: Facts) -> bool:
    return any(u.saturated and u.saturated[0] > 0.5 for u in facts.activations.values())


def _too_small(facts: Facts, layers: list[tuple[LayerFacts, float]]) -> Iterator[Finding]:
    small = [(x, gain) for x, gain in layers if gain < SMALL_GAIN]
    if len(small) < 2 or len(facts.layers) < 2:
        return
    ends = list(facts.layers.values())
    kept = ends[-1].varied[0] / max(ends[0].varied[0], 1e-30)  # what arrives at the last layer
    if not kept * min(small[-1][1], 1) < SMALL_WHOLE:
        return
    least, gain = min(small, key=lambda x: x[1])
    yield Finding(
        "initial-scale", least.name,
        f"first weights {gain:.3g} times 1/√{least.fan_in}; what tells examples apart has shrunk "
        f"to {kept:.3g} of its size before the last layer",
        "the weights begin too small: layer by layer the signal, and the gradient, fade",
        f"a standard deviation of {np.sqrt(2 / least.fan_in):.3g} (He) or "
        f"{np.sqrt(1 / least.fan_in):.3g} (LeCun)", {"gain": gain, "kept": kept},
    )  # fmt: skip


def input_scale(facts: Facts) -> Iterator[Finding]:
    """Inputs that are large, or that tell nothing."""
    for layer in facts.layers.values():
        if not layer.raw or not layer.inputs or facts.seen < CALLS:
            continue
        size, varied = float(np.median(layer.inputs)), float(np.median(layer.varied))
        if size > LARGE_INPUT and _harms(facts):
            yield Finding(
                "input-scale", layer.name, f"what comes in has a root mean square of {size:.3g}",
                "inputs are given in their own units, not scaled",
                "subtract the mean and divide by the standard deviation of the training data",
                {"size": size, "variation": varied},
            )  # fmt: skip
            return
        if varied == 0:
            yield Finding(
                "input-scale", layer.name, "all examples of a batch are the same"
                + (": zero everywhere" if size == 0 else ""),
                "what told them apart was lost before: a division of integers, a wrong scale",
                "look at a batch as it is given to the step", {"size": size, "variation": varied},
            )  # fmt: skip
            return


def _harms(facts: Facts) -> bool:
    """Whether training suffers: linear models, and some others, can do with large inputs."""
    if len(facts.losses) < COURSE:
        return False
    at_first = [x.losses[0] / x.chance[0] for x in facts.choices.values() if x.losses]
    losses = np.array(facts.losses)
    confident = bool(at_first) and max(at_first) > WORSE
    bad = confident or _saturates(facts) or steepness(facts) > STEEP
    return bad or not falls(facts) or bounces(losses)


def underflow(facts: Facts) -> Iterator[Finding]:
    """Values, gradients, or updates, below what a type can hold."""
    if facts.vanished_at and facts.has_no_gradient:
        yield Finding(
            "underflow", facts.vanished_at, "what is computed there is 0 everywhere, where float64 "
            f"still has numbers, and every gradient is exactly 0 in {facts.seen} calls",
            "a product of many small factors, or an exponential of very negative numbers",
            "add logarithms in place of multiplying: log_softmax, logsumexp",
        )  # fmt: skip
        return
    layers = [x for x in facts.layers.values() if len(x.lost) >= CALLS]
    faded = [x for x in layers if float(np.median(x.lost)) > LOST]
    if faded and 2 * len(faded) >= len(layers):
        share = float(np.median([np.median(x.lost) for x in faded]))
        yield Finding(
            "underflow", ", ".join(x.name for x in faded[:4]),
            f"{share:.0%} of the gradients' elements that arrive at {len(faded)} of {len(layers)} "
            "layers in half precision lie below the smallest normal number, or are 0 altogether",
            "the gradients are too small for the type",
            "multiply the loss by 1024 or more and divide the gradients by it, or compute in "
            "float32", {"share": share, "layers": len(faded)},
        )  # fmt: skip
        return
    half = [p for p in facts.parameters.values() if len(p.lost) >= CALLS]
    lost = [p for p in half if float(np.median(p.lost)) > LOST]
    if half and 2 * len(lost) >= len(half) and lost:
        share = float(np.median([np.median(p.lost) for p in lost]))
        yield Finding(
            "underflow", named(lost), f"{share:.0%} of the gradients' elements lie below the "
            f"smallest normal number of {lost[0].dtype}, {np.finfo(lost[0].dtype).tiny:.2g}",
            "the gradients are too small for the type",
            "multiply the loss by 1024 or more and divide the gradients by it, or compute in "
            "float32", {"share": share, "parameters": len(lost)},
        )  # fmt: skip
        return
    stuck = [p for p in half if p.written and np.nanmedian([*p.stuck, np.nan]) >= STUCK]
    if half and 2 * len(stuck) >= len(half) and stuck:
        share = float(np.nanmedian([np.nanmedian(p.stuck) for p in stuck]))
        yield Finding(
            "underflow", named(stuck), f"{share:.0%} of the elements stay as they are, though they "
            f"have a gradient", f"updates are below half a unit in the last place of "
            f"{stuck[0].dtype}, and are rounded away",
            "keep the parameters in float32 and compute in float16",
            {"share": share, "parameters": len(stuck)},
        )  # fmt: skip
