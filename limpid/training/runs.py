"""Training runs from a script: begin one, go on with one, load what one has learnt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from limpid.data.dataset import Dataset
from limpid.data.loading import absolute, load
from limpid.errors import ArgumentError, LimpidError, RunError
from limpid.nn.module import Module
from limpid.random import default_generator
from limpid.training.callback import Callback
from limpid.training.config import Config, config_from_dict
from limpid.training.construction import build_model
from limpid.training.folder import RunFolder, create_run_folder, open_run_folder
from limpid.training.metrics import confusion_table
from limpid.training.trainer import INTERRUPTED, Trainer


@dataclass(frozen=True)
class Result:
    """What a training run came to.

    metrics    the lines of metrics.jsonl, one for each epoch
    confusion  (true class, predicted class) counts on the test part
    ended      why training ended
    """

    model: Module
    config: Config
    folder: Path
    classes: tuple[str, ...]
    metrics: list[dict[str, Any]]
    confusion: Any
    test_loss: float
    seconds: float
    ended: str

    @property
    def test_accuracy(self) -> float:
        """The part of the test examples whose class was found."""
        return float(self.confusion.trace() / self.confusion.sum())

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""
        return self.ended == INTERRUPTED

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        last = self.metrics[-1] if self.metrics else {}
        return {
            "run": str(self.folder),
            "ended": self.ended,
            "epochs": last.get("epoch", 0),
            "steps": last.get("step", 0),
            "seconds": round(self.seconds, 3),
            "train_loss": last.get("train_loss"),
            "train_accuracy": last.get("train_accuracy"),
            "test_loss": self.test_loss,
            "test_accuracy": self.test_accuracy,
            "classes": list(self.classes),
            "confusion": self.confusion.tolist(),
            "config": self.config.to_dict(),
        }


def train(
    config: Config | None = None,
    *,
    dataset: Dataset | None = None,
    output: str | Path | None = None,
    callbacks: Sequence[Callback] = (),
    **settings: Any,
) -> Result:
    """Train a classifier and leave a run folder.

    config     the settings; or name single ones: `train(data="digits", hidden=(32,), epochs=5)`
    dataset    data already loaded (`limpid.data.from_arrays`), instead of `config.data`
    output     a new or empty folder; else runs/<date>_<time>-<data>-<n>
    callbacks  see `Callback`

    Raises ArgumentError for impossible settings, DataError for the data, RunError if the folder
    can't be written or the loss becomes infinite. Ctrl-C ends training between two steps, saved.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = train(data="digits", hidden=(16,), epochs=2, output=folder)
    >>> len(result.metrics), result.confusion.shape
    (2, (10, 10))
    """
    settings = _known(settings)
    config = Config(**settings) if config is None else replace(config, **settings)
    if dataset is None:
        dataset = load_data(config)
        config = replace(config, data=absolute(config.data))
    else:
        config = replace(config, data=dataset.name)
    with _undisturbed():
        trainer = Trainer(config, dataset)
        return _run(trainer, create_run_folder(dataset.name, output), callbacks)


def resume(
    run: str | Path,
    *,
    epochs: int | None = None,
    data: str | None = None,
    dataset: Dataset | None = None,
    callbacks: Sequence[Callback] = (),
) -> Result:
    """Go on with a run from its folder, bit for bit as if it had never stopped.

    epochs  the new total of epochs; by default that of the run
    data    where its data is now, if it was moved; or `dataset`, the data itself

    Raises RunError if the folder is no run, is damaged, has nothing left to do, or if the data is
    not what it was.
    """
    folder = open_run_folder(run)
    state = folder.load()
    config = _config(folder, state)
    if epochs is not None or data is not None:
        moved = config.data if data is None else absolute(data)
        config = replace(config, epochs=epochs or config.epochs, data=moved)
    if state["epoch"] >= config.epochs or (state["ended"] not in _OPEN and epochs is None):
        raise RunError(
            f"{folder} has ended after {state['epoch']} epochs ({state['ended']}); "
            f"to go on, ask for more: --epochs {max(state['epoch'], config.epochs) + 10}"
        )
    if dataset is None:
        dataset = load_data(config)
    if dataset.digest != state["data"]["digest"]:
        raise RunError(f"{config.data} is not the data that {folder} was trained on")
    with _undisturbed():
        trainer = Trainer(config, dataset)
        _restore(trainer, folder, state)
        return _run(trainer, folder, callbacks)


_OPEN = (None, INTERRUPTED)


def load_model(run: str | Path) -> Module:
    """The trained network of a run, ready to use; the inputs it takes are flat and scaled.

    Raises RunError if the folder is no run or is damaged.
    """
    folder = open_run_folder(run)
    state = folder.load()
    config, data = _config(folder, state), state["data"]
    with _undisturbed():
        shape = data.get("shape", [data["features"]])  # not in runs of the first version
        model = build_model(config, shape, len(data["classes"]))
    model.load_state_dict(state["model"])
    return model.eval()


def load_data(config: Config) -> Dataset:
    """The data that a config names."""
    return load(
        config.data, label=config.label, scale=config.scale, test_fraction=config.test_fraction
    )


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Afterwards this thread's default generator stands where it stood."""
    before = default_generator().state_dict()
    try:
        yield
    finally:
        default_generator().load_state_dict(before)


def _known(settings: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(settings) - set(Config.__dataclass_fields__))
    if unknown:
        raise ArgumentError(f"no setting named {', '.join(unknown)}; see limpid.training.Config")
    return dict(settings)


def _config(folder: RunFolder, state: dict[str, Any]) -> Config:
    try:
        return config_from_dict(state["config"])
    except KeyError:
        raise RunError(f"{folder.checkpoint}: holds no training run") from None


def _restore(trainer: Trainer, folder: RunFolder, state: dict[str, Any]) -> None:
    try:
        trainer.load_state_dict(state)
    except (KeyError, LimpidError) as error:
        raise RunError(f"{folder.checkpoint}: does not fit its config: {error}") from None
    trainer.metrics = folder.forget_metrics_after(trainer.epoch)


def _run(trainer: Trainer, folder: RunFolder, callbacks: Sequence[Callback]) -> Result:
    trainer.run(folder, callbacks)
    test_loss, predicted = trainer.evaluate()
    classes = trainer.dataset.classes
    return Result(
        model=trainer.model.eval(),
        config=trainer.config,
        folder=folder.path,
        classes=classes,
        metrics=trainer.metrics,
        confusion=confusion_table(trainer.dataset.test.y, predicted, len(classes)),
        test_loss=test_loss,
        seconds=trainer.seconds,
        ended=trainer.ended or INTERRUPTED,
    )
