"""Contenders in processes of their own, measured in turns."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import Any

import numpy as np

from benchmarks.groups import CONTENDERS

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "LIMPID_NUM_THREADS",
    "NPROC",  # XLA's
)
CACHES = ("LIMPID_CACHE", "JAX_COMPILATION_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR")
SETTINGS = {
    "JAX_PLATFORMS": "cpu",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    # Freed memory stays with the process: limpid asks for that itself, and without it a step of
    # conv4 takes 6,000 page faults in PyTorch, 15,000 in JAX.
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
}
ROOT = Path(__file__).parent.parent
PATIENCE = 1200.0  # seconds for one answer


@dataclass
class Measured:
    """What was found of one contender on one workload.

    times   of a step: the medians of the rounds
    cold    seconds of the first step with nothing in the cache on disk
    warm    the same in a second process, which finds what the first one kept
    memory  peak bytes of the process
    reason  why there is nothing else
    """

    times: list[float] = field(default_factory=list)
    cold: float | None = None
    warm: float | None = None
    memory: int = 0
    reason: str = ""

    @property
    def median(self) -> float:
        return float(np.median(self.times))


class UnableError(Exception):
    """A contender can't do it here."""


class Contender:
    """A worker process; it sleeps while it isn't asked."""

    def __init__(self, name: str, workload: str, threads: int, cache: str) -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", name, workload],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=ROOT,
            env=os.environ | SETTINGS | dict.fromkeys(THREADS, str(threads)) | caches(cache),
        )
        try:
            answer = self._answer()
        except BaseException:
            self.kill()
            raise
        self.losses: list[float] = answer["losses"]
        self.first: float = answer["first"]
        self._sleep()

    def round(self, seconds: float) -> float:
        """The median time of a step over so many seconds."""
        assert self.process.stdin is not None
        self._wake()
        with suppress(BrokenPipeError):  # it ended; there is no answer either
            print(seconds, file=self.process.stdin, flush=True)
        median = self._answer()["median"]
        self._sleep()
        return float(median)

    def stop(self) -> int:
        """Its peak memory."""
        assert self.process.stdin is not None
        self._wake()
        self.process.stdin.close()
        memory = self._answer()["memory"]
        self.process.wait()
        self.kill()
        return int(memory)

    def kill(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for file in (self.process.stdin, self.process.stdout, self._errors):
            assert file is not None
            with suppress(BrokenPipeError):  # what it was asked and didn't read any more
                file.close()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        timer = Timer(PATIENCE, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        if not line:
            raise UnableError(self._last_words())
        return json.loads(line)

    def _last_words(self) -> str:
        self.process.wait()
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors if line.strip()]
        raised = [line for line in lines if line.partition(":")[0].endswith(("Error", "Exception"))]
        return (raised or lines or [f"it ended with {self.process.returncode}"])[-1]

    def _wake(self) -> None:
        self._signal("SIGCONT")

    def _sleep(self) -> None:
        """Not even threads that wait for work by spinning disturb the others then."""
        self._signal("SIGSTOP")

    def _signal(self, name: str) -> None:
        if hasattr(signal, name):
            self.process.send_signal(getattr(signal, name))


def caches(folder: str) -> dict[str, str]:
    """A folder for each cache on disk."""
    return {variable: str(Path(folder) / variable.lower()) for variable in CACHES}


def measure(
    workload: str, contenders: Sequence[str], threads: int, rounds: int, seconds: float
) -> dict[str, Measured]:
    """All contenders on one workload. The first round warms up and isn't counted."""
    found = {name: Measured() for name in contenders}
    with ExitStack() as stack:
        running = []
        for name in contenders:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="limpid-bench-"))
            with noted(found[name]):
                contender = started(found[name], name, workload, threads, folder)
                stack.callback(contender.kill)
                running.append(contender)
        check(running)
        for number in range(rounds + 1):
            for contender in rotated(running, number):
                with noted(found[contender.name]) as measured:
                    measured.times.append(contender.round(seconds))
            running = [c for c in running if not found[c.name].reason]
        for contender in running:
            with noted(found[contender.name]) as measured:
                measured.times.pop(0)
                measured.memory = contender.stop()
    return found


@contextmanager
def noted(measured: Measured) -> Iterator[Measured]:
    """Why a contender can't go on is noted, and what it did before isn't counted."""
    try:
        yield measured
    except UnableError as error:
        measured.reason = str(error)
        measured.times.clear()


def started(measured: Measured, name: str, workload: str, threads: int, folder: str) -> Contender:
    """A contender that is ready; the times of its first steps if it compiles."""
    if not CONTENDERS[name].compiles:
        return Contender(name, workload, threads, folder)
    cold = Contender(name, workload, threads, folder)
    measured.cold = cold.first
    cold.stop()
    warm = Contender(name, workload, threads, folder)
    measured.warm = warm.first
    return warm


def check(contenders: Sequence[Contender]) -> None:
    """All compute the same."""
    for contender in contenders:
        if not np.allclose(contender.losses, contenders[0].losses, rtol=1e-3, atol=1e-6):
            first = f"{contenders[0].name} {contenders[0].losses}"
            raise SystemExit(
                f"{contender.name} computes something else: {contender.losses}; {first}"
            )


def rotated(contenders: Sequence[Contender], number: int) -> list[Contender]:
    """Another one begins in each round."""
    start = number % len(contenders) if contenders else 0
    return [*contenders[start:], *contenders[:start]]
