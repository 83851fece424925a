"""Rows of limpid/ops/affine.py, losses.py, class_losses.py and targets.py."""

import numpy as np
import scipy.special

import limpid
from limpid.nn import functional as F
from tests.table import Row, away, integers, normal, positive, uniform


def log_probabilities(x, axis=1):
    return scipy.special.log_softmax(x, axis=axis)


def reduce(losses, reduction, total=None):
    if reduction == "none":
        return losses
    return losses.sum() / (1 if reduction == "sum" else losses.size if total is None else total)


def nll(logs, target, weight=None, ignore=-100, reduction="mean"):
    """Negative log-likelihood, row by row, for scores with the classes on axis 1."""
    logs = np.moveaxis(logs, 1, -1)
    weight = np.ones(logs.shape[-1]) if weight is None else weight
    losses, weights = np.zeros(target.shape), np.zeros(target.shape)
    for place in np.ndindex(*target.shape):
        if target[place] != ignore:
            weights[place] = weight[target[place]]
            losses[place] = -weights[place] * logs[place][target[place]]
    return reduce(losses, reduction, weights.sum())


def cross_entropy(x, target, weight=None, ignore=-100, smoothing=0.0, reduction="mean"):
    logs = log_probabilities(x)
    hard = nll(logs, target, weight, ignore, reduction)
    if not smoothing:
        return hard
    weight = np.ones(x.shape[1]) if weight is None else weight
    valid = target != ignore
    spread = -(np.moveaxis(logs, 1, -1) * weight).sum(-1) * valid
    total = weight[np.where(valid, target, 0)][valid].sum()
    return (1 - smoothing) * hard + smoothing / x.shape[1] * reduce(spread, reduction, total)


def multi_margin(x, target, p=1, margin=1.0, average=True):
    losses = np.zeros(len(x))
    for n, (scores, y) in enumerate(zip(x, target, strict=True)):
        for j, score in enumerate(scores):
            if j != y:
                losses[n] += max(0.0, score - scores[y] + margin) ** p
    return losses / (x.shape[1] if average else 1)


def distribution(target, **options):
    params = {
        "classes": 4, "axis": 1, "ignore_index": -100, "label_smoothing": 0.0,
        "reduction": "mean", "dtype": "float64",
    }  # fmt: skip
    return limpid.primitives["target_distribution"](target, **(params | options))


def smoothed(target, weight):
    """What `target_distribution` is with weights and smoothing 0.2, by the cross-entropy of it."""
    q = np.zeros((len(target), 4))
    for n, y in enumerate(target):
        q[n] = 0.05 * weight
        q[n, y] += 0.8 * weight[y]
    return q / weight[target].sum()


def torch_multi_margin(torch, x, y, p, reduction):
    """PyTorch's own has no second derivative."""
    excess = (x - x.gather(1, y[:, None]) + 1).clamp(min=0) ** p
    losses = excess.scatter(1, y[:, None], 0.0).sum(1) / x.shape[1]
    return losses if reduction == "none" else getattr(losses, reduction)()


WEIGHT = np.array([0.5, 2.0, 1.0, 3.0])
PADDED = np.array([0, 3, -100, 1, 3])  # with a row to leave out

ROWS = [
    Row("linear", lambda x, w, b: F.linear(x, w, b), (normal(5, 3), normal(2, 3), normal(2)),
        lambda x, w, b: x @ w.T + b, lambda t, x, w, b: t.nn.functional.linear(x, w, b)),
    Row("linear", lambda x, w, b: F.linear(x, w, b), (normal(3), normal(2, 3), normal(2)),
        lambda x, w, b: x @ w.T + b, lambda t, x, w, b: t.nn.functional.linear(x, w, b)),
    Row("linear", lambda x, w, b: F.linear(x, w, b),
        (normal(2, 4, 3), normal(2, 3), normal(2)), lambda x, w, b: x @ w.T + b,
        lambda t, x, w, b: t.nn.functional.linear(x, w, b)),
    Row("linear", lambda x, w, b: F.linear(x, w, b), (normal(0, 3), normal(2, 3), normal(2)),
        lambda x, w, b: x @ w.T + b, label="no rows"),
    Row("linear", lambda x, w, b: F.linear(x, w, b), (normal(4, 0), normal(2, 0), normal(2)),
        lambda x, w, b: x @ w.T + b, label="no features"),

    # Losses of a choice among classes
    Row("cross_entropy", F.cross_entropy, (normal(5, 4), integers(0, 4, 5)), cross_entropy,
        lambda t, x, y: t.nn.functional.cross_entropy(x, y)),
    *[
        Row("cross_entropy", lambda x, y, r=r: F.cross_entropy(x, y, reduction=r),
            (normal(5, 4), integers(0, 4, 5)), lambda x, y, r=r: cross_entropy(x, y, reduction=r),
            lambda t, x, y, r=r: t.nn.functional.cross_entropy(x, y, reduction=r), label=r)
        for r in ("sum", "none")
    ],
    Row("cross_entropy", F.cross_entropy, (normal(4), 2),
        lambda x, y: -log_probabilities(x, 0)[y],
        lambda t, x, y: t.nn.functional.cross_entropy(x, t.tensor(y)), label="one row"),
    *[
        Row("cross_entropy",
            lambda x, y, w, r=r: F.cross_entropy(x, y, w, -100, r, label_smoothing=0.2),
            (normal(2, 4, 3), integers(0, 4, 2, 3), WEIGHT),
            lambda x, y, w, r=r: cross_entropy(x, y, w, -100, 0.2, r),
            lambda t, x, y, w, r=r: t.nn.functional.cross_entropy(
                x, y, w, reduction=r, label_smoothing=0.2),
            wrt=(0,), label=f"weighted, smoothed, {r}")
        for r in ("mean", "sum", "none")
    ],
    *[
        Row("cross_entropy",
            lambda x, s=s, r=r: F.cross_entropy(x, PADDED, reduction=r, label_smoothing=s),
            (normal(5, 4),),
            lambda x, s=s, r=r: cross_entropy(x, PADDED, smoothing=s, reduction=r),
            lambda t, x, s=s, r=r: t.nn.functional.cross_entropy(
                x, t.tensor(PADDED), reduction=r, label_smoothing=s),
            label=f"padded, smoothing {s}, {r}")
        for s in (0.0, 0.3) for r in ("mean", "none")
    ],
    Row("cross_entropy", lambda x: F.cross_entropy(x, np.abs(PADDED % 4), WEIGHT, ignore_index=3),
        (normal(5, 4),), lambda x: cross_entropy(x, np.abs(PADDED % 4), WEIGHT, ignore=3),
        lambda t, x: t.nn.functional.cross_entropy(
            x, t.tensor(np.abs(PADDED % 4)), t.tensor(WEIGHT).to(x.dtype), ignore_index=3),
        label="a class left out"),
    Row("cross_entropy", F.cross_entropy, (uniform(-900, 900, 5, 4), integers(0, 4, 5)),
        cross_entropy, lambda t, x, y: t.nn.functional.cross_entropy(x, y), order=1,
        label="large scores", tolerance=1e-5),
    *[
        Row("soft_cross_entropy", lambda x, q, r=r: F.cross_entropy(x, q, reduction=r),
            (normal(5, 4), positive(5, 4)),
            lambda x, q, r=r: reduce(-(q * log_probabilities(x)).sum(1), r),
            lambda t, x, q, r=r: t.nn.functional.cross_entropy(x, q, reduction=r), label=r)
        for r in ("mean", "sum", "none")
    ],
    Row("soft_cross_entropy",
        lambda x, q: F.cross_entropy(x, q, WEIGHT.astype(x.dtype), label_smoothing=0.1),
        (normal(2, 4, 3), positive(2, 4, 3)),
        lambda x, q: reduce(-(
            (0.9 * q + 0.1 / 4) * WEIGHT[:, None] * log_probabilities(x)).sum(1), "mean"),
        lambda t, x, q: t.nn.functional.cross_entropy(
            x, q, t.tensor(WEIGHT).to(x.dtype), label_smoothing=0.1), label="weighted, smoothed"),
    Row("soft_cross_entropy", F.cross_entropy, (normal(4), positive(4)),
        lambda x, q: -(q * log_probabilities(x, 0)).sum(),
        lambda t, x, q: t.nn.functional.cross_entropy(x, q), label="one row"),
    *[
        Row("nll", lambda x, y, w, r=r: F.nll_loss(x, y, w, reduction=r),
            (normal(2, 4, 3), integers(0, 4, 2, 3), WEIGHT),
            lambda x, y, w, r=r: nll(x, y, w, reduction=r),
            lambda t, x, y, w, r=r: t.nn.functional.nll_loss(x, y, w, reduction=r),
            wrt=(0,), label=r)
        for r in ("mean", "sum", "none")
    ],
    Row("nll", lambda x: F.nll_loss(x, PADDED), (normal(5, 4),), lambda x: nll(x, PADDED),
        lambda t, x: t.nn.functional.nll_loss(x, t.tensor(PADDED)), label="padded"),
    *[
        Row("multi_hinge", lambda x, y, p=p, r=r: F.multi_margin_loss(x, y, p, reduction=r),
            (normal(5, 4), integers(0, 4, 5)),
            lambda x, y, p=p, r=r: reduce(multi_margin(x, y, p), r),
            lambda t, x, y, p=p, r=r: torch_multi_margin(t, x, y, p, r), order=p,
            label=f"p={p}, {r}")
        for p in (1, 2) for r in ("mean", "sum", "none")
    ],
    Row("multi_hinge", lambda x, y, w: F.multi_margin_loss(x, y, margin=0.7, weight=w),
        (normal(5, 4), integers(0, 4, 5), WEIGHT),
        lambda x, y, w: (multi_margin(x, y, 1, 0.7) * w[y]).mean(),
        lambda t, x, y, w: t.nn.functional.multi_margin_loss(x, y, margin=0.7, weight=w),
        wrt=(0,), order=1, label="weighted"),
    Row("multi_hinge", F.multiclass_hinge_loss, (normal(5, 4), integers(0, 4, 5)),
        lambda x, y: multi_margin(x, y, average=False).mean(), order=1, label="lecture"),
    Row("target_distribution", lambda y: distribution(y), (integers(0, 4, 5),),
        lambda y: np.eye(4)[y] / 5, order=0),
    Row("target_distribution", lambda y: distribution(y, axis=0, reduction="sum"),
        (integers(0, 4, 2, 3),), lambda y: np.moveaxis(np.eye(4)[y], -1, 0), order=0,
        label="classes first"),
    Row("target_distribution",
        lambda y: limpid.primitives["target_distribution"](
            y, WEIGHT, classes=4, axis=1, ignore_index=-100, label_smoothing=0.2,
            reduction="mean", dtype="float64"),
        (integers(0, 4, 5),), lambda y: smoothed(y, WEIGHT), order=0, label="weighted, smoothed"),
    Row("less_target",
        lambda p, y: limpid.primitives["less_target"](
            p, y, axis=1, ignore_index=2, label_smoothing=0.0, reduction="mean"),
        (positive(5, 4), integers(0, 4, 5)),
        lambda p, y: (p - np.eye(4)[y]) * (y != 2)[:, None] / (y != 2).sum()),
    Row("less_target",
        lambda p, y: limpid.primitives["less_target"](
            p, y, axis=1, ignore_index=-100, label_smoothing=0.0, reduction="none"),
        (positive(2, 4, 3), integers(0, 4, 2, 3)),
        lambda p, y: p - np.moveaxis(np.eye(4)[y], -1, 1)),
    Row("less_target",
        lambda p, y: limpid.primitives["less_target"](
            p, y, WEIGHT.astype(p.dtype), axis=1, ignore_index=-100, label_smoothing=0.2,
            reduction="mean"),
        (positive(5, 4), integers(0, 4, 5)),
        lambda p, y: smoothed(y, WEIGHT).sum(1)[:, None] * p - smoothed(y, WEIGHT),
        label="weighted, smoothed"),

    # Losses of each element
    *[
        Row("squared_error", lambda x, y, r=r: F.mse_loss(x, y, reduction=r),
            (normal(3, 4), normal(3, 4)), lambda x, y, r=r: reduce((x - y) ** 2, r),
            lambda t, x, y, r=r: t.nn.functional.mse_loss(x, y, reduction=r), label=r)
        for r in ("mean", "sum", "none")
    ],
    Row("absolute_error", F.l1_loss, (away(3, 4), lambda rng: rng.integers(-3, 3, (3, 4)) * 1.0),
        lambda x, y: np.abs(x - y).mean(), lambda t, x, y: t.nn.functional.l1_loss(x, y),
        order=1, label="apart"),
    *[
        Row("huber", lambda x, y, d=d: F.huber_loss(x, y, delta=d), (normal(3, 4), normal(3, 4)),
            lambda x, y, d=d: scipy.special.huber(d, x - y).mean(),
            lambda t, x, y, d=d: t.nn.functional.huber_loss(x, y, delta=d), label=f"delta {d}")
        for d in (1.0, 0.3)
    ],
    *[
        Row("smooth_l1", lambda x, y, b=b: F.smooth_l1_loss(x, y, beta=b),
            (normal(3, 4), normal(3, 4)),
            lambda x, y, b=b: scipy.special.huber(b, x - y).mean() / b,
            lambda t, x, y, b=b: t.nn.functional.smooth_l1_loss(x, y, beta=b), label=f"beta {b}")
        for b in (1.0, 0.3)
    ],
    Row("binary_cross_entropy", F.binary_cross_entropy,
        (uniform(0.05, 0.95, 3, 4), uniform(0, 1, 3, 4)),
        lambda p, y: -(y * np.log(p) + (1 - y) * np.log1p(-p)).mean(),
        lambda t, p, y: t.nn.functional.binary_cross_entropy(p, y)),
    Row("binary_cross_entropy",
        lambda p, y, w: F.binary_cross_entropy(p, y, w, reduction="sum"),
        (uniform(0.05, 0.95, 3, 4), uniform(0, 1, 3, 4), positive(4)),
        lambda p, y, w: -((y * np.log(p) + (1 - y) * np.log1p(-p)) * w).sum(),
        lambda t, p, y, w: t.nn.functional.binary_cross_entropy(
            p, y, w.expand(3, 4), reduction="sum"), wrt=(0, 1), label="weighted"),
    Row("binary_cross_entropy",
        lambda p, y, w: F.binary_cross_entropy(p, y, w, reduction="none"),
        (uniform(0.05, 0.95, 3, 4), uniform(0, 1, 3, 4), positive(4)),
        lambda p, y, w: -(y * np.log(p) + (1 - y) * np.log1p(-p)) * w, label="each"),
    Row("binary_cross_entropy_with_logits", F.binary_cross_entropy_with_logits,
        (normal(3, 4), uniform(0, 1, 3, 4)),
        lambda x, y: (np.logaddexp(0, x) - x * y).mean(),
        lambda t, x, y: t.nn.functional.binary_cross_entropy_with_logits(x, y)),
    Row("binary_cross_entropy_with_logits",
        lambda x, y, w: F.binary_cross_entropy_with_logits(x, y, pos_weight=w, reduction="none"),
        (uniform(-40, 40, 3, 4), uniform(0, 1, 3, 4), positive(4)),
        lambda x, y, w: (1 - y) * np.logaddexp(0, x) + w * y * np.logaddexp(0, -x),
        lambda t, x, y, w: t.nn.functional.binary_cross_entropy_with_logits(
            x, y, pos_weight=w, reduction="none"), label="pos_weight", wrt=(0, 1)),
    Row("binary_cross_entropy_with_logits",
        lambda x, y, w: F.binary_cross_entropy_with_logits(x, y, pos_weight=w, reduction="sum"),
        (normal(3, 4), uniform(0, 1, 3, 4), positive(4)),
        lambda x, y, w: ((1 - y) * np.logaddexp(0, x) + w * y * np.logaddexp(0, -x)).sum(),
        label="by pos_weight"),
    *[
        Row("kl_divergence", lambda x, y, r=r: F.kl_div(x, y, reduction=r),
            (normal(3, 4), positive(3, 4)),
            lambda x, y, r=r: (y * (np.log(y) - x)).sum() / (3 if r == "batchmean" else 12),
            lambda t, x, y, r=r: t.nn.functional.kl_div(x, y, reduction="sum") / (
                3 if r == "batchmean" else 12), label=r)
        for r in ("mean", "batchmean")
    ],
    Row("kl_divergence", lambda x, y: F.kl_div(x, y, "sum", log_target=True),
        (normal(3, 4), normal(3, 4)), lambda x, y: (np.exp(y) * (y - x)).sum(),
        lambda t, x, y: t.nn.functional.kl_div(x, y, reduction="sum", log_target=True),
        label="log_target"),
    Row("logistic", F.soft_margin_loss, (normal(3, 4), normal(3, 4)),
        lambda x, y: np.logaddexp(0, -y * x).mean(),
        lambda t, x, y: t.nn.functional.softplus(-y * x).mean()),
    Row("logistic", F.logistic_loss, (uniform(-50, 50, 3, 4),),
        lambda x: np.logaddexp(0, -x).mean(), lambda t, x: -t.nn.functional.logsigmoid(x).mean(),
        label="of class 1"),
    Row("hinge", F.hinge_loss, (normal(3, 4), normal(3, 4)),
        lambda x, y: np.maximum(0, 1 - y * x).mean()),
    Row("hinge", lambda a, b, y: F.margin_ranking_loss(a, b, y, 0.3),
        (normal(5), normal(5), normal(5)), lambda a, b, y: np.maximum(0, 0.3 - y * (a - b)).mean(),
        lambda t, a, b, y: t.nn.functional.margin_ranking_loss(a, b, y, 0.3), label="ranking"),
    Row("hinge", lambda x, y: F.hinge_embedding_loss(x, y * 2 - 1, 0.8),
        (normal(8), integers(0, 2, 8)),
        lambda x, y: np.where(y == 1, x, np.maximum(0, 0.8 - x)).mean(),
        lambda t, x, y: t.nn.functional.hinge_embedding_loss(x, y * 2 - 1, 0.8), order=1,
        label="embedding"),
]  # fmt: skip
