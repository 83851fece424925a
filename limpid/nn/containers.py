"""Modules that hold modules, and those that only change shapes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import prod
from typing import Any

from limpid.errors import ArgumentError, OperandError, ShapeError
from limpid.nn.module import Module
from limpid.ops.axes import normal_axis
from limpid.ops.layout import flatten, reshape
from limpid.tensor import operand


def _checked(module: Any) -> Any:
    if not isinstance(module, Module):
        raise OperandError(f"only modules can be held here, not {type(module).__name__}")
    return module


def _modules(module: Module) -> list[Module]:
    return [m for m in vars(module).values() if isinstance(m, Module)]


def _set(holder: Module, name: Any, module: Any) -> None:
    """Hold a module under a name that is free: no method, no dot, which joins paths."""
    if not isinstance(name, str) or hasattr(type(holder), name) or "." in name or not name:
        raise ArgumentError(f"a module can't be called {name!r} here; choose another name")
    setattr(holder, name, _checked(module))


class Sequential(Module):
    """Modules applied one after another: given one by one, or in a dict by name.

    >>> import limpid
    >>> limpid.nn.Sequential(limpid.nn.Linear(2, 3), limpid.nn.ReLU())
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): ReLU()
    )
    """

    def __init__(self, *modules: Any):
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            named = [(str(name), module) for name, module in modules[0].items()]
        else:
            named = [(str(i), module) for i, module in enumerate(modules)]
        for name, module in named:
            _set(self, name, module)

    def forward(self, input: Any) -> Any:
        """Each module on the result of the one before."""
        for module in _modules(self):
            input = module(input)
        return input

    def append(self, module: Module) -> Sequential:
        """Add a module at the end."""
        setattr(self, str(len(self)), _checked(module))
        return self

    def __len__(self) -> int:
        return len(_modules(self))

    def __iter__(self) -> Iterator[Module]:
        return iter(_modules(self))

    def __getitem__(self, index: int | slice) -> Any:
        found = _modules(self)[index]
        return Sequential(*found) if isinstance(found, list) else found


class ModuleList(Module):
    """A list of modules. A plain list as an attribute is found just as well.

    >>> import limpid
    >>> layers = limpid.nn.ModuleList([limpid.nn.Linear(2, 2) for _ in range(3)])
    >>> len(layers), [name for name, _ in layers.named_parameters()][:2]
    (3, ['0.weight', '0.bias'])
    """

    def __init__(self, modules: Iterable[Module] = ()):
        self.extend(modules)

    def _replace(self, modules: list[Module]) -> None:
        for name in [name for name, m in vars(self).items() if isinstance(m, Module)]:
            delattr(self, name)
        for i, module in enumerate(modules):
            setattr(self, str(i), _checked(module))

    def append(self, module: Module) -> ModuleList:
        """Add a module at the end."""
        setattr(self, str(len(self)), _checked(module))
        return self

    def extend(self, modules: Iterable[Module]) -> ModuleList:
        """Add modules at the end."""
        for module in modules:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> None:
        """Put a module before the one with this number."""
        held = _modules(self)
        held.insert(index, _checked(module))
        self._replace(held)

    def pop(self, index: int = -1) -> Module:
        """Take a module out."""
        held = _modules(self)
        taken = held.pop(index)
        self._replace(held)
        return taken

    def __len__(self) -> int:
        return len(_modules(self))

    def __iter__(self) -> Iterator[Module]:
        return iter(_modules(self))

    def __getitem__(self, index: int | slice) -> Any:
        found = _modules(self)[index]
        return ModuleList(found) if isinstance(found, list) else found

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, str(normal_axis(index, len(self), "index")), _checked(module))

    def __delitem__(self, index: int) -> None:
        self.pop(index)

    def __contains__(self, module: object) -> bool:
        return any(m is module for m in _modules(self))


class ModuleDict(Module):
    """Modules by name. A plain dict as an attribute is found just as well.

    >>> import limpid
    >>> heads = limpid.nn.ModuleDict({"digit": limpid.nn.Linear(4, 10)})
    >>> [name for name, _ in heads.named_parameters()]
    ['digit.weight', 'digit.bias']
    """

    def __init__(self, modules: Mapping[str, Module] | None = None):
        self.update(modules or {})

    def update(self, modules: Mapping[str, Module]) -> None:
        """Add modules, or replace those of the same names."""
        for name, module in modules.items():
            self[name] = module

    def keys(self) -> Iterable[str]:
        """The names."""
        return dict(self.items()).keys()

    def values(self) -> Iterable[Module]:
        """The modules."""
        return _modules(self)

    def items(self) -> Iterable[tuple[str, Module]]:
        """Names and modules."""
        return [(n, m) for n, m in vars(self).items() if isinstance(m, Module)]

    def pop(self, name: str) -> Module:
        """Take a module out."""
        taken = self[name]
        delattr(self, name)
        return taken

    def __len__(self) -> int:
        return len(_modules(self))

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, name: object) -> bool:
        return name in dict(self.items())

    def __getitem__(self, name: str) -> Module:
        return dict(self.items())[name]

    def __setitem__(self, name: str, module: Module) -> None:
        _set(self, name, module)

    def __delitem__(self, name: str) -> None:
        self.pop(name)


class Identity(Module):
    """Gives back what it gets, whatever arguments it is made with."""

    def __init__(self, *args: Any, **kwargs: Any):
        pass

    def forward(self, input: Any) -> Any:
        """The input."""
        return input


class Flatten(Module):
    """Axes from start_dim to end_dim made one; by default all but the first, the batch.

    >>> import limpid
    >>> limpid.nn.Flatten()(limpid.zeros((2, 3, 4))).shape
    (2, 12)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Any) -> Any:
        """The input with fewer axes."""
        return flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """The axes."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """One axis taken apart into several; one of their extents may be −1.

    >>> import limpid
    >>> limpid.nn.Unflatten(1, (3, -1))(limpid.zeros((2, 12))).shape
    (2, 3, 4)
    """

    def __init__(self, dim: int, unflattened_size: Any):
        self.dim = dim
        self.unflattened_size = tuple(unflattened_size)

    def forward(self, input: Any) -> Any:
        """The input with more axes."""
        input = operand(input)
        axis = normal_axis(self.dim, len(input.shape), "dim")
        extent = input.shape[axis]
        sizes = _resolved(self.unflattened_size, extent)
        return reshape(input, (*input.shape[:axis], *sizes, *input.shape[axis + 1 :]))

    def extra_repr(self) -> str:
        """The axis and its parts."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


def _resolved(sizes: tuple[int, ...], extent: int) -> tuple[int, ...]:
    known = prod(n for n in sizes if n != -1)
    if sizes.count(-1) == 1 and known and extent % known == 0:
        return tuple(extent // known if n == -1 else n for n in sizes)
    if known != extent or -1 in sizes:
        raise ShapeError(f"an axis of extent {extent} can't be taken apart into {sizes}")
    return sizes
