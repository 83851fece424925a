"""What layers over windows share."""

from __future__ import annotations

from limpid.nn.module import Module


class Windowed(Module):
    """Base of layers over windows: the number of spatial axes, and options that `repr` shows."""

    rank: int
    shown: tuple[str, ...] = ("kernel_size", "stride", "padding")

    def extra_repr(self) -> str:
        """The options."""
        return ", ".join(f"{name}={getattr(self, name)}" for name in self.shown)
