"""`why`: the reason for a gradient that is missing, zero or tiny."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from limpid.differentiation.reverse import seed_for
from limpid.errors import ArgumentError, OperandError, OverwrittenError
from limpid.explanation.reasons.absence import Cuts, computed, no_path, not_held, of_tensor
from limpid.explanation.reasons.flow import Flow
from limpid.explanation.reasons.reason import Reason
from limpid.explanation.walk import Walk, walk_from
from limpid.graph.context import context
from limpid.graph.node import Freed, reachable
from limpid.storage import writes_undone
from limpid.tensor import Tensor

Loss = Tensor | Callable[[], Tensor]


def why(
    p: Tensor, loss: Loss | None = None, *, gradient: Any = None, optimizer: Any = None
) -> Reason:
    """Why the gradient of a tensor is None, zero or tiny.

    p          a parameter or any tensor
    loss       what backward begins from. Or a function of no arguments that computes it: it is run
               once, its writes to state are undone, and every cut is seen, so that the answer is
               certain. By default the tensor whose `.backward()` was called last, while it lives
    gradient   the upstream gradient, for a loss that is no scalar
    optimizer  also tell whether this optimiser holds the tensor

    Without a path the reason names the cut: "cut at net.py:31 by .detach().numpy()". With one, it
    names the edge that passes nothing, or follows the strongest path and gives the factor by which
    each edge changes the norm; the factors multiply to the whole.

    Raises ArgumentError if no loss is known, OverwrittenError if values were assigned to since.

    >>> import limpid
    >>> w = limpid.tensor([1.0, -2.0], requires_grad=True)
    >>> reason = limpid.why(w, limpid.sum(limpid.relu(w - 5.0)))
    >>> reason.status, reason.kind
    ('zero', 'mask')
    >>> limpid.why(w, limpid.sum(w.detach() * 2.0)).kind
    'detached'
    """
    if not isinstance(p, Tensor):
        raise OperandError(f"why asks about a tensor, not {type(p).__name__}")
    with watched() as cuts:
        output = _output(loss, cuts)
    reason = of_tensor(p)
    if reason is not None:
        return reason
    reason = _without_loss(p) if output is None else _with_loss(p, output, gradient, cuts)
    if optimizer is not None and reason.status == "arrives":
        return not_held(p, optimizer) or reason
    return reason


@contextmanager
def watched() -> Iterator[Cuts]:
    """Every cut inside is kept, with the node that was left."""
    state = context.state
    before, cuts = state.cuts, Cuts()
    state.cuts = cuts.kept
    try:
        yield cuts
    finally:
        state.cuts = before


def _output(loss: Loss | None, cuts: Cuts) -> Tensor | None:
    if loss is None:
        found = context.state.differentiated
        return found() if found is not None else None
    if isinstance(loss, Tensor):
        return loss
    if not callable(loss):
        raise OperandError(f"the loss is a tensor or a function, not {type(loss).__name__}")
    cuts.watched = True
    with writes_undone():
        output = loss()
    if not isinstance(output, Tensor):
        raise ArgumentError(f"the loss function must return a tensor, not {type(output).__name__}")
    return output


def _without_loss(p: Tensor) -> Reason:
    reason = computed(p) if p.grad is None else None
    if reason is not None:
        return reason
    raise ArgumentError(
        "no backward pass is known: backward() was not called on this thread, or its loss is gone\n"
        "remedy: limpid.why(p, loss), or limpid.why(p, lambda: …) with the loss as a function"
    )


def _with_loss(p: Tensor, loss: Tensor, gradient: Any, cuts: Cuts) -> Reason:
    assert p.node is not None
    if loss.node is None or not loss.requires_grad or p.node not in reachable([loss.node]):
        return computed(p) if _is_replaced(p) else no_path(p, loss, cuts)  # type: ignore[return-value]  # it is computed
    if not p.node.is_leaf and p.grad is None and (_is_replaced(p) or _has_run(loss)):
        reason = computed(p)
        assert reason is not None
        return reason
    return _arriving(p, loss, Flow(_walk(loss, gradient), (p.node, p.index)).reason())


def _is_replaced(p: Tensor) -> bool:
    reason = computed(p)
    return reason is not None and reason.kind == "replaced"


def _has_run(loss: Tensor) -> bool:
    """Whether backward has been through the graph of the loss and freed it."""
    return loss.node is not None and isinstance(loss.node.saved, Freed)


def _walk(loss: Tensor, gradient: Any) -> Walk:
    try:
        return walk_from(loss, seed_for(loss, gradient, False))
    except OverwrittenError as error:
        found = str(error).removesuffix(f" [{error.id}]").partition("\nremedy: ")[0]
        raise OverwrittenError(
            f"{found}\nremedy: ask before optimizer.step(), or limpid.why(p, lambda: …) with the "
            "loss as a function, which computes it again"
        ) from None


def _arriving(p: Tensor, loss: Tensor, reason: Reason) -> Reason:
    """If a gradient would arrive but .grad is empty, say so."""
    if reason.status not in ("arrives", "tiny") or p.grad is not None:
        return reason
    done = _has_run(loss)
    missing = "it was cleared (zero_grad) after backward()" if done else "backward() has not run"
    text = f"{reason.text}; .grad is None since {missing}"
    remedy = "read .grad before zero_grad()" if done else reason.remedy or "loss.backward()"
    return Reason(
        reason.status, reason.kind, text, reason.source, remedy, reason.edges, reason.whole
    )
