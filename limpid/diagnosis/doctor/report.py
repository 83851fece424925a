"""What the doctor says: findings as text, as JSON, in a notebook."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from limpid.diagnosis.doctor.finding import Finding


class Report:
    """The findings about a step or a run, those that matter most first.

    findings   what is wrong
    looked_at  what there was to see, in numbers
    """

    def __init__(
        self, title: str, findings: Sequence[Finding], looked_at: Mapping[str, int]
    ) -> None:
        self.title = title
        self.findings = list(findings)
        self.looked_at = dict(looked_at)

    def __bool__(self) -> bool:
        """Whether anything was found."""
        return bool(self.findings)

    def __str__(self) -> str:
        if not self.findings:
            return f"{self.title}: nothing found\nlooked at: {self._seen()}"
        blocks = [f"{self.title}: {_count(len(self.findings))}"]
        for number, finding in enumerate(self.findings, 1):
            blocks.append(
                f"\n{number}. {finding.rule}: {finding.where}\n"
                + "\n".join(f"   {name:9}{text}" for name, text in lines(finding))
            )
        return "\n".join([*blocks, "", f"looked at: {self._seen()}"])

    __repr__ = __str__

    def to_json(self) -> dict[str, Any]:
        """As `json.dumps` takes it."""
        found = [finding.to_json() for finding in self.findings]
        return {"title": self.title, "findings": found, "looked_at": self.looked_at}

    def json(self) -> str:
        """The same as text; numbers that JSON lacks, such as NaN, are null."""
        return json.dumps(_plain(self.to_json()), indent=2)

    def _repr_html_(self) -> str:
        parts = [
            f"<li><b>{escape(f.rule)}</b>: {escape(f.where)}<dl>"
            + "".join(f"<dt>{escape(n)}</dt><dd>{escape(t)}</dd>" for n, t in lines(f))
            + "</dl></li>"
            for f in self.findings
        ]
        head = "nothing found" if not parts else _count(len(parts))
        listed = f"<ol>{''.join(parts)}</ol>" if parts else ""
        return (
            f"<div><p>{escape(self.title)}: {head}</p>{listed}"
            f"<p>looked at: {escape(self._seen())}</p></div>"
        )

    def _seen(self) -> str:
        return ", ".join(f"{count} {name}" for name, count in self.looked_at.items())


def lines(finding: Finding) -> list[tuple[str, str]]:
    """The parts of a finding, with what they are."""
    found = [
        ("found", finding.evidence),
        ("cause", finding.cause),
        ("remedy", finding.remedy),
    ]
    if finding.consequences:
        found.append(("leads to", ", ".join(finding.consequences)))
    return [*found, ("page", finding.page)]


def _count(number: int) -> str:
    return f"{number} finding{'s' * (number > 1)}"


def _plain(value: Any) -> Any:
    """The same with numbers that JSON has."""
    if isinstance(value, dict):
        return {name: _plain(x) for name, x in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(x) for x in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
