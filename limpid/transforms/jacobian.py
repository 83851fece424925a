"""Whole Jacobians and Hessians: one pass for every input, or one for every output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from limpid.differentiation.reverse import reverse
from limpid.differentiation.saved import zeros
from limpid.errors import ArgumentError, SeedError
from limpid.graph.node import Array, Spec
from limpid.graph.registry import operations
from limpid.tensor import Tensor
from limpid.transforms.gradient import Outputs, grad, release, split_aux, tangents_at
from limpid.transforms.inputs import Inputs, check_callable, kind_of, must_record, owned, run
from limpid.transforms.passes import count_reverse

MODES = ("auto", "forward", "reverse")
Blocks = list[list[Any]]  # for each output, for each input: output shape + input shape


def jacobian(
    function: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    *,
    mode: str = "auto",
    has_aux: bool = False,
) -> Callable[..., Any]:
    """A function that returns the Jacobian, J[i, j] = ∂y[i] / ∂x[j].

    Its shape is output shape + input shape. Where outputs or inputs are nested, so is the result:
    in the nesting of the outputs, each holding the nesting of the inputs. A derivative that is
    zero everywhere comes as zeros.

    argnums  which positional arguments, as in `grad`
    mode     "forward": one pass for every element of the inputs; "reverse": one for every element
             of the outputs; "auto": the one with fewer passes. `limpid.count_passes` counts them.
    has_aux  the function returns (outputs, anything else); the result is (Jacobian, aux)

    Raises SeedError if an output is not of a float type.

    >>> import numpy as np, limpid
    >>> limpid.jacobian(lambda x: x * x)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """
    check_callable(function, "jacobian")
    if mode not in MODES:
        raise ArgumentError(f"mode is one of {', '.join(MODES)}, not {mode!r}")

    @wraps(function)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        inputs = Inputs(args, argnums)
        result = run(function, inputs, kwargs)
        result, aux = split_aux(result) if has_aux else (result, None)
        outputs = Outputs(result)
        _check_floats(outputs)
        recording = must_record(inputs, outputs.tensors)
        forward = mode == "forward" or (mode == "auto" and _size(inputs) < _size(outputs))
        blocks = (_by_columns if forward else _by_rows)(inputs, outputs.tensors, recording)
        nested = [inputs.rebuild(_as_given(inputs, row)) for row in blocks]
        made = outputs.rebuild(nested)
        return (made, release(aux, inputs, recording)) if has_aux else made

    return differentiated


def hessian(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function that returns the Hessian of a scalar function, forward over reverse.

    H[i, j] = ∂²f / ∂x[i] ∂x[j]; its shape is input shape + input shape, nested as `jacobian` nests.
    For its product with a vector use `limpid.hvp`, which does not form it.

    >>> import numpy as np, limpid
    >>> limpid.hessian(lambda x: x[0] * x[0] * x[1])(np.array([3.0, 5.0]))
    array([[10.,  6.],
           [ 6.,  0.]])
    """
    gradient = grad(function, argnums, unused="zeros")
    return jacobian(gradient, argnums, mode="forward")


def _size(leaves: Inputs | Outputs) -> int:
    return sum(t.size for t in leaves.tensors)


def _check_floats(outputs: Outputs) -> None:
    for path, y in zip(outputs.paths, outputs.tensors, strict=True):
        if y.dtype.kind != "float":
            where = f"output {path}" if path else "the output"
            raise SeedError(f"{where} is {y.spec}: only floats have a Jacobian; pass has_aux=True")


def _by_rows(inputs: Inputs, outputs: Sequence[Tensor], recording: bool) -> Blocks:
    """Reverse mode: the gradient of one output element is a row of every block."""
    blocks = []
    for y in outputs:
        rows: Blocks = [[] for _ in inputs.tensors]
        for seed in _units(y.spec):
            count_reverse()
            given = Tensor(None, 0, seed) if recording else seed
            found, _ = reverse([y], [given], inputs.nodes, recording, inputs.since)
            for x, column in zip(inputs.tensors, rows, strict=True):
                g = found.get(x.node) if x.node is not None else None
                column.append(zeros(x.spec, recording) if g is None else g)
        blocks.append(
            [_stack(r, 0, y.spec, x.spec) for r, x in zip(rows, inputs.tensors, strict=True)]
        )
    return blocks


def _by_columns(inputs: Inputs, outputs: Sequence[Tensor], recording: bool) -> Blocks:
    """Forward mode: the tangent along one input element is a column of every block."""
    blocks: Blocks = [[] for _ in outputs]
    for x in inputs.tensors:
        columns: Blocks = [[] for _ in outputs]
        for seed in _units(x.spec):
            given = Tensor(None, 0, seed) if recording else seed
            pushed = tangents_at(inputs, outputs, {x.node: given}, recording)
            for column, dy in zip(columns, pushed, strict=True):
                column.append(dy)
        for block, column, y in zip(blocks, columns, outputs, strict=True):
            block.append(_stack(column, -1, y.spec, x.spec))
    return blocks


def _units(spec: Spec) -> Iterable[Array]:
    """For every element the array that is 1 there and 0 elsewhere."""
    for position in range(spec.size):
        unit = np.zeros(spec.size, spec.dtype.storage)
        unit[position] = 1
        yield unit.reshape(spec.shape)


def _stack(parts: list[Any], axis: int, y: Spec, x: Spec) -> Any:
    """Rows (axis 0) or columns (axis −1) as one block, in the type of the input."""
    shape = (*y.shape, *x.shape)
    if not parts:
        return np.zeros(shape, x.dtype.storage)
    if isinstance(parts[0], Tensor):
        block = operations["reshape"](operations["stack"](parts, axis=axis), shape)
        return operations["astype"](block, x.dtype)
    return np.stack(parts, axis).reshape(shape).astype(x.dtype.storage, copy=False)


def _as_given(inputs: Inputs, blocks: Sequence[Any]) -> list[Any]:
    """Each block as the kind of thing that its input was."""
    return [
        kind_of(leaf)(owned(b, ()) if isinstance(b, np.ndarray) else b)
        for leaf, b in zip(inputs.given, blocks, strict=True)
    ]
