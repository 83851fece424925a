"""Causes that show in how the gradient is related to the right one, seen from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations, permutations
from typing import Any

import numpy as np

from limpid.explanation.checking.evidence import Evidence
from limpid.explanation.checking.finding import Cause
from limpid.graph.node import Array

Change = Callable[[Any], Any]
CHAIN = "multiply the upstream gradient by the local derivative"


def swapped(e: Evidence) -> Cause | None:
    """The gradient of another operand of the same shape."""
    for j, name in enumerate(e.subject.names):
        if j != e.k and e.xs[j].shape == e.x.shape and e.fits(r[j] for r in e.rights):
            return Cause(
                "swapped",
                f"this is the gradient of {name}",
                f"analytic equals the right gradient of {name} everywhere",
                f"return the gradients in the order {', '.join(e.subject.names)}",
            )
    return None


def transposed(e: Evidence) -> Cause | None:
    """A square gradient, upstream gradient or other operand is transposed."""
    if _square(e.x) and e.fits(_turn(r) for r in e.expected):
        return Cause("transposed", "the gradient is transposed", "its transpose is right",
                     "(A B)ᵀ = Bᵀ Aᵀ: exchange the factors")  # fmt: skip
    if e.right is None:
        return None
    if len(e.ys) == 1 and _square(e.ys[0]):
        pull = e.right.pull
        if e.fits(pull(e.k, [_turn(g[0])]) for g in e.upstream):
            return Cause("transposed", "the upstream gradient is transposed",
                         "with its transpose the analytic gradient would be right",
                         "use the upstream gradient as it is")  # fmt: skip
        if _square(e.x) and e.fits(_turn(pull(e.k, [_turn(g[0])])) for g in e.upstream):
            return _transposed_both(e)
    return _operand_changed(e, _turn, _square, "transposed", "is used as it is, not transposed")


def _transposed_both(e: Evidence) -> Cause:
    return Cause(
        "transposed",
        "a factor is not transposed: the backward pass goes the way of the forward",
        "with gradient and upstream both transposed it is right",
        "the backward of y = A x is Aᵀ g",
    )


def _turn(x: Array) -> Array:
    return np.swapaxes(x, -1, -2)


def _square(x: Array) -> bool:
    return x.ndim >= 2 and x.shape[-1] == x.shape[-2] > 1


def _operand_changed(
    e: Evidence, change: Change, suits: Callable[[Array], bool], name: str, words: str
) -> Cause | None:
    """What would come out if another operand were changed."""
    for j, other in enumerate(e.xs):
        if j == e.k or not suits(other):
            continue
        changed = [change(x) if i == j else x for i, x in enumerate(e.xs)]
        if e.fits(_safely(e, changed, t) for t in range(len(e.found))):
            operand = e.subject.names[j]
            return Cause(
                name,
                f"{operand} {words}",
                f"the right gradient at a changed {operand} equals the analytic one",
                f"look at how {operand} enters the gradient of {e.name}",
            )
    return None


def _safely(e: Evidence, xs: list[Array], trial: int) -> Array | None:
    try:
        return e.pull_at(xs, trial)
    except Exception:  # the changed operands may not fit the function
        return None


def moved(e: Evidence) -> Cause | None:
    """Reversed, shifted or permuted: the gradient, what comes from upstream, or another operand."""
    for words, change in _moves(e.x):
        if e.fits(change(r) for r in e.expected):
            return _moved(f"the gradient is {words}", f"{words} back it is right")
    if e.right is None or len(e.ys) != 1:
        return None
    pull, k = e.right.pull, e.k
    for words, change in _moves(e.ys[0]):
        if e.fits(pull(k, [change(g[0])]) for g in e.upstream):
            return _moved(f"the upstream gradient is {words}", "with it moved back, it is right")
        if e.ys[0].shape == e.x.shape and e.fits(
            change(pull(k, [change(g[0])])) for g in e.upstream
        ):
            return _moved(
                f"it runs from the wrong end: gradient and upstream are {words}",
                f"the right gradient, {words} before and after, equals the analytic one",
            )
    rank = max(x.ndim for x in e.xs)
    pairs = [(axis,) for axis in range(rank)] + [*combinations(range(rank), 2)]
    for axis in pairs:
        flip, long = partial(np.flip, axis=axis), partial(_is_long, axis)
        cause = _operand_changed(e, flip, long, "moved", f"is used reversed along axis {axis}")
        if cause is not None:
            return cause
    return None


def _is_long(axes: tuple[int, ...], x: Array) -> bool:
    return x.ndim > max(axes) and all(x.shape[axis] > 1 for axis in axes)


def _moved(words: str, seen: str) -> Cause:
    return Cause("moved", words, seen, "the backward of a move is the move back")


def _moves(x: Array) -> Iterator[tuple[str, Change]]:
    for count in range(1, min(x.ndim, 3) + 1):
        for axes in combinations(range(x.ndim), count):
            yield f"reversed along {axes}", partial(np.flip, axis=axes)
    for axis in range(x.ndim):
        along = f"along axis {axis}"
        for step in range(1, min(x.shape[axis], 9)):
            yield f"shifted by {step} {along}", partial(np.roll, shift=step, axis=axis)
            if step <= 3:
                yield f"shifted by −{step} {along}, without going round", _shift(-step, axis)
                yield f"shifted by {step} {along}, without going round", _shift(step, axis)
    for order in permutations(range(x.ndim)) if x.ndim <= 4 else ():
        if order != tuple(range(x.ndim)):
            yield f"permuted, axes {order}", partial(np.transpose, axes=order)
            yield "reshaped where its axes must be permuted", partial(_read_anew, order)
    for axes in combinations(range(x.ndim), 2):
        for step in (1, -1):
            yield f"shifted by {step} along axes {axes}", partial(np.roll, shift=step, axis=axes)


def _read_anew(order: tuple[int, ...], x: Array) -> Array:
    """The elements in the order of the permuted array, in the old shape."""
    return np.transpose(x, order).reshape(x.shape)


def _shift(step: int, axis: int) -> Change:
    def shift(a: Array) -> Array:
        made = np.roll(a, step, axis)
        place = [slice(None)] * a.ndim
        place[axis] = slice(0, step) if step > 0 else slice(step, None)
        made[tuple(place)] = 0
        return made

    return shift


def applied_forward(e: Evidence) -> Cause | None:
    """J · g in place of Jᵀ · g."""
    jacobian = e.jacobian
    if jacobian is None or len(e.ys) != 1 or e.ys[0].shape != e.x.shape:
        return None
    if not e.fits((jacobian @ g[0].ravel()).reshape(e.x.shape) for g in e.upstream):
        return None
    return Cause("transposed", "the function itself is applied to the upstream gradient",
                 "analytic = J g, and the right one is Jᵀ g",
                 "apply the transpose of the Jacobian")  # fmt: skip


def mask(e: Evidence) -> Cause | None:
    """Two values of the local derivative are exchanged, such as 0 and 1 of relu."""
    local = e.local
    if local is not None:
        values = np.unique(local[np.broadcast_to(e.use, local.shape)].round(7))
        if len(values) == 2 and e.fits(g[0] * (values.sum() - local) for g in e.upstream):
            return _mask(f"the local derivative is {values[0]:g} where it must be {values[1]:g}")
    for t, found in enumerate(e.found):
        zero = np.abs(e.expected[t]) <= 1e-9 * e.scale
        nonzero = np.abs(found) > 1e-9 * max(np.abs(found).max(initial=0), 1e-12)
        if not (zero.any() and (~zero).any() and np.array_equal(zero, nonzero)):
            return None
    return _mask("it is 0 wherever the right gradient is not, and not 0 where that is 0")


def _mask(seen: str) -> Cause:
    return Cause(
        "mask",
        "the mask of the activation is from the wrong side",
        seen,
        "pass the gradient where the forward passed the value (x > 0 for relu)",
    )


def passed_on(e: Evidence) -> Cause | None:
    """The upstream gradient as it came."""
    if len(e.ys) != 1 or e.ys[0].shape != e.x.shape:
        return None
    if not e.fits(g[0] for g in e.upstream):
        return None
    local = e.local
    gate = local is not None and set(np.unique(local.round(9))) == {0, 1}
    return Cause(
        "mask missing" if gate else "chain",
        "the mask is left out: everything passes" if gate else "the local derivative is left out",
        "analytic = the upstream gradient everywhere",
        CHAIN,
    )


def diagonal(e: Evidence) -> Cause | None:
    """The off-diagonal entries of the Jacobian are left out."""
    jacobian = e.jacobian
    if jacobian is None or len(e.ys) != 1 or e.ys[0].shape != e.x.shape or e.local is not None:
        return None
    own = np.diag(jacobian).reshape(e.x.shape)
    if not e.fits(g[0] * own for g in e.upstream):
        return None
    return Cause(
        "diagonal",
        "it is computed as if each output depended on one input only",
        "analytic = upstream × the diagonal of the Jacobian; the other entries are left out",
        "each output depends on several inputs: add what all outputs hand back",
    )


def last_contribution(e: Evidence) -> Cause | None:
    """An assignment where contributions must be added, as with a repeated index."""
    jacobian = e.jacobian
    if jacobian is None or len(e.ys) != 1:
        return None
    used = np.abs(jacobian) > 1e-9 * np.abs(jacobian).max(initial=0)
    if (used.sum(0) <= 1).all() or used.sum() > 4 * e.ys[0].size:
        return None
    for which, order in (("last", slice(None, None, -1)), ("first", slice(None))):
        rows = np.arange(len(jacobian))[order]
        chosen = rows[used[order].argmax(0)]

        kept = jacobian[chosen, np.arange(jacobian.shape[1])] * used.any(0)
        if e.fits((g[0].ravel()[chosen] * kept).reshape(e.x.shape) for g in e.upstream):
            return Cause(
                "accumulation",
                f"only the {which} of several contributions is kept",
                f"{int((used.sum(0) > 1).sum())} elements are used more than once; "
                f"of these the {which} contribution is there, the others are not",
                "add them: np.add.at(d, index, g) in place of d[index] = g",
            )
    return None
