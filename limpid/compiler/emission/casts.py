"""Elements of another type, as NumPy converts them, and choices between elements."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np

from limpid.compiler.emission.code import Code

DTypeOf = np.dtype[Any]


def cast(code: Code, given: DTypeOf, wanted: DTypeOf, x: str) -> str:
    """Elements of another type, as NumPy converts them."""
    if given == wanted:
        return x
    a, b = code.type_of(given), code.type_of(wanted)
    if wanted.kind == "b":
        if given.kind == "f":
            return code.make(f"fcmp une {a} {x}, zeroinitializer")
        return code.make(f"icmp ne {a} {x}, zeroinitializer")
    if given.kind == "f" and wanted.kind == "f":
        convert = "fpext" if wanted.itemsize > given.itemsize else "fptrunc"
        return code.make(f"{convert} {a} {x} to {b}")
    if wanted.kind == "f":
        return code.make(f"{'sitofp' if given.kind == 'i' else 'uitofp'} {a} {x} to {b}")
    if given.kind == "f":
        return _truncated(code, given, wanted, x)
    size = 0 if given.kind == "b" else given.itemsize
    if wanted.itemsize == size:
        return x
    if wanted.itemsize < size:
        return code.make(f"trunc {a} {x} to {b}")
    return code.make(f"{'sext' if given.kind == 'i' else 'zext'} {a} {x} to {b}")


def view(code: Code, given: DTypeOf, wanted: DTypeOf, x: str) -> str:
    """The same bits as another type of the same size; a byte that is not 0 is true."""
    if "b" in (given.kind, wanted.kind):
        return cast(code, given, wanted, x)
    return code.make(f"bitcast {code.type_of(given)} {x} to {code.type_of(wanted)}")


def select(code: Code, dtype: DTypeOf, condition: str, x: str, y: str) -> str:
    """x where the condition is true, else y."""
    kind = code.type_of(dtype)
    return code.make(f"select {code.vector('i1')} {condition}, {kind} {x}, {kind} {y}")


def _truncated(code: Code, given: DTypeOf, wanted: DTypeOf, x: str) -> str:
    """Floats as integers. What these can't hold is as the processor has it.

    Small integers are what is left of 32 bits, uint32 of 64.
    """
    if _is_arm() and wanted.kind == "u" and wanted.itemsize >= 4:
        return _saturated(code, given, wanted, x)
    if wanted.name == "uint64":
        return _unsigned(code, given, x)
    wide = np.dtype(np.int64 if wanted.name in ("int64", "uint32") else np.int32)
    return cast(code, wide, wanted, _signed(code, given, wide, x))


def _signed(code: Code, given: DTypeOf, wanted: DTypeOf, x: str) -> str:
    if _is_arm():
        return _saturated(code, given, wanted, x)
    a, b = code.type_of(given), code.type_of(wanted)
    limit = code.constant(given, 2.0 ** (8 * wanted.itemsize - 1))
    within = code.make(f"fcmp olt {a} {code.intrinsic('fabs', given, x)}, {limit}")
    safe = code.make(f"select {code.vector('i1')} {within}, {a} {x}, {a} zeroinitializer")
    y = code.make(f"fptosi {a} {safe} to {b}")
    return select(code, wanted, within, y, code.constant(wanted, np.iinfo(wanted).min))


def _unsigned(code: Code, given: DTypeOf, x: str) -> str:
    """Floats as integers of 64 bits; those from 2⁶³ on with their upper bit apart."""
    a, wide, half = code.type_of(given), np.dtype(np.int64), 2.0**63
    large = code.make(f"fcmp oge {a} {x}, {code.constant(given, half)}")
    rest = code.make(f"fsub {a} {x}, {code.constant(given, half)}")
    low = _signed(code, given, wide, select(code, given, large, rest, x))
    top = select(code, wide, large, code.constant(wide, -(2**63)), code.constant(wide, 0))
    return code.make(f"xor {code.type_of(wide)} {low}, {top}")


def _saturated(code: Code, given: DTypeOf, wanted: DTypeOf, x: str) -> str:
    """The nearest integer there is; 0 for NaN."""
    name = f"llvm.fpto{'s' if wanted.kind == 'i' else 'u'}i.sat"
    kinds = f"v{code.width}i{8 * wanted.itemsize}.v{code.width}f{8 * given.itemsize}"
    return code.call(f"{name}.{kinds}", code.type_of(wanted), (code.type_of(given), x))


def _is_arm() -> bool:
    return platform.machine().lower() in ("arm64", "aarch64")
