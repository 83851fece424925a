"""Where a NaN or an infinity was born: eager, compiled, from a replay, on the command line."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn, optim
from limpid.cli.application import run as run_command
from limpid.diagnosis.origin.declared import condition_text
from limpid.differentiation.primitive import Primitive
from limpid.errors import NonFiniteError
from limpid.storage import Storage
from limpid.training import train
from tests.faults.case import Case
from tests.faults.corpus import CASES, RUNS

ONES = np.ones(3, np.float32)
Ways = ["eager", "compiled"]


def origin_of(function: Callable[..., Any], *args: Any, way: str = "eager", calls: int = 1) -> Any:
    """What tracing says of some calls; None if it says nothing."""
    step = function if way == "eager" else limpid.compile(function)
    results, raised = [], None
    try:
        with limpid.trace_nans() as trace:
            results += [step(*args) for _ in range(calls)]
    except NonFiniteError as error:
        raised = error
    if raised is not None:
        assert str(raised).startswith(str(raised.origin))
        assert json.dumps(raised.origin.to_json())
    assert trace.origin is (None if raised is None else raised.origin)
    return trace.origin


def parameter() -> Any:
    return limpid.Parameter([1.0, 2.0, 3.0])


# The corpus


def run_case(make: Callable[[], Any], way: str) -> Any:
    program = make()
    step = program.step if way == "eager" else limpid.compile(program.step)
    try:
        with limpid.trace_nans():
            for batch in program.batches:
                step(*batch)
    except NonFiniteError as error:
        return error.origin
    return None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", Ways)
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_case_of_the_corpus(case: Case, way: str) -> None:
    if case.nan is not None:
        origin = run_case(case.faulty, way)
        assert origin is not None, "nothing was found"
        assert origin.producer in case.nan.producers
        assert origin.line.split("  #")[0].strip() == case.nan.line
        assert (origin.born, origin.step) == (case.nan.born, case.nan.step)
    assert run_case(case.healthy, way) is None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", Ways)
@pytest.mark.parametrize("make", RUNS.values(), ids=RUNS.keys())
def test_a_healthy_run(make: Callable[[], Any], way: str) -> None:
    assert run_case(make, way) is None


# What is found


@pytest.mark.parametrize("way", Ways)
def test_a_nan_goes_back_to_the_infinity_that_it_was_made_of(way: str) -> None:
    def step(x: Any) -> Any:
        weights = limpid.exp(w * x)
        loss = limpid.sum(weights / limpid.sum(weights) * w)
        loss.backward()
        return loss

    w = parameter()
    origin = origin_of(step, np.float32([1, 50, 0]), way=way)
    assert (origin.producer, origin.born, origin.step) == ("exp", "forward", 1)
    assert origin.line == "weights = limpid.exp(w * x)"
    assert origin.expression == "limpid.exp(w * x)"
    assert (origin.count, origin.size) == (1, 3)
    (element,) = origin.elements
    assert element.index == (1,)
    assert np.isinf(element.value)
    assert element.operands == {"x": 100.0}
    assert origin.rule == "exp of 100 = inf: beyond the largest float32, 3.4e+38"
    assert [link.name for link in origin.chain] == ["exp", "divide", "multiply", "sum"]
    assert [link.kind for link in origin.chain] == ["inf", "NaN", "NaN", "NaN"]
    assert origin.reached == "the loss"


@pytest.mark.parametrize("way", Ways)
def test_the_domain_is_told_as_it_is_declared(way: str) -> None:
    def step(x: Any) -> Any:
        loss = limpid.sum(limpid.log(w - x))
        loss.backward()
        return loss

    w = parameter()
    origin = origin_of(step, np.float32([2.2, 0, 0]), way=way)
    assert origin.rule == "log of −1.2 = NaN: outside its domain x > 0"


@pytest.mark.parametrize("way", Ways)
def test_a_local_derivative_that_is_infinite(way: str) -> None:
    def step(x: Any) -> Any:
        length = limpid.sqrt(limpid.sum(w * w * x))
        loss = limpid.where(length > 0, length, 1.0)
        loss.backward()
        return loss

    w = parameter()
    origin = origin_of(step, 0 * ONES, way=way)
    assert (origin.producer, origin.born) == ("sqrt", "local derivative")
    assert origin.line == "length = limpid.sqrt(limpid.sum(w * w * x))"
    assert origin.rule.startswith("d sqrt at 0 is infinite, upstream was 0: 0·∞ = NaN")
    assert origin.reached.startswith(("the gradient", "a gradient"))
    assert origin.chain[0].part == "backward"


@pytest.mark.parametrize("way", Ways)
def test_the_update_of_an_optimiser(way: str) -> None:
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = limpid.sum(w * x)
        loss.backward()
        optimizer.step()
        return loss

    w = parameter()
    optimizer = optim.Adam([w], lr=0.1, eps=0.0)
    origin = origin_of(step, np.float32([1, 0, 1]), way=way)
    assert (origin.producer, origin.born, origin.step) == ("divide", "update", 1)
    assert origin.line == "optimizer.step()"
    assert origin.elements[0].index == (1,)
    assert np.isfinite(w.numpy() if not w.requires_grad else w.detach().numpy()).all()


@pytest.mark.parametrize("way", Ways)
def test_an_update_by_hand(way: str) -> None:
    def step(x: Any) -> Any:
        w.grad = None
        loss = limpid.sum(w * x)
        loss.backward()
        with limpid.no_grad():
            limpid.assign(w, w - 0.1 * w.grad / (limpid.max(w.grad) - 1.0))
        return loss

    w = parameter()
    origin = origin_of(step, ONES, way=way)
    assert (origin.producer, origin.born, origin.step) == ("divide", "update", 1)
    assert w.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("way", Ways)
def test_data_that_is_not_finite(way: str) -> None:
    def step(images: Any) -> Any:
        loss = limpid.sum(images * w)
        loss.backward()
        return loss

    w = parameter()
    origin = origin_of(step, np.float32([1, np.nan, 2]), way=way)
    assert (origin.producer, origin.born) == ("images", "input")
    assert origin.line == "loss = limpid.sum(images * w)"
    assert origin.elements[0].index == (1,)


def test_data_that_numpy_has_worked_on() -> None:
    def step(images: Any) -> Any:
        scaled = images / 255  # NumPy, which nobody sees
        loss = limpid.sum(scaled * w)
        loss.backward()

    w = parameter()
    origin = origin_of(step, np.float32([1, np.inf, 2]))
    assert (origin.producer, origin.born) == ("images", "input")
    assert origin.line.startswith("scaled = images / 255")


@pytest.mark.filterwarnings("ignore:invalid value", "ignore:overflow")
def test_numpy_goes_on_with_what_an_operation_gave() -> None:
    def step(x: Any) -> Any:
        weights = limpid.exp(x)  # arrays in, arrays out
        loss = limpid.sum(weights / np.sum(weights) * w)
        loss.backward()

    w = parameter()
    origin = origin_of(step, np.float32([1, 100, 2]))
    assert (origin.producer, origin.born) == ("exp", "forward")


def test_a_line_of_numpy_is_named() -> None:
    def step(x: Any) -> Any:
        scaled = (x - np.mean(x)) / np.std(x)
        loss = limpid.sum(scaled * w)
        loss.backward()

    w = parameter()
    origin = origin_of(step, ONES)
    assert (origin.producer, origin.born) == ("divide", "forward")
    assert origin.line == "scaled = (x - np.mean(x)) / np.std(x)"
    assert "NumPy" in origin.rule


@pytest.mark.parametrize("way", Ways)
def test_a_rate_that_is_infinite(way: str) -> None:
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = limpid.sum(w * x)
        loss.backward()
        optimizer.step()
        return loss

    w = parameter()
    optimizer = optim.SGD([w], lr=0.1)
    optimizer.param_groups[0]["lr"] = np.inf
    origin = origin_of(step, ONES, way=way)
    assert (origin.producer, origin.born, origin.line) == ("lr", "update", "optimizer.step()")


@pytest.mark.parametrize("way", Ways)
def test_what_comes_after_the_update_is_of_the_same_call(way: str) -> None:
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = limpid.sum(w * x)
        loss.backward()
        optimizer.step()
        limpid.assign(mean, mean / (count - 1))
        limpid.assign(count, count - 1)
        return loss

    w = parameter()
    optimizer = optim.SGD([w], lr=0.1)
    mean, count = limpid.Buffer([1.0]), limpid.Buffer([3.0])
    origin = origin_of(step, ONES, way=way, calls=4)
    assert (origin.producer, origin.born, origin.step) == ("divide", "update", 3)


@pytest.mark.parametrize("way", Ways)
def test_state_that_was_not_finite_before(way: str) -> None:
    def step(x: Any) -> Any:
        loss = limpid.sum(x * w)
        loss.backward()
        return loss

    w = limpid.Parameter([1.0, np.nan, 3.0])
    origin = origin_of(step, ONES, way=way)
    assert origin.born == "input"
    assert "1 NaN of 3 elements" in origin.rule


@pytest.mark.parametrize("way", Ways)
def test_operations_without_a_gradient_count(way: str) -> None:
    def step(x: Any) -> Any:
        with limpid.no_grad():
            scale = limpid.log(limpid.sum(w * 0 - x))
        loss = limpid.sum(w * scale)
        loss.backward()
        return loss

    w = parameter()
    origin = origin_of(step, ONES, way=way)
    assert (origin.producer, origin.line) == ("log", "scale = limpid.log(limpid.sum(w * 0 - x))")


@pytest.mark.parametrize("way", Ways)
def test_calls_through_numpy(way: str) -> None:
    def step(x: Any) -> Any:
        loss = np.sum(np.log(w - x))
        loss.backward()
        return loss

    w = parameter()
    assert origin_of(step, ONES, way=way).producer == "log"


@pytest.mark.parametrize("way", Ways)
def test_the_earliest_of_several(way: str) -> None:
    def step(x: Any) -> Any:
        first = limpid.log(w - 2 * x)
        second = limpid.sqrt(w - 2 * x)
        loss = limpid.sum(second) + limpid.sum(first)
        loss.backward()
        return loss

    w = parameter()
    assert origin_of(step, ONES, way=way).producer == "log"


@pytest.mark.parametrize("way", Ways)
def test_the_call_is_told(way: str) -> None:
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = limpid.sum(limpid.log(w) * x)
        loss.backward()
        optimizer.step()
        return loss

    w = limpid.Parameter([1.0])
    optimizer = optim.SGD([w], lr=0.6)
    origin = origin_of(step, np.float32([1]), way=way, calls=5)
    assert origin.step == 3  # 1, 0.4, −1.1
    assert origin.elements[0].operands["x"] == pytest.approx(-1.1)


@pytest.mark.parametrize("way", Ways)
def test_what_is_refused_because_it_is_not_finite(way: str) -> None:
    def step(x: Any) -> Any:
        p = 1 / (w - x)
        loss = nn.functional.binary_cross_entropy(p, np.ones(3, np.float32))
        loss.backward()
        return loss

    w = limpid.Parameter([1.0, 3.0, 5.0])
    origin = origin_of(step, ONES, way=way)
    assert (origin.producer, origin.born) == ("divide", "forward")
    assert origin.reached == "binary_cross_entropy, which refuses it"
    with pytest.raises(limpid.errors.ArgumentError, match="probabilities"):
        origin_of(step, 0.5 * ONES, way=way)


# Bodies


@pytest.mark.parametrize("way", Ways)
def test_within_a_loop(way: str) -> None:
    def body(carry: Any, x: Any) -> Any:
        carry = limpid.log(carry)
        return carry, carry * x

    def step(x: Any) -> Any:
        _, ys = limpid.scan(body, w * 0.5, x)
        loss = limpid.sum(ys)
        loss.backward()
        return loss

    w = parameter()
    origin = origin_of(step, np.ones((4, 3), np.float32), way=way)
    assert (origin.producer, origin.line) == ("log", "carry = limpid.log(carry)")
    assert origin.elements[0].operands["x"] == pytest.approx(np.log(0.5))


@pytest.mark.parametrize("way", Ways)
def test_a_derivative_within_a_loop(way: str) -> None:
    def body(carry: Any, x: Any) -> Any:
        level = limpid.where(w > 0, limpid.log(w * x), 0.0)
        return carry + level, level

    def step(x: Any) -> Any:
        last, _ = limpid.scan(body, limpid.zeros(3), x)
        loss = limpid.sum(last)
        loss.backward()
        return loss

    w = limpid.Parameter([0.0, 1.0, 2.0])
    origin = origin_of(step, np.ones((4, 3), np.float32), way=way)
    assert (origin.producer, origin.born) == ("log", "local derivative")
    assert origin.expression == "limpid.log(w * x)"


@pytest.mark.parametrize("way", Ways)
def test_within_a_branch(way: str) -> None:
    def step(x: Any) -> Any:
        y = limpid.cond(limpid.sum(x) > 0, lambda v: limpid.sqrt(v - 3.0), lambda v: v, w * x)
        loss = limpid.sum(y)
        loss.backward()
        return loss

    w = parameter()
    origin = origin_of(step, ONES, way=way)
    assert (origin.producer, origin.expression) == ("sqrt", "limpid.sqrt(v - 3.0)")


@pytest.mark.parametrize("way", Ways)
@pytest.mark.parametrize(("shift", "born"), [(2.0, "forward"), (1.0, "local derivative")])
def test_within_recompute(way: str, shift: float, born: str) -> None:
    def step(x: Any) -> Any:
        loss = limpid.sum(limpid.recompute(lambda v: limpid.sqrt(v - shift) * v)(w * x))
        loss.backward()
        return loss

    w = parameter()
    origin = origin_of(step, ONES, way=way)
    assert (origin.producer, origin.born) == ("sqrt", born)


class Inverse(limpid.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return limpid.asarray(1 / x.numpy())

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return -g / (x * x)


class Rough(limpid.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * 1.0

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g / (x - 1.0)


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("way", Ways)
def test_a_function_of_the_users_is_named(way: str) -> None:
    def step(x: Any) -> Any:
        loss = limpid.sum(Inverse.apply(w - 1.0) * x)
        loss.backward()
        return loss

    def other(x: Any) -> Any:
        loss = limpid.sum(Rough.apply(w) * x)
        loss.backward()
        return loss

    w = parameter()
    origin = origin_of(step, ONES, way=way)
    assert (origin.producer, origin.born) == ("Inverse", "forward")
    origin = origin_of(other, ONES, way=way)
    assert (origin.producer, origin.born) == ("Rough", "local derivative")


@pytest.mark.parametrize("way", Ways)
def test_gradients_of_gradients(way: str) -> None:
    def step(x: Any) -> Any:
        inner = limpid.grad(lambda v: limpid.sum(limpid.sqrt(v) * v))
        return limpid.grad(lambda v: limpid.sum(inner(v)))(x)

    origin = origin_of(step, np.zeros(3), way=way)
    assert (origin.producer, origin.born) == ("sqrt", "local derivative")


# What is no fault


@pytest.mark.parametrize("way", Ways)
def test_infinities_that_are_meant(way: str) -> None:
    def attention(x: Any) -> Any:
        scores = limpid.where(np.array([True, False, True]), w * x, -np.inf)
        loss = limpid.sum(limpid.softmax(scores) * x)
        loss.backward()
        return loss, scores

    def largest(x: Any) -> Any:
        best = limpid.full((), -np.inf)
        for k in range(3):
            best = limpid.maximum(best, x[k] * w[k])
        best.backward()
        return best

    w = parameter()
    assert origin_of(attention, ONES, way=way) is None
    assert origin_of(attention, ONES, way=way, calls=4) is None
    assert origin_of(largest, ONES, way=way) is None


@pytest.mark.parametrize("way", Ways)
def test_values_that_are_thrown_away(way: str) -> None:
    def step(x: Any) -> Any:
        with limpid.no_grad():
            logarithms = limpid.log(x - 1)
        loss = limpid.sum(w * limpid.where(x > 1, logarithms, 0.0))
        loss.backward()
        return loss

    w = parameter()
    assert origin_of(step, np.float32([1, 2, 0]), way=way) is None


@pytest.mark.parametrize("way", Ways)
def test_beside_a_safe_choice(way: str) -> None:
    def step(x: Any) -> Any:
        guarded = limpid.where(w > 0, limpid.log(w), 0.0, safe=True)
        loss = limpid.sum(guarded) + limpid.sum(limpid.sqrt(w) * x)
        loss.backward()
        return loss

    w = limpid.Parameter([1.0, 0.0, 2.0])
    origin = origin_of(step, ONES, way=way)
    assert (origin.producer, origin.born, origin.count) == ("sqrt", "local derivative", 1)
    w = limpid.Parameter([1.0, -1.0, 2.0])
    assert origin_of(step, ONES, way=way).producer == "sqrt"


@pytest.mark.parametrize("way", Ways)
def test_a_masked_class_that_is_the_right_one(way: str) -> None:
    def step(x: Any) -> Any:
        scores = limpid.where(x > 0, -np.inf, w)
        loss = nn.functional.cross_entropy(scores[None], np.array([0]))
        loss.backward()
        return loss

    w = parameter()
    origin = origin_of(step, np.float32([1, 0, 0]), way=way)
    assert (origin.producer, origin.born) == ("cross_entropy", "forward")
    assert origin_of(step, np.float32([0, 1, 0]), way=way) is None


@pytest.mark.parametrize("way", Ways)
def test_a_fully_masked_row_is_the_fault_of_what_makes_it_nan(way: str) -> None:
    def step(x: Any) -> Any:
        scores = limpid.where(x > 5, w, -np.inf)
        loss = limpid.sum(limpid.softmax(scores))
        loss.backward()
        return loss

    w = parameter()
    origin = origin_of(step, ONES, way=way)
    assert (origin.producer, origin.born) == ("softmax", "forward")
    assert "on purpose" in origin.rule


@pytest.mark.parametrize("way", Ways)
def test_a_mask_among_the_arguments_is_meant_too(way: str) -> None:
    def step(x: Any, mask: Any) -> Any:
        loss = limpid.sum(limpid.softmax(w * x + mask))
        loss.backward()
        return loss

    w = parameter()
    hidden = np.full(3, -np.inf, np.float32)
    assert origin_of(step, ONES, np.float32([0, -np.inf, 0]), way=way) is None
    assert origin_of(step, ONES, hidden, way=way).producer == "softmax"


@pytest.mark.parametrize("way", Ways)
def test_a_minimum_that_begins_with_infinity(way: str) -> None:
    best = limpid.Buffer([np.inf])

    def step(x: Any) -> Any:
        limpid.assign(best, limpid.minimum(best, limpid.sum(x, keepdims=True)))

    assert origin_of(step, ONES, way=way, calls=2) is None
    assert best.tolist() == [3.0]


# Where it ends


def test_a_result_that_is_still_held() -> None:
    held = []
    with pytest.raises(NonFiniteError, match="log of −1"), limpid.trace_nans():
        held.append(limpid.log(limpid.tensor([-1.0])))
    assert np.isnan(held[0].numpy()).all()
    with limpid.trace_nans():
        limpid.log(limpid.tensor([-1.0]))  # nobody wants it


def test_a_number_that_leaves() -> None:
    with limpid.trace_nans(), pytest.raises(NonFiniteError, match="log of −1"):
        limpid.log(limpid.tensor(-1.0)).item()


def test_exceptions_and_nested_blocks() -> None:
    w = limpid.Parameter([0.0])
    with limpid.trace_nans() as outer:
        with limpid.trace_nans() as inner, pytest.raises(NonFiniteError):
            limpid.sum(limpid.sqrt(w)).backward()
        assert inner.origin is outer.origin is not None
        with pytest.raises(NonFiniteError):
            limpid.sum(limpid.sqrt(w)).backward()
    with pytest.raises(KeyError), limpid.trace_nans():
        raise KeyError
    limpid.sum(limpid.sqrt(w)).backward()
    assert w.grad is not None
    assert np.isinf(w.grad.numpy()).all()


def test_nothing_stays_when_the_block_has_ended() -> None:
    before = Primitive.__call__, Storage.write
    with limpid.trace_nans():
        assert (Primitive.__call__, Storage.write) != before
    assert (Primitive.__call__, Storage.write) == before
    with pytest.raises(KeyError), limpid.trace_nans():
        raise KeyError
    assert (Primitive.__call__, Storage.write) == before


def test_other_threads_are_left_alone() -> None:
    found: list[Any] = []

    def work() -> None:
        w = limpid.Parameter([0.0])
        limpid.sum(limpid.sqrt(w)).backward()
        found.append(w.grad)

    with limpid.trace_nans():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert np.isinf(found[0].numpy()).all()


def test_as_a_decorator() -> None:
    @limpid.trace_nans()
    def work() -> Any:
        return limpid.log(limpid.tensor(-1.0)).item()

    for _ in range(2):
        with pytest.raises(NonFiniteError):
            work()


def test_numbers_are_the_same_with_and_without() -> None:
    def run(traced: bool, way: str) -> Any:
        limpid.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 1))
        optimizer = optim.Adam(model.parameters(), lr=0.01)

        def function(x: Any) -> Any:
            optimizer.zero_grad()
            loss = limpid.mean(model(x) ** 2)
            loss.backward()
            optimizer.step()
            return loss

        step = limpid.compile(function, trace_nans=traced) if way == "compiled" else function
        x = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
        if traced and way == "eager":
            with limpid.trace_nans():
                losses = [step(x).item() for _ in range(4)]
        else:
            losses = [step(x).item() for _ in range(4)]
        return losses, [p.detach().numpy().tobytes() for p in model.parameters()]

    for way in Ways:
        assert run(True, way) == run(False, way)


# Compiled steps


def failing() -> tuple[Any, Any]:
    w = limpid.Parameter([1.0])

    def step(x: Any) -> Any:
        w.grad = None
        loss = limpid.sum(limpid.log(w) * x)
        loss.backward()
        limpid.assign(w, w - 0.6 * w.grad)
        return loss

    return step, w


def test_a_step_that_traces_itself_finds_its_state_as_it_was() -> None:
    function, w = failing()
    step = limpid.compile(function, trace_nans=True)
    x = limpid.tensor([1.0])
    step(x), step(x)
    before = w.tolist()
    with pytest.raises(NonFiniteError) as error:
        step(x)
    assert w.tolist() == before
    assert error.value.origin.step == 3
    assert step.trace_nans() is error.value.origin
    with pytest.raises(NonFiniteError):
        step(x)  # it is the same call again


def test_after_the_fact_from_kept_calls() -> None:
    function, _ = failing()
    step = limpid.compile(function, keep=4)
    for _ in range(5):
        step(limpid.tensor([1.0]))
    origin = step.trace_nans()
    assert (origin.producer, origin.step) == ("log", 3)
    healthy = limpid.compile(lambda x: x * 2, keep=1)
    healthy(ONES)
    assert healthy.trace_nans() is None
    with pytest.raises(limpid.errors.ArgumentError, match="keep"):
        limpid.compile(lambda x: x).trace_nans()


def test_probes_and_tracing_together() -> None:
    function, _ = failing()
    step = limpid.compile(function, trace_nans=True, probe="loss", keep=1)
    step(limpid.tensor([1.0]))
    assert list(step.probed) == ["loss"]
    assert step.probed["loss"] == 0.0
    assert step.replay().result.item() == 0.0
    step.remove_probes()
    step(limpid.tensor([1.0]))
    assert step.probed == {}
    with pytest.raises(NonFiniteError):
        step(limpid.tensor([1.0]))


def test_state_that_changes_between_calls() -> None:
    function, w = failing()
    step = limpid.compile(function, trace_nans=True)
    x = limpid.tensor([1.0])
    step(x)
    limpid.assign(w, limpid.tensor([2.0]))
    step(x)
    step(limpid.tensor([1.0, 1.0]))  # another recording of the same state
    limpid.assign(w, limpid.tensor([-3.0]))
    with pytest.raises(NonFiniteError) as error:
        step(x)
    assert error.value.origin.elements[0].operands == {"x": -3.0}
    assert w.tolist() == [-3.0]


@pytest.mark.parametrize("reused", [False, True])
def test_a_schedule_between_calls_and_buffers_that_are_filled_anew(reused: bool) -> None:
    w = limpid.Parameter(np.ones(8, np.float32))
    others = [limpid.Parameter([1.0]) for _ in range(8)]
    optimizer = optim.SGD([w, *others], lr=0.1)

    @limpid.compile(trace_nans=True)
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = limpid.sum(limpid.log(w + x)) + sum(limpid.sum(p * p) for p in others)
        loss.backward()
        optimizer.step()
        return loss

    random = np.random.default_rng(0)
    buffer = np.ones(8, np.float32)
    for number in range(279):
        optimizer.param_groups[0]["lr"] = 0.01 / (number + 1)
        drawn = random.uniform(1, 2, 8).astype(np.float32)
        buffer[:] = drawn
        step(buffer if reused else drawn)
    optimizer.param_groups[0]["lr"] = 0.01 / 280
    before = [p.tolist() for p in (w, *others)]
    buffer[5] = -3
    with pytest.raises(NonFiniteError) as error:
        step(buffer)
    assert error.value.origin.step == 280
    assert error.value.origin.elements[0].index == (5,)
    assert [p.tolist() for p in (w, *others)] == before
    assert optimizer.param_groups[0]["lr"].item() == 0.01 / 280


def test_gradients_that_the_new_state_would_not_show() -> None:
    w = limpid.Parameter([0.0, 1.0])

    @limpid.compile(trace_nans=True)
    def step(x: Any) -> Any:
        w.grad = None
        loss = limpid.sum(limpid.sqrt(w) * x)
        loss.backward()
        limpid.assign(w, w - 0.1 * limpid.sign(w.grad))
        return loss

    with pytest.raises(NonFiniteError, match="d sqrt at 0"):
        step(limpid.tensor([1.0, 1.0]))


def test_without_native_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limpid.compiler.steps.preparation.native_target", lambda: None)
    function, w = failing()
    step = limpid.compile(function, trace_nans=True)
    x = limpid.tensor([1.0])
    step(x), step(x)
    before = w.tolist()
    with pytest.raises(NonFiniteError) as error:
        step(x)
    assert (error.value.origin.producer, error.value.origin.step) == ("log", 3)
    assert w.tolist() == before


# How it is shown


def test_names_and_lines_never_become_markup() -> None:
    w = limpid.Parameter([-1.0])

    class Layer(nn.Module):
        def __init__(self) -> None:
            setattr(self, "<script>", Inner())

        def forward(self) -> Any:
            return getattr(self, "<script>")()

    class Inner(nn.Module):
        def forward(self) -> Any:
            return limpid.sum(limpid.log(w))

    with limpid.trace_nans(), pytest.raises(NonFiniteError) as error:
        Layer()().backward()
    origin = error.value.origin
    assert origin.scope == "<script>"
    assert "<script>" in str(origin)
    assert "<script>" not in origin._repr_html_()
    assert "&lt;script&gt;" in origin._repr_html_()


def test_conditions_are_told_as_they_are_written() -> None:
    assert condition_text(lambda x: x > 0) == "x > 0"
    assert condition_text(lambda x: (x >= -1) & (x <= 1)) == "(x >= -1) & (x <= 1)"
    assert condition_text(np.log) == ""


# Training


@pytest.mark.parametrize("eager", [False, True])
def test_a_run_that_is_traced(eager: bool, tmp_path: Any) -> None:
    settings = {"data": "digits", "optimizer": "sgd", "lr": 1e30, "epochs": 2}
    with pytest.raises(NonFiniteError) as error, limpid.trace_nans():
        train(**settings, eager=eager, output=tmp_path / "run")  # type: ignore[arg-type]  # settings
    assert (error.value.origin.producer, error.value.origin.step) == ("linear", 2)


@pytest.mark.parametrize("more", [[], ["--eager"]])
def test_the_command_line(more: list[str], tmp_path: Any, capsys: Any) -> None:
    folder = str(tmp_path / "run")
    command = ["train", "digits", "--optimizer", "sgd", "--lr", "1e30", "--output", folder]
    assert run_command([*command, "--quiet", "--trace-nans", *more]) == 1
    shown = capsys.readouterr().err
    assert "inf: born in the forward pass, in linear, in call 2" in shown
    assert "typer" not in shown
    assert run_command([*command[:4], "--epochs", "1", "--output", folder + "2", "-q", *more]) == 0


def test_a_run_that_diverges_names_the_way_to_find_out(tmp_path: Any) -> None:
    with pytest.raises(limpid.errors.RunError, match="--trace-nans"):
        train(data="digits", optimizer="sgd", lr=1e30, output=tmp_path / "run")


@pytest.mark.parametrize("way", Ways)
def test_a_remedy_where_a_mask_may_be_behind_it(way: str) -> None:
    """Zero times infinity has one; an infinite derivative that is asked for has none."""

    def step(x: Any, masked: bool) -> Any:
        root = limpid.sqrt(w * x)
        loss = limpid.sum(limpid.where(x > 0, root, 0.0) if masked else root)
        loss.backward()
        return loss

    w = parameter()
    x = np.float32([4, 0, 1])
    with np.errstate(all="ignore"):
        masked, plain = (origin_of(step, x, m, way=way) for m in (True, False))
    assert "where(…, safe=True)" in masked.remedy
    assert masked.remedy in str(masked)
    assert "safe=True" in masked._repr_html_()
    assert plain.remedy == ""
