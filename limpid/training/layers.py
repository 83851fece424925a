"""What an epoch says of each layer: norms of its last batch, for metrics.jsonl."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from limpid.nn.module import Module
from limpid.training.watching.wanted import Values
from limpid.training.watching.watch import Watch

STATISTICS = ("norm", "zeros", "saturated", "ratio")
KEYS = {
    "norm": "activation_norms",
    "zeros": "activation_zeros",
    "saturated": "activation_saturation",
}
UPDATES = "update_norms"


class Layers(Watch):
    """A watch that looks where it is told to: at the step within `looking`.

    It costs what one step in an epoch costs more; the others run as they do without it.
    """

    def __init__(self, model: Module) -> None:
        self._looks = False
        super().__init__(model, stats=STATISTICS, limit=2)

    def is_next_due(self) -> bool:
        """Whether the step that comes next is looked at."""
        return self.is_open and self._looks

    def is_due(self) -> bool:
        """Whether the step that begins now is looked at; it counts."""
        super().is_due()
        return self.is_next_due()

    @contextmanager
    def looking(self, looks: bool) -> Iterator[None]:
        """Look at the step inside, or don't."""
        self._looks = looks
        try:
            yield
        finally:
            self._looks = False

    def line(self) -> dict[str, dict[str, float]]:
        """{key: {name: number}} of the step that was looked at last.

        activation_norms  of what each module returned
        activation_zeros  the share of it that is 0
        activation_saturation  the share near an end of the range, where its function has ends
        update_norms      ‖Δw‖ of each parameter
        """
        return numbers(self.last)


def numbers(values: Values) -> dict[str, dict[str, float]]:
    """Statistics by name as the columns of a line."""
    found: dict[str, dict[str, float]] = {key: {} for key in (*KEYS.values(), UPDATES)}
    for full, statistics in values.items():
        kind, _, name = full.rpartition(":")
        if kind == "update":
            found[UPDATES][name] = statistics["norm"]
        elif not kind:
            for statistic, key in KEYS.items():
                if statistic in statistics:
                    found[key][name] = statistics[statistic]
    return found
