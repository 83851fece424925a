"""Direct loops that say what windowed operations compute."""

import numpy as np

WINDOW_PRODUCTS = {3: "nix,cix->nc", 4: "nixy,cixy->nc", 5: "nixyz,cixyz->nc"}


def slow_conv(x, w, stride=1, padding=0, dilation=1, groups=1):
    """A convolution window by window."""
    rank = x.ndim - 2
    stride, padding, dilation = (
        n if isinstance(n, tuple) else (n,) * rank for n in (stride, padding, dilation)
    )
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, w.shape[2:])]
    if padding[0] == "same":
        sides = [((s - 1) // 2, s // 2) for s in spans]
    else:
        sides = [(p, p) for p in padding]
    x = np.pad(x, [(0, 0), (0, 0), *sides])
    out = [(n - span) // s + 1 for n, span, s in zip(x.shape[2:], spans, stride)]
    y = np.zeros((x.shape[0], w.shape[0], *out))
    i, c = w.shape[1], w.shape[0] // groups
    for g in range(groups):
        for place in np.ndindex(*out):
            window = tuple(
                slice(o * s, o * s + span, d)
                for o, s, span, d in zip(place, stride, spans, dilation)
            )
            patch = x[(slice(None), slice(g * i, (g + 1) * i), *window)]
            kernels = w[g * c : (g + 1) * c]
            y[(slice(None), slice(g * c, (g + 1) * c), *place)] = np.einsum(
                WINDOW_PRODUCTS[x.ndim], patch, kernels
            )
    return y


def slow_local(x, w, b, stride=1, padding=0, dilation=1):
    """A locally connected layer place by place."""
    rank = x.ndim - 2
    shared = [
        slow_conv(x, w[place], stride, padding, dilation) for place in np.ndindex(*w.shape[:rank])
    ]
    y = np.zeros_like(shared[0])
    for place, one in zip(np.ndindex(*w.shape[:rank]), shared):
        y[(..., *place)] = one[(..., *place)]
    return y + b
