"""Numbers taken of the arrays of one call."""

from __future__ import annotations

import numpy as np

from limpid.graph.node import Array

DISTRIBUTION = 1e-3  # by how much a sum of probabilities may differ from 1: float16 has 3 digits
SAMPLED = 512  # elements of each gradient, by which those of different calls are compared
FLAT = 0.05  # of the steepest slope: sigmoid beyond ±4.4, tanh beyond ±2.2


def norm(x: Array) -> float:
    """‖x‖ in double precision."""
    return float(np.linalg.norm(np.asarray(x, np.float64)))


def root_mean_square(x: Array) -> float:
    """√mean(x²); 0 where there is nothing."""
    return norm(x) / np.sqrt(x.size) if x.size else 0.0


def variation(x: Array) -> float:
    """How much examples (axis 0) differ: the root mean square of the deviations from their mean."""
    if not x.ndim or len(x) < 2:
        return float("nan")
    wide = np.asarray(x, np.float64)
    return root_mean_square(wide - wide.mean(axis=0))


def rows_alike(x: Array) -> bool:
    """Whether a weight of several units gives each of them the same."""
    if x.ndim < 2 or x.shape[0] < 2 or x.shape[1] < 2:
        return False
    spread = float(np.abs(x - x[:1]).max(initial=0.0))
    columns = float(np.abs(x - x[:, :1]).max(initial=0.0))
    size = float(np.abs(x).max(initial=0.0))
    return min(spread, columns) <= 1e-6 * size


def share_lost(x: Array) -> float:
    """Of the elements that are not 0, the share below the smallest normal number; else 1."""
    size = np.abs(x[x != 0])
    if not size.size:
        return 1.0
    return float(np.mean(size < np.finfo(x.dtype).tiny))


def share_stuck(before: Array, after: Array, gradient: Array) -> float:
    """Of the elements with a gradient, the share that is what it was."""
    moved = gradient != 0
    return float(np.mean(before[moved] == after[moved])) if moved.any() else float("nan")


def silent_units(local: Array, axis: int) -> Array:
    """For each unit along an axis, whether the local derivative is 0 everywhere."""
    others = tuple(a for a in range(local.ndim) if a != axis % local.ndim)
    return ~np.any(local != 0, axis=others)


def share_constant(local: Array, axis: int) -> float:
    """Of the units that are not silent, the share that is so for no example."""
    others = tuple(a for a in range(local.ndim) if a != axis % local.ndim)
    some = np.any(local != 0, axis=others)
    return float(np.mean(np.all(local != 0, axis=others)[some])) if some.any() else 0.0


def sample(x: Array) -> Array:
    """Some of the elements, always the same ones, in double precision."""
    step = -(-x.size // SAMPLED) or 1
    return x.reshape(-1)[::step].astype(np.float64)


def is_distribution(x: Array, axis: int) -> bool:
    """Whether the numbers along an axis are probabilities that add to 1."""
    if x.ndim <= axis or x.shape[axis] < 2 or not x.size:
        return False
    sums = np.asarray(x, np.float64).sum(axis=axis)
    return bool(x.min() >= 0 and np.abs(sums - 1).max() < DISTRIBUTION)


def is_log_distribution(x: Array, axis: int) -> bool:
    """Whether they are logarithms of such."""
    if not x.size or x.max() > DISTRIBUTION:
        return False
    with np.errstate(all="ignore"):
        return is_distribution(np.exp(np.asarray(x, np.float64)), axis)


def target_entropy(target: Array, axis: int | None) -> float:
    """The mean entropy of targets that are probabilities; 0 for class numbers."""
    if target.dtype.kind != "f" or not target.size:
        return 0.0
    p = np.clip(np.asarray(target, np.float64), 1e-300, 1.0)
    if axis is None:
        q = np.clip(1 - p, 1e-300, 1.0)
        return float(np.mean(-p * np.log(p) - q * np.log(q)))
    return float(np.mean(-(p * np.log(p)).sum(axis=axis)))


def entropy(shares: Array) -> float:
    """−Σ p log p."""
    p = shares[shares > 0]
    return float(-(p * np.log(p)).sum())
