"""Models by name: those that ship with limpid, and those in a Python file."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from limpid.errors import ArgumentError, LimpidError
from limpid.nn import Module, models

Shape = tuple[int, ...]

# name → (a function of the input's shape, the usual shape)
BUILDERS: dict[str, tuple[Callable[[Shape], Module], Shape]] = {
    "lenet": (models.lenet, (1, 28, 28)),
    "lenet5": (lambda _: models.lenet5(), (1, 32, 32)),
    "alexnet": (lambda _: models.alexnet(), (3, 224, 224)),
    "vgg11": (lambda _: models.vgg11(), (3, 224, 224)),
    "vgg16": (lambda _: models.vgg16(), (3, 224, 224)),
    "resnet20": (lambda _: models.resnet20(), (3, 32, 32)),
}


def find_model(text: str, shapes: Sequence[Shape]) -> Module:
    """The model that a person names: a builder, or FILE.py:NAME.

    NAME is a module, or a class or function that makes one without arguments. What the file prints
    goes to stderr. Raises ArgumentError, in one line, for everything that is wrong with it.
    """
    file, name = take_apart(text)
    if not file:
        return BUILDERS[text][0](shapes[0])
    with redirect_stdout(sys.stderr), beside(Path(file)):
        module = run_file(file)
        if not hasattr(module, name):
            raise ArgumentError(f"{file} has no {name}{_offer(module)}")
        made = getattr(module, name)
        if not isinstance(made, Module) and callable(made):
            with told(f"{name}()", file):
                made = made()
    if not isinstance(made, Module):
        raise ArgumentError(f"{text} is no module of limpid.nn but {type(made).__name__}")
    return made


def take_apart(text: str) -> tuple[str, str]:
    """The file and the name in it; no file for a builder. Raises ArgumentError for anything else.

    >>> take_apart("nets.py:Net"), take_apart("lenet5")
    (('nets.py', 'Net'), ('', 'lenet5'))
    """
    if text.endswith(".py"):
        raise ArgumentError(f"say which model of the file: {text}:NAME")
    file, _, name = text.rpartition(":")
    if text not in BUILDERS and (not file.endswith(".py") or not name):
        raise ArgumentError(
            f"no model named {text!r}; there are {', '.join(BUILDERS)}, or your own: FILE.py:NAME"
        )
    return file, name


@contextmanager
def beside(file: Path) -> Iterator[None]:
    """The file can import what lies beside it, as a script can."""
    folder = str(file.resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def run_file(file: str) -> ModuleType:
    """The module that a file defines; what is under `if __name__ == "__main__"` does not run."""
    if not Path(file).is_file():
        raise ArgumentError(f"{file}: no such file")
    spec = spec_from_file_location(f"limpid_model_{Path(file).stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    with told(file, file):
        spec.loader.exec_module(module)
    return module


@contextmanager
def told(what: str, file: str) -> Iterator[None]:
    """Errors of a person's own code become one line, which names theirs.

    Errors of limpid lose the line where they came up if it is not in the file.
    """
    try:
        yield
    except LimpidError as error:
        lines = str(error).removesuffix(f" [{error.id}]").splitlines()
        lines = [line for line in lines if not line.startswith("  at ") or file in line]
        raise type(error)("\n".join(lines)) from None
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        numbers = [frame.lineno for frame in frames if frame.filename == str(Path(file).resolve())]
        reason = str(error)
        if isinstance(error, SyntaxError):
            reason, numbers = error.msg, [error.lineno]
        place = f" (line {numbers[-1]})" if numbers else ""
        raise ArgumentError(f"{what}: {type(error).__name__}: {reason}{place}") from None


def _offer(module: ModuleType) -> str:
    """The models that a file has."""
    found = [name for name, value in vars(module).items() if _is_own_model(value, module)]
    return f"; it has {', '.join(found)}" if found else ""


def _is_own_model(value: Any, module: ModuleType) -> bool:
    if isinstance(value, type):
        return issubclass(value, Module) and value.__module__ == module.__name__
    return isinstance(value, Module)
