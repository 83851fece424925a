"""Recordings: a few words by one voice, one after another, in noise.

A recording is cut out of a stream of words, so that the first and the last may be incomplete. It
has a key word that lies wholly in one half: the target, or another word in its place. Recordings
with and without the target differ in nothing but this word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from examples.word_spotting.speech import RATE, Voice, speak

Array = np.ndarray[Any, np.dtype[Any]]

TARGET = "welcome"
SIMILAR = (
    "well", "come", "income", "outcome", "become", "welfare", "wealthy", "helpful", "volcano",
    "Malcolm", "walking", "welder", "elbow", "falcon",
)  # fmt: skip
OTHERS = (
    "yesterday", "morning", "garden", "seven", "picture", "open", "river", "window", "coffee",
    "travel", "music", "number", "orange", "simple", "paper", "evening", "letter", "mountain",
    "question", "summer", "kitchen", "silver", "market", "bottle", "history", "answer",
)  # fmt: skip
WORDS = (TARGET, *SIMILAR, *OTHERS)

SECONDS = 2.515  # 250 frames of 10 ms
SAMPLES = round(SECONDS * RATE)
MARGIN = round(0.15 * RATE)  # between the key word and both ends of the recording
PAUSES = (0.03, 0.20)  # seconds between words
LOUDNESS = (-4.0, 4.0)  # decibels of a word
NOISE = (0.0, 30.0)  # decibels of the signal above the noise
COLOURS = (0.0, 2.0)  # the noise's power falls with frequency as f^−colour
POINTS = 40_960  # of the noise's Fourier transform: more than SAMPLES, and fast


@dataclass(frozen=True)
class Recording:
    """Samples at `RATE`, whether they contain the target, and from when to when the key word is."""

    wave: Array
    contains: bool
    start: float
    end: float


def record(voice: Voice, contains: bool, half: int, rng: np.random.Generator) -> Recording:
    """A recording by a voice, with the target or another word in the first (0) or second half."""
    key = speak(TARGET if contains else _other(rng), voice)
    room = SAMPLES // 2 - MARGIN - len(key)
    if room < 0:
        raise ValueError(f"a word of {len(key) / RATE:.2f} s does not fit into half a recording")
    start = int(rng.integers(room + 1)) + (SAMPLES // 2 if half else MARGIN)
    end = start + len(key)
    wave = np.zeros(SAMPLES)
    _add(wave, key, start, rng)
    _fill(wave[end:], voice, rng, backwards=False)
    _fill(wave[:start], voice, rng, backwards=True)
    noisy = wave + _noise(np.sqrt(np.mean(wave**2)), rng)
    return Recording(noisy, contains, start / RATE, end / RATE)


def _other(rng: np.random.Generator) -> str:
    """A word other than the target; every second one sounds like it."""
    words = SIMILAR if rng.random() < 0.5 else OTHERS
    return words[rng.integers(len(words))]


def _fill(wave: Array, voice: Voice, rng: np.random.Generator, *, backwards: bool) -> None:
    """Other words, one after another away from the key word; the last one may be cut off."""
    place = _pause(rng)
    while place < len(wave):
        word = speak(_other(rng), voice)
        _add(wave, word, len(wave) - place - len(word) if backwards else place, rng)
        place += len(word) + _pause(rng)


def _pause(rng: np.random.Generator) -> int:
    return int(rng.uniform(*PAUSES) * RATE)


def _add(wave: Array, word: Array, start: int, rng: np.random.Generator) -> None:
    """Add a word, or what of it lies within, in a loudness of its own."""
    heard = word[max(-start, 0) : len(wave) - start]
    wave[max(start, 0) :][: len(heard)] += heard * 10 ** (rng.uniform(*LOUDNESS) / 20)


def _noise(signal: float, rng: np.random.Generator) -> Array:
    """Coloured noise, so many decibels below a signal."""
    spectrum = np.fft.rfft(rng.standard_normal(POINTS))
    bins = np.maximum(np.arange(len(spectrum)), 50 * POINTS / RATE)  # flat below 50 Hz
    noise = np.fft.irfft(spectrum * bins ** (-rng.uniform(*COLOURS) / 2), POINTS)[:SAMPLES]
    loudness = signal * 10 ** (-rng.uniform(*NOISE) / 20)
    return noise * (loudness / np.sqrt(np.mean(noise**2)))
