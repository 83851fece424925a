"""Optimisers, with PyTorch's names, argument order, defaults and formulas."""

from limpid.optim.adam import Adam, AdamW
from limpid.optim.clipping import clip_grad_norm_, clip_grad_value_
from limpid.optim.optimizer import Optimizer
from limpid.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "clip_grad_norm_", "clip_grad_value_"]
