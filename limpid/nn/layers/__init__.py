"""Layers and losses as modules; what each computes is in functional, in a file of the same name."""
