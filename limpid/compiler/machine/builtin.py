"""Functions in native code that Python calls as its own ones: ctypes takes ten times as long."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

NO_ARGUMENT, ONE_ARGUMENT = 4, 8  # METH_NOARGS, METH_O of Python's headers
USED = (
    "PyBool_FromLong", "PyEval_RestoreThread", "PyEval_SaveThread", "PyLong_AsVoidPtr",
    "PyTuple_New", "PyTuple_SetItem", "Py_DecRef", "Py_IncRef",
)  # fmt: skip


class _Definition(ctypes.Structure):
    """PyMethodDef; a function reads its own as long as it lives."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


def builtins(name: str, address: int, flags: int) -> Callable[[int, Any], Any]:
    """Makes functions of Python from a native one, each for a number of its own.

    The native one is given the number, the argument (null if it takes none), both as objects, and
    returns an object. The GIL is held. Each function keeps an object alive: what its number is the
    address of.
    """
    definition = _Definition(name.encode(), address, flags, None)
    new = _new()

    def make(number: int, alive: Any) -> Any:
        return new(definition, number, alive)  # which is the module that it seems to be from

    return make


def symbols() -> dict[str, int]:
    """Where those functions of Python are that native code calls."""
    return {name: _address(getattr(ctypes.pythonapi, name)) for name in USED}


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _new() -> Any:
    prototype = ctypes.PYFUNCTYPE(
        ctypes.py_object, ctypes.POINTER(_Definition), ctypes.py_object, ctypes.py_object
    )
    return prototype(("PyCFunction_NewEx", ctypes.pythonapi))
