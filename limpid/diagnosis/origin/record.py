"""What is known of a birth, as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from html import escape
from typing import Any

INPUT, FORWARD, LOCAL, UPDATE = "input", "forward", "local derivative", "update"
LONGEST = 10  # links of a chain that are shown


@dataclass(frozen=True)
class Link:
    """One computation on the way.

    name    the primitive; of a part of a backward pass, the one whose derivative this is
    part    "forward", "backward" or "update"
    kind    "NaN", "inf" or "−inf": the worst of what it gave
    source  file:line
    """

    name: str
    part: str
    kind: str
    source: str
    expression: str
    scope: str = ""


@dataclass(frozen=True)
class Element:
    """One element that was not finite, and what it was computed from.

    index     in the output of the producer
    value     what it gave there
    operands  {name of the operand: its value there}
    """

    index: tuple[int, ...]
    value: float
    operands: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class Origin:
    """Where a NaN or an infinity was born. `print` shows it.

    producer    the primitive that made it of finite numbers, or the name of the argument or of the
                state that held it
    born        "input", "forward", "local derivative" or "update"
    step        the call in which it was born, from 1
    source      file:line of the producer
    line        the text of that line
    expression  the part of it that was computed
    scope       the module's path
    rule        the rule that broke, in words
    elements    the first few elements, with the values of the operands there
    count       how many there are, of how many
    size
    reached     what it got to, such as "the loss" or "the gradient of fc1.weight"
    chain       from the producer to that
    note        where something about this is not certain; else ""
    remedy      what to do, where that can be told; else ""
    """

    producer: str
    born: str
    step: int
    source: str
    line: str
    expression: str
    scope: str
    rule: str
    elements: tuple[Element, ...]
    count: int
    size: int
    reached: str
    chain: tuple[Link, ...]
    note: str = ""
    remedy: str = ""

    def without_lines(self) -> Origin:
        """The same for a program that nobody has written: modules say where."""
        chain = tuple(replace(link, source="", expression="") for link in self.chain)
        return replace(self, source="", line="", expression="", chain=chain)

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`; numbers that are not finite as text."""
        made = asdict(self)
        for element in made["elements"]:
            element["value"] = plain(element["value"])
            element["operands"] = {k: plain(v) for k, v in element["operands"].items()}
            element["index"] = list(element["index"])
        return made

    def __repr__(self) -> str:
        return str(self)  # what a person sees who asks in an interactive session

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.heading}, in call {self.step}; it reached {self.reached}"
        yield f"  {self.rule}"
        if self.source:
            where = f" in {self.scope}" if self.scope else ""
            yield f"  at {self.source}: {self.expression or self.line}{where}"
        elif self.scope:
            yield f"  in {self.scope}"
        if self.size:
            yield f"  {self.count} of {self.size} elements:"
            yield from (f"    {_element(x)}" for x in self.elements)
        if len(self.chain) > 1:
            yield f"  from there to {self.reached}:"
            yield from (f"    {line}" for line in self._chain())
        if self.note:
            yield f"  note: {self.note}"
        if self.remedy:
            yield f"  remedy: {self.remedy}"

    @property
    def heading(self) -> str:
        """What was born where, in one line."""
        kind = self.chain[0].kind if self.chain else "NaN"
        where = {
            INPUT: "it came in with {}",
            FORWARD: "born in the forward pass, in {}",
            LOCAL: "born in the backward pass, in the derivative of {}",
            UPDATE: "born in the update, in {}",
        }[self.born]
        return f"{kind}: {where.format(self.producer)}"

    def _chain(self) -> Iterator[str]:
        links, half = self.chain, LONGEST // 2
        shown = links if len(links) <= LONGEST else (*links[:half], *links[-half:])
        width = max(len(_title(x)) for x in shown)
        for number, link in enumerate(shown):
            if number == half and len(shown) < len(links):
                yield f"… {len(links) - len(shown)} more"
            place = link.source.rsplit("/", 1)[-1]
            yield f"{_title(link):<{width}}  {link.kind:<4}  {place}: {link.expression}".rstrip(
                ": "
            )

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(_title(x))}</td><td>{escape(x.kind)}</td>"
            f"<td>{escape(x.source.rsplit('/', 1)[-1])}</td>"
            f"<td><code>{escape(x.expression)}</code></td></tr>"
            for x in self.chain
        )
        elements = "".join(f"<li><code>{escape(_element(x))}</code></li>" for x in self.elements)
        where = f" in {escape(self.scope)}" if self.scope else ""
        said = "".join(f"<p>{escape(x)}</p>" for x in (self.note, self.remedy) if x)
        return (
            f"<div><p><strong>{escape(self.heading)}</strong>, in call {self.step}; it reached "
            f"{escape(self.reached)}</p><p>{escape(self.rule)}</p>"
            f"<p>{escape(self.source)}: <code>{escape(self.expression or self.line)}</code>{where}"
            f"</p><p>{self.count} of {self.size} elements</p><ul>{elements}</ul>"
            f"<table>{rows}</table>{said}</div>"
        )


def plain(x: float) -> float | str:
    """A number as JSON has it; "nan", "inf", "-inf" where it has none."""
    return x if x - x == 0 else str(x)


def shown(x: float) -> str:
    """A number for people."""
    if x - x == 0:
        return f"{x:.6g}".replace("-", "−")
    return {"nan": "NaN", "inf": "inf", "-inf": "−inf"}[str(float(x))]


def _title(link: Link) -> str:
    name = f"{link.scope}: {link.name}" if link.scope else link.name
    return f"∂ {name}" if link.part == "backward" else name


def _element(x: Element) -> str:
    given = ", ".join(f"{name} = {shown(value)}" for name, value in x.operands.items())
    place = f"[{', '.join(map(str, x.index))}] " if x.index else ""
    return f"{place}{shown(x.value)}{' from ' if given else ''}{given}"
