"""The user's objects and classes, as far as a recording has to know them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from limpid.compiler.steps.names import is_users
from limpid.compiler.steps.places import is_counted
from limpid.tensor import Tensor

_KNOWN = (
    type, Tensor, np.ndarray, dict, list, tuple, set, ModuleType, FunctionType, MethodType, partial,
)  # fmt: skip
_OWN = ("limpid", "numpy", "builtins")
CACHES = frozenset({"_names"})  # attributes in which modules keep what they found out


def passed_over(owner: Any) -> frozenset[str]:
    """Attributes that tell nothing: caches, and state that is made when it is first needed."""
    return CACHES | frozenset(getattr(type(owner), "made_when_needed", ()))


def is_default(kind: type, name: str) -> bool:
    """Whether a class has a value of this name, which instances may come to hide."""
    return not name.startswith("__") and not callable(getattr(kind, name, len))


def function_in(member: Any) -> FunctionType | None:
    """The function of a method or a property."""
    if isinstance(member, property):
        member = member.fget
    member = getattr(member, "__func__", member)
    return member if isinstance(member, FunctionType) else None


def class_of(owner: Any) -> type:
    """A class itself, or that of an object."""
    return owner if isinstance(owner, type) else type(owner)


def is_function(value: Any) -> bool:
    """Whether this is a function, or an object that only carries one."""
    return isinstance(value, FunctionType | MethodType | partial) or hasattr(value, "__wrapped__")


def is_plain(value: Any) -> bool:
    """Whether this is an object with attributes, of no class that is known here."""
    if isinstance(value, _KNOWN) or is_counted(value):
        return False
    if type(value).__module__.partition(".")[0] in _OWN:
        return False
    return hasattr(value, "__dict__") or bool(attribute_names(value))


def is_users_class(owner: type) -> bool:
    """Whether the user wrote this class."""
    return owner.__module__ != "builtins" and is_users(file_of(sys.modules.get(owner.__module__)))


def file_of(module: Any) -> str:
    """The file of a module of code; a name for one that was typed in."""
    return getattr(module, "__file__", None) or ("<input>" if module else "<frozen>")


def attribute_names(value: Any) -> Iterable[str]:
    """The attributes of an object's own, in its dict and in slots."""
    names = dict.fromkeys(getattr(value, "__dict__", ()))
    for base in type(value).__mro__:
        slots = base.__dict__.get("__slots__", ())
        names.update(dict.fromkeys((slots,) if isinstance(slots, str) else slots))
    return [name for name in names if name not in ("__dict__", "__weakref__")]
