"""Calls of Python as primitives: what a Function becomes in a graph.

An eager call is a node like any other; its backward pass, when it is recorded, is made of the
nodes that the user's own code makes. In a recorded graph the call is one node, and so is each
derivative of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn, Protocol

import numpy as np

from limpid.differentiation.apply import record, unrecorded
from limpid.differentiation.reverse import reverse
from limpid.differentiation.saved import zeros
from limpid.errors import RuleError
from limpid.graph.context import context, enable_grad, no_grad
from limpid.graph.dtype import as_dtype, int64
from limpid.graph.node import NO_PARAMS, Array, Node, Params, Spec, first_outputs, spec_of
from limpid.graph.source import capture
from limpid.storage import writes_undone
from limpid.tensor import Tensor
from limpid.transforms.derived import (
    PythonPrimitive,
    fresh_leaf,
    record_pull,
    record_push,
    specs_of,
)


class Layout(NamedTuple):
    """How a Function is called: for each positional argument its name, and what it is."""

    names: tuple[str, ...]
    tensors: tuple[bool, ...]  # whether it comes as a tensor
    needs: tuple[bool, ...]  # whether it needs a gradient
    given: int  # how many of them the caller gave; the others have their defaults


class Signature(NamedTuple):
    """What a call returns: one tensor or a tuple; which outputs have no derivative."""

    single: bool
    constant: frozenset[int]


class Kept(NamedTuple):
    """What a call keeps for its backward."""

    context: Any  # the user's ctx
    signature: Signature
    specs: tuple[Spec, ...]  # of the outputs
    operands: frozenset[int]  # those whose values are saved


class Rules(Protocol):
    """The user's code behind a call."""

    name: str

    def forward(
        self, layout: Layout, arguments: list[Any], keywords: Params
    ) -> tuple[list[Array], Kept]:
        """The outputs, and what is kept."""

    def shape(self, arguments: list[Any], keywords: Params) -> tuple[list[Spec], Signature] | None:
        """Specs of the outputs from specs of the tensors; None if that is not known."""

    def backward(
        self, layout: Layout, kept: Kept, node: Node | None, gradients: list[Tensor]
    ) -> Sequence[Any]:
        """For each argument its gradient or None; with a node, saved tensors belong to a graph."""


class Token(np.ndarray[Any, Any]):
    """What a call keeps for its backward, in the guise of a 0-d integer that graphs can carry."""

    kept: Kept


class TokenSpec(Spec):
    """The spec of a token; it knows what the call will return."""

    __slots__ = ("signature",)

    def __init__(self, signature: Signature) -> None:
        super().__init__((), int64)
        self.signature = signature


class Call(PythonPrimitive):
    """A Function called in one way. Its last output is the token."""

    def __init__(self, rules: Rules, layout: Layout) -> None:
        self.rules = rules
        self.layout = layout
        self.positions = [k for k, it_is in enumerate(layout.tensors) if it_is]
        super().__init__(rules.name, tuple(layout.names[k] for k in self.positions), outputs=2)
        needed = (i for i, k in enumerate(self.positions) if layout.needs[k])
        self.differentiable = sum(1 << i for i in needed)

    def __call__(self, *operands: Any, **params: Any) -> Any:
        if not any(isinstance(x, Tensor) for x in operands):
            return self.forward(*operands, **params)
        if context.state.recorder is not None:
            return record(self, operands, params)
        return self._compute(operands, params)

    def _compute(self, operands: tuple[Any, ...], params: Params) -> tuple[Tensor, ...]:
        values = [_array(x) for x in operands]
        results = self.forward(*values, **params)
        state = context.state
        if not any(self.layout.needs):
            return unrecorded(self, operands, results)
        linked = [isinstance(x, Tensor) and x.node is not None for x in operands]
        kept = _kept(results[-1]).operands
        inputs = [x.node if ok else v for x, v, ok in zip(operands, values, linked, strict=True)]
        saved = [v if i in kept or not linked[i] else None for i, v in enumerate(values)]
        node = Node(
            self,
            tuple(inputs),
            tuple(x.index if ok else 0 for x, ok in zip(operands, linked, strict=True)),
            params,
            tuple(map(spec_of, results)),
            state.scope,
            state.origin,
            state.origin_source or capture(),
            True,
            (*[None] * (len(results) - 1), results[-1], *saved),
        )
        return tuple(Tensor(node, k, y) for k, y in enumerate(results))

    def forward(self, *values: Any, **params: Any) -> tuple[Array, ...]:
        """The outputs, and a token for the backward pass."""
        state = context.state
        before = state.recorder, state.grad_enabled, state.origin, state.origin_source
        state.recorder, state.grad_enabled, state.origin, state.origin_source = (
            None,
            False,
            None,
            None,
        )
        try:
            handed = [Tensor(None, 0, np.asarray(x)) for x in values]
            arrays, kept = self.rules.forward(self.layout, *self._arguments(handed, params))
        finally:
            state.recorder, state.grad_enabled, state.origin, state.origin_source = before
        token = np.zeros((), np.int64).view(Token)
        token.kept = kept
        return (*arrays, token)

    def _arguments(self, values: Sequence[Any], params: Params) -> tuple[list[Any], Params]:
        """Positional and keyword arguments of the user's forward."""
        rest = iter(values)
        names = self.layout.names
        positional = [
            next(rest) if is_tensor else params[name]
            for name, is_tensor in zip(names, self.layout.tensors, strict=True)
        ]
        return positional, {name: x for name, x in params.items() if name not in names}

    def evaluate(self, values: Any, params: Params) -> tuple[Array, ...]:
        """The value on NumPy; a token would not survive the general way."""
        return self.forward(*values, **params)

    def specs(self, operands: Sequence[Any], params: Params) -> tuple[Spec, ...]:
        """As the Function says, else by a trial run on ones."""
        said = self.rules.shape(*self._arguments(operands, params))
        if said is not None:
            return (*said[0], TokenSpec(said[1]))
        ones = [np.ones(x.shape, x.dtype.storage) for x in operands]
        try:
            with writes_undone(), np.errstate(all="ignore"):
                *arrays, token = self.forward(*ones, **params)
        except Exception as error:
            raise RuleError(
                f"a graph is recorded, and {self.name}.forward was tried on ones to learn the "
                f"shapes of its outputs, but it raised {type(error).__name__}: {error}\n"
                f"remedy: give {self.name} a static method shape(…) that returns limpid's specs"
            ) from error
        return (*map(spec_of, arrays), TokenSpec(_kept(token).signature))

    def vjp_all(
        self, needed: Sequence[int], g: Any, y: Any, /, *operands: Any, **_: Any
    ) -> dict[int, Any]:
        """The user's backward; recorded without values, one node for it."""
        token = y[-1]
        if isinstance(token, Tensor) and token._value is None:
            shares = record_pull(self, [token, *operands], specs_of(y), [i + 1 for i in needed], g)
            return {i - 1: share for i, share in shares.items()}
        kept, node = _opened(token)
        recording = isinstance(g[0], Tensor)
        constant = kept.signature.constant
        gradients = [_upstream(x, k not in constant) for k, x in enumerate(g[:-1])]
        with enable_grad() if recording else no_grad():
            found = self.rules.backward(self.layout, kept, node, gradients)
        made: dict[int, Any] = {}
        for i in needed:
            share = self._checked(found, i, operands[i])
            if share is not None and recording:
                self._check_linked(share, i)
            made[i] = share if recording or share is None else share.value
        return made

    def _checked(self, found: Sequence[Any], i: int, x: Any) -> Tensor | None:
        """What backward returned for an operand, as a tensor of the right shape and dtype."""
        g = found[self.positions[i]]
        if g is None:
            return None
        what = f"{self.name}.backward returned for argument {self.operand_names[i]}"
        if not isinstance(g, Tensor | np.ndarray | np.generic):
            raise RuleError(f"{what} {g!r:.40}; a gradient is a tensor, an array or None")
        share = g if isinstance(g, Tensor) else Tensor(None, 0, np.asarray(g))
        if share.shape != tuple(x.shape):
            raise RuleError(
                f"{what} a gradient of shape {share.shape}; it must have the argument's shape "
                f"{tuple(x.shape)}"
            )
        if share.dtype != x.dtype:
            raise RuleError(
                f"{what} a gradient of dtype {share.dtype.name}; it must have the argument's dtype "
                f"{as_dtype(x.dtype).name}"
            )
        return share

    def _check_linked(self, share: Tensor, i: int) -> None:
        """A gradient is linear in upstream; one that is no part of upstream's graph was cut."""
        if not share.requires_grad and share._value is not None and np.any(share._value):
            raise RuleError(
                f"{self.name}.backward left the graph: its gradient for argument "
                f"{self.operand_names[i]} is a number where forward mode or a second derivative "
                "needs a formula\nremedy: write backward with limpid's operations, without "
                ".detach(), .numpy() or NumPy arrays made of the upstream gradient"
            )

    def jvp_all(self, dxs: dict[int, Any], y: Any, /, *operands: Any, **params: Any) -> Any:
        """Backward is linear in the upstream gradient; its transpose gives the tangent."""
        token = y[-1]
        if isinstance(token, Tensor) and token._value is None:
            shifted = {i + 1: dx for i, dx in dxs.items()}
            return record_push(self, [token, *operands], specs_of(y), shifted)
        recording = isinstance(token, Tensor)
        kept, _ = _opened(token)
        specs = kept.specs
        fresh = [_probe(spec, k in kept.signature.constant) for k, spec in enumerate(specs)]
        shares = self.vjp_all(list(dxs), (*fresh, None), y, *operands, **params)
        passed = [(share, dxs[i]) for i, share in shares.items() if share is not None]
        nodes: list[Any] = [g.node for g in fresh]
        ends = [node for node in nodes if node is not None]
        found, _ = reverse([s for s, _ in passed], [dx for _, dx in passed], ends, recording)
        tangents = [
            None if end is None else found.get(end, zeros(spec, recording))
            for end, spec in zip(nodes, specs, strict=True)
        ]
        return (*tangents, None)

    def trace_names(self) -> list[str]:
        """The names of what `trace` takes."""
        return ["token", *self.operand_names]

    def trace(self, values: Sequence[Any]) -> tuple[list[Tensor], list[Tensor]]:
        """(inputs, outputs) of the call as an eager graph; values are a token and the operands."""
        token, *operands = values
        inputs = [fresh_leaf(x) for x in operands]
        kept = token.kept
        saved = [x if i in kept.operands else None for i, x in enumerate(operands)]
        node = Node(
            self,
            tuple(x.node for x in inputs),
            first_outputs(len(inputs)),
            NO_PARAMS,
            (*kept.specs, spec_of(token)),
            "",
            None,
            None,
            True,
            (*[None] * len(kept.specs), token, *saved),
        )
        outputs = [Tensor(node, k, None) for k in range(len(kept.specs))]
        return [Tensor(None, 0, token), *inputs], outputs


class _Unknown(PythonPrimitive):
    """A value that a Function saved without saying how it depends on its inputs."""

    def forward(self, *_: Any, **__: Any) -> NoReturn:
        """There is no way to compute it again."""
        raise RuleError(f"a tensor that {self.name} saved can't be computed from its inputs")

    def vjp_all(self, *_: Any, **__: Any) -> NoReturn:
        raise RuleError(
            f"a second derivative of {self.name} needs the derivative of a tensor that forward "
            "saved but neither took nor returned\nremedy: compute it in backward from saved inputs "
            "and outputs, or return it from forward; if it is constant, keep it as an attribute of "
            "ctx instead of saving it"
        )

    jvp_all = vjp_all


def unknown_derivative(call: Node, value: Array) -> Tensor:
    """A value that depends on the operands of a call in an unknown way."""
    pairs = [(x, i) for x, i in zip(call.inputs, call.indices, strict=True) if type(x) is Node]
    if value.dtype.kind != "f":
        return Tensor(None, 0, value)
    op = _Unknown(call.op.name, tuple(f"x_{k}" for k in range(len(pairs))), 1)
    inputs, indices = tuple(x for x, _ in pairs), tuple(i for _, i in pairs)
    saved = (None,) * (1 + len(pairs))
    spec = spec_of(value)
    node = Node(op, inputs, indices, NO_PARAMS, (spec,), "", None, call.source, True, saved)
    return Tensor(node, 0, value)


def _array(x: Any) -> Array:
    """The value of an operand; a copy of an array that its owner may write into."""
    if isinstance(x, Tensor):
        return x.value
    array = np.asarray(x)
    return array.copy() if array.flags.writeable else array


def _upstream(g: Any, linked: bool) -> Tensor:
    """An upstream gradient for the user's backward.

    When recording it requires a gradient, so that NumPy, which would cut the graph, is refused.
    """
    if not isinstance(g, Tensor):
        return Tensor(None, 0, np.asarray(g))
    return fresh_leaf(g) if linked and not g.requires_grad else g


def _probe(spec: Spec, constant: bool) -> Tensor:
    """An upstream gradient to transpose a backward with. Its value matters for nothing but to see
    whether what depends on it is part of its graph.
    """
    if constant:
        return Tensor(None, 0, zeros(spec))
    steps = np.linspace(1, 2, spec.size, dtype=spec.dtype.storage)
    return fresh_leaf(steps.reshape(spec.shape))


def _kept(token: Any) -> Kept:
    kept: Kept = token.kept
    return kept


def _opened(token: Any) -> tuple[Kept, Node | None]:
    """What a token keeps; and, where it is a tensor, the node of the call."""
    if isinstance(token, Tensor):
        return _kept(token.value), token.node
    return _kept(token), None
