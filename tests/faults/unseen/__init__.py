"""The half of the corpus that nobody looks at who writes rules.

For a NaN that comes with the data the producer is the name of the argument, and the line is the
first one that reads it.
"""

from tests.faults.unseen import backward, forward, masked, scales, wiring

CASES = [
    *forward.CASES, *backward.CASES, *masked.CASES, *scales.CASES, *wiring.CASES,
]  # fmt: skip
