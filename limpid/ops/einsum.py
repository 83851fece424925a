"""einsum of any number of operands, taken apart into diagonals, sums and einsums of two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from string import ascii_letters
from typing import Any

import numpy as np

from limpid.errors import ArgumentError, ShapeError
from limpid.graph.registry import operation
from limpid.graph.source import here
from limpid.ops.contract import contract, operands
from limpid.ops.layout import permute_dims, reshape
from limpid.ops.reduce import sum
from limpid.ops.triangle import diagonal

Labels = tuple[str, ...]
Shape = tuple[int, ...]
Term = tuple[Any, str]  # an operand and the labels of its axes


@operation
def einsum(subscripts: Any, *tensors: Any, optimize: Any = True) -> Any:
    """Sum of products over labelled axes: `einsum("ij,jk->ik", a, b)` is Σ_j a[i, j] · b[j, k].

    subscripts  labels of each operand, and after -> those of the result; without -> the labels
                that occur once, sorted. `...` stands for further axes, which broadcast. A label
                repeated in one operand takes its diagonal. Or give lists of integers, as NumPy
                takes them: `einsum(a, [0, 1], b, [1, 2], [0, 2])`.
    optimize    the order in which three or more operands are contracted: True or "greedy",
                "optimal", False (from left to right), or a path of `numpy.einsum_path`

    An axis of extent 1 broadcasts. Every contraction of two is one matrix product in NumPy.
    Raises ArgumentError for subscripts that say nothing, ShapeError where extents don't fit.

    >>> import limpid
    >>> limpid.einsum("ii", limpid.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(5.)
    """
    if not isinstance(subscripts, str):
        subscripts, tensors = _from_lists((subscripts, *tensors))
    xs = operands(*tensors)
    inputs, output, extents, direct = _read(subscripts, tuple([x.shape for x in xs]))
    if direct:
        return contract(*xs, subscripts=direct)
    found = [
        _stretched(_diagonals((x, labels)), extents) for x, labels in zip(xs, inputs, strict=True)
    ]
    for numbers in _path(found, output, optimize):
        chosen = [found[i] for i in numbers]
        found = [term for i, term in enumerate(found) if i not in numbers]
        term = chosen[0]
        for k, other in enumerate(chosen[1:], 2):
            rest = [labels for _, labels in (*found, *chosen[k:])]
            term = _pair(term, other, rest, output)
        found.append(term)
    x, labels = _summed(found[0], output)
    return permute_dims(x, tuple(map(labels.index, output)))


def _pair(a: Term, b: Term, rest: Sequence[str], output: str) -> Term:
    """The contraction of two terms; it keeps what the rest or the output still need."""
    kept = output + "".join(rest)
    a, b = _summed(a, b[1] + kept), _summed(b, a[1] + kept)
    made = [label for label in dict.fromkeys(a[1] + b[1]) if label in kept]
    labels = "".join(sorted(made, key=lambda n: n not in a[1] or n not in b[1])) if rest else output
    return contract(a[0], b[0], subscripts=f"{a[1]},{b[1]}->{labels}"), labels


def _summed(term: Term, kept: str) -> Term:
    """The term summed over its labels that are not kept."""
    x, labels = term
    axes = tuple(i for i, label in enumerate(labels) if label not in kept)
    return (sum(x, axis=axes), _only(labels, kept)) if axes else term


def _only(labels: str, kept: str) -> str:
    return "".join(label for label in labels if label in kept)


def _stretched(term: Term, extents: dict[str, int]) -> Term:
    """The term without the axes of extent 1 that other operands stretch: those just multiply."""
    x, labels = term
    kept = "".join(n for n, extent in zip(labels, x.shape, strict=True) if extent == extents[n])
    return term if kept == labels else (reshape(x, tuple(extents[n] for n in kept)), kept)


def _diagonals(term: Term) -> Term:
    """The term with every label once: of two axes with the same label the diagonal."""
    x, labels = term
    for label, times in Counter(labels).items():
        for _ in range(times - 1):
            first = labels.index(label)
            second = labels.index(label, first + 1)
            x = diagonal(x, 0, first, second)
            labels = labels[:first] + labels[first + 1 : second] + labels[second + 1 :] + label
    return x, labels


def _extents(subscripts: str, inputs: Labels, shapes: Sequence[Shape]) -> dict[str, int]:
    """The extent of each label; ShapeError where it has two."""
    extents: dict[str, int] = {}
    for labels, shape in zip(inputs, shapes, strict=True):
        own: dict[str, int] = {}
        for label, extent in zip(labels, shape, strict=True):
            if own.setdefault(label, extent) != extent:
                raise ShapeError(
                    f"einsum {subscripts!r}: a diagonal needs equal extents, not those of {shape}"
                )
            if extents.setdefault(label, extent) == 1:
                extents[label] = extent
            elif extent not in (1, extents[label]):
                raise ShapeError(
                    f"einsum {subscripts!r}: label {label!r} has extents {extents[label]} and "
                    f"{extent} in operands of shapes {', '.join(map(str, shapes))}"
                    f"{here()}"
                )
    return extents


def _path(terms: Sequence[Term], output: str, optimize: Any) -> Sequence[tuple[int, ...]]:
    """Which terms to contract, step by step; the result of a step goes to the end."""
    count = len(terms)
    if count <= 2 or optimize is False:
        return [(0, count - 1 - k) if k else (0, 1) for k in range(count - 1)]
    if isinstance(optimize, str | bool):
        shapes = tuple(x.shape for x, _ in terms)
        return _found_path(tuple(labels for _, labels in terms), shapes, output, optimize)
    steps = [tuple(sorted(step)) for step in optimize if not isinstance(step, str)]
    for step in steps:
        if not step or len(set(step)) < len(step) or step[0] < 0 or step[-1] >= count:
            raise ArgumentError(f"einsum: the path {optimize} does not fit {len(terms)} operands")
        count -= len(step) - 1
    return steps if count == 1 else [*steps, tuple(range(count))]


@lru_cache(maxsize=1024)
def _found_path(
    inputs: Labels, shapes: tuple[Shape, ...], output: str, optimize: str | bool
) -> list[tuple[int, ...]]:
    """NumPy's path for these shapes, found with arrays that take no memory."""
    stand_ins = [np.broadcast_to(np.float64(0), shape) for shape in shapes]
    spelled = f"{','.join(inputs)}->{output}"
    return list(np.einsum_path(spelled, *stand_ins, optimize=optimize)[0][1:])


@lru_cache(maxsize=4096)
def _read(
    subscripts: str, shapes: tuple[Shape, ...]
) -> tuple[Labels, str, dict[str, int], str | None]:
    """Labels of the operands and of the output, their extents, and the primitive's subscripts.

    These last only where the einsum is the primitive: two operands, and no diagonal, no sum of one
    operand alone, and no axis that is stretched.
    """
    inputs, output = parse(subscripts, tuple(map(len, shapes)))
    extents = _extents(subscripts, inputs, shapes)
    terms = (*inputs, output)
    plain = (
        len(inputs) == 2
        and all(len(set(labels)) == len(labels) for labels in inputs)
        and min(Counter("".join(terms)).values(), default=2) > 1
        and all(tuple(map(extents.get, n)) == s for n, s in zip(inputs, shapes, strict=True))
    )
    return inputs, output, extents, f"{','.join(inputs)}->{output}" if plain else None


def parse(subscripts: str, ranks: tuple[int, ...]) -> tuple[Labels, str]:
    """One label for each axis of each operand, and those of the output."""
    left, arrow, output = subscripts.replace(" ", "").partition("->")
    given = left.split(",")
    if len(given) != len(ranks):
        raise ArgumentError(
            f"einsum {subscripts!r} names {len(given)} operands but {len(ranks)} were given{here()}"
        )
    spare = [letter for letter in ascii_letters if letter not in subscripts]
    widths = [_further(subscripts, term, rank) for term, rank in zip(given, ranks, strict=True)]
    further = "".join(spare[: max(widths)])
    inputs = tuple(
        term.replace("...", further[len(further) - width :])
        for term, width in zip(given, widths, strict=True)
    )
    if not arrow:
        counts = Counter("".join(given).replace(".", ""))
        output = further + "".join(sorted(n for n, times in counts.items() if times == 1))
    else:
        _further(subscripts, output, len(output))
        if further and "..." not in output:
            raise ArgumentError(f"einsum {subscripts!r}: the output must have '...', too")
        output = output.replace("...", further)
    _check_output(subscripts, output, "".join(inputs))
    return inputs, output


def _further(subscripts: str, term: str, rank: int) -> int:
    """How many axes the ellipsis of a term stands for."""
    letters = term.replace("...", "", 1)
    if any(letter not in ascii_letters for letter in letters):
        raise ArgumentError(
            f"einsum {subscripts!r}: {term!r} may hold letters and one '...', nothing else"
        )
    width = rank - len(letters)
    if width < 0 or (width and letters == term):
        raise ShapeError(
            f"einsum {subscripts!r}: {term!r} does not fit an operand of {rank} dimensions{here()}"
        )
    return width


def _check_output(subscripts: str, output: str, labels: str) -> None:
    for label, times in Counter(output).items():
        if times > 1 or label not in labels:
            reason = "is twice in the output" if times > 1 else "is in no operand"
            raise ArgumentError(f"einsum {subscripts!r}: label {label!r} {reason}{here()}")


def _from_lists(arguments: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """Subscripts and operands from `a, [0, 1], b, [1, 2], [0, 2]`."""
    pairs = len(arguments) // 2
    tensors, lists = arguments[0 : 2 * pairs : 2], arguments[1 : 2 * pairs : 2]
    spelled = ",".join(map(_spelled, lists))
    if len(arguments) % 2:
        spelled += "->" + _spelled(arguments[-1])
    return spelled, tensors


def _spelled(numbers: Any) -> str:
    try:
        return "".join("..." if n is Ellipsis else ascii_letters[n.__index__()] for n in numbers)
    except (AttributeError, IndexError, TypeError):
        raise ArgumentError(
            "einsum takes a string of subscripts first, or each operand followed by a list of "
            f"axis numbers from 0 to {len(ascii_letters) - 1}; not {numbers!r:.60}"
        ) from None
