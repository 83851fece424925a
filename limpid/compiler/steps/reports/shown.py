"""The methods by which a step shows its native code."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np

from limpid.compiler.steps.recordings import Recording
from limpid.errors import ArgumentError
from limpid.graph.registry import operations

if TYPE_CHECKING:  # else imported by what needs them, since few programs do
    from limpid.compiler.steps.reports.memory import Footprint
    from limpid.compiler.steps.reports.profile import Profile
    from limpid.compiler.steps.reports.reading import Reading


class Shown:
    """Of a step: what its latest call ran, in native code.

    All raise ArgumentError before the first call, and NativeError where there is no native code.
    """

    __name__: str
    lock: RLock
    _recordings: list[Recording]

    def latest(self) -> Recording:
        """What the latest call ran."""
        if not self._recordings:
            raise ArgumentError(f"{self.__name__} has not been recorded yet; call it first")
        return self._recordings[0]

    def find(self, itself: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """(recording, arrays) for a call; None if it can only run uncompiled."""
        raise NotImplementedError

    def listing(self) -> str:
        """The generated loops beside your lines.

        Phases follow on one another; the blocks of a phase run at once; the stages of a block one
        after another for each chunk. Values are named as in `graph`. What has a type and extents is
        written to memory, the rest stays in registers; arrows lead to where results go. On the
        right are the native functions, as in `llvm()`, and the lines that code comes from, those
        of their backward passes with ∂.
        """
        from limpid.compiler.steps.reports.listing import listing

        return listing(self._reading("listing"))

    def llvm(self) -> str:
        """The native functions in LLVM's language, before LLVM's own passes; and their stages."""
        from limpid.compiler.steps.reports.listing import module_text

        return module_text(self._reading("llvm"))

    def memory(self) -> Footprint:
        """Bytes that a call needs, and what for; the largest arrays with their lines.

        `print` shows it, `to_dict()` gives plain data.
        """
        from limpid.compiler.steps.reports.memory import footprint

        return footprint(self._reading("memory"))

    def profile(self, /, *args: Any, runs: int | None = None, **kwargs: Any) -> Profile:
        """What each stage of this call takes, and how much of the machine it uses.

        The native code runs on copies of the state, so often or for a third of a second; nothing
        outside changes. A multiply-add is two operations, a function of an element one. Bytes are
        those of all arrays that a stage reads and writes, once each. Shares are of what this
        machine was measured to do at most: multiply-adds in registers, and copies in memory, which
        is less than caches give. It is measured when it is first needed, and kept in the cache
        (`limpid cache --clear` forgets it). The stages are those of `listing()`.

        `print` shows it, `to_dict()` gives plain data.
        """
        return self.profile_of(None, args, kwargs, runs)

    def explain(
        self, /, *args: Any, output: str | None = None, wrt: Any = None, at: Any = None,
        **kwargs: Any,
    ) -> Any:  # fmt: skip
        """Every edge of the backward pass that this call runs, in the numbers of its native code.

        The call runs on copies of the state: nothing outside changes. `limpid.explain` says what
        the record holds.

        output  the name of the value whose gradient is explained, as `probe` has it; else the one
                that a backward pass of the step begins with
        wrt     tensors or names of parameters and arguments: only edges on the ways to them
        at      names or ids of nodes: only their edges
        """
        return operations["explain_step"](*self._call_of(args, kwargs), output, wrt, at)

    def derive(
        self, /, *args: Any, output: str | None = None, wrt: Any = None, **kwargs: Any
    ) -> Any:
        """The derivation of the gradients that this call takes, as `limpid.derive` gives it."""
        return operations["derive_step"](*self._call_of(args, kwargs), output, wrt)

    def debug(self, /, *args: Any, output: str | None = None, **kwargs: Any) -> Any:
        """A debugger of this call, as `limpid.debug` makes one, in the numbers of native code.

        It has the lines of the program, but no local variables: the code ran when it was recorded.
        """
        return operations["debug_step"](*self._call_of(args, kwargs), output)

    def why(self, p: Any, /, *args: Any, output: str | None = None, **kwargs: Any) -> Any:
        """Why the gradient of a parameter is zero or tiny in this call, as `limpid.why` tells it.

        p  a tensor or the name of one. Raises ArgumentError if the call does not depend on it: why
           that is, `limpid.why(p, lambda: …)` of the function finds out.
        """
        return operations["why_step"](*self._call_of(args, kwargs), output, p)

    def _call_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """(name, recording, inputs, state, that of idle slots included) for a call."""
        with self.lock:
            found = self.find(None, args, kwargs)
            if found is None:
                raise ArgumentError(
                    f"{self.__name__} runs uncompiled on an argument that carries a gradient"
                    "\nremedy: pass .detach() of it"
                )
            recording, arrays = found
            idle = [node.op.storage.read() for node in recording.idle.values()]
            state = [np.array(x) for x in (*recording.state(), *idle)]
            return self.__name__, recording, recording.distinct(arrays), state

    def profile_of(
        self, itself: Any, args: tuple[Any, ...], kwargs: dict[str, Any], runs: int | None
    ) -> Profile:
        """The same; of a method, `itself` is the instance."""
        from limpid.compiler.steps.reports.profile import profile

        with self.lock:
            found = self.find(itself, args, kwargs)
            if found is None:
                raise ArgumentError(
                    f"{self.__name__} runs uncompiled on an argument that carries a gradient"
                    "\nremedy: pass .detach() of it"
                )
            recording, arrays = found
            reading = self._reading("profile", recording)
            reading.compiled.run(recording.distinct(arrays), recording.state())
            return profile(reading, runs)

    def _reading(self, method: str, recording: Recording | None = None) -> Reading:
        from limpid.compiler.steps.reports.reading import Reading

        with self.lock:  # a program from the cache is made anew
            return Reading(self.__name__, recording or self.latest(), f"{method}()")
