"""Primitives and public operations, one file per family."""
