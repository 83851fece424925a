"""What a function can read besides its arguments, found from its code before it runs.

From the function on: the globals and the free variables that its code names, those of the user's
functions found there, and so on. Modules and optimisers are walked whole. Lists, dicts, sets,
arrays and other objects are looked into, objects for the attributes that code reads of them. What
has more than `PARTS` parts is the same as long as it is the same object.
"""

from __future__ import annotations

import builtins
import random
import sys
from collections.abc import Callable, Iterable
from functools import partial
from inspect import getattr_static
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from limpid.compiler.steps.names import (
    Names,
    Path,
    is_users,
    mentioned,
    module_mentions,
    names_of,
    parameters,
)
from limpid.compiler.steps.objects import (
    attribute_names,
    class_of,
    file_of,
    function_in,
    is_default,
    is_function,
    is_plain,
    is_users_class,
    passed_over,
)
from limpid.compiler.steps.places import (
    NOTHING,
    Attribute,
    Cell,
    Contents,
    Elements,
    Entry,
    Place,
    Standing,
    Variables,
    is_counted,
    is_part,
)
from limpid.errors import PACKAGE
from limpid.tensor import Slot, Tensor

PARTS = 64  # of a list or a dict that is looked into on every call
ROOM = 4096  # parts in all
BYTES = 4096  # of an array that is looked at
WALKED = 10_000  # parts of a list in which modules are found
_LEAVES = (int, float, complex, str, bytes, type(None), np.generic, range, ModuleType)
_ENTERED = ("__call__", "forward")  # methods that run without being named
_CONTAINERS = (list, tuple, dict, set, np.ndarray)


class Reads:
    """What is read of the instances of a class: by its methods, and by code that has one."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.paths: set[Path] = set()
        self.everything = False
        self.defaults: list[str] | None = None  # of the class, that are read of instances


class Surroundings:
    """The places that a function can read, and what is in them before it runs.

    always   looked at on every call
    counted  of modules and optimisers: looked at when attributes of any of them have changed
    written  those that the function may write to
    generators  Python's and NumPy's, which it may draw from
    """

    def __init__(
        self, function: Callable[..., Any], arguments: Iterable[tuple[str, Any]] = ()
    ) -> None:
        self.always: list[Place] = []
        self.counted: list[Place] = []
        self.written: list[Place] = []
        self.generators: list[tuple[str, Any]] = []
        self._room = ROOM
        self._attributes: set[str] = set(_ENTERED)  # all that code reads, of whatever
        self._loose: set[str] = set()
        self._everything = False
        self._seen: dict[int, Any] = {}  # by id, kept alive
        self._known: set[tuple[int, str]] = set()  # (id, name) that have their place
        self._reads: dict[type, Reads] = {}
        self._objects: list[tuple[str, Any]] = []
        self._owners: list[Variables] = []  # modules, optimisers and groups of parameters
        self._waiting: list[tuple[str, Any]] = []
        self._root = function
        self._given = dict(arguments)
        for label, value in (("the function", function), *self._given.items()):
            self._visit(label, value)
        self._find_all()
        for variables in self._owners:
            variables.names = tuple(self._names_in(variables))
        self.counted = [p for p in self.counted if not isinstance(p, Variables) or p.names]

    def _find_all(self) -> None:
        """Until nothing new is found: what is visited names attributes, these lead to more."""
        before = -1
        while before != self._extent():
            before = self._extent()
            while self._waiting:
                self._enter(*self._waiting.pop())
            for kind in list(self._reads):
                self._look_at_class(kind)
            for label, value in list(self._objects):
                self._look_at_attributes(label, value)
            for variables in list(self._owners):
                self._look_at_parts(variables)

    def _extent(self) -> int:
        """How much has been found."""
        sets = [self._seen, self._known, self._attributes, self._loose]
        for reads in self._reads.values():
            sets += [reads.names, reads.paths]
        return sum(map(len, sets))

    def _visit(self, label: str, value: Any) -> None:
        if not isinstance(value, _LEAVES) and id(value) not in self._seen:
            self._seen[id(value)] = value
            self._waiting.append((label, value))

    def _enter(self, label: str, value: Any) -> None:
        if isinstance(value, FunctionType):
            self._look_at_function(value)
        elif isinstance(value, MethodType | BuiltinFunctionType):
            self._visit(label, getattr(value, "__func__", None))
            self._visit("self", value.__self__)
        elif isinstance(value, partial):
            for part in (value.func, *value.args, *value.keywords.values()):
                self._visit(label, part)
        elif isinstance(value, type):
            self._reads.setdefault(value, Reads())
            self._visit(label, getattr(value, "__init__", None))
        elif is_counted(value):
            self._look_at_variables(label, value)
        elif isinstance(value, Tensor | np.ndarray | list | tuple | dict | set):
            self._look_at_data(label, value)
        elif _is_generator(value):
            self.generators.append((label, value))
        else:
            self._look_at_object(label, value)

    def _look_at_data(self, label: str, value: Any) -> None:
        if isinstance(value, Slot):
            return
        if isinstance(value, Tensor):
            self.always.append(Standing(label, value))
        elif not isinstance(value, np.ndarray):
            self._look_at_container(label, value, self.always)
        elif value.nbytes <= BYTES and value.dtype != object:
            self._add(Elements(label, value), True)

    def _has_room(self, count: int) -> bool:
        if count > min(PARTS, self._room):
            return False
        self._room -= count
        return True

    def _add(self, place: Place, is_read: bool) -> None:
        self.written.append(place)
        if is_read:
            self.always.append(place)

    # Functions

    def _look_at_function(self, function: FunctionType) -> None:
        code = function.__code__
        if function is not self._root and not is_users(code.co_filename):
            self._look_through(function)
            return
        names = self._note(code)
        for name in sorted(names.read_globals | names.written_globals):
            self._look_at_global(name, function.__globals__, name in names.read_globals)
        free = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
        for name, cell in free.items():
            if name != "__class__" and id(cell) not in self._seen:
                self._seen[id(cell)] = cell
                place = Cell(f"variable {name}", cell)
                self._add(place, name in names.read_free)
                self._visit(name, place.value)
        variables = {name: Cell(name, cell).value for name, cell in free.items()}
        for path in sorted(names.of_globals):
            self._follow(path[0], function.__globals__.get(path[0]), path[1:])
        for path in sorted(names.of_free):
            self._follow(path[0], variables[path[0]], path[1:])
        for path in sorted(names.of_parameters):
            self._follow_parameter(function, path)
        for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self._visit(f"a default of {function.__name__}", value)

    def _look_through(self, wrapper: FunctionType) -> None:
        """The user's functions within one that is not: under a decorator, in a transform."""
        for cell in wrapper.__closure__ or ():
            value = Cell("", cell).value
            if is_function(value) or is_counted(value):
                self._visit(wrapper.__name__, value)

    def _note(self, code: Any) -> Names:
        names = names_of(code)
        self._attributes |= names.attributes
        self._loose |= names.loose
        self._everything |= names.by_name
        return names

    def _look_at_global(self, name: str, namespace: dict[str, Any], is_read: bool) -> None:
        if name not in namespace and hasattr(builtins, name):
            return
        if self._is_new(namespace, name):
            place = Entry(f"global {name}", namespace, name)
            self._add(place, is_read)
            self._visit(name, place.value)

    def _is_new(self, owner: Any, name: str) -> bool:
        key = (id(owner), name)
        if key in self._known:
            return False
        self._known.add(key)
        self._seen.setdefault(id(owner), owner)
        return True

    def _follow_parameter(self, function: FunctionType, path: Path) -> None:
        """What a parameter is, is known of the function's own arguments, and of `self`."""
        given = self._given if function is self._root else {}
        if isinstance(self._root, MethodType) and self._root.__func__ is function:
            given = {parameters(function.__code__)[0]: self._root.__self__}
        if path[0] in given:
            self._follow(path[0], given[path[0]], path[1:])
        elif path[0] != "self":
            self._loose.update(path[1:])

    def _follow(self, label: str, owner: Any, path: Path) -> None:
        """The attributes on the path, of plain objects and of the user's modules of code."""
        for name in path:
            label = f"{label}.{name}"
            if isinstance(owner, ModuleType):
                if not is_users(file_of(owner)):
                    return
                self._look_at_attribute(label, owner, name)
            elif isinstance(owner, FunctionType):
                self._look_at_attribute(label, owner, name)
            elif is_counted(owner) or isinstance(owner, type) or is_plain(owner):
                self._reads.setdefault(class_of(owner), Reads()).names.add(name)
                if is_plain(owner):
                    self._look_at_attribute(label, owner, name)
            else:
                return
            owner = getattr_static(owner, name, NOTHING)

    # Objects and classes

    def _look_at_object(self, label: str, value: Any) -> None:
        """Any other object; where its class is known, the functions and modules in it."""
        if is_plain(value):
            self._objects.append((label, value))
            self._reads.setdefault(type(value), Reads())
            if hasattr(value, "__dict__"):
                self.written.append(Variables(label, value))
            return
        for part in list(getattr(value, "__dict__", {}).values()):
            if is_function(part) or is_counted(part):
                self._visit(label, part)

    def _look_at_attributes(self, label: str, value: Any) -> None:
        """The attributes of a plain object that code reads."""
        reads = self._reads[type(value)]
        for path in sorted(reads.paths):
            self._follow(label, value, path)
        wanted = reads.names | self._loose
        for name in attribute_names(value):
            if self._everything or reads.everything or name in wanted:
                self._look_at_attribute(f"{label}.{name}", value, name)
        held: Any = getattr(value, "__dict__", None)
        for name in sorted(wanted) if held is not None else ():  # it may come to hide its class's
            if is_default(type(value), name) and self._is_new(value, name):
                self.always.append(Entry(f"{label}.{name}", held, name))

    def _look_at_attribute(self, label: str, owner: Any, name: str) -> None:
        held = getattr(owner, "__dict__", {})
        if (name in held or name in attribute_names(owner)) and self._is_new(owner, name):
            place = Entry(label, held, name) if name in held else Attribute(label, owner, name)
            self.always.append(place)
            if not is_plain(owner) or name not in held:  # else all its attributes are written
                self.written.append(place)
            self._visit(label, place.value)

    def _look_at_class(self, owner: type) -> None:
        """The methods that may run, and the plain attributes that are read, of a class."""
        reads = self._reads[owner]
        for base in owner.__mro__[:-1]:
            if base.__module__.startswith("limpid.") and "zero_grad" not in vars(base):
                reads.names |= module_mentions(base.__module__)
                self._attributes |= module_mentions(base.__module__)
            for name, value in list(vars(base).items()):
                function = function_in(value)
                if function is None:
                    is_read = name in reads.names or name in self._loose
                    if is_read and is_users_class(base) and self._is_new(base, name):
                        self._add(Attribute(f"{owner.__name__}.{name}", base, name), True)
                        self._visit(name, value)
                elif name in self._attributes and self._is_new(owner, f"{base.__name__}.{name}"):
                    self._look_at_method(reads, function)

    def _look_at_method(self, reads: Reads, function: FunctionType) -> None:
        code = function.__code__
        if code.co_filename.startswith(PACKAGE):
            reads.names |= mentioned(code)
            self._attributes |= mentioned(code)
        if not is_users(code.co_filename):
            return
        self._visit(function.__name__, function)
        names = names_of(code)
        reads.everything |= names.by_name
        own = parameters(code)[:1]
        paths = {path[1:] for path in names.of_parameters if path[:1] == own}
        reads.paths |= paths
        reads.names |= {path[0] for path in paths}

    # Containers, modules and optimisers

    def _look_at_container(self, label: str, value: Any, places: list[Place]) -> None:
        """What is in it. A tuple can't change, but its parts can."""
        fits = self._has_room(len(value))
        if not isinstance(value, tuple) and len(value) <= WALKED:
            place = Contents(label, value)
            self.written.append(place)
            (places if fits else self.counted).append(place)
        if fits or len(value) <= WALKED:
            self._visit_parts(label, value, fits)

    def _visit_parts(self, label: str, value: Any, all_of_them: bool = True) -> None:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in items:
            if all_of_them or is_function(part) or is_counted(part):
                self._visit(label if isinstance(value, set) else f"{label}[{key!r}]", part)

    def _look_at_variables(self, label: str, value: Any) -> None:
        """The attributes of a module or an optimiser, and what is in them."""
        variables = Variables(label, value)
        self._owners.append(variables)
        self.counted.append(variables)
        self.written.append(variables)
        self._reads.setdefault(type(value), Reads())
        if isinstance(value, dict):  # a group of parameters
            self._look_at_container(label, value, self.counted)
        for name, part in variables.value.items():
            if name not in passed_over(value) and not isinstance(part, _CONTAINERS):
                self._visit(f"{label}.{name}", part)

    def _look_at_parts(self, variables: Variables) -> None:
        """Lists and the like among the attributes of a module, if code reads them."""
        for path in sorted(self._reads[type(variables.owner)].paths):
            self._follow(variables.label, variables.owner, path)
        is_own = type(variables.owner).__module__.startswith("limpid.")
        for name, part in variables.value.items():
            if isinstance(part, _CONTAINERS) and self._is_read(variables.owner, name):
                label = f"{variables.label}.{name}"
                if is_own and isinstance(part, list | dict | set) and id(part) not in self._seen:
                    self._seen[id(part)] = part  # limpid counts what it changes itself
                    self._look_at_container(label, part, self.counted)
                else:
                    self._visit(label, part)

    def _is_read(self, owner: Any, name: str) -> bool:
        """Whether code may read an attribute of a module."""
        if name in passed_over(owner):
            return False
        reads = self._reads[type(owner)]
        return name in reads.names or name in self._loose or reads.everything or self._everything

    def _names_in(self, variables: Variables) -> Iterable[str]:
        """The attributes of a module that count: parameters and modules, and what code reads."""
        owner = variables.owner
        for name, value in variables.value.items():
            if (is_part(value) and name not in passed_over(owner)) or self._is_read(owner, name):
                yield name
        reads = self._reads[type(owner)]
        if reads.defaults is None:
            wanted = sorted(reads.names | self._loose)
            reads.defaults = [name for name in wanted if is_default(type(owner), name)]
        yield from (name for name in reads.defaults if name not in variables.value)


def _is_generator(value: Any) -> bool:
    """Whether this draws random numbers that are not limpid's."""
    found = sys.modules.get("numpy.random")  # loaded by whoever made one of its generators
    kinds = () if found is None else (found.Generator, found.RandomState)
    return isinstance(value, (random.Random, *kinds))
