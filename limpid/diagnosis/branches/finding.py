"""A masked branch that was found, and how it is told."""

from __future__ import annotations

import linecache
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

from limpid.errors import MaskedBranchWarning
from limpid.graph.source import Location

PAGE = "docs/masked-branches.md"


@dataclass(frozen=True)
class MaskedBranch:
    """A choice that discards values of an operation, but not what their derivatives do.

    operation    the primitive whose derivative is not finite in what the choice leaves out
    at           where it stands in the program; None where that is not known
    chosen_at    where the choice stands
    example      operands, and the local derivative there, in words
    discarded    how many elements of the operation the choice leaves out now; None, as are the next
                 two, where only the formula was looked at and not numbers
    outside      how many of them are outside of where the operation has a value
    poisoned     for how many of them 0·∞ makes NaN of the gradient
    """

    operation: str
    at: Location | None
    chosen_at: Location | None
    example: str
    discarded: int | None = None
    outside: int | None = None
    poisoned: int | None = None

    @property
    def happens(self) -> bool:
        """Whether it makes NaN of the gradient with the numbers that there are now."""
        return bool(self.poisoned)

    @property
    def line(self) -> str:
        """The line of the choice, as it is written."""
        return _written(self.chosen_at)

    @property
    def cause(self) -> str:
        """What is wrong, in a sentence."""
        if not self.poisoned and self.outside:
            return (
                f"the choice leaves out values that {self.operation} does not have, {self.outside} "
                f"of {self.discarded} now; its derivative is finite there, but need not be for "
                f"other numbers: {self.example}"
            )
        now = f" (now in {self.poisoned} of {self.discarded} elements)" if self.poisoned else ""
        when = "" if self.poisoned or self.discarded is None else "; not with the numbers of now"
        return (
            f"the choice leaves out where {self.operation} has no finite derivative{now}, but its "
            f"zero gradient still goes there, and 0·∞ is NaN: {self.example}{when}"
        )

    @property
    def remedy(self) -> str:
        """What to write instead."""
        return (
            "limpid.where(…, safe=True), which lets nothing pass there; or choose before "
            f"{self.operation} as well as after it, so that it only sees numbers it is made for"
        )

    def __str__(self) -> str:
        lines = [
            f"{_place(self.chosen_at)}: {self.line}",
            f"  {self.operation} at {_place(self.at)}: {_written(self.at)}",
            f"  {self.cause}",
            f"  remedy: {self.remedy}",
        ]
        return "\n".join(lines)


def _place(location: Location | None) -> str:
    return "an unknown line" if location is None else str(location)


def _written(location: Location | None) -> str:
    return "" if location is None else linecache.getline(location.file, location.line).strip()


def warn_of_masked_branches(findings: Iterable[MaskedBranch]) -> None:
    """A MaskedBranchWarning for each, which points at the line of the choice.

    >>> import warnings, limpid
    >>> x = limpid.tensor([0.0, 4.0], requires_grad=True)
    >>> y = limpid.where(x > 0, limpid.sqrt(x), 0.0)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_of_masked_branches(limpid.diagnosis.masked_branches(y))
    >>> caught[0].category.__name__
    'MaskedBranchWarning'
    """
    for found in findings:
        message = f"{found.cause}\nremedy: {found.remedy}\n{PAGE} tells more"
        if found.chosen_at is None:
            warnings.warn(message, MaskedBranchWarning, stacklevel=2)
        else:
            file, line = found.chosen_at.file, found.chosen_at.line
            warnings.warn_explicit(message, MaskedBranchWarning, file, line)
