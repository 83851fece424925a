"""Causes of a local derivative that has the wrong argument, or a factor too many or too few."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from limpid.explanation.checking.evidence import Evidence
from limpid.explanation.checking.finding import Cause
from limpid.graph.node import Array

FEWEST = 5  # numbers from which a formula may be guessed


def output_for_input(e: Evidence) -> Cause | None:
    """The local derivative at y in place of x."""
    local = e.local
    if local is None or e.x.size < 2 or e.right is None:
        return None
    changed = [e.ys[0] if i == e.k else x for i, x in enumerate(e.xs)]
    with np.errstate(all="ignore"):
        made = [e.pull_at(changed, t) for t in range(len(e.found))]
    if any(m is None for m in made):
        return None
    known = np.isfinite(np.array(made)).all(0) & e.use
    if known.sum() < max(3, e.x.size // 4):
        return None
    if all(_near(e, m[known], f[known]) for m, f in zip(made, e.found, strict=True)):  # type: ignore[index]
        return Cause(
            "output for input",
            "the forward output is used where the input is needed",
            "the right derivative at y in place of x equals the analytic one",
            "keep the input x in the forward pass, not the output y",
        )
    return None


def _near(e: Evidence, a: Array, b: Array) -> bool:
    size = max(np.abs(a).max(initial=0), np.abs(b).max(initial=0))
    return bool(np.all(np.abs(a - b) <= max(e.tolerance, 1e-6) * size))


def input_for_output(e: Evidence) -> Cause | None:
    """A local derivative that is a formula in y, evaluated at x."""
    local = e.local
    if local is None or e.x.size < FEWEST:
        return None
    for formula, wrong in formulas_in(e.ys[0], local, e.x, e.tolerance):
        if e.fits(g[0] * wrong for g in e.upstream):
            return Cause(
                "input for output",
                "the input is used where the forward output is needed",
                f"the right derivative is {formula}; with x in place of y it equals the analytic "
                "one",
                "keep the output y in the forward pass, not the input x",
            )
    return None


def formulas_in(
    y: Array, local: Array, x: Array, tolerance: float = 1e-6
) -> Iterator[tuple[str, Array]]:
    """Short formulas in y that give the local derivative exactly, and what they give at x."""
    for powers in ((1,), (0, 1), (1, 2), (0, 1, 2), (-1,), (-2,), (2,), (0, 2), (3,), (1, 3)):
        weights = _fitted(y, local, powers, tolerance)
        if weights is not None:
            with np.errstate(all="ignore"):
                terms = [w * x ** float(p) for w, p in zip(weights, powers, strict=True)]
            yield _formula(weights, powers), np.asarray(sum(terms))


def _fitted(y: Array, local: Array, powers: tuple[int, ...], tolerance: float) -> Array | None:
    """The weights of local = Σ w · yᵖ if that holds exactly."""
    if y.size < len(powers) + 2:
        return None
    with np.errstate(all="ignore"):
        columns = np.array([y.ravel() ** float(p) for p in powers]).T
    if not np.isfinite(columns).all():
        return None
    weights = np.linalg.lstsq(columns, local.ravel(), rcond=None)[0]
    rest = np.abs(columns @ weights - local.ravel()).max()
    return weights if rest <= tolerance * np.abs(local).max(initial=1e-12) else None


def _formula(weights: Array, powers: tuple[int, ...]) -> str:
    terms = []
    for w, p in zip(weights, powers, strict=True):
        power = {0: "", 1: "y", -1: "/y", -2: "/y²", 2: "y²", 3: "y³"}[p]
        number = f"{w:.4g}"
        terms.append(number if p == 0 else number + power if p < 0 or number != "1" else power)
    return " + ".join(terms).replace("+ -1y", "− y").replace("+ -", "− ")


def factor_field(e: Evidence) -> Cause | None:
    """The right gradient times or over something that is around: an operand, the output, 1 − y."""
    ratio = _ratio(e)
    if ratio is None:
        return None
    q, known = ratio
    for name, value in _candidates(e):
        with np.errstate(all="ignore"):
            field = np.broadcast_to(value, e.x.shape)[known]
            if np.ptp(field) <= 1e-9 * np.abs(field).max(initial=0):
                continue
            for power, words in ((1, "{} too much"), (-1, "{} left out"), (2, "{}² too much"),
                                 (-2, "{}² left out"), (0.5, "√{} too much"),
                                 (-0.5, "√{} left out")):  # fmt: skip
                rest = q / np.abs(field) ** power * (np.sign(field) if power % 2 == 1 else 1)
                allowed = max(1e-5, e.tolerance) * np.abs(rest).max()
                if np.isfinite(rest).all() and np.ptp(rest) <= allowed:
                    return _factor(words.format(name), name, float(rest.mean()))
    return None


def _factor(words: str, name: str, rest: float) -> Cause:
    times = "" if abs(rest - 1) < 1e-5 else f", and {rest:.4g} times"
    return Cause(
        "chain",
        f"a factor is {words}{times}" if "too much" in words else f"the factor {words}{times}",
        f"analytic / right follows {name} from element to element, for every upstream gradient",
        "multiply every local derivative on the path once",
    )


def _ratio(e: Evidence) -> tuple[Array, Array] | None:
    """analytic / right where it is the same for every upstream gradient, and where it is known."""
    found, right = np.array(e.found), np.array(e.expected)
    known = (np.abs(right) > max(1e-6, 10 * e.tolerance) * e.scale).all(0) & e.use
    if known.sum() < FEWEST:
        return None
    q = found[:, known] / right[:, known]
    if np.ptp(q, axis=0).max() > max(1e-5, e.tolerance) * max(np.abs(q).max(), 1e-12):
        return None
    return q.mean(0), known


def _candidates(e: Evidence) -> Iterator[tuple[str, Array]]:
    local = e.local
    named = [*zip(e.subject.names, e.xs, strict=True)]
    if local is not None:
        yield "the local derivative", local
    named += [("the output y", y) for y in e.ys]
    for name, x in named:
        for shaped in {x.shape: x, (*x.shape, 1): x[..., None]}.values():
            try:
                np.broadcast_to(shaped, e.x.shape)
            except ValueError:
                continue
            yield name, shaped
            yield f"1 − {name}", 1 - shaped
            yield f"1 + {name}", 1 + shaped
            yield f"cos {name}", np.cos(shaped)
            yield f"exp {name}", np.exp(np.minimum(shaped, 50))
