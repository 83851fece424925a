"""Losses: what the table can't say. Errors, extremes, and the formulas of the lectures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.errors import ArgumentError, DTypeError, NoGradientError, ShapeError
from limpid.nn import functional as F

RNG = np.random.default_rng(0)


def test_cross_entropy_is_one_box_with_the_textbook_gradient() -> None:
    x = limpid.tensor(RNG.normal(size=(5, 4)), requires_grad=True)
    y = RNG.integers(0, 4, 5)
    loss = F.cross_entropy(x, y)
    assert loss.node.op.name == "cross_entropy"
    assert loss.node.inputs[0] is x.node
    loss.backward()
    p = np.exp(x.detach()) / np.exp(x.detach()).sum(1, keepdims=True)
    np.testing.assert_allclose(x.grad, (p - np.eye(4)[y]) / 5, atol=1e-15)


def test_cross_entropy_of_extreme_scores() -> None:
    x = limpid.tensor([[1e30, -1e30, 0.0], [-1e4, 0.0, -np.inf]], requires_grad=True)
    loss = F.cross_entropy(x, np.array([1, 0]), reduction="none")
    assert loss.tolist() == [pytest.approx(2e30), 1e4]
    loss.sum().backward()
    assert x.grad.tolist() == [[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0]]


def test_rows_left_out_may_hold_nan_and_leaving_out_all_gives_nan() -> None:
    x = np.array([[1.0, 2.0], [np.nan, np.nan]])
    assert np.isfinite(F.cross_entropy(x, np.array([0, -100])))
    assert np.isnan(F.cross_entropy(x, np.array([-100, -100])))
    assert F.cross_entropy(x, np.array([-100, -100]), reduction="sum") == 0
    assert np.isnan(F.cross_entropy(np.zeros((0, 3)), np.zeros(0, int)))
    assert F.cross_entropy(np.zeros((0, 3)), np.zeros(0, int), reduction="none").shape == (0,)


def test_class_numbers_are_checked() -> None:
    x = limpid.zeros((3, 4))
    for loss in (F.cross_entropy, F.nll_loss, F.multi_margin_loss):
        for wrong in (4, -1, 2**62):
            with pytest.raises(ArgumentError, match=f"class {wrong}, but there are 4 classes"):
                loss(x, np.array([0, wrong, 1]))
        with pytest.raises(DTypeError, match="must be integers"):
            loss(x, np.array([True, False, True]))
        with pytest.raises(ShapeError, match=r"must have shape \(3,\), not \(2,\)"):
            loss(x, np.array([0, 1]))
        with pytest.raises(ArgumentError, match="reduction"):
            loss(x, np.array([0, 1, 2]), reduction="average")
    assert F.cross_entropy(x, np.array([0, 1, 2], np.uint8)).item() == pytest.approx(np.log(4))
    with pytest.raises(ShapeError, match="axis of classes"):
        F.cross_entropy(limpid.tensor(1.0), 0)
    with pytest.raises(ShapeError, match="class probabilities"):
        F.cross_entropy(x, limpid.ones((3, 3)))
    with pytest.raises(ShapeError, match="4 classes but weights"):
        F.cross_entropy(x, np.array([0, 1, 2]), np.ones(3))
    with pytest.raises(ArgumentError, match="label_smoothing"):
        F.cross_entropy(x, np.array([0, 1, 2]), label_smoothing=1.5)
    with pytest.raises(NoGradientError, match="class weights are constants"):
        F.cross_entropy(x, np.array([0, 1, 2]), limpid.Parameter(np.ones(4)))


def test_targets_may_have_any_layout() -> None:
    x = RNG.normal(size=(6, 4))[::2]
    y = np.arange(12)[::-1][::4] % 4
    y.flags.writeable = False
    assert F.cross_entropy(x, y) == F.cross_entropy(x.copy(), y.copy())
    assert F.cross_entropy(np.asfortranarray(x), list(y)) == F.cross_entropy(x.copy(), y.copy())


def test_losses_of_arrays_are_arrays_and_integers_become_floats() -> None:
    assert isinstance(F.cross_entropy(np.zeros((2, 3)), np.zeros(2, int)), np.floating)
    assert F.cross_entropy(np.zeros((2, 3), np.int64), np.zeros(2, int)).dtype == np.float32
    assert isinstance(F.mse_loss(np.ones(3), np.zeros(3)), np.floating)
    assert F.mse_loss([1.0, 2.0], 0.0) == 2.5


def test_the_svm_loss_of_the_lecture() -> None:
    scores = np.array([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]])
    classes = np.array([0, 1, 2])
    each = F.multiclass_hinge_loss(scores, classes, reduction="none")
    np.testing.assert_allclose(each, [2.9, 0.0, 12.9])
    s = limpid.tensor(scores, requires_grad=True)
    F.multiclass_hinge_loss(s, classes, reduction="sum").backward()
    assert s.grad.tolist() == [[-1, 1, 0], [0, 0, 0], [1, 1, -2]]
    np.testing.assert_allclose(F.multi_margin_loss(scores, classes, reduction="none"), each / 3)
    assert nn.MulticlassHingeLoss()(scores, classes) == pytest.approx(15.8 / 3)


def test_logistic_regression_of_the_lecture() -> None:
    w, x = RNG.normal(size=3), RNG.normal(size=3)
    gradient = limpid.grad(lambda w: F.logistic_loss(limpid.sum(w * x)))(w)
    p = 1 / (1 + np.exp(-w @ x))
    np.testing.assert_allclose(gradient, -(1 - p) * x, rtol=1e-12)


def test_shapes_that_would_broadcast_are_refused() -> None:
    pairs = [
        F.mse_loss, F.l1_loss, F.huber_loss, F.smooth_l1_loss, F.binary_cross_entropy,
        F.binary_cross_entropy_with_logits, F.kl_div, F.soft_margin_loss, F.hinge_loss,
        F.hinge_embedding_loss,
    ]  # fmt: skip
    for loss in pairs:
        with pytest.raises(ShapeError, match=r"\(4, 1\) but the target \(4,\)"):
            loss(limpid.ones((4, 1)) * 0.5, limpid.ones(4))
        assert loss(limpid.ones((0, 3)), limpid.ones((0, 3)), reduction="sum").item() == 0


def test_binary_cross_entropy_at_the_ends() -> None:
    p = limpid.tensor([0.0, 1.0, 0.0, 1.0], requires_grad=True)
    each = F.binary_cross_entropy(p, limpid.tensor([0.0, 1.0, 1.0, 0.0]), reduction="none")
    assert each.tolist() == [0.0, 0.0, 100.0, 100.0]
    each.sum().backward()
    assert np.isfinite(p.grad).all()
    for wrong in (-0.1, 1.1):
        with pytest.raises(ArgumentError, match="probabilities from 0 to 1"):
            F.binary_cross_entropy(limpid.tensor([0.5, wrong]), limpid.tensor([1.0, 0.0]))
    x = limpid.tensor([-1e4, 1e4], requires_grad=True)
    loss = F.binary_cross_entropy_with_logits(x, limpid.tensor([1.0, 0.0]), reduction="sum")
    loss.backward()
    assert loss.item() == 2e4
    assert x.grad.tolist() == [-1.0, 1.0]


def test_kl_of_zero_probability_is_zero() -> None:
    q = limpid.tensor([-1.0, -2.0], requires_grad=True)
    loss = F.kl_div(q, limpid.tensor([0.0, 1.0]), reduction="sum")
    loss.backward()
    assert loss.item() == 2.0
    assert q.grad.tolist() == [0.0, -1.0]


def test_options_out_of_range() -> None:
    x = limpid.ones((2, 3))
    for call in (
        lambda: F.huber_loss(x, x, delta=0), lambda: F.huber_loss(x, x, delta=np.nan),
        lambda: F.smooth_l1_loss(x, x, beta=-1), lambda: F.multi_margin_loss(x, [0, 1], p=3),
        lambda: F.mse_loss(x, x, reduction="total"),
    ):  # fmt: skip
        with pytest.raises(ArgumentError):
            call()
    assert F.smooth_l1_loss(x, x * 3, beta=0).item() == 2.0


def test_penalties_and_their_gradients() -> None:
    model = nn.Linear(3, 2)
    gradients = limpid.grad(lambda m: F.l2_penalty(m, 0.1))(model)
    for name, p in model.named_parameters():
        np.testing.assert_allclose(gradients[name], 0.1 * p.detach().numpy(), rtol=1e-6)
    gradients = limpid.grad(lambda m: F.l1_penalty(m.parameters(), 0.1))(model)
    for name, p in model.named_parameters():
        np.testing.assert_allclose(gradients[name], 0.1 * np.sign(p.detach().numpy()), rtol=1e-6)
    assert F.l2_penalty(model.weight).requires_grad
    for nothing in ([], nn.ReLU(), 3):
        with pytest.raises(ArgumentError):
            F.l1_penalty(nothing)


def test_loss_modules_are_the_functions() -> None:
    x, y = RNG.normal(size=(5, 4)), RNG.integers(0, 4, 5)
    w = np.array([1.0, 2.0, 0.5, 3.0])
    a, b = RNG.uniform(0.1, 0.9, (5, 4)), RNG.uniform(0.1, 0.9, (5, 4))
    pairs = [
        (nn.CrossEntropyLoss(w, 2, "sum", 0.1), F.cross_entropy(x, y, w, 2, "sum", 0.1), (x, y)),
        (nn.NLLLoss(w, 2, "sum"), F.nll_loss(x, y, w, 2, "sum"), (x, y)),
        (nn.MultiMarginLoss(2, 0.5, w), F.multi_margin_loss(x, y, 2, 0.5, w), (x, y)),
        (nn.BCELoss(w), F.binary_cross_entropy(a, b, w), (a, b)),
        (nn.BCEWithLogitsLoss(w, "sum", w),
         F.binary_cross_entropy_with_logits(x, b, w, "sum", w), (x, b)),
        (nn.MSELoss("sum"), F.mse_loss(a, b, "sum"), (a, b)),
        (nn.L1Loss(), F.l1_loss(a, b), (a, b)),
        (nn.HuberLoss("mean", 0.1), F.huber_loss(a, b, "mean", 0.1), (a, b)),
        (nn.SmoothL1Loss("mean", 0.1), F.smooth_l1_loss(a, b, "mean", 0.1), (a, b)),
        (nn.KLDivLoss("batchmean", True), F.kl_div(a, b, "batchmean", True), (a, b)),
        (nn.HingeLoss(0.5), F.hinge_loss(x, b, 0.5), (x, b)),
        (nn.HingeEmbeddingLoss(), F.hinge_embedding_loss(x, np.sign(b - a)), (x, np.sign(b - a))),
        (nn.MarginRankingLoss(0.2), F.margin_ranking_loss(a, b, x, 0.2), (a, b, x)),
        (nn.SoftMarginLoss(), F.soft_margin_loss(x, b), (x, b)),
        (nn.CosineEmbeddingLoss(0.2, "sum"), F.cosine_embedding_loss(x, b, y - 1, 0.2, "sum"),
         (x, b, y - 1)),
        (nn.TripletMarginLoss(2.0, 1.0, 0.1, True, "sum"),
         F.triplet_margin_loss(x, a, b, 2.0, 1.0, 0.1, True, "sum"), (x, a, b)),
        (nn.TripletMarginWithDistanceLoss(margin=2.0, distance_function=nn.PairwiseDistance(3.0)),
         F.triplet_margin_loss(x, a, b, 2.0, 3.0), (x, a, b)),
        (nn.GaussianNLLLoss(full=True, eps=0.3), F.gaussian_nll_loss(x, a, b, True, 0.3),
         (x, a, b)),
        (nn.PoissonNLLLoss(False, True, 0.1, "sum"),
         F.poisson_nll_loss(a, b, False, True, 0.1, "sum"), (a, b)),
        (nn.MultiLabelMarginLoss("sum"), F.multilabel_margin_loss(x, y[:, None] * 0 + [3, 1, -1, 0],
         "sum"), (x, y[:, None] * 0 + [3, 1, -1, 0])),
        (nn.MultiLabelSoftMarginLoss(w, "sum"), F.multilabel_soft_margin_loss(x, b, w, "sum"),
         (x, b)),
        (nn.L1Cost(), np.abs(x).sum(), (x,)),
        (nn.L1Cost("mean"), np.abs(x).mean(), (x,)),
    ]  # fmt: skip
    for module, expected, operands in pairs:
        assert np.asarray(module(*operands)) == pytest.approx(float(expected), rel=1e-12), module
    assert list(nn.CrossEntropyLoss(w).state_dict()) == ["weight"]
    assert list(nn.CrossEntropyLoss(w).parameters()) == []


def test_weights_of_another_float_type_leave_the_type_of_the_scores() -> None:
    x = limpid.tensor(RNG.normal(size=(5, 4)).astype(np.float32), requires_grad=True)
    loss = F.cross_entropy(x, RNG.integers(0, 4, 5), np.ones(4), label_smoothing=0.1)
    loss.backward()
    assert loss.dtype is x.grad.dtype is limpid.float32


def test_one_hot_follows_pytorch() -> None:
    coded = F.one_hot(limpid.tensor([[0, 2]]))
    assert coded.dtype is limpid.int64
    assert coded.tolist() == [[[1, 0, 0], [0, 0, 1]]]
    assert F.one_hot(limpid.tensor([1]), 4).tolist() == [[0, 1, 0, 0]]


def test_weights_of_elements() -> None:
    x, y, w = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4)), RNG.uniform(size=(3, 4))
    assert F.mse_loss(x, y, weight=w) == pytest.approx(((x - y) ** 2 * w).sum() / w.sum())
    assert F.l1_loss(x, y, weight=w) == pytest.approx((abs(x - y) * w).sum() / w.sum())
    assert F.huber_loss(x, y, weight=w) == pytest.approx(
        (F.huber_loss(x, y, reduction="none") * w).mean()
    )
    for loss in (F.mse_loss, F.l1_loss):
        with pytest.raises(ShapeError, match=r"losses of shape \(3, 4\) but weights of \(4,\)"):
            loss(x, y, weight=w[0])


def test_several_labels_end_at_the_first_gap() -> None:
    scores = np.array([0.1, 0.2, 0.4, 0.8])
    target = np.array([3, 0, -1, 1])
    loss = F.multilabel_margin_loss(scores, target)
    assert loss == pytest.approx((0.4 + 0.6 + 1.1 + 1.3) / 4)
    assert F.multilabel_margin_loss(scores, np.full(4, -1)) == 0
    x = limpid.tensor(scores, requires_grad=True)
    F.multilabel_margin_loss(x, target).backward()
    assert x.grad.tolist() == [-0.5, 0.5, 0.5, -0.5]
    twice = F.multilabel_margin_loss(scores, np.array([3, 3, -1, -1]))
    assert twice == pytest.approx(2 * F.multilabel_margin_loss(scores, np.array([3, -1, -1, -1])))


def test_several_labels_are_checked() -> None:
    x = limpid.zeros((2, 3))
    for wrong in (3, -2):
        with pytest.raises(ArgumentError, match=f"class {wrong}, but there are 3 classes"):
            F.multilabel_margin_loss(x, np.array([[0, wrong, -1], [0, 1, 2]]))
    with pytest.raises(ShapeError, match=r"\(2, 3\) and \(2, 2\)"):
        F.multilabel_margin_loss(x, np.zeros((2, 2), int))
    with pytest.raises(ShapeError, match="the same"):
        F.multilabel_margin_loss(limpid.zeros((1, 2, 3)), np.zeros((1, 2, 3), int))
    with pytest.raises(DTypeError, match="must be integers"):
        F.multilabel_margin_loss(x, np.zeros((2, 3)))
    with pytest.raises(ShapeError, match="multilabel_soft_margin_loss: the prediction has shape"):
        F.multilabel_soft_margin_loss(x, np.zeros(3))
    with pytest.raises(ShapeError, match="axis of classes"):
        F.multilabel_soft_margin_loss(limpid.tensor(1.0), 1.0)
    for loss in (F.multilabel_margin_loss, F.multilabel_soft_margin_loss):
        with pytest.raises(ArgumentError, match="reduction"):
            loss(x, np.zeros((2, 3), int), reduction="median")


def test_similarity_at_the_ends() -> None:
    zero, one = np.zeros((1, 3)), np.ones((1, 3))
    assert F.cosine_similarity(zero, one).tolist() == [0.0]
    x = limpid.tensor(zero, requires_grad=True)
    F.cosine_similarity(x, one).sum().backward()
    np.testing.assert_allclose(x.grad, one / np.sqrt(3) / 1e-8)
    assert np.isfinite(F.cosine_embedding_loss(zero, zero, np.array([1])))
    x = limpid.tensor(one, requires_grad=True)
    F.pairwise_distance(x, one, eps=0.0).sum().backward()
    assert x.grad.tolist() == [[0.0, 0.0, 0.0]]
    assert F.pairwise_distance(np.zeros((0, 3)), np.zeros((0, 3))).shape == (0,)
    assert F.cosine_similarity(np.zeros((4, 0)), np.zeros((4, 0))).tolist() == [0.0] * 4
    assert F.cosine_similarity(np.asfortranarray(one)[::-1], one.repeat(2, 0)).shape == (2,)


def test_pairs_and_triplets_are_checked() -> None:
    x = limpid.ones((4, 3))
    for bad in (np.ones((4, 1)), np.ones(5), np.ones((5, 3))):
        with pytest.raises(ShapeError):
            F.cosine_embedding_loss(x, x, bad)
    with pytest.raises(ShapeError, match="cosine_embedding_loss: both inputs"):
        F.cosine_embedding_loss(x, limpid.ones(3), np.ones(4))
    with pytest.raises(ShapeError, match="equally many axes"):
        F.triplet_margin_loss(x, x, limpid.ones(3))
    for bad in (0, -1.0, float("nan")):
        with pytest.raises(ArgumentError, match="margin must be positive"):
            F.triplet_margin_loss(x, x, x, margin=bad)
        with pytest.raises(ArgumentError, match="margin must be positive"):
            nn.TripletMarginLoss(bad)
    with pytest.raises(ShapeError, match="do not broadcast"):
        F.cosine_similarity(x, limpid.ones((4, 2)))
    with pytest.raises(ShapeError, match="single numbers"):
        F.pairwise_distance(1.0, 2.0)
    with pytest.raises(ArgumentError, match="dim 2"):
        F.cosine_similarity(x, x, dim=2)
    with pytest.raises(ShapeError, match="margin_ranking_loss"):
        F.margin_ranking_loss(limpid.ones((4, 1)), limpid.ones(4), limpid.ones(4))


def test_a_bound_does_not_hide_the_gradient() -> None:
    """As in PyTorch a variance below eps counts as eps, and still learns to grow."""
    v = limpid.tensor([1e-9], requires_grad=True)
    loss = F.gaussian_nll_loss(limpid.zeros(1), limpid.ones(1), v)
    loss.backward()
    assert loss.item() == pytest.approx(0.5 * (np.log(1e-6) + 1e6), rel=1e-5)
    assert v.grad.item() == pytest.approx(0.5 * (1e6 - 1e12), rel=1e-5)


def test_likelihoods_are_checked() -> None:
    x = limpid.zeros((4, 3))
    for shape in ((3,), (2, 3), (4, 3, 1), (1, 1), (4, 2)):
        with pytest.raises(ShapeError, match=r"a variance of shape"):
            F.gaussian_nll_loss(x, x, limpid.ones(shape))
    for wrong in (-1.0, np.array([[-0.1]])):
        with pytest.raises(ArgumentError, match="a variance is negative"):
            F.gaussian_nll_loss(limpid.zeros((1, 1)), limpid.zeros((1, 1)), wrong)
    with pytest.raises(ArgumentError, match="eps must be positive"):
        F.gaussian_nll_loss(x, x, 1.0, eps=0)
    for loss in (lambda a, b: F.gaussian_nll_loss(a, b, 1.0), F.poisson_nll_loss):
        with pytest.raises(ShapeError, match=r"\(4, 1\) but the target \(4,\)"):
            loss(limpid.ones((4, 1)), limpid.ones(4))
    counts = np.array([0, 1, 2, 30])
    full = F.poisson_nll_loss(limpid.zeros(4), counts, full=True, reduction="none")
    np.testing.assert_allclose(full, [1, 1, 1 + 0.6518, 1 + 74.6554], rtol=1e-4)
    assert F.l1_cost([[-1.0, 2.0]], "mean") == 1.5


def test_a_weighted_loss_can_be_recorded() -> None:
    x, y = RNG.normal(size=(5, 4)), RNG.integers(0, 4, 5)
    module = nn.CrossEntropyLoss(np.array([1.0, 2.0, 0.5, 3.0]), label_smoothing=0.1)
    recorded = limpid.record(limpid.value_and_grad(module), x, y)
    value, gradient = recorded(x, y)
    expected, slope = limpid.value_and_grad(module)(x, y)
    assert value.item() == expected
    np.testing.assert_allclose(gradient, slope, atol=1e-15)


@pytest.mark.parametrize("options", [{}, {"weight": np.ones(3)}, {"label_smoothing": 0.1}])
def test_an_ignored_row_of_nan_has_no_gradient(options: dict[str, Any]) -> None:
    scores = np.array([[1.0, 2.0, 3.0], [np.nan] * 3])
    labels = np.array([0, -100])

    def loss(x: Any) -> Any:
        return limpid.nn.functional.cross_entropy(x, labels, **options)

    gradient = limpid.grad(loss)(scores)
    np.testing.assert_array_equal(gradient[1], np.zeros(3))
    assert np.isfinite(loss(scores))


@pytest.mark.parametrize("weight", [None, np.ones(3), np.array([0.0, 1.0, 1.0])])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_where_nothing_counts_the_mean_is_nan_but_ignored_rows_have_no_gradient(
    weight: Any, smoothing: float
) -> None:
    scores = RNG.normal(size=(2, 3))
    losses = [
        lambda x, y: F.cross_entropy(x, y, weight, label_smoothing=smoothing),
        lambda x, y: F.nll_loss(x, y, weight),
    ]
    for loss in losses:
        for labels in ([-100, -100], [-100, 0]):
            nothing = weight is not None and not weight[0]
            value, slope = limpid.value_and_grad(loss)(scores, np.array(labels))
            np.testing.assert_array_equal(slope[0], np.zeros(3))
            if labels[1] < 0:
                assert np.isnan(value)
                np.testing.assert_array_equal(slope[1], np.zeros(3))
            else:
                assert np.isnan(value) == np.isnan(slope[1, 0]) == nothing
