"""Masked branches: a `where` that guards an operation too late."""
