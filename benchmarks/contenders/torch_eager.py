"""PyTorch, eager."""

from benchmarks.contenders.torch_models import training_step as build

__all__ = ["build"]
