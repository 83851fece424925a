"""Probes' patterns, such as "norm:grad:fc1.*", and the values that they name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import NamedTuple

from limpid.compiler.steps.labels import (
    GRADIENTS,
    NEW,
    STATE,
    UPDATE,
    VALUES,
    Labels,
    Named,
    Sort,
)
from limpid.compiler.steps.statistics import STATISTICS
from limpid.errors import ArgumentError
from limpid.graph.graph import Reference

KINDS = (GRADIENTS, STATE, NEW, UPDATE)
MOST_SHOWN = 12
_NUMBERS = re.compile(r"[#@]\d+")  # of what has the same name again


class Pattern(NamedTuple):
    """A probe, taken apart: "norm:grad:fc1.*" is ("norm", "grad", "fc1.*")."""

    statistic: str
    kind: str
    name: str

    def __str__(self) -> str:
        return ":".join(part for part in self if part)

    def matches(self, name: str) -> bool:
        """Whether a value of this name is meant; a name without a number means all of them."""
        expression = ".*".join(map(re.escape, self.name.split("*")))
        return any(re.fullmatch(expression, x) for x in (name, _NUMBERS.sub("", name)))


class Probe(NamedTuple):
    """One value that is probed; less the one before, if there is one."""

    name: str
    statistic: str
    value: Reference
    before: Reference | None = None


def parse_pattern(text: str) -> Pattern:
    """The parts of a pattern. Raises ArgumentError for prefixes that there are not.

    >>> parse_pattern("norm:grad:*")
    Pattern(statistic='norm', kind='grad', name='*')
    """
    if not isinstance(text, str):
        raise ArgumentError(f"a probe is a string such as 'norm:grad:*', not {text!r:.60}")
    *prefixes, name = text.split(":")
    rest = list(prefixes)
    statistic = rest.pop(0) if rest and rest[0] in STATISTICS else ""
    kind = rest.pop(0) if rest and rest[0] in KINDS else VALUES
    if rest or not name:
        raise ArgumentError(
            f"probe {text!r}: a probe is [statistic:][kind:]name, with a statistic of "
            f"{', '.join(STATISTICS)}, a kind of {', '.join(KINDS)}, and * for anything in the name"
        )
    return Pattern(statistic, kind, name)


def parse_patterns(given: str | Iterable[str]) -> tuple[str, ...]:
    """Patterns as they are listed, each once; one alone may come as a string."""
    texts = [given] if isinstance(given, str) else list(given)
    return tuple(dict.fromkeys(str(parse_pattern(text)) for text in texts))


def select(labels: Labels, patterns: Iterable[str], hidden: Iterable[str] = ()) -> list[Probe]:
    """The values that patterns name, each once. Raises ArgumentError where one names none."""
    found: dict[str, Probe] = {}
    for text in patterns:
        pattern = parse_pattern(text)
        for name, value in _find(labels, pattern, hidden).items():
            full = str(pattern._replace(name=name))
            before = labels[STATE][0].values[name] if pattern.kind == UPDATE else None
            found.setdefault(full, Probe(full, pattern.statistic, value, before))
    return list(found.values())


def sorts_of(labels: Labels, kind: str) -> list[Sort]:
    """The sorts of values of a kind. Updates are of what is written and was there before."""
    if kind != UPDATE:
        return labels[kind]
    (state,), (new,) = labels[STATE], labels[NEW]
    return [Sort(new.title, {n: x for n, x in new.values.items() if _can_differ(n, state.values)})]


def _can_differ(name: str, state: Named) -> bool:
    """Whether a slot that is written was read, or could be, and holds numbers."""
    if name not in state:
        return False
    node, index = state[name]
    return bool(node.outputs[index].dtype.kind != "bool")


def _find(labels: Labels, pattern: Pattern, hidden: Iterable[str]) -> Named:
    """The values of the first sort that has any of this name."""
    for sort in sorts_of(labels, pattern.kind):
        matching = {name: x for name, x in sort.values.items() if pattern.matches(name)}
        if matching:
            return matching
    lines = [f"probe {str(pattern)!r}: the compiled function computes nothing of this name"]
    lines += _reasons(labels, pattern, hidden)
    lines += _suggestions(labels, pattern)
    raise ArgumentError("\n".join(lines))


def _reasons(labels: Labels, pattern: Pattern, hidden: Iterable[str]) -> Iterator[str]:
    """Why there is no such value, where that can be told."""
    within = [module for module in hidden if pattern.matches(module) or f"{pattern.name}" in module]
    if within:
        yield (
            f"{within[0]} runs in the body of a scan, a cond or a recompute, whose values stay in "
            "there; return what you want to see from the body"
        )
    if pattern.kind == GRADIENTS and any(map(pattern.matches, _names(labels, VALUES))):
        yield f"{pattern.name} is there, but no gradient is taken with respect to it"


def _suggestions(labels: Labels, pattern: Pattern) -> Iterator[str]:
    """What could be meant instead."""
    others = [
        str(Pattern(pattern.statistic, kind, name))
        for kind in labels
        if kind != pattern.kind
        for name in _names(labels, kind)
        if pattern.matches(name)
    ]
    names = list(dict.fromkeys(_names(labels, pattern.kind)))
    close = get_close_matches(pattern.name, names, MOST_SHOWN // 2)
    listed = others or [str(pattern._replace(name=name)) for name in close or names]
    yield f"{'perhaps you mean' if others or close else 'there are'}: {_listed(listed)}"


def _names(labels: Labels, kind: str) -> Iterator[str]:
    for sort in sorts_of(labels, kind):
        yield from sort.values


def _listed(names: list[str]) -> str:
    rest = len(names) - MOST_SHOWN
    more = f" and {rest} more" if rest > 0 else ""
    return (", ".join(names[:MOST_SHOWN]) or "none") + more
