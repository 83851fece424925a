"""Graphs as text, and text as graphs. The text has Python's syntax but is never executed.

def graph(x: float32[32, 784]):
    fc1.weight: state[float32[32, 784]]
    v1: float32[784, 32] = permute_dims(fc1.weight, axes=(1, 0))  # train.py:12
    v2: float32[32, 32] = matmul(x, v1)  # train.py:12  fc1
    fc1.weight = v9
    return (v2,)
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from keyword import iskeyword
from typing import Any
from unicodedata import normalize

import numpy as np

from limpid.errors import GraphError
from limpid.graph.dtype import as_dtype
from limpid.graph.graph import Graph, is_reference
from limpid.graph.node import NO_PARAMS, Leaf, Node, Spec, first_outputs, spec_of
from limpid.graph.registry import primitives
from limpid.graph.source import locate

SELF = "self"
SMALL = 16  # constants of up to this many elements are written out
CODE = 72  # columns before comments, where the code leaves room


def format_graph(graph: Graph, name: str = "graph", comments: bool = True) -> str:
    """The text of a graph; with comments, each line says which source line and scope it is of."""
    return "\n".join(_lines(graph, name, comments)) + "\n"


def _lines(graph: Graph, name: str, comments: bool, prefix: str = "") -> list[str]:
    names = graph.names()
    names.update((node, slot_text(name)) for name, node in graph.slots.items())
    owned = {prefix + c: x for c, x in graph.own_constants().items()}
    constants = {id(x): c for c, x in owned.items()}
    inputs = ", ".join(f"{n}: {_spec_text(x.outputs[0])}" for n, x in graph.inputs.items())
    lines = [f"def {name}({inputs}):"]
    for node in graph.slots.values():
        lines.append(f"    {names[node]}: state[{_spec_text(node.outputs[0])}]")
    for constant, x in owned.items():
        value = repr(x.tolist()) if x.size <= SMALL else "..."
        lines.append(f"    {constant}: constant[{_spec_text(spec_of(x))}] = {value}")
    passes = _passes(graph.nodes) if comments else {}
    for node in graph.nodes:
        if node in passes:
            lines.append(f"    # {passes[node]}")
        for key, value in node.params.items():
            if isinstance(value, Graph):
                inner = f"{names[node]}_{key}"
                body = _lines(value, inner, comments, f"{prefix}{inner}_")
                lines.extend("    " + line for line in body)
        lines.append("    " + _node_line(node, names, constants, comments))
    for slot, reference in graph.writes.items():
        lines.append(f"    {slot_text(slot)} = {_operand(reference, names, constants)}")
    results = [_operand(reference, names, constants) for reference in graph.outputs]
    if comments and any(graph.titles):
        return lines + _titled(results, graph.titles)
    comma = "," if len(results) == 1 else ""
    lines.append(f"    return ({', '.join(results)}{comma})")
    return lines


def _titled(results: Sequence[str], titles: Sequence[str]) -> list[str]:
    """The results, each on a line that says what it is."""
    width = max(map(len, results)) + 1
    pairs = zip(results, titles, strict=True)
    lines = [
        f"        {x + ',':{width}}  # {title}" if title else f"        {x}," for x, title in pairs
    ]
    return ["    return (", *lines, "    )"]


def _passes(nodes: Sequence[Node]) -> dict[Node, str]:
    """Where forward and backward passes begin, if there is a backward pass."""
    if all(node.origin is None for node in nodes):
        return {}
    found: dict[Node, str] = {}
    before, forward = None, "forward"
    for node in nodes:
        backward = node.origin is not None
        if backward is not before:
            found[node] = "backward" if backward else forward
            before, forward = backward, "after the backward pass"
    return found


def _node_line(
    node: Node, names: Mapping[Node, str], constants: Mapping[int, str], comments: bool
) -> str:
    specs = ", ".join(map(_spec_text, node.outputs))
    spec = specs if len(node.outputs) == 1 else f"({specs})"
    arguments = [
        _operand((x, i) if type(x) is Node else x, names, constants)
        for x, i in zip(node.inputs, node.indices, strict=True)
    ]
    arguments += [
        f"{key}={names[node]}_{key}" if isinstance(value, Graph) else f"{key}={value!r}"
        for key, value in node.params.items()
    ]
    line = f"{names[node]}: {spec} = {node.op.name}({', '.join(arguments)})"
    return _with_comment(line, _comment(node, names)) if comments else line


def _with_comment(line: str, comment: str) -> str:
    return f"{line:{CODE}}  # {comment}" if comment else line


def _comment(node: Node, names: Mapping[Node, str]) -> str:
    location = locate(node.source)
    parts = [f"{location.file.rsplit('/', 1)[-1]}:{location.line}"] if location else []
    if node.scope:
        parts.append(node.scope)
    if node.origin is not None:
        forward = names.get(node.origin.node, node.origin.node.op.name)
        parts.append(f"{node.origin.role} of {forward}, argument {node.origin.argument}")
    return "  ".join(parts)


def _operand(x: Any, names: Mapping[Node, str], constants: Mapping[int, str]) -> str:
    if is_reference(x):
        node, index = x
        return names[node] if len(node.outputs) == 1 else f"{names[node]}[{index}]"
    if hasattr(x, "shape"):
        return constants[id(x)]
    return f"float({str(x)!r})" if x != x or x in (float("inf"), float("-inf")) else repr(x)


def _spec_text(spec: Spec) -> str:
    return f"{spec.dtype.name}[{', '.join(map(str, spec.shape)) or '()'}]"


def slot_text(name: str) -> str:
    """A slot's name as a Python target: `blocks.3.weight` becomes `blocks[3].weight`.

    A name that begins with something that is no name in Python is one of a module without a name:
    `self[3].weight`, `self['a-b'].weight`.
    """
    first, *rest = name.split(".")
    if first == SELF or not _is_name(first):
        first, rest = SELF, [first, *rest]
    return first + "".join(_access(part) for part in rest)


def _access(part: str) -> str:
    if _is_name(part):
        return f".{part}"
    return f"[{part}]" if part.isdecimal() and str(int(part)) == part else f"[{part!r}]"


def _is_name(part: str) -> bool:
    """Whether Python's parser gives it back as it is."""
    plain = part.isascii() or normalize("NFKC", part) == part
    return plain and part.isidentifier() and not iskeyword(part)


def _slot_name(target: ast.expr) -> str:
    """The name of a slot from what `slot_text` made of it."""
    parts: list[str] = []
    while not isinstance(target, ast.Name):
        match target:
            case ast.Attribute(value=inner, attr=part):
                parts.append(part)
            case ast.Subscript(value=inner, slice=ast.Constant(value=key)):
                parts.append(str(key))
            case _:
                raise GraphError(f"not the name of a slot: {ast.unparse(target)}")
        target = inner
    if target.id != SELF or not parts:
        parts.append(target.id)
    return ".".join(reversed(parts))


def parse_graph(text: str, constants: Mapping[str, Any] | None = None) -> Graph:
    """The graph of a text. Constants too large to be written out are given by name.

    Slots become leaves without storage. Raises GraphError for text that is no graph.
    """
    try:
        tree = ast.parse(text).body
    except SyntaxError as error:
        raise GraphError(f"line {error.lineno} of the graph's text is not valid") from None
    if len(tree) != 1 or not isinstance(tree[0], ast.FunctionDef):
        raise GraphError("the text of a graph is one `def graph(…):`")
    return _Parser(tree[0], constants or {}).graph()


class _Parser:
    def __init__(
        self, function: ast.FunctionDef, constants: Mapping[str, Any], nested: bool = False
    ) -> None:
        self.function = function
        self.given = constants
        self.nested = nested  # gradients flow through floats, as in the body of a scan
        self.values: dict[str, Any] = {}  # name → node, constant or nested graph
        self.inputs: dict[str, Node] = {}
        self.slots: dict[str, Node] = {}
        self.writes: dict[str, Any] = {}
        self.outputs: tuple[Any, ...] = ()

    def graph(self) -> Graph:
        for argument in self.function.args.args:
            self.inputs[argument.arg] = self._leaf(argument.arg, argument.annotation)
        for statement in self.function.body:
            self._statement(statement)
        return Graph(self.inputs, self.outputs, self.slots, self.writes)

    def _statement(self, statement: ast.stmt) -> None:
        match statement:
            case ast.FunctionDef():
                self.values[statement.name] = _Parser(statement, self.given, True).graph()
            case ast.AnnAssign(annotation=ast.Subscript(value=ast.Name(id="state"), slice=spec)):
                name = _slot_name(statement.target)
                self.slots[name] = self._leaf(ast.unparse(statement.target), spec)
            case ast.AnnAssign(annotation=ast.Subscript(value=ast.Name(id="constant"), slice=spec)):
                name = ast.unparse(statement.target)
                self.values[name] = self._constant(name, spec, statement.value)
            case ast.AnnAssign(value=ast.Call() as call):
                specs = _specs(statement.annotation)
                self.values[ast.unparse(statement.target)] = self._node(call, specs)
            case ast.Assign(targets=[target]):
                self.writes[_slot_name(target)] = self._operand(statement.value)
            case ast.Return(value=ast.Tuple(elts=results)):
                self.outputs = tuple(self._operand(r) for r in results)
            case _:
                raise GraphError(f"not a line of a graph: {ast.unparse(statement)}")

    def _leaf(self, key: str, spec: Any) -> Node:
        leaf = Leaf(key)
        expected = _spec(spec)
        open_ = self.nested and expected.dtype.kind == "float"
        node = Node(leaf, (), (), NO_PARAMS, (expected,), "", None, None, open_)
        self.values[key] = node
        return node

    def _constant(self, name: str, spec: Any, value: Any) -> Any:
        expected = _spec(spec)
        if name in self.given:
            return self.given[name]
        if isinstance(value, ast.Constant) and value.value is Ellipsis:
            raise GraphError(f"the text leaves out constant {name}; pass constants={{{name!r}: …}}")
        array = np.array(_literal(value), expected.dtype.storage)
        return array.reshape(expected.shape)

    def _node(self, call: ast.Call, outputs: tuple[Spec, ...]) -> Node:
        name = ast.unparse(call.func)
        if name not in primitives:
            raise GraphError(f"there is no primitive named {name!r}")
        references = [self._operand(argument) for argument in call.args]
        inputs = tuple(r[0] if is_reference(r) else r for r in references)
        indices = tuple(r[1] if is_reference(r) else 0 for r in references)
        params = {k.arg: self._param(k.value) for k in call.keywords if k.arg}
        if not any(indices):
            indices = first_outputs(len(inputs))
        op = primitives[name]
        open_ = any(
            type(x) is Node and x.requires_grad and op.differentiable >> i & 1
            for i, x in enumerate(inputs)
        )
        return Node(op, inputs, indices, params or NO_PARAMS, outputs, "", None, None, open_)

    def _param(self, value: ast.expr) -> Any:
        if isinstance(value, ast.Name) and isinstance(self.values.get(value.id), Graph):
            return self.values[value.id]
        return _literal(value)

    def _operand(self, expression: ast.expr) -> Any:
        key = ast.unparse(expression)
        if key in self.values:
            value = self.values[key]
            return (value, 0) if isinstance(value, Node) else value
        if isinstance(expression, ast.Subscript):
            value = self.values.get(ast.unparse(expression.value))
            if isinstance(value, Node):
                return value, _literal(expression.slice)
        return _literal(expression)


def _literal(expression: Any) -> Any:
    match expression:
        case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=str(text))]):
            return float(text)
        case ast.List(elts=elements):
            return [_literal(e) for e in elements]
        case ast.Tuple(elts=elements):
            return tuple(_literal(e) for e in elements)
        case ast.Name(id="inf" | "nan" as name):
            return float(name)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Name(id="inf")):
            return -float("inf")
    try:
        return ast.literal_eval(expression)
    except ValueError:
        raise GraphError(f"not defined in the graph's text: {ast.unparse(expression)}") from None


def _specs(annotation: ast.expr) -> tuple[Spec, ...]:
    if isinstance(annotation, ast.Tuple):
        return tuple(map(_spec, annotation.elts))
    return (_spec(annotation),)


def _spec(annotation: Any) -> Spec:
    match annotation:
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Tuple(elts=extents)):
            return Spec(tuple(map(ast.literal_eval, extents)), as_dtype(name))
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=int(extent))):
            return Spec((extent,), as_dtype(name))
    raise GraphError(f"not a shape and dtype: {ast.unparse(annotation)}")
