"""Linear and bilinear maps, and one-hot vectors, with PyTorch's names and argument order."""

from __future__ import annotations

from typing import Any

from limpid.differentiation.failure import name_errors
from limpid.errors import ShapeError
from limpid.ops import affine, gather
from limpid.ops.contract import matmul
from limpid.ops.layout import reshape
from limpid.ops.reduce import sum
from limpid.tensor import operand


@name_errors
def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """input · weightᵀ + bias; (…, in) → (…, out).

    weight (out, in), bias (out). With upstream g the gradients are g · weight for the input, gᵀ ·
    input for the weight and the sum of g over the rows for the bias. Raises ShapeError, and
    DTypeError where the input is of another float type than the weight.

    >>> import limpid
    >>> x, w = limpid.tensor([[1.0, 2.0]]), limpid.tensor([[3.0, 4.0], [0.0, 1.0]])
    >>> limpid.nn.functional.linear(x, w, limpid.tensor([0.5, 0.0]))
    tensor([[11.5,  2. ]])
    """
    input = operand(input)
    if bias is not None:
        return affine.linear(input, weight, bias)
    affine.check_type(input, weight)
    return matmul(input, weight.mT)


@name_errors
def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    """Σ_ij input1_i · weight_kij · input2_j + bias_k; (…, in1), (…, in2) → (…, out).

    weight (out, in1, in2), bias (out).

    >>> import limpid
    >>> a, b = limpid.tensor([[1.0, 2.0]]), limpid.tensor([[3.0]])
    >>> limpid.nn.functional.bilinear(a, b, limpid.tensor([[[1.0], [1.0]]]))
    tensor([[9.]])
    """
    input1 = operand(input1)
    input2 = operand(input2)
    affine.check_type(input1, weight)
    affine.check_type(input2, weight)
    if input1.shape[:-1] != input2.shape[:-1]:
        raise ShapeError(
            "both inputs must agree but for the last axis, but have shapes "
            f"{input1.shape} and {input2.shape}"
        )
    if len(weight.shape) != 3 or (input1.shape[-1:], input2.shape[-1:]) != (
        weight.shape[1:2],
        weight.shape[2:],
    ):
        raise ShapeError(
            f"the weight has shape (out, in1, in2) = {weight.shape}, so the inputs must end in "
            f"{' and '.join(map(str, weight.shape[1:]))}, but their shapes are {input1.shape} and "
            f"{input2.shape}"
        )
    out, in1, in2 = weight.shape
    flat = reshape(weight, (out * in1, in2))
    inner = matmul(input2, flat.mT)  # (…, in2) · (in2, out·in1)
    inner = reshape(inner, (*input2.shape[:-1], out, in1))
    y = sum(inner * reshape(input1, (*input1.shape[:-1], 1, in1)), axis=-1)  # (…, out)
    return y if bias is None else y + bias


def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """1 at the class, 0 elsewhere, as integers: (…) → (…, num_classes).

    num_classes  by default the largest class plus 1, which reads the values

    >>> import limpid
    >>> limpid.nn.functional.one_hot(limpid.tensor([0, 2])).tolist()
    [[1, 0, 0], [0, 0, 1]]
    """
    return gather.one_hot(tensor, None if num_classes == -1 else num_classes, dtype="int64")
