"""The explanation record and its renderers: readers of the graph that the engine already has."""

from limpid.explanation.build import explain
from limpid.explanation.record import Contribution, Edge, Explanation, Quantity, Step
from limpid.explanation.text import render_text

__all__ = ["Contribution", "Edge", "Explanation", "Quantity", "Step", "explain", "render_text"]
