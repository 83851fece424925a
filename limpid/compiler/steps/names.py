"""What a function's code names: globals, variables of functions around it, attributes."""

from __future__ import annotations

import dis
import sys
import sysconfig
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType
from typing import Any

from limpid.graph.source import internal

_BY_NAME = {"getattr", "vars", "hasattr", "__dict__", "eval", "exec", "globals"}
_STANDARD = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")})
_INSTALLED = ("site-packages", "dist-packages")
_ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR")
_GLOBALS = ("LOAD_GLOBAL", "LOAD_NAME")
_FREE = ("LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF")

Path = tuple[str, ...]  # a variable and attributes: ("config", "rate") is config.rate


@dataclass
class Names:
    """What a function reads and writes by name, with the functions that are defined within it.

    A path begins at a global, at a free variable (of a function around), or at a parameter.
    `attributes` are all that are read, `loose` those that are read of anything else. `by_name`:
    attributes may be read in ways that do not show, such as `getattr`.
    """

    read_globals: set[str] = field(default_factory=set)
    written_globals: set[str] = field(default_factory=set)
    read_free: set[str] = field(default_factory=set)
    of_globals: set[Path] = field(default_factory=set)
    of_free: set[Path] = field(default_factory=set)
    of_parameters: set[Path] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    loose: set[str] = field(default_factory=set)
    by_name: bool = False

    def add_inner(self, inner: Names, code: CodeType) -> None:
        """What an inner function names is named by the outer one, too."""
        self.read_globals |= inner.read_globals
        self.written_globals |= inner.written_globals
        self.read_free |= inner.read_free
        self.of_globals |= inner.of_globals
        self.attributes |= inner.attributes
        self.loose |= inner.loose
        self.loose.update(name for path in inner.of_parameters for name in path[1:])
        for path in inner.of_free:
            self.add_path(path, code)

    def add_path(self, path: Path, code: CodeType) -> None:
        """A path that begins at a variable of this function or of one around it."""
        if path[0] in code.co_freevars:
            self.of_free.add(path)
        elif path[0] in parameters(code):
            self.of_parameters.add(path)
        else:
            self.loose.update(path[1:])


def parameters(code: CodeType) -> tuple[str, ...]:
    """The names of a function's parameters."""
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


@lru_cache(maxsize=4096)
def names_of(code: CodeType) -> Names:
    """The names in a code object."""
    names = Names()
    instructions = list(dis.get_instructions(code))
    assigned = {
        i.argval for i in instructions if i.opname.startswith(("STORE_FAST", "STORE_DEREF"))
    }
    path: Path = ()
    start = ""
    for instruction in instructions:
        kind, name = instruction.opname, instruction.argval
        if kind in _ATTRIBUTES:
            path = (*path, name) if path else ()
            _add_read(names, start, path, name, code)
            continue
        path = ()
        start = _start(kind)
        if start:
            name = name[-1] if isinstance(name, tuple) else name
            path = () if name in assigned else (name,)
            _add_variable(names, start, name)
        elif kind in ("STORE_GLOBAL", "DELETE_GLOBAL"):
            names.written_globals.add(name)
    names.by_name = not _BY_NAME.isdisjoint(names.read_globals | names.attributes)
    for part in code.co_consts:
        if isinstance(part, CodeType):
            names.add_inner(names_of(part), code)
    return names


def _start(kind: str) -> str:
    """Where a path begins with this instruction."""
    if kind in _GLOBALS:
        return "global"
    if kind in _FREE:
        return "free"
    return "local" if kind.startswith("LOAD_FAST") else ""


def _add_variable(names: Names, start: str, name: Any) -> None:
    if start == "global":
        names.read_globals.add(name)
    elif start == "free":
        names.read_free.add(name)


def _add_read(names: Names, start: str, path: Path, name: str, code: CodeType) -> None:
    names.attributes.add(name)
    if not path:
        names.loose.add(name)
    elif start == "global":
        names.of_globals.add(path)
    else:
        names.add_path(path, code)


@lru_cache(maxsize=4096)
def mentioned(code: CodeType) -> frozenset[str]:
    """All globals and attributes in a code object, found quickly: read or written."""
    found = set(code.co_names)
    for part in code.co_consts:
        if isinstance(part, CodeType):
            found |= mentioned(part)
    return frozenset(found)


@lru_cache(maxsize=4096)
def module_mentions(name: str) -> frozenset[str]:
    """All names in the functions and methods of a module of code."""
    found: set[str] = set()
    for value in vars(sys.modules[name]).values():
        members = [value, *(vars(value).values() if isinstance(value, type) else ())]
        for member in members:
            code = getattr(getattr(member, "__wrapped__", member), "__code__", None)
            if isinstance(code, CodeType) and code.co_filename == sys.modules[name].__file__:
                found |= mentioned(code)
    return frozenset(found)


@lru_cache(maxsize=4096)
def is_users(file: str) -> bool:
    """Whether a file is the user's: not limpid's, NumPy's, Python's, nor an installed package's."""
    if internal[file] or file.startswith("<frozen"):
        return False
    if any(part in file for part in _INSTALLED):
        return False
    return not file.startswith(_STANDARD)
