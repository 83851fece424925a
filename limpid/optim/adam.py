"""Adam and AdamW."""

from __future__ import annotations

from typing import Any

from limpid.errors import ArgumentError
from limpid.ops.comparison import maximum
from limpid.ops.elementary import sqrt
from limpid.ops.power import power
from limpid.optim.group import Group
from limpid.optim.optimizer import Coefficients, Optimizer, Values


class Adam(Optimizer):
    """Adam, with weight decay as an L2 term of the gradient, as in PyTorch.

        g ← g + weight_decay · w
        m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²
        w ← w − lr · m̂ / (√v̂ + eps),   m̂ = m / (1 − β₁ᵗ),   v̂ = v / (1 − β₂ᵗ)

    amsgrad  v̂ is the largest one so far

    Source: Kingma and Ba 2015, Adam: A Method for Stochastic Optimization; amsgrad: Reddi, Kale
    and Kumar 2018, On the Convergence of Adam and Beyond.

    >>> import limpid
    >>> w = limpid.Parameter([1.0])
    >>> optimizer = limpid.optim.Adam([w], lr=0.1)
    >>> limpid.sum(w * w).backward(); optimizer.step(); round(w.item(), 4)
    0.9
    """

    decoupled = False  # weight decay applied to the weights themselves

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": tuple(betas),
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
            },
        )

    def check(self, group: Group) -> None:
        """Raise ArgumentError for an impossible option."""
        super().check(group)
        betas = group.numbers()["betas"]
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ArgumentError(f"betas must be two numbers from [0, 1), not {betas}")

    def slots(self, group: Group) -> tuple[str, ...]:
        """The count and the running means of g and g²."""
        means = ("step", "exp_avg", "exp_avg_sq")
        return (*means, "max_exp_avg_sq") if group["amsgrad"] else means

    def coefficients(self, group: Group, step: Any) -> Coefficients:
        """The numbers of the update."""
        rate, decay = group.value("lr"), group.term("weight_decay")
        beta1, beta2 = group.value("betas")
        decoupled = decay is not None and self.decoupled
        return {
            "shrink": 1 - rate * decay if decoupled else None,
            "decay": None if decoupled else decay,
            "fresh1": 1 - beta1,
            "keep2": beta2,
            "fresh2": 1 - beta2,
            "rate": rate / (1 - power(beta1, step)),
            "root": sqrt(1 - power(beta2, step)),
            "eps": group.value("eps"),
        }

    def update(
        self, p: Any, g: Any, held: Values, c: Coefficients, group: Group
    ) -> tuple[Any, Values]:
        """The new parameter and its new state."""
        if group["maximize"]:
            g = -g
        if c["shrink"] is not None:
            p = c["shrink"] * p
        if c["decay"] is not None:
            g = g + c["decay"] * p
        m, v = held["exp_avg"], held["exp_avg_sq"]
        m = m + c["fresh1"] * (g - m)
        v = c["keep2"] * v + c["fresh2"] * (g * g)
        changed = {"exp_avg": m, "exp_avg_sq": v}
        if group["amsgrad"]:
            v = changed["max_exp_avg_sq"] = maximum(held["max_exp_avg_sq"], v)
        return p - c["rate"] * (m / (sqrt(v) / c["root"] + c["eps"])), changed


class AdamW(Adam):
    """Adam with decoupled weight decay: w ← (1 − lr · weight_decay) · w before each update.

    Source: Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization.

    >>> import limpid
    >>> w = limpid.Parameter([1.0])
    >>> optimizer = limpid.optim.AdamW([w], lr=0.1)
    >>> limpid.sum(w * w).backward(); optimizer.step(); round(w.item(), 4)
    0.899
    """

    decoupled = True

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
