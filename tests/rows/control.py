"""Rows of scan and cond. Eager they are ordinary nodes, so the rows ask for the one node."""

from typing import Any

import numpy as np

import limpid
from limpid.transforms import cond as cond_module
from limpid.transforms.body import settled
from limpid.transforms.nesting import flatten
from limpid.transforms.scan import Nest, as_one_node
from tests.table import Row, normal


def scan(body: Any, init: Any, xs: Any = None, length: int = 0, reverse: bool = False) -> Any:
    """The leaves of what scan returns, by way of the primitive, whatever the mode."""
    start, given = Nest.coming_in(init, xs), Nest.coming_in(xs)
    count = given.leaves[0].shape[0] if given.leaves else length
    result = as_one_node(body, start, given, count, reverse)
    return tuple(leaf for _, leaf in flatten(result)[0])


def cond(predicate: Any, true: Any, false: Any, *operands: Any) -> Any:
    """The leaves of what cond returns, by way of the primitive, whatever the mode."""
    leaves, rebuild = flatten(operands)
    given = settled([leaf for _, leaf in leaves])
    paths = [path for path, _ in leaves]
    result = cond_module.as_one_node(predicate, (true, false), paths, given, rebuild)
    made = tuple(leaf for _, leaf in flatten(result)[0])
    return made if len(made) > 1 else made[0]


def elman(w: Any, u: Any, h: Any, xs: Any, reverse: bool = False) -> Any:
    """A recurrent network that closes over its weights; y is an output of its own."""

    def cell(h: Any, x: Any) -> Any:
        h = limpid.tanh(h @ w + x @ u)
        return h, limpid.sum(h * x[0])

    return scan(cell, h, xs, reverse=reverse)


def elman_loop(w: Any, u: Any, h: Any, xs: Any, reverse: bool = False) -> Any:
    ys = np.zeros(len(xs))
    for t in range(len(xs))[:: -1 if reverse else 1]:
        h = np.tanh(h @ w + xs[t] @ u)
        ys[t] = np.sum(h * xs[t][0])
    return h, ys


def elman_torch(torch: Any, w: Any, u: Any, h: Any, xs: Any) -> Any:
    ys = []
    for x in xs:
        h = torch.tanh(h @ w + x @ u)
        ys.append(torch.sum(h * x[0]))
    return h, torch.stack(ys)


def counted(x: Any, xs: Any) -> Any:
    """A dict as carry with an integer in it, a tuple scanned over, a nesting as y."""

    def body(carry: Any, x: Any) -> Any:
        a, b = x
        n = carry["n"] + 1
        h = carry["h"] * a + limpid.sin(b) * n
        return {"n": n, "h": h}, [h * a, n]

    return scan(body, {"n": 0, "h": x}, (xs, xs * 2.0))


def counted_loop(x: Any, xs: Any) -> Any:
    h, hs = x, []
    for n, a in enumerate(xs, 1):
        h = h * a + np.sin(2.0 * a) * n
        hs.append(h * a)
    return np.int64(len(xs)), h, np.array(hs), np.arange(1, len(xs) + 1)


def power(x: Any) -> Any:
    """No xs and no y: x⁵ · w by repeated multiplication."""
    return scan(lambda c, _: (c * x, None), limpid.sin(x), length=5)[0]


def triangle(x: Any) -> Any:
    """A scan in a scan: the inner one closes over a value of the outer body."""

    def outer(c: Any, row: Any) -> Any:
        inner = limpid.scan(lambda d, e: (d * limpid.cos(e) + c, d * e), c * 0.5, row)
        return inner[0], inner[1] * c

    return scan(outer, x[0, 0], x)


def triangle_loop(x: Any) -> Any:
    c, rows = x[0, 0], []
    for row in x:
        d, made = c * 0.5, []
        for e in row:
            made.append(d * e * c)
            d = d * np.cos(e) + c
        rows.append(made)
        c = d
    return c, np.array(rows)


def alternating(c: Any, xs: Any) -> Any:
    """A cond in a scan, with a predicate that depends on what is scanned over."""

    def body(c: Any, x: Any) -> Any:
        c = limpid.cond(x > 0, lambda c: c * x, lambda c: limpid.sin(c) + x, c)
        return c, c * c

    return scan(body, c, xs)


def alternating_loop(c: Any, xs: Any) -> Any:
    ys = []
    for x in xs:
        c = c * x if x > 0 else np.sin(c) + x
        ys.append(c * c)
    return c, np.array(ys)


def newton(x: Any, steps: Any) -> Any:
    """A gradient taken in the body: gradient steps on cos h, from x, of lengths `steps`."""
    slope = limpid.grad(lambda h: limpid.sum(limpid.cos(h)))
    return scan(lambda h, a: (h - a * slope(h), None), x, steps)[0]


def newton_loop(x: Any, steps: Any) -> Any:
    for a in steps:
        x = x + a * np.sin(x)
    return x


def chosen(flag: bool) -> Any:
    """Branches that use different operands, so that a gradient is zero where one goes unused."""
    predicate = np.array(flag)
    return lambda x, w: cond(
        predicate, lambda x, w: (x * w, limpid.sum(x)), lambda x, w: (limpid.sin(x), 0.0), x, w
    )


ROWS = [
    Row("scan", elman, (normal(3, 3), normal(3, 3), normal(3), normal(4, 3)), elman_loop,
        elman_torch, label="elman"),
    Row("scan", lambda *x: elman(*x, reverse=True),
        (normal(3, 3), normal(3, 3), normal(3), normal(4, 3)),
        lambda *x: elman_loop(*x, reverse=True), label="elman, reverse"),
    Row("scan", counted, (normal(2), normal(3, 2)), counted_loop, label="counted"),
    Row("scan", power, (normal(3),), lambda x: np.sin(x) * x**5,
        lambda t, x: t.sin(x) * x**5, label="no xs, no y"),
    Row("scan", triangle, (normal(3, 2),), triangle_loop, label="in a scan"),
    Row("scan", alternating, (normal(), normal(4)), alternating_loop, label="of a cond"),
    Row("scan", newton, (normal(3), normal(4)), newton_loop, label="of a gradient"),
    Row("scan", elman, (normal(3, 3), normal(3, 3), normal(3), normal(0, 3)), elman_loop,
        label="no iterations"),
    Row("scan", counted, (normal(0), normal(3, 0)), counted_loop, label="zero-size"),
    Row("cond", chosen(True), (normal(3), normal(3)), lambda x, w: (x * w, x.sum()), label="true"),
    Row("cond", chosen(False), (normal(3), normal(3)), lambda x, w: (np.sin(x), 0.0),
        label="false"),
    Row("cond", lambda x: cond(limpid.sum(x) > 0, limpid.exp, limpid.sin, x), (normal(2, 3),),
        lambda x: np.exp(x) if x.sum() > 0 else np.sin(x), label="by value"),
]  # fmt: skip
