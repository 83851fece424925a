"""PyTorch, eager, with images laid out channels last (PyTorch has that for images only)."""

from collections.abc import Callable

import torch

from benchmarks.contenders import torch_eager
from benchmarks.workloads import Convolutional


def windows(work: Convolutional) -> Callable[[], float]:
    return torch_eager.windows(work, torch.channels_last)
