"""All rules, and which finding explains which: a symptom of what was found is no finding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from limpid.diagnosis.doctor.facts import Facts
from limpid.diagnosis.doctor.finding import Finding
from limpid.diagnosis.doctor.rules.flow import exploding, vanishing
from limpid.diagnosis.doctor.rules.progress import loss_at_chance, loss_not_falling, update_ratio
from limpid.diagnosis.doctor.rules.sizes import initial_scale, input_scale, underflow
from limpid.diagnosis.doctor.rules.targets import label_mismatch, softmax_twice
from limpid.diagnosis.doctor.rules.units import dead_units, saturated_units
from limpid.diagnosis.doctor.rules.wiring import (
    missing_zero_grad,
    unchanged_parameters,
    unused_parameters,
    wrong_mode,
)

# In the order in which they are asked: what is wrong with the program, then with its sizes, then
# what shows in the numbers.
RULES: dict[str, Callable[[Facts], Iterator[Finding]]] = {
    "missing-zero-grad": missing_zero_grad,
    "label-mismatch": label_mismatch,
    "softmax-twice": softmax_twice,
    "wrong-mode": wrong_mode,
    "unused-parameters": unused_parameters,
    "unchanged-parameters": unchanged_parameters,
    "underflow": underflow,
    "initial-scale": initial_scale,
    "input-scale": input_scale,
    "dead-units": dead_units,
    "saturated-units": saturated_units,
    "exploding": exploding,
    "vanishing": vanishing,
    "update-ratio": update_ratio,
    "loss-at-chance": loss_at_chance,
    "loss-not-falling": loss_not_falling,
}

_PROGRESS = frozenset({"loss-not-falling", "loss-at-chance"})
_FLOW = frozenset({"vanishing", "exploding", "dead-units", "saturated-units"})
_ALL = _PROGRESS | _FLOW | {"update-ratio"}

# What a finding explains. Units that died or saturated by large updates stay so when the updates
# are small again: both are to be mended, and neither is left out. The same goes for first weights
# and for what depth makes of them.
EXPLAINS: dict[str, frozenset[str]] = {
    "missing-zero-grad": _ALL,
    "label-mismatch": _PROGRESS,
    "softmax-twice": _PROGRESS,
    "wrong-mode": _PROGRESS,
    "unused-parameters": _PROGRESS,
    "unchanged-parameters": _PROGRESS | {"update-ratio"},
    "underflow": _ALL | {"unchanged-parameters"},
    "initial-scale": _PROGRESS
    | {"dead-units", "saturated-units", "update-ratio", "unchanged-parameters"},
    "input-scale": _ALL | {"unchanged-parameters"},
    "dead-units": _PROGRESS | {"vanishing", "exploding", "unchanged-parameters"},
    "saturated-units": _PROGRESS | {"vanishing", "exploding", "unchanged-parameters"},
    "exploding": _PROGRESS | {"update-ratio"},
    "vanishing": _PROGRESS | {"update-ratio"},
    "update-ratio": _PROGRESS,
    "loss-at-chance": frozenset({"loss-not-falling"}),
    "loss-not-falling": frozenset(),
}


def diagnose(facts: Facts) -> list[Finding]:
    """The findings that no other one explains; each says what it explains."""
    return explained_away([finding for rule in RULES.values() for finding in rule(facts)])


def explained_away(found: Sequence[Finding]) -> list[Finding]:
    """Those that no other one explains, with what they explain."""
    slugs = list(dict.fromkeys(finding.rule for finding in found))
    explained: dict[str, str] = {}
    for slug in slugs:
        if slug not in explained:
            for other in slugs:
                if other in EXPLAINS[slug]:
                    explained.setdefault(other, slug)
    return [
        replace(f, consequences=tuple(s for s, by in explained.items() if by == f.rule))
        for f in found
        if f.rule not in explained
    ]
