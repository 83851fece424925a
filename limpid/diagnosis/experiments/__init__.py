"""Experiments from the lectures, reproducible by seed, each with a sentence on what it shows."""

from collections.abc import Callable

from limpid.diagnosis.experiments.batch import compare_batches as compare_batches
from limpid.diagnosis.experiments.depth import compare_depths as compare_depths
from limpid.diagnosis.experiments.rate import compare_rates as compare_rates
from limpid.diagnosis.experiments.result import Experiment as Experiment
from limpid.diagnosis.experiments.shift import compare_shifts as compare_shifts

EXPERIMENTS: dict[str, Callable[..., Experiment]] = {
    "depth": compare_depths,
    "batch": compare_batches,
    "rate": compare_rates,
    "shift": compare_shifts,
}
