"""The record of a spectrum: plain, versioned data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from limpid.graph.node import Array

FORMAT = "limpid spectrum 1"


@dataclass(frozen=True)
class Layer:
    """One layer: from where its input is, to its output.

    name        the module, or the parameters or operations where there is none
    operations  what it is made of
    shape       of its output
    sigma       σ(J), the spectral norm of its Jacobian: the largest of all examples'
    weight      σ(W) of the piece that mixes, with nothing after it; None if nothing mixes, or
                it was not asked for
    slope       max |f′(z)| of the activation after it; None where there is none
    closed      the share of f′(z) that is 0; None where there is no activation
    examples    σ(J) of each example; None where examples are mixed, so that J is one matrix
    residual    how well sigma is known: ∥Jᵀu − σv∥ / σ, the largest of all examples'
    steps       products with J and with its transpose
    converged   whether the residual is within the tolerance
    product     ∏ σ from this layer to the output
    bound       of ∥∂L/∂(its input)∥: product · ∥∂L/∂output∥
    gradient    ∥∂L/∂(its input)∥ as it really is
    signal      root mean square of its output
    """

    name: str
    operations: tuple[str, ...]
    shape: tuple[tuple[int, ...], ...]
    sigma: float
    weight: float | None
    slope: float | None
    closed: float | None
    examples: Array | None
    residual: float
    steps: int
    converged: bool
    product: float
    bound: float
    gradient: float
    signal: float

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it; numbers that are not finite become text."""
        listed = None if self.examples is None else [plain(v) for v in self.examples.tolist()]
        made = {name: plain(value) for name, value in vars(self).items()}
        shapes = [list(shape) for shape in self.shape]
        return made | {"operations": list(self.operations), "shape": shapes, "examples": listed}


@dataclass(frozen=True)
class Loop:
    """A recurrence: the Jacobians of its state from each time step to the next.

    name       the module and its loop
    sigma      σ(∂hₜ/∂hₜ₋₁), one for each step in the order in which they ran, from the second on
    product    ∏ σ from each state to the last
    carried    ∥(∂h_T/∂hₜ)ᵀ · ∂L/∂h_T∥: what is left at hₜ of the last state's gradient
    gradient   ∥∂L/∂hₜ∥ as it really is, with what comes in at each step
    rate       the factor by which what is carried changes at each step, on average
    advice     what follows for training, in words
    """

    name: str
    sigma: tuple[float, ...]
    product: tuple[float, ...]
    carried: tuple[float, ...]
    gradient: tuple[float, ...]
    rate: float
    advice: str

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            name: [plain(v) for v in value] if isinstance(value, tuple) else plain(value)
            for name, value in vars(self).items()
        }


@dataclass(frozen=True)
class Spectrum:
    """Spectral norms of layers in forward order; printed, it is a table.

    layers    from the input to the output
    loops     recurrences within them
    upstream  what the gradients are of: "loss", or a "random unit gradient" at the output
    last      ∥∂L/∂output∥
    start     what the first layer begins with: "input", or "looked up by integers"
    """

    layers: tuple[Layer, ...]
    loops: tuple[Loop, ...]
    upstream: str
    last: float
    start: str

    def __getitem__(self, name: str | int) -> Layer:
        if isinstance(name, int):
            return self.layers[name]
        for layer in self.layers:
            if layer.name == name:
                return layer
        known = ", ".join(layer.name for layer in self.layers)
        raise KeyError(f"no layer called {name!r}; there are {known}")

    def __len__(self) -> int:
        return len(self.layers)

    @property
    def product(self) -> float:
        """∏ σ of all layers: by how much a gradient can grow from the output to the input."""
        return self.layers[0].product if self.layers else 1.0

    @property
    def per_layer(self) -> float:
        """The factor for each layer that, multiplied, gives `product`: its geometric mean."""
        with np.errstate(all="ignore"):
            sigmas = np.array([layer.sigma for layer in self.layers])
            return float(np.exp(np.mean(np.log(sigmas)))) if len(sigmas) else 1.0

    def to_json(self) -> dict[str, Any]:
        """Versioned data as JSON can hold it; numbers that are not finite become text."""
        return {
            "format": FORMAT,
            "upstream": self.upstream,
            "start": self.start,
            "last": plain(self.last),
            "product": plain(self.product),
            "layers": [layer.to_json() for layer in self.layers],
            "loops": [loop.to_json() for loop in self.loops],
        }

    def __str__(self) -> str:
        from limpid.diagnosis.spectrum.table import render_text

        return render_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from limpid.diagnosis.spectrum.table import render_html

        return render_html(self)


def plain(value: Any) -> Any:
    """A number that JSON has, or its name."""
    if isinstance(value, float) and not np.isfinite(value):
        return "nan" if np.isnan(value) else "inf" if value > 0 else "-inf"
    return value
