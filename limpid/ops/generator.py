"""Generators of random bits: a key, and a position that each draw moves on."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from limpid.differentiation.declaration import general
from limpid.errors import AbstractError, ArgumentError, StateError
from limpid.graph.context import context
from limpid.graph.dtype import uint32, uint64
from limpid.graph.node import Array, Leaf, Spec
from limpid.graph.source import capture, describe
from limpid.ops.arithmetic import add
from limpid.ops.philox import block_count, blocks, words
from limpid.ops.plain import random as plain
from limpid.ops.state import assign
from limpid.tensor import Buffer

DERIVED = 1 << 63  # upper half of the counters that keys are derived from; draws have 0 there
_taking = threading.Lock()  # two threads that share a generator never take the same blocks


def _bits(state: Array, *, shape: tuple[int, ...], width: int) -> Array:
    key, position = state.tolist()
    return words(key, position, _size(shape), width).reshape(shape)


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for extent in shape:
        size *= extent
    return size


random_bits = general(
    "random_bits",
    _bits,
    vjp=[None],
    shape=lambda state, *, shape, width: Spec(shape, uint32 if width == 32 else uint64),
    numeric="any",
    native=plain.bits,
    math=r"\mathrm{Philox}({state})",
)


class Generator:
    """A stream of random bits, Philox4x32-10 with the seed as its key.

    seed  an integer from 0 to 2⁶⁴ − 1; equal seeds give equal numbers in every process

    The state, `(key, position)` as uint64[2], is a slot: a recorded function draws fresh numbers at
    every call, the same ones as eager. Each draw takes blocks of 128 bits of its own from the
    position on, so that no bit is used twice.

    >>> import limpid
    >>> limpid.random.normal(shape=(2,), generator=limpid.random.Generator(0))
    tensor([-0.25581592,  1.1775912 ])
    """

    def __init__(self, seed: int = 0) -> None:
        self.state = Buffer(np.array([_checked(seed), 0], np.uint64))
        leaf = self.state.node
        if leaf is not None and isinstance(leaf.op, Leaf):
            leaf.op.label = "random.state"

    def __repr__(self) -> str:
        key, position = self._now().tolist()
        return f"Generator(key={key}, position={position})"

    def seed(self, seed: int) -> None:
        """Start again, with another key. What was recorded with this generator follows."""
        assign(self.state, np.array([_checked(seed), 0], np.uint64))

    def words(self, shape: tuple[int, ...], width: int) -> Any:
        """The next words of 32 or 64 bits: an array, or a tensor while recording."""
        taken = block_count(_size(shape), width)
        storage = self.state.storage
        if context.state.recorder is None and storage is not None:  # the same, in less time
            with _taking:
                state = storage.read()
                storage.write(state + np.array([0, taken], np.uint64))
            return _bits(state, shape=shape, width=width)
        drawn = random_bits(self.state, shape=shape, width=width)
        assign(self.state, add(self.state, np.array([0, taken], np.uint64)))
        return drawn

    def split(self, count: int) -> list[Generator]:
        """New generators whose keys are drawn from this one; a later split gives others.

        >>> import limpid
        >>> first, second = limpid.random.Generator(0).split(2)
        """
        self._now()
        return [Generator(key) for key in self.words((count,), 64).tolist()]

    def fold_in(self, number: int) -> Generator:
        """A new generator for a number (a worker, an epoch), given by this one's key alone."""
        key = int(self._now()[0])
        derived = blocks(key, _checked(number), 1, DERIVED)[0].tolist()
        return Generator(derived[0] | derived[1] << 32)

    def state_dict(self) -> dict[str, Array]:
        """What a checkpoint keeps: {"state": uint64[2] of key and position}."""
        return {"state": self._now().copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the generator stood whose `state_dict` this is.

        Raises StateError, and changes nothing, if it does not fit.
        """
        if set(state) != {"state"}:
            raise StateError(f"a generator's state dict has the key 'state', not {sorted(state)}")
        given = state["state"]
        array = given.value if hasattr(given, "value") else np.asarray(given)
        if array.shape != (2,) or array.dtype != np.uint64:
            raise StateError(f"a generator's state is uint64[2], not {array.dtype}{array.shape}")
        assign(self.state, array)

    def _now(self) -> Array:
        """Key and position as numbers, which a recording has not."""
        if context.state.recorder is not None:
            raise AbstractError(
                f"a graph is recorded, and at {describe(capture())} the state of a generator was "
                "read\nremedy: make, split or save generators outside the recorded function"
            )
        return self.state.value


def _checked(seed: Any) -> int:
    try:
        number = int(seed.__index__())
    except AttributeError:
        raise ArgumentError(f"a seed is an integer, not {seed!r:.40}") from None
    if not 0 <= number < 2**64:
        raise ArgumentError(f"a seed is from 0 to 2**64 − 1, not {number}")
    return number


class _Defaults(threading.local):
    """Each thread's own generator, made when it is first needed."""

    def __init__(self) -> None:
        self.generator = Generator(0)


_defaults = _Defaults()


def default_generator() -> Generator:
    """The generator of this thread, used where none is given.

    Every thread starts with seed 0, so its numbers do not depend on the order in which threads
    run; threads that must differ seed theirs, or draw from `fold_in(worker)`.
    """
    return _defaults.generator


def seed(number: int) -> Generator:
    """Start this thread's default generator again with a seed.

    >>> import limpid
    >>> generator = limpid.random.seed(7)
    >>> a = limpid.random.uniform(shape=3)
    >>> generator = limpid.random.seed(7)
    >>> (a == limpid.random.uniform(shape=3)).all().item()
    True
    """
    _defaults.generator.seed(number)
    return _defaults.generator
