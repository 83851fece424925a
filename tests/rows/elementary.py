"""Rows of limpid/ops/elementary.py."""

import numpy as np

import limpid
from tests.table import Row, away, normal, positive, uniform

NEAR_ONE = (-0.9, 0.9)


def unary(name, reference, sample, shapes=((3, 4), ()), torch=True, **more):
    """A row for each shape; PyTorch's function, where there is one, has the same name."""
    call = getattr(limpid, name)
    theirs = (lambda t, x: getattr(t, name)(x)) if torch else None
    return [Row(name, call, (sample(*shape),), reference, theirs, **more) for shape in shapes]


def inside(low, high):
    return lambda *shape: uniform(low, high, *shape)


ROWS = [
    *unary("abs", np.abs, away, ((3, 4), (), (2, 0)), order=1),
    *unary("sign", np.sign, away, order=1),
    *unary("sqrt", np.sqrt, positive, ((3, 4), (), (5, 1, 2))),
    *unary("rsqrt", lambda x: 1 / np.sqrt(x), positive, ((1,), (3, 4))),
    *unary("cbrt", np.cbrt, away, torch=False),
    *unary("exp", np.exp, normal, ((3, 4), (), (0,))),
    *unary("exp2", np.exp2, normal),
    *unary("expm1", np.expm1, normal),
    *unary("log", np.log, positive, ((3, 4), (), (2, 1, 3))),
    *unary("log2", np.log2, positive),
    *unary("log10", np.log10, positive, ((7,),)),
    *unary("log1p", np.log1p, inside(-0.8, 3)),
    *unary("sin", np.sin, normal),
    *unary("cos", np.cos, normal),
    *unary("tan", np.tan, inside(-1.2, 1.2)),
    *unary("asin", np.arcsin, inside(*NEAR_ONE)),
    *unary("acos", np.arccos, inside(*NEAR_ONE)),
    *unary("atan", np.arctan, normal),
    *unary("sinh", np.sinh, normal),
    *unary("cosh", np.cosh, normal),
    *unary("tanh", np.tanh, normal, ((3, 4), (), (1, 3, 1))),
    *unary("asinh", np.arcsinh, normal),
    *unary("acosh", np.arccosh, inside(1.3, 4.0)),
    *unary("atanh", np.arctanh, inside(*NEAR_ONE)),
    Row("copysign", limpid.copysign, (away(3, 4), away(4)), np.copysign,
        lambda t, a, b: t.copysign(a, b), order=1),
    Row("copysign", lambda a: limpid.copysign(a, -1.0), (away(),), lambda a: np.copysign(a, -1),
        lambda t, a: t.copysign(a, -1.0), order=1, label="with a number"),
    Row("hypot", limpid.hypot, (away(3, 1), away(4)), np.hypot, lambda t, a, b: t.hypot(a, b)),
    Row("hypot", lambda a: limpid.hypot(a, 1.0), (normal(),), lambda a: np.hypot(a, 1),
        label="with a number"),
    Row("atan2", limpid.atan2, (away(3, 4), away(4)), np.arctan2, lambda t, a, b: t.atan2(a, b)),
    Row("atan2", limpid.atan2, (away(), away()), np.arctan2, lambda t, a, b: t.atan2(a, b)),
    Row("logaddexp", limpid.logaddexp, (normal(3, 4), normal(4)), np.logaddexp,
        lambda t, a, b: t.logaddexp(a, b)),
    Row("logaddexp", lambda x: limpid.logaddexp(0.0, x), (normal(),), lambda x: np.log1p(np.exp(x)),
        label="with a number"),
]  # fmt: skip
