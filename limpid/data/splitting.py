"""Holding out a test part."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.errors import ArgumentError, DataError
from limpid.random import Generator, permutation

Array = np.ndarray[Any, np.dtype[Any]]


def split_by_class(y: Array, fraction: float, seed: int = 0) -> tuple[Array, Array]:
    """Indices of a training and a test part; each class gives the same fraction to the test part.

    The seed is the split's own, so that runs with different seeds are tested on the same examples.

    >>> import numpy as np
    >>> train, test = split_by_class(np.repeat([0, 1], 10), 0.2)
    >>> len(train), len(test)
    (16, 4)
    """
    if not 0 < fraction < 1:
        raise ArgumentError(f"the test fraction must lie between 0 and 1, not {fraction}")
    generator = Generator(seed)
    is_test = np.zeros(len(y), bool)
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        shuffled = members[permutation(len(members), generator=generator).value]
        is_test[shuffled[: round(fraction * len(members))]] = True
    if not is_test.any():
        raise DataError(
            f"{len(y)} examples are too few to hold out {fraction:.0%} of each class for testing"
        )
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)
