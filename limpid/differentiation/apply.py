"""Applying a primitive: compute its value, or record a node, or both."""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.differentiation.failure import explain_failure
from limpid.differentiation.operands import constant, spec_or_number, unify
from limpid.differentiation.rules import find_reads
from limpid.graph.context import context, cut_of, link_cut, meeting
from limpid.graph.dtype import dtype_of
from limpid.graph.node import Array, Node, Params, Spec, first_outputs
from limpid.graph.source import capture
from limpid.tensor import Tensor

ndarray = np.ndarray
MOST_READS = 1000  # params such as indices may take any number of values


def apply(op: Any, operands: tuple[Any, ...], params: Params) -> Any:
    """The primitive on arrays is plain NumPy; on tensors it computes and, if needed, records."""
    for x in operands:
        if isinstance(x, Tensor):
            break
    else:
        return op.forward(*operands, **params)
    if context.state.recorder is None:
        return compute(op, operands, params)
    return record(op, operands, params)


def compute(op: Any, operands: tuple[Any, ...], params: Params) -> Any:
    """Eager: the value now, and a node if any operand requires a gradient."""
    try:
        values, inputs, needed, uniform, like = _unwrap(operands)
        unified = values if uniform else unify(op, values)
        y = op.forward(*unified, **params)
    except Exception as error:
        explain_failure(op, operands, params, error)
    if type(y) is not ndarray and type(y) is not tuple:
        y = np.asarray(y)
    needed &= op.differentiable
    if not needed or not context.state.grad_enabled:
        return unrecorded(op, operands, y)
    if unified is not values:
        _promote(inputs, values, unified)
    _own(inputs, values, operands)
    outputs = y if type(y) is tuple else (y,)
    saved = _saved(op, params, values, inputs, outputs, needed)
    node = _node(op, operands, params, inputs, saved, _specs(outputs, like))
    if type(y) is tuple:
        return tuple([Tensor(node, i, out) for i, out in enumerate(y)])
    return Tensor(node, 0, y)


def _unwrap(operands: tuple[Any, ...]) -> tuple[list[Any], list[Any], int, bool, Any]:
    """What a node is made of, from the operands.

    Their values; nodes or constants; which require a gradient (bit i for operand i); whether all
    are float arrays of one type or weak numbers; and a node that the result may be like.
    """
    values: list[Any] = []
    inputs: list[Any] = []
    needed, bit = 0, 1
    uniform = True
    dtype = like = None
    for x in operands:
        if isinstance(x, Tensor):
            value = x._value
            if value is None:
                value = x.value  # raises: a tensor of a finished recording
            node = x.node
            inputs.append(value if node is None else node)
            if node is not None and node.requires_grad:
                if len(node.outputs) == 1 or value.dtype.kind == "f":
                    needed |= bit
                    like = node
        else:
            value = constant(x)
            inputs.append(value)
        if type(value) is ndarray:
            if dtype is None:
                dtype = value.dtype
                uniform = uniform and dtype.kind == "f"
            elif value.dtype is not dtype:
                uniform = False
        elif type(value) is bool:
            uniform = False
        values.append(value)
        bit += bit
    return values, inputs, needed, uniform, like


def _own(inputs: list[Any], values: list[Any], operands: tuple[Any, ...]) -> None:
    """Copy arrays that came as they are: the caller may write into them before backward.

    Those of tensors that were cut off are marked as such.
    """
    for i, x in enumerate(operands):
        if type(inputs[i]) is ndarray:
            if not isinstance(x, Tensor):
                inputs[i] = values[i] = own(values[i])
            elif x.cut is not None:
                link_cut(inputs[i], x.cut)


def _promote(inputs: list[Any], values: list[Any], unified: list[Any]) -> None:
    """Integers that were computed with as floats are floats in the rules, too.

    There −b of unsigned integers, or b·b of short ones, would wrap around.
    """
    for i, (given, used) in enumerate(zip(values, unified, strict=True)):
        if used is not given and type(given) is ndarray and given.dtype.kind != "f":
            values[i] = used
            if type(inputs[i]) is ndarray:
                inputs[i] = used


def own(array: Array) -> Array:
    """The array, copied if anybody can write into it: directly or into what it is a view of."""
    return array.copy() if array.base is not None or array.flags.writeable else array


def _saved(
    op: Any,
    params: Params,
    values: list[Any],
    inputs: list[Any],
    outputs: tuple[Array, ...],
    needed: int,
) -> tuple[Any, ...]:
    """What the rules of the needed operands read: outputs, then operands; None for the rest."""
    if op.jointly_linear:
        reads = op.constant_reads(len(outputs), len(values))
    else:
        reads = reads_of(op, values, params, needed)
    saved = [out if read else None for out, read in zip(outputs, reads)]
    count = len(saved)
    for x, value in zip(inputs, values):
        saved.append(value if reads[count] or type(x) is not Node else None)
        count += 1
    return tuple(saved)


def _specs(outputs: tuple[Array, ...], like: Node) -> tuple[Spec, ...]:
    """Specs of the outputs; those of a node of the same shape and type serve again."""
    if len(outputs) == 1 and len(like.outputs) == 1:
        spec, y = like.outputs[0], outputs[0]
        if spec.shape == y.shape and spec.dtype.storage is y.dtype:
            return like.outputs
    return tuple([Spec(y.shape, dtype_of(y.dtype)) for y in outputs])


def _node(
    op: Any,
    operands: tuple[Any, ...],
    params: Params,
    inputs: list[Any],
    saved: tuple[Any, ...],
    specs: tuple[Spec, ...],
) -> Node:
    state = context.state
    indices = first_outputs(len(inputs))
    for x in inputs:
        if type(x) is Node and len(x.outputs) > 1:
            indices = tuple([t.index if isinstance(t, Tensor) else 0 for t in operands])
            break
    source = state.origin_source or capture(5)
    return Node(
        op, tuple(inputs), indices, params, specs, state.scope, state.origin, source, True, saved
    )


def unrecorded(op: Any, operands: tuple[Any, ...], y: Any) -> Any:
    """Results without a node; a mark says where a gradient ended."""
    cut = None
    for x in operands:
        if isinstance(x, Tensor):
            if x.requires_grad:
                cut = cut_of(op.name if context.state.grad_enabled else "no_grad", x.node, 3)
                break
            cut = cut or x.cut
    if cut is not None and context.state.cuts is not None:
        tensors = [x for x in operands if isinstance(x, Tensor)]
        cut = meeting(cut, [x.cut for x in tensors if x.cut is not None and x.cut is not cut])
    results = [Tensor(None, 0, out) for out in (y if type(y) is tuple else (y,))]
    for result in results:
        result.cut = cut
    return tuple(results) if type(y) is tuple else results[0]


def record(op: Any, operands: tuple[Any, ...], params: Params) -> Any:
    """Recording: a node without values, from the shape rule."""
    state = context.state
    recorder = state.recorder
    current = recorder.current
    inputs: list[Any] = []
    indices: list[int] = []
    specs: list[Any] = []
    needed, bit = 0, 1
    for x in operands:
        if isinstance(x, Tensor):
            x = current(x)
            node, spec = x.node, x.spec
            inputs.append(x.value if node is None else node)
            indices.append(0 if node is None else x.index)
            specs.append(spec)
            if node is not None and node.requires_grad:
                if len(node.outputs) == 1 or spec.dtype.kind == "float":
                    needed |= bit
        else:
            value = _recorded_constant(op, operands, params, x)
            inputs.append(value)
            indices.append(0)
            specs.append(spec_or_number(value))
        bit += bit
    try:
        outputs = op.specs(specs, params)
    except Exception as error:
        explain_failure(op, operands, params, error)
    differentiable = bool(needed & op.differentiable) and state.grad_enabled
    node = Node(
        op,
        tuple(inputs),
        tuple(indices),
        params,
        outputs,
        state.scope,
        state.origin,
        state.origin_source or capture(2),
        differentiable,
    )
    recorder.note(node)
    if op.outputs == 1:
        return Tensor(node, 0, None)
    return tuple([Tensor(node, i, None) for i in range(len(outputs))])


def _recorded_constant(op: Any, operands: tuple[Any, ...], params: Params, x: Any) -> Any:
    """An operand that the graph owns from here on."""
    try:
        value = constant(x)
    except Exception as error:
        explain_failure(op, operands, params, error)
    return own(value) if type(value) is ndarray else value


def evaluate(op: Any, values: tuple[Any, ...], params: Params) -> Any:
    """The value of the primitive on arrays and numbers, with limpid's promotion."""
    y = op.forward(*(values if _uniform(values) else unify(op, list(values))), **params)
    if type(y) is tuple:
        return tuple(map(np.asarray, y))
    return y if type(y) is ndarray else np.asarray(y)


def _uniform(values: tuple[Any, ...]) -> bool:
    """Whether these are float arrays of one type and weak numbers, which NumPy unifies as we do."""
    dtype = None
    for value in values:
        kind = type(value)
        if kind is ndarray:
            if dtype is None:
                dtype = value.dtype
                if dtype.kind != "f":
                    return False
            elif value.dtype is not dtype:
                return False
        elif kind is not float and kind is not int:
            return False
    return dtype is not None


def reads_of(op: Any, values: Any, params: Params, needed: int) -> tuple[bool, ...]:
    """Which operands and outputs the rules for the needed operands read; found once, by recording.

    What a rule reads may depend on ranks and params, so those are part of the key.
    """
    if op.rank_free and not params:
        key: Any = needed
    else:
        ranks = tuple([v.ndim if isinstance(v, ndarray) else 0 for v in values])
        key = (needed, ranks, *params.values())
    try:
        found = op.reads_cache.get(key)
    except TypeError:  # a param that can't be hashed
        key, found = None, None
    if found is None:
        found = find_reads(op, [spec_or_number(v) for v in values], params, needed)
        if key is not None:
            if len(op.reads_cache) >= MOST_READS:
                op.reads_cache.clear()
            op.reads_cache[key] = found
    return found
