"""Rows of limpid/ops/softmax.py."""

import numpy as np
from scipy import special

import limpid
from tests.table import Row, Sample, normal, uniform


def with_infinities(rng: np.random.Generator) -> np.ndarray:
    x = rng.normal(size=(3, 4))
    x[0, 1] = x[0, 2] = x[2, 0] = -np.inf
    return x


def wide(*shape: int) -> Sample:
    return uniform(-300, 300, *shape)


ROWS = [
    Row("logsumexp", limpid.logsumexp, (normal(5),), special.logsumexp,
        lambda t, x: x.logsumexp(0)),
    Row("logsumexp", lambda x: limpid.logsumexp(x, -1), (wide(3, 4),),
        lambda x: special.logsumexp(x, 1), lambda t, x: x.logsumexp(1), label="wide"),
    Row("logsumexp", lambda x: limpid.logsumexp(x, (0, 2), True), (normal(2, 3, 4),),
        lambda x: special.logsumexp(x, (0, 2), keepdims=True),
        lambda t, x: x.logsumexp((0, 2), keepdim=True)),
    Row("softmax", limpid.softmax, (normal(3, 4),), lambda x: special.softmax(x, -1),
        lambda t, x: x.softmax(-1)),
    Row("softmax", lambda x: limpid.softmax(x, 1), (normal(2, 3, 4),),
        lambda x: special.softmax(x, 1), lambda t, x: x.softmax(1)),
    Row("softmax", lambda x: limpid.softmax(x, None), (normal(3, 4),), special.softmax,
        lambda t, x: x.flatten().softmax(0).reshape(x.shape), label="all"),
    Row("softmax", lambda x: limpid.softmax(x, (0, -1)), (normal(2, 3, 4),),
        lambda x: special.softmax(x, (0, 2))),
    Row("log_softmax", limpid.log_softmax, (normal(3, 4),), lambda x: special.log_softmax(x, -1),
        lambda t, x: x.log_softmax(-1)),
    Row("log_softmax", lambda x: limpid.log_softmax(x, 0), (wide(3, 4),),
        lambda x: special.log_softmax(x, 0), lambda t, x: x.log_softmax(0), label="wide"),
    Row("log_softmax", lambda x: limpid.log_softmax(x, (0, 1)), (normal(2, 3, 4),),
        lambda x: special.log_softmax(x, (0, 1))),
    Row("logsumexp", lambda x: limpid.logsumexp(x, 1), (with_infinities,),
        lambda x: special.logsumexp(x, 1), order=0, label="minus infinity"),
]  # fmt: skip
