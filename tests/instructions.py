"""What lines of random programs may say: expressions of Python on values that there are.

Each function draws one expression, or gives nothing where no value fits. What may grow is followed
by something bounded, and nothing is asked outside of where it is defined.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.drawing import Drawing

Instruction = Callable[["Drawing"], str | None]

UNARY = [
    "limpid.sin({x})",
    "limpid.cos({x})",
    "limpid.tanh({x})",
    "limpid.exp(-{x} * {x})",
    "limpid.sigmoid({x})",
    "limpid.sqrt(1.5 + limpid.sin({x}))",
    "limpid.log(1 + {x}**2)",
    "limpid.log1p(limpid.exp(limpid.tanh({x})))",
    "{x} / (2 + limpid.square({x}))",
    "1 / (1.5 + limpid.tanh({x}))",
    "-{x}",
    "abs({x})",
    "3 - 2 * limpid.sin({x}) + np.float64(0.5) * {x}",
    "limpid.tanh({x}) ** 3",
    "(1.5 + limpid.sin({x})) ** -1.5",
    "2.0 ** limpid.tanh({x})",
    "limpid.expm1(limpid.tanh({x}))",
    "limpid.maximum({x}, 0)",
    "limpid.relu({x})",
    "limpid.clip({x}, -0.75, 0.8)",
    "limpid.leaky_relu({x}, 0.1)",
    "limpid.softplus({x})",
    "limpid.silu({x})",
    "limpid.elu({x})",
    "limpid.log_sigmoid({x})",
    "limpid.erf({x})",
    "limpid.gelu({x})",
    "limpid.atan({x})",
    "limpid.cosh(limpid.sin({x}))",
    "limpid.asinh({x})",
    "limpid.cbrt(1.5 + limpid.sin({x}))",
    "limpid.acos(0.9 * limpid.sin({x}))",
    "limpid.lgamma(2.5 + limpid.tanh({x}))",
    "({x} > 0.1) * {x}",
    "{x} + limpid.floor(3 * {x} + 0.1)",
    "limpid.remainder({x} + 0.2, 0.7)",
    "limpid.round({x}) * {x}",
    "limpid.where({x} > 0.2, limpid.sin({x}), {x} * {x} / (1 + {x} * {x}))",
    "{x} * limpid.sin({x}) + {x}",
    "limpid.stop_gradient({x}) * limpid.tanh({x})",
    "limpid.astype({x} > 0.3, {x}.dtype) - {x}",
    "{x} * 1",
    "limpid.sum(limpid.sin({x})) + {x}",
    "F.dropout({x}, 0.3)",
]

RESHAPED = [
    "limpid.reshape({x}, (-1,))",
    "{x}[..., None]",
    "{x}[None]",
    "limpid.permute_dims({x}, tuple(reversed(range({x}.ndim))))",
    "limpid.expand_dims({x}, axis=0)",
    "limpid.squeeze({x}[None], axis=0)",
    "limpid.stack([{x}, limpid.sin({x}), {x}], axis={x}.ndim)",
    "limpid.broadcast_to({x}, (2, *{x}.shape))",
    "limpid.reshape({x}, (*{x}.shape[1:], -1))",
    "limpid.tile({x}, 2)",
    "limpid.pad({x}, 1)",
]

ALONG = [
    "limpid.tanh(limpid.sum({x}, {how}))",
    "limpid.mean({x}, {how})",
    "limpid.max({x}, {how})",
    "limpid.min({x}, {how})",
    "limpid.prod(limpid.sin({x}), {how})",
    "limpid.var({x}, {how})",
    "limpid.std(limpid.concat([limpid.reshape({x}, (-1,)), np.arange(3.0).astype({d})]))",
    "limpid.logsumexp({x}, {how})",
    "limpid.sqrt(1 + limpid.sum(limpid.square({x}), {how}))",
    "limpid.sin(limpid.sum({x}, {how})) + limpid.mean({x})",
]

ON_AXIS = [
    "limpid.sin(limpid.cumsum({x}, axis={axis}))",
    "limpid.cumprod(limpid.sin({x}), axis={axis})",
    "limpid.cummax({x}, axis={axis})[0]",
    "limpid.logcumsumexp({x}, axis={axis})",
    "limpid.flip({x}, axis={axis}) * {x}",
    "limpid.roll({x}, 1, axis={axis}) - {x}",
    "limpid.sort({x}, axis={axis})",
    "limpid.softmax({x}, axis={axis})",
    "limpid.log_softmax({x}, axis={axis})",
    "limpid.concat([{x}, limpid.sin({x}), {x}], axis={axis})",
    "limpid.take_along_axis({x}, limpid.argsort(-{x}, axis={axis}), axis={axis})",
    "limpid.take({x}, np.array([0, -1, 0]), axis={axis})",
    "limpid.moveaxis({x}, {axis}, 0)",
    "limpid.repeat({x}, 2, axis={axis})",
    "limpid.linear_recurrence(limpid.tanh({x}), limpid.sin({x}), axis={axis})",
    "F.softmin({x}, dim={axis})",
    "F.normalize({x} + 2, dim={axis})",
    "limpid.median({x}, axis={axis})",
]

ITEMS = [
    "{x}[0]",
    "{x}[..., -1]",
    "{x}[::-1] * {x}",
    "{x}[..., ::2]",
    "{x}[1:]",
    "{x}[3:]",
    "{x}[..., 1:-1]",
    "{x}[np.array([0, -1, 0])]",
    "{x}[..., np.arange({x}.shape[-1]) % 2 == 0]",
    "{x}[np.array([0, 1]), ..., np.array([[1], [0]])]",
    "limpid.set_item({x}, (0,), limpid.sin({x}[-1]))",
    "limpid.set_item({x}, (..., slice(None, None, 2)), 0.5)",
    "limpid.set_item({x}, np.array([0, 1]), 2 * limpid.set_item({x}, np.array([1, 0]), 1.5)[1:3])",
    "limpid.triu({x})",
    "limpid.diagonal({x})",
]

BINARY = [
    "{a} + {b}",
    "{a} - {b}",
    "{a} * limpid.tanh({b})",
    "{a} / (1.5 + limpid.sin({b}))",
    "(1.5 + limpid.sin({a})) ** limpid.tanh({b})",
    "limpid.maximum({a}, {b})",
    "limpid.minimum({a}, {b})",
    "limpid.where({a} > {b}, {a} * {a} / (1 + {a} * {a}), limpid.sin({b}))",
    "limpid.hypot(1 + {a} * {a}, {b})",
    "limpid.logaddexp({a}, {b})",
    "limpid.atan2({a}, 1.5 + limpid.sin({b}))",
    "limpid.stack(limpid.broadcast_arrays({a}, {b}))",
    "limpid.set_item({a}, (slice(0, 1),), {b})",
    "{a} * limpid.stop_gradient(limpid.sin({b}))",
    "limpid.concat([limpid.reshape({a}, (-1,)), limpid.reshape({b}, (-1,))])",
    "F.mse_loss({a}, {b})",
    "F.smooth_l1_loss({a}, {b})",
    "F.binary_cross_entropy_with_logits({a}, limpid.sigmoid({b}))",
    "F.kl_div(limpid.log_softmax({a}, axis=-1), limpid.softmax({b}, axis=-1), reduction='sum')",
    "F.cosine_similarity({a} + 2, {b} + 2, dim=-1)",
]

PRODUCTS = [
    "limpid.tanh({a} @ {b})",
    "limpid.tanh(limpid.matmul({a}, limpid.matrix_transpose({b})))",
    "limpid.tanh(limpid.matrix_transpose({a}) @ {b})",
    "limpid.tanh(limpid.reshape({a}, (-1, 1)) * limpid.reshape({b}, (1, -1)))",
    "limpid.tanh(limpid.einsum('...i,...i->...', {a}, {b}))",
    "limpid.tanh(limpid.einsum('ij,ji->', {a}, {b}))",
    "limpid.tanh(limpid.einsum('...ij,jk->...ik', {a}, {b}))",
    "limpid.tanh(limpid.einsum('ij,ik->ijk', {a}, {b}))",
    "limpid.tanh(limpid.einsum('bij,bkj->bik', {a}, {b}))",
    "limpid.tanh(limpid.outer({a}, {b}))",
]

CONTROL = [
    "limpid.cond(limpid.sum({x}) > 0.1, limpid.sin, lambda t: t * t / (1 + t * t), {x})",
    "limpid.scan(lambda c, t: (limpid.tanh(0.5 * c + t), c * limpid.cos(t)), {x}[0], {x})[1]",
    "limpid.scan(lambda c, t: (limpid.sin(c * t), None), {x}[0] + 1, {x}, reverse=True)[0]",
    "limpid.scan(lambda c, t: (0.5 * c + limpid.mean({x}) * t, t - c), {x}[0], {x})[1]",
]


def elementwise(d: Drawing) -> str | None:
    return d.one_of(UNARY, x=d.floats())


def reshaped(d: Drawing) -> str | None:
    return d.one_of(RESHAPED, x=d.floats())


def along(d: Drawing) -> str | None:
    x = d.floats()
    rank = d.rank(x)
    axes = [None, (), *range(-rank, rank), tuple(range(rank)), tuple(range(1, rank))]
    how = f"axis={d.choose(axes)}, keepdims={d.choose([False, True])}"
    return d.one_of(ALONG, x=x, how=how, d=f"{x}.dtype")


def on_axis(d: Drawing) -> str | None:
    x = d.floats(lambda x: x.ndim > 0)
    return x and d.one_of(ON_AXIS, x=x, axis=d.axis(x))


def items(d: Drawing) -> str | None:
    x = d.floats(lambda x: x.ndim > 0)
    return x and d.one_of(ITEMS, x=x)


def binary(d: Drawing) -> str | None:
    return d.one_of(BINARY, a=d.floats(), b=d.floats())


def products(d: Drawing) -> str | None:
    a = d.floats(lambda x: x.ndim > 0)
    return a and d.one_of(PRODUCTS, a=a, b=d.floats())


def control(d: Drawing) -> str | None:
    x = d.floats(lambda x: x.ndim > 0)
    return x and d.one_of(CONTROL, x=x)


def dense(d: Drawing) -> str | None:
    """A layer with new parameters."""
    x = d.floats(lambda x: x.ndim > 0)
    if not x:
        return None
    wide, made = d.shape(x)[-1], d.choose([1, 3, 8, 17])
    bias = f", {d.parameter(made)}" if d.choose([True, False]) else ""
    return f"limpid.tanh(F.linear({x}, {d.parameter(made, wide)}{bias}))"


def convolution(d: Drawing) -> str | None:
    """With new parameters, over one or two axes.

    Not of NaN: zero times NaN, at the border, is there for some ways of computing it only.
    """
    x = d.floats(lambda x: x.ndim in (3, 4))
    if not x or d.odd:
        return None
    channels, rank = d.shape(x)[1], d.rank(x) - 2
    groups = d.choose([1, 1, channels]) or 1
    made = d.choose([1, 2, 5, 16]) * groups
    kernel = [d.choose([1, 2, 3]) for _ in range(rank)]
    options = f"stride={d.choose([1, 1, 2])}, padding={d.choose([0, 1, 2])}"
    if d.choose([False, False, True]):
        weight = d.parameter(channels, max(made // groups, 1), *kernel)
        return f"limpid.tanh(F.conv_transpose{rank}d({x}, {weight}, {options}, groups={groups}))"
    weight = d.parameter(made, channels // groups, *kernel)
    bias = f", {d.parameter(made)}" if d.choose([True, False]) else ""
    options += f", dilation={d.choose([1, 1, 2])}, groups={groups}"
    return f"limpid.tanh(F.conv{rank}d({x}, {weight}{bias}, {options}))"


def pooling(d: Drawing) -> str | None:
    x = d.floats(lambda x: x.ndim in (3, 4))
    if not x:
        return None
    size, step, pad = d.choose([1, 2, 3]), d.choose([1, 2, 3]), d.choose([0, 0, 1])
    texts = [
        "F.max_pool{r}d({x}, {size}, {step}, {pad})",
        "F.avg_pool{r}d({x}, {size}, {step}, {pad})",
        "F.adaptive_avg_pool{r}d({x}, {size})",
        "F.adaptive_max_pool{r}d({x}, {size})",
        "F.lp_pool{r}d({x} + 3, 2, {size}, {step})",
    ]
    return d.one_of(texts, x=x, r=d.rank(x) - 2, size=size, step=step, pad=pad)


def normalization(d: Drawing) -> str | None:
    """With parameters and, of batches, running statistics, which it writes."""
    x = d.floats(lambda x: x.ndim > 1)
    if not x:
        return None
    shape = d.shape(x)
    kind = d.choose(["batch", "batch", "layer", "group", "rms"])
    if kind == "layer":
        return f"F.layer_norm({x}, {shape[-1:]}, {d.parameter(shape[-1])}, None, 0.1)"
    if kind == "rms":
        return f"F.rms_norm({x}, {shape[-1:]}, {d.parameter(shape[-1])}, 0.1)"
    if kind == "group":
        return f"F.group_norm({x}, 1, {d.parameter(shape[1])}, {d.parameter(shape[1])}, 0.1)"
    means, variances = d.buffer(shape[1]), d.buffer(shape[1])
    weights = f"{d.parameter(shape[1])}, {d.parameter(shape[1])}"
    return f"F.batch_norm({x}, {means}, {variances}, {weights}, True, 0.1, 0.1)"


def labelled(d: Drawing) -> str | None:
    """A loss with labels, which are an argument."""
    x = d.floats(lambda x: x.ndim == 2 and x.shape[1] > 0)
    if not x:
        return None
    rows, classes = d.shape(x)
    labels = d.indices(classes, rows)
    texts = [
        "F.cross_entropy({x}, {y})",
        "F.cross_entropy({x}, {y}, label_smoothing=0.1, reduction='none')",
        "F.nll_loss(limpid.log_softmax({x}, axis=1), {y})",
        "F.multi_margin_loss({x}, {y})",
    ]
    return d.one_of(texts, x=x, y=labels)


def looked_up(d: Drawing) -> str | None:
    """Gathers and scatters with indices that are an argument."""
    x = d.floats(lambda x: x.ndim > 0 and x.shape[0] > 0)
    if not x:
        return None
    extent = d.shape(x)[0]
    kind = d.choose(["take", "embedding", "scatter", "item", "written"])
    if kind == "scatter":
        return f"limpid.scatter_add({x}, {d.indices(5, extent)}, axis=0, extent=5)"
    indices = d.indices(extent, *d.choose([(), (2,), (7,), (2, 3)]))
    if kind == "embedding":
        return f"F.embedding({indices}, {d.parameter(extent, 3)})"
    if kind == "item":
        return f"{x}[{indices}]"
    if kind == "written":
        return f"limpid.set_item({x}, {indices}, 0.25)"
    return f"limpid.take({x}, {indices}, axis=0)"


def whole_numbers(d: Drawing) -> str | None:
    """Integers and truths that are found by value."""
    x = d.floats(lambda x: x.ndim > 0)
    texts = [
        "limpid.argmax({x}, axis={axis})",
        "limpid.argmin({x}, axis={axis})",
        "limpid.argsort({x}, axis={axis})",
        "limpid.sum({x} > 0.3, axis={axis})",
        "limpid.any({x} > 0.9, axis={axis})",
        "limpid.astype(limpid.floor(3 * {x} + 0.1), 'int32') % 5",
    ]
    return x and d.one_of(texts, x=x, axis=d.axis(x))


INSTRUCTIONS: dict[Instruction, int] = {
    elementwise: 6, binary: 5, along: 4, on_axis: 3, items: 2, reshaped: 2, products: 3, dense: 2,
    convolution: 3, pooling: 2, normalization: 2, labelled: 1, looked_up: 2, whole_numbers: 1,
    control: 1,
}  # fmt: skip
