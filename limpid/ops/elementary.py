"""Elementary functions."""

from __future__ import annotations

import numpy as np

from limpid.differentiation.elementwise import elementwise

exp = elementwise("exp", np.exp, local=[lambda y, x: y], math="e^{x}", numeric="float")
log = elementwise(
    "log",
    np.log,
    local=[lambda y, x: 1 / x],
    math=r"\log {x}",
    numeric="float",
    domain=lambda x: x > 0,
)
sin = elementwise(
    "sin", np.sin, local=[lambda y, x: cos(x)], math=r"\sin {x}", numeric="float"
)
cos = elementwise(
    "cos", np.cos, local=[lambda y, x: -sin(x)], math=r"\cos {x}", numeric="float"
)
tanh = elementwise(
    "tanh", np.tanh, local=[lambda y, x: 1 - y * y], math=r"\tanh {x}", numeric="float"
)
