"""A further part of the corpus, written without a look at the rules: two cases for each of them."""

from tests.faults.further import gradients, sizes, targets, wiring

CASES = [*gradients.CASES, *sizes.CASES, *wiring.CASES, *targets.CASES]
