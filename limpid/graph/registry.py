"""Primitives by name, and the late binding through which tensors find their operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from limpid.errors import DeclarationError

F = TypeVar("F", bound=Callable[..., Any])

primitives: dict[str, Any] = {}  # name → Primitive
inner: dict[str, Any] = {}  # name → Primitive of limpid's own that no user calls
operations: dict[str, Callable[..., Any]] = {}  # public name → function; tensors look here


def register(primitive: Any) -> None:
    """Make a primitive known by its name; a name is taken once."""
    if primitive.name in primitives:
        raise DeclarationError(f"a primitive named {primitive.name!r} exists already")
    primitives[primitive.name] = primitive
    operations.setdefault(primitive.name, primitive)


def operation(function: F) -> F:
    """Make a public function known by its name, so that tensors and NumPy calls can find it."""
    operations[function.__name__] = function
    return function
