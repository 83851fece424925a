"""What is in force on this thread: gradient mode, module scope, backward origin, recording."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any, NamedTuple

from limpid.graph.node import Origin
from limpid.graph.source import Source, capture


class State:
    """The settings of one thread."""

    __slots__ = (
        "cuts",
        "differentiated",
        "grad_enabled",
        "journal",
        "module",
        "origin",
        "origin_source",
        "passes",
        "recorder",
        "scope",
        "tracer",
        "trail",
        "transforming",
    )

    def __init__(self) -> None:
        self.grad_enabled = True
        self.module: Any = None  # the limpid.nn.Module whose forward runs
        self.scope = ""  # the module path
        self.origin: Origin | None = None  # while a backward rule records
        self.origin_source: Source | None = None
        self.recorder: Any = None  # limpid.transforms.recording.Recorder while one is active
        self.journal: Any = None  # limpid.storage.Journal while writes are noted
        self.passes: Any = None  # limpid.transforms.passes.Passes while passes are counted
        self.tracer: Any = None  # limpid.diagnosis.origin.tracer.Tracer while NaNs are traced
        self.trail: Any = None  # limpid.compiler.steps.trail.Trail while a step is recorded; or
        # whoever is told of eager training: limpid.training.watching.eager.Trail
        self.transforming = 0  # how many functional transforms are running
        self.cuts: list[tuple[Cut, Any]] | None = None  # while cuts and the nodes left are kept
        self.differentiated: Any = None  # a weak reference to the output of the last backward()


class Context(threading.local):
    """`context.state` is this thread's own; one read of it, since thread locals are slow."""

    def __init__(self) -> None:
        self.state = State()


context = Context()


class Cut(NamedTuple):
    """A mark where a value left the graph: how, from which line, and the node it left."""

    how: str  # ".numpy()", "detach", "no_grad", "comparison", "integer cast"
    source: Source | None
    node: Any = None  # a weak reference to the node that was left
    number: Any = None  # what the value became, where that is one number
    all: tuple[Any, ...] = ()  # the cuts of all operands, where several met while cuts are kept


class CutLog(threading.local):
    """The latest cuts of this thread whose marks no tensor carries on.

    marks  values that became Python numbers
    links  arrays of cut tensors that became constants of a node, by weak reference
    """

    def __init__(self) -> None:
        self.marks: deque[Cut] = deque(maxlen=256)
        self.links: deque[tuple[Any, Cut]] = deque(maxlen=1024)


cut_log = CutLog()


class no_grad:  # noqa: N801  # a context manager and decorator, spelled as in PyTorch
    """Operations inside record nothing; per thread. Also a decorator.

    >>> import limpid
    >>> x = limpid.tensor(2.0, requires_grad=True)
    >>> with limpid.no_grad():
    ...     (x * x).requires_grad
    False
    """

    enabled = False

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        """`@no_grad` without parentheses decorates, too."""
        return super().__new__(cls) if function is None else cls()(function)

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(context.state.grad_enabled)
        context.state.grad_enabled = self.enabled

    def __exit__(self, *_: object) -> None:
        context.state.grad_enabled = self._before.pop()

    def __call__(self, function: Any) -> Any:
        mode = type(self)

        @wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with mode():
                return function(*args, **kwargs)

        @wraps(function)
        def generating(*args: Any, **kwargs: Any) -> Iterator[Any]:
            return (yield from _resumed_in(mode, function(*args, **kwargs)))

        return generating if isgeneratorfunction(function) else wrapped


def _resumed_in(mode: Callable[[], Any], generator: Generator[Any, Any, Any]) -> Any:
    """What the generator makes; the mode is in force while it runs, not between."""
    resume, sent = generator.send, None
    while True:
        try:
            with mode():
                made = resume(sent)
        except StopIteration as end:
            return end.value
        try:
            resume, sent = generator.send, (yield made)
        except BaseException as error:
            resume, sent = generator.throw, error


class enable_grad(no_grad):  # noqa: N801  # the opposite of no_grad, spelled as in PyTorch
    """Operations inside record again, within a `no_grad`."""

    enabled = True


def is_grad_enabled() -> bool:
    """Whether operations on this thread record."""
    return context.state.grad_enabled


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Nodes made inside belong to this module path, below the one in force."""
    before = context.state.scope
    context.state.scope = f"{before}.{name}" if before and name else name or before
    try:
        yield
    finally:
        context.state.scope = before


@contextmanager
def absolute_scope(path: str) -> Iterator[None]:
    """Nodes made inside belong to exactly this module path."""
    before = context.state.scope
    context.state.scope = path
    try:
        yield
    finally:
        context.state.scope = before


@contextmanager
def recording_into(recorder: Any) -> Iterator[None]:
    """Operations on tensors inside become nodes without values."""
    state = context.state
    before = state.recorder, state.origin, state.grad_enabled
    state.recorder, state.origin, state.grad_enabled = recorder, None, True
    try:
        yield
    finally:
        state.recorder, state.origin, state.grad_enabled = before


def log_cut(how: str, node: Any, number: Any) -> None:
    """Remember that a value left the graph here without leaving a tensor."""
    cut_log.marks.append(cut_of(how, node, 2, number))


def cut_of(how: str, node: Any, depth: int, number: Any = None) -> Cut:
    """A mark of a value that leaves the graph now; the node itself is kept only if asked for."""
    cut = Cut(how, capture(depth + 1), weakref.ref(node), number)
    if context.state.cuts is not None:
        context.state.cuts.append((cut, node))
    return cut


def meeting(cut: Cut, others: list[Cut]) -> Cut:
    """The cut of a value that was made of several that were cut off; one stands for all."""
    return Cut(cut.how, cut.source, cut.node, None, (cut, *others)) if others else cut


def link_cut(array: Any, cut: Cut) -> None:
    """Remember that a constant of a node is the value of a tensor that was cut off."""
    cut_log.links.append((weakref.ref(array), cut))
