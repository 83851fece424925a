"""NumPy's functions on tensors, found through NumPy's protocols."""

from limpid.protocols.dispatch import array_function, array_ufunc

__all__ = ["array_function", "array_ufunc"]
