"""PyTorch, eager, with images laid out channels last (PyTorch has that for images only)."""

from functools import partial

import torch

from benchmarks.contenders.torch_models import training_step

build = partial(training_step, layout=torch.channels_last)
