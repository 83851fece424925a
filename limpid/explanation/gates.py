"""How a node's gates behave, from what its primitive declares: no names are known here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from limpid.differentiation.kinds import General, Local, Transpose
from limpid.differentiation.relation import Relation, atoms, structure
from limpid.differentiation.rules import is_mask


class Gate(NamedTuple):
    """What an operand's derivative does with upstream.

    pattern    in a word or two; words: in a sentence
    structure  of the Jacobian
    """

    kind: str
    pattern: str
    words: str
    structure: str


def gate(op: Any, i: int, local: Any, operands: Sequence[Any], relation: Relation) -> Gate:
    """The gate of operand i; `local` is its local derivative where that is an array or a number."""
    derivative = op.derivative(i)
    form = _structure(relation, i)
    if isinstance(derivative, Local):
        pattern, words = _elementwise(i, local, operands)
        return Gate("elementwise", op.gate or pattern, words, form)
    if isinstance(derivative, Transpose):
        pattern, words = _linear(derivative, relation, i)
        return Gate("linear", op.gate or pattern, words, form)
    assert isinstance(derivative, General)
    words = "upstream times the Jacobian, which is never formed"
    return Gate("general", op.gate or "multiplies by the local Jacobian", words, form)


def _elementwise(i: int, local: Any, operands: Sequence[Any]) -> tuple[str, str]:
    if isinstance(local, int):
        sign = "" if local == 1 else ", sign flipped"
        words = f"upstream goes on as it is{sign}"
        return f"{'distributes' if len(operands) > 1 else 'passes on'}{sign}", words
    if is_mask(local):
        open_, all_ = int(np.sum(local)), int(np.size(local))
        return "routes", f"upstream passes where the mask holds, {open_} of {all_}; 0 elsewhere"
    others = [x for k, x in enumerate(operands) if k != i]
    if len(operands) == 2 and others and local is others[0]:
        return "swaps and multiplies", "upstream times the other operand, element by element"
    return "multiplies by the local", "upstream times the local derivative, element by element"


def _linear(derivative: Transpose, relation: Relation, i: int) -> tuple[str, str]:
    """What the transpose does, from where elements go."""
    if not derivative.joint:
        return "swaps and multiplies", "upstream times the other operand, transposed"
    given, made = set(atoms(relation.operands[i])), set(atoms(relation.outputs[0]))
    if structure(relation, i) in ("diagonal", "selection"):
        if made - given:
            return "adds", "each element adds up what its copies received"
        return "routes", "each number of upstream goes back to where its element came from"
    if relation.mixed:
        return "applies the transpose", "the transpose of the map, applied to upstream"
    return "distributes", "each element receives what the sum that it went into received"


def _structure(relation: Relation, i: int) -> str:
    """The form of the Jacobian; of low rank where all elements of a block are treated alike."""
    found = structure(relation, i)
    read, made = set(atoms(relation.operands[i])), set(atoms(relation.outputs[0]))
    alike = len(relation.operands) == 1 and not (relation.mixed or relation.moved)
    return "low rank" if found in ("dense", "block") and alike and read - made else found
