"""Primitives tried on numbers: whether they do what a declaration lets one expect."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from limpid.explanation.formulas.products import Number
from limpid.graph.node import Node, Spec

MOST = 1 << 18  # elements up to which a primitive is tried on its own shapes
MANY = 32  # samples of each element of an elementwise primitive
SMALL = (2, 3)  # extents that it is tried on otherwise: what holds for both holds for all

Labels = Sequence[Any]  # of the axes that are longer than 1
Groups = Sequence[Sequence[int]]  # numbers of operands


class Trial:
    """A primitive with the params of a node, and samples of its operands.

    extent  of all axes that are longer than 1; None for those of the node
    """

    def __init__(self, node: Node, specs: Sequence[Any], extent: int | None = None):
        self._op: Any = node.op
        self._params = node.params
        self.output = _resized(node.outputs[0].shape, extent)
        self.samples = [_sample_of(spec, n, extent) for n, spec in enumerate(specs)]

    def value(self, group: Sequence[int] | None = None) -> Any:
        """What it makes of the samples, those not of a group being 0; NaN if it takes none."""
        given = [
            x if group is None or n in group else np.zeros_like(x)
            for n, x in enumerate(self.samples)
        ]
        try:
            with np.errstate(all="ignore"):
                return np.asarray(self._op.forward(*given, **self._params), np.float64)
        except Exception:
            return np.full(self.output, np.nan)

    def factors(self, labels: Sequence[Labels], made: Labels, groups: Groups) -> list[Number]:
        """The number that the sum of products of each group comes with; none if it is no sum."""
        found = [self._factor(labels, made, group) for group in groups]
        if any(factor is None for factor in found):
            return []
        total = sum(self.value(group) for group in groups)
        return [f for f in found if f] if is_same(self.value(), np.asarray(total)) else []

    def _factor(
        self, labels: Sequence[Labels], made: Labels, group: Sequence[int]
    ) -> Number | None:
        distinct = {label for found in (*labels, made) for label in found}
        numbers = {label: n for n, label in enumerate(distinct)}
        given: list[Any] = []
        for n in group:
            given += [np.squeeze(self.samples[n]), [numbers[label] for label in labels[n]]]
        inside = {label for n in group for label in labels[n]}
        plain = np.einsum(*given, [numbers[label] for label in made if label in inside])
        long = [extent for extent in self.output if extent != 1]
        kept = [extent if label in inside else 1 for label, extent in zip(made, long, strict=True)]
        plain = np.broadcast_to(plain.reshape(kept), long)
        y = self.value(group)
        if y.shape != self.output:
            return None
        scale = float(np.sum(y.reshape(long) * plain) / np.sum(plain * plain))
        if not np.isfinite(scale):
            return None
        simple = Fraction(scale).limit_denominator(10**6)
        return simple if simple and is_same(y.reshape(long), float(simple) * plain) else None


def elementwise(node: Node, specs: Sequence[Any]) -> tuple[list[Any], Any]:
    """Samples of operands, and what an elementwise primitive makes of them: many of each number."""
    rank = len(node.outputs[0].shape)
    longer = [
        Spec((MANY, *[1] * (rank - s.ndim), *_resized(s.shape, SMALL[0])), s.dtype)
        if isinstance(s, Spec)
        else s
        for s in specs
    ]
    trial = Trial(node, longer)
    return trial.samples, trial.value()


def factors(
    node: Node, specs: Sequence[Any], labels: Sequence[Labels], made: Labels, groups: Groups
) -> list[Number]:
    """The same for a node, tried on small shapes where that tells as much; none if it is no sum."""
    if len(specs) > 1:  # a sum over one operand may be a mean
        found = [Trial(node, specs, extent).factors(labels, made, groups) for extent in SMALL]
        if found[0] and found[0] == found[1]:
            return found[0]
    if max(s.size for s in (*specs, node.outputs[0])) > MOST:
        return []
    return Trial(node, specs).factors(labels, made, groups)


def is_same(a: Any, b: Any) -> bool:
    """Whether two arrays hold the same numbers, up to rounding."""
    if np.shape(a) != np.shape(b):
        return False
    with np.errstate(invalid="ignore"):  # infinity less infinity, where both are the same
        near = np.abs(np.subtract(a, b, dtype=np.float64)) <= 1e-13 + 1e-12 * np.abs(b)
    return bool(((near & np.isfinite(b)) | np.equal(a, b)).all())


def _resized(shape: tuple[int, ...], extent: int | None) -> tuple[int, ...]:
    return shape if extent is None else tuple(n if n < 2 else extent for n in shape)


def _sample_of(spec: Any, number: int, extent: int | None) -> Any:
    if not isinstance(spec, Spec):
        return np.asarray(spec, np.float64)
    return _sample(_resized(spec.shape, extent), spec.dtype.kind, number)


@cache
def _sample(shape: tuple[int, ...], kind: str, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    numbers = rng.uniform(0.5, 2.0, shape) * rng.choice([-1.0, 1.0], shape)
    if kind == "bool":
        return np.asarray(numbers > 0)
    return np.asarray(numbers) if kind == "float" else np.zeros(shape, np.int64)
