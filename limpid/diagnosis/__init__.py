"""Diagnosis: what goes wrong in training, where, and what to do about it."""

from limpid.diagnosis.branches.finding import MaskedBranch, warn_of_masked_branches
from limpid.diagnosis.branches.search import masked_branches

__all__ = ["MaskedBranch", "masked_branches", "warn_of_masked_branches"]
