"""`limpid.watch`: statistics of training, light to import."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from limpid.compiler.steps.step import Step

if TYPE_CHECKING:
    from limpid.nn.module import Module
    from limpid.training.watching.watch import Watch

LIMIT = 1000  # records that are kept, if nothing else is said
KINDS = ("activations", "parameters", "gradients", "updates")
USUAL = ("norm", "zeros", "ratio")


def watch(
    target: Step | Module,
    every: int = 1,
    stats: str | Iterable[str] = USUAL,
    *,
    of: str | Iterable[str] = KINDS,
    limit: int = LIMIT,
) -> Watch:
    """Statistics of what every module returns, of parameters, gradients and updates, over time.

    target  a compiled step; or a module: then compiled steps that train it are watched when they
            are recorded next, and eager training in this thread, from module calls up to
            `optimizer.step()`
    every   of how many steps one is looked at. The others run as if there were no watch
    stats   some of norm, mean, std, min, max, zeros (the share that is 0), nan (how many),
            histogram (orders of magnitude; `limpid.diagnosis.statistics.bin_edges`), saturated (the
            share of outputs near an end of the range of a function such as tanh) and ratio (of
            updates: ‖Δw‖/‖w‖)
    of      of which kinds of values; all of them if nothing is said
    limit   how many records are kept: of the older half every other one goes when there are more

    In a compiled step they are computed by the loops that compute the values; no number of the step
    changes. Returns a `Watch`.

    >>> import limpid
    >>> w = limpid.Parameter([3.0, 4.0])
    >>> optimizer = limpid.optim.SGD([w], lr=0.5)
    >>> @limpid.compile
    ... def step():
    ...     optimizer.zero_grad()
    ...     loss = limpid.sum(w * w) / 2
    ...     loss.backward()
    ...     optimizer.step()
    >>> with limpid.watch(step, stats=("norm", "ratio")) as seen:
    ...     step(); step()
    >>> seen.history[2]["state:state"], seen.last["update:state"]
    ({'norm': 2.5}, {'norm': 1.25, 'ratio': 0.5})
    """
    from limpid.training.watching.watch import Watch  # which imports modules

    return Watch(target, every, stats, of, limit)
