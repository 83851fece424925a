"""What a person wants explained: an expression with numbers, or a value in a Python file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from limpid.cli.models import beside, run_file, told
from limpid.errors import ArgumentError
from limpid.explanation.expression import evaluate_expression, parse_value
from limpid.tensor import Tensor


def find_output(text: str, values: Sequence[str]) -> Tensor:
    """The number that a person names: an expression of values, or FILE.py:NAME.

    NAME is a tensor, or a function that makes one without arguments. What the file prints goes to
    stderr. Raises ArgumentError, in one line, for everything that is wrong with it.
    """
    file, _, name = text.rpartition(":")
    if file.endswith(".py") and name.isidentifier():
        if values:
            raise ArgumentError(f"{values[0]}: values belong to an expression, not to a file")
        return _single(_from_file(file, name), text)
    given = dict(parse_value(value) for value in values)
    if len(given) < len(values):
        raise ArgumentError("a name was given twice")
    return _single(evaluate_expression(text, given), text)


def leaves_named(output: Tensor, names: Sequence[str]) -> list[Tensor]:
    """The leaves of these names that an output depends on. Raises ArgumentError for others."""
    from limpid.explanation.build import number_nodes
    from limpid.explanation.names import name_nodes
    from limpid.graph.node import reachable

    nodes = reachable([output.node])
    spelled = name_nodes(number_nodes(nodes))
    known = {spelled[n]: n for n in nodes if not n.inputs and n.requires_grad}
    for name in names:
        if name not in known:
            raise ArgumentError(f"--wrt {name}: there are {', '.join(known)}")
    return [Tensor(known[name], 0, None) for name in names]


def _from_file(file: str, name: str) -> Any:
    with redirect_stdout(sys.stderr), beside(Path(file)):
        module = run_file(file)
        if not hasattr(module, name):
            raise ArgumentError(f"{file} has no {name}")
        made = getattr(module, name)
        if callable(made) and not isinstance(made, Tensor):
            with told(f"{name}()", file):
                made = made()
    return made


def _single(output: Any, text: str) -> Tensor:
    if not isinstance(output, Tensor):
        raise ArgumentError(f"{text} is no tensor but {type(output).__name__}")
    if output.size != 1:
        raise ArgumentError(
            f"{text!r} has shape {output.shape}; a gradient starts from a single number: "
            f"put sum(…), mean(…) or max(…) around it"
        )
    return output
