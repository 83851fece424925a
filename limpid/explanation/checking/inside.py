"""Of a function made of several operations: which one has a wrong rule?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from limpid.explanation.checking.replay import Replay
from limpid.explanation.checking.subject import PointSubject, Subject, node_subject
from limpid.graph.node import Array, Node
from limpid.transforms.difference import central
from limpid.transforms.point import joined, rounding

MOST_NODES = 2000


def suspects(subject: Subject) -> Iterator[tuple[Node, Subject]]:
    """The operations whose rule disagrees with a difference along one random direction."""
    trace = subject.trace(subject.start) if type(subject) is PointSubject else None
    if trace is None:
        return
    replay = Replay(trace, subject)
    nodes = list(dict.fromkeys(edge.node for edge in replay.edges))
    for node in nodes if 1 < len(nodes) <= MOST_NODES else ():
        inner = _alone(node, replay)
        if inner is not None:
            yield node, inner


def _alone(node: Node, replay: Replay) -> Subject | None:
    """The operation as a black box, if its rule looks wrong."""
    try:
        inner = node_subject(node, replay.operands(node))
        return inner if inner is not None and _disagrees(inner) else None
    except Exception:  # an operation that can't be run alone is not judged
        return None


def _disagrees(subject: Subject) -> bool:
    rng = np.random.default_rng(0)
    xs = subject.start
    ys = subject.value(xs)
    gs = [np.asarray(rng.normal(size=y.shape), y.dtype) for y in ys]
    direction = [np.asarray(rng.normal(size=x.shape) * np.maximum(np.abs(x), 0.1)) for x in xs]

    def along(t: float) -> Array:
        moved = [np.asarray(x + t * v) for x, v in zip(xs, direction, strict=True)]
        return np.array([joined(gs) @ joined(subject.value(moved))])

    noise = np.array([np.abs(joined(gs)) @ rounding(ys)])
    right = central(along, 0.002, noise)
    found = float(joined([np.asarray(g) for g in subject.pull(xs, gs)]) @ joined(direction))
    allowed = 10 * float(right.error[0]) + 1e-5 * max(abs(found), abs(float(right.value[0])))
    return not abs(found - float(right.value[0])) <= allowed
