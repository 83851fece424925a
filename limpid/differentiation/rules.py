"""Running one rule of one operand: the places where upstream meets local.

Everything that rules must not care about is decided here, once: which values a rule reads, 0·∞
and strong zeros, un-broadcasting, and the dtype of a gradient.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from limpid.differentiation.kinds import General, Local, Transpose
from limpid.errors import RuleError
from limpid.graph.context import recording_into
from limpid.graph.dtype import result_type
from limpid.graph.graph import input_specs
from limpid.graph.node import NO_PARAMS, Leaf, Node, Spec, reachable
from limpid.graph.registry import operations, primitives
from limpid.tensor import Tensor

_BITS: dict[int, Any] = {2: np.dtype(np.int16), 4: np.dtype(np.int32), 8: np.dtype(np.int64)}


def scale(upstream: Any, local: Any, strong: bool = False) -> Any:
    """upstream × local, the only product of the two.

    A boolean local is a mask with strong zeros: where it is False the result is 0 even if
    upstream is infinite or NaN. Otherwise 0·∞ is NaN, as IEEE 754 has it. The mask of a strong
    primitive is recorded as a strong choice.
    """
    if not is_mask(local):
        return upstream * local
    if isinstance(upstream, Tensor) or isinstance(local, Tensor):
        return primitives["safe_where" if strong else "where"](local, upstream, 0)
    return select(np.asarray(upstream), local)


def select(upstream: Any, mask: Any) -> Any:
    """The array where the mask is True, else 0.

    Multiplying the bit patterns by 0 or 1 selects without looking at the number, and is twenty
    times faster than np.where.
    """
    dtype = upstream.dtype
    bits: Any = upstream.view(_BITS[dtype.itemsize]) * mask
    return bits.view(dtype)


def is_mask(local: Any) -> bool:
    """Whether a local is boolean: it selects instead of scaling."""
    dtype = getattr(local, "dtype", None)
    return isinstance(local, bool) if dtype is None else dtype.kind in ("b", "bool")


def downstream(op: Any, i: int, g: Any, y: Any, operands: Any, params: Any) -> Any:
    """What operand i receives; None where its local derivative is zero everywhere."""
    position = op.position(i) if op.variadic else ()
    derivative = op.derivative(i) if op.variadic else op.derivatives[i]
    if type(derivative) is General:
        return derivative.vjp(g, y, *position, *operands, **params)
    if type(derivative) is Transpose:
        return derivative.rule(g, *position, *operands, **params)
    local = derivative.rule
    if isinstance(local, int):
        return g if local == 1 else -g if local == -1 else None
    return scale(g, local(y, *operands, **params), op.strong)


def fit(gradient: Any, spec: Spec, op: Any) -> Any:
    """The gradient in the shape and dtype of what it is the gradient of."""
    shape = gradient.shape
    if shape != spec.shape:
        gradient = unbroadcast(gradient, spec.shape, op)
    if gradient.dtype is not spec.dtype.storage and gradient.dtype != spec.dtype:
        gradient = (
            operations["astype"](gradient, spec.dtype)
            if isinstance(gradient, Tensor)
            else gradient.astype(spec.dtype.storage)
        )
    return gradient


def unbroadcast(gradient: Any, shape: tuple[int, ...], op: Any = None) -> Any:
    """Sum over the axes that broadcasting added or stretched; expand where a rule left out any."""
    given = gradient.shape
    extra = len(given) - len(shape)
    if extra > 0 and given[extra:] == shape:
        add = primitives["sum"]
        if type(gradient) is np.ndarray:
            add = add.forward
        return add(gradient, axis=tuple(range(extra)), keepdims=False)
    axes = tuple(range(extra)) + tuple(
        extra + axis
        for axis, extent in enumerate(shape)
        if extra >= 0 and extent == 1 and given[extra + axis] != 1
    )
    if extra < 0 or any(
        given[extra + axis] not in (1, extent) for axis, extent in enumerate(shape) if extent != 1
    ):
        raise RuleError(
            f"the rule of {getattr(op, 'name', 'a primitive')} returned a gradient of shape "
            f"{given} for an operand of shape {shape}"
        )
    if axes:
        gradient = operations["sum"](gradient, axis=axes, keepdims=True)
    if extra:
        gradient = operations["reshape"](gradient, gradient.shape[extra:])
    if gradient.shape != shape:
        gradient = operations["broadcast_to"](gradient, shape)
    return gradient


class RuleRecorder:
    """The least a recorder does: let nodes be made without values."""

    def current(self, tensor: Tensor) -> Tensor:
        return tensor

    def note(self, node: Node) -> None:
        pass

    def rebind(self, tensor: Tensor) -> None:
        pass

    def gradients(self, node: Node) -> None:
        return None


def _stand_in(spec: Spec) -> Tensor:
    node = Node(Leaf(), (), (), NO_PARAMS, (spec,), "", None, None, False)
    return Tensor(node, 0, None)


class RecordedRule(NamedTuple):
    """The rule of one operand, recorded on stand-ins that have specs but no values."""

    upstream: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operands: list[Any]  # tensors, or numbers
    local: Any  # of an elementwise operand: what its rule returned
    downstream: Any


def recorded_rule(op: Any, i: int, node: Node) -> RecordedRule:
    """Record the rule of operand i for operands and params like those of the node.

    Operands that are numbers stay numbers, so that the rule is the one for this number.
    """
    return _record_rule(op, i, input_specs(node), node.params, numbers=True)


def _record_rule(
    op: Any, i: int, specs: list[Any], params: Any, numbers: bool = False
) -> RecordedRule:
    with recording_into(RuleRecorder()):
        operands: list[Any] = [
            x if numbers and not isinstance(x, Spec) else _stand_in(_operand_spec(x)) for x in specs
        ]
        outputs = tuple(_stand_in(spec) for spec in op.specs(specs, params))
        upstream = tuple(_stand_in(y.spec) for y in outputs)
        y, g = (outputs[0], upstream[0]) if op.outputs == 1 else (outputs, upstream)
        derivative = op.derivative(i)
        local = None
        if isinstance(derivative, Local) and not isinstance(derivative.rule, int):
            local = derivative.rule(y, *operands, **params)
            passed = scale(g, local, op.strong)
        else:
            passed = downstream(op, i, g, y, operands, params)
        return RecordedRule(upstream, outputs, operands, local, passed)


def _operand_spec(x: Any) -> Spec:
    return x if isinstance(x, Spec) else Spec((), result_type([x]))


def find_reads(op: Any, specs: list[Any], params: Any, needed: int) -> tuple[bool, ...]:
    """Record the rules of the needed operands once; which outputs, which operands did they read?"""
    read = [False] * (len(op.specs(specs, params)) + len(specs))
    for i in range(len(specs)):
        if needed >> i & 1:
            rule = _record_rule(op, i, specs, params)
            results = _tensors([rule.downstream if rule.local is None else rule.local])
            jvp = getattr(op.derivative(i), "jvp", None)
            if jvp is not None:
                results += _tensors([_recorded_jvp(op, i, jvp, rule, params)])
            nodes = set(reachable([r.node for r in results]))
            for k, x in enumerate((*rule.outputs, *rule.operands)):
                read[k] |= x.node in nodes
    return tuple(read)


def _recorded_jvp(op: Any, i: int, jvp: Any, rule: RecordedRule, params: Any) -> Any:
    with recording_into(RuleRecorder()):
        y = rule.outputs[0] if op.outputs == 1 else rule.outputs
        tangent = _stand_in(rule.operands[i].spec)
        return jvp(tangent, y, *op.position(i), *rule.operands, **params)


def _tensors(results: Any) -> list[Tensor]:
    found: list[Tensor] = []
    for result in results:
        if isinstance(result, tuple | list):
            found.extend(_tensors(result))
        elif isinstance(result, Tensor):
            found.append(result)
    return found
