"""Losses, activations, dropout and tables of the classic library against PyTorch's layers."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.nn import functional as F

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

RNG = np.random.default_rng(0)
X, Y, Z = (RNG.normal(size=(6, 5)) for _ in range(3))
LABELS = np.array([[2, 0, -1, 1, 3], [3, -1, -1, -1, 0], [-1] * 5, [0, 1, 2, 3, 4],
                   [1, 3, 1, -1, 0], [4, 4, 0, 2, -1]])  # fmt: skip
SIGNS = np.array([1, -1, -1, 1, 1, -1])
WEIGHT = RNG.uniform(0.5, 2, 5)
BOTH = np.where(RNG.normal(size=(6, 5)) > 0, 1.0, -1.0)
LOSSES: list[tuple[str, dict[str, Any], tuple[Any, ...]]] = [
    ("L1Loss", {}, (X, Y)), ("MSELoss", {}, (X, Y)), ("SmoothL1Loss", {"beta": 0.4}, (X, Y)),
    ("HuberLoss", {"delta": 0.4}, (X, Y)), ("KLDivLoss", {"log_target": True}, (X, Y)),
    ("BCELoss", {"weight": WEIGHT}, (abs(X) / 4, abs(Y) / 4)),
    ("BCEWithLogitsLoss", {"weight": WEIGHT, "pos_weight": WEIGHT[::-1].copy()}, (X, abs(Y) / 4)),
    ("NLLLoss", {"weight": WEIGHT, "ignore_index": 2}, (X, np.array([0, 4, 2, 1, 2, 3]))),
    ("NLLLoss", {}, (RNG.normal(size=(2, 5, 3, 4)), RNG.integers(0, 5, (2, 3, 4)))),
    ("CrossEntropyLoss", {"weight": WEIGHT}, (X, np.array([0, 4, 2, 1, 2, 3]))),
    ("MultiMarginLoss", {"weight": WEIGHT, "margin": 0.7}, (X, np.array([0, 4, 2, 1, 2, 3]))),
    ("MultiMarginLoss", {"p": 2}, (X, np.array([0, 4, 2, 1, 2, 3]))),
    ("MultiLabelMarginLoss", {}, (X, LABELS)), ("MultiLabelMarginLoss", {}, (X[0], LABELS[0])),
    ("MultiLabelSoftMarginLoss", {"weight": WEIGHT}, (X, abs(Y) / 4)),
    ("SoftMarginLoss", {}, (X, BOTH)), ("HingeEmbeddingLoss", {"margin": 0.6}, (X, BOTH)),
    ("MarginRankingLoss", {"margin": 0.2}, (X, Y, BOTH)),
    ("CosineEmbeddingLoss", {"margin": -0.3}, (X, Y, SIGNS)),
    ("CosineEmbeddingLoss", {}, (X[0], Y[0], np.array(-1))),
    ("TripletMarginLoss", {"margin": 2.0, "p": 3.0, "swap": True}, (X, Y, Z)),
    ("TripletMarginLoss", {}, (X.reshape(2, 3, 5), Y.reshape(2, 3, 5), Z.reshape(2, 3, 5))),
    ("TripletMarginWithDistanceLoss", {"margin": 2.0}, (X, Y, Z)),
    ("GaussianNLLLoss", {"full": True}, (X, Y, Z**2)), ("GaussianNLLLoss", {}, (X, Y, Z[:, :1]**2)),
    ("PoissonNLLLoss", {"full": True}, (X, abs(Y) * 4)),
    ("PoissonNLLLoss", {"log_input": False, "eps": 1e-3}, (abs(X), abs(Y) * 4)),
]  # fmt: skip
CONSTANT = ("SoftMarginLoss", "HingeEmbeddingLoss")


def close(mine: Any, theirs: Any, tolerance: float = 1e-8) -> None:
    mine = mine.detach().numpy() if isinstance(mine, limpid.Tensor) else np.asarray(mine)
    theirs = theirs.detach().numpy()
    assert mine.shape == theirs.shape
    np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance)


def pair(x: Any) -> tuple[Any, Any]:
    """The same numbers on both sides; floats require a gradient."""
    x = np.array(x)
    if x.dtype.kind != "f":
        return x, torch.from_numpy(x)
    return limpid.tensor(x, requires_grad=True), torch.from_numpy(x).requires_grad_()


def names(case: Any) -> str:
    return str(case) if isinstance(case, str) else ""


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("name", "options", "operands"), LOSSES, ids=names)
def test_losses(
    name: str, options: dict[str, Any], operands: tuple[Any, ...], reduction: str
) -> None:
    mine = getattr(nn, name)(**options, reduction=reduction)
    given = {k: torch.from_numpy(v) if hasattr(v, "shape") else v for k, v in options.items()}
    theirs = getattr(torch.nn, name)(**given, reduction=reduction)
    ours, others = zip(*map(pair, operands), strict=True)
    if name in CONSTANT:  # PyTorch has no derivative by the target
        others = tuple(x.detach().requires_grad_(i == 0) for i, x in enumerate(others))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns of the mean of KLDivLoss
        y, z = mine(*ours), theirs(*others)
    close(y, z)
    g = RNG.normal(size=y.shape)
    y.backward(g)
    z.backward(torch.from_numpy(g))
    for a, b in zip(ours, others, strict=True):
        if isinstance(a, limpid.Tensor) and b.requires_grad:
            close(a.grad, b.grad)
    assert repr(mine) == repr(theirs)
    assert list(mine.state_dict()) == list(theirs.state_dict())


@pytest.mark.parametrize("kind", ["CosineSimilarity", "PairwiseDistance"])
def test_similarities(kind: str) -> None:
    x, y = RNG.normal(size=(2, 5, 4)), RNG.normal(size=(5, 4))
    options: list[dict[str, Any]] = [{}, {"eps": 0.5}]
    options += [{"dim": -1}] if kind == "CosineSimilarity" else [{"p": 1.0, "keepdim": True}]
    for option in options:
        (a, c), (b, d) = pair(x), pair(y)
        mine, theirs = getattr(nn, kind)(**option), getattr(torch.nn, kind)(**option)
        v, w = mine(a, b), theirs(c, d)
        close(v, w)
        limpid.sum(v * v).backward()
        (w * w).sum().backward()
        close(a.grad, c.grad)
        close(b.grad, d.grad)
        assert repr(mine) == repr(theirs)


def test_bounds_are_not_differentiated_as_in_pytorch() -> None:
    x, v = np.array([[1e-3, -2e-3]]), np.array([[1e-9, 2.0]])
    (a, c), (b, d) = pair(x), pair(x[:, ::-1])
    y, z = F.cosine_similarity(a, b, eps=0.1), torch.nn.functional.cosine_similarity(c, d, eps=0.1)
    close(y, z)
    y.sum().backward()
    z.sum().backward()
    close(a.grad, c.grad)
    (a, c), (b, d) = pair(x), pair(v)
    y = F.gaussian_nll_loss(a, x + 1, b)
    z = torch.nn.functional.gaussian_nll_loss(c, torch.from_numpy(x + 1), d)
    y.backward()
    z.backward()
    close(y, z)
    close(a.grad, c.grad)
    close(b.grad, d.grad)


EMBEDDINGS: list[dict[str, Any]] = [
    {}, {"padding_idx": 2}, {"max_norm": 1.2}, {"max_norm": 1.0, "norm_type": 1.0},
    {"max_norm": 0.7, "norm_type": float("inf"), "padding_idx": -1},
    {"scale_grad_by_freq": True}, {"scale_grad_by_freq": True, "max_norm": 1, "padding_idx": 0},
]  # fmt: skip


@pytest.mark.parametrize("options", EMBEDDINGS, ids=lambda o: "-".join(o))
def test_embeddings_over_several_batches(options: dict[str, Any]) -> None:
    mine = nn.Embedding(6, 3, **options, dtype="float64")
    theirs = torch.nn.Embedding(6, 3, **options, dtype=torch.float64)
    mine.load_state_dict(theirs.state_dict())
    assert repr(mine) == repr(theirs)
    for index in (np.array([[2, 5, 5], [0, 2, 1]]), np.array([3, 3, 3]), np.zeros((0, 2), int)):
        y, z = mine(index), theirs(torch.from_numpy(index))
        close(y, z)
        mine.zero_grad()
        theirs.zero_grad()
        limpid.sum(y * y).backward()
        (z * z).sum().backward()
        close(mine.weight.grad, theirs.weight.grad)
        close(mine.weight, theirs.weight)


BAGS: list[dict[str, Any]] = [
    {"mode": mode, **options}
    for mode in ("sum", "mean", "max")
    for options in (
        {}, {"padding_idx": 2}, {"include_last_offset": True}, {"max_norm": 1.2, "norm_type": 3.0},
        {"scale_grad_by_freq": True, "padding_idx": -2},
    )
    if mode != "max" or "scale_grad_by_freq" not in options
]  # fmt: skip


@pytest.mark.parametrize("options", BAGS, ids=lambda o: "-".join(map(str, o.values())))
def test_bags(options: dict[str, Any]) -> None:
    mine = nn.EmbeddingBag(6, 3, **options, dtype="float64")
    theirs = torch.nn.EmbeddingBag(6, 3, **options, dtype=torch.float64)
    mine.load_state_dict(theirs.state_dict())
    assert repr(mine) == repr(theirs)
    flat, offsets = np.array([2, 5, 5, 0, 2, 1, 3, 3]), np.array([0, 3, 3, 4])
    if "include_last_offset" in options:
        offsets = np.array([0, 3, 3, 4, 8])
    for given in ((flat, offsets), (flat.reshape(2, 4),)):
        y, z = mine(*given), theirs(*map(torch.from_numpy, given))
        close(y, z)
        mine.zero_grad()
        theirs.zero_grad()
        limpid.sum(y * y).backward()
        (z * z).sum().backward()
        close(mine.weight.grad, theirs.weight.grad)


def test_factors_in_bags() -> None:
    index, offsets = np.array([2, 5, 5, 0, 2, 1]), np.array([0, 4])
    (f, h), (w, v) = pair(RNG.normal(size=6)), pair(RNG.normal(size=(6, 3)))
    for padding in (None, 2):
        y = F.embedding_bag(
            index, w, offsets, mode="sum", per_sample_weights=f, padding_idx=padding
        )
        z = torch.nn.functional.embedding_bag(
            torch.from_numpy(index), v, torch.from_numpy(offsets), mode="sum",
            per_sample_weights=h, padding_idx=padding)  # fmt: skip
        close(y, z)
        f.grad = h.grad = w.grad = v.grad = None
        limpid.sum(y * y).backward()
        (z * z).sum().backward()
        close(f.grad, h.grad)
        close(w.grad, v.grad)


def test_pretrained_tables() -> None:
    rows = RNG.normal(size=(4, 3))
    for kind in ("Embedding", "EmbeddingBag"):
        mine = getattr(nn, kind).from_pretrained(rows, padding_idx=1)
        theirs = getattr(torch.nn, kind).from_pretrained(torch.from_numpy(rows), padding_idx=1)
        assert repr(mine) == repr(theirs)
        assert mine.weight.requires_grad == theirs.weight.requires_grad
        index = np.array([[0, 1], [3, 3]])
        close(mine(index), theirs(torch.from_numpy(index)))


def test_sparse_linear_reads_pytorchs_sparse_tensors() -> None:
    theirs = torch.nn.Linear(7, 3, dtype=torch.float64)
    mine = nn.SparseLinear(7, 3, dtype="float64")
    mine.load_state_dict(theirs.state_dict())
    dense = RNG.normal(size=(5, 7)) * (RNG.uniform(size=(5, 7)) < 0.3)
    sparse = torch.from_numpy(dense).to_sparse()
    y = mine(sparse.indices().numpy(), sparse.values().numpy(), rows=5)
    z = theirs(torch.from_numpy(dense))
    close(y, z)
    limpid.sum(y * y).backward()
    (z * z).sum().backward()
    close(mine.weight.grad, theirs.weight.grad)
    close(mine.bias.grad, theirs.bias.grad)


# Activations and dropout


REPRS = [
    ("ReLU", ()), ("ReLU6", ()), ("RReLU", (0.1, 0.4)), ("LeakyReLU", (0.2,)), ("ELU", (0.7,)),
    ("SELU", ()), ("CELU", (0.7,)), ("GELU", ("tanh",)), ("SiLU", ()), ("Mish", ()),
    ("Sigmoid", ()), ("LogSigmoid", ()), ("Hardsigmoid", ()), ("Hardswish", ()), ("Tanh", ()),
    ("Tanhshrink", ()), ("Hardtanh", (-2.0, 1.0)), ("Softplus", (2.0, 5.0)), ("Softsign", ()),
    ("Softshrink", (0.3,)), ("Hardshrink", (0.3,)), ("Threshold", (0.1, 7.0)), ("GLU", (0,)),
    ("PReLU", ()), ("Softmax", (1,)), ("Softmax", ()), ("Softmin", (0,)), ("LogSoftmax", (1,)),
    ("Softmax2d", ()), ("Dropout", (0.2,)), ("Dropout1d", ()), ("Dropout2d", (0.1,)),
    ("Dropout3d", (1.0,)), ("AlphaDropout", (0.2,)), ("FeatureAlphaDropout", ()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments"), REPRS)
def test_layers_look_alike_and_agree_in_eval(name: str, arguments: tuple[Any, ...]) -> None:
    mine, theirs = (
        getattr(nn, name)(*arguments).eval(),
        getattr(torch.nn, name)(*arguments).eval(),
    )
    assert repr(mine) == repr(theirs)
    shape = {"Softmax2d": (2, 4, 6), "Dropout1d": (2, 4, 6), "Dropout2d": (2, 3, 4, 6),
             "Dropout3d": (2, 3, 2, 4, 6)}.get(name, (4, 6))  # fmt: skip
    x, z = pair(RNG.normal(size=shape) * 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns of a softmax without dim
        a, b = mine(x), theirs(z.to(torch.float32) if name == "PReLU" else z)
    close(a, b, 1e-6 if name == "PReLU" else 1e-8)


def test_softmax_without_dim() -> None:
    for kind in ("Softmax", "Softmin", "LogSoftmax"):
        for shape in ((5,), (3, 5), (2, 3, 5), (2, 3, 4, 5), (1, 2, 3, 2, 2)):
            x = RNG.normal(size=shape)
            with pytest.warns(UserWarning, match="Implicit dimension"):
                theirs = getattr(torch.nn, kind)()(torch.from_numpy(x))
            if len(shape) > 2:
                with pytest.warns(UserWarning, match=f"of {len(shape)} axes without dim"):
                    mine = getattr(nn, kind)()(x)
            else:
                mine = getattr(nn, kind)()(x)
            close(mine, theirs)


def test_softmax_of_channels() -> None:
    for shape in ((3, 4, 5), (2, 3, 4, 5)):
        x, z = pair(RNG.normal(size=shape))
        a, b = nn.Softmax2d()(x), torch.nn.Softmax2d()(z)
        close(a, b)
        limpid.sum(a * a).backward()
        (b * b).sum().backward()
        close(x.grad, z.grad)
    with pytest.raises(limpid.errors.ShapeError, match=r"not \(3, 4\)"):
        nn.Softmax2d()(np.ones((3, 4)))


def test_random_slopes_given_the_noise() -> None:
    """The noise of PyTorch's pass, given to limpid's, leads to the same value and gradient."""
    torch.manual_seed(0)
    x, z = pair(RNG.normal(size=(40, 50)))
    theirs = torch.nn.RReLU(0.2, 0.6).train()(z)
    slopes = np.where(x.detach().numpy() > 0, 1, (theirs / z).detach().numpy())
    mine = F.rrelu(x, 0.2, 0.6, noise=slopes)
    close(mine, theirs)
    g = RNG.normal(size=(40, 50))
    mine.backward(g)
    theirs.backward(torch.from_numpy(g))
    close(x.grad, z.grad)


def test_alpha_dropout_given_the_noise() -> None:
    torch.manual_seed(0)
    x = RNG.normal(size=(60, 70))
    for kind in ("AlphaDropout", "FeatureAlphaDropout"):
        theirs = getattr(torch.nn, kind)(0.3)(torch.from_numpy(x)).numpy()
        limpid.random.seed(0)
        mine = getattr(nn, kind)(0.3)(x).numpy()
        values, counts = np.unique(theirs, return_counts=True)
        low = values[counts.argmax()]  # where the element was dropped
        kept, others = abs(mine - low) > 1e-9, abs(theirs - low) > 1e-9
        np.testing.assert_allclose(mine[kept & others], theirs[kept & others], rtol=1e-12)
        assert (kept & others).sum() > 1000
        assert abs(kept.mean() - 0.7) < 0.03
        assert abs(others.mean() - 0.7) < 0.03


def test_signatures_follow_pytorch() -> None:
    """The names, order and defaults of the arguments that can be given by position."""
    old = {"size_average", "reduce", "_stacklevel", "device"}
    functions = (
        "cosine_embedding_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss",
        "triplet_margin_loss", "triplet_margin_with_distance_loss", "gaussian_nll_loss",
        "poisson_nll_loss", "embedding", "embedding_bag", "dropout", "dropout1d", "dropout2d",
        "dropout3d", "alpha_dropout", "feature_alpha_dropout", "rrelu", "softmax", "softmin",
        "log_softmax",
    )  # fmt: skip
    classes = (
        "Embedding", "EmbeddingBag", "CosineSimilarity", "PairwiseDistance", "RReLU", "Softmax",
        "CosineEmbeddingLoss", "MultiLabelMarginLoss", "MultiLabelSoftMarginLoss", "Dropout2d",
        "TripletMarginLoss", "TripletMarginWithDistanceLoss", "GaussianNLLLoss", "PoissonNLLLoss",
    )  # fmt: skip
    for names, ours, theirs in (
        (functions, F, torch.nn.functional), (classes, nn, torch.nn)):  # fmt: skip
        for name in names:
            mine = inspect.signature(getattr(ours, name)).parameters
            other = inspect.signature(getattr(theirs, name)).parameters
            wanted = {n: p.default for n, p in other.items() if n not in old}
            assert list(mine)[: len(wanted)] == list(wanted), name
            assert {n: mine[n].default for n in wanted} == wanted, name
