"""The report of a run as one page: it needs no network, runs no script, and can be printed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any

from limpid.diagnosis.pictures.filters import filters
from limpid.diagnosis.pictures.flow import norm_map, ratio_map
from limpid.diagnosis.pictures.history import GRADIENT, STATE, read_history
from limpid.diagnosis.pictures.picture import Picture
from limpid.diagnosis.pictures.report.curves import curves
from limpid.errors import LimpidError, MissingLibraryError, RunError
from limpid.training.folder import CHECKPOINT, CONFIG, METRICS, RunFolder

LINES = 300  # of a table of data; the rest is in the run folder
RULES = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)
STYLE = """
:root { --ink: #1b1f24; --paper: #ffffff; --soft: #5b6570; --line: #d5dae0; --mark: #b3470c;
  color-scheme: light dark; }
@media screen and (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --paper: #16191d;
  --soft: #9aa4af; --line: #3a4149; --mark: #ffab70; } }
body { color: var(--ink); background: var(--paper); font: 15px/1.5 system-ui, sans-serif;
  margin: 0 auto; max-width: 62rem; padding: 1rem 1.5rem 3rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
.soft { color: var(--soft); } p { margin: .3rem 0; overflow-wrap: anywhere; }
.side { display: flex; flex-wrap: wrap; gap: 0 2rem; } .side figure { flex: 1 1 24rem; }
figure { margin: .5rem 0 1rem; }
figcaption { color: var(--soft); max-width: 40rem; }
svg.limpid-picture { max-width: 100%; height: auto; display: block; }
.finding { border-left: 4px solid var(--mark); margin: 1rem 0; padding: .1rem 0 .1rem 1rem;
  break-inside: avoid; }
code, pre { font-family: ui-monospace, monospace; font-size: .85em; }
pre { overflow: auto; max-height: 20rem; }
summary { cursor: pointer; color: var(--soft); font-size: .85em; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem; margin: .3rem 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
@media print { body { max-width: none; padding: 0; } details { display: none; }
  figure { break-inside: avoid; } }
"""
FINDING = ("evidence", "cause", "remedy", "page")


@dataclass(frozen=True)
class Shown:
    """A picture of the report, with a sentence on how to read it."""

    make: Callable[[], Picture]
    words: str


def report_page(run: str | PathLike[str] | RunFolder, findings: Sequence[Any] | None = None) -> str:
    """The report of a run folder as one HTML page, which opens from disk without a network.

    run       the folder; what of metrics, config and checkpoint is missing is left out, and said
    findings  what is wrong with it: records with rule, where, evidence, cause, remedy and page, or
              dicts of these; an empty list says that nothing was found, None says nothing

    Loss, accuracy, gradient flow, norms of weights and the first filters are drawn, each with its
    data. Raises RunError for a folder that is no run, MissingLibraryError without matplotlib.
    """
    folder = run if isinstance(run, RunFolder) else RunFolder(_existing(Path(run)))
    title = f"Report of {_plain(folder.path.resolve().name)}"
    body = "".join(_Report(folder, findings).parts())
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{RULES}">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )


def _existing(path: Path) -> Path:
    path = path.parent if path.name in (CHECKPOINT, METRICS) else path
    if not path.is_dir():
        raise RunError(f"{path}: no such run folder")
    if not any((path / name).is_file() for name in (CHECKPOINT, METRICS, CONFIG)):
        raise RunError(f"{path} is not a run folder: it has no {METRICS}, and no {CHECKPOINT}")
    return path


class _Report:
    def __init__(self, folder: RunFolder, findings: Sequence[Any] | None) -> None:
        self.folder, self.findings = folder, findings
        self.metrics = folder.read_metrics()

    def parts(self) -> Iterator[str]:
        yield from self._summary()
        if self.findings is not None:
            yield from _findings(self.findings)
        yield "<h2>Training</h2>"
        if not self.metrics:
            yield '<p class="soft">No epoch has ended yet.</p>'
        else:
            yield '<div class="side">'
            for kind in ("loss", "accuracy"):
                if any(name.endswith(f"_{kind}") for line in self.metrics for name in line):
                    yield _figure(self._curve(kind))
            yield "</div>"
            for shown in self._maps():
                yield _figure(shown)
        yield from self._filters()

    def _summary(self) -> Iterator[str]:
        entries = {}
        if self.metrics:
            last = self.metrics[-1]
            entries = {name: last[name] for name in _LAST if name in last}
        config = _config(self.folder.path / CONFIG)
        yield _list(entries)
        if config:
            yield f"<details><summary>settings</summary>{_list(config)}</details>"

    def _curve(self, kind: str) -> Shown:
        title = kind.capitalize()
        words = {
            "loss": "What is minimised. A test curve that rises while the other falls: the network "
            "learns its examples by heart.",
            "accuracy": "The share of examples whose class is found.",
        }
        return Shown(lambda: curves(self.metrics, kind, title), words[kind])

    def _maps(self) -> Iterator[Shown]:
        history = read_history(self.metrics)
        yield Shown(
            lambda: norm_map(history, GRADIENT, "layer", "Gradient flow", "norm of the gradient"),
            "The norm of each layer's gradient, at the last step of each epoch. Colours that fade "
            "from below to above: gradients vanish on their way back. The other way round they "
            "explode.",
        )
        yield Shown(
            lambda: norm_map(history, STATE, "layer", "Weights", "norm of the parameters"),
            "The norm of each layer's parameters. A row that keeps its colour over all epochs "
            "learns little, one that brightens without end may need weight decay.",
        )

        columns = {key for line in self.metrics for key in line}
        if "update_norms" in columns:
            yield Shown(
                lambda: ratio_map(history, "Updates", "‖Δw‖ / ‖w‖"),
                "By how much the last step of an epoch changed each layer, as a share of its "
                "weights. About 0.001 is usual; far above, learning is restless, far below it "
                "hardly goes on.",
            )
        if "activation_norms" in columns:
            yield Shown(
                lambda: norm_map(history, "", "layer", "Activations", "norm of the output"),
                "The norm of what each module returns, for the last batch of an epoch.",
            )

    def _filters(self) -> Iterator[str]:
        yield "<h2>First layer</h2>"
        try:
            state = self.folder.load()
            model, shape = state["model"], _image_shape(state)
            yield _figure(
                Shown(
                    lambda: filters(model, shape=shape),
                    "What the first layer looks for: orange counts for a unit, violet against it. "
                    "Noise without structure after long training: it has learnt little here.",
                )
            )
        except (RunError, KeyError) as error:
            yield f'<p class="soft">There are no weights to show: {_text(error)}</p>'


_LAST = (
    "epoch", "step", "train_loss", "test_loss", "train_accuracy", "test_accuracy",
    "learning_rate", "seconds",
)  # fmt: skip


def _list(values: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<dt>{_text(name).replace('_', ' ')}</dt><dd>{_text(_number(value))}</dd>"
        for name, value in values.items()
    )
    return f"<dl>{rows}</dl>"


def _image_shape(state: Mapping[str, Any]) -> tuple[int, ...] | None:
    """The shape of the images that the network was trained on, if they are images."""
    shape = tuple(state.get("data", {}).get("shape", ()))
    features = [w.shape[1] for w in state["model"].values() if w.ndim == 2][:1]
    count = 1
    for n in shape:
        count *= n
    return shape if len(shape) in (2, 3) and features == [count] else None


def _config(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError):
        return {}
    return {k: x for k, x in found.items() if x is not None} if isinstance(found, dict) else {}


def _findings(findings: Sequence[Any]) -> Iterator[str]:
    yield "<h2>Findings</h2>"
    if not findings:
        yield "<p>Nothing was found.</p>"
    for finding in findings:
        where = _of(finding, "where")
        place = f' <span class="soft">in</span> <code>{_text(where)}</code>' if where else ""
        yield f'<section class="finding"><h3>{_text(_of(finding, "rule"))}{place}</h3><dl>'
        for name in FINDING:
            told = _of(finding, name)
            if told:
                yield f"<dt>{name}</dt><dd>{_text(told)}</dd>"
        yield "</dl></section>"


def _of(finding: Any, name: str) -> Any:
    found = finding.get(name) if isinstance(finding, Mapping) else getattr(finding, name, None)
    return "" if found is None else found


def _figure(shown: Shown) -> str:
    """A picture, how to read it, and its data; or why there is none."""
    try:
        picture = shown.make()
        drawn = picture.svg
    except MissingLibraryError:
        raise
    except LimpidError as error:
        return f'<p class="soft">{_text(str(error).removesuffix(f" [{error.id}]"))}</p>'
    lines = picture.csv().splitlines()
    more = f"\n… {len(lines) - LINES} more lines" if len(lines) > LINES else ""
    data = escape("\n".join(map(_plain, lines[:LINES]))) + more
    return (
        f"<figure>{drawn}<figcaption>{_text(shown.words)}</figcaption>"
        f"<details><summary>data</summary><pre>{data}</pre></details></figure>"
    )


def _number(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value


def _text(value: Any) -> str:
    """Anything as text in a page; mappings and lists as words."""
    if isinstance(value, Mapping):
        value = ", ".join(f"{name}: {_number(x)}" for name, x in value.items())
    elif isinstance(value, list | tuple):
        value = ", ".join(str(_number(x)) for x in value)
    return escape(_plain(str(value)), quote=True)


def _plain(text: str) -> str:
    """Without characters that nobody sees, or that turn what follows around."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


__all__ = ["report_page"]
