"""limpid: backpropagation you can see through, at native speed."""

from limpid import errors
from limpid.differentiation import reverse as _reverse  # tensors find backward by name
from limpid.differentiation.declaration import bilinear, general, linear, transpose
from limpid.differentiation.elementwise import elementwise
from limpid.graph.context import enable_grad, is_grad_enabled, no_grad
from limpid.graph.dtype import (
    DType,
    bool_,
    default_float,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    set_default_dtype,
    uint8,
    uint16,
    uint32,
    uint64,
)
from limpid.graph.registry import primitives
from limpid.ops import identity as _identity  # transforms find the identity by name
from limpid.ops.arithmetic import (
    add,
    bitwise_and,
    bitwise_invert,
    bitwise_or,
    bitwise_xor,
    divide,
    equal,
    greater,
    greater_equal,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    multiply,
    negative,
    not_equal,
    positive,
    subtract,
    where,
)
from limpid.ops.cast import astype, stop_gradient
from limpid.ops.contract import matmul
from limpid.ops.elementary import cos, exp, log, sin, tanh
from limpid.ops.index import get_item, set_item
from limpid.ops.layout import broadcast_to, matrix_transpose, permute_dims, reshape
from limpid.ops.reduce import sum
from limpid.ops.state import assign
from limpid.tensor import Buffer, Parameter, Slot, Tensor, asarray, tensor
from limpid.transforms.gradient import grad, hvp, jvp, value_and_grad, vjp
from limpid.transforms.recording import record
