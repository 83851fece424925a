"""The methods by which a step looks for NaN and infinities."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any

from limpid.compiler.steps.recordings import Recording
from limpid.compiler.steps.sight import Sight
from limpid.graph.registry import operations


class Traced:
    """Of a step: where what is not finite was born."""

    lock: RLock
    sight: Sight
    _recordings: list[Recording]

    @contextmanager
    def tracing_nans(self) -> Iterator[None]:
        """Calls inside are looked at for NaN and infinities, as with `trace_nans=True`."""
        before = self.sight.traces
        with self.lock:
            self.sight.trace(True, self._recordings)
        try:
            yield
        finally:
            with self.lock:
                self.sight.trace(before, self._recordings)

    def trace_nans(self) -> Any:
        """Where the first NaN or infinity was born, in the calls that are known; None if in none.

        Those are the kept ones, the oldest first; of a step that is compiled with `trace_nans=True`
        it is what the latest error said. Raises ArgumentError if no call is kept.

        >>> import limpid
        >>> @limpid.compile(keep=1)
        ... def logarithm(x):
        ...     return limpid.log(x)
        >>> _ = logarithm(limpid.tensor([1.0, -1.0]))
        >>> logarithm.trace_nans().rule
        'log of −1 = NaN: outside its domain x > 0'
        """
        with self.lock:
            if self.sight.traces and not self.sight.keep:
                return self.sight.origin
            first = self.sight.noted - len(self.sight.kept) + 1
            for number, call in enumerate(self.sight.calls(), first):
                arguments = call.recording, call.inputs, call.state, number
                origin = operations["trace_call"](*arguments)
                if origin is not None:
                    return origin
        return None
