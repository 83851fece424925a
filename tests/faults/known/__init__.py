"""The half of the corpus that rules may be written by.

For a NaN that comes with the data the producer is the name of the argument, and the line is the
first one that reads it.
"""

from tests.faults.known import backward, forward, masked, scales, targets, wiring

CASES = [
    *forward.CASES, *backward.CASES, *masked.CASES,
    *scales.CASES, *wiring.CASES, *targets.CASES,
]  # fmt: skip
