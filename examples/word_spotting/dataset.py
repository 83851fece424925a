"""The data set: recordings to train on, and four test sets that tell two questions apart.

In the recordings to train on the word is always in the first half. It is tested with speakers who
were heard in training and with new ones, and with the word in the first and in the second half.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from examples.word_spotting.features import STEP, from_levels, log_mel, to_levels
from examples.word_spotting.recordings import WORDS, record
from examples.word_spotting.speech import RATE, Voice, draw_voices, speak_all

Array = np.ndarray[Any, np.dtype[Any]]

HEARD = (
    "f1", "f3", "f5", "m1", "m2", "m4", "m6", "m8", "Andrea", "anika", "linda",
    "Alex", "Denis", "Gene", "Mike", "edward", "john", "caleb", "max", "travis",
)  # fmt: skip
NEW = ("f2", "f4", "m3", "m5", "m7", "Annie", "belinda", "steph", "victor", "pablo", "rob", "zac")
TRAIN = "train"
FIRST, SECOND = 0, 1  # halves of a recording
TESTS = {  # who speaks, and where the word is
    "heard_first": ("heard", FIRST),
    "heard_second": ("heard", SECOND),
    "new_first": ("new", FIRST),
    "new_second": ("new", SECOND),
}


@dataclass(frozen=True)
class Part:
    """Recordings as levels (N, bands, frames), answers (N,), and when the key word is (N, 2)."""

    levels: Array
    contains: Array
    spans: Array  # in frames, end excluded
    step: float  # decibels of a level

    def __len__(self) -> int:
        return len(self.contains)

    @property
    def x(self) -> Array:
        """The features, float32 (N, bands, frames)."""
        return from_levels(self.levels, self.step)

    @property
    def y(self) -> Array:
        """1 where the recording contains the word, else 0; float32 (N,)."""
        return self.contains.astype(np.float32)

    @property
    def middles(self) -> Array:
        """The middle of the key word, in frames (N,)."""
        return self.spans.mean(axis=1)


Parts = dict[str, Part]


@dataclass(frozen=True)
class Size:
    """How much to make: recordings and voices to train on and for a test set; decibels a level."""

    train: int = 4000
    test: int = 600
    voices: int = 80
    test_voices: int = 24
    step: float = 0.25
    anywhere: bool = False  # train with the word in both halves


def make(size: Size, seed: int, say: Callable[[str], None]) -> Parts:
    """The training set and the four test sets, by espeak-ng."""
    rng = np.random.default_rng(seed)
    training = draw_voices(HEARD, size.voices, rng)
    voices = {
        "heard": draw_voices(HEARD, size.test_voices, rng),  # the same speakers, other speeds
        "new": draw_voices(NEW, size.test_voices, rng),
    }
    everybody = [*training, *voices["heard"], *voices["new"]]
    say(f"{len(everybody)} voices say {len(WORDS)} words each …")
    speak_all(everybody, WORDS)
    say(f"mixing {size.train} recordings to train on and 4 × {size.test} to test …")
    halves = (FIRST, SECOND) if size.anywhere else (FIRST,)
    parts = {TRAIN: _make_part(training, size.train, halves, size.step, rng)}
    for name, (who, half) in TESTS.items():
        parts[name] = _make_part(voices[who], size.test, (half,), size.step, rng)
    return parts


def _make_part(
    voices: list[Voice], count: int, halves: tuple[int, ...], step: float, rng: np.random.Generator
) -> Part:
    """So many recordings, every second one with the word, the voices and the halves in turn."""
    made = []
    for i in range(count):
        pair = i // 2  # a recording with the word, and one without
        voice, half = voices[pair % len(voices)], halves[pair // len(voices) % len(halves)]
        made.append(record(voice, i % 2 == 0, half, rng))
    return Part(
        np.stack([to_levels(log_mel(r.wave, RATE), step) for r in made]),
        np.array([r.contains for r in made], np.uint8),
        np.round([[r.start / STEP, r.end / STEP] for r in made]).astype(np.uint8),
        step,
    )


def save(parts: Parts, path: Path) -> None:
    """Write the parts to one compressed file."""
    arrays: dict[str, Any] = {"step": np.float32(parts[TRAIN].step)}
    for name, part in parts.items():
        arrays[f"{name}_levels"] = part.levels
        arrays[f"{name}_contains"] = part.contains
        arrays[f"{name}_spans"] = part.spans
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)


def load(path: Path) -> Parts:
    """Read what `save` wrote."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: _read_part(file, name) for name in (TRAIN, *TESTS)}
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        raise SystemExit(f"{path} is no data set of this example") from None


def _read_part(file: Any, name: str) -> Part:
    levels, contains, spans = (file[f"{name}_{field}"] for field in ("levels", "contains", "spans"))
    return Part(levels, contains, spans, float(file["step"]))
