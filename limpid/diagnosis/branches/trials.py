"""Masked branches in formulas: the elements of a graph tried out on many numbers at once.

Where a graph has no values, or only harmless ones, what stands around a choice is tried out element
by element: each leaf stands for a vector of numbers drawn from a few that are awkward and from
those that the graph itself names, and each elementwise node computes with them. So what depends on
one another stays so: `where(x > 0, x, 1)` is never 0 in any trial. What is not elementwise, such as
a sum, has the range that it shows on arrays of such numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from limpid.diagnosis.branches.choices import Ways
from limpid.diagnosis.branches.present import Hazard, told
from limpid.differentiation.kinds import Local
from limpid.differentiation.relation import structure
from limpid.graph.graph import input_specs
from limpid.graph.node import Array, Node, Spec, reachable

COUNT = 2048
LARGEST = 1000.0
AWKWARD = (0, 0.001, 0.1, 0.5, 0.9, 1, 1.5, 2, 3, 5, 10, 100, LARGEST)
NOT_FINITE = (np.nan, np.inf, -np.inf)
SOME = 0.2  # of the trials of what may be one of those
MOST = 200_000  # elements of operands, above which a range is not looked for
SHOWN, MOST_TIMES = 600, 30  # results that tell a range, and in how many goes
FEW = 5  # trials are chance
MOSTLY = 0.6  # of the trials in which the derivative is not finite, so many are left out …
ALMOST = 0.9
MORE = 0.3  # … and this much more than of the others: else the condition has nothing to do with it


def latent(ways: Ways) -> list[Hazard]:
    """What may be the matter with other values: choices by conditions that the graph computes."""
    conditional = [n for n in ways.choosing if _conditions(n)]
    if not conditional:
        return []
    found: list[Hazard] = []
    with np.errstate(all="ignore"):
        finite = Trials(ways.whole)
        for choice in conditional:
            for i in ways.choosing[choice]:
                left_out = ~finite.taken(choice, i)
                if left_out.any():
                    found += _behind(ways, choice, i, finite, left_out)
                elif _asks_for_numbers(ways, choice, i):
                    wide = Trials(ways.whole, set(reachable(_conditions(choice))))
                    left_out = ~wide.taken(choice, i)
                    first = list(_behind(ways, choice, i, wide, left_out, finite=False))
                    found += sorted(first, key=lambda hazard: hazard.node.number)[:1]
    return found


def _is_elementwise(op: Any) -> bool:
    return op.rank_free and op.local_rules is not None


def _asks_for_numbers(ways: Ways, choice: Node, i: int) -> bool:
    """Whether a condition holds for any number, so that only NaN or infinities are left out."""
    deciding = set(reachable(_conditions(choice)))
    loose = {
        x
        for node in deciding
        if node.outputs[0].dtype.kind == "bool"
        for x in node.inputs
        if isinstance(x, Node) and x.outputs[0].dtype.kind == "float"
    }
    return bool(Trials(ways.whole, loose=loose).taken(choice, i).all())


def _conditions(choice: Node) -> list[Node]:
    """The operands that decide, those that the graph computes."""
    masks = choice.op.masks(len(choice.inputs))  # type: ignore[attr-defined]  # a primitive
    return [x for x, m in zip(choice.inputs, masks, strict=True) if m and isinstance(x, Node)]


def _behind(
    ways: Ways, choice: Node, i: int, trials: Trials, left_out: Array, finite: bool = True
) -> Iterator[Hazard]:
    """The elementwise operations behind an operand of a choice that it guards."""
    seen: set[Node] = set()
    stack = [choice.inputs[i]]
    while stack:
        node = stack.pop()
        if node in seen or not node.inputs or node not in ways.carrying:
            continue
        seen.add(node)
        op: Any = node.op
        if op.strong or not (_is_elementwise(op) or trials.stays(node)):
            continue
        found = trials.not_finite(node, ways.operands(node), finite)
        if found is not None and (_guards if finite else _answers)(left_out, found[0]):
            wrong, local = found
            yield Hazard(node, choice, trials.example(node, wrong & left_out, local))
        stack += [node.inputs[k] for k in ways.operands(node)]


def _guards(left_out: Array, wrong: Array) -> bool:
    """Whether the trials left out are those where the derivative is not finite, not by chance."""
    if wrong.sum() < FEW or wrong.all():
        return False
    among, others = left_out[wrong].mean(), left_out[~wrong].mean()
    return bool(among >= MOSTLY and among - others >= MORE)


def _answers(left_out: Array, wrong: Array) -> bool:
    """Whether what only NaN or infinities are left out for has no finite derivative there."""
    return bool(left_out.sum() >= FEW and wrong[left_out].mean() >= ALMOST)


class Trials:
    """For each node a vector of what one element of it may be, all trials side by side.

    odd    nodes that may also be NaN or infinite where they are drawn
    loose  nodes that may be any number, whatever they are computed from
    """

    def __init__(
        self, nodes: Sequence[Node], odd: Collection[Node] = (), loose: Collection[Node] = ()
    ) -> None:
        self.random = np.random.default_rng(0)
        self.odd, self.loose = odd, loose
        named = _numbers(nodes)
        self.pool = np.unique([s * x for x in (*AWKWARD, *named) for s in (1.0, -1.0)]) + 0.0
        self.drawn: dict[int, Array] = {}  # of constants, by identity
        self.values: dict[tuple[Node, int], Any] = {}
        self.numbers: dict[Any, int] = {}  # what computes the same of the same has one number
        self.number: dict[Node, int] = {}
        first: dict[int, Any] = {}
        for node in nodes:
            number = self.number[node] = self._numbered(node)
            if number not in first:
                first[number] = self._made(node)
            made = first[number]
            for k, value in enumerate(made if isinstance(made, tuple) else (made,)):
                self.values[node, k] = value

    def _numbered(self, node: Node) -> int:
        parts = [
            (self.number[x], k)
            if isinstance(x, Node)
            else (type(x), x if np.ndim(x) == 0 else id(x))
            for x, k in zip(node.inputs, node.indices, strict=True)
        ]
        key = (node.op, str(dict(node.params)), str(parts)) if node.inputs else id(node)
        return self.numbers.setdefault(key, len(self.numbers))

    def operands(self, node: Node) -> list[Any]:
        """The trials of what a node takes."""
        return [self._operand(x, k) for x, k in zip(node.inputs, node.indices, strict=True)]

    def taken(self, choice: Node, i: int) -> Array:
        """In which trials a choice takes operand i."""
        op: Any = choice.op
        local = op.derivative(i).rule(
            self.values[choice, 0], *self.operands(choice), **choice.params
        )
        return np.broadcast_to(np.asarray(local, bool), (COUNT,))

    def not_finite(
        self, node: Node, wanted: Sequence[int], finite: bool
    ) -> tuple[Array, Any] | None:
        """In which trials a local derivative is not finite, though the operands are."""
        op: Any = node.op
        operands, wrong, found = self.operands(node), np.zeros(COUNT, bool), None
        for i in wanted:
            derivative = op.derivative(i)
            if not isinstance(derivative, Local) or isinstance(derivative.rule, int):
                continue
            local = self._local(node, derivative.rule, operands)
            if local.dtype.kind == "f" and not np.isfinite(local).all():
                wrong = wrong | ~np.isfinite(np.broadcast_to(local, (COUNT,)))
                found = local if found is None else found
        if finite:
            for x in operands:
                wrong = wrong & np.isfinite(x)
        return None if found is None else (wrong, found)

    def _local(self, node: Node, rule: Any, operands: list[Any]) -> Array:
        try:
            return np.asarray(rule(self.values[node, 0], *operands, **node.params))
        except Exception:  # a rule that needs the shapes that there are: nothing is known
            return np.zeros(())

    def example(self, node: Node, where: Array, local: Any) -> str:
        """One of the trials in words, the one with the smallest operands."""
        operands = self.operands(node)
        places = np.flatnonzero(where & ~np.isfinite(np.broadcast_to(local, (COUNT,))))
        places = places if len(places) else np.flatnonzero(where)
        sizes = sum(np.abs(np.broadcast_to(x, (COUNT,))[places]) for x in operands)
        place = places[int(np.argmin(sizes))]
        return told(
            node, operands, self.values[node, 0],
            lambda x: f"{np.broadcast_to(x, (COUNT,))[place]:g}", local,
        )  # fmt: skip

    def stays(self, node: Node) -> bool:
        """Whether elements are only arranged in another way: shapes, axes, copies, types."""
        op: Any = node.op
        if (
            not op.jointly_linear
            or op.outputs > 1
            or sum(not m for m in op.masks(len(node.inputs))) != 1
        ):
            return False
        relation = op.relation(input_specs(node), node.params)
        i = op.masks(len(node.inputs)).index(False)
        if relation.moved or relation.mixed or structure(relation, i) == "block":
            return False
        return structure(relation, i) in ("diagonal", "selection") and self._copies(node)

    def _copies(self, node: Node) -> bool:
        """Whether ones stay ones."""
        try:
            made = node.op.evaluate([_ones(x) for x in input_specs(node)], node.params)
        except Exception:  # whatever it is, it does more
            return False
        return bool(np.all(np.asarray(made) == 1))

    def _operand(self, x: Any, index: int) -> Any:
        if isinstance(x, Node):
            return self.values[x, index]
        if not hasattr(x, "shape"):
            return x
        if id(x) not in self.drawn:
            array = np.asarray(x)
            one = array.size == 1
            self.drawn[id(x)] = array.reshape(()) if one else self._draw(array.ravel(), array.dtype)
        return self.drawn[id(x)]

    def _draw(self, pool: Array, dtype: Any = None) -> Array:
        """A trial for each of some numbers."""
        if not len(pool):
            return np.zeros(COUNT, dtype)
        return self.random.choice(pool, COUNT).astype(dtype or float, copy=False)

    def _any(self, node: Node, spec: Spec) -> Array:
        """Anything of this type."""
        if spec.dtype.kind == "bool":
            return self.random.random(COUNT) < 0.5
        if spec.dtype.kind != "float":
            return self.random.integers(0, 10, COUNT)
        drawn = self._draw(self.pool)
        if node in self.odd:
            some = self.random.random(COUNT) < SOME
            drawn = np.where(some, self._draw(np.array(NOT_FINITE)), drawn)
        return drawn

    def _made(self, node: Node) -> Any:
        op: Any = node.op
        free = not node.inputs or node in self.loose or len(node.outputs) > 1
        if free or op.vjp_all is not None:
            found = tuple(self._any(node, spec) for spec in node.outputs)
            return found if len(found) > 1 else found[0]
        operands = self.operands(node)
        try:
            if _is_elementwise(op):
                return np.broadcast_to(op.forward(*operands, **node.params), (COUNT,))
            if self.stays(node):
                masks = op.masks(len(operands))
                return np.broadcast_to(operands[masks.index(False)], (COUNT,))
            return self._ranging(node, operands)
        except Exception:  # an operation that refuses such operands may give anything
            return self._any(node, node.outputs[0])

    def _ranging(self, node: Node, operands: list[Any]) -> Array:
        """What an operation on arrays may give: as it does for arrays of what operands may be."""
        spec = node.outputs[0]
        sizes = sum(x.size for x in input_specs(node) if isinstance(x, Spec))
        if spec.dtype.kind != "float" or sizes > MOST or node in self.odd:
            return self._any(node, spec)
        return self._within(self._shown(node, operands))

    def _shown(self, node: Node, operands: list[Any]) -> Array:
        """Results on arrays of the right shapes: of all sorts of numbers, and of one number."""
        found = []
        size = max(node.outputs[0].size, 1)
        times = min(max(SHOWN // size, 2), MOST_TIMES)
        masks = node.op.masks(len(operands))  # type: ignore[attr-defined]  # a primitive
        for sort in ("one", "least", *["any"] * times):
            arrays = [
                x if mask and not isinstance(x, Node) else self._array(trials, spec, sort)
                for x, trials, spec, mask in zip(
                    node.inputs, operands, input_specs(node), masks, strict=True
                )
            ]
            made = np.asarray(node.op.evaluate(arrays, node.params), float).ravel()
            found.append(made[np.isfinite(made)])
        return np.concatenate(found)

    def _array(self, trials: Any, spec: Any, sort: str) -> Any:
        if not isinstance(spec, Spec):
            return trials
        trials = np.atleast_1d(np.asarray(trials))
        if trials.dtype.kind == "f" and np.isfinite(trials).any():
            trials = trials[np.isfinite(trials)]
        if sort == "any":
            chosen = self.random.choice(trials, spec.shape)
        else:
            least = trials[np.argmin(np.abs(trials))] if trials.dtype.kind == "f" else trials[0]
            one = least if sort == "least" else self.random.choice(trials)
            chosen = np.full(spec.shape, one)
        return np.asarray(chosen).astype(spec.dtype.storage)

    def _within(self, shown: Array) -> Array:
        """Numbers of the range that was shown; with both signs, 0 and awkward ones are in it."""
        if not len(shown):
            return self._draw(self.pool)
        low, high = shown.min(), shown.max()
        if low < 0 < high:
            return self._draw(self.pool[(self.pool >= low) & (self.pool <= high)])
        return self._draw(np.clip(shown, -LARGEST, LARGEST))


def _ones(spec: Any) -> Any:
    """Ones that take no memory."""
    if not isinstance(spec, Spec):
        return spec
    return np.broadcast_to(np.ones((), spec.dtype.storage), spec.shape)


def _numbers(nodes: Sequence[Node]) -> set[float]:
    """Single numbers that the graph names, and numbers close by."""
    found: set[float] = set()
    for node in nodes:
        for x in node.inputs:
            if isinstance(x, Node) or np.size(x) != 1 or np.asarray(x).dtype.kind not in "if":
                continue
            number = float(np.asarray(x).reshape(()))
            if np.isfinite(number) and abs(number) <= LARGEST and len(found) < 60:
                found |= {number, number * 1.001, number * 0.999, number + 1, number - 1}
    return found
