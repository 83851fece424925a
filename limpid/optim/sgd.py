"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from limpid.errors import ArgumentError
from limpid.optim.group import Group
from limpid.optim.optimizer import Coefficients, Optimizer, Values

NO_CHANGE: Values = {}


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum and weight decay as in PyTorch.

        g ← g + weight_decay · w
        b ← momentum · b + (1 − dampening) · g        (at the first step b ← g)
        w ← w − lr · b        or, with nesterov, w − lr · (g + momentum · b)

    Source: Sutskever, Martens, Dahl and Hinton 2013, On the importance of initialization and
    momentum in deep learning.

    >>> import limpid
    >>> w = limpid.Parameter([1.0, -1.0])
    >>> optimizer = limpid.optim.SGD([w], lr=0.5)
    >>> limpid.sum(w * w).backward(); optimizer.step(); w
    tensor([0., 0.], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
        )

    def check(self, group: Group) -> None:
        """Raise ArgumentError for an impossible option."""
        super().check(group)
        if group["nesterov"] and ("momentum" in group.absent or "dampening" not in group.absent):
            raise ArgumentError("nesterov needs a momentum and no dampening")

    def slots(self, group: Group) -> tuple[str, ...]:
        """The momentum; with dampening also the count, since the first step is different."""
        if "momentum" in group.absent:
            return ()
        return ("momentum_buffer",) if "dampening" in group.absent else ("momentum_buffer", "step")

    def coefficients(self, group: Group, step: Any) -> Coefficients:
        """The numbers of the update."""
        return {
            "rate": group.value("lr"),
            "decay": group.term("weight_decay"),
            "momentum": group.term("momentum"),
            "share": None if step is None else 1 - group.value("dampening") * (step > 1),
        }

    def update(
        self, p: Any, g: Any, held: Values, c: Coefficients, group: Group
    ) -> tuple[Any, Values]:
        """The new parameter and its new state."""
        if group["maximize"]:
            g = -g
        if c["decay"] is not None:
            g = g + c["decay"] * p
        if c["momentum"] is None:
            return p - c["rate"] * g, NO_CHANGE
        b = c["momentum"] * held["momentum_buffer"] + (g if c["share"] is None else c["share"] * g)
        g = g + c["momentum"] * b if group["nesterov"] else b
        return p - c["rate"] * g, {"momentum_buffer": b}
