"""What `until` goes to: a scope, a name, a line of a file, a primitive."""

from __future__ import annotations

import re
from collections.abc import Iterable

from limpid.errors import ArgumentError
from limpid.graph.node import Node
from limpid.graph.source import locate

LINE = re.compile(r"(?:(?P<file>.+\.py):|line )(?P<line>\d+)")


def matching(
    target: str, nodes: Iterable[Node], names: dict[Node, str], ids: dict[Node, str]
) -> set[Node]:
    """The nodes that a target means. Raises ArgumentError, with what is near, if there is none.

    The first of these that fits any node: `net.py:31` (or `line 31`), an id or a name, a
    sub-expression as it is written, a scope with all below it, a primitive.
    """
    nodes = list(nodes)
    if not isinstance(target, str) or not target.strip():
        raise ArgumentError(f"until takes a name, not {target!r:.60}")
    line = LINE.fullmatch(target.strip())
    found = (
        _on_line(nodes, line["file"], int(line["line"]))
        if line
        else {n for n in nodes if target in (ids[n], names[n])}
        or {n for n in nodes if n.inputs and _text(n) == target}
        or {n for n in nodes if n.scope == target or n.scope.startswith(f"{target}.")}
        or {n for n in nodes if n.op.name == target}
    )
    if not found:
        raise ArgumentError(
            f"nothing in this graph is called {target!r}{_near(target, nodes, names)}"
        )
    return found


def _text(node: Node) -> str:
    location = locate(node.source)
    return " ".join(location.text.split()) if location is not None else ""


def _on_line(nodes: list[Node], file: str | None, line: int) -> set[Node]:
    found = set()
    for node in nodes:
        location = locate(node.source) if node.inputs else None
        if location is None or not location.line <= line <= (location.end_line or location.line):
            continue
        path = location.file.replace("\\", "/")
        if file is None or path == file or path.endswith(f"/{file}"):
            found.add(node)
    return found


def _near(target: str, nodes: list[Node], names: dict[Node, str]) -> str:
    import difflib  # where it is needed: it takes a while to load

    known = {names[n] for n in nodes} | {n.op.name for n in nodes} | {n.scope for n in nodes}
    near = difflib.get_close_matches(target, sorted(known - {""}), n=3, cutoff=0.5)
    scopes = sorted({n.scope for n in nodes} - {""})
    offer = near or scopes[:6] or sorted({n.op.name for n in nodes})[:6]
    return f"; there are {', '.join(offer)}" if offer else ""
