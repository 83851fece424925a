"""The process in which the student's file runs: it computes what it is asked and says no more.

`python -m limpid.explanation.grading.worker FILE`. Messages come on standard input and leave on
what was standard output; the student's code finds both closed.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

from limpid.explanation.grading.calling import Exercise, call, exercises, missing_names
from limpid.explanation.grading.wire import receive, send

MOST_MEMORY = 4 * 2**30
MOST_WORDS = 300


def load_module(path: Path, name: str) -> ModuleType:
    """Run a file as a module of its own."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    spec.loader.exec_module(module)
    return module


def serve(path: Path, requests: BinaryIO, replies: BinaryIO) -> None:
    """Load the file, then answer until there are no more requests."""
    try:
        module = load_module(path, "assignment")
    except BaseException as error:
        send(replies, {"error": told(error, path)}, [])
        return
    send(replies, {"names": [e.name for e in exercises(module)]}, [])
    while True:
        try:
            words, arrays = receive(requests)
        except EOFError:
            return
        send(replies, *_answer(module, path, words, arrays))


def _answer(
    module: ModuleType, path: Path, words: dict[str, Any], arrays: list[Any]
) -> tuple[dict[str, Any], list[Any]]:
    exercise = Exercise(words["name"], words["kind"])
    count = words["inputs"]
    lacking = missing_names(module, exercise)
    if lacking:
        return {"error": f"{' and '.join(lacking)} not defined", "missing": True}, []
    inputs = [x if x.ndim or x.dtype.kind == "f" else x[()] for x in arrays[:count]]
    try:
        outputs, found = call(module, exercise, inputs, arrays[count:] or None)
    except BaseException as error:  # also SystemExit: nothing the student's code does ends this
        return {"error": told(error, path)}, []
    given = [g for g in found if g is not None]
    none = [g is None for g in found]
    return {"outputs": len(outputs), "none": none}, [*outputs, *given]


def told(error: BaseException, path: Path) -> str:
    """An error and its line in the student's file, as one short line."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    where = f" (line {lines[-1]})" if lines else ""
    return f"{type(error).__name__}{where}: {' '.join(str(error).split())}"[:MOST_WORDS]


def limit_resources() -> None:
    """Bound memory, and let nothing be written to disk, where the system can do that."""
    try:
        import resource
    except ImportError:  # Windows
        return
    limits = (
        (resource.RLIMIT_AS, MOST_MEMORY),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    )
    for what, most in limits:
        with suppress(ValueError, OSError):  # macOS does not limit the address space
            resource.setrlimit(what, (most, most))


def main() -> None:
    """Keep the pipes to ourselves and serve."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    limit_resources()
    serve(Path(sys.argv[1]), requests, replies)


if __name__ == "__main__":
    main()
