"""The explanation record and its renderers: readers of the graph that the engine already has."""

from limpid.explanation.build import explain
from limpid.explanation.checking import Finding  # also lets check_grad find the causes
from limpid.explanation.compiled import derive_step, explain_step
from limpid.explanation.derivation.derivation import Derivation
from limpid.explanation.derivation.derive import derive
from limpid.explanation.drawing.request import draw
from limpid.explanation.quantity import Quantity
from limpid.explanation.reasons.reason import Reason
from limpid.explanation.reasons.why import why
from limpid.explanation.record import Contribution, Edge, Explanation, Step
from limpid.explanation.stepping.debugger import Debugger, debug
from limpid.explanation.text import render_text

__all__ = [
    "Contribution",
    "Debugger",
    "Derivation",
    "Edge",
    "Explanation",
    "Finding",
    "Quantity",
    "Reason",
    "Step",
    "debug",
    "derive",
    "derive_step",
    "draw",
    "explain",
    "explain_step",
    "render_text",
    "why",
]
