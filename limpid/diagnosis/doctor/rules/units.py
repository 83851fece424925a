"""Units that pass no gradient: dead ones, saturated ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from limpid.diagnosis.doctor.facts import ActivationFacts, Facts
from limpid.diagnosis.doctor.finding import Finding
from limpid.diagnosis.doctor.rules.progress import falls

# Rectified units at the start are silent for half of the examples, each for another half. That one
# is silent for all of 64 has a chance of 2⁻⁶⁴; trained networks do lose units, seldom most of them.
DEAD = 0.6
ALL = 0.95
FEW = 4  # units, or those of an output: nothing but all of them counts
CONSTANT = 0.5  # share of the other units that let everything pass
EXAMPLES = 64
CALLS = 3  # the latest ones in which a dead unit was silent
# Standard normal numbers are in the flat part of tanh with 3 %, of sigmoid with 0.001 %.
SATURATED = 0.6
SURE = 0.85  # where the loss falls all the same: hidden units that decide are mostly flat


def dead_units(facts: Facts) -> Iterator[Finding]:
    """Units for which the local derivative is 0 for every example."""
    for unit in facts.activations.values():
        if len(unit.silent) < CALLS or unit.examples < EXAMPLES:
            continue
        if unit.squashes and settled(unit) >= SATURATED:
            continue  # flat to the last digit
        latest = max(CALLS, len(unit.silent) // 4)
        share = unit.dead(latest)
        few = not unit.hidden or unit.silent[-1].size < FEW
        if share < (1.0 if few else DEAD):
            continue
        if share < ALL and np.median(unit.constant[-latest:]) > CONSTANT:
            continue  # no unit tells examples apart: what comes in is the same for all
        before = float(np.mean(unit.silent[0]))
        when = "from the first call on" if before >= DEAD else f"{before:.0%} at the first call"
        cause = (
            "they began below the kink: the bias or the weights before them are negative"
            if before >= DEAD
            else "an update threw them below the kink, from where no gradient brings them back"
        )
        yield Finding(
            "dead-units", unit.name,
            f"{share:.0%} of {unit.silent[-1].size} units passed no gradient for any example of "
            f"the latest {latest} calls looked at; {when}", cause,
            "a smaller learning rate, biases of 0, He's initialisation, or a function that passes "
            "a little on the other side (leaky_relu, elu)",
            {"share": share, "units": int(unit.silent[-1].size), "at first": before},
        )  # fmt: skip


def saturated_units(facts: Facts) -> Iterator[Finding]:
    """Units in the flat part of a function that is flat at both ends."""
    for unit in facts.activations.values():
        if len(unit.saturated) < CALLS or unit.gate or (falls(facts) and not unit.hidden):
            continue  # outputs that are sure and right are flat, too
        share = settled(unit)
        if share < (SURE if falls(facts) else SATURATED):
            continue
        first = unit.saturated[0]
        cause = (
            "what they are given is too large from the start: inputs or weights"
            if first >= SATURATED
            else "updates made the weights before them too large"
        )
        yield Finding(
            "saturated-units", unit.name,
            f"{share:.0%} of the outputs lie where the slope is below 5 % of the steepest; "
            f"{first:.0%} at the first call", cause,
            "scale the inputs to about 1, take Xavier's initialisation, or a smaller learning rate",
            {"share": share, "at first": first},
        )  # fmt: skip


def settled(unit: ActivationFacts) -> float:
    """The middle of the later half of the calls looked at."""
    return float(np.median(unit.saturated[len(unit.saturated) // 2 :]))
