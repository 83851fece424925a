"""`limpid.why` names the reason for gradients that are missing, zero or tiny."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Callable

import numpy as np
import pytest

import limpid
from limpid import errors
from limpid.explanation.reasons.causes import norm
from tests.models import MODELS, Model
from tests.why_cases import LATER, SEEN, UNSEEN, Build, guilty_line


def is_right(build: Build, seed: int) -> bool:
    question = build(np.random.default_rng(seed))
    reason = limpid.why(question.p, question.loss, **question.options)
    line = guilty_line(build)
    found = (reason.status, reason.kind)
    place = reason.source.rpartition(":")[2]
    print(f"{build.__name__}: {reason}")
    return found == (question.status, question.kind) and (line is None or place == str(line))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("build", SEEN, ids=lambda build: build.__name__)
def test_seen_cases(build: Build, seed: int) -> None:
    assert is_right(build, seed)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("build", UNSEEN, ids=lambda build: build.__name__)
def test_cases_that_were_set_aside(build: Build, seed: int) -> None:
    assert is_right(build, seed)


@pytest.mark.parametrize("build", LATER, ids=lambda build: build.__name__)
def test_later_cases(build: Build) -> None:
    assert is_right(build, 0)


MODEL = pytest.mark.parametrize("build", [b for _, b in MODELS], ids=[n for n, _ in MODELS])


@MODEL
def test_factors_multiply_to_the_whole(build: Callable[[], Model]) -> None:
    model = build()
    loss = model.run()
    loss.backward(retain_graph=True)
    for p in model.parameters.values():
        reason = limpid.why(p, loss)
        assert p.grad is not None
        whole = norm(p.grad.numpy())  # the upstream of a scalar loss is 1
        assert reason.whole == pytest.approx(whole, rel=1e-12)
        assert np.prod(reason.factors) == pytest.approx(whole, rel=1e-10)
        assert reason.status == ("arrives" if whole > 1e-6 else "tiny")
        json.dumps(reason.to_json())
        assert str(reason)


@MODEL
def test_the_loss_as_a_function(build: Callable[[], Model]) -> None:
    """It gives the same answer, and what the function writes is undone."""
    model = build()
    reason = [limpid.why(p, model.run) for p in model.parameters.values()]
    again = [limpid.why(p, model.run) for p in model.parameters.values()]
    assert [r.factors for r in reason] == [r.factors for r in again]
    assert all(p.grad is None for p in model.parameters.values())


def test_a_bias_before_normalisation() -> None:
    """The mean is taken away from it: its gradient is nothing but rounding."""
    model = dict(MODELS)["batch_norm"]()
    reason = limpid.why(model.parameters["0.bias"], model.run)
    assert (reason.status, reason.kind) == ("tiny", "cancels")


def test_the_last_backward_pass_is_known() -> None:
    w = limpid.tensor([1.0, -2.0], requires_grad=True)
    loss = limpid.sum(limpid.relu(w - 5.0))
    loss.backward()
    assert limpid.why(w).kind == "mask"
    del loss
    with pytest.raises(errors.ArgumentError, match="lambda"):
        limpid.why(w)


def test_after_an_update_the_function_is_needed() -> None:
    w = limpid.Parameter([1.0, -2.0])

    def loss() -> limpid.Tensor:
        return limpid.sum(limpid.relu(w * w - 50.0))

    made = loss()
    made.backward()
    limpid.assign(w, [3.0, 4.0])
    with pytest.raises(errors.OverwrittenError, match="lambda"):
        limpid.why(w, made)
    assert limpid.why(w, loss).kind == "mask"


def test_an_unused_tensor_beside_a_cut() -> None:
    """With the graph gone a cut is only probable; run again, it is known not to be one of w's."""
    x, w, v = limpid.ones((3,)), limpid.Parameter([1.0] * 3), limpid.Parameter([2.0] * 3)

    def loss() -> limpid.Tensor:
        h = limpid.tanh(v * x).detach()
        return limpid.sum(h * v)

    assert not limpid.why(w, loss()).certain
    reason = limpid.why(w, loss)
    assert (reason.kind, reason.certain) == ("unused", True)


def test_the_cut_that_hides_it_is_named_among_several() -> None:
    w, v = limpid.Parameter([1.0] * 3), limpid.Parameter([2.0] * 3)

    def loss() -> limpid.Tensor:
        a = limpid.tanh(v * 2.0).detach()
        b = limpid.tanh(w * 2.0).detach()
        return limpid.sum((a + b) * v)

    reason = limpid.why(w, loss)
    assert "tanh(w * 2.0).detach()" in reason.text
    assert reason.certain


def test_nan() -> None:
    w = limpid.tensor([0.0, 1.0], requires_grad=True)
    reason = limpid.why(w, limpid.sum(limpid.sqrt(w) * 0.0 + limpid.sqrt(w - w)))
    assert reason.status == "not finite"
    assert "sqrt" in reason.text


def test_seeds_that_are_zero_and_outputs_that_are_no_scalars() -> None:
    w = limpid.tensor([0.5, 1.0], requires_grad=True)
    y = limpid.tanh(w)
    assert limpid.why(w, y, gradient=np.zeros(2)).kind == "zero upstream"
    assert limpid.why(w, y, gradient=np.ones(2)).kind == "arrives"
    with pytest.raises(errors.SeedError):
        limpid.why(w, y)


def test_softmax_that_is_certain() -> None:
    w = limpid.tensor([[1000.0, 0.0, 0.0]], requires_grad=True)
    reason = limpid.why(w, limpid.sum(limpid.softmax(w, axis=-1)[0, 0] * 3.0))
    assert (reason.status, reason.kind) == ("zero", "saturated")


def test_wrong_arguments() -> None:
    w = limpid.tensor([0.5, 1.0], requires_grad=True)
    with pytest.raises(errors.OperandError):
        limpid.why([1.0])
    with pytest.raises(errors.OperandError):
        limpid.why(w, 3.0)
    with pytest.raises(errors.ArgumentError):
        limpid.why(w, lambda: 3.0)
    assert limpid.why(limpid.tensor([1, 2]), limpid.sum(w)).kind == "integer"


def test_one_output_of_several() -> None:
    w = limpid.tensor([3.0, 1.0, 2.0, 5.0], requires_grad=True)
    a, b = limpid.split(w * 1.0, 2)
    loss = limpid.sum(a * a)
    assert limpid.why(w, loss).kind == "arrives"
    assert limpid.why(b, loss).status in ("none", "zero")


def test_empty_tensors() -> None:
    w = limpid.tensor(np.zeros((0, 3)), requires_grad=True)
    assert limpid.why(w, limpid.sum(w * 2.0)).status == "zero"


def test_cut_marks_keep_no_graph_alive() -> None:
    w = limpid.Parameter([1.0, 2.0])
    h = limpid.tanh(w * 2.0)
    node = weakref.ref(h.node)
    kept = h.detach()
    h.sum().item()
    total = limpid.sum(kept * w)
    del h
    gc.collect()
    assert node() is None
    assert limpid.why(w, total).kind == "arrives"


def test_through_numpy_and_back() -> None:
    w, v = limpid.Parameter([1.0, 2.0]), limpid.Parameter([2.0, 3.0])
    h = limpid.tanh(w)
    array = h.detach().numpy()
    back = limpid.asarray(array)
    reason = limpid.why(w, limpid.sum(back * v))
    assert (reason.kind, reason.certain) == ("detached", True)  # h lives, so it is known
    assert "h.detach() by .detach().numpy()" in reason.text
    assert reason.text.startswith("no path: cut at test_why.py:")


def test_a_function_runs_its_rule_once() -> None:
    class Product(limpid.Function):
        calls = 0

        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x, y)
            return x * y

        @staticmethod
        def backward(ctx, g):
            Product.calls += 1
            x, y = ctx.saved_tensors
            return g * y, g * x

    x, y = limpid.Parameter([1.0, 2.0]), limpid.Parameter([0.0, 0.0])
    reason = limpid.why(x, limpid.sum(Product.apply(x, y)))
    assert reason.status == "zero"
    assert Product.calls == 1


def test_rebound_without_its_grad_in_sight() -> None:
    p = limpid.tensor([1.0, 2.0], requires_grad=True)
    p = p * np.array([0.0, 1.0])
    loss = limpid.sum(p * p)
    loss.backward()
    assert limpid.why(p, loss).kind == "replaced"
    h = limpid.tanh(limpid.tensor([1.0, 2.0], requires_grad=True))
    h = h * 2.0
    loss = limpid.sum(h * h)
    loss.backward()
    assert limpid.why(h, loss).kind == "computed"
    with limpid.no_grad():
        h = h * 2.0
    assert limpid.why(h, loss).kind == "no_grad"
