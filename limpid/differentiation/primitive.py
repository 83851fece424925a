"""A primitive: a named function with one declaration, from which everything else derives."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from limpid.differentiation.apply import apply, evaluate
from limpid.differentiation.kinds import CONSTANT, Constant, Derivative, Local
from limpid.differentiation.relation import Relation, dense_relation
from limpid.errors import DeclarationError
from limpid.graph.dtype import result_type
from limpid.graph.node import Params, Spec
from limpid.graph.registry import register


class Primitive:
    """A named function with one declaration. Calling it computes or records."""

    # Where one rule serves all operands at once, it is here, and `derivative` picks from it:
    # vjp_all(needed, g, y, *operands, **params) → {operand number: downstream}
    # jvp_all(tangents by operand number, y, *operands, **params) → tangent of y
    vjp_all: Callable[..., Any] | None = None
    jvp_all: Callable[..., Any] | None = None
    inline: str | None = None  # the param that holds a graph, if the primitive is just that graph
    passes_marks = False  # whether vjp_all goes backward itself, and heeds `absence.handed`
    partial_upstream = False  # whether vjp_all is given None, not zeros, where nothing came

    def __init__(
        self,
        name: str,
        forward: Callable[..., Any],
        derivatives: Sequence[Derivative],
        *,
        shape: Callable[..., Any],
        relation: Callable[..., Relation] | None,
        math: str | None,
        label: str | None = None,
        domain: Callable[..., Any] | None = None,
        smooth: Callable[..., Any] | None = None,
        kink: str | None = None,
        gate: str | None = None,
        strong: bool = False,
        numeric: str = "same",
        outputs: int = 1,
        operands: tuple[str, ...] | None = None,
        lower: Callable[..., Any] | None = None,
        native: Callable[..., Any] | None = None,
        valid: Callable[..., Any] | None = None,
        doc: str | None = None,
        registered: bool = True,
    ):
        self.name = name
        self.module = getattr(sys._getframe(2), "f_globals", {}).get("__name__", "")
        self.forward = forward
        if operands is None:
            self.variadic, self.operand_names = _operands(name, forward, len(derivatives))
        else:
            self.variadic, self.operand_names = False, operands
        self.derivatives = tuple(derivatives)
        self.shape = shape
        self.relation_rule = relation
        self.math = math
        self.label = label or name
        self.domain = domain
        self.smooth = smooth
        self.kink = kink
        self.gate = gate
        self.strong = strong  # what its masks leave out counts for nothing further up, too
        self.numeric = numeric
        self.outputs = outputs
        # For native code: the forward in plain steps, where it uses tricks; and, where it raises
        # for some values, plain steps on the same operands to a truth (0-d): whether it will not.
        self.native = native
        self.valid = valid
        self.lower = lower  # `lower(*specs, **params)` → the contractions that it is, where it is
        self.__name__ = name
        self.__doc__ = doc or (f"`{name}`: {math}" if math else None)
        # Bit i is set when operand i has a derivative at all.
        has = [not (d is CONSTANT or (isinstance(d, Local) and d.rule == 0)) for d in derivatives]
        self.differentiable = sum(1 << i for i, it_has in enumerate(has) if it_has)
        if self.variadic and has[-1]:
            self.differentiable |= -1 << len(has)
        self.rank_free = False
        self.local_rules = (
            tuple(d.rule if isinstance(d, Local) else 0 for d in derivatives)
            if not self.variadic and all(isinstance(d, Local | Constant) for d in derivatives)
            else None
        )
        # Linear in all operands together: its rules can read nothing but masks and indices.
        self.jointly_linear = all(d is CONSTANT or getattr(d, "joint", False) for d in derivatives)
        self.reads_cache: dict[Any, Any] = {}
        if registered:
            register(self)

    def __call__(self, *operands: Any, **params: Any) -> Any:
        return apply(self, operands, params)

    def __repr__(self) -> str:
        return f"<primitive {self.name}({', '.join(self.operand_names)})>"

    def derivative(self, operand: int) -> Derivative:
        """The derivative declared for an operand; the last one serves all variadic operands."""
        return self.derivatives[min(operand, len(self.derivatives) - 1)]

    def masks(self, count: int) -> tuple[bool, ...]:
        """For each of `count` operands, whether it is constant: a mask or an index."""
        return tuple(self.derivative(i) is CONSTANT for i in range(count))

    def constant_reads(self, outputs: int, operands: int) -> tuple[bool, ...]:
        """What the rules of a jointly linear primitive may read: its constant operands."""
        found = self.reads_cache.get((outputs, operands))
        if found is None:
            found = (False,) * outputs + self.masks(operands)
            self.reads_cache[outputs, operands] = found
        return found

    def position(self, operand: int) -> tuple[int, ...]:
        """What a rule is told about which operand it is for: the number of a variadic one."""
        return (operand,) if self.variadic and operand >= len(self.derivatives) - 1 else ()

    def evaluate(self, values: Iterable[Any], params: Params) -> Any:
        """The value on NumPy, with limpid's promotion."""
        return evaluate(self, tuple(values), params)

    def specs(self, operands: Sequence[Any], params: Params) -> tuple[Spec, ...]:
        """Specs of the outputs from specs of the operands (Python numbers stand for themselves)."""
        result = self.shape(*operands, **params)
        return result if isinstance(result, tuple) else (result,)

    def relation(self, operands: Sequence[Any], params: Params) -> Relation:
        """The index relation for these operand specs; dense where none is declared."""
        operands = [x if isinstance(x, Spec) else Spec((), result_type([x])) for x in operands]
        if self.relation_rule is not None:
            return self.relation_rule(*operands, **params)
        outputs = self.specs(operands, params)
        return dense_relation([x.shape for x in operands], [y.shape for y in outputs])


def _operands(name: str, forward: Any, count: int) -> tuple[bool, tuple[str, ...]]:
    """Whether the forward is variadic, and the names of its operands."""
    try:
        parameters = inspect.signature(forward).parameters.values()
    except (TypeError, ValueError):  # NumPy ufuncs have no signature on older versions
        return False, ("x",) if count == 1 else tuple("abcdefgh"[:count])
    if isinstance(forward, np.ufunc):
        return False, ("x",) if count == 1 else tuple("abcdefgh"[:count])
    variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    names = tuple(
        p.name for p in parameters if p.kind is not p.KEYWORD_ONLY and p.kind is not p.VAR_KEYWORD
    )
    if len(names) != count:
        raise DeclarationError(
            f"{name}: the forward takes operands {names} but {count} derivatives are declared; "
            "parameters that are not operands must be keyword-only"
        )
    return variadic, names
