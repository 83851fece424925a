"""Compiled steps: a function is recorded once for each kind of call; after that its graph runs."""

from __future__ import annotations

import gc
import inspect
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from threading import RLock
from typing import Any, overload

from limpid.compiler.steps.bound import BoundStep
from limpid.compiler.steps.preparation import make_ready
from limpid.compiler.steps.recordings import Recording
from limpid.compiler.steps.replay import Replay
from limpid.compiler.steps.replayfile import save_replay
from limpid.compiler.steps.reports.shown import Shown
from limpid.compiler.steps.sight import Observer, Sight
from limpid.compiler.steps.signature import Signature
from limpid.compiler.steps.traced import Traced
from limpid.compiler.steps.verification import verify as verify_call
from limpid.errors import ArgumentError
from limpid.graph.context import context
from limpid.graph.graph import Graph
from limpid.ops.axes import integer

RECORDINGS = 64  # that a step keeps, the latest used
_REASONS = 100  # that are told


class Step(Shown, Traced):
    """A function that `limpid.compile` compiled. Calling it does what the function does.

    The function runs when a call is unlike all that were recorded; otherwise its graph does. So
    what it does besides computing with tensors, such as printing, happens when it is recorded.

    Arrays and tensors among the arguments are inputs, and arrays count as tensors. Numbers,
    strings and the nesting are part of the kind of call; so are modules and whatever else comes
    as it is, globals and free variables that the code names, attributes of modules and optimisers,
    and the modes (training, no_grad, the default type). All of it is looked at on every call: what
    has changed is recorded anew, what has changed back is not. Parameters, buffers, gradients,
    learning rates and random generators are state, read and written by every call.

    Lists, dicts, sets and arrays outside are looked into, and so are objects, for the attributes
    that the code reads; not those of more than 64 parts or 4096 bytes, which must not be changed in
    place. `verify` finds out if they were.

    Within another compiled function, a recording or a transform such as `limpid.grad`, and on an
    argument computed from something that requires a gradient, a step is just its function.
    Calls from several threads run one after another.

    `probe` shows values from inside, and `replay` runs a call again; neither changes a number.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        capacity: int = RECORDINGS,
        probe: str | Iterable[str] = (),
        keep: int = 0,
        trace_nans: bool = False,
    ) -> None:
        _check(function)
        self.function = function
        self.capacity = integer(capacity, "capacity")
        if self.capacity < 1:
            raise ArgumentError(f"capacity must be at least 1, not {capacity}")
        self.count = 0  # recordings that were made
        self.__wrapped__ = function
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        self.__doc__ = function.__doc__
        self._names = _parameter_names(function)
        self._recordings: list[Recording] = []  # the latest used first
        self._reasons: deque[str] = deque(maxlen=_REASONS)
        self.sight = Sight(probe, keep)
        self.sight.trace(bool(trace_nans), ())
        self.lock = RLock()
        make_ready()

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self.call(None, args, kwargs)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else BoundStep(self, instance)

    def __reduce__(self) -> tuple[Any, ...]:
        return Step, (
            self.function,
            self.capacity,
            self.sight.patterns,
            self.sight.keep,
            self.sight.traces,
        )

    def __repr__(self) -> str:
        return f"<compiled {self.__name__}, recorded {self.count} times>"

    def call(self, itself: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call; of a method, `itself` is the instance."""
        state = context.state
        if state.recorder is None and not state.transforming:
            with self.lock:
                for recording in self._recordings:
                    arrays = recording.collect(args, kwargs)
                    if arrays is not None:
                        if recording is not self._recordings[0]:
                            self._put_first(recording)
                        return recording.run(args, kwargs, arrays)
                found = self._record(itself, args, kwargs)
                if found is not None:
                    return found[0].run(args, kwargs, found[1])
        return self.function(*args, **kwargs)

    def find(self, itself: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """(recording, arrays) for a call; None if it can only run uncompiled."""
        for recording in self._recordings:
            arrays = recording.collect(args, kwargs)
            if arrays is not None:
                return recording, arrays
        return self._record(itself, args, kwargs)

    def _record(self, itself: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """(recording, arrays) for a call unlike all before."""
        signature = Signature(args, kwargs, self._names, itself)
        if signature.carries_gradient:
            return None
        reason = self._reason(signature)
        found = self.record(itself, args, kwargs)
        self.count += 1
        self.sight.watch(found[0])
        if found[0].watch is None:
            with _no_collection():
                found[0].executor  # noqa: B018  # made now
        self._reasons.append(reason)
        self._put_first(found[0])
        return found

    def record(self, itself: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """(recording, arrays) for a call, whatever is recorded already; the step stays as it is."""
        signature = Signature(args, kwargs, self._names, itself)
        with _no_collection():
            recording = Recording(self.function, signature)
        arrays = signature.collect(args, kwargs)
        assert arrays is not None
        return recording, arrays

    def _put_first(self, recording: Recording) -> None:
        rest = [other for other in self._recordings if other is not recording]
        self._recordings = [recording, *rest[: self.capacity - 1]]

    def _reason(self, signature: Signature) -> str:
        """How a call differs from the one recorded that is most like it."""
        if not self._recordings:
            inputs = ", ".join(f"{x.label}: {x}" for x in signature.inputs)
            return f"the first call{', ' if inputs else ''}{inputs}"
        found = [
            (recording.signature.differences(signature), recording.guards.differences())
            for recording in self._recordings
        ]
        arguments, others = min(found, key=lambda lines: (len(lines[0] + lines[1]), len(lines[0])))
        return "; ".join(arguments + others) or "the nesting of the arguments"

    # Looking at it

    @property
    def graph(self) -> Graph:
        """What the latest call ran: forward, backward and update. `print(step.graph)` shows it.

        Outputs are the results, then what is left outside, then what is left in `.grad`. Raises
        ArgumentError before the first call.
        """
        return self.latest().graph

    def why_recompiled(self) -> str:
        """For each recording, what was unlike all recordings before.

        >>> import numpy as np, limpid
        >>> double = limpid.compile(lambda x: 2 * x)
        >>> _ = double(np.ones(3)), double(np.ones(3)), double(np.ones(4))
        >>> print(double.why_recompiled())
        recorded 2 times
        1. the first call, x: float64[3]
        2. argument x: float64[3] → float64[4]
        """
        first = self.count - len(self._reasons) + 1
        lines = [f"{number}. {reason}" for number, reason in enumerate(self._reasons, first)]
        times = "once" if self.count == 1 else f"{self.count} times"
        return "\n".join([f"recorded {times}", *lines])

    def verify(self, /, *args: Any, **kwargs: Any) -> None:
        """Run the call compiled and uncompiled, from the same state, and compare; leave no trace.

        Results, state and gradients are compared. A difference counts if it is above 1e-4 of the
        largest number in an array (float16: 1e-2, float64: 1e-9) and above 30 times what rounding
        does to that array. The latter is measured, where anything differs, by running the graph on
        NumPy from inputs and state that are one epsilon off: where the true gradient is zero, as
        for a bias before a batch normalisation, all that is computed is noise. Of integers and
        truths those may differ that such runs change. Raises VerificationError with the first value
        that differs, and the first node.

        >>> import numpy as np, limpid
        >>> limpid.compile(lambda x: limpid.sum(x * x)).verify(np.ones(3))
        """
        verify_call(self, None, args, kwargs)

    def probe(self, *patterns: str) -> None:
        """Show values from inside in `probed`, from the next call on; before or after the first.

        A pattern is `[statistic:][kind:]name`, with `*` for anything in the name:

        name       what a module returns ("fc1", "blocks.*"), else what the function returns
                   ("result", "result.0"), else what a line assigns to a variable ("loss",
                   "attention.scores"), else any value in a module, by its primitive ("fc1.linear");
                   the first of these that has the name. What has it again is "fc1#2"
        kind       grad: the gradient of a parameter or an argument ("grad:fc1.weight"), else with
                   respect to a value ("grad:fc1"). state: a slot as the call finds it, new: as it
                   leaves it ("new:fc1.weight"), update: the difference
        statistic  norm, mean, std, max, min; nan: how many are NaN; zeros: the share that is 0;
                   histogram: counts of orders of magnitude; saturated: the share near an end of
                   the range of a function such as tanh

        Raises ArgumentError, which says what there is, for a pattern that names nothing: at once,
        or at the call for which the function is recorded anew. It does not change what is computed.

        >>> import limpid
        >>> w = limpid.Parameter([1.0, 2.0])
        >>> @limpid.compile(probe="loss")
        ... def step(x):
        ...     w.grad = None
        ...     loss = limpid.sum(w * x)
        ...     loss.backward()
        >>> step(limpid.tensor([3.0, 4.0]))
        >>> step.probe("norm:grad:*")
        >>> step(limpid.tensor([3.0, 4.0])); step.probed
        {'loss': array(11., dtype=float32), 'norm:grad:state': 5.0}
        """
        with self.lock:
            self.sight.add(patterns, self._recordings)

    def remove_probes(self, *patterns: str) -> None:
        """Stop showing what these patterns name; all of them if none is given."""
        with self.lock:
            self.sight.remove(patterns, self._recordings)

    def observe(self, observer: Observer, is_there: bool = True) -> None:
        """Show an observer what it asks for, from the next call on; or show it no more."""
        with self.lock:
            change = self.sight.observe if is_there else self.sight.leave
            change(observer, self._recordings)

    @property
    def probes(self) -> tuple[str, ...]:
        """The patterns that are probed."""
        return self.sight.patterns

    @property
    def probed(self) -> dict[str, Any]:
        """{name: value} of the latest call that ran compiled: read-only arrays, and statistics."""
        return self.sight.probed

    def replay(self, k: int = 1, probe: str | Iterable[str] = ()) -> Replay:
        """Run the k-th last call again, from the state that it found; nothing outside changes.

        Needs `keep`. The numbers are the same, bit for bit, whatever is probed.

        >>> import limpid
        >>> total = limpid.Buffer([0.0])
        >>> @limpid.compile(keep=2)
        ... def add(x):
        ...     limpid.assign(total, total + x)
        ...     return total * 1.0
        >>> _ = add(limpid.tensor([1.0])), add(limpid.tensor([5.0]))
        >>> add.replay().result.tolist(), add.replay(2).result.tolist(), total.tolist()
        ([6.0], [1.0], [6.0])
        """
        with self.lock:
            return self.sight.call(k).run(probe)

    def save_replay(self, path: str | PathLike[str]) -> None:
        """Write the kept calls to one file, with their graphs; see `limpid.load_replay`.

        It is a safetensors file, with the graphs as text in its metadata. Raises ArgumentError
        where a graph calls a `Function`, whose code no file can hold.
        """
        with self.lock:
            save_replay(path, self.__name__, self.sight.calls())


@overload
def compile(
    function: Callable[..., Any],
    *,
    capacity: int = RECORDINGS,
    probe: str | Iterable[str] = (),
    keep: int = 0,
    trace_nans: bool = False,
) -> Step: ...


@overload
def compile(
    *,
    capacity: int = RECORDINGS,
    probe: str | Iterable[str] = (),
    keep: int = 0,
    trace_nans: bool = False,
) -> Callable[[Callable[..., Any]], Step]: ...


def compile(
    function: Any = None,
    *,
    capacity: int = RECORDINGS,
    probe: str | Iterable[str] = (),
    keep: int = 0,
    trace_nans: bool = False,
) -> Any:
    """A step that does what the function does, faster; also a decorator, with or without options.

    function  any function of tensors, modules and optimisers; a method; a module
    capacity  how many recordings are kept. One keeps alive the state that it reads
    probe     values from inside that each call shows in `step.probed`; see `Step.probe`
    keep      of how many latest calls arguments and state are kept, for `step.replay`
    trace_nans  whether each call is looked at for NaN and infinities; see `limpid.trace_nans`

    A whole training step is one function: forward, backward, update. It is recorded when it is
    first called, and for each other kind of call; see `Step`, and `step.why_recompiled()`. Branches
    that depend on values raise AbstractError; `limpid.where`, `limpid.cond` and `limpid.scan` are
    there for them. Results carry no gradient back into the function.

    >>> import limpid
    >>> w = limpid.Parameter([1.0, -1.0])
    >>> optimizer = limpid.optim.SGD([w], lr=0.25)
    >>> @limpid.compile
    ... def step(x):
    ...     optimizer.zero_grad()
    ...     loss = limpid.sum((w * x) ** 2)
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> [step(limpid.tensor([1.0, 1.0])).item() for _ in range(3)]
    [2.0, 0.5, 0.125]
    >>> step.count, w.tolist()
    (1, [0.125, -0.125])
    """
    if function is None:
        return lambda function: Step(function, capacity, probe, keep, trace_nans)
    return Step(function, capacity, probe, keep, trace_nans)


@contextmanager
def _no_collection() -> Iterator[None]:
    """A graph is made of many objects, all of which stay: looking for garbage only takes time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _check(function: Any) -> None:
    if not callable(function):
        raise ArgumentError(
            f"compile takes a function, not {function!r:.60}; write compile(f)(x), not "
            "compile(f(x))"
        )
    if isinstance(function, Step):
        raise ArgumentError(f"{function!r} is compiled already")
    for code in (function, getattr(function, "forward", None)):
        if inspect.isgeneratorfunction(code) or inspect.iscoroutinefunction(code):
            raise ArgumentError(
                "a compiled function returns its results at once; it can't yield or await"
            )


def _parameter_names(function: Callable[..., Any]) -> list[str]:
    """The names of parameters that can be given by position."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in parameters if p.kind in kinds]
