"""Derivations: gradients as a lecturer writes them on the board."""
