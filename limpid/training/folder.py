"""Run folders: everything one training run leaves behind."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from limpid.errors import RunError
from limpid.files.durable import remove_partial_files, write_durably
from limpid.training.chart import Chart, draw_charts
from limpid.training.checkpoint import load_checkpoint, save_checkpoint

CONFIG, METRICS, CHECKPOINT, CURVE = (
    "config.json",
    "metrics.jsonl",
    "checkpoint.safetensors",
    "loss.svg",
)


class RunFolder:
    """A folder with config.json, metrics.jsonl, checkpoint.safetensors and loss.svg.

    Only the checkpoint is read to resume; the others are for people and other programs.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint = path / CHECKPOINT

    def __str__(self) -> str:
        return str(self.path)

    def save(self, state: dict[str, Any]) -> None:
        """Write the checkpoint."""
        with self._remedy():
            save_checkpoint(self.checkpoint, state)

    def load(self) -> dict[str, Any]:
        """Read the checkpoint."""
        state = load_checkpoint(self.checkpoint)
        if not isinstance(state, dict):
            raise RunError(f"{self.checkpoint}: holds no training run")
        return state

    def write_config(self, config: dict[str, Any]) -> None:
        """Write config.json."""
        write_durably(self.path / CONFIG, (json.dumps(config, indent=2) + "\n").encode())

    def append_metrics(self, line: dict[str, Any]) -> None:
        """Add one line to metrics.jsonl."""
        path = self.path / METRICS
        with self._remedy():
            try:
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
            except OSError as error:
                raise RunError(f"{path} could not be written: {error.strerror}") from None

    @contextmanager
    def _remedy(self) -> Iterator[None]:
        """Errors inside also say how the run can go on, if it has a checkpoint."""
        try:
            yield
        except RunError as error:
            if not self.checkpoint.exists():
                raise
            reason = str(error).removesuffix(f" [{RunError.id}]")
            raise RunError(
                f"{reason}; when that is mended, go on with: limpid train --resume {self.path}"
            ) from None

    def read_metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl, without a last one that a killed writer left half done."""
        path = self.path / METRICS
        lines: list[dict[str, Any]] = []
        for text in _read_lines(path):
            try:
                line = json.loads(text)
            except ValueError:
                break
            if not isinstance(line, dict) or "epoch" not in line:
                raise RunError(f"{path}: a line that limpid did not write: {text:.40}")
            lines.append(line)
        return lines

    def forget_metrics_after(self, epoch: int) -> list[dict[str, Any]]:
        """Drop the lines of later epochs, which are run again; the lines that are left."""
        lines = [line for line in self.read_metrics() if line["epoch"] <= epoch]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        write_durably(self.path / METRICS, text.encode())
        return lines

    def draw_curve(self, metrics: list[dict[str, Any]]) -> None:
        """Draw loss.svg: loss and accuracy against the epoch."""
        epochs = [line["epoch"] for line in metrics]
        charts = [
            Chart(kind, epochs, {p: [line[f"{p}_{kind}"] for line in metrics] for p in PARTS})
            for kind in ("loss", "accuracy")
        ]
        write_durably(self.path / CURVE, draw_charts(charts, self.path.name, "epoch").encode())


PARTS = ("train", "test")


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunError(f"{path} can't be read: {error.strerror}") from None


def create_run_folder(data: str, output: str | Path | None = None) -> RunFolder:
    """A new folder: the one named, or runs/<date>_<time>-<data>-<n>.

    Raises RunError if the one named holds something already, or can't be made.
    """
    try:
        return _create_named(Path(output)) if output is not None else _create_numbered(data)
    except OSError as error:
        raise RunError(f"{error.filename}: can't be made: {error.strerror}") from None


def _create_named(path: Path) -> RunFolder:
    path.mkdir(parents=True, exist_ok=True)
    if any(path.iterdir()):
        raise RunError(f"{path} is not empty; name a new folder, or resume the run that is in it")
    return RunFolder(path)


def _create_numbered(data: str) -> RunFolder:
    stem = f"{time.strftime('%Y-%m-%d_%H-%M')}-{data}"
    Path("runs").mkdir(exist_ok=True)
    number = 1
    while True:
        path = Path("runs", f"{stem}-{number}")
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
        else:
            return RunFolder(path)


def open_run_folder(path: str | Path) -> RunFolder:
    """The folder of a run that was begun. Raises RunError if it is none."""
    folder = Path(path)
    if folder.name == CHECKPOINT and folder.is_file():
        folder = folder.parent
    if not folder.is_dir():
        raise RunError(f"{path}: no such run folder")
    if not (folder / CHECKPOINT).is_file():
        raise RunError(f"{path} is not a run folder: it has no {CHECKPOINT}")
    remove_partial_files(folder)
    return RunFolder(folder)
