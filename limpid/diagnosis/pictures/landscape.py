"""Loss landscapes: the loss along one direction, or over the plane of two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from limpid.diagnosis.pictures.contours import paint_curve, paint_plane
from limpid.diagnosis.pictures.picture import Picture, Rows
from limpid.diagnosis.pictures.surface import Surface, surface
from limpid.errors import ArgumentError, ShapeError
from limpid.ops.axes import integer
from limpid.tensor import Tensor

Array = np.ndarray[Any, np.dtype[Any]]
Direction = str | Mapping[str, Any]
POINTS = {1: 61, 2: 31}
SPANS = {"gradient": 0.05, "random": 1.0}


def landscape(
    loss: Any, *args: Any, along: Direction | Sequence[Direction] = ("random", "random"),
    wrt: Any = None, span: float | None = None, points: int | None = None, seed: int = 0,
) -> Picture:  # fmt: skip
    """The loss around where a model is: along one direction, or over the plane of two.

    loss    a function of `args` that returns the loss; or a compiled step, whose loss is the one
            that it takes the gradient of: native code computes that part alone. Parameters,
            buffers, random numbers and gradients are afterwards as before; each point meets the
            same random numbers
    along   one or two of "gradient": downhill, −∇L · ‖θ‖/‖∇L‖; "random": normal numbers, each
            filter (row of a weight) as long as that of the model, nothing for biases; or
            {name: array}, a direction of your own
    wrt     modules, parameters or names that are moved; by default all that the loss depends on
    span    how far to both sides, in lengths of the direction; by default 1, 0.05 for the gradient
    points  along each direction, made odd so that the middle is the model
    seed    of the random directions

    `data` has `along`, `distances` (one array for each direction), `loss` (points,) or (points,
    points), `centre`, and `slopes`, the derivatives ∇L·d there
    (NaN for a step that computes without gradients).

    >>> import limpid
    >>> from limpid import diagnosis
    >>> w = limpid.Parameter([3.0, 4.0])
    >>> picture = diagnosis.landscape(lambda: limpid.sum(w * w), along="gradient", points=3, span=1)
    >>> picture.data["loss"].tolist(), picture.data["slopes"]
    ([100.0, 25.0, 0.0], [-50.0])
    """
    wanted = [along] if isinstance(along, str | Mapping) else list(along)
    if len(wanted) not in (1, 2):
        raise ArgumentError(f"along is one or two directions, not {len(wanted)}")
    names = [one if isinstance(one, str) else "given" for one in wanted]
    spans = [_span(name, span) for name in names]
    count = integer(POINTS[len(wanted)] if points is None else points, "points", 3) | 1
    ground = surface(loss, args, wrt)
    random = np.random.default_rng(integer(seed, "seed"))
    directions = [_direction(one, ground, random) for one in wanted]
    distances = [np.linspace(-s, s, count) for s in spans]
    values = _evaluate(ground, directions, distances)
    gradient = ground.gradient()
    slopes = [np.nan if gradient is None else _dot(gradient, d) for d in directions]
    data = {"along": names, "distances": distances, "loss": values,
            "centre": float(values[(count // 2,) * values.ndim]), "slopes": slopes}  # fmt: skip
    title = "Loss " + " and ".join(_words(names))
    paint = paint_curve if len(wanted) == 1 else paint_plane
    return Picture(
        title, data, (*(f"distance {i + 1}" for i in range(len(names))), "loss"),
        lambda: _rows(distances, values), lambda figure: paint(figure, title, data),
        (5.6, 3.4) if len(wanted) == 1 else (5.6, 4.6),
    )  # fmt: skip


def _span(name: str, span: float | None) -> float:
    if name not in (*SPANS, "given"):
        raise ArgumentError(f"along is {', '.join(SPANS)} or {{name: array}}, not {name!r}")
    chosen = SPANS.get(name, 1.0) if span is None else span
    if not isinstance(chosen, int | float) or not 0 < chosen < np.inf:
        raise ArgumentError(f"span is a length above 0, not {span!r}")
    return float(chosen)


def _words(names: Sequence[str]) -> list[str]:
    words = {"gradient": "along −∇L", "random": "a random direction", "given": "a given direction"}
    if names == ["random", "random"]:
        return ["over two random directions"]
    first, *rest = names
    lead = words[first] if first == "gradient" else f"along {words[first]}"
    return [lead, *(words[name].removeprefix("along ") for name in rest)]


def _rows(distances: Sequence[Array], values: Array) -> Rows:
    return (
        (*(d[i].item() for d, i in zip(distances, place)), x.item())
        for place, x in np.ndenumerate(values)
    )


# Directions


def _direction(one: Direction, ground: Surface, random: np.random.Generator) -> list[Array]:
    if isinstance(one, Mapping):
        return _given(one, ground)
    return _downhill(ground) if one == "gradient" else _random(ground, random)


def _downhill(ground: Surface) -> list[Array]:
    gradient = ground.gradient() or []
    steepness, size = _length(gradient), _length(ground.start)
    if not 0 < steepness < np.inf:
        there = f"the norm of the gradient is {steepness:g} here" if gradient else "there is none"
        raise ArgumentError(
            f"along the gradient: {there}, so it has no direction\nremedy: along='random'"
        )
    factor = (size or 1.0) / steepness
    return [-factor * g.astype(np.float64) for g in gradient]


def _random(ground: Surface, random: np.random.Generator) -> list[Array]:
    """Normal numbers, each filter as long as the model's own; vectors only, each as a whole."""
    has_filters = any(p.ndim > 1 for p in ground.start)
    return [
        _like_filters(np.asarray(random.standard_normal(p.shape)), p)
        if has_filters
        else _as_long(random, p)
        for p in ground.start
    ]


def _like_filters(drawn: Array, p: Array) -> Array:
    if p.ndim < 2 or not p.size:
        return np.zeros(p.shape)
    flat = p.reshape(len(p), -1).astype(np.float64)
    wanted, had = (np.linalg.norm(x, axis=1) for x in (flat, drawn.reshape(len(p), -1)))
    scale = (wanted / np.where(had > 0, had, 1.0)).reshape(-1, *[1] * (p.ndim - 1))
    return np.asarray(drawn * scale)


def _as_long(random: np.random.Generator, p: Array) -> Array:
    drawn = np.asarray(random.standard_normal(p.shape))
    return np.asarray(drawn * ((np.linalg.norm(p) or 1.0) / (np.linalg.norm(drawn) or 1.0)))


def _given(one: Mapping[str, Any], ground: Surface) -> list[Array]:
    unknown = [name for name in one if name not in ground.names]
    if unknown:
        raise ArgumentError(
            f"along: the loss depends on no {unknown[0]!r}; there are {', '.join(ground.names)}"
        )
    found = []
    for name, p in zip(ground.names, ground.start, strict=True):
        given = one.get(name, 0.0)
        array = np.asarray(given.value if isinstance(given, Tensor) else given, np.float64)
        if array.shape not in ((), p.shape):
            raise ShapeError(f"along: {name} has the shape {p.shape}, the direction {array.shape}")
        found.append(np.array(np.broadcast_to(array, p.shape)))
    return found


# Numbers


def _evaluate(ground: Surface, directions: list[list[Array]], distances: list[Array]) -> Array:
    values = np.empty([len(d) for d in distances])
    for place in np.ndindex(values.shape):
        steps = [d[i] for d, i in zip(distances, place, strict=True)]
        values[place] = ground.value(_moved(ground.start, directions, steps))
    return values


def _moved(start: list[Array], directions: list[list[Array]], steps: list[Any]) -> list[Array]:
    if not any(steps):
        return start
    return [
        (p + sum(s * d[k] for s, d in zip(steps, directions, strict=True))).astype(p.dtype)
        for k, p in enumerate(start)
    ]


def _length(arrays: Sequence[Array]) -> float:
    return float(np.sqrt(_dot(arrays, arrays)))


def _dot(a: Sequence[Array], b: Sequence[Array]) -> float:
    with np.errstate(all="ignore"):
        return float(sum(np.vdot(x.astype(np.float64), y.astype(np.float64)) for x, y in zip(a, b)))
