"""What two programs show that the usual look at their rule doesn't see."""

from __future__ import annotations

import numpy as np

from tests.faults.shown import Facts


def _stops(facts: Facts, right: Facts) -> bool:
    """A parameter stays where it is, though it has a gradient."""
    assert facts.program.model is not None
    gradients = {name: p.grad for name, p in facts.program.model.named_parameters()}
    return any(
        g is not None and np.any(g.value) and not any(r[name] for r in facts.ratios[-4:])
        for name, g in gradients.items()
    )


def _is_one_number(facts: Facts, right: Facts) -> bool:
    """All weights of a layer start as the same number."""
    return any(not np.ptp(facts.start[name]) for name in facts.first)


OWN = {"half_update": _stops, "constant_init": _is_one_number}
