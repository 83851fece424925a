"""A wrong backward function, what it belongs to, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Backward = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """One wrong rule. `causes` are the right answers: mostly one, sometimes two words for it."""

    name: str
    causes: tuple[str, ...]
    forward: Callable[..., Any]  # (*arguments) → (out, cache)
    backward: Backward  # (dout, cache) → gradients
    arguments: tuple[Any, ...]
    like: Any = None


@dataclass
class Cases:
    """The wrong rules of one file."""

    found: list[Case] = field(default_factory=list)

    def wrong(
        self, causes: str, forward: Callable[..., Any], *arguments: Any, like: Any = None
    ) -> Callable[[Backward], Backward]:
        """Note the decorated backward function as wrong, and why (alternatives with |)."""

        def note(backward: Backward) -> Backward:
            names = tuple(causes.split("|"))
            case = Case(backward.__name__, names, forward, backward, arguments, like)
            self.found.append(case)
            return backward

        return note


def floats(*shape: int, seed: int = 0, low: float = -1.5, high: float = 1.5) -> Any:
    """Random numbers, none of them near a kink at 0."""
    x = np.random.default_rng([seed, *shape]).uniform(low, high, shape)
    return np.where(np.abs(x) < 0.05, 0.3, x)


def positive(*shape: int, seed: int = 0) -> Any:
    return floats(*shape, seed=seed, low=0.5, high=2.0)
