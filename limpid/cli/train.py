"""`limpid train`: train a network and leave a run folder."""

from __future__ import annotations

import json as json_format
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limpid.cli.arguments import parse_list
from limpid.errors import ArgumentError, NonFiniteError
from limpid.training.config import CHOICES, Config
from limpid.training.construction import NETWORKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from limpid.training.construction import Network
    from limpid.training.runs import Result

USUAL = Config()
RESUMABLE = ("data", "epochs")  # the settings that a resumed run may be given anew

NETWORK, OPTIMISATION, ENDING, DATA, RUN = (
    "The network",
    "How it learns",
    "When it stops",
    "Your own data",
    "The run",
)


def _option(panel: str, help: str, usual: Any = None, **more: Any) -> Any:
    """An option that is None when it is not given; the usual value is shown in the help."""
    return typer.Option(help=help, rich_help_panel=panel, show_default=usual or False, **more)


def _choices(name: str) -> str:
    return ", ".join(CHOICES[name])


def _usual(show: Callable[[Network], str]) -> str:
    """The usual value of a setting for each model."""
    return "; ".join(f"{name}: {show(network)}" for name, network in NETWORKS.items())


def train(
    data: Annotated[
        str | None,
        typer.Argument(
            help="[bold]digits[/bold] (built in), or your own: a folder with MNIST-format files, "
            "one such images file, an .npz (x, y) or a .csv.",
            show_default=USUAL.data,
        ),
    ] = None,
    model: Annotated[
        str | None,
        _option(
            NETWORK,
            "[bold]mlp[/bold], linear layers; or [bold]lenet[/bold], for images, with two "
            "convolutions before them.",
            USUAL.model,
        ),
    ] = None,
    hidden: Annotated[
        str | None,
        _option(
            NETWORK,
            "Widths of the hidden linear layers, such as 128 64; none for no such layer.",
            _usual(lambda network: " ".join(map(str, network.hidden))),
            metavar="N ...",
        ),
    ] = None,
    activation: Annotated[
        str | None,
        _option(NETWORK, f"Between the layers: {_choices('activation')}.", USUAL.activation),
    ] = None,
    init: Annotated[
        str | None,
        _option(NETWORK, f"How the weights begin: {_choices('init')}.", USUAL.init),
    ] = None,
    dropout: Annotated[
        float | None,
        _option(
            NETWORK,
            "Leave out hidden units with this probability while training.",
            _usual(lambda network: f"{network.dropout:g}"),
        ),
    ] = None,
    loss: Annotated[
        str | None,
        _option(OPTIMISATION, f"What is minimised: {_choices('loss')}.", USUAL.loss),
    ] = None,
    optimizer: Annotated[
        str | None,
        _option(OPTIMISATION, f"{_choices('optimizer')}.", USUAL.optimizer),
    ] = None,
    lr: Annotated[
        float | None,
        _option(
            OPTIMISATION,
            "Learning rate.",
            _usual(lambda network: ", ".join(f"{r:g} for {n}" for n, r in network.rates.items())),
        ),
    ] = None,
    momentum: Annotated[
        float | None, _option(OPTIMISATION, "Momentum of sgd, such as 0.9.")
    ] = None,
    nesterov: Annotated[
        bool | None,
        typer.Option("--nesterov", help="Nesterov's momentum.", rich_help_panel=OPTIMISATION),
    ] = None,
    weight_decay: Annotated[
        float | None,
        _option(
            OPTIMISATION, "Shrink the weights a little in every step.", "0.01 for adamw, else 0"
        ),
    ] = None,
    l2: Annotated[float | None, _option(OPTIMISATION, "Add ½·l2·Σw² to the loss.")] = None,
    l1: Annotated[float | None, _option(OPTIMISATION, "Add l1·Σ|w| to the loss.")] = None,
    batch_size: Annotated[
        str | None,
        _option(
            OPTIMISATION,
            "Examples in a step: a number, 1 for stochastic descent, or full.",
            str(USUAL.batch_size),
        ),
    ] = None,
    seed: Annotated[
        int | None,
        _option(OPTIMISATION, "Decides everything random: the same seed, the same weights.", "0"),
    ] = None,
    epochs: Annotated[
        int | None,
        _option(ENDING, "How often every example is used, in total.", str(USUAL.epochs)),
    ] = None,
    tolerance: Annotated[
        float | None,
        _option(ENDING, "Stop when the loss changes by less than this …"),
    ] = None,
    patience: Annotated[
        int | None,
        _option(ENDING, "… in this many epochs.", "1"),
    ] = None,
    label: Annotated[
        str | None,
        _option(
            DATA, "The label's column in a .csv: its name or number.", "label, class, y or the last"
        ),
    ] = None,
    scale: Annotated[
        str | None,
        _option(DATA, f"How inputs are scaled: {_choices('scale')}.", USUAL.scale),
    ] = None,
    test_fraction: Annotated[
        float | None,
        _option(DATA, "What is held out for testing if the files have no test part.", "0.2"),
    ] = None,
    output: Annotated[
        str | None,
        _option(RUN, "The folder to make.", "runs/<date>_<time>-<data>-<n>"),
    ] = None,
    resume: Annotated[
        str | None,
        _option(RUN, "Go on with this run; --epochs can raise its total.", metavar="RUN"),
    ] = None,
    eager: Annotated[
        bool | None,
        typer.Option(
            "--eager",
            help="Run every operation by itself; without it the whole training step is compiled.",
            rich_help_panel=RUN,
        ),
    ] = None,
    doctor: Annotated[
        bool,
        typer.Option(
            "--doctor",
            help="Watch the steps, and say at the end, or at a failure, what is wrong with them.",
            rich_help_panel=RUN,
        ),
    ] = False,
    trace_nans: Annotated[
        bool,
        typer.Option(
            "--trace-nans",
            help="Stop where a NaN or an infinity starts to matter, and say where it was born.",
            rich_help_panel=RUN,
        ),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print the run folder only.", rich_help_panel=RUN)
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel=RUN)
    ] = False,
) -> int:
    """Train a network and leave its weights, metrics and loss curve in a run folder.

    [bold]Examples[/bold]

    limpid train digits

    limpid train digits --model lenet

    limpid train digits --hidden 128 64 --activation tanh --loss hinge --optimizer sgd --lr 0.1

    limpid train digits --batch-size full --tolerance 1e-4 --patience 5 --epochs 500

    limpid train measurements.csv --label species

    limpid train --resume runs/2026-01-31_12-00-digits-1 --epochs 60
    """
    given = dict(locals())
    silent = {name: given.pop(name) for name in ("quiet", "json")}
    output, resume = given.pop("output"), given.pop("resume")
    traced, watched = given.pop("trace_nans"), given.pop("doctor")
    settings = {name: value for name, value in given.items() if value is not None}
    callbacks = [] if any(silent.values()) else [_progress()]
    watcher = _doctor() if watched else None
    callbacks += [watcher] if watcher is not None else []
    try:
        with _tracing() if traced else nullcontext():
            if resume is not None:
                result = _resume(resume, output, settings, callbacks)
            else:
                result = _begin(output, settings, callbacks)
    except NonFiniteError as error:
        print(f"limpid: training stopped\n{error.origin.without_lines()}", file=sys.stderr)
        return 1
    finally:
        _say(watcher, aside=any(silent.values()))
    _report(result, **silent)
    return 130 if result.interrupted else 0


def _doctor() -> Any:
    from limpid.diagnosis.doctor.watching import DoctorCallback

    return DoctorCallback()


def _say(watcher: Any, aside: bool) -> None:
    """What the doctor found; on stderr where something else is to be printed alone."""
    report = watcher.report() if watcher is not None else None
    if report is not None:
        from limpid.cli.doctor import print_doctor

        print_doctor(report, aside)


def _tracing() -> Any:
    from limpid.diagnosis.origin.tracing import trace_nans

    return trace_nans()


def _progress() -> Any:
    from rich.console import Console

    from limpid.training.progress import progress_on

    return progress_on(Console(stderr=True))


def _begin(output: str | None, settings: dict[str, Any], callbacks: list[Any]) -> Result:
    from limpid.training.runs import train as begin

    if "hidden" in settings:
        settings["hidden"] = parse_list("--hidden", settings["hidden"])
    if "batch_size" in settings:
        settings["batch_size"] = _batch_size(settings["batch_size"])
    return begin(output=output, callbacks=callbacks, **settings)


def _batch_size(text: str) -> int | None:
    if text == "full":
        return None
    try:
        return int(text)
    except ValueError:
        raise ArgumentError(f"--batch-size takes a number or full, not {text!r}") from None


def _resume(run: str, output: str | None, settings: dict[str, Any], callbacks: list[Any]) -> Result:
    from limpid.training.runs import resume as go_on

    fixed = [name for name in settings if name not in RESUMABLE] + ["output"] * (output is not None)
    if fixed:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in fixed)
        raise ArgumentError(
            f"a resumed run keeps its settings: {names} can't be given with --resume, only --epochs"
        )
    return go_on(run, callbacks=callbacks, **settings)


def _report(result: Result, quiet: bool, json: bool) -> None:
    if json:
        print(json_format.dumps(result.to_dict()))
    elif quiet:
        print(result.folder)
    else:
        from limpid.cli.report import print_report

        print_report(result)
