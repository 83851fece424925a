"""Small models that several healthy runs train."""

from __future__ import annotations

from typing import Any

import limpid
from limpid import nn


class Residual(nn.Module):
    """x + f(x), with two layers in f."""

    def __init__(self, width: int, zero: bool = False) -> None:
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, width)
        if zero:
            nn.init.zeros_(self.fc2.weight)
            nn.init.zeros_(self.fc2.bias)

    def forward(self, x: Any) -> Any:
        return x + self.fc2(limpid.relu(self.fc1(x)))


class ResidualConv(nn.Module):
    """x + f(x), with convolutions and normalisation in f."""

    def __init__(self, channels: int) -> None:
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Any) -> Any:
        return x + limpid.relu(self.norm(self.conv(x)))
