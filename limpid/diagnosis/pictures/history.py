"""Statistics over time, from whatever has kept them: a watch, a run folder, plain data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from limpid.errors import ArgumentError, OperandError, RunError
from limpid.training.folder import METRICS, RunFolder
from limpid.training.runs import Result

GRADIENT, STATE, UPDATE = "grad:", "state:", "update:"  # what a name begins with, as in probes
_COLUMNS = {  # of metrics.jsonl
    "gradient_norms": GRADIENT,
    "weight_norms": STATE,
    "update_norms": UPDATE,
    "activation_norms": "",
}
_FORMAT = "[{'step': 10, 'values': {'grad:fc1.weight': {'norm': 0.5}}}, …]"

Values = dict[str, dict[str, Any]]  # name → statistic → value


@dataclass(frozen=True)
class History:
    """What was measured when: `values[i]` belongs to `steps[i]`; `unit` is "step" or "epoch"."""

    steps: tuple[Any, ...]
    values: tuple[Values, ...]
    unit: str

    def series(self, statistic: str, kind: str) -> dict[str, list[Any]]:
        """By name, the statistic at each step; None where it was not taken.

        Names are those of a kind, such as "grad:", in the order of the step that has most of them.
        Where no name tells a kind, all are meant.
        """
        found: dict[str, list[Any]] = {}
        tells = any(_kind(name) for values in self.values for name in values)
        for place, values in enumerate(self.values):
            for name, statistics in values.items():
                if (not tells or _kind(name) == kind) and statistic in statistics:
                    series = found.setdefault(name.removeprefix(kind), [None] * len(self.steps))
                    series[place] = statistics[statistic]
        fullest = max(self.values, key=len, default={})
        first = [name.removeprefix(kind) for name in fullest]
        return {name: found[name] for name in dict.fromkeys((*first, *found)) if name in found}

    def statistics(self) -> list[str]:
        """The statistics that there are."""
        return sorted({s for values in self.values for each in values.values() for s in each})


def _kind(name: str) -> str:
    return next((kind for kind in (GRADIENT, STATE, UPDATE, "new:") if name.startswith(kind)), "")


def read_history(source: Any) -> History:
    """The history that something has.

    source  a watch, or anything else with a `history`; {step: {name: {statistic: value}}}, or a
            list of {"step": …, "values": …}, or a file of such lines; a run folder or the result of
            a training run, whose metrics are per epoch; the lines of these

    Raises OperandError for anything else, RunError for a folder without metrics.
    """
    if isinstance(source, Result):
        return _of_metrics(source.metrics)
    if isinstance(source, str | PathLike):
        path = Path(source)
        if path.is_file() and path.name != METRICS:
            return read_history(_lines(path))
        source = RunFolder(_folder(path))
    if isinstance(source, RunFolder):
        return _of_metrics(source.read_metrics())
    history = getattr(source, "history", source)
    if isinstance(history, Mapping):
        return _of_pairs(history.items())
    if not isinstance(history, Sequence) or not all(isinstance(x, Mapping) for x in history):
        raise OperandError(
            f"a history is a watch, a run folder or a list such as {_FORMAT}, "
            f"not {type(source).__name__}"
        )
    if any("epoch" in line for line in history):
        return _of_metrics(history)
    return _of_pairs(_pair(line) for line in history)


def _lines(path: Path) -> list[Any]:
    """The lines of JSON that a watch saved."""
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is not the history of a watch: {error}") from None


def _folder(path: Path) -> Path:
    if path.name == METRICS:
        path = path.parent
    if not (path / METRICS).is_file():
        raise RunError(f"{path} is not a run folder: it has no {METRICS}")
    return path


def _pair(line: Mapping[Any, Any]) -> tuple[Any, Any]:
    """(step, values) of one entry."""
    if "step" in line:
        rest = {key: x for key, x in line.items() if key != "step"}
        held = [x for key, x in rest.items() if key in ("values", "statistics")]
        return line["step"], held[0] if len(held) == 1 else rest
    if len(line) == 1:
        return next(iter(line.items()))
    raise OperandError(f"an entry of a history has a step and values, such as {_FORMAT}")


def _of_pairs(pairs: Iterable[tuple[Any, Any]]) -> History:
    steps, kept = [], []
    for step, values in pairs:
        if not isinstance(step, int | float) or not isinstance(values, Mapping):
            raise OperandError(f"an entry of a history has a step and values, such as {_FORMAT}")
        steps.append(step)
        kept.append({str(name): _statistics(x) for name, x in values.items()})
    return History(tuple(steps), tuple(kept), "step")


def _statistics(given: Any) -> dict[str, Any]:
    """By name; a bare number is a norm."""
    return dict(given) if isinstance(given, Mapping) else {"norm": given}


def _of_metrics(lines: Sequence[Mapping[str, Any]]) -> History:
    kept: list[Values] = []
    for line in lines:
        if "epoch" not in line:
            raise OperandError("a line of metrics without an epoch")
        kept.append(
            {
                f"{kind}{name}": {"norm": x}
                for key, kind in _COLUMNS.items()
                for name, x in line.get(key, {}).items()
            }
        )
    return History(tuple(line["epoch"] for line in lines), tuple(kept), "epoch")


# Layers


def by_layer(names: Iterable[str]) -> dict[str, list[str]]:
    """Parameters by the module that they belong to, in order.

    >>> by_layer(["fc1.weight", "fc1.bias", "fc2.weight", "scale"])
    {'fc1': ['fc1.weight', 'fc1.bias'], 'fc2': ['fc2.weight'], 'scale': ['scale']}
    """
    layers: dict[str, list[str]] = {}
    for name in names:
        layers.setdefault(name.rpartition(".")[0] or name, []).append(name)
    return layers


def grouped(names: Iterable[str], by: str) -> dict[str, list[str]]:
    """Names by layer, or each by itself."""
    if by not in ("layer", "parameter"):
        raise ArgumentError(f"by is 'layer' or 'parameter', not {by!r}")
    return by_layer(names) if by == "layer" else {name: [name] for name in names}
