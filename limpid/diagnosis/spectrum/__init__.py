"""Spectral norms of layers, and what they say about gradients by depth."""

from limpid.diagnosis.spectrum.measure import spectral_norms
from limpid.diagnosis.spectrum.record import Layer, Loop, Spectrum

__all__ = ["Layer", "Loop", "Spectrum", "spectral_norms"]
