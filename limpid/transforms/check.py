"""check_grad: is a gradient right? Analytic derivatives against numerical ones."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from limpid.errors import ArgumentError, CutError, GradientError, KinkWarning, RuleError
from limpid.graph.node import Array
from limpid.storage import writes_undone
from limpid.transforms.comparison import Comparison, Direction
from limpid.transforms.difference import central
from limpid.transforms.gradient import jvp, vjp
from limpid.transforms.handwritten import as_function, check_pair, is_pair
from limpid.transforms.inputs import check_callable
from limpid.transforms.nesting import flatten
from limpid.transforms.point import Level, Point, Vector, joined, plain_value, rounding

MODES = ("reverse", "forward")


def check_grad(
    function: Any,
    *args: Any,
    argnums: int | Sequence[int] | None = None,
    order: int | None = None,
    modes: Sequence[str] | None = None,
    tolerance: float | None = None,
    like: Any = None,
) -> None:
    """Raise GradientError unless the derivatives of a function agree with finite differences.

    function   a function, primitive, module or `Function`, with any nesting of arguments; or a pair
               (forward, backward) of NumPy functions, `forward(x, w) → (out, cache)` and
               `backward(dout, cache) → (dx, dw)`
    argnums    which arguments to check; by default all that hold floats
    order      the highest derivative, by default 2; from there on, all combinations of the modes
    modes      "reverse" checks gradients, "forward" tangents; both, also that they agree; by
               default both, and only the first gradients of a backward that is written in NumPy
    tolerance  the relative error allowed; by default 1e-6, or what the function's type allows
    like       the same function, one that limpid differentiates: its values are compared too, and
               causes are looked for in its graph

    It computes in float64 where the function lets it and chooses steps by itself, so keep the point
    away from where the function is not defined. At a kink any value between the derivatives of both
    sides is right, and a KinkWarning says where. Large arguments are sampled. Every run draws the
    same random numbers, and what it assigns is undone. The message lists the worst entries and
    names the cause, the evidence for it and the remedy, which `error.finding` holds as data.

    >>> import numpy as np, limpid
    >>> limpid.check_grad(limpid.tanh, np.array([0.5, -2.0]))
    >>> wrong = limpid.elementwise("wrong_sine", np.sin, local=[lambda y, x: -limpid.cos(x)])
    >>> limpid.check_grad(wrong, np.array(0.0))
    Traceback (most recent call last):
    limpid.errors.GradientError: check_grad: wrong_sine: reverse mode is wrong in 1 of 1 entries...
      argument  index  output  analytic  numerical  ratio
      0         ()     ()      -1        1          -1
      cause      x: the sign is wrong
      evidence   analytic = -1 × right everywhere (spread ...)
      largest    at (): analytic ..., right ...
      remedy     negate it [L210]
    """
    orders, over = order or 2, tuple(modes or MODES)
    if orders < 1 or order == 0 or modes == () or set(over) - set(MODES):
        raise ArgumentError(f"check_grad takes order ≥ 1 and modes among {MODES}, not {modes!r}")
    function = _callable(function)
    point = Point(function, args, argnums)
    with point.doubled() as noise:
        limit = max(1e-6, 30 * noise**0.5) if tolerance is None else tolerance
        given = Given(point, like, args, argnums, limit)
        check = Check(point, over, limit)
        try:
            if like is not None:
                _explain(given, "")
            check.run(point.call, orders, [])
        except RuleError as error:
            if not (order is None and modes is None and _only_numpy(error)):
                _fail(given, error)
        if check.at_kinks:
            _warn(point, check.at_kinks)
    try:
        point.check_types()
    except RuleError as error:
        _fail(given, error)


class Given(NamedTuple):
    """What check_grad was asked."""

    point: Point
    like: Any
    args: Sequence[Any]
    argnums: Any
    tolerance: float


# Set by limpid.explanation.checking: (given, message) → a finding, or None
teachers: list[Callable[[Given, str], Any]] = []


def _callable(function: Any) -> Any:
    check_pair(function)
    if is_pair(function):
        function = as_function(*function)
    function = getattr(function, "apply", function) if isinstance(function, type) else function
    check_callable(function, "check_grad")
    return function


def _explain(given: Given, message: str) -> None:
    """Raise GradientError with what a teacher finds, if it finds anything."""
    for teacher in teachers:
        try:
            finding = teacher(given, message)
        except Exception:
            if not message:
                raise
            continue  # what is wrong counts for more than why
        if finding is not None:
            first = message or f"check_grad: {finding.function} is wrong"
            raise GradientError(f"{first}\n{finding}", finding) from None


def _fail(given: Given, error: RuleError) -> NoReturn:
    """Raise the error again, with its cause."""
    if isinstance(error, GradientError):
        raise error
    message = str(error).removesuffix(f" [{error.id}]")
    _explain(given, message)
    raise GradientError(message) from error.__cause__


def _only_numpy(error: RuleError) -> bool:
    """Whether a backward could not be differentiated: it is written in NumPy."""
    return isinstance(error.__cause__, CutError)


def _lie(count: int) -> str:
    return "1 entry lies" if count == 1 else f"{count} entries lie"


def _warn(point: Point, places: list[str]) -> None:
    shown = ", ".join(places[:3]) + (" …" if len(places) > 3 else "")
    warnings.warn(
        f"check_grad: {point.name}: {_lie(len(places))} at a kink ({shown}), where any value "
        "between the derivatives of both sides is right: not judged",
        KinkWarning,
        stacklevel=3,
    )


class Check:
    """The comparisons at one point."""

    def __init__(self, point: Point, modes: tuple[str, ...], tolerance: float) -> None:
        self.point = point
        self.modes = modes
        self.tolerance = tolerance
        self.rng = np.random.default_rng(0)
        self.at_kinks: list[str] = []

    def run(self, level: Level, order: int, over: list[str]) -> None:
        """Check the first derivatives of a level, then those of its derivatives."""
        results = self.point.at(level, self.point.start)
        count = 3 if over else 12
        moves = self._directions(count)
        if not moves or not sum(y.size for y in results):
            return  # no elements
        error = rounding(results)
        expected = [central(self._along(level, move), move.step, error) for move in moves]
        weights = [np.asarray(self.rng.normal(size=y.shape), y.dtype) for y in results]
        if joined(results).size == 1:
            weights = [np.ones_like(w) for w in weights]
        for mode in self.modes:
            label = " over ".join([mode, *over])
            if mode == "forward":
                seeds = None
                found = np.array([joined(self._tangent(level, move.vector)) for move in moves])
            else:
                seeds = self._seeds(results, weights, count)
                found = self._rows(level, seeds, moves)
            Comparison(self, level, label, moves, expected, results, seeds).check(found)
            if mode == "reverse" and joined(results).size == 1:
                self._check_scaling(level, results)
        if len(self.modes) == 2:
            self._check_product(level, weights, over)
        if order > 1:
            for mode in self.modes:
                self.run(self._derived(level, mode, weights), order - 1, [mode, *over])

    def _along(self, level: Level, move: Direction) -> Any:
        def along(t: float) -> Array:
            start = self.point.start
            leaves = [np.asarray(x + t * v) for x, v in zip(start, move.vector, strict=True)]
            return joined(self.point.at(level, leaves))

        return along

    def _directions(self, count: int) -> list[Direction]:
        """Some elements of every leaf, and a random direction unless these are all there are."""
        start = self.point.start
        moves = []
        share = max(1, count // len(start))
        for j, x in enumerate(start):
            for flat in self.rng.permutation(x.size)[:share]:
                index = tuple(int(n) for n in np.unravel_index(flat, x.shape))
                unit = [np.zeros_like(y) for y in start]
                unit[j][index] = 1
                size = abs(float(x[index]))
                step = 0.02 * max(0.5, size)
                moves.append(Direction(unit, step, 0.02 * size or step * 1e-6, j, index))
        if len(moves) < sum(x.size for x in start):
            sizes = [np.maximum(np.abs(x), 0.1) for x in start]
            random = [np.asarray(self.rng.normal(size=s.shape) * s, s.dtype) for s in sizes]
            moves.append(Direction(random, 0.02, 2e-8))
        return moves

    def _seeds(self, results: Vector, weights: Vector, count: int) -> list[Vector]:
        """Upstream gradients: some elements, and random weights unless these are all there are."""
        total = sum(y.size for y in results)
        ends = np.cumsum([y.size for y in results])[:-1]
        seeds = []
        for flat in self.rng.permutation(total)[:count]:
            parts = zip(np.split(np.arange(total) == flat, ends), results, strict=True)
            seeds.append([np.asarray(part.reshape(y.shape), y.dtype) for part, y in parts])
        return seeds if len(seeds) == total else [*seeds, weights]

    def _tangent(self, level: Level, vector: Vector) -> Vector:
        plain, *modules = self.point.split(vector)
        with writes_undone():
            _, pushed = jvp(level, self.point.primals, (plain, *modules))
        return [plain_value(y) for y in pushed]

    def _gradient(self, level: Level, seed: Vector) -> Vector:
        with writes_undone():
            _, pullback = vjp(level, *self.point.primals)
            return [plain_value(g) for _, g in flatten(pullback(seed))[0]]

    def _rows(self, level: Level, seeds: list[Vector], moves: list[Direction]) -> Array:
        """For every direction, for every seed: gradient · direction."""
        rows = [joined(self._gradient(level, seed)) for seed in seeds]
        vectors = [joined(move.vector) for move in moves]
        return np.array([[float(row @ v) for row in rows] for v in vectors])

    def _check_scaling(self, level: Level, results: Vector) -> None:
        """Of a single number: twice the upstream gradient gives twice the gradient."""
        once, twice = (
            joined(self._gradient(level, [np.full_like(y, g) for y in results])) for g in (1, 2)
        )
        if np.abs(twice - 2 * once).max(initial=0) > 1e-3 * np.abs(once).max(initial=0):
            raise RuleError(
                f"check_grad: {self.point.name}: the gradient is not proportional to its upstream "
                "gradient: reverse mode is wrong as soon as it is not 1"
            )

    def _check_product(self, level: Level, weights: Vector, over: list[str]) -> None:
        """⟨w, J·v⟩ = ⟨Jᵀ·w, v⟩."""
        vector = self._directions(0)[-1].vector
        forward = float(joined(weights) @ joined(self._tangent(level, vector)))
        reverse = float(joined(self._gradient(level, weights)) @ joined(vector))
        if abs(forward - reverse) > self.tolerance * 1e-2 * max(abs(forward), abs(reverse), 1):
            where = f" over {' over '.join(over)}" if over else ""
            raise RuleError(
                f"check_grad: {self.point.name}: forward and reverse mode{where} disagree: "
                f"⟨w, J·v⟩ = {forward:.12g}, ⟨Jᵀ·w, v⟩ = {reverse:.12g}"
            )

    def _derived(self, level: Level, mode: str, weights: Vector) -> Level:
        """The gradient of the weighted results, or the tangents along a direction, as a level."""
        if mode == "reverse":
            return lambda plain, *modules: [
                g for _, g in flatten(vjp(level, plain, *modules)[1](weights))[0]
            ]
        tangents = tuple(self.point.split(self._directions(0)[-1].vector))
        return lambda plain, *modules: jvp(level, (plain, *modules), tangents)[1]
