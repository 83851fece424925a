"""Does a recording contain a given word, wherever it is?

python -m examples.word_spotting
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from examples.arguments import number
from examples.comparison import compare, draw_results
from examples.svg import Drawing
from examples.word_spotting.dataset import TRAIN, Parts, Size, load, make, save
from examples.word_spotting.network import MODELS, Spotter
from examples.word_spotting.picture import draw_found, draw_shares
from examples.word_spotting.train import STEPS, located, test, train

FOLDER = Path("runs/word_spotting")


def main(arguments: Sequence[str] | None = None) -> None:
    """Make or read the data set, train every model, print the table, draw the pictures."""
    options = _read_options(arguments)
    parts = _get_parts(options)
    results = compare(
        MODELS,
        options.seeds,
        lambda name, seed: train(name, parts[TRAIN], seed, options.steps),
        lambda model, seed: test(model, parts),
    )
    print(f"\nAccuracy in per cent, seeds {', '.join(map(str, options.seeds))}\n")
    print(draw_results(results))
    models = {name: result.models[0] for name, result in results.items()}
    spotters = {name: model for name, model in models.items() if isinstance(model, Spotter)}
    del spotters["time-delay, MLP"]  # what its windows say means something to the head only
    part = parts["new_second"]
    print("\nFound in the second half, by new voices, with the surest window on the word\n")
    for name, spotter in spotters.items():
        print("{}: {} of {}".format(name, *located(spotter, part)))
    print()
    _save(draw_found(part, range(min(len(part), 4)), spotters), options.output / "found.svg")
    _save(draw_shares(parts, models, "new"), options.output / "shares.svg")


def _save(drawing: Drawing, path: Path) -> None:
    drawing.save(path)
    print(f"picture  {path}")


def _read_options(arguments: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser(
        prog="python -m examples.word_spotting", description="Train and compare."
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=FOLDER / "recordings.npz",
        help="the data set; made by espeak-ng if the file is not there (default: %(default)s)",
    )
    parser.add_argument(
        "--output", type=Path, default=FOLDER, help="folder for the pictures (default: %(default)s)"
    )
    parser.add_argument(
        "--steps", type=number(int, 1), default=STEPS, help="of training (default: %(default)s)"
    )
    parser.add_argument("--seeds", type=number(int, 0), nargs="+", default=[0], help="one run each")
    size = parser.add_argument_group("making the data set")
    size.add_argument("--train", type=number(int, 1), help="recordings to train on (default: 4000)")
    size.add_argument(
        "--test", type=number(int, 1), help="recordings in each test set (default: 600)"
    )
    size.add_argument("--voices", type=number(int, 1), help="to train on (default: 80)")
    size.add_argument("--test-voices", type=number(int, 1), help="of each kind (default: 24)")
    size.add_argument(
        "--step", type=number(float, 0.25, 16), help="decibels of a level (default: 0.25)"
    )
    size.add_argument("--anywhere", action="store_true", default=None, help="train in both halves")
    return parser.parse_args(arguments)


def _get_parts(options: Namespace) -> Parts:
    given = {field.name: getattr(options, field.name) for field in fields(Size)}
    chosen = {name: value for name, value in given.items() if value is not None}
    if options.data.exists():
        if chosen:
            raise SystemExit(f"{options.data} is there already; make another one with --data FILE")
        return load(options.data)
    parts = make(Size(**chosen), seed=0, say=print)
    save(parts, options.data)
    print(f"data set  {options.data}")
    return parts


if __name__ == "__main__":
    main()
