"""Causes that show in the form of a gradient: none, of another shape, a multiple, no upstream."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations

import numpy as np

from limpid.explanation.checking.evidence import Evidence
from limpid.explanation.checking.finding import Cause
from limpid.graph.node import Array

UNSUMMED = "sum over the axes along which the operand was broadcast: .sum(axis=0), say"


def missing(e: Evidence) -> Cause | None:
    """Zero everywhere."""
    if any(np.any(f) for f in e.found):
        return None
    return Cause(
        "missing",
        "no gradient arrives",
        f"analytic = 0 everywhere, the right one is up to {e.scale:.3g}",
        "return its gradient; look for a rule left out, or a graph cut by .detach() or .numpy()",
    )


def not_finite(e: Evidence) -> Cause | None:
    """NaN or infinite where the right gradient is not."""
    bad = ~np.isfinite(np.array(e.found))
    if not bad.any():
        return None
    return Cause(
        "not finite",
        "the gradient is not a finite number",
        f"{int(bad.any(0).sum())} of {e.x.size} elements are NaN or infinite, the right ones not",
        "look for 0/0, 0·∞ or the logarithm of 0 in the backward pass",
    )


def wrong_shape(e: Evidence, raw: list[Array]) -> Cause:
    """The gradient has another shape than its operand."""
    shape, wanted = raw[0].shape, e.x.shape
    seen = f"the gradient has shape {shape}, the operand {wanted}"
    for fits in (_shape_transposed, _shape_swapped, _unsummed, _reshaped, _summed_over_others):
        cause = fits(e, raw, seen)
        if cause is not None:
            return cause
    return Cause("shape", "the gradient has the wrong shape", seen, "give it the operand's shape")


def _same(e: Evidence, made: list[Array], wanted: list[Array]) -> bool:
    return all(a.shape == b.shape and e.close(a, b) for a, b in zip(made, wanted, strict=True))


def _shape_transposed(e: Evidence, raw: list[Array], seen: str) -> Cause | None:
    if raw[0].ndim < 2 or not _same(e, [np.swapaxes(r, -1, -2) for r in raw], e.expected):
        return None
    return Cause("transposed", "the gradient is transposed", f"{seen}; its transpose is right",
                 "exchange the factors: (A B)ᵀ = Bᵀ Aᵀ")  # fmt: skip


def _shape_swapped(e: Evidence, raw: list[Array], seen: str) -> Cause | None:
    for j, name in enumerate(e.subject.names):
        others = [r[j] for r in e.rights]
        if j != e.k and others[0].shape == raw[0].shape and e.scale and _equal(e, raw, others):
            return Cause(
                "swapped",
                f"this is the gradient of {name}",
                f"{seen}; it equals the right gradient of {name}",
                "return the gradients in the order of the operands",
            )
    return None


def _equal(e: Evidence, made: list[Array], wanted: list[Array]) -> bool:
    return all(
        np.allclose(a, b, rtol=e.tolerance, atol=e.tolerance * max(1e-12, np.abs(b).max(initial=0)))
        for a, b in zip(made, wanted, strict=True)
    )


def _reshaped(e: Evidence, raw: list[Array], seen: str) -> Cause | None:
    if raw[0].size != e.x.size or not _same(e, [r.reshape(e.x.shape) for r in raw], e.expected):
        return None
    return Cause("shape", "the numbers are right, the shape is not", f"{seen}; reshaped it fits",
                 "reshape it: .reshape(x.shape)")  # fmt: skip


def _unsummed(e: Evidence, raw: list[Array], seen: str) -> Cause | None:
    if raw[0].size <= e.x.size:
        return None
    for axes in _axes(raw[0].ndim):
        made = [r.sum(axis=axes) for r in raw]
        if made[0].size == e.x.size and _same(e, [m.reshape(e.x.shape) for m in made], e.expected):
            return Cause(
                "unsummed",
                f"the sum over {_axes_in_words(axes)} is missing",
                f"{seen}; summed over {_axes_in_words(axes)} it is right",
                f"the operand was used {raw[0].size // e.x.size} times: {UNSUMMED}",
            )
    return None


def _summed_over_others(e: Evidence, raw: list[Array], seen: str) -> Cause | None:
    for axes, made in sums_of_contributions(e, 0):
        if made.shape == raw[0].shape and _equal(e, [made], raw[:1]):
            return wrong_axis_cause(e, axes, seen)
    return None


def wrong_axis(e: Evidence) -> Cause | None:
    """The contributions were added along another axis."""
    for axes, made in sums_of_contributions(e, 0):
        if made.size == e.x.size and e.close(made.reshape(e.x.shape), e.found[0]):
            return wrong_axis_cause(e, axes, "the shapes fit by chance")
    return None


def wrong_axis_cause(e: Evidence, axes: tuple[int, ...], seen: str) -> Cause:
    return Cause(
        "wrong axis",
        f"the sum runs over {_axes_in_words(axes)} of the output",
        f"{seen}; it equals the contributions summed over {_axes_in_words(axes)}",
        f"sum over the axes that {e.name}, of shape {e.x.shape}, was broadcast along",
    )


def sums_of_contributions(e: Evidence, trial: int) -> Iterator[tuple[tuple[int, ...], Array]]:
    """What the outputs hand to the operand, added over all choices of axes.

    Only where each output element depends on one element of the operand, as with a bias.
    """
    jacobian = e.jacobian
    if jacobian is None or len(e.ys) != 1 or ((jacobian != 0).sum(1) > 1).any():
        return
    passed = (e.upstream[trial][0].ravel() * jacobian.sum(1)).reshape(e.ys[0].shape)
    for axes in _axes(passed.ndim):
        yield axes, passed.sum(axis=axes)


def _axes(rank: int) -> Iterator[tuple[int, ...]]:
    for count in range(1, min(rank, 4) + 1):
        yield from combinations(range(rank), count)


def _axes_in_words(axes: tuple[int, ...]) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {axes}"


def upstream_ignored(e: Evidence) -> Cause | None:
    """The gradient does not change with the upstream gradient."""
    if len(e.found) < 2 or not np.any(e.found[0]):
        return None
    if e.close(e.found[0], e.found[1]) and not e.close(e.expected[0], e.expected[1]):
        return Cause(
            "upstream",
            "the upstream gradient is ignored",
            "two different upstream gradients give the same result",
            "multiply the local derivative by the upstream gradient (the chain rule)",
        )
    return None


def upstream_not_linear(e: Evidence, doubled: Array) -> Cause | None:
    """doubled: what was found for twice the upstream gradient of the first trial."""
    if e.close(doubled, 2 * e.found[0]):
        return None
    twice = e.close(doubled, 4 * e.found[0])
    return Cause(
        "upstream",
        "the upstream gradient enters twice" if twice else "one part ignores the upstream gradient",
        f"twice the upstream gradient gives {'4' if twice else 'not 2'} times the result",
        "every term has the upstream gradient as a factor once",
    )


def constant_factor(e: Evidence) -> Cause | None:
    """One number times the right gradient."""
    found, expected = _judged(e, e.found), _judged(e, e.expected)
    size = expected @ expected
    if size == 0:
        return None
    c = float(found @ expected / size)
    spread = float(np.abs(found - c * expected).max() / max(np.abs(found).max(), 1e-300))
    if spread > max(e.tolerance, 1e-9):
        return None
    seen = f"analytic = {c:.6g} × right everywhere (spread {spread:.0e})"
    return name_factor(e, c, seen)


def _judged(e: Evidence, parts: list[Array]) -> Array:
    return np.concatenate([p[np.broadcast_to(e.use, p.shape)].ravel() for p in parts])


def name_factor(e: Evidence, c: float, seen: str, where: str = "") -> Cause:
    """What a factor says, from the sizes and values that are around."""
    near = max(1e-6, e.tolerance)
    if abs(c + 1) < near:
        return Cause("sign", f"the sign is wrong{where}", seen, "negate it")
    sign, size = "the sign is wrong, and " if c < 0 else "", abs(c)
    for count, what in _counts(e) if e.local is None else ():
        seen_too = f"{seen}; {count} is {what}"
        if abs(size * count - 1) < near:
            words = f"{sign}a mean was taken where the forward sums{where}"
            return Cause("mean", words, seen_too, f"do not divide by {count}")
        if abs(size / count - 1) < near:
            words = f"{sign}the forward takes a mean, and the division by {count} is missing{where}"
            return Cause("mean", words, seen_too, f"divide by {count}")
    value = _value_around(e, size)
    if value:
        words = f"{sign}the factor {value} is left out{where}"
        remedy = "multiply by every local derivative on the path"
        return Cause("chain", words, f"{seen}: the right one has the factor {value}", remedy)
    words = f"it is {size:.6g} times the right gradient"
    if abs(2 * size - 1) < near or abs(size / 2 - 1) < near:
        words = "a factor 2 is missing" if size < 1 else "there is a factor 2 too much"
    return Cause("factor", f"{sign}{words}{where}", seen, f"multiply by {1 / c:.6g}")


def _counts(e: Evidence) -> Iterator[tuple[int, str]]:
    """Numbers over which a mean may have been taken, the most likely first.

    2 is also a factor by itself, so it counts only as the length of a first axis, of a batch.
    """
    known: set[int] = {1}
    arrays = [*zip(e.subject.names, e.xs, strict=True), *(("the output", y) for y in e.ys)]
    for length in (1, 2, 3, 4):
        for name, x in arrays:
            for axes in combinations(range(x.ndim), length):
                count = math.prod(x.shape[a] for a in axes)
                if count not in known and (count != 2 or (axes == (0,) and x.ndim > 1)):
                    known.add(count)
                    yield count, f"the length of {_axes_in_words(axes)} of {name}"


def _value_around(e: Evidence, size: float) -> str:
    """A single number among operands and outputs that explains a factor."""
    named = [*zip(e.subject.names, e.xs, strict=True), *(("the output", y) for y in e.ys)]
    for name, x in named:
        if x.size == 1 and x.item() not in (0, 1, -1):
            for power, text in (
                (1, f"1 / {name}"),
                (-1, name),
                (2, f"1 / {name}²"),
                (-2, f"{name}²"),
            ):
                if abs(size / abs(x.item()) ** power - 1) < max(1e-6, e.tolerance):
                    return text
    return ""
