"""Tracing eager code: every call of a primitive is looked at, and every place where it matters.

It is told by the methods of `methods.py`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from limpid.compiler.steps.step import Step
from limpid.diagnosis.origin.backward import TracedPass
from limpid.diagnosis.origin.computation import STATE, UNKNOWN, Computation, Leaf, Maker, has_fault
from limpid.diagnosis.origin.events import Event, Events, leaf_of
from limpid.diagnosis.origin.outside import NumpyCall, Position, is_later, position, users_line
from limpid.diagnosis.origin.record import Origin
from limpid.diagnosis.origin.search import Found, search
from limpid.diagnosis.origin.telling import origin_of
from limpid.errors import LimpidError, NonFiniteError
from limpid.graph.context import context
from limpid.graph.node import Array, Node, Params
from limpid.graph.source import capture
from limpid.storage import Storage
from limpid.tensor import Tensor


class Tracer:
    """What is known in one thread while it traces.

    origin  of what was raised last
    """

    def __init__(self) -> None:
        self.events = Events()
        self.origin: Origin | None = None
        self.armed: list[tuple[Step, Any]] = []  # steps that ran within, and how to end that
        self.backward_passes = 0
        self.updates: dict[int, int] = {}  # of each optimiser
        self._depth = 0  # primitives within which we are
        self._paused = False
        self._plain: Maker | None = None  # the latest that gave a plain array
        self._numpy: NumpyCall | None = None  # where NumPy failed first in this call
        self._rates: list[str] = []  # numbers of the optimiser at work that are not finite
        self._updated: Position = []  # where the latest update was
        self._fresh = False  # whether there are gradients that no update has used yet

    # What is met

    def call(self, function: Callable[..., Any], op: Any, operands: Any, params: Params) -> Any:
        """A primitive is called; what it does within is its own affair, unless it runs tensors."""
        tensors = any(isinstance(x, Tensor) for x in operands)
        if self._paused or (self._depth and not tensors):
            return function(op, *operands, **params)
        self._depth += 1
        try:
            made = function(op, *operands, **params)
        except LimpidError as error:
            self._refused(op, operands, error)
            raise
        finally:
            self._depth -= 1
        self._look(op, operands, params, made)
        return made

    def _look(self, op: Any, operands: Sequence[Any], params: Params, made: Any) -> None:
        outputs = made if isinstance(made, tuple) else (made,)
        arrays = [_array(y) for y in outputs]
        for x in operands:
            found = self.events._entry(id(v), v) if (v := _array(x)) is not None else None
            if found is not None:
                found[1].was_read = True
        if not any(map(has_fault, arrays)):
            return
        values = [_operand(x) for x in operands]
        makers = [self._maker(x, v) if has_fault(v) else None for x, v in zip(operands, values)]
        source = context.state.origin_source or capture()
        node = next((y.node for y in outputs if isinstance(y, Tensor)), None)
        event = Event(op, values, params, makers, source, node)
        event.after = self._fresh and context.state.origin is None
        for k, (y, array) in enumerate(zip(outputs, arrays)):
            if has_fault(array):
                self.events.note(array, event, k)
                if not isinstance(y, Tensor):
                    self._plain = event, k
                else:
                    event.tensors.append(weakref.ref(y))

    def _refused(self, op: Any, operands: Sequence[Any], error: LimpidError) -> None:
        """A primitive takes no such operands: perhaps because they are not finite."""
        values = [_operand(x) for x in operands]
        if self._paused or isinstance(error, NonFiniteError) or not any(map(has_fault, values)):
            return
        with self.paused():
            name = f"{op.name}, which refuses it"
            pairs = zip(operands, values)
            self._fail_of([(self._maker(x, v), name) for x, v in pairs if has_fault(v)])

    def _maker(self, x: Any, value: Any) -> Maker:
        found = self.events.find(value)
        if found is not None:
            return found
        leaf = leaf_of(x, value)
        if leaf.kind != UNKNOWN:
            return leaf
        if self._rates and np.ndim(value) == 0:
            return Leaf(STATE, self._rates[0], value)
        if self._plain is not None:
            return self._plain  # NumPy has gone on with what it gave
        if self._numpy is not None:
            self._numpy.value = value
            return self._numpy, 0
        return leaf

    def numpy_failed(self, kind: str, flag: int) -> None:
        """NumPy has met a floating-point error: in a line of the user's?"""
        source = None if self._depth or self._paused or self._numpy is not None else users_line()
        if source is not None:
            self._numpy = NumpyCall(source)

    # Where it matters

    def passed(
        self, nodes: Sequence[Node], outputs: Sequence[Tensor], seeds: Sequence[Any],
        active: Collection[Node] | None, found: dict[Node, Any],
    ) -> None:  # fmt: skip
        """A backward pass has ended, and nothing has been done with its gradients yet."""
        if self._paused:
            return
        with self.paused():
            for y in outputs:
                if has_fault(y._value):
                    self._fail(self._maker(y, y._value), "the loss")
            bad = [
                (node, k)
                for node, g in found.items()
                for k, part in enumerate(g if isinstance(g, list) else [g])
                if has_fault(part)
            ]
            if bad:
                again = TracedPass(nodes, outputs, seeds, active, self.events)
                again.run()
                self._fail_of(
                    [(m, _gradient_name(n)) for n, k in bad if (m := again.maker((n, k)))]
                )
        self.backward_passes += 1
        self._fresh = True

    def written(self, storage: Storage, array: Array) -> None:
        """A slot is about to be written."""
        if self._paused or not has_fault(array):
            return
        before = storage.array
        fresh = np.isnan(array) if before.shape != array.shape else _worse(before, array)
        if fresh.any():
            holder = storage.holder()
            label = getattr(getattr(getattr(holder, "node", None), "op", None), "label", None)
            with self.paused():
                maker = self.events.find(array) or Leaf("value", "", array)
                self._fail(maker, label or "a slot", fresh, writes=True)

    def number(self, x: Tensor) -> None:
        """A number leaves for Python."""
        if not self._paused and x._value is not None and np.isnan(x._value).any():
            with self.paused():
                self._fail(self._maker(x, x._value), "a number that left the graph")

    def close(self) -> None:
        """The block ends: what is still held, and nothing was computed from, is a result."""
        if self.origin is not None:
            return  # somebody has caught what was raised, and may hold anything
        for event, k in self.events.live():
            held = any(reference() is not None for reference in event.tensors)
            if held and not event.was_read:
                self._check_result(event, k)

    def _check_result(self, event: Event, k: int) -> None:
        """NaN is a fault, infinities are unless somebody put them there."""
        with self.paused():
            found = search((event, k))
            is_nan = bool(np.isnan(np.asarray(event.outputs()[k])).any())
            if found is not None and (is_nan or not found.meant):
                self.fail(origin_of(found, self.step, "a result"))

    def updating(self, optimizer: Any) -> None:
        """An update begins."""
        self.updates.setdefault(id(optimizer), 0)
        numbers = [item for group in optimizer.param_groups for item in group.numbers().items()]
        self._rates = [name for name, x in numbers if has_fault(x)]

    def updated(self, optimizer: Any) -> None:
        """An update has been done."""
        self.updates[id(optimizer)] += 1
        self._fresh, self._rates, self._updated = False, [], position()
        self._plain = self._numpy = None

    def run(self, method: Any, step: Step, itself: Any, args: Any, kwargs: Any) -> Any:
        """A compiled step is called: it looks itself, and tells where from its replay."""
        if all(step is not other for other, _ in self.armed):
            armed = step.tracing_nans()
            armed.__enter__()
            self.armed.append((step, armed))
        try:
            with self.paused():
                return method(step, itself, args, kwargs)
        except NonFiniteError as error:
            self.origin = error.origin
            raise

    def disarm(self) -> None:
        """The block ends: steps are as they were before."""
        for _, armed in self.armed:
            armed.__exit__(None, None, None)
        self.armed.clear()

    # Telling

    @property
    def step(self) -> int:
        """Which call it is: so many updates have been done, or else backward passes."""
        if self.updates:
            return max(self.updates.values()) + (not is_later(position(), self._updated))
        return self.backward_passes + (not self._fresh)

    def _fail(
        self, maker: Maker, reached: str, entries: Array | None = None, writes: bool = False
    ) -> None:
        found = _searched(maker, entries)
        if found is not None:
            self.fail(origin_of(found, self.step, reached, writes=writes))

    def _fail_of(self, makers: Sequence[tuple[Maker, str]]) -> None:
        """Raise the earliest birth."""
        births = [(found, name) for maker, name in makers if (found := _searched(maker, None))]
        if births:
            found, name = min(births, key=lambda birth: birth[0].time)
            self.fail(origin_of(found, self.step, name))

    def fail(self, origin: Origin) -> None:
        """Raise the error that says it."""
        self.origin = origin
        raise NonFiniteError(str(origin), origin)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What is computed inside is ours."""
        before, self._paused = self._paused, True
        try:
            yield
        finally:
            self._paused = before


def _searched(maker: Maker, entries: Array | None) -> Found | None:
    if isinstance(maker, Leaf):
        return Found((_Read(maker), 0), np.asarray(~np.isfinite(maker.value)), maker)
    if entries is not None and np.shape(maker[0].outputs()[maker[1]]) != entries.shape:
        entries = None
    return search(maker, entries)


class _Read(Computation):
    """Stands for whatever took a value that nothing traced has made."""

    def __init__(self, leaf: Leaf) -> None:
        self.operands, self.params, self.source = [leaf.value], {}, capture()
        self._leaf = leaf

    @property
    def name(self) -> str:
        return self._leaf.name or self._leaf.kind

    def makers(self) -> Sequence[Maker | None]:
        return [self._leaf]

    def outputs(self) -> Sequence[Any]:
        return (self._leaf.value,)

    def evaluate(self, operands: Sequence[Any]) -> Sequence[Any]:
        return operands

    def is_elementwise(self, k: int) -> bool:
        return False


def _worse(before: Array, array: Array) -> Array:
    """Elements that became NaN, or infinite where there was a finite number."""
    return ~np.isfinite(array) & (np.isfinite(before) | (np.isnan(array) & ~np.isnan(before)))


def _array(x: Any) -> Any:
    return x._value if isinstance(x, Tensor) else x if isinstance(x, np.ndarray) else None


def _operand(x: Any) -> Any:
    return x._value if isinstance(x, Tensor) else x


def _gradient_name(node: Node) -> str:
    label = getattr(node.op, "label", None)
    return f"the gradient of {label}" if label else "a gradient"
