"""Element types: limpid's own objects, since NumPy lacks some (bfloat16) and mixes three roles.

Promotion is NumPy 2's with three exceptions: NumPy scalars are weak like Python's, an integer
array with a float array keeps the float's type, and an integer array with a Python float, or
under a function that is only defined on floats, becomes the default float type.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from limpid.errors import ArgumentError, DTypeError

WEAK = (bool, int, float)  # Python numbers take the type of the array they meet


class DType:
    """An element type: how it is stored, computed with, and accumulated in sums.

    `limpid.float32.storage` is a NumPy dtype. A DType compares equal to, and is accepted as, the
    NumPy dtype of its storage: `np.zeros(3, limpid.float32).dtype == limpid.float32`.
    """

    __slots__ = ("accumulate", "compute", "kind", "name", "storage")

    def __init__(self, name: str, storage: Any, compute: Any = None, accumulate: Any = None):
        self.name = name
        self.storage = np.dtype(storage)
        self.compute = np.dtype(compute or storage)
        self.accumulate = np.dtype(accumulate or compute or storage)
        self.kind = {"b": "bool", "i": "int", "u": "int", "f": "float"}[self.compute.kind]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype, under the name by which NumPy asks for it."""
        return self.storage

    def __repr__(self) -> str:
        return f"limpid.{self.name}"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, DType):
            return self is other
        try:
            return self.storage == np.dtype(other)  # type: ignore[call-overload]  # anything may come
        except TypeError:
            return False

    def __hash__(self) -> int:
        return hash(self.storage)

    def __reduce__(self) -> tuple[Any, ...]:
        return (as_dtype, (self.name,))


bool_ = DType("bool", np.bool_)
int8, int16, int32, int64 = (DType(f"int{n}", f"i{n // 8}") for n in (8, 16, 32, 64))
uint8, uint16, uint32, uint64 = (DType(f"uint{n}", f"u{n // 8}") for n in (8, 16, 32, 64))
float16 = DType("float16", np.float16, accumulate=np.float32)
float32 = DType("float32", np.float32)
float64 = DType("float64", np.float64)

ALL = (bool_, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float16, float32, float64)
_BY_STORAGE = {d.storage: d for d in ALL}
STORED = frozenset(_BY_STORAGE)  # the NumPy dtypes that limpid has, in the machine's byte order
_BY_NAME = {d.name: d for d in ALL}
_default_float = float32


def dtype_of(storage: np.dtype[Any]) -> DType:
    """The DType stored as this NumPy dtype; DTypeError if limpid has none."""
    try:
        return _BY_STORAGE[storage]
    except KeyError:
        if storage.newbyteorder("=") in _BY_STORAGE:
            return _BY_STORAGE[storage.newbyteorder("=")]
        raise DTypeError(
            f"limpid has no element type for NumPy's {storage}; "
            f"convert to one of {', '.join(_BY_NAME)} first"
        ) from None


def as_dtype(given: Any) -> DType:
    """A DType from a DType, a name, a Python type or anything `np.dtype` takes."""
    if isinstance(given, DType):
        return given
    if isinstance(given, str) and given in _BY_NAME:
        return _BY_NAME[given]
    if given is float:
        return _default_float
    try:
        return dtype_of(np.dtype(given))
    except TypeError:
        raise DTypeError(
            f"{given!r} is not an element type; use one of {', '.join(_BY_NAME)}"
        ) from None


def default_float() -> DType:
    """The type of tensors made from Python floats."""
    return _default_float


def set_default_dtype(dtype: Any) -> None:
    """Choose the type of tensors made from Python floats, for the whole process.

    Raises ArgumentError unless it is a float type.

    >>> import limpid
    >>> limpid.set_default_dtype("float64"); limpid.tensor(1.5).dtype
    limpid.float64
    >>> limpid.set_default_dtype("float32")
    """
    global _default_float
    chosen = as_dtype(dtype)
    if chosen.kind != "float":
        raise ArgumentError(f"the default type must be a float type, got {chosen.name}")
    _default_float = chosen


def result_type(operands: Iterable[Any], *, float_only: bool = False) -> DType:
    """The type in which operands (DTypes, or Python numbers, which are weak) are combined."""
    operands = tuple(operands)
    strong = [d for d in operands if isinstance(d, DType)]
    weak = [w for w in operands if not isinstance(w, DType)]
    floats = [d for d in strong if d.kind == "float"]
    weak_float = any(isinstance(w, float) for w in weak)
    if floats:
        if all(d is floats[0] for d in floats):
            return floats[0]
        return dtype_of(np.result_type(*(d.storage for d in floats)))
    if weak_float or float_only:
        return _default_float
    weak_int = any(isinstance(w, int) and not isinstance(w, bool) for w in weak)
    if not strong:
        return int64 if weak_int else bool_
    combined = dtype_of(np.result_type(*(d.storage for d in strong)))
    if combined is bool_ and weak_int:
        return int64
    return combined
