"""Finding out why a gradient is wrong: trials, the right gradient, and the causes in turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from limpid.explanation.checking import factors, forms, patterns, places
from limpid.explanation.checking.evidence import Evidence
from limpid.explanation.checking.finding import CAUSES, Cause, Finding
from limpid.explanation.checking.inside import suspects
from limpid.explanation.checking.mutations import deeper, inside
from limpid.explanation.checking.replay import Replay, place
from limpid.explanation.checking.right import Right, small_enough
from limpid.explanation.checking.subject import PointSubject, Subject, subject_of
from limpid.graph.node import Array
from limpid.transforms.handwritten import WritingError
from limpid.transforms.point import Point, Vector, plain_value

TRIALS = 3
IN_TURN: tuple[Callable[[Evidence], Cause | None], ...] = (
    forms.not_finite,
    forms.missing,
    forms.upstream_ignored,
    forms.constant_factor,
    patterns.swapped,
    patterns.mask,
    patterns.diagonal,
    patterns.last_contribution,
    forms.wrong_axis,
    places.few_elements,
    inside,
    patterns.passed_on,
    patterns.moved,
    patterns.transposed,
    patterns.applied_forward,
    factors.output_for_input,
    factors.input_for_output,
    factors.factor_field,
    deeper,
    places.elements,
)


def explain_failure(given: Any, message: str) -> Finding | None:
    """Why a check failed; without a message, whether the values differ from the reference."""
    point = given.point
    reference = (
        None if given.like is None else PointSubject(Point(given.like, given.args, given.argnums))
    )
    diagnosis = Diagnosis(subject_of(point), reference, max(given.tolerance, 1e-6))
    if not message:
        return diagnosis.values_differ()
    return diagnosis.finding() or _of_mode(point.name, message)


def _of_mode(name: str, message: str) -> Finding | None:
    """The first gradients are right: then it is the mode, the order or the type."""
    first = message.split("\n")[0]
    for words, cause, remedy in (
        (" over ", "second order", "a rule that cuts the graph (.detach, NumPy) has no derivative"),
        ("forward mode", "forward mode", "the jvp must be the transpose of the vjp, or left out"),
        ("the gradient of argument", "dtype", "cast it: .astype(x.dtype)"),
    ):
        if words in first:
            return Finding(name, "", cause, CAUSES[cause], first, remedy)
    return None


class Diagnosis:
    """The numbers of one subject, gathered once for all its operands."""

    def __init__(self, subject: Subject, like: Subject | None, tolerance: float) -> None:
        self.subject, self.like, self.tolerance = subject, like, tolerance
        self.xs = [np.array(x, np.float64) for x in subject.start]
        self.rng = np.random.default_rng(0)
        self.right: Right | None = None
        self.replays: list[Replay] = []

    def finding(self) -> Finding | None:
        """The cause that explains most of the operands with a wrong gradient."""
        found = self.findings()
        known = Counter(f.cause for f in found if f.cause not in ("unknown", "kink"))
        best = known.most_common(1)[0][0] if known else "unknown"
        return next((f for f in found if f.cause == best), found[0] if found else None)

    def findings(self) -> list[Finding]:
        """What is wrong, for each operand with a wrong gradient."""
        ys = self.subject.value(self.xs)
        deeper = self._wrong_node()
        if deeper is not None:
            return [deeper]
        upstream = [
            [np.asarray(self.rng.normal(size=y.shape), y.dtype) for y in ys] for _ in range(TRIALS)
        ]
        try:
            raw = [self._pull(gs) for gs in upstream]
            doubled = self._pull([2 * g for g in upstream[0]])
        except Exception as error:
            return [self._stopped(error)]
        self._prepare(ys)
        rights = [self._right(gs) for gs in upstream]
        if rights[0] is None:
            return []
        found = [
            one
            for k in range(len(self.xs))
            if (one := self._operand(k, ys, upstream, raw, rights, doubled)) is not None
        ]
        written = None if found else self._written(upstream[0])
        return found if written is None else [written]

    def values_differ(self) -> Finding | None:
        """Whether the function itself differs from the reference."""
        if self.like is None:
            return None
        ys = self.subject.value(self.xs)
        wanted = self.like.value(self.xs)
        same = len(ys) == len(wanted) and all(
            a.shape == b.shape and np.allclose(a, b, 1e-5, 1e-6)
            for a, b in zip(ys, wanted, strict=False)
        )
        if same:
            return None
        shapes = [[tuple(y.shape) for y in vector] for vector in (ys, wanted)]
        seen = f"shapes {shapes[0]} and {shapes[1]}"
        if shapes[0] == shapes[1]:
            off = max(float(np.abs(a - b).max()) for a, b in zip(ys, wanted, strict=True))
            seen = f"the values differ by up to {off:.4g}"
        cause = Cause("value", CAUSES["value"], seen, "make the forward right first")
        return self._finding("", cause)

    def _wrong_node(self) -> Finding | None:
        """Of a function made of several operations: what is wrong with the one whose rule is."""
        for node, inner in suspects(self.subject):
            diagnosis = Diagnosis(inner, None, self.tolerance)
            finding = diagnosis.finding()
            if finding is None and not small_enough(inner.start, inner.value(inner.start)):
                finding = diagnosis.too_large()
            if finding is not None and finding.cause != "kink":
                return replace(finding, function=self.subject.name, place=place(node))
        return None

    def too_large(self) -> Finding:
        """A wrong rule, of operands too large for a look at every element."""
        seen = "it disagrees with a finite difference along a random direction"
        cause = Cause("unknown", CAUSES["unknown"], seen, "check it with smaller operands")
        return self._finding("", cause)

    def _pull(self, gs: Vector) -> list[Any]:
        return self.subject.pull(list(map(np.array, self.xs)), list(map(np.array, gs)))

    def _stopped(self, error: Exception) -> Finding:
        if isinstance(error, WritingError):
            cause = Cause("in place", CAUSES["in place"], str(error), "copy it: d = dout.copy()")
            return self._finding("", cause)
        words = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return self._finding("", Cause("error", CAUSES["error"], words[:300], "let it run first"))

    def _written(self, gs: Vector) -> Finding | None:
        """Whether the backward pass writes into its upstream gradient."""
        given = list(map(np.array, gs))
        try:
            self.subject.pull(list(map(np.array, self.xs)), given)
        except Exception:
            return None
        if all(np.array_equal(a, b, equal_nan=True) for a, b in zip(given, gs, strict=True)):
            return None
        return self._finding("", Cause("in place", "the backward pass writes into the upstream "
            "gradient, which others may still need", "it is changed after the call",
            "make a copy first: d = dout.copy()"))  # fmt: skip

    def _prepare(self, ys: Vector) -> None:
        """The right gradient: numerical where it is small, and graphs of the same function."""
        if small_enough(self.xs, ys):
            self.right = Right(self.subject, self.xs, None, self.tolerance)
            self.tolerance = min(self.tolerance, max(1e-6, 30 * self.right.precision))
        for source in (self.like, self.subject):
            if source is None or (source is self.subject and type(source) is PointSubject):
                continue
            trace = source.trace(self.xs)
            if trace is not None and len(trace.inputs) == len(self.xs):
                replay = Replay(trace, source)
                if self._same(replay, ys):
                    self.replays.append(replay)

    def _same(self, replay: Replay, ys: Vector) -> bool:
        """Whether a graph has the right gradients, as far as these are known."""
        if self.right is None:
            return True
        gs = [np.asarray(self.rng.normal(size=y.shape)) for y in ys]
        try:
            made = replay.pull(gs)
        except Exception:
            return False
        for k, g in enumerate(made):
            right = self.right.pull(k, gs)
            use = ~self.right.blurred[k]
            size = max(float(np.abs(right).max(initial=0)), 1e-9)
            if not np.allclose(g[use], right[use], 1e-5, 10 * self.tolerance * size):
                return False
        return True

    def _right(self, gs: Vector) -> Any:
        if self.right is not None:
            return [self.right.pull(k, gs) for k in range(len(self.xs))]
        if self.replays:
            return self.replays[0].pull(gs)
        return None if self.like is None else [plain_value(g) for g in self.like.pull(self.xs, gs)]

    def _operand(
        self,
        k: int,
        ys: Vector,
        upstream: list[Vector],
        raw: list[list[Any]],
        rights: list[Vector],
        doubled: list[Any],
    ) -> Finding | None:
        """What is wrong with the gradient of one operand."""
        if any(r[k] is None for r in raw):
            if not any(np.any(r[k]) for r in rights):
                return None
            cause = Cause("missing", "no gradient is returned", "None in its place",
                          "return one gradient for each operand, in their order")  # fmt: skip
            return self._finding(self.subject.names[k], cause)
        parts = [_as_array(r[k]) for r in raw]
        e = Evidence(
            self.subject, k, self.xs, ys, upstream, parts, rights, self.tolerance, self.right,
            np.ones(self.xs[k].shape, bool), self.replays,
        )  # fmt: skip
        if parts[0].shape != e.x.shape:
            return self._finding(e.name, forms.wrong_shape(e, parts))
        if all(e.close(f, r) for f, r in zip(e.found, e.expected, strict=True)):
            return None
        ignored = self._leave_out_kinks(e)
        if ignored and all(e.close(f, r) for f, r in zip(e.found, e.expected, strict=True)):
            cause = Cause("kink", CAUSES["kink"], f"{ignored} elements lie at a kink, the others "
                          "are right", "move the point away from the kink")  # fmt: skip
            return self._finding(e.name, cause, e, ignored)
        return self._finding(e.name, _cause(e, _as_array(doubled[k])), e, ignored)

    def _leave_out_kinks(self, e: Evidence) -> int:
        if self.right is None:
            return 0
        wrong = ~np.array([e.agree(f, r) for f, r in zip(e.found, e.expected, strict=True)]).all(0)
        e.use = np.asarray(~(self.right.blurred[e.k] | self.right.kinks(e.k, np.asarray(wrong))))
        return int((~e.use).sum())

    def _finding(
        self, operand: str, cause: Cause, e: Evidence | None = None, ignored: int = 0
    ) -> Finding:
        base = Finding(self.subject.name, operand, *cause, ignored=ignored)
        if e is None or not e.x.size:
            return base
        off = np.where(e.use, np.abs(e.found[0] - e.expected[0]), 0)
        index = np.unravel_index(int(np.argmax(np.nan_to_num(off, nan=np.inf))), e.x.shape)
        return replace(
            base,
            index=tuple(int(i) for i in index),
            analytic=float(e.found[0][index]) + 0.0,
            numeric=float(e.expected[0][index]) + 0.0,
        )


def _cause(e: Evidence, doubled: Array) -> Cause:
    for look in IN_TURN:
        cause = look(e)
        if cause is not None:
            return cause
        if look is forms.upstream_ignored and doubled.shape == e.x.shape:
            cause = forms.upstream_not_linear(e, doubled)
            if cause is not None:
                return cause
    found, right = (np.concatenate([p.ravel() for p in parts]) for parts in (e.found, e.expected))
    off = float(np.abs(found - right).max())
    with np.errstate(all="ignore"):
        alike = float(found @ right / np.sqrt((found @ found) * (right @ right)))
    return Cause(
        "unknown",
        "it is wrong, in a way that has no name here",
        f"it differs by up to {off:.4g} (cosine of analytic and right gradient {alike:.4f})",
        "compare the formula term by term; like=… may help",
    )


def _as_array(g: Any) -> Array:
    return np.asarray(plain_value(g) if hasattr(g, "shape") else np.array(g, float), np.float64)
