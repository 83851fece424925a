"""Formulas: from nodes to sums of products, to matrices, to NumPy text and LaTeX."""
