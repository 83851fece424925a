"""`derive`: the derivation of a gradient, equation by equation, as on a board."""

from __future__ import annotations

from typing import Any

from limpid.errors import ArgumentError, NoGradientError
from limpid.explanation.build import wanted_nodes
from limpid.explanation.derivation.derivation import Derivation
from limpid.explanation.values import forward_values
from limpid.graph.node import reachable
from limpid.tensor import Tensor


def derive(output: Tensor, wrt: Any = None) -> Derivation:
    """The derivation of ∂output/∂wrt: values, local derivatives, the chain, and gradients.

    output  a number that was computed; variables of your program name the quantities
    wrt     a tensor, or several; all leaves by default

    What you gave a name is a quantity of its own, the rest is written where it is used. Each
    gradient is given by those before it, and without them where that is short enough. All is
    found from what primitives declare; equations that cancel do so by their form, so it holds
    wherever no divisor is 0.

    `print` shows equations that NumPy can evaluate, `latex()` gives them for a board.

    Raises NoGradientError for an output without a graph, ArgumentError if wrt is not in it or the
    output is no single number.

    >>> import limpid
    >>> W = limpid.tensor([[0.1, 0.5], [-0.3, 0.8]], requires_grad=True)
    >>> x = limpid.tensor([0.2, 0.4], requires_grad=True)
    >>> q = W @ x
    >>> L = limpid.sum(q * q)
    >>> print(limpid.derive(L, wrt=W))
    forward
      q = W @ x
      L = sum(q ** 2)
    local derivatives
      dL/dq = 2 * q
      dq/dW: g -> outer(g, x)
    chain
      dL/dW = dL/dq · dq/dW
    backward
      dL_dq = 2 * q
      dL_dW = outer(dL_dq, x)
            = 2 * outer(q, x)
    """
    if not isinstance(output, Tensor) or output.node is None or not output.requires_grad:
        raise NoGradientError(
            "derive needs a tensor that was computed from something with requires_grad=True"
        )
    if output.size != 1:
        raise ArgumentError(
            f"derive needs a single number, not shape {output.shape}\n"
            "remedy: put limpid.sum(…) or limpid.mean(…) around it"
        )
    from limpid.explanation.derivation.work import derive_pass  # with all of formulas

    nodes = reachable([output.node])
    leaves = forward_values([n for n in nodes if not n.inputs])
    return derive_pass(nodes, output.node, wanted_nodes(nodes, wrt), leaves)
