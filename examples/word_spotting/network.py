"""Time-delay networks that scan a recording, three heads on their outputs, and a plain MLP.

A time-delay network (Waibel, Hanazawa, Hinton, Shikano and Lang 1989, Phoneme Recognition Using
Time-Delay Neural Networks) applies the same small network to every window of the recording: a stack
of one-dimensional convolutions. Window t says z_t, how sure it is that it has seen the word.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import limpid
from limpid import nn

CHANNELS = 32
KERNEL = 5
STRIDE = 2  # frames from one window to the next
DILATIONS = (1, 2, 3)  # of the convolutions after the first
SPAN = KERNEL + (KERNEL - 1) * STRIDE * sum(DILATIONS)  # frames that a window sees


def windows_in(frames: int) -> int:
    """How many windows there are in so many frames.

    >>> SPAN, windows_in(250)
    (53, 99)
    """
    return (frames - SPAN) // STRIDE + 1


def time_delay_network(bands: int) -> nn.Sequential:
    """Features (N, bands, frames) → what each window says (N, windows)."""
    layers: list[nn.Module] = [nn.Conv1d(bands, CHANNELS, KERNEL, stride=STRIDE), nn.ReLU()]
    for dilation in DILATIONS:
        layers += [nn.Conv1d(CHANNELS, CHANNELS, KERNEL, dilation=dilation), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv1d(CHANNELS, 1, 1), nn.Flatten())


class Spotter(nn.Module):
    """A time-delay network under a head: features (N, bands, frames) → log-odds (N,)."""

    def __init__(self, bands: int, head: nn.Module):
        self.windows = time_delay_network(bands)
        self.head = head

    def forward(self, x: Any) -> Any:
        """The log-odds that a recording contains the word."""
        return self.head(self.windows(x))


class MaxOverTime(nn.Module):
    """max_t z_t, a Boolean OR: the word is there if any window has seen it.

    Its derivative passes what comes from upstream to that window alone.
    """

    def forward(self, z: Any) -> Any:
        """(N, windows) → (N,)."""
        return limpid.max(z, axis=1)


class SoftmaxOverTime(nn.Module):
    """Σ_t p_t z_t with p = softmax(z): a soft maximum, which teaches several windows at once."""

    def forward(self, z: Any) -> Any:
        """(N, windows) → (N,)."""
        return limpid.sum(nn.functional.softmax(z, dim=1) * z, axis=1)


def mlp_over_time(frames: int) -> nn.Sequential:
    """An MLP on what the windows say, with a weight for each window: (N, windows) → (N,)."""
    layers = nn.Linear(windows_in(frames), 16), nn.ReLU(), nn.Linear(16, 1)
    return nn.Sequential(*layers, nn.Flatten(0))


def plain_mlp(bands: int, frames: int, hidden: int) -> nn.Sequential:
    """An MLP on the whole recording: (N, bands, frames) → (N,)."""
    layers = [nn.Linear(bands * frames, hidden), nn.ReLU(), nn.Linear(hidden, 16), nn.ReLU()]
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(16, 1), nn.Flatten(0))


MODELS: dict[str, Callable[[int, int], nn.Module]] = {  # (bands, frames) → model
    "time-delay, max": lambda bands, frames: Spotter(bands, MaxOverTime()),
    "time-delay, softmax": lambda bands, frames: Spotter(bands, SoftmaxOverTime()),
    "time-delay, MLP": lambda bands, frames: Spotter(bands, mlp_over_time(frames)),
    "plain MLP": lambda bands, frames: plain_mlp(bands, frames, 3),
    "plain MLP, wide": lambda bands, frames: plain_mlp(bands, frames, 64),
}
