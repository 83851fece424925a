"""Digits at random places on a canvas, trained at some places and tested at others.

python -m examples.shift_invariance
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from examples.arguments import number
from examples.comparison import compare, draw_results
from examples.shift_invariance.network import MODELS, Scanner
from examples.shift_invariance.picture import draw
from examples.shift_invariance.pooling import draw_changes
from examples.shift_invariance.train import COPIES, EPOCHS, test, train
from limpid.data import load_digits


def main(arguments: Sequence[str] | None = None) -> None:
    """Train every model, print the tables, draw the picture."""
    parser = ArgumentParser(
        prog="python -m examples.shift_invariance", description="Train and compare."
    )
    parser.add_argument(
        "--epochs", type=number(int, 1), default=EPOCHS, help="default: %(default)s"
    )
    parser.add_argument(
        "--copies",
        type=number(int, 1),
        default=COPIES,
        help="places of each digit (default: %(default)s)",
    )
    parser.add_argument(
        "--tries",
        type=number(int, 1),
        default=60,
        help="digits at each place of a map (default: %(default)s)",
    )
    parser.add_argument("--seeds", type=number(int, 0), nargs="+", default=[0], help="one run each")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("runs/shift_invariance"),
        help="folder for the picture (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    results = compare(
        MODELS,
        options.seeds,
        lambda name, seed: train(name, seed, options.epochs, options.copies),
        test,
    )
    print(f"\nAccuracy in per cent, seeds {', '.join(map(str, options.seeds))}\n")
    print(draw_results(results))
    print("\nWhat max-pooling notices of a shift\n")
    print(draw_changes(load_digits().test.x))
    models = {name: result.models[0] for name, result in results.items()}
    scanner = models["scanning"]
    assert isinstance(scanner, Scanner)
    draw(models, scanner, options.tries).save(options.output / "places.svg")
    print(f"\npicture  {options.output / 'places.svg'}")


if __name__ == "__main__":
    main()
