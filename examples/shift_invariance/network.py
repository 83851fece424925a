"""A network that scans the canvas with an 8 × 8 window, and MLPs that look at all of it.

Three convolutions see 3 + 2 + 3 = 8 pixels across and down: together they are one small network
that is applied to every window, also to those that reach over the edge, so that a digit at the edge
is seen as elsewhere. A 1 × 1 convolution gives ten scores for each window, and the greatest over
all windows are the scores of the canvas.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import limpid
from examples.shift_invariance.canvases import CANVAS
from limpid import nn

CLASSES = 10
MARGIN = 4  # zeros around the canvas


class Scanner(nn.Module):
    """Canvases (N, 1, 20, 20) → scores (N, 10), by the best window for each class."""

    def __init__(self) -> None:
        self.windows = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=MARGIN), nn.ReLU(),
            nn.Conv2d(8, 16, 3), nn.ReLU(),
            nn.Conv2d(16, 32, 4), nn.ReLU(),
            nn.Conv2d(32, CLASSES, 1),
        )  # fmt: skip

    def forward(self, x: Any) -> Any:
        """Global max-pooling of what the windows say, (N, 10, 21, 21)."""
        return limpid.max(self.windows(x), axis=(2, 3))


def plain_mlp(hidden: int) -> nn.Sequential:
    """An MLP on all pixels: (N, 1, 20, 20) → (N, 10)."""
    layers = [nn.Linear(CANVAS * CANVAS, hidden), nn.ReLU(), nn.Linear(hidden, CLASSES)]
    return nn.Sequential(nn.Flatten(), *layers)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "scanning": Scanner,
    "plain MLP": lambda: plain_mlp(24),
    "plain MLP, wide": lambda: plain_mlp(256),
}
