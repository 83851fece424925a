"""Shuffled mini-batches that can be stopped at any batch and taken up again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from limpid.errors import ArgumentError
from limpid.random import Generator, permutation

Array = np.ndarray[Any, np.dtype[Any]]


class Batches:
    """The indices of mini-batches: each epoch takes every example once, in a new order.

    count      how many examples there are
    size       how many go into a batch; None for all of them, in their own order
    generator  where the order comes from

    The last batch of an epoch may be smaller. `state_dict()` can be taken between any two batches.

    >>> import limpid.random
    >>> batches = Batches(5, 2, limpid.random.Generator(0))
    >>> [len(indices) for indices in batches]
    [2, 2, 1]
    """

    def __init__(self, count: int, size: int | None, generator: Generator) -> None:
        if count < 1 or (size is not None and size < 1):
            raise ArgumentError(f"can't make batches of {size} from {count} examples")
        self.count = count
        self.size = count if size is None else size
        self.position = 0  # where the next batch begins
        self._generator = generator
        self._before = generator.state_dict()  # the generator before the order of this epoch
        self._order: Array | None = None

    def __len__(self) -> int:
        return -(-self.count // self.size)

    def __iter__(self) -> Iterator[Array]:
        """The batches left in this epoch."""
        order = self._draw() if self._order is None else self._order
        for start in range(self.position, self.count, self.size):
            stop = start + self.size
            if stop < self.count:
                self.position = stop
            else:
                self._finish()
            yield order[start:stop]

    def _finish(self) -> None:
        self.position, self._order = 0, None
        self._before = self._generator.state_dict()

    def _draw(self) -> Array:
        self._before = self._generator.state_dict()
        if self.size >= self.count:
            self._order = np.arange(self.count)
        else:
            self._order = permutation(self.count, generator=self._generator).value
        return self._order

    @property
    def at_start(self) -> bool:
        """Whether the next batch is the first of an epoch."""
        return self.position == 0

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on with the same batches."""
        return {"position": self.position, "generator": self._before}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the state was taken."""
        self._generator.load_state_dict(state["generator"])
        self._before = state["generator"]
        self._order = None
        self.position = 0
        if state["position"]:
            self._draw()
            self.position = state["position"]
