"""The fresh inputs of a transform, and running its function on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from limpid.errors import ArgumentError, DTypeError, OperandError, SeedError
from limpid.graph.context import context, enable_grad
from limpid.graph.dtype import dtype_of
from limpid.graph.node import NO_PARAMS, Leaf, Node, Spec, reachable
from limpid.graph.registry import primitives
from limpid.graph.source import capture
from limpid.tensor import Tensor, asarray, to_array
from limpid.transforms.nesting import Rebuild, flatten

Kind = Callable[[Any], Any]


class Inputs:
    """The fresh inputs of one run of a transform: the differentiated arguments, taken apart."""

    def __init__(self, args: Sequence[Any], argnums: int | Sequence[int]):
        self.numbers = _numbers(args, argnums)
        self.single = isinstance(argnums, int)
        self.paths: list[str] = []
        self.tensors: list[Tensor] = []
        self.kinds: list[Kind] = []
        self._rebuilds: list[tuple[Rebuild, int]] = []
        arguments = list(args)
        for number in self.numbers:
            leaves, rebuild = differentiable_leaves(args[number])
            fresh_leaves = []
            for path, leaf in leaves:
                fresh = leaf if is_own_leaf(leaf, args[number]) else fresh_input(leaf, path)
                self.paths.append(f"{number}.{path}" if path else str(number))
                self.tensors.append(fresh)
                self.kinds.append(kind_of(leaf))
                fresh_leaves.append(fresh)
            self._rebuilds.append((rebuild, len(leaves)))
            if not is_module(args[number]):
                arguments[number] = rebuild(iter(fresh_leaves))
        self.arguments = arguments
        self.has_tensor = any(isinstance(a, Tensor) for a in self._given(args))

    def _given(self, args: Sequence[Any]) -> list[Any]:
        return [leaf for n in self.numbers for _, leaf in differentiable_leaves(args[n])[0]]

    @property
    def nodes(self) -> list[Node]:
        """The nodes to differentiate with respect to."""
        return [t.node for t in self.tensors if t.node is not None]

    def rebuild(self, values: Sequence[Any]) -> Any:
        """Values, one for each leaf, in the nesting of the arguments."""
        rest = iter(values)
        parts = tuple(rebuild(rest) for rebuild, _ in self._rebuilds)
        return parts[0] if self.single else parts

    def flatten_like(self, given: Any, what: str) -> list[Any]:
        """The leaves of something in the nesting of the arguments, shapes checked."""
        parts = (given,) if self.single else tuple(given)
        leaves = [leaf for part in parts for _, leaf in flatten(part)[0]]
        if len(leaves) != len(self.tensors):
            raise ArgumentError(
                f"{what} must be nested like the arguments: {len(self.tensors)} leaves, "
                f"not {len(leaves)}"
            )
        return [
            _like(leaf, t.spec, f"{what} of argument {path}")
            for leaf, t, path in zip(leaves, self.tensors, self.paths, strict=True)
        ]

    def convert(self, index: int, gradient: Any) -> Any:
        """A gradient as the kind of thing that leaf was."""
        return self.kinds[index](gradient)


def _numbers(args: Sequence[Any], argnums: int | Sequence[int]) -> tuple[int, ...]:
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for number in numbers:
        if not -len(args) <= number < len(args):
            raise ArgumentError(f"argnums={argnums}, but there are {len(args)} positional arguments")
    return tuple(number % len(args) for number in numbers)


def is_module(value: Any) -> bool:
    """Whether this is an nn module: its parameters are differentiated in place, by name."""
    return hasattr(value, "named_parameters") and not isinstance(value, type)


def is_own_leaf(leaf: Any, argument: Any) -> bool:
    """A module's parameters are leaves already; other things get fresh inputs."""
    return isinstance(leaf, Tensor) and is_module(argument)


def differentiable_leaves(argument: Any) -> tuple[list[tuple[str, Any]], Rebuild]:
    """The leaves of an argument; those of a module are its trainable parameters by name."""
    if is_module(argument):
        named = {n: p for n, p in argument.named_parameters() if p.requires_grad}
        return list(named.items()), lambda rest: {name: next(rest) for name in named}
    return flatten(argument)


def fresh_input(leaf: Any, path: str = "") -> Tensor:
    """A new input with the value of the leaf; linked to it where the leaf is a tensor."""
    if isinstance(leaf, Tensor):
        recorder = context.state.recorder
        if recorder is not None:
            leaf = recorder.current(leaf)
        spec, value = leaf.spec, leaf._value
        _check_float(spec, path)
        node = Node(
            primitives["identity"],
            (leaf.value if leaf.node is None else leaf.node,),
            (leaf.index,),
            NO_PARAMS,
            (spec,),
            context.state.scope,
            None,
            capture(),
            True,
            None if value is None else (None, None),
        )
        if recorder is not None:
            recorder.note(node)
        return Tensor(node, 0, value)
    if leaf is None or isinstance(leaf, str | bytes):
        raise OperandError(f"argument {path} is {leaf!r}, which can't be differentiated")
    array = to_array(leaf)
    spec = Spec(array.shape, dtype_of(array.dtype))
    _check_float(spec, path)
    node = Node(Leaf(path or None), (), (), NO_PARAMS, (spec,), "", None, capture(), True)
    return Tensor(node, 0, array)


def _check_float(spec: Spec, path: str) -> None:
    if spec.dtype.kind != "float":
        raise DTypeError(
            f"argument {path or 0} is {spec}: only floats have gradients; "
            "pass floats or leave it out of argnums"
        )


def kind_of(leaf: Any) -> Kind:
    """A converter: gradients come back as the kind of thing that was given."""
    if isinstance(leaf, Tensor):
        return lambda g: g if isinstance(g, Tensor) else Tensor(None, 0, np.asarray(g))
    if isinstance(leaf, np.ndarray):
        return _as_array
    if isinstance(leaf, np.generic):
        return lambda g: g if isinstance(g, Tensor) and _open(g) else _as_array(g)[()]
    if isinstance(leaf, float | int):
        return lambda g: g if isinstance(g, Tensor) and _open(g) else float(_as_array(g))
    return _as_array


def _open(gradient: Tensor) -> bool:
    """Whether a tensor is still part of an enclosing graph, so that it must stay a tensor."""
    return gradient._value is None or gradient.requires_grad


def _as_array(gradient: Any) -> Any:
    if not isinstance(gradient, Tensor):
        return np.asarray(gradient)
    return gradient if _open(gradient) else np.array(gradient.value)


def _like(given: Any, spec: Spec, what: str) -> Tensor:
    tensor = asarray(given) if isinstance(given, Tensor | np.ndarray) else asarray(given, spec.dtype)
    if tensor.shape != spec.shape:
        raise SeedError(f"the {what} has shape {tensor.shape}, it must have {spec.shape}")
    return tensor if tensor.dtype is spec.dtype else asarray(tensor, spec.dtype)


@contextmanager
def transforming() -> Iterator[None]:
    """While the function of a transform runs, leaving the graph raises."""
    state = context.state
    state.transforming += 1
    try:
        with enable_grad():
            yield
    finally:
        state.transforming -= 1


def run(function: Callable[..., Any], inputs: Inputs, kwargs: Any) -> Any:
    """The function on the fresh inputs."""
    with transforming():
        return function(*inputs.arguments, **kwargs)


def must_record(inputs: Inputs, outputs: Sequence[Tensor]) -> bool:
    """Whether the derivative itself may be differentiated: nested, or on tensors of a graph."""
    if context.state.recorder is not None or context.state.transforming > 0:
        return True
    ours = set(inputs.nodes)
    if any(p.requires_grad for n in ours for p in n.inputs if isinstance(p, Node)):
        return True
    if not inputs.has_tensor:
        return False
    nodes = reachable([y.node for y in outputs], list(ours))
    return any(n.is_leaf and n.requires_grad and n not in ours for n in nodes)
