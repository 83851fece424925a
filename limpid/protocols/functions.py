"""The table of NumPy's functions that work on tensors, and those made of several operations."""

from __future__ import annotations

from functools import reduce
from itertools import accumulate
from typing import Any

import numpy as np

from limpid.errors import OperandError
from limpid.graph.registry import operations
from limpid.tensor import Tensor

# NumPy's name: limpid's operation, then NumPy's parameters in NumPy's order. Those before `|` are
# passed by position, those after it by name, by another name where one follows a colon. `-` marks
# what must be left out, or have the value after the colon; `~` what has no meaning here. `*` takes
# any number of operands.
REDUCE = "axis -dtype -out keepdims -initial -where:True"
FUNCTIONS = {
    "sum": f"sum a | {REDUCE}",
    "prod": f"prod a | {REDUCE}",
    "max": "max a | axis -out keepdims -initial -where:True",
    "min": "min a | axis -out keepdims -initial -where:True",
    "amax": "max a | axis -out keepdims -initial -where:True",
    "amin": "min a | axis -out keepdims -initial -where:True",
    "mean": "mean a | axis -dtype -out keepdims -where:True",
    "std": "std a | axis -dtype -out ddof:correction keepdims -where:True -mean correction",
    "var": "var a | axis -dtype -out ddof:correction keepdims -where:True -mean correction",
    "any": "any a | axis -out keepdims -where:True",
    "all": "all a | axis -out keepdims -where:True",
    "argmax": "argmax a | axis -out keepdims",
    "argmin": "argmin a | axis -out keepdims",
    "count_nonzero": "count_nonzero a | axis keepdims",
    "median": "median a | axis -out ~overwrite_input keepdims",
    "quantile": "quantile a q | axis -out ~overwrite_input method keepdims -weights -interpolation",
    "cumsum": "cumsum a | axis -dtype -out",
    "cumprod": "cumprod a | axis -dtype -out",
    "sort": "sort a | axis ~kind -order ~stable",
    "argsort": "argsort a | axis ~kind -order ~stable",
    "round": "round a | decimals -out",
    "around": "round a | decimals -out",
    "fix": "trunc x | -out",
    "clip": "clip a | a_min:min a_max:max -out min max",
    "where": "where condition x y",
    "dot": "dot a b | -out",
    "inner": "inner a b",
    "outer": "outer a b | -out",
    "kron": "kron a b",
    "cross": "cross a b | -axisa:-1 -axisb:-1 -axisc:-1 axis",
    "tensordot": "tensordot a b | axes",
    "einsum": "einsum * | -out ~optimize",
    "trace": "trace a | offset axis1 axis2 -dtype -out",
    "diagonal": "diagonal a | offset axis1 axis2",
    "diag": "diag v | k",
    "tril": "tril m | k",
    "triu": "triu m | k",
    "reshape": "reshape a shape | -order:C ~copy",
    "transpose": "permute_dims a | axes",
    "matrix_transpose": "matrix_transpose x",
    "swapaxes": "swapaxes a axis1 axis2",
    "moveaxis": "moveaxis a source destination",
    "expand_dims": "expand_dims a axis",
    "squeeze": "squeeze a | axis",
    "broadcast_to": "broadcast_to array shape | ~subok",
    "broadcast_arrays": "broadcast_arrays * | ~subok",
    "meshgrid": "meshgrid * | indexing ~copy -sparse",
    "flip": "flip m | axis",
    "roll": "roll a shift | axis",
    "tile": "tile A reps",
    "repeat": "repeat a repeats | axis",
    "pad": "pad array pad_width | mode constant_values",
    "concatenate": "concat arrays | axis -out -dtype ~casting",
    "stack": "stack arrays | axis -out -dtype ~casting",
    "vstack": "vstack tup | -dtype ~casting",
    "hstack": "hstack tup | -dtype ~casting",
    "dstack": "dstack tup",
    "column_stack": "column_stack tup",
    "unstack": "unstack x | axis",
    "split": "split ary indices_or_sections | axis",
    "take": "take a indices | axis -out -mode:raise",
    "take_along_axis": "take_along_axis arr indices | axis",
    "zeros_like": "zeros_like a | dtype ~order ~subok -shape ~device",
    "ones_like": "ones_like a | dtype ~order ~subok -shape ~device",
    "empty_like": "empty_like a | dtype ~order ~subok -shape ~device",
    "full_like": "full_like a fill_value | dtype ~order ~subok -shape ~device",
    "linspace": "linspace start stop | num endpoint -retstep dtype -axis:0 ~device",
    "copy": "copy a | ~order ~subok",
    "astype": "astype x dtype | ~copy ~device",
    "linalg.norm": "norm x | ord axis keepdims",
    "linalg.vector_norm": "vector_norm x | axis keepdims ord",
    "linalg.matrix_norm": "matrix_norm x | keepdims ord",
    "linalg.inv": "inv a",
    "linalg.pinv": "pinv a | -rcond -hermitian rtol",
    "linalg.solve": "solve a b",
    "linalg.det": "det a",
    "linalg.slogdet": "slogdet a",
    "linalg.cholesky": "cholesky a | upper",
    "linalg.qr": "qr a | mode",
    "linalg.svdvals": "svdvals x",
    "linalg.eigh": "eigh a | -UPLO:L",
    "linalg.eigvalsh": "eigvalsh a | -UPLO:L",
    "linalg.matrix_power": "matrix_power a n",
    "linalg.matrix_rank": "matrix_rank A | -tol -hermitian rtol",
    "linalg.matrix_transpose": "matrix_transpose x",
    "linalg.matmul": "matmul x1 x2",
    "linalg.outer": "outer x1 x2",
    "linalg.cross": "cross x1 x2 | axis",
    "linalg.tensordot": "tensordot x1 x2 | axes",
    "linalg.vecdot": "vecdot x1 x2 | axis",
}


def _shape(a: Any) -> tuple[int, ...]:
    return a.shape


def _size(a: Any, axis: int | None = None) -> int:
    return a.size if axis is None else a.shape[axis]


def _isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8) -> Any:
    near = operations["less_equal"](abs(a - b), atol + rtol * operations["abs"](b))
    return operations["where"](operations["isfinite"](b), near, operations["equal"](a, b))


def _allclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8) -> bool:
    """Reads values; what it returns is a bool, which never had a gradient."""
    return bool(operations["all"](_isclose(a, b, rtol, atol)))


def _array_equal(a1: Any, a2: Any) -> bool:
    """Reads values, as `_allclose` does."""
    if np.shape(a1) != np.shape(a2):
        return False
    return bool(operations["all"](operations["equal"](a1, a2)))


def _flat(a: Any) -> Any:
    return operations["reshape"](a, (-1,))


def _ravel(a: Any, order: str = "C") -> Any:
    if order not in ("C", "K", "A"):
        raise OperandError(f"np.ravel of a tensor goes row by row (order='C'), not {order!r}")
    return _flat(a)


def _vdot(a: Any, b: Any) -> Any:
    return operations["dot"](_flat(a), _flat(b))


def _append(arr: Any, values: Any, axis: int | None = None) -> Any:
    return operations["concat"]([arr, values], axis=axis)


def _diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    for _ in range(n):
        a = operations["moveaxis"](a, axis, 0)
        a = operations["moveaxis"](a[1:] - a[:-1], 0, axis)
    return a


def _percentile(a: Any, q: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return operations["quantile"](a, np.asarray(q) / 100, axis=axis, keepdims=keepdims)


def _ptp(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    largest, smallest = operations["max"], operations["min"]
    return largest(a, axis=axis, keepdims=keepdims) - smallest(a, axis=axis, keepdims=keepdims)


def _average(a: Any, axis: Any = None, weights: Any = None, keepdims: bool = False) -> Any:
    if weights is None:
        return operations["mean"](a, axis=axis, keepdims=keepdims)
    total = operations["sum"]
    weighted = operations["broadcast_to"](weights, np.shape(a))
    return total(a * weights, axis=axis, keepdims=keepdims) / total(weighted, axis, keepdims)


def _array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    if isinstance(indices_or_sections, int | np.integer):
        count, extent = int(indices_or_sections), ary.shape[axis]
        sizes = [extent // count + (i < extent % count) for i in range(count)]
        indices_or_sections = list(accumulate(sizes))[:-1]
    return operations["split"](ary, indices_or_sections, axis=axis)


def _hsplit(ary: Any, indices_or_sections: Any) -> Any:
    return operations["split"](ary, indices_or_sections, axis=1 if ary.ndim > 1 else 0)


def _svd(a: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    return operations["svd"](a, full_matrices) if compute_uv else operations["svdvals"](a)


def _at_least(rank: int) -> Any:
    """np.atleast_1d, _2d, _3d: one result, or a tuple of several."""

    def at_least(*arys: Any) -> Any:
        return _wide(*arys) if len(arys) == 1 else tuple(map(_wide, arys))

    def _wide(x: Any) -> Any:
        shape = np.shape(x)
        if rank == 3 and len(shape) < 3:
            shape = (*(1,) * (2 - len(shape)), *shape, 1)
        return operations["reshape"](x, (1,) * (rank - len(shape)) + shape)

    return at_least


def _dtypes(arguments: Any) -> list[Any]:
    return [x.dtype.storage if isinstance(x, Tensor) else x for x in arguments]


def _can_cast(from_: Any, to: Any, casting: Any = "safe") -> bool:
    return np.can_cast(from_.dtype.storage if isinstance(from_, Tensor) else from_, to, casting)


DERIVED = {
    "shape": _shape,
    "ndim": lambda a: a.ndim,
    "size": _size,
    "isclose": _isclose,
    "allclose": _allclose,
    "array_equal": _array_equal,
    "iscomplexobj": lambda x: False,
    "isrealobj": lambda x: True,
    "result_type": lambda *arrays_and_dtypes: np.result_type(*_dtypes(arrays_and_dtypes)),
    "can_cast": _can_cast,
    "array_repr": repr,
    "array_str": repr,
    "array2string": repr,
    "ravel": _ravel,
    "atleast_1d": _at_least(1),
    "atleast_2d": _at_least(2),
    "atleast_3d": _at_least(3),
    "fliplr": lambda m: operations["flip"](m, axis=1),
    "flipud": lambda m: operations["flip"](m, axis=0),
    "vdot": _vdot,
    "append": _append,
    "diff": _diff,
    "percentile": _percentile,
    "ptp": _ptp,
    "average": _average,
    "array_split": _array_split,
    "hsplit": _hsplit,
    "vsplit": lambda ary, indices_or_sections: operations["split"](ary, indices_or_sections, 0),
    "dsplit": lambda ary, indices_or_sections: operations["split"](ary, indices_or_sections, 2),
    "linalg.svd": _svd,
    "linalg.trace": lambda x, offset=0: operations["trace"](x, offset, -2, -1),
    "linalg.diagonal": lambda x, offset=0: operations["diagonal"](x, offset, -2, -1),
    "linalg.multi_dot": lambda arrays: reduce(operations["matmul"], arrays),
}
