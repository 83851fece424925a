"""The rule that broke, in words: from the declaration and the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.diagnosis.origin.computation import CONSTANT, Computation
from limpid.diagnosis.origin.declared import condition_text, fails
from limpid.diagnosis.origin.edges import Edge
from limpid.diagnosis.origin.outside import NumpyCall
from limpid.diagnosis.origin.record import shown
from limpid.diagnosis.origin.search import Found
from limpid.graph.node import Array

Index = tuple[int, ...]


def rule_of(found: Found) -> str:
    """What went wrong."""
    computation, k = found.place
    if found.turned:
        return _turned(found)
    if found.leaf is not None:
        return _of_leaf(found)
    index = first_index(found.entries)
    if isinstance(computation, NumpyCall):
        kind = shown(float(np.asarray(computation.value)[index]))
        return f"{computation.name} of NumPy's, outside limpid, gave {kind}"
    if isinstance(computation, Edge):
        return _of_edge(computation, index)
    within = "" if computation.forward is None else "within the derivative, "
    return within + _of_forward(computation, k, index)


def first_index(entries: Array) -> Index:
    """The first element of a mask."""
    if not entries.any():
        return ()
    return tuple(int(n) for n in np.argwhere(entries)[0])


def value_at(x: Any, index: Index, shape: tuple[int, ...]) -> Any:
    """The element of an operand that an element of the output reads, under broadcasting."""
    array = np.asarray(x)
    if array.ndim == 0:
        return array.item()
    try:
        return np.broadcast_to(array, shape)[index].item()
    except ValueError:
        return None


def operands_at(computation: Computation, k: int, index: Index) -> dict[str, float]:
    """The operands of one element, where each has one there."""
    if not computation.is_elementwise(k):
        return {}
    shape = np.shape(computation.outputs()[k])
    found = {}
    for i, x in enumerate(computation.operands):
        if x is None or np.asarray(x).dtype.kind not in "fiub":
            continue
        value = value_at(x, index, shape)
        if value is not None:
            found[computation.operand_name(i)] = float(value)
    return found


def _of_forward(computation: Computation, k: int, index: Index) -> str:
    op = computation.op
    output = np.asarray(computation.outputs()[k])
    value = float(output[index])
    given = operands_at(computation, k, index)
    at = _called(computation.name, given)
    outside = fails(getattr(op, "domain", None), computation.operands, computation.params)
    if outside is not None and outside.any() and (outside.shape != output.shape or outside[index]):
        text = condition_text(op.domain)
        return f"{at} = {shown(value)}: outside its domain{f' {text}' if text else ''}"
    if np.isinf(value) and op.math is None:
        return f"{at} = {shown(value)} for finite operands"
    if np.isinf(value):
        most = float(np.finfo(output.dtype).max)
        return f"{at} = {shown(value)}: beyond the largest {output.dtype.name}, {most:.2g}"
    largest = max((_largest(x) for x in computation.operands), default=0.0)
    if not given and largest > float(np.sqrt(np.finfo(output.dtype).max)):
        return f"{at} = NaN: it overflows within, for operands of up to {shown(largest)}"
    return f"{at} = {shown(value)} for finite operands: it is not defined there"


def _largest(x: Any) -> float:
    array = np.asarray(x)
    if array.dtype.kind != "f" or not array.size:
        return 0.0
    return float(np.abs(array).max())


def _called(name: str, given: dict[str, float]) -> str:
    if len(given) == 1:
        return f"{name} of {shown(next(iter(given.values())))}"
    if given:
        return f"{name} of " + ", ".join(f"{k} = {shown(x)}" for k, x in given.items())
    return name


def _of_edge(edge: Edge, index: Index) -> str:
    """0·∞, an infinite derivative, or a product that overflows."""
    forward = edge.forward_call()
    what = f"d {edge.name}{_at(operands_at(forward, 0, index))}"
    local, upstream = edge.local_at(index), edge.upstream_at(index)
    smooth = condition_text(getattr(edge.op, "smooth", None))
    only = f" (it is finite for {smooth})" if smooth else ""
    up = "" if upstream is None else f", upstream was {shown(upstream)}"
    if local is None:
        passed = float(np.asarray(edge.outputs()[0])[index])
        return f"{what} gives {shown(passed)} for finite upstream and operands{only}"
    if np.isinf(local):
        why = ": 0·∞ = NaN" if upstream == 0 else f": {shown(local * (upstream or 1.0))}"
        return f"{what} is {'infinite' if local > 0 else '−infinite'}{up}{why}{only}"
    if np.isnan(local):
        return f"{what} is NaN{up}{only}"
    return f"{what} is {shown(local)}{up}: the product is beyond the largest number"


def _at(given: dict[str, float]) -> str:
    if len(given) == 1:
        return f" at {shown(next(iter(given.values())))}"
    return " at " + ", ".join(f"{k} = {shown(x)}" for k, x in given.items()) if given else ""


def _of_leaf(found: Found) -> str:
    assert found.leaf is not None
    leaf, x = found.leaf, np.asarray(found.leaf.value)
    counts = [(int(np.isnan(x).sum()), "NaN"), (int(np.isinf(x).sum()), "infinite")]
    held = " and ".join(f"{n} {what}" for n, what in counts if n)
    if leaf.kind == CONSTANT:
        return f"a constant of the program is not finite ({held}); {found.place[0].name} reads it"
    name = leaf.name or "a value that nothing traced has made"
    return f"{name} was not finite when it was read: {held} of {x.size} elements"


def _turned(found: Found) -> str:
    computation, k = found.place
    given = operands_at(computation, k, first_index(found.entries))
    at = _called(computation.name, given)
    if found.meant:
        value = float(np.asarray(computation.outputs()[k])[first_index(found.entries)])
        return f"{at} = {shown(value)}: it meets an infinity that was put there on purpose"
    return (
        f"{at} = NaN: the infinities that were put there on purpose leave no finite number to "
        "compute with"
    )
