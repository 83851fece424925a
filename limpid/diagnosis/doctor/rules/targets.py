"""Losses that are given what they are not made for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from limpid.diagnosis.doctor.facts import ChoiceFacts, Facts
from limpid.diagnosis.doctor.finding import Finding
from limpid.diagnosis.doctor.operators import CLASS_LOSSES

ENOUGH = 40  # targets for each class: e⁻⁴⁰ that one of equal share is not among them by chance
SURE = 8  # targets, at least, of each class that is one: the rest has a share of next to none. By
# Good and Turing (Good 1953) it is that of the classes which were seen once
UNNAMED = 0.3  # share of outputs without a target: more is no rare class


def softmax_twice(facts: Facts) -> Iterator[Finding]:
    """A loss that contains a softmax, or a sigmoid, is given probabilities."""
    for scores in facts.scores.values():
        seen = len(scores.probabilities)
        if seen and all(scores.probabilities):
            what, cause = "sum to 1 and none is negative", "a softmax was taken of the scores"
        elif seen and all(scores.logarithms):
            what, cause = "are logarithms of such as sum to 1", "a log-softmax was taken of them"
        elif scores.squashed:
            what, cause = "come out of a function from 0 to 1", "a sigmoid was taken of the scores"
        else:
            continue
        yield Finding(
            "softmax-twice", scores.source,
            f"{scores.function} contains a softmax or a sigmoid, and in {max(seen, facts.seen)} "
            f"calls the scores that it was given {what}", f"{cause} already",
            "give the loss the scores as they leave the last layer", {"calls": seen},
        )  # fmt: skip


def label_mismatch(facts: Facts) -> Iterator[Finding]:
    """Targets that do not fit the outputs."""
    for choice in facts.choices.values():
        yield from _classes(choice)
    for target in facts.targets.values():
        if target.wrong:
            yield Finding(
                "label-mismatch", target.source,
                f"{target.wrong:.0%} of the targets are not {target.allowed}: they go from "
                f"{target.smallest:.3g} to {target.largest:.3g}",
                f"{target.name} takes targets {target.allowed}",
                f"change the labels to be {target.allowed}, or take a loss for these",
                {"smallest": target.smallest, "largest": target.largest},
            )  # fmt: skip
    for line, shapes in facts.crossed.items():
        yield Finding(
            "label-mismatch",
            line,
            f"predictions and targets meet in shapes {shapes}: each "
            "prediction is compared with all targets",
            "broadcasting of a column with a row",
            "give both one shape: y[:, None], or prediction[:, 0]",
        )


def _classes(choice: ChoiceFacts) -> Iterator[Finding]:
    if choice.outside:
        yield _labels(
            choice, f"{choice.outside} targets are no class from 0 to {choice.classes - 1}",
            "the network has too few outputs, or classes are counted from 1",
            "as many outputs as classes, which are counted from 0",
        )  # fmt: skip
    if choice.classes == 1 and choice.name in CLASS_LOSSES:
        yield _labels(
            choice, "the loss chooses among the classes, and there is one output: it is always 0",
            "one output for yes or no was given to a loss that takes one for each class",
            "two outputs, or binary_cross_entropy_with_logits",
        )  # fmt: skip
        return
    total, classes = float(choice.counts.sum()), len(choice.counts)
    unnamed = np.flatnonzero(choice.counts == 0)
    named = choice.counts[choice.counts > 0]
    enough = total >= ENOUGH * classes or (len(named) > 1 and named.min() >= SURE)
    if choice.classes < 3 or choice.ignored == 0 or not enough:
        return
    if len(unnamed) == 1 and unnamed[0] == 0:
        yield _labels(
            choice, f"of {classes} outputs the first is never the target, in {total:.0f} targets; "
            f"all others are", "classes are counted from 1, and outputs from 0",
            "subtract 1 from the labels, and make the last layer smaller by one output",
        )  # fmt: skip
    elif len(unnamed) >= max(2, UNNAMED * classes):
        yield _labels(
            choice, f"{len(unnamed)} of {classes} outputs are never the target, in {total:.0f} "
            "targets", "the network has more outputs than there are classes",
            "as many outputs as there are classes",
        )  # fmt: skip


def _labels(choice: ChoiceFacts, evidence: str, cause: str, remedy: str) -> Finding:
    numbers = {"classes": choice.classes, "targets": float(choice.counts.sum())}
    return Finding("label-mismatch", choice.source, evidence, cause, remedy, numbers)
