"""A function and its arguments as one vector of floats that can be moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from limpid.errors import ArgumentError, DTypeError, RuleError
from limpid.graph.dtype import dtype_of
from limpid.graph.node import Array, Spec
from limpid.storage import Write, writes_undone
from limpid.tensor import Tensor, to_array
from limpid.transforms.gradient import vjp
from limpid.transforms.inputs import Argument
from limpid.transforms.nesting import flatten

Level = Callable[..., list[Any]]  # (plain leaves, *modules) ↦ float results
Vector = list[Array]  # one array for each leaf


class Point:
    """The arguments of a function, taken apart into float leaves.

    Plain leaves come first, then the parameters of modules among the arguments, or of the function
    if it is a module itself.
    """

    def __init__(self, function: Any, args: Sequence[Any], argnums: Any) -> None:
        self.function = function
        owner = getattr(function, "__self__", None)  # the Function of an `apply`
        named = owner if isinstance(owner, type) else function
        name = getattr(named, "__qualname__", None) or getattr(named, "name", None)
        self.name: str = name or type(function).__name__
        self.parts = [Argument(x, str(i)) for i, x in enumerate(args)]
        self.plain: Vector = []
        self.paths: list[str] = []
        self.modules: list[Any] = []
        self.places: list[tuple[int, int]] = []  # of plain leaves: argument, leaf within it
        for i in range(len(args)) if argnums is None else np.atleast_1d(argnums).tolist():
            self._take(i % len(args))
        if hasattr(function, "named_parameters"):
            self.modules.append(function)
        self.slots: list[Any] = []
        for module in self.modules:
            named = Argument(module, type(module).__name__).leaves
            self.slots += [leaf for _, leaf, _ in named]
            self.paths += [path for path, _, _ in named]
        if not self.paths:
            raise ArgumentError(f"check_grad: {self.name} has no float argument to check")

    def _take(self, i: int) -> None:
        part = self.parts[i]
        self.modules += part.modules
        for k, (path, leaf, own) in enumerate(part.leaves):
            if not own and is_float(leaf):
                self.places.append((i, k))
                self.paths.append(path)
                self.plain.append(np.array(plain_value(leaf)))

    @property
    def start(self) -> Vector:
        """The value of every leaf."""
        return [*self.plain, *(slot.value for slot in self.slots)]

    @property
    def primals(self) -> tuple[Any, ...]:
        """The arguments of a level."""
        return (self.plain, *self.modules)

    def split(self, vector: Vector) -> list[Any]:
        """One array for each leaf in the nesting of a level's arguments."""
        rest = iter(vector)
        plain = [next(rest) for _ in self.plain]
        return [plain, *({n: next(rest) for n in Argument(m, "").names} for m in self.modules)]

    def call(self, plain: Sequence[Any], *_: Any) -> list[Any]:
        """The float results of the function, given its plain leaves."""
        return [y for _, y in flatten(self.function(*self.arguments(plain)))[0] if is_float(y)]

    def arguments(self, plain: Sequence[Any]) -> list[Any]:
        """The arguments of the function with these plain leaves; float arrays become tensors."""
        given = dict(zip(self.places, plain, strict=False))
        args = []
        for i, part in enumerate(self.parts):
            leaves = [given.get((i, k), leaf) for k, (_, leaf, _) in enumerate(part.leaves)]
            args.append(part.with_inputs([_as_tensor(x) for x in leaves]))
        return args

    def at(self, level: Level, leaves: Vector) -> Vector:
        """What a level gives for these values of the leaves."""
        count = len(self.plain)
        before = [slot.storage.snapshot() for slot in self.slots]
        try:
            for slot, value in zip(self.slots, leaves[count:], strict=True):
                slot.storage.restore((value, Write()))
            with writes_undone():
                return [plain_value(y) for y in level(leaves[:count], *self.modules)]
        finally:
            for slot, snapshot in zip(self.slots, before, strict=True):
                slot.storage.restore(snapshot)

    @contextmanager
    def doubled(self) -> Iterator[float]:
        """All leaves in float64, if the function takes that. Gives the rounding of its results."""
        plain = self.plain
        slots = [(slot.storage.snapshot(), slot.node.outputs) for slot in self.slots]
        try:
            self._cast(np.float64)
            try:
                yield self._rounding()
            except DTypeError:
                self._restore(plain, slots)
                yield self._rounding()
        finally:
            self._restore(plain, slots)

    def _cast(self, dtype: Any) -> None:
        self.plain = [x.astype(dtype) for x in self.plain]
        for slot in self.slots:
            value, write = slot.storage.snapshot()
            slot.storage.restore((value.astype(dtype), write))
            slot.node.outputs = (Spec(value.shape, dtype_of(np.dtype(dtype))),)

    def _restore(self, plain: Vector, slots: Sequence[Any]) -> None:
        self.plain = plain
        for slot, (snapshot, outputs) in zip(self.slots, slots, strict=True):
            slot.storage.restore(snapshot)
            slot.node.outputs = outputs

    def _rounding(self) -> float:
        """The coarsest rounding among the results, after a look at whether they can be checked."""
        first, second = (self.at(self.call, self.start) for _ in range(2))
        if not first:
            raise ArgumentError(f"check_grad: {self.name} returns nothing of a float type")
        pairs = zip(first, second, strict=True)
        if not all(np.array_equal(a, b, equal_nan=True) for a, b in pairs):
            raise ArgumentError(
                f"check_grad: {self.name} gives different results for the same arguments"
            )
        if not all(np.isfinite(y).all() for y in first):
            raise ArgumentError(f"check_grad: {self.name} is not finite at this point")
        return max(float(np.finfo(y.dtype).eps) for y in first)

    def check_types(self) -> None:
        """Raise RuleError unless gradients have the shapes and types of the leaves."""
        before = [x.copy() for x in self.start]
        try:
            with writes_undone():
                results, pullback = vjp(self.call, *self.primals)
                seed = [np.ones(y.shape, plain_value(y).dtype) for y in results]
                found = [plain_value(g) for _, g in flatten(pullback(seed))[0]]
        except DTypeError:
            return  # float64 arguments of a layer with float32 parameters
        for path, g, x, old in zip(self.paths, found, self.start, before, strict=True):
            if g.shape != x.shape or g.dtype != x.dtype:
                raise RuleError(
                    f"check_grad: {self.name}: the gradient of argument {path} is {g.dtype}"
                    f"{list(g.shape)}, the argument {x.dtype}{list(x.shape)}"
                )
            if not np.array_equal(x, old, equal_nan=True):
                raise RuleError(f"check_grad: {self.name} changes argument {path} in place")


def is_float(x: Any) -> bool:
    """Whether a leaf is of a float type."""
    kind = getattr(getattr(x, "dtype", None), "kind", None)
    return kind in ("f", "float") if kind is not None else isinstance(x, float)


def plain_value(x: Any) -> Array:
    """A leaf as an array."""
    return x.value if isinstance(x, Tensor) else to_array(x)


def joined(parts: Vector) -> Array:
    """All elements of some arrays in one vector, in float64."""
    return np.concatenate([np.ravel(x) for x in parts], dtype=np.float64)


def rounding(parts: Vector) -> Array:
    """How far each element may be off by rounding."""
    steps = [np.ravel(4 * np.finfo(x.dtype).eps * np.maximum(np.abs(x), 1e-3)) for x in parts]
    return np.concatenate(steps, dtype=np.float64)


def _as_tensor(x: Any) -> Any:
    return Tensor(None, 0, x) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x
