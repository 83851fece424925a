"""NumPy's functions on tensors: `np.sin(t)`, `np.sum(t)` and `array * t` find limpid's operations.

Whatever limpid lacks raises, with the line and a remedy: no gradient is lost in silence.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from inspect import signature
from typing import Any, NamedTuple, NoReturn

import numpy as np

from limpid.errors import CutError, OperandError
from limpid.graph.registry import operation, operations
from limpid.graph.source import capture, describe
from limpid.protocols.functions import DERIVED, FUNCTIONS
from limpid.tensor import Tensor

# ufuncs of NumPy and SciPy that limpid has under another name.
UFUNCS = {
    "invert": "bitwise_invert",
    "fabs": "abs",
    "conjugate": "positive",
    "expit": "sigmoid",
    "log_expit": "log_sigmoid",
    "gammaln": "lgamma",
    "psi": "digamma",
}
REDUCTIONS = {
    "add": "sum",
    "multiply": "prod",
    "maximum": "max",
    "minimum": "min",
    "logical_and": "all",
    "logical_or": "any",
    "logaddexp": "logsumexp",
}
ACCUMULATIONS = {
    "add": "cumsum",
    "multiply": "cumprod",
    "maximum": "cummax",
    "minimum": "cummin",
    "logaddexp": "logcumsumexp",
}


def _refuse(name: str, what: str, remedy: str) -> NoReturn:
    raise CutError(f"{name} {what}, at {describe(capture())}\nremedy: {remedy}")


def _refuse_function(name: str) -> NoReturn:
    _refuse(
        name,
        "has no counterpart in limpid",
        f"{name}(t.detach().numpy()) computes with the values and has no gradient",
    )


WRITERS = ("copyto", "put", "place", "putmask", "fill_diagonal", "put_along_axis")


def _refuse_writing(name: str) -> NoReturn:
    _refuse(
        name,
        "would write a tensor into an array, which keeps no gradient",
        "limpid.full, limpid.stack or limpid.where make a new tensor; t[key] = value works on one",
    )


def _refuse_out(name: str) -> NoReturn:
    _refuse(
        name,
        "would write into an array (out=), which keeps no gradient",
        f"use the result, y = {name}(…); for z += t write z = z + t",
    )


def _refuse_argument(name: str, argument: str) -> NoReturn:
    if argument == "out":
        _refuse_out(name)
    _refuse(
        name,
        f"can't take {argument}= when it is given a tensor",
        "leave it out, or compute with t.detach().numpy(), which has no gradient",
    )


@operation
def array_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], given: Any) -> Any:
    """`Tensor.__array_ufunc__`: the operation of the ufunc's name, or of its reduction's."""
    name = f"np.{ufunc.__name__}"
    if method != "__call__":
        name = f"{name}.{method}"
    if given.get("out") is not None:
        _refuse_out(name)
    found = _ufunc_operation(ufunc)
    if found is None:
        _refuse_function(name)
    if method == "__call__":
        for argument in given:
            _refuse_argument(name, argument)
        return found(*inputs)
    if method == "outer":
        return _outer(found, *inputs)
    return _along(ufunc, method, name, inputs, given)


known_ufuncs: dict[np.ufunc, str | None] = {}


def _ufunc_operation(ufunc: np.ufunc) -> Callable[..., Any] | None:
    try:
        name = known_ufuncs[ufunc]
    except KeyError:
        name = known_ufuncs[ufunc] = _ufunc_name(ufunc)
    return operations.get(name) if name else None


def _ufunc_name(ufunc: np.ufunc) -> str | None:
    """The operation for a ufunc of NumPy or SciPy; by the same name a stranger may mean more."""
    homes = (np, sys.modules.get("scipy.special"))
    if not any(getattr(home, ufunc.__name__, None) is ufunc for home in homes):
        return None
    return UFUNCS.get(ufunc.__name__, ufunc.__name__)


def _outer(found: Callable[..., Any], a: Any, b: Any) -> Any:
    """`np.add.outer(a, b)`: every element of a with every one of b."""
    a, b = (x if isinstance(x, Tensor) else np.asarray(x) for x in (a, b))
    return found(operations["reshape"](a, a.shape + (1,) * len(b.shape)), b)


def _along(ufunc: np.ufunc, method: str, name: str, inputs: tuple[Any, ...], given: Any) -> Any:
    """`np.add.reduce` and `np.add.accumulate`, along axis 0 unless another is given."""
    table = {"reduce": REDUCTIONS, "accumulate": ACCUMULATIONS}.get(method, {})
    found = operations.get(table.get(ufunc.__name__, ""))
    if found is None or len(inputs) != 1:
        _refuse_function(name)
    arguments = {key: value for key, value in given.items() if not _is_absent(value)}
    for argument in arguments.keys() - {"axis", "keepdims"}:
        _refuse_argument(name, argument)
    axis = given.get("axis", 0)
    if method == "reduce":
        return found(inputs[0], axis=axis, keepdims=bool(arguments.get("keepdims", False)))
    result = found(inputs[0], axis=axis)
    return result[0] if isinstance(result, tuple) else result  # cummax also gives indices


def _is_absent(value: Any) -> bool:
    return value is None or value is np._NoValue


class Parameter(NamedTuple):
    """One parameter of a NumPy function, and what becomes of it."""

    name: str
    kind: str  # "operand", "keyword", "refused" or "ignored"
    target: (
        str  # limpid's name of a keyword; of a refused one the text of the value that it may have
    )


class Entry(NamedTuple):
    """Which operation serves a NumPy function, and how its parameters are passed on."""

    operation: str
    variadic: bool
    parameters: tuple[Parameter, ...]


def _entry(text: str) -> Entry:
    """An entry of FUNCTIONS taken apart; see there how it is written."""
    operation, *words = text.split()
    variadic = words[:1] == ["*"]
    return Entry(operation, variadic, tuple(_parameters(words[variadic:])))


def _parameters(words: list[str]) -> Iterator[Parameter]:
    operands = True
    for word in words:
        if word == "|":
            operands = False
            continue
        kind = {"-": "refused", "~": "ignored"}.get(word[0], "operand" if operands else "keyword")
        name, _, target = word.lstrip("-~").partition(":")
        yield Parameter(name, kind, target or ("" if kind == "refused" else name))


functions: dict[Any, tuple[str, Entry | Callable[..., Any]]] = {}  # filled on first use


def _fill() -> None:
    found: dict[Any, tuple[str, Entry | Callable[..., Any]]] = {}
    for table in (FUNCTIONS, DERIVED):
        for name, how in table.items():
            home = np.linalg if name.startswith("linalg.") else np
            function = getattr(home, name.removeprefix("linalg."), None)
            if function is not None:  # not every version of NumPy has every function
                found[function] = (f"np.{name}", _entry(how) if isinstance(how, str) else how)
    functions.update(found)  # at once: other threads see all or nothing


@operation
def array_function(function: Any, types: Any, args: tuple[Any, ...], given: Any) -> Any:
    """`Tensor.__array_function__`: the operation that FUNCTIONS names, or a derived function."""
    if not all(issubclass(kind, Tensor | np.ndarray) for kind in types):
        return NotImplemented
    if not functions:
        _fill()
    if function not in functions:
        if function.__name__ in WRITERS:
            _refuse_writing(f"np.{function.__name__}")
        module = function.__module__.replace("numpy", "np", 1)
        _refuse_function(f"{module}.{function.__name__}")
    name, how = functions[function]
    if isinstance(how, Entry):
        return _call(name, how, args, given)
    try:
        signature(how).bind(*args, **given)
    except TypeError as error:
        _refuse(name, f"of a tensor: {error}", "leave it out, or compute with t.detach().numpy()")
    return how(*args, **given)


def _call(name: str, entry: Entry, args: tuple[Any, ...], given: dict[str, Any]) -> Any:
    found = operations.get(entry.operation)
    if found is None:
        _refuse_function(name)
    operands: list[Any] = list(args) if entry.variadic else []
    keywords: dict[str, Any] = {}
    rest = given if entry.variadic else {**given, **_named(name, entry, args)}
    for parameter in entry.parameters:
        if parameter.name in rest:
            _pass_on(name, parameter, rest[parameter.name], operands, keywords)
        elif parameter.kind == "operand":
            raise OperandError(f"{name} of a tensor needs the argument {parameter.name!r}")
    for argument in rest.keys() - {parameter.name for parameter in entry.parameters}:
        _refuse_argument(name, argument)
    return found(*operands, **keywords)


def _named(name: str, entry: Entry, args: tuple[Any, ...]) -> dict[str, Any]:
    """Arguments given by position, by NumPy's names."""
    if len(args) > len(entry.parameters):
        raise OperandError(f"{name} takes {len(entry.parameters)} arguments, not {len(args)}")
    return dict(zip([p.name for p in entry.parameters], args, strict=False))


def _pass_on(
    name: str, parameter: Parameter, value: Any, operands: list[Any], keywords: dict[str, Any]
) -> None:
    """Put one argument where it goes, or refuse it."""
    if parameter.kind == "operand":
        operands.append(value)
    elif parameter.kind == "keyword":
        if value is not np._NoValue:
            keywords[parameter.target] = value
    elif parameter.kind == "refused" and not _is_absent(value):
        plain = str(value) == parameter.target if parameter.target else value is False
        if not plain:
            _refuse_argument(name, parameter.name)
