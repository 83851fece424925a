"""What a rule found, with its evidence and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

PAGE = "docs/doctor.md"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    rule          its id, such as "dead-units"
    where         the module, parameter, argument or line
    evidence      what was measured, in words and numbers
    cause         what it comes from, as far as that can be told
    remedy        what to do
    numbers       the measured numbers by name
    consequences  rules that hold, too, because of this one
    """

    rule: str
    where: str
    evidence: str
    cause: str
    remedy: str
    numbers: dict[str, Any] = field(default_factory=dict)
    consequences: tuple[str, ...] = ()

    @property
    def page(self) -> str:
        """Where the rule is explained."""
        return f"{PAGE}#{self.rule}"

    def to_json(self) -> dict[str, Any]:
        """As `json.dumps` takes it."""
        return {**asdict(self), "consequences": list(self.consequences), "page": self.page}
