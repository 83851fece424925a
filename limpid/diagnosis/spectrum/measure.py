"""Spectral norms of the layers of a model at a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from limpid.diagnosis.spectrum.backward import gradients_of
from limpid.diagnosis.spectrum.chain import Stage, chain_of
from limpid.diagnosis.spectrum.lanczos import Norms, spectral_norms_of
from limpid.diagnosis.spectrum.loops import measure_loops
from limpid.diagnosis.spectrum.piece import Piece, Place, gradient_at, join, spec_at
from limpid.diagnosis.spectrum.record import Layer, Spectrum
from limpid.diagnosis.spectrum.tracing import Traced, trace
from limpid.errors import ArgumentError
from limpid.explanation.values import forward_values
from limpid.graph.graph import pick
from limpid.graph.node import Array, Node
from limpid.ops.axes import integer

STEPS = 300


def spectral_norms(
    model: Any,
    x: Any,
    loss: Callable[..., Any] | None = None,
    *,
    argnums: int | Sequence[int] = 0,
    tolerance: float = 1e-6,
    steps: int = STEPS,
    seed: int = 0,
    factors: bool = True,
) -> Spectrum:
    """σ(Jᵢ) of every layer at a batch, their running product, and the gradients beside it.

    ∥∂L/∂oᵏ∥ ≤ σ(Jₖ₊₁) · … · σ(J_last) · ∥∂L/∂o_last∥, where Jᵢ = ∂oⁱ/∂oⁱ⁻¹ = diag(f′(zⁱ)) Wⁱ.

    model      a module, a function, or a compiled step, whose own loss then counts
    x          the batch: an array or a tensor; several inputs as a tuple
    loss       a function of what the model returns, a single number. Without it the gradients are
               those of a random direction of norm 1 at the output
    argnums    through which of several inputs signals come in, as in `limpid.grad`; the others are
               constant
    tolerance  a norm is taken as found when ∥Jᵀu − σv∥ ≤ tolerance · σ. It is at least eight
               times the rounding of the type that the model computes in
    steps      how many products with each J and its transpose are made at most
    seed       of the random vectors that begin
    factors    whether σ(W) is found where an activation follows, which takes as long again

    Jacobians are applied, never formed. Where no example depends on another one, J is a block for
    each, and sigma is that of the largest. Nothing outside changes: running statistics and random
    counters are set back. Raises ArgumentError, OperandError or NoGradientError for what has no
    layers to look at.

    >>> import numpy as np, limpid
    >>> net = limpid.nn.Sequential(limpid.nn.Linear(3, 2), limpid.nn.ReLU(), limpid.nn.Linear(2, 1))
    >>> spectrum = limpid.diagnosis.spectral_norms(net, np.ones((4, 3), np.float32))
    >>> [layer.name for layer in spectrum.layers]
    ['0', '2']
    >>> all(layer.gradient <= layer.bound * (1 + 1e-6) for layer in spectrum.layers)
    True
    """
    if not isinstance(tolerance, int | float) or not 0 < tolerance < 1:
        raise ArgumentError(f"tolerance must be between 0 and 1, not {tolerance!r:.40}")
    limit = integer(steps, "steps", 1)
    traced = trace(model, x, loss, integer(seed, "seed", 0), argnums)
    stages = chain_of(traced.nodes, traced.starts, traced.ends)
    find = partial(
        spectral_norms_of, tolerance=tolerance, limit=limit, random=np.random.default_rng(seed)
    )
    layers = _layers(traced, stages, lambda piece: find(piece.operator()), factors)
    loops = measure_loops(traced, lambda piece: find(piece.operator()))
    last = float(lengths_of(traced.gradients, 1)[0])
    looked_up = any(node.inputs for node, _ in traced.starts)
    start = "looked up by integers" if looked_up else "input"
    return Spectrum(tuple(layers), tuple(loops), traced.upstream, last, start)


def _layers(
    traced: Traced, stages: Sequence[Stage], find: Callable[[Piece], Norms], factors: bool
) -> list[Layer]:
    """The layers, in forward order; products run the other way."""
    values = forward_values(traced.nodes)
    found = gradients_of(traced, {node for stage in stages for node, _ in stage.whole.start})
    product, last = 1.0, float(lengths_of(traced.gradients, 1)[0])
    made: list[Layer] = []
    after: list[Array] = traced.gradients
    for stage in reversed(stages):
        norms = find(stage.whole)
        here = [gradient_at(found, place) for place in stage.whole.start]
        before = [
            np.zeros(spec_at(p).shape) if g is None else g
            for g, p in zip(here, stage.whole.start, strict=True)
        ]
        sigmas = at_least(norms.values, after, before)
        sigma = float(np.max(sigmas))
        product *= sigma
        slopes = _slopes(stage)
        made.append(
            Layer(
                stage.name,
                stage.operations,
                tuple(spec_at(place).shape for place in stage.whole.end),
                sigma,
                _weight(stage, sigma, find if factors else None),
                None if slopes is None else float(np.max(np.abs(slopes))),
                None if slopes is None else float(np.mean(slopes == 0)),
                sigmas if stage.whole.examples else None,
                float(np.max(norms.residuals)),
                norms.steps,
                norms.converged,
                product,
                product * last,
                float(lengths_of(before, 1)[0]),
                _signal(values, stage.whole.end),
            )
        )
        after = before
    return made[::-1]


def at_least(values: Array, after: Sequence[Array], before: Sequence[Array]) -> Array:
    """The norms, none smaller than what the gradients really do.

    ∥Jᵀg∥ / ∥g∥ is a lower bound of σ(J) as the value found is, so with the larger one the product
    of norms bounds these gradients whatever the accuracy.
    """
    lengths = lengths_of(after, len(values)), lengths_of(before, len(values))
    ratios = np.divide(lengths[1], lengths[0], out=np.zeros_like(values), where=lengths[0] > 0)
    return np.where(np.isfinite(ratios), np.maximum(values, ratios), np.nan)


def lengths_of(parts: Sequence[Array], groups: int) -> Array:
    """∥·∥ of several arrays together, for each group."""
    with np.errstate(all="ignore"):
        return np.linalg.norm(join([x.astype(np.float64) for x in parts], groups), axis=1)


def _weight(stage: Stage, sigma: float, find: Callable[[Piece], Norms] | None) -> float | None:
    """σ of the piece that mixes, as far as it is asked for."""
    if stage.mixing is None:
        return None
    if stage.activation is None:
        return sigma
    return float(np.max(find(stage.mixing).values)) if find is not None else None


def _slopes(stage: Stage) -> Array | None:
    """f′(z): what the activation makes of ones."""
    if stage.activation is None:
        return None
    ones = [np.ones(x.shape, x.dtype.storage) for x in map(spec_at, stage.activation.start)]
    return stage.activation.push(ones)[0]


def _signal(values: Mapping[Node, Any], places: Sequence[Place]) -> float:
    """The root mean square of values."""
    found = [np.asarray(pick(values, *place), np.float64) for place in places]
    size = sum(x.size for x in found)
    with np.errstate(all="ignore"):
        return float(np.sqrt(sum(np.sum(x * x) for x in found) / size))
