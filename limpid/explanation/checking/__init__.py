"""Gradient checking that teaches: what is wrong with a gradient, in words."""

from typing import Any

from limpid.explanation.checking.finding import CAUSES, Finding
from limpid.transforms.check import teachers

__all__ = ["CAUSES", "Finding"]


def _teach(given: Any, message: str) -> Finding | None:
    """The cause of what check_grad found; imported when something is wrong."""
    from limpid.explanation.checking.diagnosis import explain_failure

    return explain_failure(given, message)


teachers.append(_teach)
