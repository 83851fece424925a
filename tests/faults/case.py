"""What a case of the corpus is: a small program, what is wrong with it, and what is to be found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from limpid import nn, optim


@dataclass(frozen=True)
class Program:
    """A training program, as a user would have written it.

    step     one step on a batch: gradients, update; returns the loss. It runs eagerly, and under
             `limpid.compile` without a change
    batches  its arguments, one tuple for each call
    """

    step: Callable[..., Any]
    batches: Sequence[tuple[Any, ...]]
    model: nn.Module | None = None
    optimizer: optim.Optimizer | None = None


@dataclass(frozen=True)
class Nan:
    """Where the first NaN or infinity comes from.

    producers  the primitives that may be named: not finite, though their operands are
    born       "input", "forward", "local derivative" or "update"
    step       the call in which it is born, from 1
    line       the text of the user's line, without its comment
    """

    producers: tuple[str, ...]
    born: str
    line: str
    step: int = 1


@dataclass(frozen=True)
class Case:
    """A fault, and the near miss that is healthy.

    rules     slugs of the doctor's rules of which one must be found; none where only `nan` is asked
    also      slugs that may be found besides, because they are true of this program, too
    source    the report that it is modelled on
    masked    the line of a `where` that guards an operation too late
    """

    name: str
    faulty: Callable[[], Program]
    healthy: Callable[[], Program]
    source: str
    rules: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    nan: Nan | None = None
    masked: str = ""
