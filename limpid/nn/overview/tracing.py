"""Which modules were called while a graph was recorded, in which order, and what each gave back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from limpid.errors import LimpidError
from limpid.graph.context import context
from limpid.graph.graph import Graph
from limpid.graph.node import next_number
from limpid.nn.module import Module
from limpid.tensor import Tensor
from limpid.transforms.nesting import flatten
from limpid.transforms.recording import record


@dataclass(eq=False)
class Call:
    """One call of a module: nodes with numbers from `start` to `stop` were made in it.

    path     of the module from the root, "" for the root itself
    outputs  the tensors that it gave back
    calls    those of modules within, in order
    """

    path: str
    module: Module
    start: int
    stop: int = 0
    outputs: Sequence[Tensor] = ()
    calls: list[Call] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The path, with the kind of the module."""
        kind = type(self.module).__name__
        return f"{self.path} ({kind})" if self.path else kind


def trace(model: Module, inputs: Sequence[Any]) -> tuple[Graph, Call]:
    """Record a model in eval mode: its graph, and the call of the model with those within.

    Errors about arguments name the module in which they came up.
    """
    watch = _Watch()
    with _evaluating(model), watch.over(model):
        try:
            graph = record(model, *inputs).graph
        except LimpidError as error:
            if watch.error is not error:
                raise
            raise type(error)(_told(error, watch.failed)) from None
    return graph, watch.root


def _told(error: LimpidError, call: Call) -> str:
    """The message of an error with the module's path and kind in front, not the operation's."""
    reason = str(error).removesuffix(f" [{error.id}]")
    where = f" in {re.escape(call.path)}" if call.path else ""
    reason = re.sub(rf"^\w+{where}: ", "", reason)
    return f"{call.name}: {reason}"


@contextmanager
def _evaluating(model: Module) -> Iterator[None]:
    """The model in eval mode; afterwards each module in the mode in which it was."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


class _Watch:
    """Notes the calls of modules in the recording that begins next on this thread."""

    root: Call

    def __init__(self) -> None:
        self.recorder: Any = None
        self.open: list[Call] = []
        self.error: BaseException | None = None
        self.failed: Call  # the innermost call that raised the error

    @contextmanager
    def over(self, model: Module) -> Iterator[None]:
        """Watch the modules of a model: for this time each has a `forward` of its own."""
        modules = list(model.modules())
        own = [vars(module).get("forward") for module in modules]
        for module in modules:
            vars(module)["forward"] = self._watched(module, module.forward)
        try:
            yield
        finally:
            for module, forward in zip(modules, own, strict=True):
                if forward is None:
                    del vars(module)["forward"]
                else:
                    vars(module)["forward"] = forward

    def _watched(self, module: Module, forward: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            recorder = context.state.recorder
            if recorder is None or self.recorder not in (None, recorder):
                return forward(*args, **kwargs)  # on another thread, or in the body of a loop
            self.recorder = recorder
            return self._call(module, forward, args, kwargs)

        return watched

    def _call(self, module: Module, forward: Any, args: Any, kwargs: Any) -> Any:
        call = Call(context.state.scope, module, next_number())
        if self.open:
            self.open[-1].calls.append(call)
        else:
            self.root = call
        self.open.append(call)
        try:
            result = forward(*args, **kwargs)
        except LimpidError as error:
            retold = self.error in (error, error.__context__)  # by the module within
            if self.error is None or not retold:
                self.failed = call
            self.error = error
            raise
        finally:
            self.open.pop()
            call.stop = next_number()
        call.outputs = [x for _, x in flatten(result)[0] if isinstance(x, Tensor)]
        return result
