"""Diagnosis: what goes wrong in training, where, and what to do about it; and pictures of it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limpid.diagnosis.branches.finding import MaskedBranch, warn_of_masked_branches
    from limpid.diagnosis.branches.search import masked_branches
    from limpid.diagnosis.pictures.activations import activation_maps
    from limpid.diagnosis.pictures.filters import filters
    from limpid.diagnosis.pictures.flow import gradient_flow
    from limpid.diagnosis.pictures.histograms import histograms
    from limpid.diagnosis.pictures.landscape import landscape
    from limpid.diagnosis.pictures.picture import Picture
    from limpid.diagnosis.pictures.report.page import report_page
    from limpid.diagnosis.pictures.saliency import saliency
    from limpid.diagnosis.spectrum import InitialReport, Spectrum, initial_report, spectral_norms

__all__ = [
    "InitialReport",
    "MaskedBranch",
    "Picture",
    "Spectrum",
    "activation_maps",
    "filters",
    "gradient_flow",
    "histograms",
    "initial_report",
    "landscape",
    "masked_branches",
    "report_page",
    "saliency",
    "spectral_norms",
    "warn_of_masked_branches",
]

_MODULES = {  # imported when they are used: they need much that a training program may not
    "InitialReport": "spectrum",
    "MaskedBranch": "branches.finding",
    "Picture": "pictures.picture",
    "Spectrum": "spectrum",
    "activation_maps": "pictures.activations",
    "filters": "pictures.filters",
    "gradient_flow": "pictures.flow",
    "histograms": "pictures.histograms",
    "initial_report": "spectrum",
    "landscape": "pictures.landscape",
    "masked_branches": "branches.search",
    "report_page": "pictures.report.page",
    "saliency": "pictures.saliency",
    "spectral_norms": "spectrum",
    "warn_of_masked_branches": "branches.finding",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"limpid.diagnosis.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
