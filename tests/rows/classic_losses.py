"""Rows of limpid/ops/multilabel.py; losses of pairs, likelihoods, and more ways to call others."""

import numpy as np
import scipy.special
import scipy.stats

import limpid
from limpid.nn import functional as F
from tests.rows.losses import log_probabilities, nll, reduce
from tests.table import Row, away, normal, positive, uniform

REDUCTIONS = ("mean", "sum", "none")
LABELS = np.array([[2, 0, -1, 1], [3, -1, -1, -1], [-1, 2, 3, 0], [0, 1, 2, 3], [1, 3, 1, -1]])
SIGNS = np.array([1, -1, -1, 1, 0, -1])
PICTURE = np.array([[[0, 3], [1, 1], [-100, 2]], [[2, -100], [0, 3], [1, 1]]])  # (N, H, W)
WEIGHT = np.array([0.5, 2.0, 1.0, 3.0])


def multilabel(x, target):
    """Label by label and class by class."""
    losses = np.zeros(len(x))
    for n, (scores, given) in enumerate(zip(x, target, strict=True)):
        labels = []
        for label in given:
            if label < 0:
                break
            labels.append(label)
        for y in labels:
            for i, score in enumerate(scores):
                if i not in labels:
                    losses[n] += max(0.0, 1 - scores[y] + score)
    return losses / x.shape[1]


def violations(x):
    """The slope of the loss by differences: it is linear between its kinks."""
    y = np.zeros_like(x)
    for at in np.ndindex(*x.shape):
        step = np.zeros_like(x)
        step[at] = 1e-6
        y[at] = (multilabel(x + step, LABELS) - multilabel(x - step, LABELS)).sum() / 2e-6
    return np.round(y * x.shape[1])


def torch_multilabel(t, x, target):
    """PyTorch's own has no second derivative, so the same by its other functions."""
    losses = []
    for scores, given in zip(x, target.tolist(), strict=True):
        labels = given[: given.index(-1)] if -1 in given else given
        others = [i for i in range(len(scores)) if i not in labels]
        excess = 1 - scores[labels][:, None] + scores[others]
        losses.append(excess.clamp(min=0).sum() / len(scores))
    return t.stack(losses)


def cosine(x, y, eps=0.0):
    return (x * y).sum(-1) / np.sqrt(((x * x).sum(-1) + eps) * ((y * y).sum(-1) + eps))


def cosine_embedding(x, y, target, margin):
    c = cosine(x, y, 1e-12)
    return np.select([target == 1, target == -1], [1 - c, np.maximum(c - margin, 0)], 0.0)


def distance(x, y, p=2.0, eps=1e-6):
    return np.linalg.norm(x - y + eps, p, axis=-1)


def triplet(a, p, n, margin=1.0, order=2.0, swap=False):
    far = distance(a, n, order)
    if swap:
        far = np.minimum(far, distance(p, n, order))
    return np.maximum(margin + distance(a, p, order) - far, 0)


def gaussian(x, y, var, full):
    y = -scipy.stats.norm.logpdf(y, x, np.sqrt(var))
    return y if full else y - 0.5 * np.log(2 * np.pi)


def poisson(x, y, log_input, full):
    loss = np.exp(x) - y * x if log_input else x - y * np.log(x + 1e-8)
    more = np.where(y > 1, y * np.log(y) - y + 0.5 * np.log(2 * np.pi * y), 0)
    return loss + more if full else loss


def chosen(losses, reduction):
    return losses if reduction == "none" else getattr(losses, reduction)()


ROWS = [
    *[
        Row("multilabel_hinge", lambda x, r=r: F.multilabel_margin_loss(x, LABELS, r),
            (normal(5, 4),), lambda x, r=r: reduce(multilabel(x, LABELS), r),
            lambda t, x, r=r: chosen(torch_multilabel(t, x, LABELS), r), order=1, label=r)
        for r in REDUCTIONS
    ],
    Row("multilabel_hinge", lambda x: F.multilabel_margin_loss(x, LABELS[0]), (normal(4),),
        lambda x: multilabel(x[None], LABELS[:1])[0],
        lambda t, x: torch_multilabel(t, x[None], LABELS[:1])[0], order=1, label="one row"),
    Row("multilabel_hinge", lambda x: F.multilabel_margin_loss(x, np.zeros((0, 4), int), "sum"),
        (normal(0, 4),), lambda x: 0.0, order=1, label="no rows"),
    Row("margin_violations", lambda x: limpid.primitives["margin_violations"](x, LABELS),
        (normal(5, 4),), violations, order=0),
    *[
        Row("binary_cross_entropy_with_logits",
            lambda x, y, w, r=r: F.multilabel_soft_margin_loss(x, y, w, r),
            (normal(5, 4), uniform(0, 1, 5, 4), positive(4)),
            lambda x, y, w, r=r: reduce(((np.logaddexp(0, x) - x * y) * w).mean(1), r),
            lambda t, x, y, w, r=r: t.nn.functional.multilabel_soft_margin_loss(
                x, y, w, reduction=r), label=f"multilabel, {r}")
        for r in REDUCTIONS
    ],

    # Pairs and triplets
    Row("norm", F.cosine_similarity, (normal(5, 3), normal(5, 3)), cosine,
        lambda t, x, y: t.nn.functional.cosine_similarity(x, y), label="cosine"),
    Row("norm", lambda x, y: F.cosine_similarity(x, y, dim=-2), (normal(2, 3, 4), normal(3, 1)),
        lambda x, y: cosine(np.swapaxes(x, 1, 2), y.T),
        lambda t, x, y: t.nn.functional.cosine_similarity(x, y, dim=-2), label="cosine, broadcast"),
    *[
        Row("norm", lambda x, y, p=p: F.pairwise_distance(x, y, p), (normal(5, 3), normal(5, 3)),
            lambda x, y, p=p: distance(x, y, p),
            lambda t, x, y, p=p: t.nn.functional.pairwise_distance(x, y, p), label=f"distance {p}",
            order=1 if p in (1.0, np.inf) else 2)
        for p in (1.0, 2.0, 3.0, np.inf)
    ],
    Row("norm", lambda x, y: F.pairwise_distance(x, y, 2.0, 0.1, True),
        (normal(2, 5, 3), normal(3)),
        lambda x, y: distance(x, y, 2.0, 0.1)[..., None],
        lambda t, x, y: t.nn.functional.pairwise_distance(x, y, 2.0, 0.1, True),
        label="distance, kept"),
    *[
        Row("divide",
            lambda x, y, r=r: F.cosine_embedding_loss(x, y, SIGNS, 0.1, r),
            (normal(6, 3), normal(6, 3)),
            lambda x, y, r=r: reduce(cosine_embedding(x, y, SIGNS, 0.1), r),
            lambda t, x, y, r=r: t.nn.functional.cosine_embedding_loss(
                x, y, t.tensor(SIGNS), 0.1, reduction=r), label=f"cosine embedding, {r}")
        for r in REDUCTIONS
    ],
    Row("divide", lambda x, y: F.cosine_embedding_loss(x, y, 1), (normal(3), normal(3)),
        lambda x, y: 1 - cosine(x, y),
        lambda t, x, y: t.nn.functional.cosine_embedding_loss(x, y, t.tensor(1)),
        label="cosine embedding, one pair"),
    *[
        Row("norm", lambda a, p, n, r=r, s=s: F.triplet_margin_loss(a, p, n, swap=s, reduction=r),
            (normal(5, 3), normal(5, 3), normal(5, 3)),
            lambda a, p, n, r=r, s=s: reduce(triplet(a, p, n, swap=s), r),
            lambda t, a, p, n, r=r, s=s: t.nn.functional.triplet_margin_loss(
                a, p, n, swap=s, reduction=r), label=f"triplet, {r}, swap={s}")
        for r in REDUCTIONS for s in (False, True)
    ],
    Row("norm", lambda a, p, n: F.triplet_margin_loss(a, p, n, 3.0, 1.0),
        (normal(3), normal(3), normal(3)),
        lambda a, p, n: triplet(a, p, n, 3.0, 1.0),
        lambda t, a, p, n: t.nn.functional.triplet_margin_loss(a, p, n, 3.0, 1.0),
        label="triplet, one", order=1),

    # Likelihoods
    *[
        Row("squared_error",
            lambda x, y, v, r=r, full=full: F.gaussian_nll_loss(x, y, v, full, reduction=r),
            (normal(4, 3), normal(4, 3), positive(*shape)),
            lambda x, y, v, r=r, full=full: reduce(
                gaussian(x, y, v if v.ndim == 2 else v[:, None], full), r),
            lambda t, x, y, v, r=r, full=full: t.nn.functional.gaussian_nll_loss(
                x, y, v, full, reduction=r), label=f"gaussian, {r}, {shape}")
        for r, full, shape in (
            ("mean", False, (4, 3)), ("sum", True, (4, 1)), ("none", True, (4,)),
            ("mean", True, (1, 3)))
    ],
    *[
        Row("log" if full or not log else "exp",
            lambda x, y, r=r, log=log, full=full: F.poisson_nll_loss(x, y, log, full, reduction=r),
            (positive(4, 3), uniform(0.2, 6, 4, 3)),
            lambda x, y, r=r, log=log, full=full: reduce(poisson(x, y, log, full), r),
            lambda t, x, y, r=r, log=log, full=full: t.nn.functional.poisson_nll_loss(
                x, y, log, full, reduction=r), label=f"poisson, {r}, {log}, {full}")
        for r, log, full in (
            ("mean", True, False), ("sum", True, True), ("none", False, True),
            ("mean", False, False))
    ],
    *[
        Row("abs", lambda x, r=r: F.l1_cost(x, r), (away(3, 4),),
            lambda x, r=r: reduce(np.abs(x), r), lambda t, x, r=r: chosen(x.abs(), r), order=1,
            label=f"L1 cost, {r}")
        for r in REDUCTIONS
    ],

    # Every reduction, and weights, of losses that are there for long
    *[
        Row(name, lambda x, y, w, r=r, f=f: getattr(F, f)(x, y, reduction=r, weight=w),
            (away(3, 4), lambda rng: rng.integers(-3, 3, (3, 4)) * 1.0, positive(3, 4)),
            lambda x, y, w, r=r, name=name: reduce(
                np.abs(x - y) ** (2 if name == "squared_error" else 1) * w, r,
                w.sum()),
            lambda t, x, y, w, r=r, f=f: getattr(t.nn.functional, f)(
                x, y, reduction=r, weight=w), order=2 if f == "mse_loss" else 1,
            label=f"weighted, {r}")
        for name, f in (("squared_error", "mse_loss"), ("absolute_error", "l1_loss"))
        for r in REDUCTIONS
    ],
    Row("huber", lambda x, y, w: F.huber_loss(x, y, weight=w),
        (normal(3, 4), normal(3, 4), positive(3, 4)),
        lambda x, y, w: (scipy.special.huber(1.0, x - y) * w).mean(),
        lambda t, x, y, w: t.nn.functional.huber_loss(x, y, weight=w), label="weighted"),
    *[
        Row(name, lambda x, y, r=r, f=f: getattr(F, f)(x, y, reduction=r), operands, None,
            lambda t, x, y, r=r, f=f: getattr(t.nn.functional, f)(x, y, reduction=r),
            label=f"{f}, {r}", order=order)
        for name, f, operands, order in (
            ("absolute_error", "l1_loss", (normal(3, 4), normal(3, 4)), 1),
            ("smooth_l1", "smooth_l1_loss", (normal(3, 4), normal(3, 4)), 2),
            ("huber", "huber_loss", (normal(3, 4), normal(3, 4)), 2),
            ("binary_cross_entropy", "binary_cross_entropy",
             (uniform(0.05, 0.95, 3, 4), uniform(0, 1, 3, 4)), 2),
            ("kl_divergence", "kl_div", (normal(3, 4), positive(3, 4)), 2),
            ("logistic", "soft_margin_loss", (normal(3, 4), lambda rng: SIGNS[rng.integers(
                0, 4, (3, 4))]), 2),
            ("hinge", "hinge_embedding_loss", (normal(3, 4), lambda rng: SIGNS[rng.integers(
                0, 4, (3, 4))]), 1),
        )
        for r in ("sum", "none")
    ],
    *[
        Row("nll",
            lambda x, r=r: F.nll_loss(x, PICTURE, WEIGHT.astype(x.dtype), reduction=r),
            (normal(2, 4, 3, 2),), lambda x, r=r: nll(x, PICTURE, WEIGHT, reduction=r),
            lambda t, x, r=r: t.nn.functional.nll_loss(
                x, t.tensor(PICTURE), t.tensor(WEIGHT).to(x.dtype), reduction=r),
            label=f"picture, {r}")
        for r in REDUCTIONS
    ],
    Row("nll", lambda x: F.nll_loss(x, np.abs(PICTURE % 4), ignore_index=1), (normal(2, 4, 3, 2),),
        lambda x: nll(x, np.abs(PICTURE % 4), ignore=1),
        lambda t, x: t.nn.functional.nll_loss(x, t.tensor(np.abs(PICTURE % 4)), ignore_index=1),
        label="picture, a class left out"),
    Row("cross_entropy", lambda x: F.cross_entropy(x, PICTURE, WEIGHT.astype(x.dtype)),
        (normal(2, 4, 3, 2),), lambda x: nll(log_probabilities(x), PICTURE, WEIGHT),
        lambda t, x: t.nn.functional.cross_entropy(
            x, t.tensor(PICTURE), t.tensor(WEIGHT).to(x.dtype)), label="picture"),
    Row("prelu", lambda x, s: F.rrelu(x, noise=s), (away(3, 4), uniform(0.1, 0.4, 3, 4)),
        lambda x, s: np.where(x > 0, x, s * x),
        lambda t, x, s: t.where(x > 0, x, s * x), label="random slopes"),
    Row("leaky_relu", F.rrelu, (away(3, 4),), lambda x: np.where(x > 0, x, 11 / 48 * x),
        lambda t, x: t.nn.functional.rrelu(x), order=1, label="mean slope"),
]  # fmt: skip
