"""Rounding and division with remainder: steps, whose gradient is zero."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from limpid.differentiation.elementwise import elementwise
from limpid.differentiation.primitive import Primitive
from limpid.errors import ArgumentError
from limpid.graph.registry import operation, operations
from limpid.ops.plain.functions import array_of


def _step(name: str, ufunc: Callable[[Any], Any], math: str) -> Primitive:
    def forward(x: Any) -> Any:  # integers are whole already; NumPy 2.0 would make them floats
        return ufunc(x) if array_of(x).dtype.kind == "f" else x

    step: Primitive = elementwise(
        name,
        forward,
        local=[0],
        math=math,
        smooth=lambda x: x != step(x),
        kink="the gradient is 0 everywhere, also at the steps",
    )
    return step


floor = _step("floor", np.floor, r"\lfloor {x} \rfloor")
ceil = _step("ceil", np.ceil, r"\lceil {x} \rceil")
trunc = _step("trunc", np.trunc, r"\operatorname{trunc}({x})")
_round = elementwise(
    "round",
    lambda x, *, decimals: np.round(x, decimals),
    local=[0],
    math=r"\operatorname{round}({x})",
    kink="the gradient is 0 everywhere, also at the steps",
)


@operation
def round(x: Any, decimals: int = 0) -> Any:
    """The nearest number with so many decimals; halves go to the even neighbour.

    >>> import limpid
    >>> limpid.round(limpid.tensor([0.5, 1.5, 2.4]))
    tensor([0., 2., 2.])
    """
    if isinstance(decimals, bool) or not hasattr(decimals, "__index__"):
        raise ArgumentError(f"decimals must be an integer, not {decimals!r:.60}")
    return _round(x, decimals=decimals.__index__())


floor_divide = elementwise(
    "floor_divide",
    np.floor_divide,
    local=[0, 0],
    math=r"\left\lfloor \frac{{a}}{{b}} \right\rfloor",
    label="_ // _",
    domain=lambda a, b: b != 0,
    kink="the gradient is 0 everywhere, also at the steps",
)
remainder: Primitive = elementwise(
    "remainder",
    np.remainder,
    local=[1, lambda y, a, b: -floor_divide(a, b)],
    math=r"{a} - \left\lfloor \frac{{a}}{{b}} \right\rfloor {b}",
    label="_ % _",
    domain=lambda a, b: b != 0,
    smooth=lambda a, b: remainder(a, b) != 0,
    kink="where b divides a, the derivative is that of the step that a is on",
)
fmod: Primitive = elementwise(
    "fmod",
    np.fmod,
    local=[1, lambda y, a, b: -trunc(a / b)],
    math=r"{a} - \operatorname{trunc}\left(\frac{{a}}{{b}}\right) {b}",
    domain=lambda a, b: b != 0,
    smooth=lambda a, b: fmod(a, b) != 0,
    kink="where b divides a, the derivative is that of the step that a is on",
)

operations.update(rint=round, fix=trunc, mod=remainder)
