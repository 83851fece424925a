"""Compiled steps: the same numbers as eager, call after call, with everything that they leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

import limpid
from limpid import errors, nn, optim
from limpid.graph.text import format_graph, parse_graph
from tests.compiled import assert_same

rng = np.random.default_rng(0)


def batches(shape: tuple[int, ...], classes: int = 5, count: int = 5) -> list[Any]:
    return [
        (rng.normal(size=shape).astype(np.float32), rng.integers(0, classes, shape[0]))
        for _ in range(count)
    ]


class Recurrent(nn.Module):
    def __init__(self) -> None:
        self.lstm = nn.LSTM(6, 8, batch_first=True)
        self.out = nn.Linear(8, 5)

    def forward(self, x: Any) -> Any:
        y, _ = self.lstm(x)
        return self.out(y[:, -1])


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 16), nn.Tanh(),
                         nn.Linear(16, 5))  # fmt: skip


# A bias before a normalisation has a gradient of 0, of which rounding leaves something.
def noisy() -> nn.Module:
    return nn.Sequential(
        nn.Linear(20, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3),
        nn.Linear(16, 5),
    )  # fmt: skip


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 5),
    )  # fmt: skip


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (mlp, (8, 20)),
    "dropout and batch norm": (noisy, (8, 20)),
    "convolutional": (convolutional, (4, 3, 8, 8)),
    "lstm": (Recurrent, (4, 7, 6)),
}
OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-3),
    "dampening": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5),
    "adam": lambda p: optim.Adam(p, lr=0.01),
    "amsgrad": lambda p: optim.AdamW(p, lr=0.01, amsgrad=True),
}


def training(model: Any, optimizer: Any) -> Callable[..., Any]:
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        scores = model(x)
        loss = nn.functional.cross_entropy(scores, y)
        loss.backward()
        optimizer.step()
        return {"loss": loss, "scores": scores}

    return step


def arrays(value: Any) -> Any:
    """The same nesting with arrays."""
    if isinstance(value, dict):
        return {name: arrays(part) for name, part in value.items()}
    return value.detach().numpy().copy() if isinstance(value, limpid.Tensor) else value


def run(model: str, optimizer: str, compiled: bool, batches: list[Any]) -> dict[str, Any]:
    """Everything that can be seen after a training."""
    limpid.manual_seed(0)
    net = MODELS[model][0]()
    optimiser = OPTIMIZERS[optimizer](net.parameters())
    step = training(net, optimiser)
    if compiled:
        step = limpid.compile(step)
    logs = [arrays(step(limpid.tensor(x), limpid.tensor(y))) for x, y in batches]
    if compiled:
        assert step.count == 1
    return {
        "logs": logs,
        "state": net.state_dict(),
        "optimiser": optimiser.state_dict()["state"],
        "gradients": [p.grad.numpy() for p in net.parameters()],
        "drawn": limpid.random.uniform(shape=3).numpy(),
    }


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", MODELS)
def test_training_is_that_of_eager(model: str, optimizer: str) -> None:
    data = batches(MODELS[model][1])
    expected, found = (run(model, optimizer, compiled, data) for compiled in (False, True))
    assert_same(found, expected, 100, floor=1e-2)


def test_results_keep_their_nesting_and_what_is_no_tensor() -> None:
    class Pair(NamedTuple):
        a: Any
        b: Any

    @dataclass
    class Both:
        first: Any
        second: Any

    def f(x: Any) -> Any:
        return {"pair": Pair(x + 1.0, "text"), "both": Both([x * 2.0, None], 3), "n": len(x)}

    step = limpid.compile(f)
    for value in (1.0, 5.0):
        result = step(np.full(2, value, np.float32))
        assert isinstance(result["pair"], Pair)
        assert result["pair"].a.tolist() == [value + 1] * 2
        assert result["pair"].b == "text"
        assert isinstance(result["both"], Both)
        assert result["both"].first[0].tolist() == [value * 2] * 2
        assert result["both"].first[1] is None
        assert (result["both"].second, result["n"]) == (3, 2)
    assert step.count == 1


def test_arguments_of_all_kinds() -> None:
    @limpid.compile
    def f(batch: Any, scale: float = 1.0, *rest: Any, model: Any = None, **more: Any) -> Any:
        y = batch["x"] * scale + sum(rest) + more.get("shift", 0.0)
        return y if model is None else model(y)

    x = np.ones((2, 3), np.float32)
    assert f({"x": x}).tolist() == [[1] * 3] * 2
    assert f({"x": x}, 2.0).tolist() == [[2] * 3] * 2
    assert f({"x": limpid.tensor(x)}, 2.0).tolist() == [[2] * 3] * 2
    assert f({"x": x}, 2.0, x, x).tolist() == [[4] * 3] * 2
    assert f({"x": x}, shift=x).tolist() == [[2] * 3] * 2
    model = nn.Linear(3, 2)
    assert_same(f({"x": x}, model=model), model(x))
    before = f.count
    f({"x": x}, model=model, shift=x)
    f({"x": x}, shift=x, model=model)
    assert f.count == before + 1
    assert before == 5


def test_models_and_optimisers_as_arguments() -> None:
    @limpid.compile
    def step(model: Any, optimizer: Any, x: Any) -> Any:
        optimizer.zero_grad()
        loss = limpid.sum(model(x) ** 2)
        loss.backward()
        optimizer.step()
        return loss

    def eager(model: Any, optimizer: Any, x: Any) -> Any:
        return step.function(model, optimizer, x)

    x = rng.normal(size=(4, 3)).astype(np.float32)
    for _ in range(2):  # two instances of one class have recordings of their own
        limpid.manual_seed(1)
        ours, theirs = nn.Linear(3, 2), nn.Linear(3, 2)
        theirs.load_state_dict(ours.state_dict())
        optimizers = [optim.Adam(m.parameters(), lr=0.1) for m in (ours, theirs)]
        for _ in range(3):
            assert step(ours, optimizers[0], x).item() == eager(theirs, optimizers[1], x).item()
        assert_same(ours.state_dict(), theirs.state_dict(), 100)
    assert step.count == 2
    assert "argument model: a Linear → another one" in step.why_recompiled()


def test_the_numbers_of_an_optimiser_are_state() -> None:
    pairs = []
    for compiled in (False, True):
        limpid.manual_seed(0)
        model = mlp()
        optimizer = optim.Adam(model.parameters(), lr=0.1, weight_decay=0.1)
        step = training(model, optimizer)
        pairs.append((model, optimizer, limpid.compile(step) if compiled else step))
    data = batches((8, 20))
    for k, (x, y) in enumerate(data):
        for _, optimizer, step in pairs:
            step(x, y)
            group = optimizer.param_groups[0]
            group["lr"] = 0.05 / (k + 1)
            group["betas"] = (0.8, 0.99)
            group["weight_decay"] *= 0.5
            group["eps"] = 1e-6
    assert_same(pairs[1][0].state_dict(), pairs[0][0].state_dict(), 100)
    assert pairs[1][2].count == 1


def test_an_option_that_becomes_zero_is_another_update() -> None:
    w = limpid.Parameter([1.0])
    optimizer = optim.SGD([w], lr=1.0, weight_decay=0.5)

    @limpid.compile
    def step() -> None:
        w.grad = limpid.zeros(1)
        optimizer.step()

    step()
    assert w.item() == 0.5
    optimizer.param_groups[0]["weight_decay"] = 0.0
    step()
    assert w.item() == 0.5
    assert step.count == 2


def test_an_optimisers_state_that_is_loaded() -> None:
    """Loading makes new slots; the recording with the old ones must not go on."""
    x, y = batches((8, 20))[0]
    results = []
    for compiled in (False, True):
        limpid.manual_seed(0)
        model = mlp()
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        step = training(model, optimizer)
        step = limpid.compile(step) if compiled else step
        step(x, y)
        saved = optimizer.state_dict(), model.state_dict()
        step(x, y)
        optimizer.load_state_dict(saved[0])
        model.load_state_dict(saved[1])
        step(x, y)
        step(x, y)
        results.append((model.state_dict(), optimizer.state_dict()["state"]))
    assert_same(results[1], results[0], 100)


def test_train_and_eval_have_a_recording_each() -> None:
    limpid.manual_seed(0)
    model = noisy()
    predict = limpid.compile(lambda x: model(x))
    x = rng.normal(size=(8, 20)).astype(np.float32)
    for _ in range(3):
        for mode in (True, False):
            model.train(mode)
            state = model.state_dict()
            drawn = limpid.random.default_generator().state_dict()
            found = predict(x).detach().numpy()
            after = model.state_dict()
            model.load_state_dict(state)
            limpid.random.default_generator().load_state_dict(drawn)
            assert_same(found, model(x))
            assert_same(after, model.state_dict())
    assert predict.count == 2, predict.why_recompiled()
    assert ".training: True → False" in predict.why_recompiled()


def test_gradient_mode_and_default_type_are_part_of_the_signature() -> None:
    w = limpid.Parameter([2.0])
    step = limpid.compile(lambda x: (w * x, limpid.tensor(0.5)))
    x = np.ones(1, np.float32)
    assert step(x)[0].requires_grad
    with limpid.no_grad():
        assert not step(x)[0].requires_grad
    limpid.set_default_dtype("float64")
    try:
        assert step(x)[1].dtype is limpid.float64
    finally:
        limpid.set_default_dtype("float32")
    assert step(x)[1].dtype is limpid.float32
    assert step.count == 3
    assert "gradients enabled: True → False" in step.why_recompiled()
    assert "default type: float32 → float64" in step.why_recompiled()


def test_gradients_add_up_where_nobody_clears_them() -> None:
    eager, compiled = limpid.Parameter([1.0, 2.0]), limpid.Parameter([1.0, 2.0])

    def accumulate(w: Any) -> Callable[[Any], Any]:
        return lambda x: limpid.sum(w * x).backward()

    step = limpid.compile(accumulate(compiled))
    for value in (1.0, 2.0, 3.0):
        x = np.full(2, value, np.float32)
        accumulate(eager)(limpid.tensor(x))
        step(x)
        assert_same(compiled.grad, eager.grad, 10)
    compiled.grad = None
    step(np.ones(2, np.float32))
    assert compiled.grad.tolist() == [1.0, 1.0]
    assert step.count == 2
    assert "None → a gradient" in step.why_recompiled()


def test_gradients_that_are_cleared_afterwards() -> None:
    w = limpid.Parameter([1.0])
    optimizer = optim.SGD([w], lr=0.5)

    @limpid.compile
    def step() -> None:
        limpid.sum(w * w).backward()
        optimizer.step()
        optimizer.zero_grad()

    for _ in range(3):
        step()
        assert w.grad is None
    assert (step.count, w.item()) == (1, 0.0)
    w.grad = limpid.tensor([1.0])
    step()
    assert w.item() == -0.5


def test_clipping_and_several_updates_in_one_step() -> None:
    results = []
    data = batches((8, 20), count=3)
    for compiled in (False, True):
        limpid.manual_seed(0)
        model = mlp()
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        def step(x: Any, y: Any, model: Any = model, optimizer: Any = optimizer) -> Any:
            norms = []
            for _ in range(2):
                optimizer.zero_grad(set_to_none=False)
                nn.functional.cross_entropy(model(x), y).backward()
                norms.append(optim.clip_grad_norm_(model.parameters(), 0.01))
                optimizer.step()
            return norms

        f = limpid.compile(step) if compiled else step
        norms = [[n.item() for n in f(x, y)] for x, y in data]
        results.append((norms, model.state_dict()))
    np.testing.assert_allclose(results[1][0], results[0][0], rtol=1e-12)
    assert_same(results[1][1], results[0][1], 100)


def test_the_graph_and_its_text() -> None:
    model = mlp()
    step = limpid.compile(training(model, optim.SGD(model.parameters(), lr=0.1)))
    with pytest.raises(errors.ArgumentError, match="call it first"):
        step.graph  # noqa: B018  # it is a property
    step(*batches((8, 20))[0])
    step.graph.check()
    text = str(step.graph)
    assert "def graph(x: float32[8, 20], y: int64[8]):" in text
    assert "edge of" in text
    assert "self[0].weight = " in text
    assert "test_compile.py" in text
    plain = format_graph(step.graph, comments=False)
    assert format_graph(parse_graph(plain, step.graph.constants()), comments=False) == plain


def test_decorators_and_options() -> None:
    @limpid.compile(capacity=2)
    def f(x: Any) -> Any:
        """Twice."""
        return x * 2

    assert (f.__name__, f.__doc__) == ("f", "Twice.")
    for n in (1, 2, 1, 2):
        f(np.ones(n))
    assert f.count == 2
    for n in (3, 1):
        f(np.ones(n))
    assert f.count == 4
    assert len(f._recordings) == 2
    assert repr(f) == "<compiled f, recorded 4 times>"


@pytest.mark.parametrize("wrong", [3, None.__class__, "f"])
def test_what_can_be_compiled(wrong: Any) -> None:
    if callable(wrong):
        limpid.compile(wrong)
        return
    with pytest.raises(errors.ArgumentError, match="compile takes a function"):
        limpid.compile(wrong)


def test_what_can_not_be_compiled() -> None:
    def generator() -> Any:
        yield 1

    async def coroutine() -> None: ...

    for wrong in (generator, coroutine):
        with pytest.raises(errors.ArgumentError, match="at once"):
            limpid.compile(wrong)
    with pytest.raises(errors.ArgumentError, match="compiled already"):
        limpid.compile(limpid.compile(len))
    for capacity in (0, -1, 1.5, True):
        with pytest.raises(errors.ArgumentError, match="capacity"):
            limpid.compile(len, capacity=capacity)


def test_a_module_is_a_function() -> None:
    model = mlp()
    step = limpid.compile(model)
    x = rng.normal(size=(3, 20)).astype(np.float32)
    assert_same(step(x), model(x))


def test_methods() -> None:
    class Trainer:
        def __init__(self, rate: float) -> None:
            self.model = nn.Linear(3, 1)
            self.optimizer = optim.SGD(self.model.parameters(), lr=rate)
            self.step = 0
            self.power = 2
            self.last: Any = None

        @limpid.compile
        def train(self, x: Any) -> Any:
            self.optimizer.zero_grad()
            loss = limpid.sum(self.model(x) ** self.power)
            loss.backward()
            self.optimizer.step()
            self.last = loss
            return loss

    x = rng.normal(size=(4, 3)).astype(np.float32)
    limpid.manual_seed(0)
    trainers = Trainer(0.1), Trainer(0.01)
    for _ in range(3):
        for trainer in trainers:
            before = trainer.model.state_dict()
            expected = limpid.sum(trainer.model(x) ** 2).item()
            assert trainer.train(x).item() == pytest.approx(expected, rel=1e-6)
            assert trainer.last.item() == pytest.approx(expected, rel=1e-6)
            assert (before["weight"] != trainer.model.state_dict()["weight"]).any()
            trainer.step += 1  # not read by the method, so nothing to record anew
    assert Trainer.train.count == trainers[0].train.count == 2
    trainers[0].power = 4
    expected = limpid.sum(trainers[0].model(x) ** 4).item()
    assert trainers[0].train(x).item() == pytest.approx(expected, rel=1e-6)
    assert "self.power: 2 → 4" in Trainer.train.why_recompiled()
    trainers[0].train.verify(x)


def test_verify_leaves_no_trace() -> None:
    limpid.manual_seed(0)
    model = noisy()
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    step = limpid.compile(training(model, optimizer))
    x, y = batches((8, 20))[0]
    step(x, y)
    before = model.state_dict(), optimizer.state_dict()["state"]
    drawn = limpid.random.default_generator().state_dict()
    gradients = [p.grad.numpy() for p in model.parameters()]
    step.verify(x, y)
    limpid.verify(step, limpid.tensor(x), y)
    np.testing.assert_equal((model.state_dict(), optimizer.state_dict()["state"]), before)
    np.testing.assert_equal(limpid.random.default_generator().state_dict(), drawn)
    for p, g in zip(model.parameters(), gradients, strict=True):
        assert p.grad.numpy() is not g
        np.testing.assert_array_equal(p.grad.numpy(), g)


def test_verify_before_the_first_call() -> None:
    model = mlp()
    step = limpid.compile(training(model, optim.SGD(model.parameters(), lr=0.1, momentum=0.9)))
    before = model.state_dict()
    step.verify(*batches((8, 20))[0])
    np.testing.assert_equal(model.state_dict(), before)
    assert all(p.grad is None for p in model.parameters())


def test_verify_names_what_differs() -> None:
    large = np.ones((100, 100))  # changed in place, which nobody looks for
    step = limpid.compile(lambda x: {"first": x, "second": limpid.sum(large * x)})
    step(np.ones(100))
    large[0, 0] = 5.0
    with pytest.raises(errors.VerificationError, match=r"result\.second .*10000\.0 .* 10004\.0"):
        step.verify(np.ones(100))


def test_scan_stays_one_node() -> None:
    w = limpid.Parameter([0.5])

    def step(xs: Any) -> Any:
        w.grad = None
        total, ys = limpid.scan(lambda c, x: (c * w + x, c), limpid.zeros(1), xs)
        limpid.sum(total * total).backward()
        limpid.assign(w, w - 0.01 * w.grad)
        return total, ys

    compiled = limpid.compile(step)
    xs = rng.normal(size=(10, 1)).astype(np.float32)
    start = w.numpy().copy() if not w.requires_grad else w.detach().numpy().copy()
    found = [compiled(xs) for _ in range(3)]
    ended = w.detach().numpy().copy()
    limpid.assign(w, start)
    expected = [step(limpid.tensor(xs)) for _ in range(3)]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a[0].detach(), b[0].detach(), rtol=1e-6)
    np.testing.assert_allclose(ended, w.detach().numpy(), rtol=1e-6)
    assert len(compiled.graph.nodes) < 30


def test_gradients_that_backward_leaves_are_constants() -> None:
    """As in eager, a later backward does not go through them, unless create_graph asks for it."""
    results = []
    for create_graph in (False, True):
        w = limpid.Parameter([2.0])

        def f(x: Any, w: Any = w, create_graph: bool = create_graph) -> Any:
            w.grad = None
            limpid.sum(w**3 * x).backward(create_graph=create_graph)
            first, w.grad = w.grad, None
            limpid.sum(first * w).backward()
            return first, w.grad

        x = np.ones(1, np.float32)
        results += [f(limpid.tensor(x)), limpid.compile(f)(x), limpid.record(f, x)(x)]
    assert [[g.item() for g in pair] for pair in results] == [[12.0, 12.0]] * 3 + [[12.0, 36.0]] * 3
    assert not results[1][0].requires_grad
    assert results[4][0].requires_grad


def test_functional_training() -> None:
    results = []
    x, y = batches((8, 20))[0]
    for compiled in (False, True):
        limpid.manual_seed(0)
        model = mlp()

        def step(x: Any, y: Any, model: Any = model) -> Any:
            def loss(model: Any) -> Any:
                return nn.functional.cross_entropy(model(x), y)

            value, gradients = limpid.value_and_grad(loss)(model)
            for name, p in model.named_parameters():
                limpid.assign(p, p - 0.1 * gradients[name])
            return value, gradients

        run = limpid.compile(step) if compiled else step
        results.append([])
        for _ in range(3):
            value, gradients = run(limpid.tensor(x), limpid.tensor(y))
            results[-1] += [value.numpy(), *(g.numpy() for g in gradients.values())]
        results[-1] += model.state_dict().values()
    assert_same(results[1], results[0], 100)
