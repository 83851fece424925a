"""What may stay folded of a record: repeated blocks, of which the first stands for all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from limpid.explanation.folding import Fold, Item, fold
from limpid.explanation.record import Explanation, Step


def items_of(record: Explanation) -> tuple[Item, ...]:
    """The nodes of a record, as folding looks at them."""
    ids = {step.id for step in record.steps}
    return tuple(_item(step, ids) for step in record.steps)


def _item(step: Step, ids: set[str]) -> Item:
    leaf = step.op == "input"
    shapes = tuple(value.shape for value in step.values)
    inputs = tuple(x for x in step.inputs if x in ids)
    kind = (shapes, step.source, len(step.inputs))
    return Item(step.id, step.op, step.name, step.scope, inputs, kind, leaf, "." in step.name)


def repeated(record: Explanation) -> dict[str, Fold]:
    """For each node of a further block of a repeat, the repeat."""
    found: dict[str, Fold] = {}
    waiting = [fold(items_of(record))]
    while waiting:
        part = waiting.pop()
        shown = part.children[:1] if part.kind == "repeat" else part.children
        for block in part.children[len(shown) :]:
            found.update((node, part) for node in block.nodes())
        waiting += shown
    return found


def runs(ids: Iterable[str], hidden: dict[str, Fold]) -> Iterator[tuple[Fold | None, list[str]]]:
    """Neighbours that are shown, with None, or that stay folded, with the repeat."""
    for name, run in groupby(ids, lambda id_: hidden[id_].id if id_ in hidden else ""):
        members = list(run)
        yield (hidden[members[0]] if name else None), members


def folded_title(repeat: Fold, count: int) -> str:
    """What stands for folded nodes."""
    return f"{repeat.title} ×{repeat.count}: {count} more, as in the first"
