"""Running drawn programs: eager, compiled, in extended precision."""

from __future__ import annotations

import linecache
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

import limpid
from limpid.nn import functional as F

POINTS = 8  # where errors are measured: one, and others on all sides of it
CALLS = 2  # what state the first call leaves, the second finds
ODD = [np.nan, np.inf, -np.inf, 0.0, -0.0]
_numbers = count(1)


@dataclass(frozen=True)
class Given:
    """An argument or a slot. Integers are from 0 to below `bound`, where it is not 0."""

    name: str
    shape: tuple[int, ...]
    kind: str  # "argument", "parameter" or "buffer"
    bound: int = 0
    layout: str = "rows"
    odd: bool = False  # whether some are no numbers, or infinite, or zero

    def number(self, seed: int, point: int, dtype: str) -> Any:
        """Its numbers at a point; the points differ in their last bits."""
        rng = np.random.default_rng([seed, *self.name.encode()])
        if self.bound:
            return rng.integers(0, self.bound, self.shape)
        x = rng.normal(size=self.shape)
        if self.kind != "argument":
            x = rng.uniform(0.5, 1, self.shape) * (np.sign(x) if self.kind == "parameter" else 1)
        if self.odd:
            x = np.where(rng.random(self.shape) < 0.1, rng.choice(ODD, self.shape), x)
        pair = np.random.default_rng([seed, (point + 1) // 2, *self.name.encode()])
        shift = pair.normal(size=self.shape) * 20 * np.finfo(dtype).eps
        side = 0 if point == 0 else 1 if point % 2 else -1
        return np.asarray(np.where(np.isfinite(x), x * (1 + shift * side), x))

    def laid_out(self, x: Any) -> Any:
        """The numbers as they lie in memory."""
        if self.layout == "columns":
            return np.array(x, order="F")
        if self.layout == "backwards" and x.ndim:
            return np.ascontiguousarray(x[::-1])[::-1]
        if self.layout == "gaps" and x.ndim:
            return np.repeat(x, 2, axis=-1)[..., ::2]
        x = np.array(x)
        x.flags.writeable = self.layout != "read-only"
        return x


@dataclass(frozen=True)
class Program:
    """A step: what it is given, its lines, and what it returns. Its text is Python."""

    dtype: str
    seed: int
    given: tuple[Given, ...]
    lines: tuple[str, ...]
    loss: str
    updates: tuple[str, ...]
    results: tuple[str, ...]
    functional: bool  # gradients by a transform, of the arguments, else by backward()
    cut: bool  # whether loops are cut into chunks as if there were much to do
    probes: tuple[str, ...]

    def of(self, *kinds: str) -> list[Given]:
        return [g for g in self.given if g.kind in kinds]

    @property
    def names(self) -> list[str]:
        """What the lines name."""
        found = [re.match(r"(\w+) = ", line) for line in self.lines]
        return [match[1] for match in found if match]

    @property
    def patterns(self) -> tuple[str, ...]:
        """The probes; those of `v*` where a line names something so."""
        return tuple(p for p in self.probes if self.names or not p.endswith("v*"))

    @property
    def written(self) -> list[str]:
        """The slots that lines assign to."""
        text = "\n".join((*self.lines, *self.updates))
        return re.findall(r"limpid\.assign\((\w+),", text)

    def key(self, call: int, name: str) -> str:
        """What the value of a line in a call is called among what was found."""
        return f"call {call}, {'0, 1' if self.functional else '1'}, {name}"

    def source(self, results: Sequence[str] | None = None) -> str:
        """The text of the function `step`."""
        results = self.results if results is None else results
        arguments = ", ".join(g.name for g in self.of("argument"))
        returned = "{" + ", ".join(f"{name!r}: {name}" for name in results) + "}"
        if self.functional:
            wrt = tuple(n for n, g in enumerate(self.of("argument")) if not g.bound)
            body = [f"def function({arguments}):"]
            body += [f"    {line}" for line in (*self.lines, f"return {self.loss}, {returned}")]
            body += [
                f"gradient = limpid.value_and_grad(function, {wrt}, has_aux=True, unused='zeros')",
                f"return gradient({arguments})",
            ]
        else:
            body = [f"{g.name}.grad = None" for g in self.of("parameter")]
            body += [*self.lines, f"loss = {self.loss}"]
            body += ["loss.backward()"] * bool(self.updates)
            body += [*self.updates, f"return loss, {returned}"]
        return "\n    ".join([f"def step({arguments}):", *body]) + "\n"

    def __repr__(self) -> str:
        given = [
            f"{g.kind} {g.name}: {g.shape} {g.bound or ''} {g.layout}{', odd' * g.odd}"
            for g in self.given
        ]
        how = f"{self.dtype}, seed {self.seed}{', cut' * self.cut}, probes {self.probes}"
        return "\n".join([f"\n# {how}", *given, self.source()])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # by which hypothesis prints what fails


class Drawn:
    """A program with slots of its own."""

    def __init__(self, program: Program, dtype: Any, results: Sequence[str] | None = None) -> None:
        self.program, self.dtype = program, np.dtype(dtype)
        self.slots: dict[str, Any] = {}
        for g in program.of("parameter", "buffer"):
            kind = limpid.Parameter if g.kind == "parameter" else limpid.Buffer
            self.slots[g.name] = kind(np.zeros(g.shape, self.dtype))
        names: dict[str, Any] = {"limpid": limpid, "np": np, "F": F, **self.slots}
        source, file = program.source(results), f"<program {next(_numbers)}>"
        linecache.cache[file] = len(source), None, source.splitlines(True), file
        exec(compile(source, file, "exec"), names)
        self.step: Any = names["step"]

    def compiled(self, **options: Any) -> Drawn:
        """The same, which from now on runs compiled."""
        self.step = limpid.compile(self.step, **options)
        return self

    def at(self, point: int) -> list[Any]:
        """Set the state to a point; the arguments there."""
        limpid.manual_seed(0)
        for g in self.program.of("parameter", "buffer"):
            limpid.assign(self.slots[g.name], self._number(g, point))
            self.slots[g.name].grad = None
        return [g.laid_out(self._number(g, point)) for g in self.program.of("argument")]

    def _number(self, given: Any, point: int) -> Any:
        x = given.number(self.program.seed, point, self.program.dtype)
        return x if given.bound else x.astype(self.program.dtype).astype(self.dtype)

    def run(self, point: int = 0) -> dict[str, Any]:
        """What the calls return and leave."""
        found: dict[str, Any] = {}
        arguments = self.at(point)
        with np.errstate(all="ignore"):
            for call in range(1, CALLS + 1):
                result = self.step(*[limpid.asarray(x) for x in arguments])
                found.update(named(f"call {call}", result))
                found.update(self.left(call))
        return found

    def left(self, call: int) -> dict[str, Any]:
        """The state and the gradients."""
        found = {f"call {call}, {n} after": x.detach().numpy() for n, x in self.slots.items()}
        for name, slot in self.slots.items():
            if slot.grad is not None:
                found[f"call {call}, {name}.grad"] = slot.grad.numpy()
        return {name: np.array(x) for name, x in found.items()}

    def trained(self) -> list[str]:
        """The slots that the loss has gradients for."""
        loss = self.step(*[limpid.asarray(x) for x in self.at(0)])[0]
        if loss.requires_grad:
            loss.backward()
        return [name for name, slot in self.slots.items() if slot.grad is not None]


def named(name: str, value: Any) -> dict[str, Any]:
    """The arrays in a nested value."""
    if isinstance(value, dict):
        return {k: v for key, x in value.items() for k, v in named(f"{name}, {key}", x).items()}
    if isinstance(value, tuple | list):
        return {k: v for n, x in enumerate(value) for k, v in named(f"{name}, {n}", x).items()}
    return {name: np.array(value.detach() if isinstance(value, limpid.Tensor) else value)}
