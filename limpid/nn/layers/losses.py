"""Losses as modules, with PyTorch's names and arguments; `limpid.nn.functional` documents them."""

from __future__ import annotations

from typing import Any

from limpid.nn import functional as F
from limpid.nn.module import Module
from limpid.tensor import Buffer, Slot


class Loss(Module):
    """Base of losses: they have a reduction, "mean", "sum" or "none"."""

    def __init__(self, reduction: str = "mean"):
        self.reduction = reduction


class WeightedLoss(Loss):
    """Base of losses whose elements or classes may have weights, kept as a buffer."""

    def __init__(self, weight: Any = None, reduction: str = "mean"):
        super().__init__(reduction)
        self.weight = _buffer(weight)


def _buffer(value: Any) -> Slot | None:
    return value if value is None or isinstance(value, Slot) else Buffer(value)


class CrossEntropyLoss(WeightedLoss):
    """Softmax cross-entropy of scores (N, C, …) against class numbers or probabilities.

    >>> import limpid
    >>> limpid.nn.CrossEntropyLoss()(limpid.tensor([[0.0, 0.0]]), limpid.tensor([1]))
    tensor(0.6931472)
    """

    def __init__(
        self,
        weight: Any = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ):
        super().__init__(weight, reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Any, target: Any) -> Any:
        """`functional.cross_entropy`."""
        return F.cross_entropy(
            input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing
        )


class NLLLoss(WeightedLoss):
    """Negative log-likelihood of log-probabilities."""

    def __init__(self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean"):
        super().__init__(weight, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Any, target: Any) -> Any:
        """`functional.nll_loss`."""
        return F.nll_loss(input, target, self.weight, self.ignore_index, self.reduction)


class BCELoss(WeightedLoss):
    """Binary cross-entropy of probabilities."""

    def forward(self, input: Any, target: Any) -> Any:
        """`functional.binary_cross_entropy`."""
        return F.binary_cross_entropy(input, target, self.weight, self.reduction)


class BCEWithLogitsLoss(WeightedLoss):
    """Binary cross-entropy of scores."""

    def __init__(self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None):
        super().__init__(weight, reduction)
        self.pos_weight = _buffer(pos_weight)

    def forward(self, input: Any, target: Any) -> Any:
        """`functional.binary_cross_entropy_with_logits`."""
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, self.reduction, self.pos_weight
        )


class MSELoss(Loss):
    """(input − target)²."""

    def forward(self, input: Any, target: Any) -> Any:
        """`functional.mse_loss`."""
        return F.mse_loss(input, target, self.reduction)


class L1Loss(Loss):
    """|input − target|."""

    def forward(self, input: Any, target: Any) -> Any:
        """`functional.l1_loss`."""
        return F.l1_loss(input, target, self.reduction)


class HuberLoss(Loss):
    """Half the square of small differences, linear in large ones."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0):
        super().__init__(reduction)
        self.delta = delta

    def forward(self, input: Any, target: Any) -> Any:
        """`functional.huber_loss`."""
        return F.huber_loss(input, target, self.reduction, self.delta)


class SmoothL1Loss(Loss):
    """The Huber loss divided by beta."""

    def __init__(self, reduction: str = "mean", beta: float = 1.0):
        super().__init__(reduction)
        self.beta = beta

    def forward(self, input: Any, target: Any) -> Any:
        """`functional.smooth_l1_loss`."""
        return F.smooth_l1_loss(input, target, self.reduction, self.beta)


class KLDivLoss(Loss):
    """target · (log target − input), for log-probabilities; also reduction "batchmean"."""

    def __init__(self, reduction: str = "mean", log_target: bool = False):
        super().__init__(reduction)
        self.log_target = log_target

    def forward(self, input: Any, target: Any) -> Any:
        """`functional.kl_div`."""
        return F.kl_div(input, target, self.reduction, self.log_target)


class GaussianNLLLoss(Loss):
    """½(log var + (input − target)²/var)."""

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean"):
        super().__init__(reduction)
        self.full = full
        self.eps = eps

    def forward(self, input: Any, target: Any, var: Any) -> Any:
        """`functional.gaussian_nll_loss`."""
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


class PoissonNLLLoss(Loss):
    """exp(input) − target·input, for counts and the logarithm of their rate."""

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        eps: float = 1e-8,
        reduction: str = "mean",
    ):
        super().__init__(reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, log_input: Any, target: Any) -> Any:
        """`functional.poisson_nll_loss`."""
        return F.poisson_nll_loss(
            log_input, target, self.log_input, self.full, self.eps, self.reduction
        )


class L1Cost(Loss):
    """Σ|input|: a pull towards 0 without a target, as classic Torch has it."""

    def __init__(self, reduction: str = "sum"):
        super().__init__(reduction)

    def forward(self, input: Any) -> Any:
        """`functional.l1_cost`."""
        return F.l1_cost(input, self.reduction)


class MultiLabelMarginLoss(Loss):
    """Σ max(0, 1 − s_y + s_i) / C over labels y and other classes i, for several labels a row."""

    def forward(self, input: Any, target: Any) -> Any:
        """`functional.multilabel_margin_loss`."""
        return F.multilabel_margin_loss(input, target, self.reduction)


class MultiLabelSoftMarginLoss(WeightedLoss):
    """Binary cross-entropy of each class's score, averaged over the classes."""

    def forward(self, input: Any, target: Any) -> Any:
        """`functional.multilabel_soft_margin_loss`."""
        return F.multilabel_soft_margin_loss(input, target, self.weight, self.reduction)


class MultiMarginLoss(WeightedLoss):
    """Multi-class hinge, divided by the number of classes as in PyTorch."""

    def __init__(
        self, p: int = 1, margin: float = 1.0, weight: Any = None, reduction: str = "mean"
    ):
        super().__init__(weight, reduction)
        self.p = p
        self.margin = margin

    def forward(self, input: Any, target: Any) -> Any:
        """`functional.multi_margin_loss`."""
        return F.multi_margin_loss(input, target, self.p, self.margin, self.weight, self.reduction)


class MulticlassHingeLoss(Loss):
    """Multi-class hinge as in the lectures: Σ max(0, s_j − s_y + 1), not divided by anything."""

    def __init__(self, margin: float = 1.0, reduction: str = "mean"):
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input: Any, target: Any) -> Any:
        """`functional.multiclass_hinge_loss`."""
        return F.multiclass_hinge_loss(input, target, self.margin, self.reduction)


class HingeLoss(Loss):
    """max(0, margin − target·input), for labels +1 and −1."""

    def __init__(self, margin: float = 1.0, reduction: str = "mean"):
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input: Any, target: Any) -> Any:
        """`functional.hinge_loss`."""
        return F.hinge_loss(input, target, self.margin, self.reduction)


class HingeEmbeddingLoss(Loss):
    """input where the target is 1, max(0, margin − input) where it is −1."""

    def __init__(self, margin: float = 1.0, reduction: str = "mean"):
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input: Any, target: Any) -> Any:
        """`functional.hinge_embedding_loss`."""
        return F.hinge_embedding_loss(input, target, self.margin, self.reduction)


class MarginRankingLoss(Loss):
    """max(0, margin − target·(input1 − input2))."""

    def __init__(self, margin: float = 0.0, reduction: str = "mean"):
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input1: Any, input2: Any, target: Any) -> Any:
        """`functional.margin_ranking_loss`."""
        return F.margin_ranking_loss(input1, input2, target, self.margin, self.reduction)


class SoftMarginLoss(Loss):
    """−log σ(target·input), for labels +1 and −1: the logistic loss."""

    def forward(self, input: Any, target: Any) -> Any:
        """`functional.soft_margin_loss`."""
        return F.soft_margin_loss(input, target, self.reduction)
