"""`limpid.doctor`, light to import."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from limpid.errors import ArgumentError, LimpidError

if TYPE_CHECKING:
    from limpid.diagnosis.doctor.doctor import Doctor


def doctor(step: Callable[..., Any], batches: Iterable[Any] | None = None) -> Doctor:
    """A Doctor of a training step; with batches, one that has seen the step train on them.

    step     a function, compiled or not: gradients, update, and the loss as its result
    batches  its arguments, a tuple for each call; one that is no tuple is a single argument

    The calls train, as they do without a doctor. Where one raises an error of limpid's, the
    report says so, and what it comes from. Raises ArgumentError for what is no step, no batches.

    >>> import numpy as np, limpid
    >>> from limpid import nn
    >>> _ = limpid.manual_seed(0)
    >>> model = nn.Linear(4, 3)
    >>> optimizer = limpid.optim.SGD(model.parameters(), lr=0.1)
    >>> def step(x, y):
    ...     loss = nn.functional.cross_entropy(limpid.softmax(model(x)), y)
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> x, y = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32), np.arange(12) % 3
    >>> [finding.rule for finding in limpid.doctor(step, [(x, y)] * 5).report().findings]
    ['missing-zero-grad', 'softmax-twice']
    """
    from limpid.diagnosis.doctor.doctor import Doctor

    made = Doctor(step)
    if batches is None:
        return made
    try:
        arguments = iter(batches)
    except TypeError:
        raise ArgumentError(
            f"batches are the arguments of the step, one tuple for each call, not "
            f"{type(batches).__name__}"
        ) from None
    count = 0
    for batch in arguments:
        count += 1
        try:
            made(*(batch if isinstance(batch, tuple | list) else (batch,)))
        except LimpidError:
            if not made.has_answer:
                raise
            break
    if not count:
        raise ArgumentError("there are no batches: the doctor has to see the step run")
    return made
