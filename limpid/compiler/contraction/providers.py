"""Who does a product: the kernel, or a library that is faster for some shapes on some processors.

A plain table decides, by processor and shape alone; never a timing, nor what happens to be cached.
An eager product that a library does is a call of it; in a compiled step it is a call-out between
native loops. Windows that slide are always the kernel's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, prod

from limpid.compiler.machine.target import Target
from limpid.graph.node import Array
from limpid.ops.windows.contraction import LANE, OUTER, REDUCTION, ROW, Contraction
from limpid.ops.windows.execution import execute_on_numpy

KERNEL, NUMPY = "kernel", "numpy"
EAGER, STEP = "eager", "step"

Provider = Callable[[Contraction, Array, Array, Array], None]  # writes the contraction to the last


@dataclass(frozen=True)
class Row:
    """Products that a provider does: all that lie between these bounds.

    where      "eager" or "step"; both if empty
    processor  how LLVM's name of it begins
    width      bytes of a vector, at most
    work       multiply-adds, from least to most
    terms      of the sum, at most
    rows       at most: the smaller one of the extents of both sides
    """

    provider: str
    where: str = ""
    processor: str = ""
    width: float = inf
    work: tuple[float, float] = (0, inf)
    terms: float = inf
    rows: float = inf


# The first row that fits decides; the kernel does the rest.
TABLE = [
    # Apple's matrix units are in reach of Accelerate alone, which is NumPy's BLAS there.
    Row(NUMPY, processor="apple-", work=(1 << 18, inf)),
    # A call from Python takes longer than such a product.
    Row(NUMPY, EAGER, work=(0, 1 << 17)),
    # OpenBLAS reaches the peak of processors with AVX2 and the like as the kernel does: 0.9 to 1.1
    # times its speed from 64 × 64 × 64 to 1024 × 1024 × 1024, and calls less of Python.
    Row(NUMPY, EAGER, width=32),
    # With AVX-512 the kernel is 1.1 to 2.3 times as fast, down to here: nothing is used again.
    Row(NUMPY, EAGER, terms=3),
    Row(NUMPY, EAGER, rows=1),
]


def provider_of(
    contraction: Contraction, target: Target, where: str, table: Sequence[Row] | None = None
) -> str:
    """The name of who does a product; "kernel" where no row of the table fits."""
    extents = {
        role: prod(i.extent for i in contraction.indices if i.role == role)
        for role in (OUTER, ROW, LANE, REDUCTION)
    }
    work, smaller = contraction.multiply_adds(), min(extents[ROW], extents[LANE])
    for row in TABLE if table is None else table:
        if (
            row.where in ("", where)
            and target.name.startswith(row.processor)
            and target.width <= row.width
            and row.work[0] <= work < row.work[1]
            and extents[REDUCTION] <= row.terms
            and smaller <= row.rows
        ):
            return row.provider
    return KERNEL


PROVIDERS: dict[str, Provider] = {NUMPY: execute_on_numpy}


def run(name: str, contraction: Contraction, operands: Sequence[Array], out: Array) -> None:
    """Let a provider write a product to an array."""
    left, right = operands
    PROVIDERS[name](contraction, left, right, out)
