"""Spectral norms of layers, and what they say about gradients by depth."""

from limpid.diagnosis.spectrum.initial import initial_report
from limpid.diagnosis.spectrum.initial_record import InitialReport, Start
from limpid.diagnosis.spectrum.measure import spectral_norms
from limpid.diagnosis.spectrum.record import Layer, Loop, Spectrum

__all__ = [
    "InitialReport",
    "Layer",
    "Loop",
    "Spectrum",
    "Start",
    "initial_report",
    "spectral_norms",
]
