"""Modules: objects that hold parameters and compute with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from limpid.differentiation.failure import RETOLD, retold
from limpid.errors import DeclarationError, OperandError
from limpid.graph.changes import Changes
from limpid.graph.context import context
from limpid.graph.registry import operations
from limpid.nn.state import Keys, load, snapshot
from limpid.nn.tree import HIDDEN, Branch, find_all, find_once, may_hold_state, parts
from limpid.tensor import Parameter, Slot, Tensor

M = TypeVar("M", bound="Module")


def _no_forward(self: Module, *args: Any, **kwargs: Any) -> Any:
    raise DeclarationError(f"{type(self).__name__} does not define forward")


class Module(Branch):
    """Base of layers and networks: subclass it and define `forward`.

    Nothing else is asked for: no `super().__init__()`, no registration. State is what the
    attributes hold, also within lists, tuples, dicts and dataclasses, if it is marked: `Parameter`
    is trained, `Buffer` is not. A plain tensor is never state. Names are attribute paths:
    `blocks.3.weight`.

    A plain tensor assigned to the name of a buffer becomes the buffer's value; assigned to the
    name of a parameter it raises OperandError, since the parameter would be lost.

    >>> import limpid
    >>> class Scale(limpid.nn.Module):
    ...     def __init__(self):
    ...         self.factor = limpid.Parameter([2.0])
    ...     def forward(self, x):
    ...         return self.factor * x
    >>> scale = Scale(); scale(limpid.tensor([3.0])).tolist()
    [6.0]
    >>> dict(scale.named_parameters())
    {'factor': tensor([2.], requires_grad=True)}
    """

    training: bool = True
    forward: Callable[..., Any] = _no_forward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """`forward`, with the nodes made there under this module's path as their scope.

        Errors about arguments name the module and the line.
        """
        state = context.state
        caller = state.module
        before = state.scope
        if caller is None:
            names_below(self)  # so that parameters carry their full names
        else:
            kept = caller.__dict__.get(HIDDEN)
            entry = None
            if kept is not None and kept[0] == Changes.structure:
                entry = kept[1].get(id(self))
            if entry is None or entry[0] is not self:
                entry = _find_within(caller, self)
            state.scope = f"{before}.{entry[1]}" if before else entry[1]
        state.module = self
        try:
            result = self.forward(*args, **kwargs)
            if state.trail is not None:
                state.trail.note_result(self, before, result)
            return result
        except RETOLD as error:
            raise retold(error, type(self).__name__) from None
        finally:
            state.module = caller
            state.scope = before

    # Attributes

    def __setattr__(self, name: str, value: Any) -> None:
        held = self.__dict__.get(name)
        if isinstance(held, Slot) and isinstance(value, _VALUES) and not isinstance(value, Slot):
            self._assign(name, held, value)
            return
        object.__setattr__(self, name, value)
        Changes.any += 1
        if may_hold_state(value) or may_hold_state(held):
            Changes.structure += 1

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        Changes.any += 1
        Changes.structure += 1

    def _assign(self, name: str, held: Slot, value: Any) -> None:
        if isinstance(held, Parameter):
            raise OperandError(
                f"{type(self).__name__}.{name} is a parameter; a plain value in its place would "
                f"never be trained\nremedy: limpid.assign(module.{name}, value) changes its value, "
                f"module.{name} = limpid.Parameter(value) replaces it"
            )
        operations["assign"](held, value)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != HIDDEN}

    # What it holds

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """(path, parameter), each parameter once, in the order in which attributes were made."""
        for name, value in _labelled(find_once(self)):
            if isinstance(value, Parameter):
                yield name, value

    def parameters(self) -> Iterator[Parameter]:
        """The parameters, each once."""
        return (p for _, p in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Slot]]:
        """(path, buffer), each once: the state that is not trained."""
        for name, value in _labelled(find_once(self)):
            if isinstance(value, Slot) and not isinstance(value, Parameter):
                yield name, value

    def buffers(self) -> Iterator[Slot]:
        """The buffers, each once."""
        return (b for _, b in self.named_buffers())

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """(path, module), each once; this one first, with an empty path."""
        for name, value in find_once(self):
            if isinstance(value, Module):
                yield name, value

    def modules(self) -> Iterator[Module]:
        """The module itself and all below it, each once."""
        return (m for _, m in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(path, module) of those directly below, also in lists and the like."""
        found: dict[int, Module] = {}
        for name, child in children(self):
            if id(child) not in found:
                found[id(child)] = child
                yield name, child

    def children(self) -> Iterator[Module]:
        """The modules directly below, each once."""
        return (m for _, m in self.named_children())

    # Changing it as a whole

    def apply(self: M, function: Callable[[Module], Any]) -> M:
        """Call the function on every module, those further down first; returns this module."""
        for module in reversed(list(self.modules())):
            function(module)
        return self

    def train(self: M, mode: bool = True) -> M:
        """Set `training` everywhere, which dropout and the like look at; returns this module."""
        for module in self.modules():
            if module.training != mode:
                module.training = mode
        return self

    def eval(self: M) -> M:
        """`train(False)`."""
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Train the parameters, or freeze them; returns this module."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self) -> None:
        """Set the gradients of all parameters to None."""
        for parameter in self.parameters():
            parameter.grad = None

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """{path: copy of the value as an array}; a tied parameter under each of its paths."""
        return snapshot(_slots(self))

    def load_state_dict(self, state_dict: Any, strict: bool = True) -> Keys:
        """Give parameters and buffers the values of a state dict: {path: array or tensor}.

        Raises StateError that lists every key that is missing, unexpected, of another shape or of
        another kind of element, and then changes nothing. With strict=False missing and unexpected
        keys are returned instead.
        """
        return load(_slots(self), state_dict, strict, type(self).__name__)

    # Looking at it

    def extra_repr(self) -> str:
        """What `repr` shows between the brackets; layers override it."""
        return ""

    def __repr__(self) -> str:
        return _tree(self, set())


_VALUES = (Tensor, np.ndarray, np.generic, float, int)  # what a slot can take


def children(value: Any) -> Iterator[tuple[str, Module]]:
    """Modules among the parts, those in lists, dicts and dataclasses under joined names."""
    seen = {id(value)}
    stack = list(parts(value))[::-1]
    while stack:
        name, part = stack.pop()
        if isinstance(part, Module):
            yield name, part
        elif not isinstance(part, Slot) and id(part) not in seen:
            seen.add(id(part))
            stack.extend([(f"{name}.{rest}", below) for rest, below in parts(part)][::-1])


def names_below(module: Module) -> dict[int, tuple[Module, str]]:
    """The modules below by id, with their paths; found once for each change of structure."""
    kept = module.__dict__.get(HIDDEN)
    if kept is not None and kept[0] == Changes.structure:
        return kept[1]
    found = _labelled(find_once(module))
    names = {id(m): (m, name) for name, m in found if isinstance(m, Module)}
    object.__setattr__(module, HIDDEN, (Changes.structure, names))
    return names


def _find_within(caller: Module, module: Module) -> tuple[Module, str]:
    """The module, and its path from the one whose forward calls it; else the name of its class."""
    caller.__dict__.pop(HIDDEN, None)  # a list may have changed unseen
    entry = names_below(caller).get(id(module))
    if entry is None or not entry[1]:
        return module, type(module).__name__
    return entry


def _labelled(found: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Give slots the longest path known for them, by which graphs and errors call them."""
    for name, value in found:
        if isinstance(value, Slot):
            leaf: Any = value.node.op if value.node is not None else None
            if leaf.label is None or name.endswith(f".{leaf.label}"):
                leaf.label = name
    return found


def _slots(module: Module) -> list[tuple[str, Slot]]:
    return [(name, value) for name, value in _labelled(find_all(module)) if isinstance(value, Slot)]


def _tree(module: Module, above: set[int]) -> str:
    """The module as nested lines; a reference back to one above is shown as `...`."""
    head, extra = type(module).__name__, module.extra_repr()
    if id(module) in above:
        return f"{head}(...)"
    below = [
        f"  ({name}): " + _tree(child, above | {id(module)}).replace("\n", "\n  ")
        for name, child in children(module)
    ]
    if not below:
        return f"{head}({extra})"
    lines = [f"  {line}" for line in extra.splitlines()] + below
    return "\n".join([f"{head}(", *lines, ")"])
