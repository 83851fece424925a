"""Primitives that slide over their input: convolution, pooling, resampling."""
