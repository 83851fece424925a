"""What a gradient check found: the operand, the cause in words, its evidence and the remedy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

CAUSES = {
    "accumulation": "a contribution is missing where a value is used twice",
    "chain": "a factor of the chain rule is left out, or one too many is there",
    "diagonal": "only the diagonal of the Jacobian is used",
    "dtype": "the gradient has another dtype than its operand",
    "elements": "the gradient is wrong only for some elements",
    "error": "the backward pass stops with an error",
    "factor": "the gradient is off by a constant factor",
    "forward mode": "only the tangents (forward mode) are wrong",
    "in place": "the backward pass writes into what it was given",
    "input for output": "the input was used where the output is needed",
    "kink": "the gradient is wrong only at a kink",
    "mask": "the mask of the activation lets the wrong side through",
    "mask missing": "the mask of the activation is left out",
    "mean": "a mean was taken for a sum, or a sum for a mean",
    "missing": "there is no gradient",
    "moved": "the gradient is shifted, reversed or permuted",
    "not finite": "the gradient is not a finite number",
    "output for input": "the output was used where the input is needed",
    "second order": "the first derivative is right, its own derivative is wrong",
    "shape": "the gradient has the right numbers in a wrong shape, or a wrong shape",
    "sign": "the gradient has the wrong sign",
    "swapped": "the gradient of another operand was returned",
    "transposed": "a matrix is transposed",
    "unsummed": "the sum over an axis along which the operand was broadcast is missing",
    "upstream": "the upstream gradient does not enter as one linear factor",
    "unknown": "the gradient is wrong in a way that has no name here",
    "value": "the function itself differs from the reference",
    "wrong axis": "the sum runs over the wrong axis",
}


class Cause(NamedTuple):
    """One explanation that fits all numbers."""

    name: str  # a key of CAUSES
    statement: str
    evidence: str
    remedy: str


@dataclass(frozen=True)
class Finding:
    """Why a gradient is wrong; `error.finding` of a GradientError.

    cause      one of `limpid.explanation.checking.CAUSES`
    operand    the name of the operand with the wrong gradient
    index      where the difference is largest; analytic and numeric are the numbers there

    >>> finding = Finding("f", "x", "sign", "the sign is wrong", "analytic = −numeric", "negate it")
    >>> finding.to_json()["cause"]
    'sign'
    """

    function: str
    operand: str
    cause: str
    statement: str
    evidence: str
    remedy: str
    index: tuple[int, ...] | None = None
    analytic: float | None = None
    numeric: float | None = None
    place: str = ""  # the operation inside the function whose own rule is wrong, and its line
    ignored: int = 0  # entries at a kink, where any value between both sides is right

    def __str__(self) -> str:
        operand = f"{self.operand}: " if self.operand else ""
        lines = [f"  cause      {operand}{self.statement}", f"  evidence   {self.evidence}"]
        if self.place:
            lines.insert(0, f"  where      {self.place}")
        if self.index is not None:
            lines.append(
                f"  largest    at {self.index}: analytic {self.analytic:.6g}, "
                f"right {self.numeric:.6g}"
            )
        lines.append(f"  remedy     {self.remedy}")
        if self.ignored:
            lines.append(f"  ignored    {entries(self.ignored)} at a kink")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """The finding as JSON data."""
        data = asdict(self)
        data["index"] = None if self.index is None else list(self.index)
        for key in ("analytic", "numeric"):  # JSON has no NaN
            value = data[key]
            data[key] = value if value is None or abs(value) < float("inf") else str(value)
        return data


def entries(count: int) -> str:
    """A number of entries in words."""
    return f"{count} entry" if count == 1 else f"{count} entries"
