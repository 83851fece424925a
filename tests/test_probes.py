"""Probes: values from inside a compiled step, with eager's numbers, and nothing else changed."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import errors, nn, optim
from limpid.compiler.steps.labels import VALUES
from limpid.nn import functional as F
from tests.native import cut, needs_native  # noqa: F401  # a fixture

X = np.random.default_rng(0).normal(size=(6, 1, 8, 8)).astype(np.float32)
Y = np.array([0, 1, 2, 1, 0, 2])


class Net(nn.Module):
    def __init__(self) -> None:
        self.conv = nn.Conv2d(1, 4, 3, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.fc1 = nn.Linear(144, 8)
        self.drop = nn.Dropout(0.5)
        self.fc2 = nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        hidden = F.relu(self.norm(self.conv(x)))
        flat = limpid.reshape(hidden, (hidden.shape[0], -1))
        scores = limpid.tanh(self.fc1(flat))
        return self.fc2(self.drop(scores))


class Run:
    """A network, its optimiser and a training step, the same for the same seed."""

    def __init__(self, **options: Any) -> None:
        limpid.manual_seed(0)
        self.model = Net()
        self.optimizer = optim.Adam(self.model.parameters(), lr=0.01)
        self.step = limpid.compile(self.train, **options)

    def train(self, x: Any, y: Any) -> Any:
        self.optimizer.zero_grad()
        logits = self.model(x)
        loss = F.cross_entropy(
            logits,
            y,
        )
        loss.backward()
        self.optimizer.step()
        return loss, {"logits": logits}

    def state(self) -> Any:
        return self.model.state_dict(), self.optimizer.state_dict()["state"]


def eagerly() -> dict[str, Any]:
    """The numbers of the second call, computed without compiling."""
    run = Run()
    run.train(limpid.tensor(X), limpid.tensor(Y))
    model, found = run.model, {}
    found.update((f"state:{n}", a) for n, a in model.state_dict().items())
    run.optimizer.zero_grad()
    made: dict[str, Any] = {"x": limpid.tensor(X)}
    made["conv"] = model.conv(made["x"])
    made["norm"] = model.norm(made["conv"])
    made["hidden"] = F.relu(made["norm"])
    made["flat"] = limpid.reshape(made["hidden"], (6, -1))
    made["fc1"] = model.fc1(made["flat"])
    made["scores"] = limpid.tanh(made["fc1"])
    made["drop"] = model.drop(made["scores"])
    made["fc2"] = model.fc2(made["drop"])
    made["loss"] = F.cross_entropy(made["fc2"], limpid.tensor(Y))
    for value in made.values():
        if value.requires_grad:
            value.retain_grad()
    made["loss"].backward()
    run.optimizer.step()
    found.update((name, x.detach().numpy()) for name, x in made.items())
    found.update((f"grad:{n}", x.grad.numpy()) for n, x in made.items() if x.grad is not None)
    found.update((f"grad:{n}", p.grad.numpy()) for n, p in model.named_parameters())
    found.update((f"new:{n}", a) for n, a in model.state_dict().items())
    return found


EAGER = eagerly()
SAME = {  # what is called otherwise above
    "Net": "fc2", "logits": "fc2", "result.0": "loss", "result.1.logits": "fc2",
    "fc1.linear": "fc1", "relu": "hidden", "cross_entropy": "loss", "grad:logits": "grad:fc2",
    "grad:result.0": "grad:loss", "grad:Net": "grad:fc2", "grad:fc1.linear": "grad:fc1",
}  # fmt: skip


def expected(name: str) -> Any:
    return EAGER[SAME.get(name, name)]


SORTS = [
    "conv", "norm", "fc1", "drop", "fc2", "Net", "result.0", "result.1.logits", "hidden", "flat",
    "scores", "logits", "loss", "fc1.linear", "relu", "cross_entropy", "x", "grad:conv.weight",
    "grad:norm.bias", "grad:fc1.weight", "grad:fc2.bias", "grad:conv", "grad:norm", "grad:fc1",
    "grad:drop", "grad:Net", "grad:hidden", "grad:scores", "grad:logits", "grad:loss",
    "grad:result.0", "grad:fc1.linear", "state:fc1.weight", "state:norm.running_mean",
    "new:conv.weight", "new:norm.num_batches_tracked",
]  # fmt: skip


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", SORTS)
def test_each_sort_has_eager_numbers(name: str, when: str) -> None:
    run = Run(probe=name if when == "before" else ())
    run.step(X, Y)
    if when == "after":
        run.step.probe(name)
    run.step(X, Y)
    assert run.step.count == 1
    assert list(run.step.probed) == [name]
    value = run.step.probed[name]
    assert value.dtype == expected(name).dtype
    np.testing.assert_allclose(value, expected(name), rtol=2e-5, atol=1e-6)


STATISTICS = {
    "norm": lambda a: np.sqrt(np.sum(np.float64(a) ** 2)),
    "mean": lambda a: np.mean(np.float64(a)),
    "max": np.max,
    "min": np.min,
    "nan": lambda a: int(np.isnan(a).sum()),
    "zeros": lambda a: np.mean(a == 0),
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("statistic", STATISTICS)
def test_statistics(statistic: str, when: str) -> None:
    names = ["hidden", "fc1", "grad:fc1.weight", "grad:hidden", "state:norm.running_var"]
    patterns = [f"{statistic}:{name}" for name in names]
    run = Run(probe=patterns if when == "before" else ())
    run.step(X, Y)
    if when == "after":
        run.step.probe(*patterns)
    run.step(X, Y)
    assert list(run.step.probed) == patterns
    for name in names:
        found = run.step.probed[f"{statistic}:{name}"]
        assert type(found) is (int if statistic == "nan" else float)
        assert found == pytest.approx(STATISTICS[statistic](expected(name)), rel=2e-5, abs=1e-6)


def test_probed_and_unprobed_give_the_same_bits() -> None:
    found = []
    for probe in ((), ["*", "grad:*", "norm:grad:*", "state:*", "new:*", "mean:conv", "*.*"]):
        run = Run(probe=probe)
        results = [run.step(x, Y) for x in (X, X + 1.0, X * 2.0)]
        found.append(([(loss.item(), rest["logits"].tolist()) for loss, rest in results], run))
    (plain, first), (probed, second) = found
    assert plain == probed
    np.testing.assert_equal(first.state(), second.state())


def perceptron() -> Any:
    return nn.Sequential(
        nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 16), nn.Tanh(), nn.Linear(16, 10)
    )


def convolutional() -> Any:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip


def normalised() -> Any:
    return nn.Sequential(
        nn.Linear(12, 24), nn.LayerNorm(24), nn.GELU(), nn.Dropout(0.3), nn.Linear(24, 10),
        nn.Softmax(dim=1), nn.Linear(10, 10),
    )  # fmt: skip


def wide() -> Any:
    """Large enough to be shared by threads."""
    return nn.Sequential(nn.Linear(300, 256), nn.ReLU(), nn.Linear(256, 200), nn.Linear(200, 10))


NETWORKS = {
    perceptron: (32, 20),
    wide: (96, 300),
    nn.models.lenet: (4, 1, 28, 28),
    convolutional: (4, 1, 16, 16),
    normalised: (9, 12),
}


SOME = [
    ["*", "grad:*"],
    ["norm:*", "norm:grad:*"],
    ["mean:*", "max:grad:*", "norm:state:*", "norm:new:*", "zeros:*", "nan:grad:*", "min:*"],
]


@pytest.mark.usefixtures("cut")
@pytest.mark.parametrize("patterns", SOME, ids=str)
@pytest.mark.parametrize("make", NETWORKS, ids=lambda make: make.__name__)
def test_networks_have_the_same_bits(make: Any, patterns: list[str]) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=NETWORKS[make]).astype(np.float32)
    y = rng.integers(0, 10, len(x))
    found = []
    for probe in ((), patterns):
        limpid.manual_seed(0)
        model = make()
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        def train(x: Any, y: Any, model: Any = model, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        step = limpid.compile(train, probe=probe)
        found.append(([step(x, y).item() for _ in range(3)], model.state_dict()))
    assert found[0][0] == found[1][0]
    np.testing.assert_equal(found[0][1], found[1][1])


@pytest.mark.usefixtures("cut")
@pytest.mark.parametrize("make", NETWORKS, ids=lambda make: make.__name__)
def test_statistics_are_those_of_the_arrays(make: Any) -> None:
    model = make()
    x = np.random.default_rng(0).normal(size=NETWORKS[make]).astype(np.float32)

    @limpid.compile
    def step(x: Any) -> Any:
        model.zero_grad()
        loss = limpid.mean(model(x) ** 2)
        loss.backward()
        return loss

    step(x)
    names = ["*", "grad:*", "state:*"]
    step.probe(*names, *(f"{statistic}:{name}" for statistic in STATISTICS for name in names))
    step(x)
    found = step.probed
    arrays = {name: value for name, value in found.items() if isinstance(value, np.ndarray)}
    for name, array in arrays.items():
        for statistic, of in STATISTICS.items():
            expected = of(array)
            assert found[f"{statistic}:{name}"] == pytest.approx(expected, rel=1e-12, abs=1e-15)
    assert len(found) == len(arrays) * (1 + len(STATISTICS)) > 50


@needs_native
def test_norms_are_computed_where_the_arrays_are_read_anyway() -> None:
    model = perceptron()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    @limpid.compile(probe="norm:grad:*")
    def step(x: Any) -> None:
        optimizer.zero_grad()
        limpid.mean(model(x) ** 2).backward()
        optimizer.step()

    step(np.ones((32, 20), np.float32))
    assert len(step.probed) == sum(map(_squares, stages(step))) == 6
    assert sum(_squares(s) > 0 and len(s.values) > 2 * _squares(s) for s in stages(step)) >= 5


def stages(step: limpid.Step) -> list[Any]:
    """The nests of what runs."""
    recording = step.latest()
    watch = recording.watch
    executor = (recording if watch is None else watch._prepared(())).executor
    return [stage for stage in executor.native.schedule.stages if stage.kind == "nest"]


def _squares(stage: Any) -> int:
    return sum(value.params.get("function") == "squares" for value in stage.values)


def test_what_calls_found_stays() -> None:
    run = Run(probe=["fc1", "grad:fc2.bias", "norm:grad:*"])
    found, copies = [], []
    for n in range(3):
        run.step(X + n, Y)
        found.append(run.step.probed)
        copies.append({name: np.array(value) for name, value in run.step.probed.items()})
    for probed, copy in zip(found, copies, strict=True):
        np.testing.assert_equal(probed, copy)
    assert len({probed["norm:grad:fc1.weight"] for probed in found}) == 3


def test_every_name_can_be_probed() -> None:
    run = Run()
    run.step(X, Y)
    labels = run.step._recordings[0].labels
    for kind, sorts in labels.items():
        for sort in sorts:
            for name in sort.values:
                run.step.probe(f"{kind}:{name}" if kind else name)
    run.step(X, Y)
    assert len(run.step.probed) > 350
    outputs = run.step.probed
    for name, same in SAME.items():
        if same in outputs:
            np.testing.assert_array_equal(outputs[name], outputs[same])


def test_patterns() -> None:
    run = Run()
    run.step(X, Y)

    def names(*patterns: str) -> list[str]:
        run.step.remove_probes()
        run.step.probe(*patterns)
        run.step(X, Y)
        return list(run.step.probed)

    parameters = [name for name, _ in run.model.named_parameters()]
    assert names("*") == ["conv", "norm", "fc1", "drop", "fc2", "Net"]
    assert names("fc*") == ["fc1", "fc2"]
    assert names("fc1.*") == ["fc1.linear"]
    assert names("norm:grad:*") == [f"norm:grad:{name}" for name in parameters]
    assert names("grad:fc*.weight") == ["grad:fc1.weight", "grad:fc2.weight"]
    assert names("result*") == ["result.0", "result.1.logits"]
    assert names("fc1", "fc*", "max:fc1", "fc1") == ["fc1", "fc2", "max:fc1"]


# What can't be probed


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("fc3", "perhaps you mean: fc"),
        ("norm:fc3", "norm:fc"),
        ("fc1.weight", "perhaps you mean: grad:fc1.weight, state:fc1.weight, new:fc1.weight"),
        ("grad:x", "x is there, but no gradient is taken with respect to it"),
        ("grad:lr", "state:lr"),
        ("grad:qqqq", "there are: grad:conv.weight, .* and \\d+ more"),
        ("new:lr", "perhaps you mean: state:lr"),
        ("state:fc9.*", "there are|perhaps"),
        ("loss?", "perhaps you mean: loss"),
    ],
)
def test_a_name_that_is_not_there(pattern: str, said: str) -> None:
    run = Run(probe=pattern)
    before = run.model.state_dict()
    with pytest.raises(errors.ArgumentError, match=said) as raised:
        run.step(X, Y)
    assert f"probe {pattern!r}" in str(raised.value)
    np.testing.assert_equal(run.model.state_dict(), before)  # the call did nothing
    run.step.remove_probes(pattern)
    run.step(X, Y)
    with pytest.raises(errors.ArgumentError, match=said):
        run.step.probe("loss", pattern)
    assert run.step.probes == ()
    run.step(X, Y)
    assert run.step.probed == {}


@pytest.mark.parametrize("pattern", ["", "norm:", "grad:norm:fc1", "median:fc1", "a:b:c", ":x", 3])
def test_what_is_no_pattern(pattern: Any) -> None:
    for wrong in (lambda: limpid.compile(len, probe=[pattern]), lambda: Run().step.probe(pattern)):
        with pytest.raises(errors.ArgumentError, match="a probe is"):
            wrong()


def test_another_recording_without_the_value() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5))
    step = limpid.compile(lambda x: model(x).sum(), probe="1.multiply")
    step(np.ones((2, 3), np.float32))
    assert step.probed["1.multiply"].shape == (2, 4)
    model.eval()
    with pytest.raises(errors.ArgumentError, match=r"probe '1\.multiply'"):
        step(np.ones((2, 3), np.float32))
    model.train()
    step(np.ones((2, 3), np.float32))
    assert step.count == 2


def test_what_runs_in_a_loop_stays_there() -> None:
    cell = nn.Linear(3, 3)

    @limpid.compile(probe="cell")
    def step(xs: Any) -> Any:
        def body(h: Any, x: Any) -> Any:
            h = limpid.tanh(cell(h) + x)
            return h, h

        return limpid.scan(body, limpid.zeros(3), xs)

    with pytest.raises(errors.ArgumentError, match="there are: result"):
        step(np.ones((5, 3), np.float32))
    step.remove_probes()
    step(np.ones((5, 3), np.float32))
    with pytest.raises(errors.ArgumentError, match=r"scan\[i\]\.Linear runs in the body of a scan"):
        step.probe("norm:Linear")


# Adding and removing


def test_probes_come_and_go() -> None:
    run = Run(probe="loss")
    assert run.step.probes == ("loss",)
    assert run.step.probed == {}
    run.step(X, Y)
    first = run.step.probed
    run.step.probe("norm:grad:*", "loss")
    assert run.step.probes == ("loss", "norm:grad:*")
    run.step(X, Y)
    assert run.step.probed["loss"] != first["loss"]
    with pytest.raises(errors.ArgumentError, match=r"no probe 'fc1'; the probes are: loss, norm"):
        run.step.remove_probes("fc1")
    run.step.remove_probes("norm:grad:*")
    run.step(X, Y)
    assert list(run.step.probed) == ["loss"]
    run.step.remove_probes()
    run.step(X, Y)
    assert (run.step.probes, run.step.probed, run.step.count) == ((), {}, 1)
    assert run.step._recordings[0].watch is None  # which costs nothing


def test_a_probed_method() -> None:
    class Trainer:
        def __init__(self, w: float) -> None:
            self.w = limpid.Parameter([w])

        @limpid.compile(probe=["double"])
        def train(self, x: Any) -> Any:
            double = self.w * x
            return double + 1.0

    one, other = Trainer(2.0), Trainer(5.0)
    one.train(np.ones(1, np.float32))
    assert one.train.probed["double"].tolist() == [2.0]
    other.train(np.ones(1, np.float32))
    assert other.train.probed["double"].tolist() == [5.0]
    other.train.probe("state:*")
    one.train(np.ones(1, np.float32))
    assert one.train.probed["state:state"].tolist() == [2.0]


def double(x: Any) -> Any:
    return x * 2.0


def test_a_pickled_step_keeps_its_probes() -> None:
    step = pickle.loads(pickle.dumps(limpid.compile(double, probe=["max:result"], keep=2)))
    step(np.ones(3))
    assert step.probed == {"max:result": 2.0}
    assert step.replay().result.tolist() == [2.0, 2.0, 2.0]


def test_verify_shows_nothing() -> None:
    run = Run(probe=["loss"], keep=3)
    run.step(X, Y)
    before = run.step.probed
    run.step.verify(X + 1.0, Y)
    assert run.step.probed == before
    assert len(run.step.sight.kept) == 1


# Names


def test_a_module_that_is_called_again() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            self.fc = nn.Linear(3, 3)

        def forward(self, x: Any) -> Any:
            for _ in range(3):
                x = self.fc(x)
            return x

    model = Shared()
    step = limpid.compile(lambda x: model(x), probe="fc")
    y = step(np.ones((2, 3), np.float32))
    assert list(step.probed) == ["fc", "fc#2", "fc#3"]
    np.testing.assert_array_equal(step.probed["fc#3"], y.value)
    step.remove_probes()
    step.probe("fc#2")
    step(np.ones((2, 3), np.float32))
    assert list(step.probed) == ["fc#2"]


def test_a_module_that_returns_several_tensors() -> None:
    lstm = nn.LSTM(3, 4)
    step = limpid.compile(lambda x: lstm(x)[0], probe="LSTM*")
    step(np.ones((5, 2, 3), np.float32))
    assert list(step.probed) == ["LSTM[0]", "LSTM[1][0]", "LSTM[1][1]"]
    assert step.probed["LSTM[0]"].shape == (5, 2, 4)


def test_variables() -> None:
    @limpid.compile(probe=["a", "b", "total", "typed", "norm"])
    def step(x: Any) -> Any:
        a = x * 2.0
        b = a + 1.0
        total = limpid.sum(
            limpid.exp(a)
            * b
        )  # fmt: skip
        typed: Any = limpid.sin(total)
        total += typed
        norm = F.layer_norm(x, (3,))
        a = a * norm
        return a, total

    x = np.array([1.0, 2.0, 3.0])
    step(x)
    found = step.probed
    total = np.sum(np.exp(2 * x) * (2 * x + 1))
    assert set(found) == {"a", "a#2", "b", "total", "total#2", "typed", "norm"}
    np.testing.assert_allclose(found["a"], 2 * x)
    np.testing.assert_allclose(found["b"], 2 * x + 1)
    np.testing.assert_allclose(found["total"], total)
    np.testing.assert_allclose(found["typed"], np.sin(total))
    np.testing.assert_allclose(found["total#2"], total + np.sin(total))
    np.testing.assert_allclose(found["norm"], (x - 2) / np.sqrt(2 / 3 + 1e-5))
    np.testing.assert_allclose(found["a#2"], found["a"] * found["norm"])


def test_a_variable_in_a_module() -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            self.project = nn.Linear(3, 3)

        def forward(self, x: Any) -> Any:
            query = self.project(x)
            weights = limpid.softmax(query @ limpid.matrix_transpose(x), axis=-1)
            return weights @ x

    model = nn.Sequential(Attention())
    step = limpid.compile(lambda x: model(x), probe=["0.query", "0.project", "0.weights"])
    step(np.ones((2, 3), np.float32))
    np.testing.assert_array_equal(step.probed["0.query"], step.probed["0.project"])
    np.testing.assert_allclose(step.probed["0.weights"], 0.5)


def test_values_that_nothing_needs() -> None:
    w = limpid.Parameter([1.0, 2.0])

    @limpid.compile(probe=["accuracy", "loss", "state:*", "grad:*"])
    def step(x: Any) -> None:
        w.grad = None
        loss = limpid.sum(w * x)
        accuracy = limpid.mean(limpid.astype(loss > 0, "float32"))
        loss.backward()
        del accuracy

    step(np.array([3.0, 4.0], np.float32))
    assert step.probed["accuracy"] == 1.0
    assert step.probed["loss"] == 11.0  # w, which the gradient does not depend on, is read for it
    assert step.probed["state:state"].tolist() == [1.0, 2.0]
    assert step.probed["grad:state"].tolist() == [3.0, 4.0]
    with limpid.no_grad():
        w *= 2.0
    step(np.array([3.0, 4.0], np.float32))
    assert step.probed["loss"] == 22.0


# Gradients


def test_gradients_by_transforms() -> None:
    model = nn.Linear(3, 1, bias=False)

    @limpid.compile(probe=["grad:weight", "grad:x", "grad:h"])
    def step(x: Any) -> Any:
        def loss(model: Any, x: Any) -> Any:
            h = model(x)
            return limpid.sum(h * h)

        return limpid.grad(loss, (0, 1))(model, x)

    x = np.array([[1.0, 2.0, 3.0]], np.float32)
    gradients, by_x = step(x)
    np.testing.assert_array_equal(step.probed["grad:weight"], gradients["weight"].value)
    np.testing.assert_array_equal(step.probed["grad:x"], by_x.value)
    h = x @ model.weight.detach().numpy().T
    np.testing.assert_allclose(step.probed["grad:h"], 2 * h, rtol=1e-6)


def test_two_backward_passes() -> None:
    w = limpid.Parameter([3.0])

    @limpid.compile(probe=["grad:h", "grad:state"])
    def step(x: Any) -> None:
        w.grad = None
        h = w * x
        limpid.sum(h).backward()
        limpid.sum(h * h).backward()
        w.grad = None

    step(np.array([2.0], np.float32))
    assert {name: x.tolist() for name, x in step.probed.items()} == {
        "grad:h": [1.0],
        "grad:h@2": [12.0],
        "grad:state": [26.0],  # what was last in .grad: the sum of both
    }


def test_what_stands_in_grad_is_probed() -> None:
    model = nn.Linear(3, 2)
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    @limpid.compile(probe=["norm:grad:weight", "norm:grad:bias"])
    def step(x: Any) -> Any:
        limpid.sum(model(x)).backward()
        norm = optim.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()
        return norm

    step(np.ones((4, 3), np.float32))
    found = step.probed["norm:grad:weight"], step.probed["norm:grad:bias"]
    assert np.hypot(*found) == pytest.approx(0.5, rel=1e-5)


def test_no_gradient() -> None:
    model = nn.Linear(3, 2)
    step = limpid.compile(lambda x: model(x), probe="grad:weight")
    with pytest.raises(errors.ArgumentError, match="state:weight"):
        step(np.ones((4, 3), np.float32))


# Values


def test_probed_arrays_are_nobodys_to_change() -> None:
    state = limpid.Buffer([1.0, 2.0])

    @limpid.compile(probe=["x", "view", "state:*", "new:*", "result"])
    def step(x: Any) -> Any:
        view = limpid.reshape(x, (2, 1))
        limpid.assign(state, state + x)
        return view * 1.0

    x = np.array([5.0, 7.0], np.float32)
    step(x)
    x[...] = 0.0
    expected = {
        "x": [5.0, 7.0], "view": [[5.0], [7.0]], "state:state": [1.0, 2.0],
        "new:state": [6.0, 9.0], "result": [[5.0], [7.0]],
    }  # fmt: skip
    assert {name: a.tolist() for name, a in step.probed.items()} == expected
    held = step.probed
    for array in held.values():
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0.0
    step(np.ones(2, np.float32))
    assert {name: a.tolist() for name, a in held.items()} == expected


@pytest.mark.parametrize(
    ("x", "found"),
    [
        (np.zeros((0, 3)), {"norm": 0.0, "mean": None, "max": None, "nan": 0, "zeros": None}),
        (
            np.array([1, -2, 0, 0]),
            {"norm": 5**0.5, "mean": -0.25, "max": 1, "nan": 0, "zeros": 0.5},
        ),
        (np.array([True, False]), {"norm": 1.0, "mean": 0.5, "max": 1, "nan": 0, "zeros": 0.5}),
        (np.array(3.0), {"norm": 3.0, "mean": 3.0, "max": 3.0, "nan": 0, "zeros": 0.0}),
        (np.array([300.0] * 4, np.float16), {"norm": 600.0, "mean": 300.0, "max": 300.0}),
        (np.array([np.nan, 0, 1, np.nan]), {"norm": None, "max": None, "nan": 2, "zeros": 0.25}),
        (np.array([np.inf, 1.0]), {"norm": np.inf, "mean": np.inf, "min": 1.0, "nan": 0}),
    ],
)
def test_statistics_of_odd_arrays(x: Any, found: dict[str, Any]) -> None:
    step = limpid.compile(lambda x: [x], probe=[f"{statistic}:x" for statistic in found])
    step(x)
    for name, value in zip(step.probed, found.values(), strict=True):
        number = step.probed[name]
        assert np.isnan(number) if value is None else number == pytest.approx(value), name


def test_a_constant_gradient_has_statistics() -> None:
    w = limpid.Parameter([3.0])

    @limpid.compile(probe=["norm:grad:loss", "grad:loss"])
    def step() -> None:
        loss = limpid.sum(w)
        loss.backward()

    step()
    assert step.probed == {"norm:grad:loss": 1.0, "grad:loss": 1.0}


def test_names_do_not_depend_on_what_is_probed() -> None:
    run = Run()
    run.step(X, Y)
    plain = {n for sort in run.step._recordings[0].labels[VALUES] for n in sort.values}
    run.step.probe("norm:fc1")
    run.step(X + 1.0, Y)
    run.step(X[:3], Y[:3])
    probed = {n for sort in run.step._recordings[0].labels[VALUES] for n in sort.values}
    assert plain == probed
    assert str(run.step.graph) == str(run.step._recordings[0].graph)
    assert "  probe" not in str(run.step.graph)
