"""Primitives that run Python instead of being declared, and their derivatives as nodes.

While a graph is recorded there are no values to run Python on, so a derivative of such a
primitive is one node, too, and so is a derivative of that one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from weakref import ref

import numpy as np

from limpid.differentiation.forward import push_forward
from limpid.differentiation.kinds import General
from limpid.differentiation.primitive import Primitive
from limpid.differentiation.reverse import reverse
from limpid.differentiation.saved import zeros
from limpid.graph.context import recording_into
from limpid.graph.node import NO_PARAMS, Leaf, Node, Params, Spec, spec_of
from limpid.tensor import Tensor


class PythonPrimitive(Primitive):
    """A primitive that is not declared but runs Python; one rule serves all its operands."""

    def __init__(self, name: str, operands: tuple[str, ...], outputs: int) -> None:
        me = ref(self)
        super().__init__(
            name,
            self.forward,
            [General(partial(_one, me, i), partial(_along, me, i)) for i in range(len(operands))],
            shape=self.specs,
            relation=None,
            math=rf"\mathrm{{{name}}}({', '.join(f'{{{x}}}' for x in operands)})",
            numeric="any",
            outputs=outputs,
            operands=operands,
            registered=False,
        )
        del self.forward, self.shape  # the methods serve; bound ones would make a cycle


def _one(op: Any, i: int, g: Any, y: Any, *operands: Any, **params: Any) -> Any:
    """One operand's share of the rule for all."""
    return op().vjp_all([i], g, y, *operands, **params)[i]


def _along(op: Any, i: int, dx: Any, y: Any, *operands: Any, **params: Any) -> Any:
    return op().jvp_all({i: dx}, y, *operands, **params)


class Derived(PythonPrimitive):
    """The derivative of a call, or of another derivative, as one node of a recorded graph.

    Its operands are seeds and the operands of `base`, what it is derived from. "backward": the
    seeds are upstream gradients of the outputs `fed`, the results gradients of the operands `wrt`.
    "tangent": the seeds are tangents of those operands, the results of those outputs.
    """

    def __init__(
        self, base: Any, mode: str, wrt: Sequence[int], fed: Sequence[int], results: Sequence[Spec]
    ) -> None:
        self.base, self.mode, self.wrt, self.fed = base, mode, wrt, fed
        self.seeds = len(fed if mode == "backward" else wrt)
        self.results = tuple(results)
        names = [f"seed_{k}" for k in range(self.seeds)] + base.trace_names()
        super().__init__(f"{base.name}.{mode}", tuple(names), len(self.results))
        self.differentiable = sum(1 << i for i in range(self.seeds))
        self.differentiable |= sum(1 << self.seeds + i for i in wrt)
        self.reads_cache = _AllOperands(len(self.results), len(names))

    def trace_names(self) -> list[str]:
        """The names of what `trace` takes."""
        return list(self.operand_names)

    def specs(self, operands: Sequence[Any], params: Params) -> tuple[Spec, ...]:
        """The specs of the results."""
        return self.results

    def forward(self, *values: Any) -> Any:
        """Run the user's code, and differentiate what it does."""
        with recording_into(None):
            inputs, outputs = self.base.trace(values[self.seeds :])
            found = self._derive(inputs, outputs, list(values[: self.seeds]), False)
        return found[0] if len(found) == 1 else tuple(found)

    def evaluate(self, values: Any, params: Params) -> Any:
        """The value on NumPy."""
        return self.forward(*values)

    def trace(self, values: Sequence[Any]) -> tuple[list[Tensor], list[Tensor]]:
        """(inputs, outputs) of this derivative as an eager graph."""
        seeds = [fresh_leaf(x) for x in values[: self.seeds]]
        inputs, outputs = self.base.trace(values[self.seeds :])
        return [*seeds, *inputs], self._derive(inputs, outputs, seeds, True)

    def _derive(
        self, inputs: list[Tensor], outputs: list[Tensor], seeds: list[Any], recording: bool
    ) -> list[Any]:
        nodes: list[Any] = [inputs[i].node for i in self.wrt]
        ends = [outputs[k] for k in self.fed]
        if self.mode == "tangent":
            pushed = push_forward(ends, dict(zip(nodes, seeds, strict=True)), recording)
        else:
            found, _ = reverse(ends, seeds, nodes, recording)
            pushed = [found.get(node) for node in nodes]
        return [
            zeros(spec, recording) if x is None else x
            for x, spec in zip(pushed, self.results, strict=True)
        ]

    def vjp_all(
        self, needed: Sequence[int], g: Any, y: Any, /, *operands: Any, **_: Any
    ) -> dict[int, Any]:
        """One node for the derivative of this one."""
        return record_pull(self, operands, self.results, needed, g if type(g) is tuple else (g,))

    def jvp_all(self, dxs: dict[int, Any], y: Any, /, *operands: Any, **_: Any) -> Any:
        """One node for the tangents of this one."""
        pushed = record_push(self, operands, self.results, dxs)
        return pushed[0] if len(self.results) == 1 else pushed


def record_pull(
    base: Any, operands: Sequence[Any], results: Sequence[Spec], needed: Sequence[int], g: Any
) -> dict[int, Any]:
    """Gradients of the needed operands, all made by one node."""
    wrt, fed = _floats(specs_of(operands)), _floats(results)
    specs = specs_of(operands)
    pull = Derived(base, "backward", wrt, fed, [specs[i] for i in wrt])
    found = pull(*[g[k] for k in fed], *operands)
    found = found if isinstance(found, tuple) else (found,)
    return {i: found[wrt.index(i)] for i in needed}


def record_push(
    base: Any, operands: Sequence[Any], results: Sequence[Spec], dxs: dict[int, Any]
) -> tuple[Any, ...]:
    """Tangents of the results, all made by one node; None for results that are no floats."""
    specs = specs_of(operands)
    wrt, fed = _floats(specs), _floats(results)
    push = Derived(base, "tangent", wrt, fed, [results[k] for k in fed])
    seeds = [dxs[i] if i in dxs else zeros(specs[i]) for i in wrt]
    found = push(*seeds, *operands)
    found = iter(found if isinstance(found, tuple) else (found,))
    return tuple(next(found) if k in fed else None for k in range(len(results)))


class _AllOperands(dict[Any, Any]):
    """Says of every rule that it reads all operands and no output."""

    def __init__(self, outputs: int, operands: int) -> None:
        super().__init__()
        self.reads = (False,) * outputs + (True,) * operands

    def get(self, key: Any, default: Any = None) -> Any:
        return self.reads


def _floats(specs: Sequence[Spec]) -> list[int]:
    return [i for i, spec in enumerate(specs) if spec.dtype.kind == "float"]


def specs_of(values: Sequence[Any]) -> list[Spec]:
    """The specs of tensors, arrays and specs."""
    return [
        x if isinstance(x, Spec) else x.spec if isinstance(x, Tensor) else spec_of(x)
        for x in values
    ]


def fresh_leaf(value: Any) -> Tensor:
    """A new leaf; it requires a gradient if it can have one."""
    array = value.value if isinstance(value, Tensor) else np.asarray(value)
    spec = spec_of(array)
    node = Node(Leaf(), (), (), NO_PARAMS, (spec,), "", None, None, spec.dtype.kind == "float")
    return Tensor(node, 0, array)
