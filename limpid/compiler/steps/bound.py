"""A compiled step as a method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from limpid.compiler.steps.verification import verify as verify_call

if TYPE_CHECKING:
    from limpid.compiler.steps.step import Step


class BoundStep:
    """A compiled method of an instance."""

    def __init__(self, step: Step, instance: Any) -> None:
        self.step = step
        self.instance = instance

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self.step.call(self.instance, (self.instance, *args), kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.step, name)

    def __repr__(self) -> str:
        return f"<bound {self.step!r}>"

    def verify(self, /, *args: Any, **kwargs: Any) -> None:
        """`Step.verify` of a call of the method."""
        verify_call(self.step, self.instance, (self.instance, *args), kwargs)

    def profile(self, /, *args: Any, runs: int | None = None, **kwargs: Any) -> Any:
        """`Step.profile` of a call of the method."""
        return self.step.profile_of(self.instance, (self.instance, *args), kwargs, runs)
