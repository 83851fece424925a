"""Special functions: the error function, log Γ, and its derivatives of any order."""

from __future__ import annotations

import math
from typing import Any

from limpid.differentiation.elementwise import elementwise
from limpid.differentiation.primitive import Primitive
from limpid.errors import ArgumentError
from limpid.graph.registry import operation
from limpid.ops import errorfunction, gammafunction
from limpid.ops.elementary import exp
from limpid.ops.rounding import floor

HIGHEST_ORDER = 170  # (n + 1)! overflows beyond


def _no_pole(x: Any, **_: Any) -> Any:
    """Where Γ has no pole: anywhere but at 0, −1, −2, …"""
    return (x > 0) | (x != floor(x))


erf = elementwise(
    "erf",
    errorfunction.erf,
    local=[lambda y, x: 2 / math.sqrt(math.pi) * exp(-(x * x))],
    math=r"\operatorname{erf}({x})",
    numeric="float",
)
erfc = elementwise(
    "erfc",
    errorfunction.erfc,
    local=[lambda y, x: -2 / math.sqrt(math.pi) * exp(-(x * x))],
    math=r"\operatorname{erfc}({x})",
    numeric="float",
)
lgamma = elementwise(
    "lgamma",
    gammafunction.lgamma,
    local=[lambda y, x: digamma(x)],
    math=r"\log \left|\Gamma({x})\right|",
    numeric="float",
    domain=_no_pole,
)
digamma: Primitive = elementwise(
    "digamma",
    gammafunction.digamma,
    local=[lambda y, x: polygamma(1, x)],
    math=r"\psi({x})",
    numeric="float",
    domain=_no_pole,
)
_polygamma = elementwise(
    "polygamma",
    gammafunction.polygamma,
    local=[lambda y, x, *, n: polygamma(n + 1, x)],
    math=r"\psi^{(n)}({x})",
    numeric="float",
    domain=_no_pole,
)


@operation
def polygamma(n: int, x: Any) -> Any:
    """ψ⁽ⁿ⁾(x), the n-th derivative of digamma; n from 0 to 170.

    >>> import limpid
    >>> limpid.polygamma(1, limpid.tensor([1.0]))
    tensor([1.644934])
    """
    if isinstance(n, bool) or not hasattr(n, "__index__") or not 0 <= n.__index__() <= 170:
        raise ArgumentError(
            f"the order of polygamma must be an integer from 0 to {HIGHEST_ORDER}, not {n!r:.60}"
        )
    return _polygamma(x, n=n.__index__()) if n else digamma(x)
