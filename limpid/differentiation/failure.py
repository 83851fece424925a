"""Errors of a forward or a shape rule, told in the user's terms."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn, TypeVar

import numpy as np

from limpid.differentiation.operands import constant, spec_or_number
from limpid.errors import (
    LINE,
    ArgumentError,
    DTypeError,
    LimpidError,
    MatrixError,
    OperandError,
    ShapeError,
)
from limpid.graph.context import context
from limpid.graph.node import Params
from limpid.graph.source import capture, describe, here, operand_names
from limpid.tensor import Tensor

ndarray = np.ndarray
F = TypeVar("F", bound=Callable[..., Any])
RETOLD = (ArgumentError, DTypeError, MatrixError, OperandError, ShapeError)


def explain_failure(op: Any, operands: Any, params: Params, error: Exception) -> NoReturn:
    """Raise the error again with the operation, the operands by the user's names, and the line."""
    told = isinstance(error, LimpidError)
    if told and not isinstance(error, RETOLD):
        raise error
    if not told and not isinstance(error, ValueError | TypeError | OverflowError):
        raise error
    source = context.state.origin_source or capture()
    kind: type[LimpidError]
    if isinstance(error, LimpidError):
        kind, reason = type(error), _reason(error)
    elif isinstance(error, ValueError):
        kind, reason = _misfit(op, operands, params, error)
    else:
        kind, reason = DTypeError, str(error)
    specs = [_spec_text(x) for x in operands]
    names = operand_names(source, len(operands), op.name)
    shown = "; ".join(
        f"{name or _own_name(op, x, i)}: {spec}"
        for i, (name, x, spec) in enumerate(zip(names, operands, specs, strict=True))
    )
    reason = reason.removeprefix(f"{op.name}: ")  # errors on plain arrays name the operation, too
    raise kind(f"{in_scope(op.name)}: {reason}\n  {shown}{LINE}{describe(source)}") from None


def in_scope(name: str) -> str:
    """What is being computed, with the path of the module that does: `conv in features.3`."""
    scope = context.state.scope
    return f"{name} in {scope}" if scope else name


def name_errors(function: F) -> F:
    """A decorator: errors about arguments name the function, the module's path and the line.

    For a constructor it is the class that they name.
    """
    constructs = function.__name__ == "__init__"

    @wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except RETOLD as error:
            name = type(args[0]).__name__ if constructs else function.__name__
            raise retold(error, name) from None

    return wrapped  # type: ignore[return-value]  # it takes and returns the same


def retold(error: LimpidError, name: str) -> LimpidError:
    """The error with what is being computed, the module's path and the line, if it lacks them."""
    scope = context.state.scope
    if error.located and (not scope or f" in {scope}" in str(error).partition(":")[0]):
        return error
    reason = _reason(error).removeprefix(f"{name}: ")
    told = type(error)(f"{in_scope(name)}: {reason}{'' if error.located else here()}")
    return told.with_traceback(error.__traceback__)


def _reason(error: Exception) -> str:
    return str(error).removesuffix(f" [{getattr(error, 'id', '')}]")


def _misfit(
    op: Any, operands: Any, params: Params, error: Exception
) -> tuple[type[LimpidError], str]:
    """What to make of NumPy's ValueError: the shape rule knows whether the shapes are to blame."""
    specs = [x.spec if isinstance(x, Tensor) else spec_or_number(constant(x)) for x in operands]
    try:
        op.specs(specs, params)
    except LimpidError as better:
        return ShapeError, _reason(better)
    except Exception:
        return ShapeError, str(error)
    return ArgumentError, str(error)


def _own_name(op: Any, x: Any, i: int) -> str:
    """What an operand is called where the user's spelling is not known."""
    if isinstance(x, Tensor) and x.node is not None and (label := getattr(x.node.op, "label", "")):
        if x.is_leaf:
            return str(label)
    own = op.operand_names
    return str(own[i]) if i < len(own) else f"operand {i + 1}"


def _spec_text(x: Any) -> str:
    if isinstance(x, Tensor):
        return repr(x.spec)
    if isinstance(x, ndarray):
        return f"{x.dtype.name}[{', '.join(map(str, x.shape))}] (array)"
    return f"{x!r:.40}"
