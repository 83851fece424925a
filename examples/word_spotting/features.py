"""Log-mel features: how loud each band of the spectrum is, every 10 ms.

A frame of 25 ms, a Hann window, the power spectrum, 24 triangular bands that are equally wide on
the mel scale, decibels below the loudest. The mel scale is O'Shaughnessy's (1987, Speech
Communication: Human and Machine): m = 2595 · log₁₀(1 + f / 700 Hz); the bands are those of Davis
and Mermelstein 1980, Comparison of Parametric Representations for Monosyllabic Word Recognition.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

BANDS = 24
LOWEST, HIGHEST = 80.0, 7600.0  # hertz
FRAME, STEP = 0.025, 0.010  # seconds
POINTS = 512  # of the Fourier transform
RANGE = 63.75  # decibels below the loudest that are told apart


def log_mel(wave: Array, rate: int) -> Array:
    """Decibels below the loudest, from −63.75 to 0: (samples,) → (bands, frames) float32.

    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    >>> log_mel(tone, 16000).shape, int(log_mel(tone, 16000)[:, 50].argmax())
    ((24, 98), 7)
    """
    size, step = round(FRAME * rate), round(STEP * rate)
    frames = np.lib.stride_tricks.sliding_window_view(wave, size)[::step]  # (frames, size)
    spectrum = np.fft.rfft(frames * np.hanning(size), POINTS)  # (frames, bins)
    power = mel_bands(rate) @ np.abs(spectrum.T) ** 2  # (bands, frames)
    decibels = 10 * np.log10(np.maximum(power, 1e-30))
    return np.maximum(decibels - decibels.max(), -RANGE).astype(np.float32)


@cache
def mel_bands(rate: int) -> Array:
    """The weight of each bin of the power spectrum in each band: (bands, bins)."""
    edges = to_hertz(np.linspace(to_mel(LOWEST), to_mel(HIGHEST), BANDS + 2))
    bins = np.fft.rfftfreq(POINTS, 1 / rate)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]  # (bands, 1)
    rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
    return np.maximum(np.minimum(rising, falling), 0)


def to_mel(hertz: Any) -> Any:
    """The pitch that is heard.

    >>> round(float(to_mel(1000)))
    1000
    """
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


def to_hertz(mel: Any) -> Any:
    """The inverse of `to_mel`."""
    return 700 * (10 ** (np.asarray(mel) / 2595) - 1)


def to_levels(decibels: Array, step: float) -> Array:
    """Decibels as bytes: 0 is −63.75 dB, and so many decibels are one more."""
    return np.round((decibels + RANGE) / step).astype(np.uint8)


def from_levels(levels: Array, step: float) -> Array:
    """Bytes as float32 numbers of about mean 0 and spread 1, which a network likes.

    >>> from_levels(to_levels(np.array([-63.75, -31.75, 0.0]), 0.25), 0.25)
    array([-1.9921875,  0.0078125,  1.9921875], dtype=float32)
    """
    return ((levels * np.float32(step)) - np.float32(RANGE / 2)) / np.float32(16)
