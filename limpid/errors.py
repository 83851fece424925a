"""Errors: each names what went wrong, where, and the remedy; its id is explained in the docs."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from numpy.linalg import LinAlgError

LINE = "\n  at "  # how messages begin to say where
PACKAGE = str(Path(__file__).resolve().parent)


class LimpidError(Exception):
    """Base of all errors; `id` is the heading in docs/errors.md that explains it."""

    id = "L000"
    placed = False  # whether a graph that ran has said in which of its nodes it happened

    def __init__(self, message: str) -> None:
        super().__init__(f"{message} [{self.id}]")

    @property
    def located(self) -> bool:
        """Whether the message says at which line of the user's program it happened."""
        return LINE in str(self)


class ShapeError(LimpidError, ValueError):
    """Operands whose shapes do not fit."""

    id = "L101"


class DTypeError(LimpidError, TypeError):
    """An operand of the wrong or of an unsupported element type."""

    id = "L102"


class ArgumentError(LimpidError, ValueError):
    """An argument with an impossible value."""

    id = "L103"


class OperandError(LimpidError, TypeError):
    """An operand that is no array, tensor or number."""

    id = "L104"


class IndexingError(LimpidError, IndexError):
    """An index that is out of range, or of a kind that can't be an index."""

    id = "L105"


class MatrixError(LimpidError, LinAlgError):
    """A matrix for which the operation has no result: singular, not positive definite."""

    id = "L106"


class OverwrittenError(LimpidError, RuntimeError):
    """A value needed by the backward pass was assigned to in between."""

    id = "L201"


class FreedError(LimpidError, RuntimeError):
    """A second backward pass over a graph whose saved values were freed by the first."""

    id = "L202"


class SeedError(LimpidError, RuntimeError):
    """Backward from an output that is not a scalar, or with a gradient that does not fit it."""

    id = "L203"


class NoGradientError(LimpidError, RuntimeError):
    """A gradient was asked of something that has none."""

    id = "L204"


class UnconnectedError(LimpidError, RuntimeError):
    """A gradient was asked with respect to an input that the output does not depend on."""

    id = "L205"


class CutError(LimpidError, TypeError):
    """A conversion that would leave the graph and lose the gradient silently."""

    id = "L206"


class AbstractError(LimpidError, RuntimeError):
    """The value of a tensor was read while a graph is recorded: there is none yet."""

    id = "L207"


class RuleError(LimpidError, RuntimeError):
    """A derivative rule or a custom Function returned something that does not fit."""

    id = "L208"


class InPlaceError(LimpidError, RuntimeError):
    """An in-place operation on a leaf that requires a gradient."""

    id = "L209"


class GradientError(RuleError):
    """check_grad found a gradient that is wrong; `finding` says why, as data."""

    id = "L210"

    def __init__(self, message: str, finding: Any = None) -> None:
        super().__init__(message)
        self.finding = finding


class NonFiniteError(LimpidError, ArithmeticError):
    """Tracing found a NaN or an infinity that matters; `origin` says where it was born, as data."""

    id = "L211"

    def __init__(self, message: str, origin: Any = None) -> None:
        super().__init__(message)
        self.origin = origin

    def in_call(self, number: int) -> NonFiniteError:
        """The same, told by somebody who knows better which call it was."""
        origin = replace(self.origin, step=number)
        return type(self)(str(origin), origin).with_traceback(self.__traceback__)


class KinkWarning(UserWarning):
    """check_grad met entries at a kink, where any value between both sides is right."""


class MaskedBranchWarning(UserWarning):
    """A `where` discards values, but not the NaN that their derivatives make of the gradient."""


class GraphError(LimpidError, ValueError):
    """A graph, or the text of one, that is not well formed."""

    id = "L301"


class DeclarationError(LimpidError, ValueError):
    """A primitive whose declaration is incomplete or contradicts itself."""

    id = "L302"


class VerificationError(LimpidError, AssertionError):
    """A compiled step gave other numbers than its function."""

    id = "L303"


class NativeError(LimpidError, RuntimeError):
    """Something was asked of native code where there is none."""

    id = "L304"


class StateError(LimpidError, KeyError):
    """A state dict that does not fit the module."""

    id = "L401"

    def __str__(self) -> str:  # KeyError would show the repr of the message
        return str(self.args[0])


class DataError(LimpidError, ValueError):
    """A data file that can't be read, or data that can't be trained on."""

    id = "L501"


class RunError(LimpidError, RuntimeError):
    """A run folder or checkpoint that is missing, damaged or can't be written."""

    id = "L502"


class MissingLibraryError(LimpidError, ImportError):
    """A library that an optional part of limpid needs is not installed."""

    id = "L503"


def hide_internal_frames(trace: TracebackType | None) -> TracebackType | None:
    """The traceback without limpid's own frames; those of the user stay, linked as before."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(PACKAGE):
        trace = trace.tb_next
    if trace is not None:
        trace.tb_next = hide_internal_frames(trace.tb_next)
    return trace


def _install_hooks() -> None:
    """Let uncaught LimpidErrors print without internal frames, then do what was done before."""
    show, show_in_thread = sys.excepthook, threading.excepthook

    def excepthook(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        if isinstance(error, LimpidError):
            trace = hide_internal_frames(trace)
            error.__traceback__ = trace
        show(kind, error, trace)

    def thread_excepthook(args: threading.ExceptHookArgs, /) -> None:
        if isinstance(args.exc_value, LimpidError):
            trace = hide_internal_frames(args.exc_traceback)
            args = threading.ExceptHookArgs((args.exc_type, args.exc_value, trace, args.thread))
        show_in_thread(args)

    sys.excepthook, threading.excepthook = excepthook, thread_excepthook


_install_hooks()
