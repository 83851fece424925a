"""What the arguments of a call look like: their nesting, shapes and types, constants and objects.

Arrays and tensors are inputs. Numbers, strings and the like are constants: another value is another
signature. Whatever else (modules, parameters, functions) is itself: another object is another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from keyword import iskeyword
from typing import Any
from unicodedata import normalize

import numpy as np

from limpid.compiler.steps.forms import collector
from limpid.compiler.steps.places import is_counted, same, shown
from limpid.graph.context import context
from limpid.graph.dtype import DType, dtype_of
from limpid.graph.node import Array, Spec
from limpid.tensor import Slot, Tensor, to_array
from limpid.transforms.nesting import Rebuild, flatten

ndarray = np.ndarray
Take = Callable[[Any, list[Array]], bool]  # whether an argument fits; its arrays are added
_CONSTANTS = (
    bool, int, float, complex, str, bytes, range, slice, np.generic, np.dtype, DType, frozenset,
)  # fmt: skip


class Argument:
    """One leaf of the arguments: an input if it has a spec, else a constant or an object."""

    __slots__ = ("label", "name", "spec", "value")

    def __init__(self, label: str, value: Any) -> None:
        self.label = label  # as in messages: batch.x
        self.name = ""  # as in graphs: batch_x
        self.value = value
        self.spec = _spec(value)

    @property
    def is_object(self) -> bool:
        """Whether it counts as what it is, not for its value."""
        return self.spec is None and not isinstance(self.value, _CONSTANTS)

    def __str__(self) -> str:
        return shown(self.value) if self.spec is None else repr(self.spec)


def _spec(value: Any) -> Spec | None:
    """Of an input; None for other arguments."""
    if isinstance(value, ndarray):
        array = to_array(value)
        return Spec(array.shape, dtype_of(array.dtype))
    return value.spec if isinstance(value, Tensor) and not is_state(value) else None


class Signature:
    """The arguments of a call, taken apart; `collect` finds the inputs of a call that is like it.

    inputs      the arguments that are inputs; one that comes twice is there once
    twins       (place, place) of inputs that are the same tensor
    """

    def __init__(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        names: Sequence[str] = (),
        itself: Any = None,
    ) -> None:
        self._itself = itself  # the instance of a method
        labels = [*names[: len(args)], *(f"arg{i}" for i in range(len(names), len(args)))]
        self.leaves: list[Argument] = []
        self._rebuilds: list[Rebuild] = []
        takes: list[Take] = []
        for label, value in (*zip(labels, args, strict=True), *kwargs.items()):
            leaves, rebuild = flatten(value, label, self._is_whole)
            self.leaves += [Argument(path, leaf) for path, leaf in leaves]
            self._rebuilds.append(rebuild)
            takes.append(_taking(value, self._is_whole))
        self._count = len(args)
        self._keywords = tuple(kwargs)
        self._positional = tuple(takes[: len(args)])
        self._named = tuple(zip(kwargs, takes[len(args) :], strict=True))
        self._collect = collector((*args, *kwargs.values()), self._is_whole, _spec)
        self.inputs = [leaf for leaf in self.leaves if leaf.spec is not None]
        self.twins = _twins([leaf.value for leaf in self.inputs])
        _name_all(self.inputs)

    def collect(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Sequence[Array] | None:
        """The arrays of the inputs, in order; None if the call is of another kind."""
        if self._collect is not None and tuple(kwargs) == self._keywords:
            found = self._collect((*args, *kwargs.values()) if kwargs else args)
            if found is not None:
                return found
        if len(args) != self._count or len(kwargs) != len(self._named):
            return None
        arrays: list[Array] = []
        for take, x in zip(self._positional, args):
            if not take(x, arrays):
                return None
        for name, take in self._named:
            if name not in kwargs or not take(kwargs[name], arrays):
                return None
        return arrays

    @property
    def objects(self) -> list[tuple[str, Any]]:
        """The arguments that count as what they are, with their labels."""
        return [(leaf.label, leaf.value) for leaf in self.leaves if leaf.is_object]

    @property
    def carries_gradient(self) -> bool:
        """Whether a gradient has to get through to what an argument was computed from."""
        tensors = [leaf.value for leaf in self.inputs if isinstance(leaf.value, Tensor)]
        return any(must_stay_open(x) for x in tensors)

    def leaves_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """The leaves of a call's arguments, in order."""
        ordered = (*args, *(kwargs[name] for name in self._keywords))
        return [leaf for x in ordered for _, leaf in flatten(x, "", self._is_whole)[0]]

    def given(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """The inputs of a call that is like it, as they were given."""
        pairs = zip(self.leaves_of(args, kwargs), self.leaves, strict=True)
        return [x for x, leaf in pairs if leaf.spec is not None]

    def has_twins_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether the same tensors come twice in a call."""
        return _twins(self.given(args, kwargs)) == self.twins

    def _is_whole(self, value: Any) -> bool:
        """Whether this is no nesting, though it may look like one: a module, a dataclass's self."""
        return value is self._itself or is_counted(value)

    def rebuild(self, leaves: Iterator[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Arguments nested as these, with other leaves."""
        parts = [rebuild(leaves) for rebuild in self._rebuilds]
        return parts[: self._count], dict(zip(self._keywords, parts[self._count :], strict=True))

    def differences(self, now: Signature) -> list[str]:
        """How the arguments of another call differ, for people."""
        old = {leaf.label: leaf for leaf in self.leaves}
        new = {leaf.label: leaf for leaf in now.leaves}
        found = []
        for label in {**old, **new}:
            a, b = old.get(label), new.get(label)
            if a is None or b is None:
                found.append(f"argument {label}: {a or 'nothing'} → {b or 'nothing'}")
            elif a.spec != b.spec or (a.spec is None and not same(a.value, b.value)):
                found.append(f"argument {label}: {_change(a, b)}")
        if self.twins != now.twins:
            found.append("arguments: which of them are the same tensor")
        return found


def _change(before: Argument, now: Argument) -> str:
    old, new = str(before), str(now)
    if old == new:
        return f"{old} → another one"
    if isinstance(now.value, int | float) and not isinstance(now.value, bool):
        return f"{old} → {new} (a number is a constant; an array or a tensor is an input)"
    return f"{old} → {new}"


def is_state(tensor: Tensor) -> bool:
    """Whether this is a leaf that a function can leave something in: a value, a gradient."""
    return isinstance(tensor, Slot) or (tensor.requires_grad and tensor.storage is not None)


def must_stay_open(tensor: Tensor) -> bool:
    """Whether it is more than its value: state, or something that a gradient has to get through."""
    return is_state(tensor) or (tensor.requires_grad and context.state.grad_enabled)


def _twins(inputs: Sequence[Any]) -> list[tuple[int, int]]:
    """(first place, later place) of every tensor that comes again."""
    first: dict[int, int] = {}
    pairs = [
        (first.setdefault(id(x), place), place)
        for place, x in enumerate(inputs)
        if isinstance(x, Tensor)
    ]
    return [(earlier, place) for earlier, place in pairs if earlier != place]


def _name_all(inputs: Sequence[Argument]) -> None:
    """Different names for the inputs, as Python spells names."""
    taken: set[str] = set()
    for leaf in inputs:
        label = normalize("NFKC", leaf.label)  # as Python does with names
        name = "".join(c if f"_{c}".isidentifier() else "_" for c in label) or "x"
        name = name if name.isidentifier() else f"_{name}"
        while name in taken or iskeyword(name):
            name += "_"
        taken.add(name)
        leaf.name = name


def _taking(value: Any, whole: Callable[[Any], bool]) -> Take:
    """A function that takes the arrays out of whatever looks like this value."""
    if value is None:
        return lambda x, arrays: x is None
    if whole(value):
        return _taking_object(value)
    kind = type(value)
    if isinstance(value, dict):
        return _taking_dict(kind, tuple(value), [_taking(x, whole) for x in value.values()])
    if isinstance(value, list | tuple):
        return _taking_list(kind, [_taking(x, whole) for x in value])
    if is_dataclass(value) and not isinstance(value, type):
        names = tuple(f.name for f in fields(value))
        return _taking_fields(kind, names, [_taking(getattr(value, n), whole) for n in names])
    leaf = Argument("", value)
    if leaf.spec is not None:
        return _taking_array(leaf.spec)
    return _taking_object(value) if leaf.is_object else _taking_constant(value)


def _taking_array(spec: Spec) -> Take:
    shape, dtype = spec.shape, spec.dtype.storage

    def take(x: Any, arrays: list[Array]) -> bool:
        kind = type(x)
        if kind is Tensor:
            node = x.node
            if node is not None and node.requires_grad and must_stay_open(x):
                return False
            x = x.value
        elif kind is not ndarray:
            if isinstance(x, Tensor) and not must_stay_open(x):
                x = x.value
            elif isinstance(x, ndarray):
                x = to_array(x)
            else:
                return False
        if x.dtype is not dtype:
            x = to_array(x)  # in the machine's byte order
            if x.dtype != dtype:
                return False
        if x.shape != shape:
            return False
        arrays.append(x)
        return True

    return take


def _taking_object(value: Any) -> Take:
    return lambda x, arrays: x is value


def _taking_constant(value: Any) -> Take:
    return lambda x, arrays: x is value or same(x, value)


def _taking_list(kind: Any, takes: list[Take]) -> Take:
    def take(x: Any, arrays: list[Array]) -> bool:
        if type(x) is not kind or len(x) != len(takes):
            return False
        return all(part(value, arrays) for part, value in zip(takes, x))

    return take


def _taking_dict(kind: Any, keys: tuple[Any, ...], takes: list[Take]) -> Take:
    def take(x: Any, arrays: list[Array]) -> bool:
        if type(x) is not kind or tuple(x) != keys:
            return False
        return all(part(value, arrays) for part, value in zip(takes, x.values()))

    return take


def _taking_fields(kind: Any, names: tuple[str, ...], takes: list[Take]) -> Take:
    def take(x: Any, arrays: list[Array]) -> bool:
        if type(x) is not kind:
            return False
        return all(part(getattr(x, name), arrays) for name, part in zip(names, takes))

    return take
