"""The record of a comparison of initialisations: plain, versioned data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from limpid.diagnosis.spectrum.record import plain

FORMAT = "limpid initial report 1"


@dataclass(frozen=True)
class Start:
    """A network with one initialisation and one activation, before training.

    signals        E[h²] of the input and of the output of each layer
    gradients      ∥∂L/∂h∥² at the same places, of a random direction of norm 1 at the output
    product        ∏ σ of all layers
    chi            χ₁ as theory has it, its geometric mean over the layers; None without theory
    measured_chi   by how much each layer really multiplies ∥∂L/∂h∥², the geometric mean
    theory_signals E[h²] as theory has it, from the first layer's output on; None without theory
    """

    initialisation: str
    activation: str
    signals: tuple[float, ...]
    gradients: tuple[float, ...]
    product: float
    chi: float | None
    measured_chi: float
    theory_signals: tuple[float, ...] | None

    @property
    def signal(self) -> float:
        """By how much the network multiplies the size (root mean square) of signals."""
        return _factor(self.signals[0], self.signals[-1])

    @property
    def gradient(self) -> float:
        """By how much it multiplies the norm of gradients on their way back."""
        return _factor(self.gradients[-1], self.gradients[0])

    @property
    def distance(self) -> float:
        """How far both are from 1, in powers of ten added up; infinite where one is 0."""
        with np.errstate(all="ignore"):
            found = abs(np.log10(self.signal)) + abs(np.log10(self.gradient))
        return float(found) if np.isfinite(found) else float("inf")

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it."""
        made = {
            name: [plain(v) for v in value] if isinstance(value, tuple) else plain(value)
            for name, value in vars(self).items()
        }
        return made | {"signal": plain(self.signal), "gradient": plain(self.gradient)}


@dataclass(frozen=True)
class InitialReport:
    """Initialisations and activations compared before training; printed, it is a table.

    subject  what was compared, in words
    starts   one for each pair, in the order in which they were asked for
    """

    subject: str
    starts: tuple[Start, ...]

    def __getitem__(self, key: tuple[str, str]) -> Start:
        for start in self.starts:
            if (start.initialisation, start.activation) == key:
                return start
        raise KeyError(f"no start {key!r}; a key is (initialisation, activation)")

    def best(self, activation: str | None = None) -> Start:
        """The one that changes the sizes of signals and gradients least."""
        named = [s for s in self.starts if activation in (None, s.activation)]
        if not named:
            raise KeyError(f"no activation {activation!r} was compared")
        return min(named, key=lambda start: start.distance)

    @property
    def activations(self) -> tuple[str, ...]:
        """The activations that were compared."""
        return tuple(dict.fromkeys(start.activation for start in self.starts))

    def to_json(self) -> dict[str, Any]:
        """Versioned data as JSON can hold it; numbers that are not finite become text."""
        best = {name: self.best(name).initialisation for name in self.activations}
        return {
            "format": FORMAT,
            "subject": self.subject,
            "starts": [start.to_json() for start in self.starts],
            "best": best,
        }

    def __str__(self) -> str:
        from limpid.diagnosis.spectrum.initial_table import render_text

        return render_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from limpid.diagnosis.spectrum.initial_table import render_html

        return render_html(self)


def _factor(before: float, after: float) -> float:
    with np.errstate(all="ignore"):
        return float(np.sqrt(np.float64(after) / np.float64(before)))
