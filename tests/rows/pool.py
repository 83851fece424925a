"""Rows of the pooling primitives in limpid/ops/windows."""

import numpy as np

import limpid
from limpid.nn import functional as F
from tests.pool_loops import slow_adaptive, slow_avg, slow_max, slow_unfold
from tests.table import Row, distinct, integers, named, normal, positive

MAX = (F.max_pool1d, F.max_pool2d, F.max_pool3d)
UNPOOL = (F.max_unpool1d, F.max_unpool2d, F.max_unpool3d)


def torch_call(name, *arguments, **options):
    """The function of this name in PyTorch, on a tensor."""
    return lambda t, *x: getattr(t.nn.functional, name)(*x, *arguments, **options)


def max_row(shape, kernel, **options):
    """A row of max pooling; `unbatched` leaves out the first axis."""
    unbatched = options.pop("unbatched", False)
    rank = len(shape) - 2 + unbatched
    call = MAX[rank - 1]

    def reference(x):
        y, positions = slow_max(x[None] if unbatched else x, kernel, **options)
        return (y[0], positions[0]) if unbatched else (y, positions)

    return Row("max_pool", lambda x: call(x, kernel, return_indices=True, **options),
               (distinct(*shape),), reference,
               torch_call(f"max_pool{rank}d", kernel, return_indices=True, **options),
               label=f"{shape} {kernel} {options}")  # fmt: skip


def avg_row(shape, kernel, **options):
    """A row of average pooling."""
    rank = len(shape) - 2
    call = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[rank - 1]
    return Row("sum_pool", lambda x: call(x, kernel, **options), (normal(*shape),),
               lambda x: slow_avg(x, kernel, **options),
               torch_call(f"avg_pool{rank}d", kernel, **options),
               label=f"average {shape} {kernel} {options}")  # fmt: skip


def lp_row(shape, p, kernel, **options):
    """A row of Lp pooling."""
    rank = len(shape) - 2
    call = (F.lp_pool1d, F.lp_pool2d, F.lp_pool3d)[rank - 1]
    primitive = "max_pool" if abs(p) == float("inf") else "sum_pool"
    sample = distinct if primitive == "max_pool" else positive if p != 2 else normal
    return Row(primitive, lambda x: call(x, p, kernel, **options), (sample(*shape),), None,
               torch_call(f"lp_pool{rank}d", p, kernel, **options),
               label=f"lp {shape} {p} {kernel} {options}")  # fmt: skip


def adaptive_rows(shape, out, divides):
    """Rows of adaptive average and max pooling."""
    rank = len(shape) - 2
    full = tuple(w if o is None else o for o, w in zip(out, shape[2:], strict=True))
    average, largest = (getattr(F, f"adaptive_{name}_pool{rank}d") for name in ("avg", "max"))
    label = f"adaptive {shape} {out}"
    return [
        Row("sum_pool" if divides else "resample", lambda x: average(x, out), (normal(*shape),),
            lambda x: slow_adaptive(x, full, np.mean),
            torch_call(f"adaptive_avg_pool{rank}d", out), label=label),
        Row("max_pool" if divides else "max_of_bins", lambda x: largest(x, out),
            (distinct(*shape),), lambda x: slow_adaptive(x, full, np.max),
            torch_call(f"adaptive_max_pool{rank}d", out), label=label),
        Row("window_positions" if divides else "max_of_bins",
            lambda x: largest(x, out, return_indices=True)[1], (distinct(*shape),), None,
            lambda t, x: getattr(t.nn.functional, f"adaptive_max_pool{rank}d")(x, out, True)[1],
            order=0, label=f"{label} positions"),
    ]  # fmt: skip


def fractional_row(shape, kernel, out):
    """A row of fractional max pooling at given random numbers."""
    rank = len(shape) - 2
    call = (F.fractional_max_pool2d, F.fractional_max_pool3d)[rank - 2]
    options = {"output_size": out, "return_indices": True}
    name = f"fractional_max_pool{rank}d"
    samples = named(lambda rng: rng.uniform(size=(*shape[:2], rank)), "samples")
    return Row("max_of_bins", lambda x, u: call(x, kernel, _random_samples=u, **options),
               (distinct(*shape), samples), None,
               lambda t, x, u: getattr(t.nn.functional, name)(
                   x, kernel, _random_samples=u, **options),
               wrt=(0,), dtypes=("float64",),
               label=f"fractional {shape} {kernel} {out}")  # fmt: skip


def unpool_row(shape, kernel, size=None, **options):
    """A row of max unpooling at positions that pooling finds, so they differ."""
    rank = len(shape) - 2
    extents = tuple(w * k for w, k in zip(shape[2:], kernel, strict=True)) if size is None else size

    def positions(rng):
        return MAX[rank - 1](rng.normal(size=(*shape[:2], *extents)), kernel, return_indices=True)[
            1
        ]

    options = {"output_size": size, **options}
    return Row("unpool", lambda x, i: UNPOOL[rank - 1](x, i, kernel, **options),
               (normal(*shape), named(positions, "positions")), None,
               torch_call(f"max_unpool{rank}d", kernel, **options),
               label=f"{shape} {kernel} {size}")  # fmt: skip


def unfold_row(shape, kernel, **options):
    """A row of unfold and one of fold, of which PyTorch has those of images."""
    rank = len(shape) - 2
    columns = slow_unfold(np.zeros(shape), kernel, **options).shape
    torch = (torch_call("unfold", kernel, **options),
             torch_call("fold", shape[2:], kernel, **options))  # fmt: skip
    label = f"{shape} {kernel} {options}"
    return [
        Row("unfold", lambda x: F.unfold(x, kernel, **options), (normal(*shape),),
            lambda x: slow_unfold(x, kernel, **options), torch[0] if rank == 2 else None,
            label=label),
        Row("fold", lambda x: F.fold(x, shape[2:], kernel, **options), (normal(*columns),), None,
            torch[1] if rank == 2 else None, label=label),
    ]  # fmt: skip


WINDOW = {"kernel": (2, 3), "stride": (2, 1), "padding": ((0, 1), (1, 1)), "dilation": (1, 2)}
SIDE = {"kernel": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}


def winners(window, *shape):
    """Winners of windows over an input of this shape."""
    largest = limpid.primitives["max_pool"]
    return named(lambda rng: largest(rng.normal(size=shape), **window)[1], "winners")


def primitive(name, *operands, label="", reference=None, **params):
    """A row of a primitive called on its own."""
    call = limpid.primitives[name]
    return Row(name, lambda *x: call(*x, **params), operands, reference, label=label)


ROWS = [
    max_row((2, 3, 7), 2),
    max_row((2, 3, 8), 3, stride=2, padding=1),
    max_row((1, 2, 9), 3, stride=2, dilation=2, ceil_mode=True),
    max_row((3, 5), 2, unbatched=True),
    max_row((2, 2, 6, 6), 2),
    max_row((2, 2, 5, 7), (2, 3), stride=(3, 1), padding=(1, 1)),
    max_row((1, 2, 6, 5), 3, stride=2, padding=1, ceil_mode=True),
    max_row((1, 2, 7, 7), (3, 2), stride=1, dilation=(2, 3), padding=(1, 0)),
    max_row((2, 5, 5), (5, 5), unbatched=True),
    max_row((1, 2, 6, 6), (6, 3), stride=(1, 2)),
    max_row((1, 1, 3, 3), 1),
    max_row((1, 2, 4, 5, 4), 2, ceil_mode=True),
    max_row((1, 1, 5, 4, 6), (3, 2, 1), stride=(2, 2, 1), padding=(1, 0, 0)),
    Row("max_pool", lambda x: F.max_pool2d(x, 2), (integers(0, 5, 1, 2, 4, 4),),
        lambda x: slow_max(x, 2)[0], order=0),
    primitive("window_pick", normal(2, 5, 7), winners(WINDOW, 2, 5, 7), label="2", **WINDOW),
    primitive("window_put", normal(2, 3, 5), winners(WINDOW, 2, 5, 7), label="2", extents=(5, 7),
              **WINDOW),
    primitive("window_put", normal(2, 3, 2), winners(SIDE, 2, 6, 5), extents=(6, 5),
              label="apart", **SIDE),
    primitive("window_put", normal(3, 2), winners(SIDE, 6, 4), extents=(6, 4),
              label="side by side", **SIDE),
    avg_row((2, 3, 7), 2),
    avg_row((2, 3, 8), 3, stride=2, padding=1, ceil_mode=True),
    avg_row((2, 3, 8), 3, stride=2, padding=1, count_include_pad=False),
    avg_row((1, 2, 6, 6), 2),
    avg_row((1, 2, 5, 7), (3, 2), stride=(2, 3), padding=(1, 1), ceil_mode=True),
    avg_row((1, 2, 5, 7), (3, 2), stride=(2, 3), padding=(1, 1), ceil_mode=True,
            count_include_pad=False),
    avg_row((1, 2, 5, 6), 3, stride=1, divisor_override=4),
    avg_row((2, 1, 4, 4), 4),
    avg_row((1, 1, 3, 3), 1),
    avg_row((1, 2, 4, 5, 6), (2, 3, 2), stride=2, padding=(0, 1, 1)),
    avg_row((1, 2, 4, 5, 6), 2, ceil_mode=True, divisor_override=3),
    primitive("sum_pool", normal(2, 5, 9), label="dilated", **WINDOW),
    primitive("sum_pool_input", normal(2, 3, 5), label="dilated", extents=(5, 7), **WINDOW),
    primitive("sum_pool_input", normal(2, 3, 2), label="side by side", extents=(6, 4), **SIDE),
    primitive("sum_pool_input", normal(2, 1, 1), label="whole", extents=(2, 2), **SIDE),
    lp_row((2, 2, 7), 2, 3),
    lp_row((2, 2, 8), 3, 3, stride=2, ceil_mode=True),
    lp_row((1, 2, 5, 6), 2, (2, 3), stride=1),
    lp_row((1, 2, 5, 6), 1.5, 2, ceil_mode=True),
    lp_row((1, 2, 5, 6), 1, 2),
    lp_row((1, 1, 4, 4, 5), 2, 2),
    lp_row((1, 2, 5, 6), float("inf"), 2),
    lp_row((1, 2, 5, 6), float("-inf"), 2),
    *adaptive_rows((2, 3, 7), (3,), False),
    *adaptive_rows((2, 3, 6), (3,), True),
    *adaptive_rows((1, 2, 5, 7), (None, 3), False),
    *adaptive_rows((1, 2, 6, 4), (3, 1), True),
    *adaptive_rows((1, 2, 3, 2), (5, 3), False),
    *adaptive_rows((1, 2, 4, 5, 3), (2, 2, None), False),
    *adaptive_rows((1, 2, 4, 6, 3), (2, 2, 1), True),
    fractional_row((2, 3, 7, 9), 2, (4, 5)),
    fractional_row((1, 2, 6, 6), (3, 2), (3, 1)),
    fractional_row((1, 2, 6, 7, 5), 2, (4, 3, 3)),
    unpool_row((2, 3, 4), (2,)),
    unpool_row((2, 3, 3), (2,), (7,)),
    unpool_row((1, 2, 3, 2), (2, 3)),
    unpool_row((1, 2, 2, 2, 2), (2, 2, 2), (5, 4, 5)),
    Row("unpool", lambda x, i: F.max_unpool1d(x, i, 2), (normal(1, 3), np.array([[1, 4, 1]])),
        lambda x, i: np.array([[0, x[0, 2], 0, 0, x[0, 1], 0]]), label="twice at one place"),
    Row("unpool_adjoint",
        lambda g, i: limpid.primitives["unpool_adjoint"](g, i, extents=(3, 2)),
        (normal(2, 3, 2), integers(0, 6, 2, 2, 2)), label="2x2"),
    *unfold_row((2, 3, 5, 6), 2),
    *unfold_row((1, 2, 5, 6), (3, 2), dilation=(1, 2), padding=(1, 2), stride=(2, 1)),
    *unfold_row((2, 3, 6), (3,), stride=2, padding=1),
    *unfold_row((1, 2, 3, 4, 5), (2, 1, 3), padding=(0, 0, 1)),
    Row("sum_pool", lambda x, w, b: F.subsampling2d(x, w, b, (2, 3), (2, 1)),
        (normal(2, 3, 5, 4), normal(3), normal(3)),
        lambda x, w, b: slow_avg(x, (2, 3), (2, 1), divisor_override=1) * w[:, None, None]
        + b[:, None, None], label="subsampling 2"),
    Row("sum_pool", lambda x, w, b: F.subsampling1d(x, w, b, 3),
        (normal(3, 5), normal(3), normal(3)),
        lambda x, w, b: slow_avg(x[None], 3, 1, divisor_override=1)[0] * w[:, None] + b[:, None],
        label="subsampling 1"),
    Row("sum_pool", lambda x: F.feature_lp_pool(x, 2, 3, 2), (normal(2, 7, 2, 3),),
        lambda x: np.stack([np.sqrt((x[:, i : i + 3] ** 2).sum(1)) for i in (0, 2, 4)], 1),
        label="over channels"),
    Row("sum_pool", lambda x: F.feature_lp_pool(x, 3, 2), (positive(4),),
        lambda x: (x[1:] ** 3 + x[:-1] ** 3) ** (1 / 3), label="over channels alone"),
    Row("mean", F.global_avg_pool, (normal(2, 3, 4, 5),), lambda x: x.mean((2, 3)),
        label="global"),
    Row("max_pool", F.global_max_pool, (distinct(2, 3, 4, 5),), lambda x: x.max((2, 3)),
        label="global"),
]  # fmt: skip
