"""What a run folder shows: facts from the lines of its metrics, one for each epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from limpid.diagnosis.doctor.causes import explained_away
from limpid.diagnosis.doctor.facts import Facts, LayerFacts, ParameterFacts
from limpid.diagnosis.doctor.finding import Finding
from limpid.diagnosis.doctor.report import Report
from limpid.diagnosis.doctor.rules.flow import exploding, vanishing
from limpid.diagnosis.doctor.rules.progress import falls
from limpid.diagnosis.doctor.rules.units import DEAD, SATURATED
from limpid.errors import RunError
from limpid.training.folder import RunFolder, open_run_folder

EPOCHS = 3  # with fewer nothing is said of a course
FALL = 0.01  # of the first epoch's loss; a mean over an epoch has little noise
CHANCE = 0.97  # of log(classes)
LARGE, SMALL = 0.3, 1e-6  # ‖update‖ / ‖weight‖; about 0.001 is usual


def examine_run(run: str | Path) -> Report:
    """The report on a run folder, from what every run writes down.

    One line for each epoch has the losses, and of its last batch the norms of weights, gradients
    and updates, and the zeros and the saturation of activations. So graphs are not looked at: what
    is missing here may still be found by `limpid train --doctor`. Raises RunError for a folder that
    is no run, or in which no epoch has ended.
    """
    folder = open_run_folder(run)
    lines = folder.read_metrics()
    if not lines:
        raise RunError(
            f"{folder.path}: no epoch has ended, so there is nothing to go by\nremedy: "
            "limpid train --doctor watches each step"
        )
    facts = facts_of(lines)
    found = [*vanishing(facts), *exploding(facts), *_units(lines), *_updates(facts)]
    found += [*_unchanged(facts), *_losses(folder, lines)]
    seen = {"epochs": len(lines), "parameters": len(facts.parameters)}
    return Report(folder.path.name, explained_away(found), seen)


def facts_of(lines: Sequence[dict[str, Any]]) -> Facts:
    """Parameters and layers over the epochs."""
    facts = Facts(calls=int(lines[-1].get("step", len(lines))), takes_gradient=True)
    facts.losses = [float(line.get("objective", line["train_loss"])) for line in lines]
    names = list(lines[-1].get("weight_norms", {}))
    for name in names:
        shape = (1, 1) if name.endswith("weight") else (1,)  # the norms are all that is known
        known = ParameterFacts(name, shape, "", True, True, 0, True, True, True)
        known.weights = _series(lines, "weight_norms", name)
        known.gradients = _series(lines, "gradient_norms", name)
        known.updates = _series(lines, "update_norms", name)
        facts.parameters[name] = known
        if name.endswith("weight") and np.isfinite(known.gradients).any():
            stem = name.rpartition(".")[0] or name
            facts.layers[stem] = LayerFacts(stem, name, 0, "", gradients=known.gradients)
    facts.seen, facts.by_epoch = len(lines), True
    facts.steps = list(range(1, len(lines) + 1))
    return facts


def _series(lines: Sequence[dict[str, Any]], kind: str, name: str) -> list[float]:
    """A number of each epoch; NaN where a line has none."""
    found = (line.get(kind, {}).get(name) for line in lines)
    return [math.nan if x is None else float(x) for x in found]


def _latest(lines: Sequence[dict[str, Any]], kind: str) -> Iterator[tuple[str, float, float]]:
    """(module, mean of the later half of the epochs, first) of a share."""
    for name in lines[-1].get(kind, {}):
        if "." in name or name.isdigit():  # not the network as a whole
            series = np.array(_series(lines, kind, name))
            later = series[len(series) // 2 :]
            if np.isfinite(later).all():
                yield name, float(later.mean()), float(series[0])


def _units(lines: Sequence[dict[str, Any]]) -> Iterator[Finding]:
    if len(lines) < EPOCHS:
        return
    for name, share, first in _latest(lines, "activation_zeros"):
        if share > max(DEAD, 0.95):  # half are zero in good health, and dropout takes others
            yield Finding(
                "dead-units", name, f"{share:.1%} of its outputs are 0; {first:.1%} after the "
                "first epoch", "units were thrown below the kink, or began there",
                "a smaller learning rate, He's initialisation, leaky-relu or elu",
                {"share": share, "at first": first},
            )  # fmt: skip
    for name, share, first in _latest(lines, "activation_saturation"):
        if share > SATURATED:
            yield Finding(
                "saturated-units", name, f"{share:.1%} of its outputs lie in the flat part; "
                f"{first:.1%} after the first epoch", "inputs or weights are too large",
                "scale the inputs, a smaller learning rate, Xavier's initialisation",
                {"share": share, "at first": first},
            )  # fmt: skip


def _updates(facts: Facts) -> Iterator[Finding]:
    ratios = {
        p.name: float(np.nanmedian(p.ratios))
        for p in facts.parameters.values()
        if p.is_weight and np.isfinite(p.ratios).any()
    }
    if facts.seen < EPOCHS or not ratios or falls(facts):
        return
    name, most = max(ratios.items(), key=lambda x: x[1])
    if most > LARGE or 0 < most < SMALL:
        size = "large" if most > LARGE else "small"
        yield Finding(
            "update-ratio", name, f"an update changes it by {most:.2g} of its size; about 0.001 is "
            "usual", f"the learning rate is too {size}",
            f"a {'smaller' if size == 'large' else 'larger'} --lr", {"ratio": most},
        )  # fmt: skip


def _unchanged(facts: Facts) -> Iterator[Finding]:
    still = [
        p.name for p in facts.parameters.values()
        if len(p.updates) >= EPOCHS and all(x == 0 for x in p.updates)
        and any(x > 0 for x in p.gradients)
    ]  # fmt: skip
    if still:
        yield Finding(
            "unchanged-parameters", ", ".join(still[:4]), f"{len(still)} parameters have a "
            "gradient and no update changes them",
            "the learning rate is 0, or too small for float32",
            "a larger --lr", {"parameters": len(still)},
        )  # fmt: skip


def _losses(folder: RunFolder, lines: Sequence[dict[str, Any]]) -> Iterator[Finding]:
    losses = [float(line["train_loss"]) for line in lines]
    if len(lines) < EPOCHS:
        return
    first, last = losses[0], losses[-1]
    state = folder.load()
    classes = len(state["data"]["classes"])
    numbers = {"first": first, "last": last, "epochs": len(losses)}
    accuracy = lines[-1]["train_accuracy"]
    guess = math.log(classes)
    at_chance = state["config"].get("loss") == "cross-entropy" and last > CHANCE * guess
    if classes > 1 and at_chance and accuracy < 1.5 / classes:
        yield Finding(
            "loss-at-chance", "train_loss", f"the loss is {last:.4g}, guessing among {classes} "
            f"classes gives {guess:.4g}; {accuracy:.1%} are right", "the inputs say nothing about "
            "the labels, or nothing is learnt", "look at the data; another learning rate",
            {**numbers, "chance": guess},
        )  # fmt: skip
    if not _fell(losses) and accuracy < 0.9:
        yield Finding(
            "loss-not-falling", "train_loss", f"the loss was {first:.4g} in the first epoch and is "
            f"{last:.4g} in the latest", "steps are too large or too small, or there is nothing to "
            "be learnt", "another --lr, ten times smaller or larger", numbers,
        )  # fmt: skip


def _fell(losses: Sequence[float]) -> bool:
    return bool(np.isfinite(losses).all() and losses[-1] < (1 - FALL) * losses[0])
