"""The corpus as a whole, in its parts.

`known` was there when the rules were written; `unseen` was written with it, sealed, and opened for
the first measurement. What it showed was mended, so it is known now, too.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.faults import known, unseen
from tests.faults.case import Case, Program
from tests.faults.known import healthy as known_healthy
from tests.faults.unseen import healthy as unseen_healthy
from tests.faults.unseen.shown import OWN as OWN

Runs = dict[str, Callable[[], Program]]
PARTS: dict[str, tuple[list[Case], Runs]] = {
    "known": (known.CASES, known_healthy.RUNS),
    "unseen": (unseen.CASES, unseen_healthy.RUNS),
}
CASES: list[Case] = [case for cases, _ in PARTS.values() for case in cases]
RUNS: Runs = {name: make for _, runs in PARTS.values() for name, make in runs.items()}
MASKED = [case for case in CASES if case.masked]
