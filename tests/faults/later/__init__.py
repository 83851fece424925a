"""A part of the corpus that was written without a look at the rules."""

from tests.faults.later import running, starting

CASES = [*starting.CASES, *running.CASES]
