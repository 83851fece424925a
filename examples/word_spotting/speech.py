"""Spoken words: espeak-ng says them, in many voices.

A voice is an accent of English, a speaker, a speed and a pitch. espeak-ng is a speech synthesiser
with its own program (Debian package espeak-ng); nothing is linked or copied.
"""

from __future__ import annotations

import subprocess
import wave
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from shutil import which
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

RATE = 16_000  # samples in a second
ACCENTS = (
    "en-us", "en-gb", "en-us-nyc", "en-gb-scotland",
    "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029",
)  # fmt: skip
SPEEDS = (165, 235)  # words in a minute
PITCHES = (25, 75)  # of 0 … 99
MISSING = """\
espeak-ng, which says the words, is not installed.
    Debian, Ubuntu   apt-get install espeak-ng
    macOS            brew install espeak-ng
Without it: python -m examples.word_spotting --data tests/fixtures/word_spotting.npz"""


@dataclass(frozen=True)
class Voice:
    """Somebody who speaks in one way."""

    accent: str
    speaker: str
    speed: int
    pitch: int


def draw_voices(speakers: tuple[str, ...], count: int, rng: np.random.Generator) -> list[Voice]:
    """So many voices: the speakers in turn, each time with another accent, speed and pitch."""
    accents = rng.permutation(ACCENTS)
    return [
        Voice(
            str(accents[(i + i // len(speakers)) % len(accents)]),
            speakers[i % len(speakers)],
            int(rng.integers(*SPEEDS)),
            int(rng.integers(*PITCHES)),
        )
        for i in range(count)
    ]


def speak_all(voices: list[Voice], words: tuple[str, ...]) -> None:
    """Have every voice say every word, several at a time; `speak` then has them ready."""
    pairs = [(word, voice) for voice in voices for word in words]
    with ThreadPoolExecutor(4) as pool:  # the threads wait for processes
        list(pool.map(lambda pair: speak(*pair), pairs))


@cache
def speak(word: str, voice: Voice) -> Array:
    """A word as float32 samples of root mean square 1, with no silence around it."""
    program = which("espeak-ng")
    if program is None:
        raise SystemExit(MISSING)
    command = [
        program, "-v", f"{voice.accent}+{voice.speaker}",
        "-s", str(voice.speed), "-p", str(voice.pitch), "--stdout", word,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, check=True)  # noqa: S603  # our own words
    with wave.open(BytesIO(done.stdout)) as file:
        rate = file.getframerate()
        samples = np.frombuffer(file.readframes(10 * rate), "<i2")
    heard = trim(resample(samples, rate, RATE))
    return (heard / np.sqrt(np.mean(heard**2))).astype(np.float32)


def resample(samples: Array, rate: int, new_rate: int) -> Array:
    """The samples at another rate, by the discrete Fourier transform: no aliasing.

    >>> tone = np.sin(2 * np.pi * 100 * np.arange(2205) / 22050)
    >>> exact = np.sin(2 * np.pi * 100 * np.arange(1600) / 16000)
    >>> bool(np.allclose(resample(tone, 22050, 16000), exact))
    True
    """
    step = rate // np.gcd(rate, new_rate)  # so many samples become a whole number of new ones
    padded = np.pad(samples, (0, -len(samples) % step))
    count = len(padded) * new_rate // rate
    bins = min(len(padded), count) // 2 + 1
    return np.fft.irfft(np.fft.rfft(padded)[:bins], count) * (count / len(padded))


def trim(samples: Array, floor: float = 0.02) -> Array:
    """The samples from the first to the last that exceed a fraction of the loudest.

    >>> trim(np.array([0.0, 0.001, 0.5, 0.0, -1.0, 0.01]))
    array([ 0.5,  0. , -1. ])
    """
    loud = np.flatnonzero(np.abs(samples) > floor * np.abs(samples).max())
    return samples[loud[0] : loud[-1] + 1]
