"""What a program shows of its fault, in its own numbers and without any rule.

Each function takes the facts of a run of the faulty program and of the near miss, and says of the
first whether it shows the fault. Not every fault can be seen like this: that a softmax is there
twice is in the code, not in a number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.faults.case import Program

Norms = dict[str, float]


@dataclass
class Facts:
    """What was measured in a run."""

    program: Program
    start: dict[str, np.ndarray] = field(default_factory=dict)  # the initial parameters
    first: Norms = field(default_factory=dict)  # norms of weights' gradients, first call
    largest: float = 0.0  # of the norms of all parameters' gradients, first call
    zeros: Norms = field(default_factory=dict)  # shares of rows without a gradient, last call
    ratios: list[Norms] = field(default_factory=list)  # change / size of each parameter
    losses: list[float] = field(default_factory=list)
    end: dict[str, np.ndarray] = field(default_factory=dict)


def measure(program: Program) -> Facts:
    """Run a program, and look at its parameters from outside."""
    assert program.model is not None
    named = dict(program.model.named_parameters())
    facts = Facts(program, start=_values(named))
    for batch in program.batches:
        before = _values(named)
        facts.losses.append(float(program.step(*batch).item()))
        after = _values(named)
        facts.ratios.append(
            {k: _norm(after[k] - w) / _norm(w) for k, w in before.items() if _norm(w)}
        )
        if not facts.first:
            norms = _gradients(named)
            facts.first = {name: g for name, g in norms.items() if named[name].ndim > 1}
            facts.largest = max(norms.values())
    for name, p in named.items():
        if p.grad is not None and p.ndim > 1:
            facts.zeros[name] = float(np.mean(~np.asarray(p.grad.value).any(axis=-1)))
    facts.end = _values(named)
    return facts


def _values(named: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.array(p.value, np.float64) for name, p in named.items()}


def _gradients(named: dict[str, Any]) -> Norms:
    """Their norms; 0 where there is none."""
    return {
        name: 0.0 if p.grad is None else _norm(np.asarray(p.grad.value, np.float64))
        for name, p in named.items()
    }


def _norm(x: np.ndarray) -> float:
    return float(np.sqrt(np.sum(np.float64(x) ** 2)))


def _late(facts: Facts) -> float:
    return float(np.mean(facts.losses[-8:]))


def _vanishes(facts: Facts, right: Facts) -> bool:
    return min(facts.first.values()) < 1e-6 * facts.largest


def _explodes(facts: Facts, right: Facts) -> bool:
    return max(facts.first.values()) > 1e3


def _is_unused(facts: Facts, right: Facts) -> bool:
    assert facts.program.model is not None
    return any(p.grad is None for p in facts.program.model.parameters())


def _is_unchanged(facts: Facts, right: Facts) -> bool:
    return any(np.array_equal(w, facts.end[name]) for name, w in facts.start.items())


def _does_not_fall(facts: Facts, right: Facts) -> bool:
    return _late(facts) > 0.95 * facts.losses[0]


def _is_at_chance(facts: Facts, right: Facts) -> bool:
    classes = len(np.unique(np.concatenate([batch[1] for batch in facts.program.batches])))
    return abs(_late(facts) / np.log(classes) - 1) < 0.05


def _has_wrong_steps(facts: Facts, right: Facts) -> bool:
    """Steps of less than a millionth of the weights, or of the size of the weights."""
    sizes = [r for ratios in facts.ratios for name, r in ratios.items() if name in facts.first]
    return float(np.median(sizes)) < 1e-5 or max(sizes) > 0.5


def _has_dead_units(facts: Facts, right: Facts) -> bool:
    return max(facts.zeros.values()) > 0.9


def _starts_at_another_scale(facts: Facts, right: Facts) -> bool:
    """Four times as large as in the near miss, or a quarter."""
    for name in facts.first:
        own, usual = (w[name] / w[name].size ** 0.5 for w in (facts.start, right.start))
        if not 0.25 < _norm(own) / _norm(usual) < 4:
            return True
    return False


def _has_unscaled_inputs(facts: Facts, right: Facts) -> bool:
    largest = float(np.max(np.abs(facts.program.batches[0][0])))
    return largest == 0 or largest > 100


def _keeps_gradients(facts: Facts, right: Facts) -> bool:
    """With steps of size zero, the same batch again and again leaves more and more."""
    optimizer, model = facts.program.optimizer, facts.program.model
    assert optimizer is not None
    assert model is not None
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    model.zero_grad()
    p = optimizer.param_groups[0]["params"][0]
    kept = []
    for _ in range(8):
        facts.program.step(*facts.program.batches[0])
        kept.append(_norm(np.asarray(p.grad.value)))
    return kept[-1] > 2 * kept[0]


def _underflows(facts: Facts, right: Facts) -> bool:
    """A gradient is zero throughout."""
    assert facts.program.model is not None
    gradients = [p.grad for p in facts.program.model.parameters()]
    return any(g is not None and not np.any(g.value) for g in gradients)


SHOWN: dict[str, Callable[[Facts, Facts], bool]] = {
    "vanishing": _vanishes,
    "exploding": _explodes,
    "unused-parameters": _is_unused,
    "unchanged-parameters": _is_unchanged,
    "loss-not-falling": _does_not_fall,
    "loss-at-chance": _is_at_chance,
    "update-ratio": _has_wrong_steps,
    "dead-units": _has_dead_units,
    "initial-scale": _starts_at_another_scale,
    "input-scale": _has_unscaled_inputs,
    "missing-zero-grad": _keeps_gradients,
    "underflow": _underflows,
}
