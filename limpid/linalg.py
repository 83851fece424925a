"""Linear algebra by the names of the Array API's extension and of `numpy.linalg`.

Matrices lie in the last two axes, all axes before them are batch axes.
"""

from limpid.ops.contract import matmul
from limpid.ops.layout import matrix_transpose
from limpid.ops.linalg.determinant import det, slogdet
from limpid.ops.linalg.diagonals import diagonal, trace
from limpid.ops.linalg.factors import cholesky, qr
from limpid.ops.linalg.norms import matrix_norm, norm
from limpid.ops.linalg.spectral import eigh, eigvalsh, matrix_rank, svd, svdvals
from limpid.ops.linalg.systems import inv, lstsq, matrix_power, pinv, solve
from limpid.ops.linalg.triangular import solve_triangular
from limpid.ops.products import cross, outer, tensordot, vecdot
from limpid.ops.statistics import vector_norm

__all__ = [
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "lstsq",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]
