"""Watches: the right numbers over time, compiled and eager, and nothing else changed by them."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import errors, nn, optim
from limpid.compiler.steps.statistics import STATISTICS, ends_of, of_array
from limpid.diagnosis.statistics import bin_edges, load_history
from limpid.nn import functional as F
from limpid.ops.plain.magnitudes import BINS, NAN, ZERO, magnitudes
from limpid.training import train
from tests.native import agree, cut, needs_native  # noqa: F401  # a fixture
from tests.test_probes import Run, X, Y

ALL = (*STATISTICS, "ratio")
EAGER_X, EAGER_Y = limpid.tensor(X), limpid.tensor(Y)


class Small(nn.Module):
    """Every parameter is named, one is never used, and one layer is called twice."""

    def __init__(self) -> None:
        self.fc1 = nn.Linear(4, 5)
        self.act = nn.Sigmoid()
        self.fc2 = nn.Linear(5, 5)
        self.unused = nn.Linear(5, 2)

    def forward(self, x: Any) -> Any:
        return self.fc2(self.act(self.fc2(self.fc1(x))))


class Training:
    """A model, its optimiser, and a step."""

    def __init__(self, model: nn.Module, lr: float = 0.1) -> None:
        self.model = model
        self.optimizer = optim.SGD(model.parameters(), lr=lr)

    def step(self, x: Any) -> Any:
        self.optimizer.zero_grad()
        loss = limpid.mean(self.model(x) ** 2)
        loss.backward()
        self.optimizer.step()
        return loss


def small() -> Training:
    limpid.manual_seed(0)
    return Training(Small())


def batches(count: int) -> list[Any]:
    draw = np.random.default_rng(0)
    return [limpid.tensor(draw.normal(size=(6, 4)).astype(np.float32)) for _ in range(count)]


# The numbers


def test_each_record_has_what_was_there_at_that_step() -> None:
    """Against arrays that are taken out step by step, without any watch."""
    run, other = small(), small()
    step = limpid.compile(run.step)
    seen = limpid.watch(step, stats=ALL)
    assert seen.history == {}
    assert seen.last == {}
    for number, x in enumerate(batches(4), 1):
        before = other.model.state_dict()
        expected: dict[str, Any] = {f"state:{n}": a for n, a in before.items()}
        hidden = other.model.fc1(x)
        inner = other.model.fc2(hidden)
        gated = other.model.act(inner)
        out = other.model.fc2(gated)
        tensors = {"fc1": hidden, "fc2": inner, "act": gated, "fc2#2": out, "Small": out}
        expected.update((name, y.detach().numpy()) for name, y in tensors.items())
        other.step(x)
        for name, p in other.model.named_parameters():
            if p.grad is not None:
                expected[f"grad:{name}"] = p.grad.numpy()
        step(x)
        found = seen.history[number]
        assert seen.last == found
        assert {n for n in found if not n.startswith("update:")} == {
            n for n in expected if "unused" not in n
        }
        for name, array in expected.items():
            if "unused" not in name:
                check_statistics(found[name], array)
        for name, array in before.items():
            if "unused" not in name:
                change = np.linalg.norm(other.model.state_dict()[name] - array)
                update = found[f"update:{name}"]
                assert update["norm"] == pytest.approx(change, rel=1e-3)
                assert update["ratio"] == pytest.approx(change / np.linalg.norm(array), rel=1e-3)
    assert seen.steps == len(seen) == 4


def check_statistics(found: dict[str, Any], array: Any) -> None:
    """All statistics of an array; float32 was computed with other roundings."""
    wide = np.asarray(array, np.float64)
    expected = {
        "norm": np.linalg.norm(wide), "mean": wide.mean(), "std": wide.std(), "max": wide.max(),
        "min": wide.min(), "nan": np.isnan(wide).sum(), "zeros": np.mean(wide == 0),
    }  # fmt: skip
    assert set(expected) == set(found) - {"histogram", "saturated"}
    for statistic, value in expected.items():
        assert found[statistic] == pytest.approx(value, rel=1e-4, abs=1e-6), statistic
    assert found["histogram"].sum() == wide.size
    assert np.abs(found["histogram"] - magnitudes(array)).sum() <= 2  # one beside an edge


@pytest.mark.parametrize("every", [1, 2, 3])
def test_eager_and_compiled_steps_are_seen_alike(every: int) -> None:
    compiled = Run()
    ours = limpid.watch(compiled.step, every, ALL)
    for _ in range(5):
        compiled.step(X, Y)
    eager = Run()
    theirs = limpid.watch(eager.model, every, ALL)
    for _ in range(5):
        eager.train(EAGER_X, EAGER_Y)
    assert list(ours.history) == list(theirs.history) == list(range(1, 6, every))
    for step, record in ours.history.items():
        other = theirs.history[step]
        assert list(record) == list(other)
        for name, found in record.items():
            assert set(found) == set(other[name])
            for statistic in set(found) - {"histogram"}:
                assert found[statistic] == pytest.approx(other[name][statistic], 1e-3, 1e-5), name
    theirs.close()


def test_saturation_is_of_functions_that_have_ends() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.ReLU(), nn.Sigmoid())
    run = Training(model)
    step = limpid.compile(run.step)
    statistics = ("saturated", "zeros")
    with limpid.watch(step, stats=statistics) as ours, limpid.watch(model, stats=statistics) as too:
        step(100 * np.ones((2, 3), np.float32))
        assert too.last == ours.last
    assert {name for name, x in ours.last.items() if "saturated" in x} == {"1", "4", "Sequential"}
    assert ours.last["1"]["saturated"] > 0.5
    y = np.array([0.0, 0.01, 0.5, 0.98, 1.0])
    x = limpid.tensor(y, requires_grad=True)
    assert ends_of(limpid.sigmoid(x).node) == (0.0, 1.0)
    assert ends_of(limpid.relu(x).node) is None
    assert ends_of(limpid.exp(x).node) is None


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "bool"])
@pytest.mark.parametrize("shape", [(), (1,), (0,), (5,), (7, 300), (64, 3, 20, 20)])
def test_histograms_count_every_element_once(dtype: str, shape: tuple[int, ...]) -> None:
    draw = np.random.default_rng(0)
    with np.errstate(over="ignore", invalid="ignore"):
        x = np.asarray(draw.normal(size=shape) * np.exp(9 * draw.normal(size=shape)), dtype)
    if dtype.startswith("float") and x.size >= 9:
        odd = [np.nan, np.inf, -np.inf, 0.0, -0.0, 4.0, -4.0, np.finfo(dtype).smallest_subnormal]
        x.reshape(-1)[:8] = odd
    step = limpid.compile(lambda x: x if dtype == "bool" else x * 1, probe="histogram:x")
    step(x)
    counts = step.probed["histogram:x"]
    assert counts.shape == (BINS,)
    assert counts.sum() == x.size
    assert counts.tolist() == magnitudes(x).tolist()
    assert counts[NAN] == np.isnan(x.astype(np.float64)).sum()
    assert counts[ZERO] == np.sum(x == 0)


@needs_native
@pytest.mark.parametrize("width", [16, 32, 64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_histograms_are_the_same_for_every_width_and_order(
    width: int,
    dtype: Any,
    cut: bool,  # noqa: F811  # the fixture
) -> None:
    draw = np.random.default_rng(1)
    for shape in ((3,), (130,), (33, 70), (2000, 67)):
        x = (draw.normal(size=shape) * np.exp(5 * draw.normal(size=shape))).astype(dtype)
        x[draw.random(shape) < 0.1] = 0
        for forward in (lambda x: magnitudes(np.abs(x) - 1), lambda x: magnitudes(x.T)):
            agree(forward, x, width=width, tolerance=0)


def test_the_bins_are_where_their_ends_are() -> None:
    edges = bin_edges()
    for bin in range(BINS - 1):
        low, high = edges[bin], edges[bin + 1]
        if bin == ZERO:
            inside = [0.0, -0.0]
        elif bin < ZERO:  # the end nearer to 0 is in it
            inside = [high if high else -5e-324, np.nextafter(low, 0)]
        else:
            inside = [low if low else 5e-324, np.nextafter(high, 0)]
        for x in inside:
            assert magnitudes(np.array([x]))[bin] == 1, (bin, x)
    assert magnitudes(np.array([np.inf, -np.inf]))[[0, NAN - 1]].tolist() == [1, 1]


def test_statistics_of_ugly_arrays() -> None:
    for name in set(STATISTICS) - {"saturated", "histogram"}:
        assert np.isnan(of_array(name, np.zeros((0, 3)))) == (name not in ("norm", "nan"))
        of_array(name, np.array(3))
        of_array(name, np.array([True, False]))
    assert of_array("norm", np.array([3e30, 4e30], np.float32)) == pytest.approx(5e30)
    assert of_array("std", np.full(5, 1e9)) == 0
    odd = np.array([np.inf, -np.inf, np.nan])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan([of_array(name, odd) for name in ("norm", "mean", "std", "max")]).all()


def test_eager_steps_that_diverge_are_seen_without_warnings() -> None:
    w = limpid.Parameter([3e38, 1.0], dtype=limpid.float32)
    model = nn.Module()
    model.w = w
    optimizer = optim.SGD([w], lr=1.0)
    with limpid.watch(model, stats=ALL) as seen, warnings.catch_warnings():
        warnings.simplefilter("error")
        w.grad = limpid.tensor(np.array([-np.inf, np.nan], np.float32))
        with np.errstate(all="ignore"):
            optimizer.step()
    assert seen.last["grad:w"]["nan"] == 1
    assert np.isnan(seen.last["update:w"]["ratio"])


# Nothing changes


@needs_native
def test_no_number_changes_and_no_step_is_recorded_again() -> None:
    plain = Run()
    losses = [plain.step(X, Y)[0].item() for _ in range(7)]
    watched = Run()
    one = limpid.watch(watched.step, every=2, stats=("norm", "ratio"))
    two = limpid.watch(watched.step, every=3, stats="histogram")
    assert [watched.step(X, Y)[0].item() for _ in range(7)] == losses
    for p, q in zip(plain.model.parameters(), watched.model.parameters(), strict=True):
        np.testing.assert_array_equal(p.grad.numpy(), q.grad.numpy())
    assert watched.step.count == 1
    assert list(one.history) == [1, 3, 5, 7]
    assert list(two.history) == [1, 4, 7]
    assert set(one.last["fc1"]) == {"norm"}
    assert set(two.last["fc1"]) == {"histogram"}
    for name, value in plain.state()[0].items():
        np.testing.assert_array_equal(value, watched.state()[0][name])


@needs_native
def test_programs_that_take_turns_copy_nothing() -> None:
    """A parameter stays in its array, whichever of the two programs runs."""
    run = Run()
    limpid.watch(run.step, every=2, stats="norm")
    run.step(X, Y), run.step(X, Y), run.step(X, Y)
    places = [p.storage.array.ctypes.data for p in run.model.parameters()]
    gradients = [p.grad.value.ctypes.data for p in run.model.parameters()]
    for _ in range(4):
        run.step(X, Y)
        assert places == [p.storage.array.ctypes.data for p in run.model.parameters()]
        assert gradients == [p.grad.value.ctypes.data for p in run.model.parameters()]


@needs_native
def test_who_holds_an_array_keeps_what_it_was() -> None:
    run, plain = small(), small()
    run.step, plain.step = limpid.compile(run.step), limpid.compile(plain.step)
    limpid.watch(run.step, every=2, stats="norm")
    (x,) = batches(1)
    held = []
    for _ in range(6):
        run.step(x)
        plain.step(x)
        p = run.model.fc1.weight
        value, gradient = p.detach().numpy(), p.grad.numpy()
        held.append((value, gradient, value.copy(), gradient.copy()))
    for value, gradient, then, gradient_then in held:
        np.testing.assert_array_equal(value, then)
        np.testing.assert_array_equal(gradient, gradient_then)
    run.model.fc1.weight.grad = None
    limpid.assign(run.model.fc1.bias, np.zeros(5, np.float32))
    limpid.assign(plain.model.fc1.bias, np.zeros(5, np.float32))
    for _ in range(2):
        assert run.step(x).item() == plain.step(x).item()


@needs_native
def test_where_every_step_is_seen_one_program_is_made(monkeypatch: Any) -> None:
    from limpid.compiler.steps import compiled

    made = []
    first = compiled.Compiled.__init__

    def counted(self: Any, *args: Any, **kwargs: Any) -> None:
        made.append(self)
        first(self, *args, **kwargs)

    monkeypatch.setattr(compiled.Compiled, "__init__", counted)
    run = Run()
    limpid.watch(run.step, stats="norm")
    run.step(X, Y), run.step(X, Y)
    assert len(made) == 1


def test_probes_and_replay_go_on() -> None:
    run = Run(keep=2, probe="norm:fc1")
    seen = limpid.watch(run.step, every=2, stats=("norm", "max"))
    losses = [run.step(X, Y)[0].item() for _ in range(4)]
    assert list(run.step.probed) == ["norm:fc1"]
    assert seen.last["fc1"]["norm"] != run.step.probed["norm:fc1"]  # the third, and the fourth step
    assert run.step.replay(2).result[0].item() == losses[2]
    assert list(seen.history) == [1, 3]
    run.step.verify(X, Y)
    assert seen.steps == 4
    run.step.remove_probes()
    run.step(X, Y)
    assert seen.last["fc1"]["max"] == pytest.approx(seen.history[5]["fc1"]["max"])


# What can be watched


def test_a_module_is_watched_in_steps_that_train_it() -> None:
    run = Run()
    seen = limpid.watch(run.model.fc1, stats="norm")
    evaluate = limpid.compile(lambda x: run.model(x))
    evaluate(X)
    assert seen.steps == 0
    for _ in range(3):
        run.step(X, Y)
    assert list(seen.history) == [1, 2, 3]
    assert set(seen.last) == {
        "fc1", "state:fc1.weight", "state:fc1.bias", "grad:fc1.weight", "grad:fc1.bias",
    }  # fmt: skip
    seen.close()
    run.step(X, Y)
    assert seen.steps == 3


def test_eager_evaluation_between_steps_is_not_seen() -> None:
    run = small()
    (x,) = batches(1)
    with limpid.watch(run.model, stats="norm") as seen:
        run.step(x)
        first = seen.last
        with limpid.no_grad():
            run.model(100 * x)
        run.step(x)
    assert list(seen.last) == list(first)
    assert seen.last["fc1"]["norm"] < 2 * first["fc1"]["norm"]
    run.step(x)
    assert seen.steps == 2
    assert limpid.graph.context.context.state.trail is None


def test_eager_steps_of_others_are_not_counted() -> None:
    run, other = small(), small()
    (x,) = batches(1)
    with limpid.watch(run.model) as seen:
        other.step(x)
        assert seen.steps == 0
        run.step(x)
        assert seen.steps == 1
        assert "unused.weight" not in str([n for n in seen.last if n.startswith("grad:")])
        assert "state:unused.weight" in seen.last


def test_modules_in_loops_are_listed_as_hidden() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            self.inner = nn.Linear(4, 4)
            self.outer = nn.Linear(4, 4)

        def forward(self, x: Any) -> Any:
            last, _ = limpid.scan(lambda h, _: (self.inner(h), h), x, limpid.zeros(3))
            return self.outer(last)

    run = Training(Loop())
    step = limpid.compile(run.step)
    seen = limpid.watch(step, stats="norm")
    step(np.ones((2, 4), np.float32))
    assert "inner" not in seen.last
    assert {"outer", "grad:inner.weight", "state:inner.weight"} <= set(seen.last)
    assert [name for name in seen.hidden if name.endswith("inner")]
    assert "body of a scan" in seen.table()


def test_without_native_code_it_is_the_same(monkeypatch: Any) -> None:
    native = Run()
    ours = limpid.watch(native.step, every=2, stats=ALL)
    for _ in range(3):
        native.step(X, Y)
    monkeypatch.setenv("LIMPID_NATIVE", "0")
    monkeypatch.setattr("limpid.compiler.steps.preparation.native_target", lambda: None)
    plain = Run()
    theirs = limpid.watch(plain.step, every=2, stats=ALL)
    for _ in range(3):
        plain.step(X, Y)
    assert list(ours.history) == list(theirs.history) == [1, 3]
    for name, found in ours.last.items():
        for statistic in set(found) - {"histogram"}:
            assert found[statistic] == pytest.approx(theirs.last[name][statistic], 1e-3, 1e-5)


def test_not_finite_numbers_are_counted_and_written(tmp_path: Any) -> None:
    w = limpid.Parameter([1.0, -1.0])
    optimizer = optim.SGD([w], lr=1.0)

    @limpid.compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        limpid.sum(limpid.sqrt(w) * x).backward()
        optimizer.step()

    seen = limpid.watch(step, stats=ALL)
    step(np.ones(2, np.float32))
    (name,) = [n for n in seen.last if n.startswith("grad:")]
    assert seen.last[name]["nan"] == 1
    assert np.isnan(seen.last[name]["norm"])
    seen.save(tmp_path / "w.jsonl")
    (line,) = (tmp_path / "w.jsonl").read_text().splitlines()
    assert json.loads(line)["values"][name]["norm"] == "nan"
    back = load_history(tmp_path / "w.jsonl")
    assert np.isnan(back[1][name]["norm"])
    assert back[1][name]["histogram"].tolist() == seen.last[name]["histogram"].tolist()


# Records


def test_history_stays_bounded() -> None:
    run = small()
    (x,) = batches(1)
    step = limpid.compile(run.step)
    seen = limpid.watch(step, stats="norm", limit=8)
    for _ in range(50):
        step(x)
    assert len(seen) <= 8
    steps = list(seen.history)
    assert steps == sorted(steps)
    assert steps[0] == 1
    assert steps[-4:] == [47, 48, 49, 50]


def test_the_file_has_the_history(tmp_path: Any) -> None:
    run = Run()
    seen = limpid.watch(run.step, every=2, stats=("norm", "ratio"))
    for _ in range(4):
        run.step(X, Y)
    seen.save(tmp_path / "history.jsonl")
    assert load_history(tmp_path / "history.jsonl") == seen.history
    (tmp_path / "other.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(errors.ArgumentError, match=r"other\.jsonl, line 1: no record"):
        load_history(tmp_path / "other.jsonl")


def test_table_shows_names_as_they_are() -> None:
    model = nn.Sequential()
    setattr(model, "<script>", nn.Linear(4, 2))
    model.forward = lambda x: getattr(model, "<script>")(x)
    run = Training(model)
    with limpid.watch(run.model, stats=("norm", "histogram")) as seen:
        assert seen.table() == "nothing was seen yet"
        run.step(batches(1)[0])
    lines = seen.table().splitlines()
    assert lines[0].split() == ["norm", "histogram"]
    assert any(line.startswith("<script> ") for line in lines)


def test_kinds_of_values_can_be_chosen() -> None:
    for of, names in {
        "activations": {"conv", "norm", "fc1", "drop", "fc2", "Net"},
        "gradients": {f"grad:{name}" for name, _ in Run().model.named_parameters()},
        "updates": {f"update:{name}" for name, _ in Run().model.named_parameters()},
    }.items():
        run = Run()
        ours = limpid.watch(run.step, stats=("max", "ratio"), of=of)
        run.step(X, Y)
        assert set(ours.last) == names
        run = Run()
        with limpid.watch(run.model, stats=("max", "ratio"), of=of) as theirs:
            run.train(EAGER_X, EAGER_Y)
        assert set(theirs.last) == names
    with pytest.raises(errors.ArgumentError, match="of names kinds of values, activations"):
        limpid.watch(run.step, of="weights")
    with pytest.raises(errors.ArgumentError, match="of names no kind"):
        limpid.watch(run.step, of=())


def test_misuse_is_told() -> None:
    step = limpid.compile(lambda x: x)
    for wrong in (F.relu, None, 3):
        with pytest.raises(errors.ArgumentError, match="a compiled step or a module"):
            limpid.watch(wrong)
    with pytest.raises(errors.ArgumentError, match="no statistic 'median'; there are norm"):
        limpid.watch(step, stats=("norm", "median"))
    with pytest.raises(errors.ArgumentError, match="names no statistic"):
        limpid.watch(step, stats=())
    with pytest.raises(errors.ArgumentError, match="every is of how many steps"):
        limpid.watch(step, every=0)
    with pytest.raises(errors.ArgumentError, match="at least 2"):
        limpid.watch(step, limit=1)


# Training


@pytest.mark.parametrize("settings", [{}, {"eager": True}, {"batch_size": 1438}])
def test_training_logs_what_its_layers_do(tmp_path: Any, settings: dict[str, Any]) -> None:
    plan = {"hidden": (12,), "activation": "tanh", "epochs": 2, "batch_size": 64, **settings}
    result = train(output=tmp_path / "run", **plan)
    parameters = {"0.weight", "0.bias", "2.weight", "2.bias"}
    for line in result.metrics:
        assert set(line["update_norms"]) == parameters
        assert all(x > 0 for x in line["update_norms"].values())
        assert set(line["activation_norms"]) == {"0", "1", "2", "Sequential"}
        assert set(line["activation_zeros"]) == {"0", "1", "2", "Sequential"}
        assert set(line["activation_saturation"]) == {"1"}
        assert 0 <= line["activation_saturation"]["1"] <= 1
    assert json.loads(json.dumps(result.metrics, allow_nan=False)) == result.metrics
