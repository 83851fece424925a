"""The student's file as seen from the grader: a process that is asked, with a time limit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import limpid.errors
from limpid.explanation.grading.calling import Exercise
from limpid.explanation.grading.wire import WireError, receive, send
from limpid.graph.node import Array

START = 60.0  # seconds for the interpreter and its imports
ROOT = Path(limpid.errors.__file__).resolve().parent.parent


class StudentError(Exception):
    """What the student's code did instead of an answer; `missing` if it is not there at all."""

    def __init__(self, message: str, missing: bool = False) -> None:
        super().__init__(printable(message))
        self.missing = missing


class Student:
    """Calls into the student's file. A call that takes too long ends the process, not the grading.

    seconds  the time limit of one function, all its calls together
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self.path, self.seconds = path.resolve(), seconds
        self.process: Any = None
        self.left = seconds
        self.folder = tempfile.TemporaryDirectory()

    def __enter__(self) -> Student:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self.folder.cleanup()

    def begin(self) -> None:
        """A new function: the time limit starts again, and a process that died is replaced."""
        self.left = self.seconds
        if self.process is None or self.process.poll() is not None:
            self._start()

    def call(
        self, exercise: Exercise, inputs: Sequence[Array], upstream: Sequence[Array] = ()
    ) -> tuple[list[Array], list[Array | None]]:
        """Outputs and gradients. Raises StudentError if there are none."""
        words = {"name": exercise.name, "kind": exercise.kind, "inputs": len(inputs)}
        reply, arrays = self._ask(words, [*inputs, *upstream])
        count, none = reply.get("outputs"), reply.get("none")
        if (
            not isinstance(count, int)
            or not isinstance(none, list)
            or not 0 <= count <= len(arrays)
        ):
            raise StudentError("the process gave no proper answer")
        rest = iter(arrays[count:])
        try:
            return arrays[:count], [None if it_is else next(rest) for it_is in none]
        except StopIteration:
            raise StudentError("the process gave no proper answer") from None

    def _ask(
        self, words: dict[str, Any] | None, arrays: Sequence[Array]
    ) -> tuple[dict[str, Any], list[Array]]:
        process, spent = self.process, threading.Event()
        if process is None:
            raise StudentError("the file could not be loaded")

        def stop() -> None:
            spent.set()
            self._kill(process)

        timer = threading.Timer(START if words is None else max(self.left, 0.01), stop)
        started = _now()
        timer.start()
        try:
            if words is not None:
                send(process.stdin, words, list(arrays))
            reply, found = receive(process.stdout)
        except (EOFError, OSError, WireError, ValueError):
            self._end()
            if spent.is_set():
                raise StudentError(f"it ran longer than {self.seconds:g} s") from None
            raise StudentError("the process ended, or wrote what is no answer") from None
        finally:
            timer.cancel()
            self.left -= _now() - started if words is not None else 0
        if isinstance(reply.get("error"), str):
            raise StudentError(reply["error"], bool(reply.get("missing")))
        return reply, found

    def _start(self) -> None:
        kept = {
            k: v for k, v in os.environ.items() if k in ("PATH", "SYSTEMROOT", "LANG", "LC_ALL")
        }
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self.process = subprocess.Popen(  # noqa: S603  # our own module, in a process of its own
            [sys.executable, "-B", "-m", "limpid.explanation.grading.worker", str(self.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self.folder.name,
            env={**kept, **threads, "PYTHONPATH": str(ROOT), "HOME": self.folder.name},
            start_new_session=True,
        )
        try:
            self._ask(None, [])
        except StudentError:
            self._end()
            raise

    def _end(self) -> None:
        if self.process is not None:
            self._kill(self.process)
            self.process.wait()
            for stream in (self.process.stdin, self.process.stdout):
                with suppress(OSError):  # what was not read any more
                    stream.close()
            self.process = None

    def _kill(self, process: Any) -> None:
        """End the process and those it has started."""
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()


def printable(text: str) -> str:
    """Text that a terminal takes for text: no escape sequences, no line breaks."""
    return "".join(c if c.isprintable() else "�" for c in text)


def _now() -> float:
    return time.monotonic()
