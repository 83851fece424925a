"""Expressions from the command line: parsed with `ast` against a list of what is allowed.

Nothing is ever handed to `eval`: the tree is walked, and only arithmetic, comparisons, indexing
and the operations named below have a meaning.
"""

from __future__ import annotations

import ast
import linecache
import operator
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from limpid.errors import ArgumentError, LimpidError
from limpid.graph.context import context
from limpid.graph.registry import operations
from limpid.graph.source import Location
from limpid.tensor import Tensor, tensor

FILE = "<expression>"
FUNCTIONS = frozenset(
    """
    abs acos acosh asin asinh atan atan2 atanh broadcast_to cbrt celu clip concat cos cosh
    cross cumprod cumsum det diag einsum elu erf erfc exp expm1 gelu inv kron leaky_relu log
    log10 log1p log2 log_sigmoid log_softmax logsumexp matmul matrix_transpose max maximum
    mean min minimum mish moveaxis norm outer permute_dims prod reciprocal relu relu6
    reshape rsqrt selu sigmoid sign silu sin sinh slogdet softmax softplus solve sqrt square
    stack std sum tan tanh tensordot trace tril triu var where
    """.split()
)
BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.MatMult: operator.matmul,
}
COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
CONSTANTS = {"pi": 3.141592653589793, "e": 2.718281828459045}


def allowed_functions() -> list[str]:
    """The functions that an expression may call."""
    return sorted(FUNCTIONS & operations.keys())


def parse_value(text: str) -> tuple[str, Tensor]:
    """`name=value` as a name and a tensor that requires a gradient; numbers and lists only."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip().isidentifier():
        raise ArgumentError(f"{text!r} is not name=value, such as x=-2 or W=[[1,2],[3,4]]")
    try:
        number = ast.literal_eval(value.strip())
        made = tensor(_as_floats(number), requires_grad=True)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise ArgumentError(
            f"{name.strip()}: {value!r} is not a number or a (nested) list of numbers"
        ) from None
    return name.strip(), made


def _as_floats(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_as_floats(part) for part in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(value)
    return float(value)


def evaluate_expression(text: str, values: Mapping[str, Tensor]) -> Tensor:
    """The tensor that an expression computes from named tensors.

    Raises ArgumentError, with the column, for whatever is not on the list.
    """
    text = " ".join(text.split())
    try:
        tree = ast.parse(text, FILE, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        at = f", column {error.offset}" if isinstance(error, SyntaxError) and error.offset else ""
        raise ArgumentError(f"{text!r} is not an expression{at}") from None
    linecache.cache[FILE] = (len(text), None, [text], FILE)
    _place_inputs(tree, values)
    result = _Walk(text, values).value(tree)
    if not isinstance(result, Tensor):
        raise ArgumentError(f"{text!r} uses none of the given values, so it has no gradient")
    return result


def _place_inputs(tree: ast.expr, values: Mapping[str, Tensor]) -> None:
    """An input comes from the column where its name stands first."""
    names = (part for part in ast.walk(tree) if isinstance(part, ast.Name))
    for part in sorted(names, key=lambda part: part.col_offset, reverse=True):
        node = values[part.id].node if part.id in values else None
        if node is not None:
            node.source = Location(
                FILE, 1, "", part.col_offset, part.end_lineno, part.end_col_offset
            )


class _Walk:
    def __init__(self, text: str, values: Mapping[str, Tensor]):
        self.text = text
        self.values = values

    def value(self, tree: ast.expr) -> Any:
        """The value of a sub-expression; nodes made on the way get its columns as their source."""
        parts = self._parts(tree)
        state = context.state
        before = state.origin_source
        state.origin_source = Location(
            FILE, 1, "", tree.col_offset, tree.end_lineno, tree.end_col_offset
        )
        try:
            return parts()
        except LimpidError:
            raise
        except (TypeError, ValueError, OverflowError, ZeroDivisionError) as error:
            self._refuse(tree, str(error))
        finally:
            state.origin_source = before

    def _parts(self, tree: ast.expr) -> Callable[[], Any]:
        """Evaluate what stands below, and return what is left to do."""
        match tree:
            case ast.BinOp() | ast.UnaryOp() | ast.Compare():
                return self._operator(tree)
            case ast.Constant(value=bool() | int() | float() | None as number):
                return lambda: number
            case ast.Name(id=name) if name in self.values:
                return lambda: self.values[name]
            case ast.Name(id=name) if name in CONSTANTS:
                return lambda: CONSTANTS[name]
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                parts = tuple(self.value(element) for element in elements)
                return lambda: parts
            case ast.Attribute(attr="T" | "mT" as name):
                owner = self.value(tree.value)
                return lambda: getattr(owner, name)
            case ast.Subscript():
                owner, key = self.value(tree.value), self._key(tree.slice)
                return lambda: owner[key]
            case ast.Call(func=ast.Name(id=name)):
                return self._call(tree, name)
        self._refuse(tree, f"{ast.unparse(tree)!r} is not allowed here")

    def _operator(self, tree: ast.BinOp | ast.UnaryOp | ast.Compare) -> Callable[[], Any]:
        match tree:
            case ast.BinOp(op=arithmetic) if type(arithmetic) in BINARY:
                left, right = self.value(tree.left), self.value(tree.right)
                return lambda: BINARY[type(arithmetic)](left, right)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign):
                operand = self.value(tree.operand)
                return lambda: -operand if isinstance(sign, ast.USub) else operand
            case ast.Compare(ops=[comparison], comparators=[other]) if type(comparison) in COMPARE:
                left, right = self.value(tree.left), self.value(other)
                return lambda: COMPARE[type(comparison)](left, right)
        self._refuse(tree, f"{ast.unparse(tree)!r} is not allowed here")

    def _call(self, tree: ast.Call, name: str) -> Callable[[], Any]:
        if name not in FUNCTIONS or name not in operations:
            self._refuse(tree, f"{name!r} is not one of {', '.join(allowed_functions())}")
        arguments = [self.value(argument) for argument in tree.args]
        keywords = {k.arg: self.value(k.value) for k in tree.keywords if k.arg}
        if len(keywords) < len(tree.keywords):
            self._refuse(tree, "** is not allowed")
        return lambda: operations[name](*arguments, **keywords)

    def _key(self, tree: ast.expr) -> Any:
        if isinstance(tree, ast.Slice):
            bounds = (tree.lower, tree.upper, tree.step)
            return slice(*(None if b is None else self.value(b) for b in bounds))
        if isinstance(tree, ast.Tuple):
            return tuple(self._key(element) for element in tree.elts)
        return self.value(tree)

    def _refuse(self, tree: ast.expr, why: str) -> NoReturn:
        if isinstance(tree, ast.Name):
            known = ", ".join(self.values) or "none"
            why = f"{tree.id!r} has no value; give it as {tree.id}=… (given: {known})"
        raise ArgumentError(f"column {tree.col_offset + 1} of {self.text!r}: {why}")
