"""Rows of limpid/ops/windows/conv.py."""

import limpid
from limpid.nn import functional as F
from tests.loops import slow_conv, slow_local
from tests.table import Row, normal

CONV = (F.conv1d, F.conv2d, F.conv3d)
TRANSPOSED = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)


def conv(x, w, **options):
    """A row of the forward convolution."""
    rank = len(x) - 2
    call, name = CONV[rank - 1], f"conv{rank}d"
    return Row("conv", lambda x, w: call(x, w, **options), (normal(*x), normal(*w)),
               lambda x, w: slow_conv(x, w, **options),
               lambda t, x, w: getattr(t.nn.functional, name)(x, w, **options),
               label=f"{x} {w} {options}")  # fmt: skip


def transposed(x, w, **options):
    """A row of the transposed convolution."""
    rank = len(x) - 2
    call, name = TRANSPOSED[rank - 1], f"conv_transpose{rank}d"
    return Row("conv_input", lambda x, w: call(x, w, **options), (normal(*x), normal(*w)), None,
               lambda t, x, w: getattr(t.nn.functional, name)(x, w, **options),
               label=f"{x} {w} {options}")  # fmt: skip


def local(x, w, places, **options):
    """A row of the locally connected layer."""
    return Row("local_conv", lambda x, w, b: F.locally_connected(x, w, b, **options),
               (normal(*x), normal(*places, *w), normal(w[0], *places)),
               lambda x, w, b: slow_local(x, w, b, **options),
               label=f"{x} {w} {options}")  # fmt: skip


def weight_gradient(x, g, kernel, **options):
    """A row of the weight's adjoint on its own."""
    params = {"stride": (1,), "padding": ((0, 0),), "dilation": (1,), "groups": 1, **options}

    def in_torch(t, x, g):
        w = t.zeros((g.shape[1], x.shape[1] // params["groups"], *kernel), dtype=x.dtype)
        w.requires_grad_()
        y = t.nn.functional.conv1d(
            x, w, None, params["stride"], params["padding"][0][0], params["dilation"],
            params["groups"],
        )  # fmt: skip
        return t.autograd.grad(y, w, g, create_graph=True)[0]

    return Row("conv_weight",
               lambda x, g: limpid.primitives["conv_weight"](x, g, kernel=kernel, **params),
               (normal(*x), normal(*g)), None, in_torch,
               label=f"{x} {kernel} {options}")  # fmt: skip


def local_adjoint(name, first, second, **params):
    """A row of an adjoint of the locally connected layer, checked against the layer itself."""
    window = {"stride": (2,), "padding": ((1, 1),), "dilation": (1,)}
    return Row(name, lambda a, b: limpid.primitives[name](a, b, **window, **params),
               (normal(*first), normal(*second)), label=str(first))  # fmt: skip


ROWS = [
    conv((2, 3, 7), (4, 3, 3)),
    conv((2, 3, 9), (4, 3, 3), stride=2, padding=1, dilation=2),
    conv((1, 4, 8), (6, 2, 2), groups=2, stride=3, padding=2),
    conv((2, 3, 6), (6, 1, 3), groups=3, padding="same"),
    conv((2, 1, 4), (1, 1, 4)),
    conv((0, 2, 5), (3, 2, 3)),
    conv((2, 2, 5, 6), (3, 2, 3, 2)),
    conv((2, 2, 6, 5), (2, 2, 3, 3), stride=(2, 1), padding=(1, 2), dilation=(1, 2)),
    conv((1, 4, 5, 5), (4, 1, 3, 3), groups=4, padding=1),
    conv((1, 3, 4, 4), (2, 3, 1, 1)),
    conv((2, 3, 5, 5), (4, 3, 2, 2), padding="same", dilation=2),
    conv((2, 16, 4, 5), (17, 16, 3, 3), padding=1),
    conv((1, 2, 4, 3, 5), (2, 2, 2, 3, 2), padding=(1, 1, 0), stride=(1, 2, 2)),
    conv((2, 2, 3, 3, 3), (4, 1, 2, 2, 2), groups=2),
    transposed((2, 3, 4), (3, 2, 3)),
    transposed((2, 4, 4), (4, 2, 3), stride=3, padding=1, output_padding=2, groups=2, dilation=2),
    transposed((1, 2, 3), (2, 2, 2), stride=1, dilation=3, output_padding=2),
    transposed((2, 2, 3, 4), (2, 3, 3, 2), stride=(2, 3), padding=(1, 0), output_padding=(1, 2)),
    transposed((1, 4, 3, 3), (4, 1, 3, 3), groups=4, stride=2),
    transposed((1, 2, 2, 2, 3), (2, 2, 2, 3, 2), stride=2, padding=(0, 1, 1)),
    weight_gradient((2, 3, 7), (2, 4, 5), (3,)),
    weight_gradient((2, 4, 9), (2, 6, 4), (2,), stride=(3,), padding=((2, 2),), groups=2),
    local((2, 3, 7), (4, 3, 3), (5,)),
    local((2, 2, 6), (3, 2, 3), (3,), stride=2, padding=1),
    local((2, 2, 4, 5), (2, 2, 2, 3), (3, 3)),
    local((1, 1, 5, 5), (2, 1, 2, 2), (3, 2), stride=(1, 2), padding=(0, 0), dilation=(2, 1)),
    local((1, 1, 3, 3, 3), (2, 1, 2, 2, 2), (2, 2, 2)),
    local_adjoint("local_conv_input", (2, 4, 3), (3, 4, 2, 3), extents=(6,)),
    local_adjoint("local_conv_weight", (2, 2, 6), (2, 4, 3), kernel=(3,)),
]
