"""The fresh inputs of a transform, and running its function on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from limpid.errors import ArgumentError, DTypeError, OperandError, SeedError
from limpid.graph.context import context, enable_grad
from limpid.graph.dtype import dtype_of
from limpid.graph.node import NO_PARAMS, Node, Spec, next_number, reachable
from limpid.graph.registry import primitives
from limpid.graph.source import capture
from limpid.tensor import Tensor, asarray, to_array
from limpid.transforms.nesting import flatten, leaves_like

Kind = Callable[[Any], Any]


class Inputs:
    """The fresh inputs of one run of a transform: the differentiated arguments, taken apart.

    `since` is the number of the oldest node of the run. What was made before is constant: a value
    computed from the same things outside the function is not differentiated.
    """

    def __init__(self, args: Sequence[Any], argnums: int | Sequence[int]) -> None:
        self.since = next_number()
        self.numbers = _numbers(args, argnums)
        self.single = isinstance(argnums, int | np.integer)
        self.paths: list[str] = []
        self.given: list[Any] = []  # the leaves as they came
        self.tensors: list[Tensor] = []  # the inputs that stand for them
        self.arguments = list(args)
        self._parts: list[Argument] = []
        for number in self.numbers:
            part = Argument(args[number], str(number))
            fresh = [leaf if own else fresh_input(leaf, path) for path, leaf, own in part.leaves]
            self.paths += [path for path, _, _ in part.leaves]
            self.given += [leaf for _, leaf, _ in part.leaves]
            self.tensors += [_present(x) for x in fresh]
            self.arguments[number] = part.with_inputs(fresh)
            self._parts.append(part)
        self.has_tensor = any(isinstance(x, Tensor) for x in self.given)
        self.has_module = any(part.has_module for part in self._parts)

    @property
    def nodes(self) -> list[Node]:
        """The nodes to differentiate with respect to."""
        return [t.node for t in self.tensors if t.node is not None]

    def rebuild(self, values: Sequence[Any]) -> Any:
        """Values, one for each leaf, in the nesting of the arguments."""
        rest = iter(values)
        parts = tuple(part.gradient(rest) for part in self._parts)
        return parts[0] if self.single else parts

    def flatten_like(self, given: Any, what: str) -> list[Tensor]:
        """The leaves of something in the nesting of the arguments, shapes checked."""
        leaves = leaves_like(self.rebuild(self.tensors), given, what)
        return [
            _like(leaf, t.spec, f"{what} of argument {path}")
            for leaf, t, path in zip(leaves, self.tensors, self.paths, strict=True)
        ]

    def gradients(self, found: Sequence[Any], others: Sequence[Any] = ()) -> Any:
        """Gradients, each as the kind of thing its leaf was, in the nesting of the arguments.

        Arrays among them belong to the caller: they share no memory with each other, nor with
        the others.
        """
        taken = [*self.given, *others]
        made = []
        for leaf, g in zip(self.given, found, strict=True):
            g = owned(g, taken) if isinstance(g, np.ndarray) else g
            made.append(kind_of(leaf)(g))
            taken.append(g)
        return self.rebuild(made)

    def result(self, value: Any, recording: bool, others: Sequence[Any] = ()) -> Any:
        """A value of the function as the kind of thing that was given.

        Tensors for tensors, Python floats for Python floats, else arrays. When recording it stays
        the tensor that it is, if it is part of a graph.
        """
        if recording and _open(value):
            return value
        array = value.value if isinstance(value, Tensor) else np.asarray(value)
        if self.has_tensor:
            return Tensor(None, 0, array)
        array = owned(array, [*self.given, *others])
        if array.shape or not self.given or any(isinstance(x, np.ndarray) for x in self.given):
            return array
        return array.item() if all(type(x) is float for x in self.given) else array[()]


class Argument:
    """One differentiated argument; a module in it stands for its trainable parameters."""

    def __init__(self, value: Any, path: str) -> None:
        self._places, self._rebuild = flatten(value, path)
        self._named = [_trainable(leaf) for _, leaf in self._places]
        self.has_module = any(named is not None for named in self._named)
        self.names = [name for named in self._named for name in named or ()]

    @property
    def modules(self) -> list[Any]:
        """The modules in it."""
        pairs = zip(self._places, self._named, strict=True)
        return [leaf for (_, leaf), named in pairs if named is not None]

    @property
    def leaves(self) -> list[tuple[str, Any, bool]]:
        """(path, leaf, whether it is a module's own parameter)."""
        found: list[tuple[str, Any, bool]] = []
        for (path, leaf), named in zip(self._places, self._named, strict=True):
            if named is None:
                found.append((path, leaf, False))
            else:
                found += [(f"{path}.{name}", p, True) for name, p in named.items()]
        return found

    def with_inputs(self, fresh: list[Any]) -> Any:
        """The argument with its leaves replaced; a module stays what it is."""
        rest = iter(fresh)
        leaves = []
        for (_, leaf), named in zip(self._places, self._named, strict=True):
            replaced = [next(rest) for _ in (named if named is not None else (leaf,))]
            leaves.append(replaced[0] if named is None else leaf)
        return self._rebuild(iter(leaves))

    def gradient(self, rest: Iterator[Any]) -> Any:
        """The next values in the nesting of the argument; {name: value} in place of a module."""
        leaves = [
            next(rest) if named is None else {name: next(rest) for name in named}
            for named in self._named
        ]
        return self._rebuild(iter(leaves))


def _trainable(leaf: Any) -> dict[str, Tensor] | None:
    """The trainable parameters of a module, by name; None for anything else."""
    if isinstance(leaf, type) or not hasattr(leaf, "named_parameters"):
        return None
    return {name: p for name, p in leaf.named_parameters() if p.requires_grad}


def _numbers(args: Sequence[Any], argnums: Any) -> tuple[int, ...]:
    given = (argnums,) if isinstance(argnums, int | np.integer) else argnums
    try:
        numbers = tuple(number.__index__() for number in given)
    except (TypeError, AttributeError):
        raise ArgumentError(f"argnums is an integer or several, not {argnums!r:.40}") from None
    for number in numbers:
        if not -len(args) <= number < len(args):
            raise ArgumentError(
                f"argnums={argnums}, but there are {len(args)} positional arguments; "
                "keyword arguments are not differentiated"
            )
    positive = tuple(number % len(args) for number in numbers)
    if len(set(positive)) < len(positive):
        raise ArgumentError(f"argnums={argnums} names an argument twice")
    return positive


def fresh_input(leaf: Any, path: str) -> Tensor:
    """A new input with the value of the leaf; linked to it where the leaf is a tensor."""
    if leaf is None or isinstance(leaf, str | bytes) or callable(leaf):
        raise OperandError(f"argument {path} is {leaf!r:.60}, which can't be differentiated")
    recorder = context.state.recorder
    if isinstance(leaf, Tensor):
        tensor = leaf if recorder is None else recorder.current(leaf)
        _check_float(tensor.spec, path)
        return _identity(tensor.node, tensor.index, tensor.spec, tensor._value)
    array = to_array(leaf)
    spec = Spec(array.shape, dtype_of(array.dtype))
    _check_float(spec, path)
    return _identity(None, 0, spec, array)


def _identity(parent: Node | None, index: int, spec: Spec, value: Any) -> Tensor:
    """A node of its own for a value: of a node's output, or of a constant."""
    state = context.state
    recorder = state.recorder
    node = Node(
        primitives["identity"],
        (value if parent is None else parent,),
        (index,),
        NO_PARAMS,
        (spec,),
        state.scope,
        None,
        capture(),
        True,
        None if recorder is not None else (None, None),
    )
    if recorder is not None:
        recorder.note(node)
    return Tensor(node, 0, value if recorder is None else None)


def _present(tensor: Tensor) -> Tensor:
    """What an input stands for at this point: a twin, since `x += 1` in the function rebinds x."""
    recorder = context.state.recorder
    now = tensor if recorder is None else recorder.current(tensor)
    return Tensor(now.node, now.index, now._value)


def _check_float(spec: Spec, path: str) -> None:
    if spec.dtype.kind != "float":
        raise DTypeError(
            f"argument {path} is {spec}: only floats have gradients; "
            "pass floats or leave it out of argnums"
        )


def owned(array: Any, others: Sequence[Any]) -> Any:
    """The array, or a copy where it is a view, or one of the others, or can't be written to."""
    if array.base is None and array.flags.writeable and all(x is not array for x in others):
        return array
    return array.copy()


def kind_of(leaf: Any) -> Kind:
    """A converter: gradients come back as the kind of thing that was given."""
    if isinstance(leaf, Tensor):
        return lambda g: g if isinstance(g, Tensor) else Tensor(None, 0, np.asarray(g))
    if isinstance(leaf, np.generic):
        return lambda g: _as_array(g) if _open(g) else _as_array(g)[()]
    if isinstance(leaf, float):
        return lambda g: _as_array(g) if _open(g) or g.shape else float(_as_array(g))
    return _as_array


def _open(gradient: Any) -> bool:
    """Whether this is still part of an enclosing graph, so that it must stay a tensor."""
    return isinstance(gradient, Tensor) and (gradient._value is None or gradient.requires_grad)


def _as_array(gradient: Any) -> Any:
    if not isinstance(gradient, Tensor):
        return np.asarray(gradient)
    return gradient if _open(gradient) else np.array(gradient.value)


def _like(given: Any, spec: Spec, what: str) -> Tensor:
    number = not isinstance(given, Tensor | np.ndarray)
    tensor = (
        given
        if isinstance(given, Tensor)
        else Tensor(None, 0, to_array(given, spec.dtype if number else None))
    )
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


def check_callable(function: Any, transform: str) -> None:
    """Raise unless there is a function to differentiate."""
    if not callable(function):
        raise ArgumentError(
            f"{transform} takes a function, not {function!r:.60}; "
            f"write {transform}(f)(x), not {transform}(f(x))"
        )


def run(function: Callable[..., Any], inputs: Inputs, kwargs: Any) -> Any:
    """The function on the fresh inputs."""
    with transforming():
        return function(*inputs.arguments, **kwargs)


def must_record(inputs: Inputs, outputs: Sequence[Tensor]) -> bool:
    """Whether the derivative is recorded: into a graph, or as it may be differentiated itself."""
    return context.state.recorder is not None or stays_open(inputs, outputs)


def stays_open(inputs: Inputs, outputs: Sequence[Tensor]) -> bool:
    """Whether the derivative itself may be differentiated: nested, or on tensors of a graph."""
    state = context.state
    if not state.grad_enabled:
        return False
    ours = set(inputs.nodes)
    if any(p.requires_grad for n in ours for p in n.inputs if isinstance(p, Node)):
        return True
    if state.transforming:
        return inputs.has_module or _closes_over(inputs, outputs, ours)
    return inputs.has_tensor and _closes_over(inputs, outputs, ours)


def _closes_over(inputs: Inputs, outputs: Sequence[Tensor], ours: set[Node]) -> bool:
    """Whether the function read anything else that carries a gradient."""
    ends = [y.node for y in outputs]
    nodes = reachable(ends, ours, inputs.since)
    read = [x for node in nodes if node not in ours for x in node.inputs]
    return any(
        x.number < inputs.since and x.requires_grad and x not in ours
        for x in (*read, *ends)
        if isinstance(x, Node)
    )
