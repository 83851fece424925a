"""Whether anything is learnt: the loss over the calls, and the size of the updates."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from limpid.diagnosis.doctor.facts import Facts, ParameterFacts
from limpid.diagnosis.doctor.finding import Finding
from limpid.diagnosis.doctor.rules.wiring import named
from limpid.graph.node import Array

CALLS = 16  # losses, with fewer nothing is said of their course
FALL = 0.02  # of the first losses: what counts as falling
SLOW = 0.005  # of them: less is no progress at all
RISE = 0.1  # of them: what counts as rising
COHERENT = 0.5  # gradients that are only the noise of batches, as at a minimum, have 1/√calls
SPREAD = 2.0  # standard errors by which a difference stands out from the noise of batches
CHANCE = 0.97  # of the entropy of the labels
ABSURD = 30.0  # times it, at the first call: scores that are surer than anything
STILL = 0.05  # of it: by which the latest losses may still differ, between the noise of batches
# Updates of a thousandth of the weights are usual. Adam's first ones are the learning rate for
# each element, a tenth of the weights of a narrow layer with 0.01.
LARGE = 0.5
REPLACED = 1.0  # one such update leaves nothing of a weight
ROUGH = 3  # calls in which an update is that large
SMALL = 1e-5
STEEP = 0.02  # ‖gradient‖·‖weights‖ over the loss: with less there is nothing left to gain


def falls(facts: Facts) -> bool:
    """Whether the loss is clearly lower at the end; so it counts where too few are known."""
    losses = np.array(facts.losses)
    if facts.by_epoch and len(losses) > 1:  # means over an epoch have little noise
        return bool(np.isfinite(losses).all() and losses[-1] < (1 - FALL / 2) * losses[0])
    if len(losses) < CALLS:
        return bool(np.all(np.isfinite(losses)))
    if not np.all(np.isfinite(losses)):
        return False
    first, last, error = ends(losses)
    return first - last > max(FALL * abs(first), SPREAD * error)


def begins_badly(facts: Facts) -> bool:
    """Whether the first loss of classes is far above that of guessing."""
    return any(x.losses[0] > ABSURD * x.chance[0] for x in facts.choices.values() if x.losses)


def ends(losses: Array) -> tuple[float, float, float]:
    """The mean of the first and of the last fifth, and the standard error of their difference.

    The noise is that of the later half: what falls at the beginning is no noise.
    """
    n = max(3, len(losses) // 5)
    later = losses[len(losses) // 2 :]
    return float(losses[:n].mean()), float(losses[-n:].mean()), float(later.std() * np.sqrt(2 / n))


def loss_not_falling(facts: Facts) -> Iterator[Finding]:
    """The loss is not lower at the end, though there is a slope."""
    losses = np.array(facts.losses)
    if not facts.takes_gradient:
        return
    bad = np.flatnonzero(~np.isfinite(losses))
    if bad.size:
        yield _course(
            f"the loss is {losses[bad[0]]} from call {bad[0] + 1} on", "training diverged",
            "a smaller learning rate; limpid.trace_nans() finds where it begins", losses,
        )  # fmt: skip
        return
    spoilt = [p for p in facts.parameters.values() if not np.all(np.isfinite(p.updates))]
    if spoilt and not facts.by_epoch:
        yield _course(
            f"an update gave {named(spoilt)} values that are not finite", "a gradient was NaN or "
            "infinite", "limpid.trace_nans() finds where it begins", losses,
        )  # fmt: skip
        return
    if len(losses) < CALLS:
        return
    course = np.array(_uphill(facts) or losses)
    first, last, error = ends(course)
    n = max(3, len(course) // 5)
    apart = course[-n:].min() > course[:n].max()
    rises = last - first > RISE * abs(first) and (apart or last - first > SPREAD * error)
    creeps = first - last > max(SLOW * abs(first), SPREAD * error)
    if not rises and (
        falls(facts) or creeps or slope(facts) < STEEP or coherence(facts) < COHERENT
    ):
        return
    yield _course(
        f"the loss was {first:.4g} in the first calls and is {last:.4g} in the latest of "
        f"{len(losses)}",
        "steps go the wrong way (a sign), or are too large" if rises
        else "steps lead nowhere: too large, too small, or nothing to be learnt from the data",
        "look at the sign of the loss and of the update; another learning rate, ten times "
        "smaller or larger", losses,
    )  # fmt: skip


def _uphill(facts: Facts) -> list[float] | None:
    """The course of a loss of classes that rises, though something else may fall, such as −loss."""
    for choice in facts.choices.values():
        course = [x / max(c, 1e-3) for x, c in zip(choice.losses, choice.chance)]
        if len(course) >= 6 and np.all(np.isfinite(course)):
            first, last, _ = ends(np.array(course))
            if last > max(1.0, 2 * first):  # far worse than guessing
                return choice.losses
    return None


def coherence(facts: Facts, later: bool = False) -> float:
    """‖Σ gradient‖ / Σ ‖gradient‖: 1 where all calls agree, about 1/√calls where it is noise.

    Of all calls looked at, or of the later half of them.
    """
    calls = facts.seen
    known = [p for p in facts.weights if len(p.samples) == calls and sum(p.gradients) > 0]
    if not known:
        return 1.0
    rows = np.array([np.concatenate([p.samples[t] for p in known]) for t in range(calls)])
    rows = rows[calls // 2 :] if later else rows
    parts = np.sqrt(np.sum(rows**2, axis=1)).sum()
    return float(np.sqrt(np.sum(rows.sum(axis=0) ** 2)) / parts) if parts > 0 else 1.0


def _course(evidence: str, cause: str, remedy: str, losses: Array) -> Finding:
    numbers: dict[str, float] = {"calls": len(losses)}
    if losses.size:
        numbers |= {"first": float(losses[0]), "last": float(losses[-1])}
    return Finding("loss-not-falling", "the loss", evidence, cause, remedy, numbers)


def slope(facts: Facts) -> float:
    """What there is to gain: ‖gradient‖·‖weights‖ over the loss, in the middle of the calls.

    Or ‖gradient‖·‖output‖ of a layer, if that is more: a gradient that was clipped says nothing.
    """
    trained = [p for p in facts.parameters.values() if p.is_weight and p.gradients and p.reached]
    found = []
    for t, step in enumerate(facts.steps):
        if step > len(facts.losses):
            continue
        total = sum(
            p.gradients[t] * p.weights[t]
            for p in trained if len(p.gradients) == len(p.weights) and t < len(p.weights)
        )  # fmt: skip
        pulls = [x.pulls[t] for x in facts.layers.values() if len(x.pulls) == facts.seen]
        total = max([total, *(x for x in pulls if np.isfinite(x))])
        found.append(total / max(abs(facts.losses[step - 1]), 1e-30))
    return float(np.median(found)) if found else 0.0


def loss_at_chance(facts: Facts) -> Iterator[Finding]:
    """The loss is what guessing from the frequencies of the classes gives, and nobody leads away.

    At the start of a slow training the loss is there, too, but then the gradients of all batches
    agree on where to go.
    """
    if coherence(facts, later=True) > COHERENT:
        return
    for choice in facts.choices.values():
        count = len(choice.losses)
        if count < 6 or facts.calls < CALLS or not np.all(np.isfinite(choice.losses)):
            continue
        half = count // 2
        last, chance = float(np.mean(choice.losses[half:])), float(np.mean(choice.chance[half:]))
        quarters = choice.losses[half : half + half // 2], choice.losses[half + half // 2 :]
        fell = float(np.mean(quarters[0]) - np.mean(quarters[1])) if half >= 2 else 0.0
        floor = float(np.mean(choice.floor[half:]))  # what the best scores would give
        if chance - floor < 0.1 or chance - floor < 0.1 * chance:
            continue
        if last < CHANCE * chance or last > 1.15 * chance or fell > STILL * chance:
            continue
        yield Finding(
            "loss-at-chance", choice.source,
            f"the loss is {last:.4g}; the frequencies of the classes alone give {chance:.4g}",
            "the scores say nothing about the classes: the inputs tell nothing about the labels "
            "(shuffled, or lost), or nothing is learnt",
            "look at a batch with its labels; train on ten examples until they are known by heart",
            {"loss": last, "chance": chance},
        )  # fmt: skip


def update_ratio(facts: Facts) -> Iterator[Finding]:
    """Updates that are large, or tiny, against the weights."""
    if facts.calls < CALLS or facts.seen < ROUGH:
        return
    weights = [p for p in facts.weights if p.trainable]
    yield from _large(facts, weights)
    yield from _small(facts, weights)


def _large(facts: Facts, weights: list[ParameterFacts]) -> Iterator[Finding]:
    losses = np.array(facts.losses)
    found = [p for p in weights if int(np.sum(p.ratios[1:] > LARGE)) >= ROUGH]
    replaced = [p for p in weights if np.any(p.ratios > REPLACED)]
    if bounces(losses) and 2 * len(replaced) > len(weights):
        found = found or replaced
    if not found or (losses.size >= CALLS and falls(facts) and not bounces(losses)):
        return
    worst = max(found, key=lambda p: np.nanmax(p.ratios))
    times = int(np.sum(worst.ratios > LARGE))
    ratio = float(np.nanmedian(worst.ratios[worst.ratios > LARGE]))
    yield Finding(
        "update-ratio", named(found),
        f"in {times} of the calls looked at an update changed {worst.name} by {ratio:.2g} of its "
        "size; about 0.001 is usual", "the learning rate is too large",
        "a learning rate ten to a hundred times smaller", {"ratio": ratio, "times": times},
    )  # fmt: skip


def bounces(losses: Array) -> bool:
    """Whether the loss rose to more than three times its first value, or is no number."""
    if not losses.size:
        return False
    return bool(not np.all(np.isfinite(losses)) or losses.max() > 3 * abs(losses[0]))


def _small(facts: Facts, weights: list[ParameterFacts]) -> Iterator[Finding]:
    if not weights or len(facts.losses) < CALLS or falls(facts) or slope(facts) < STEEP:
        return
    ratios = [p.ratios[len(p.ratios) // 3 :] for p in weights]
    later = [float(np.nanmedian(x)) for x in ratios if np.isfinite(x).any()]
    most = max(later, default=0.0)
    moved = any(p.changed for p in weights)  # else they are unchanged parameters
    if most < SMALL and moved:
        yield Finding(
            "update-ratio", named(weights),
            f"no update changes any weight by more than {most:.2g} of its size; about 0.001 is "
            "usual", "the learning rate is too small",
            "a larger learning rate; look at the schedule", {"ratio": most},
        )  # fmt: skip
