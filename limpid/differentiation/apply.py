"""Applying a primitive: compute its value, or record a node, or both."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from limpid.differentiation.rules import find_reads
from limpid.errors import DTypeError, LimpidError, OperandError, ShapeError
from limpid.graph.context import Cut, context
from limpid.graph.dtype import WEAK, dtype_of, result_type
from limpid.graph.node import Array, Node, Params, Spec, first_outputs
from limpid.graph.source import Source, capture, describe, operand_names
from limpid.tensor import Tensor, to_array

ndarray = np.ndarray


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
    values: list[Any] = []
    inputs: list[Any] = []  # what the node will hold: nodes and constants
    needed = 0  # bit i is set when operand i requires a gradient
    bit = 1
    indexed = arrays = slots = False
    uniform = True  # all operands are float arrays of one type, or weak numbers
    dtype = like = None
    for x in operands:
        if isinstance(x, Tensor):
            value = x._value
            if value is None:
                value = x.value  # raises: a tensor of a finished recording
            node = x.node
            if node is None:
                inputs.append(value)
            else:
                inputs.append(node)
                if x.index:
                    indexed = True
                if node.requires_grad and (not x.index or value.dtype.kind == "f"):
                    needed |= bit
                    like = node
                if not node.inputs:
                    slots = True
        else:
            value = constant(x)
            inputs.append(value)
        if type(value) is ndarray:
            if dtype is None:
                dtype = value.dtype
                uniform = uniform and dtype.kind == "f"
            elif value.dtype is not dtype:
                uniform = False
            if value is x:
                arrays = True
        elif type(value) is bool:
            uniform = False
        values.append(value)
        bit += bit
    try:
        y = op.forward(*(values if uniform else unify(op, values)), **params)
    except Exception as error:
        explain_failure(op, operands, params, error)
    if type(y) is not ndarray and type(y) is not tuple:
        y = np.asarray(y)
    needed &= op.differentiable
    state = context.state
    if not needed or not state.grad_enabled:
        return _unrecorded(op, operands, y)
    if arrays:
        _own(inputs, values, operands)
    if type(y) is tuple:
        outputs = y
        specs = tuple([Spec(out.shape, dtype_of(out.dtype)) for out in y])
    else:
        outputs = (y,)
        specs = like.outputs if like is not None else ()
        if len(specs) != 1 or specs[0].shape != y.shape or specs[0].dtype.storage is not y.dtype:
            specs = (Spec(y.shape, dtype_of(y.dtype)),)
    if op.rank_free and not params:
        reads = op.reads_cache.get(needed) or reads_of(op, values, params, needed)
    else:
        reads = reads_of(op, values, params, needed)
    saved = [out if read else None for out, read in zip(outputs, reads, strict=False)]
    count = len(saved)
    for x, value in zip(inputs, values, strict=True):
        saved.append(value if reads[count] or type(x) is not Node else None)
        count += 1
    node = Node(
        op,
        tuple(inputs),
        tuple([x.index if isinstance(x, Tensor) else 0 for x in operands])
        if indexed
        else first_outputs(len(inputs)),
        params,
        specs,
        state.scope,
        state.origin,
        state.origin_source or capture(),
        True,
        tuple(saved),
        slot_versions(inputs, saved, len(outputs)) if slots else None,
    )
    if type(y) is tuple:
        return tuple([Tensor(node, i, out) for i, out in enumerate(y)])
    return Tensor(node, 0, y)


def _own(inputs: list[Any], values: list[Any], operands: tuple[Any, ...]) -> None:
    """Copy arrays that came as they are: the caller may write into them before backward."""
    for i, x in enumerate(operands):
        if type(x) is ndarray and x.flags.writeable:
            inputs[i] = values[i] = x.copy()


def slot_versions(inputs: Any, saved: Any, first: int) -> Any:
    """(storage, version) of each slot whose value is saved; None if there is none."""
    found = []
    for i, x in enumerate(inputs):
        if type(x) is Node and not x.inputs and saved[first + i] is not None:
            storage = getattr(x.op, "storage", None)
            if storage is not None:
                found.append((storage, storage.version))
    return tuple(found) or None


def _unrecorded(op: Any, operands: tuple[Any, ...], y: Any) -> Any:
    """Results without a node; a mark says so where a gradient ended here."""
    cut = None
    if any(isinstance(x, Tensor) and (x.cut or x.requires_grad) for x in operands):
        inherited = next((x.cut for x in operands if isinstance(x, Tensor) and x.cut), None)
        if inherited is None or any(isinstance(x, Tensor) and x.requires_grad for x in operands):
            cut = Cut(op.name if context.state.grad_enabled else "no_grad", capture())
        else:
            cut = inherited
    results = [Tensor(None, 0, out) for out in (y if type(y) is tuple else (y,))]
    for result in results:
        result.cut = cut
    return tuple(results) if type(y) is tuple else results[0]


def record(op: Any, operands: tuple[Any, ...], params: Params) -> Any:
    """Recording: a node without values, from the shape rule."""
    recorder = context.state.recorder
    inputs: list[Any] = []
    indices: list[int] = []
    specs: list[Any] = []
    needed = 0
    for i, x in enumerate(operands):
        if isinstance(x, Tensor):
            x = recorder.current(x)
            node = x.node
            inputs.append(x.value if node is None else node)
            indices.append(0 if node is None else x.index)
            specs.append(x.spec)
            if x.requires_grad:
                needed |= 1 << i
        else:
            value = constant(x)
            inputs.append(value)
            indices.append(0)
            specs.append(spec_or_number(value))
    try:
        outputs = op.specs(specs, params)
    except Exception as error:
        explain_failure(op, operands, params, error)
    differentiable = bool(needed & op.differentiable) and context.state.grad_enabled
    node = Node(
        op,
        tuple(inputs),
        tuple(indices),
        params,
        outputs,
        context.state.scope,
        context.state.origin,
        context.state.origin_source or capture(),
        differentiable,
    )
    recorder.note(node)
    made = tuple(Tensor(node, i, None) for i in range(len(outputs)))
    return made if op.outputs != 1 else made[0]


def evaluate(op: Any, values: tuple[Any, ...], params: Params) -> Any:
    """The value of the primitive on arrays and numbers, with limpid's promotion."""
    y = op.forward(*unify(op, list(values)), **params)
    if type(y) is tuple:
        return tuple(map(np.asarray, y))
    return y if type(y) is ndarray else np.asarray(y)


def constant(x: Any) -> Any:
    """An operand that is no tensor: an array, or a Python number, which is weak."""
    kind = type(x)
    if kind is float or kind is int or kind is bool or kind is ndarray:
        if kind is ndarray:
            dtype_of(x.dtype)
        return x
    if isinstance(x, np.generic):
        return x.item()
    if isinstance(x, WEAK):
        return x
    if x is None or isinstance(x, str | bytes | dict | set | complex):
        raise OperandError(f"an operand must be a tensor, an array or a number, not {x!r:.60}")
    return to_array(x)


def spec_or_number(value: Any) -> Any:
    """The spec of an array; Python numbers stand for themselves, since they are weak."""
    return Spec(value.shape, dtype_of(value.dtype)) if isinstance(value, ndarray) else value


def unify(op: Any, values: list[Any]) -> list[Any]:
    """The operands in their common type, as limpid promotes; masks and indices untouched."""
    numeric = op.numeric
    if numeric == "any":
        return values
    masks = op.masks(len(values))
    typed = [
        dtype_of(v.dtype) if isinstance(v, ndarray) else v
        for v, mask in zip(values, masks, strict=True)
        if not mask
    ]
    if not typed:
        return values
    target = result_type(typed, float_only=numeric == "float").storage
    return [
        v if mask else _cast(v, target) for v, mask in zip(values, masks, strict=True)
    ]


def _cast(value: Any, target: np.dtype[Any]) -> Any:
    if isinstance(value, ndarray):
        return value if value.dtype == target else value.astype(target)
    if isinstance(value, bool) and target.kind != "b":
        return int(value)
    return value


def reads_of(op: Any, values: Any, params: Params, needed: int) -> tuple[bool, ...]:
    """Which operands and outputs the rules for the needed operands read; found once, by recording.

    What a rule reads may depend on ranks and params, so those are part of the key.
    """
    if op.rank_free and not params:
        key: Any = needed
    else:
        key = (needed, tuple([np.ndim(v) for v in values]), *params.values())
    try:
        found = op.reads_cache.get(key)
    except TypeError:  # a param that can't be hashed
        key, found = None, None
    if found is None:
        found = find_reads(op, [spec_or_number(v) for v in values], params, needed)
        if key is not None:
            op.reads_cache[key] = found
    return found  # type: ignore[no-any-return]  # a cache of tuples


def explain_failure(op: Any, operands: Any, params: Params, error: Exception) -> NoReturn:
    """Raise the error again with the operation, the operands by the user's names, and the line."""
    if isinstance(error, LimpidError) and not isinstance(error, ShapeError | DTypeError):
        raise error
    if not isinstance(error, LimpidError | ValueError | TypeError | np.exceptions.AxisError):
        raise error
    source = context.state.origin_source or capture()
    reason = str(error).removesuffix(f" [{getattr(error, 'id', '')}]")
    specs = [_spec_text(x) for x in operands]
    if isinstance(error, ValueError) and not isinstance(error, LimpidError):
        try:
            op.specs([x.spec if isinstance(x, Tensor) else spec_or_number(constant(x))
                      for x in operands], params)
        except LimpidError as better:
            reason = str(better).removesuffix(f" [{better.id}]")
        except Exception:  # noqa: S110  # the first error says more
            pass
    names = operand_names(source, len(operands))
    shown = "; ".join(
        f"{name or f'operand {i + 1}'}: {spec}"
        for i, (name, spec) in enumerate(zip(names, specs, strict=True))
    )
    kind = type(error) if isinstance(error, LimpidError) else (
        DTypeError if isinstance(error, TypeError) else ShapeError
    )
    raise kind(f"{op.name}: {reason}\n  {shown}\n  at {describe(source)}") from None


def _spec_text(x: Any) -> str:
    if isinstance(x, Tensor):
        return repr(x.spec)
    if isinstance(x, ndarray):
        return f"{x.dtype.name}[{', '.join(map(str, x.shape))}] (array)"
    return f"{x!r:.40}"
