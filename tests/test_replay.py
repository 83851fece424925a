"""Calls that are kept and run again: bit for bit, here and in another process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import namedtuple
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import errors, nn, optim
from limpid.compiler.steps.replay import copied, strides_like
from limpid.nn import functional as F

RNG = np.random.default_rng(0)
BATCHES = [
    (RNG.normal(size=(6, 1, 8, 8)).astype(np.float32), RNG.integers(0, 3, 6)) for _ in range(4)
]
PROBES = ["1", "norm:grad:*", "grad:0.weight", "loss", "state:random.state", "new:lr*", "*"]


def training(seed: int = 0, **options: Any) -> tuple[Any, Any]:
    """A step with batch statistics, dropout and Adam, and its model."""
    limpid.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5),
        nn.Linear(144, 3),
    )  # fmt: skip
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    @limpid.compile(**options)
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step, model


def same_bits(a: Any, b: Any) -> None:
    a, b = np.asarray(a), np.asarray(b)
    assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


# In this process


def test_the_last_calls_run_again() -> None:
    step, model = training(keep=3)
    losses, states = [], []
    for x, y in BATCHES:
        losses.append(step(x.copy(), y).value)
        states.append(model.state_dict())
    generator = limpid.random.default_generator().state_dict()
    for k in (1, 2, 3, 1):
        again = step.replay(k)
        same_bits(again.result.value, losses[-k])
        for name, value in states[-k].items():
            same_bits(again.state[name], value)
        assert again.probed == {}
    np.testing.assert_equal(model.state_dict(), states[-1])  # the present state is untouched
    np.testing.assert_equal(limpid.random.default_generator().state_dict(), generator)
    step(*BATCHES[0])
    same_bits(step.replay(2).result.value, losses[-1])
    with pytest.raises(errors.ArgumentError, match="k is from 1, the latest call, to 3, not 4"):
        step.replay(4)
    for wrong in (0, -1):
        with pytest.raises(errors.ArgumentError, match=r"k (is from 1|must be an integer)"):
            step.replay(wrong)


def test_gradients_stay_what_they_are() -> None:
    step, model = training(keep=2)
    for x, y in BATCHES[:2]:
        step(x, y)
    held = [p.grad for p in model.parameters()]
    before = [gradient.value.copy() for gradient in held]
    step.replay(2)
    for p, gradient, value in zip(model.parameters(), held, before, strict=True):
        assert p.grad is gradient
        same_bits(gradient.value, value)
    step(*BATCHES[2])
    for gradient, value in zip(held, before, strict=True):
        same_bits(gradient.value, value)


def test_probes_are_those_of_the_call() -> None:
    probed, _ = training(probe=PROBES[:-2])
    kept, _ = training(keep=4)
    limpid.manual_seed(5)
    seen = []
    for x, y in BATCHES:
        probed(x, y)
        seen.append(probed.probed)
    limpid.manual_seed(5)
    for x, y in BATCHES:
        kept(x, y)
    for k in (1, 4):
        again = kept.replay(k, probe=PROBES[:-2])
        assert list(again.probed) == list(seen[-k])
        for name, value in again.probed.items():
            same_bits(value, seen[-k][name])
    assert kept.probed == {}
    with pytest.raises(errors.ArgumentError, match="probe 'fc9'"):
        kept.replay(probe="fc9")


def test_kept_and_not_kept_give_the_same_bits() -> None:
    found = []
    for options in ({}, {"keep": 2}, {"keep": 1, "probe": "norm:grad:*"}):
        step, model = training(**options)
        losses = [step(x, y).item() for x, y in BATCHES]
        found.append((losses, model.state_dict()))
    for losses, state in found[1:]:
        assert losses == found[0][0]
        np.testing.assert_equal(state, found[0][1])


def test_nothing_is_kept_unless_asked_for() -> None:
    step = limpid.compile(lambda x: x * 2.0)
    with pytest.raises(errors.ArgumentError, match="no calls are kept"):
        step.replay()
    with pytest.raises(errors.ArgumentError, match="no calls are kept"):
        step.save_replay("nowhere")
    with pytest.raises(errors.ArgumentError, match="no compiled call yet"):
        limpid.compile(lambda x: x, keep=1).replay()
    for wrong in (-1, "all", 1.5):
        with pytest.raises(errors.LimpidError, match="keep"):
            limpid.compile(lambda x: x, keep=wrong)


def test_what_callers_write_later_is_not_seen() -> None:
    w = limpid.Parameter([1.0, 2.0])
    step = limpid.compile(lambda x: w * x, keep=1)
    x = np.array([3.0, 4.0], np.float32)
    step(x)
    x[...] = 0.0
    limpid.assign(w, limpid.zeros(2))
    assert step.replay().result.tolist() == [3.0, 8.0]
    assert step.replay().state["state"].tolist() == [1.0, 2.0]


def test_a_call_that_failed_can_be_looked_into() -> None:
    step = limpid.compile(lambda a: limpid.linalg.cholesky(a * 2.0), keep=1, probe="max:multiply")
    step(np.eye(2))
    with pytest.raises(errors.MatrixError):
        step(-np.eye(2))
    with pytest.raises(errors.MatrixError):
        step.replay()
    assert step.sight.kept[-1].inputs[0].tolist() == [[-1.0, 0.0], [0.0, -1.0]]


def test_calls_of_several_kinds() -> None:
    step = limpid.compile(lambda x, scale: x * scale, keep=3, capacity=1)
    step(np.ones(2), 2.0)
    step(np.ones(3), 2.0)
    step(np.ones(3), 5.0)
    assert step.count == 3
    assert [step.replay(k).result.tolist() for k in (3, 2, 1)] == [[2, 2], [2, 2, 2], [5, 5, 5]]


Pair = namedtuple("Pair", "first second")


@dataclass
class Report:
    loss: Any
    name: str


def test_results_of_any_nesting(tmp_path: Path) -> None:
    state = limpid.Buffer([7.0])
    large = np.arange(3)

    @limpid.compile(keep=2)
    def step(x: Any, other: Any) -> Any:
        limpid.assign(state, state + 1.0)
        total = limpid.sum(x)
        return [
            Pair(total, None), Report(total * 2.0, "r"),
            {"x": x, np.int64(3): (other, 2.5, "text", True)},
            state, large, len, [],
        ]  # fmt: skip

    x, other = limpid.tensor([1.0, 2.0]), limpid.tensor([5])
    step(x, other)
    step(x, x)
    step.save_replay(tmp_path / "r")
    saved = limpid.load_replay(tmp_path / "r")
    for k, second in ((1, [1.0, 2.0]), (2, [5])):
        here, there = step.replay(k).result, saved.run(k).result
        assert isinstance(here[0], Pair)
        assert isinstance(here[1], Report)
        assert here[5] is len
        assert [here[0].first.item(), here[1].loss.item(), here[1].name] == [3.0, 6.0, "r"]
        assert there[0]["first"].item() == 3.0
        assert there[0]["second"] is None
        assert (there[1]["loss"].item(), there[1]["name"]) == (6.0, "r")
        assert there[5] == "len"
        for found in (here, there):
            assert found[2]["x"].tolist() == [1.0, 2.0]
            assert found[2][3][0].tolist() == second
            assert found[2][3][1:] == (2.5, "text", True)
            assert found[3].tolist() == [10.0 - k]  # as it was after that call
            assert found[4].tolist() == [0, 1, 2]
            assert found[6] == []


# In a file


def saved_and_loaded(step: Any, path: Path) -> Any:
    step.save_replay(path / "calls.safetensors")
    return limpid.load_replay(path / "calls.safetensors")


def test_a_file_runs_as_the_process_does(tmp_path: Path) -> None:
    step, _ = training(keep=3)
    for x, y in BATCHES:
        step(x, y)
    saved = saved_and_loaded(step, tmp_path)
    assert (saved.calls, saved.function) == (3, "step")
    for k in (1, 2, 3):
        here, there = step.replay(k, PROBES[:-2]), saved.run(k, PROBES[:-2])
        same_bits(there.result.value, here.result.value)
        assert list(there.probed) == list(here.probed)
        assert list(there.state) == list(here.state)
        for name, value in {**here.probed, **here.state}.items():
            same_bits({**there.probed, **there.state}[name], value)
    with pytest.raises(errors.ArgumentError, match="perhaps you mean: "):
        saved.run(probe="norm:grad:5.weigth")
    with pytest.raises(errors.ArgumentError, match="to 3, not 4"):
        saved.run(4)
    assert "# forward" in saved.graph()
    assert "test_replay.py:" in saved.graph()


ELSEWHERE = """
import json, sys
import limpid
saved = limpid.load_replay(sys.argv[1])
found = []
for k in range(1, saved.calls + 1):
    again = saved.run(k, probe=json.loads(sys.argv[2]))
    probed = {n: getattr(x, "tolist", lambda: x)() for n, x in again.probed.items()}
    found.append([again.result.value.tobytes().hex(), probed])
print(json.dumps(found))
"""


def test_another_process_needs_no_code_of_ours(tmp_path: Path) -> None:
    step, _ = training(keep=2)
    for x, y in BATCHES:
        step(x, y)
    probes = ["loss", "5.*", "norm:grad:*"]
    step.save_replay(tmp_path / "calls")
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(tmp_path / "calls"), json.dumps(probes)],
        capture_output=True,
        text=True,
        check=True,
    )
    for k, (loss, probed) in enumerate(json.loads(done.stdout), 1):
        again = step.replay(k, probes)
        assert loss == again.result.value.tobytes().hex()
        expected = {n: x if isinstance(x, float) else x.tolist() for n, x in again.probed.items()}
        assert probed == json.loads(json.dumps(expected))


DTYPES = ["bool", "int8", "uint16", "int64", "uint64", "float16", "float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (2, 3)])
def test_arrays_of_every_type_and_shape(dtype: str, shape: Any, tmp_path: Path) -> None:
    x = (RNG.normal(size=shape) * 50).astype(dtype)
    state = limpid.Buffer(x)

    @limpid.compile(keep=1)
    def step(x: Any) -> Any:
        before = state * 1
        limpid.assign(state, x)
        return before, x

    given = np.array(x[..., ::-1] if shape else x)
    step(given)
    saved = saved_and_loaded(step, tmp_path)
    for again in (step.replay(), saved.run(probe=["state:*", "nan:state:*"])):
        before, after = again.result
        same_bits(before.value, x * 1)
        same_bits(after.value, given)
        same_bits(again.state["state"], given)
    same_bits(again.probed["state:state"], x)


def test_special_numbers_and_constants(tmp_path: Path) -> None:
    small = np.array([np.nan, -np.inf, -0.0, 1e-45], np.float32)
    large = RNG.normal(size=(30, 4)).astype(np.float32)

    def f(x: Any) -> Any:
        y = limpid.where(x > float("-inf"), x * small, -0.0) @ limpid.asarray(large).T
        return limpid.max(y, axis=0), limpid.clip(x, -1.0, float("inf")), x + float("nan")

    step = limpid.compile(f, keep=1)
    found = step(np.array([[1.0, 2.0, -0.0, 4.0]], np.float32))
    saved = saved_and_loaded(step, tmp_path)
    for again in (step.replay(), saved.run()):
        for a, b in zip(again.result, found, strict=True):
            same_bits(a.value, b.value)


def test_loops_and_branches_in_a_file(tmp_path: Path) -> None:
    w = limpid.Parameter([0.5, 0.25])
    shift = RNG.normal(size=(40, 2)).astype(np.float32)

    @limpid.compile(keep=1)
    def step(xs: Any) -> Any:
        w.grad = None
        last, ys = limpid.scan(
            lambda h, x: (limpid.tanh(h * w + x), limpid.sum(shift * h)), limpid.zeros(2), xs
        )
        total = limpid.cond(limpid.sum(ys) > 0, lambda a: a * 2.0, lambda a: a * a, last)
        limpid.sum(total).backward()
        limpid.assign(w, w - 0.1 * w.grad)
        return total

    found = step(RNG.normal(size=(7, 2)).astype(np.float32))
    saved = saved_and_loaded(step, tmp_path)
    again, here = saved.run(probe=["grad:state", "total"]), step.replay(probe=["grad:state"])
    same_bits(again.result.value, found.value)
    same_bits(again.probed["grad:state"], here.probed["grad:state"])
    same_bits(again.state["state"], w.detach().numpy())


def test_values_that_nothing_needs_are_in_the_file(tmp_path: Path) -> None:
    w, idle = limpid.Parameter([1.0, 2.0]), limpid.Buffer([10.0])

    @limpid.compile(keep=1)
    def step(x: Any) -> Any:
        unused = limpid.sum(w * x * idle)
        del unused
        return x + 1.0

    step(np.ones(2, np.float32))
    saved = saved_and_loaded(step, tmp_path)
    assert saved.run(probe="unused").probed["unused"] == 30.0
    assert step.replay(probe="norm:unused").probed == {"norm:unused": 30.0}


def test_a_function_of_ones_own_stays_in_the_process(tmp_path: Path) -> None:
    class Cube(limpid.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return 3.0 * x * x * g

    step = limpid.compile(lambda x: Cube.apply(x) + 1.0, keep=1)
    step(limpid.tensor([2.0]))
    assert step.replay().result.tolist() == [9.0]
    with pytest.raises(errors.ArgumentError, match="Cube is a Function, whose code a file can't"):
        step.save_replay(tmp_path / "r")
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_damaged_or_something_else(tmp_path: Path) -> None:
    step = limpid.compile(lambda x: limpid.sum(x * x), keep=1)
    step(np.arange(5.0))
    path = tmp_path / "calls"
    step.save_replay(path)
    raw = path.read_bytes()
    for cut in (0, 8, 40, len(raw) // 2, len(raw) - 1):
        path.write_bytes(raw[:cut])
        with pytest.raises(errors.RunError, match="damaged, or no replay"):
            limpid.load_replay(path)
    for place in range(0, len(raw), 13):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        with pytest.raises(errors.RunError, match=r"damaged|not a replay"):
            limpid.load_replay(path)
    with pytest.raises(errors.RunError, match="no such replay"):
        limpid.load_replay(tmp_path / "none")
    limpid.training.save_checkpoint(path, {"n": 1})
    with pytest.raises(errors.RunError, match=r"not a replay that this version reads \(limpid che"):
        limpid.load_replay(path)
    with pytest.raises(errors.RunError, match="could not be written"):
        step.save_replay(tmp_path / "no" / "folder")


def test_primitives_that_are_not_there(tmp_path: Path, monkeypatch: Any) -> None:
    mine = limpid.elementwise("mine_alone", lambda x: x * 3.0, local=[3.0])
    step = limpid.compile(lambda x: mine(x), keep=1)
    step(limpid.tensor([2.0]))
    assert saved_and_loaded(step, tmp_path).run().result.tolist() == [6.0]
    monkeypatch.delitem(limpid.primitives, "mine_alone")
    with pytest.raises(errors.RunError, match=r"mine_alone, which tests\.test_replay declares"):
        limpid.load_replay(tmp_path / "calls.safetensors")


def test_unchanged_state_is_written_once(tmp_path: Path) -> None:
    large = limpid.Buffer(np.zeros(100_000, np.float32))
    step = limpid.compile(lambda x: limpid.sum(large + x), keep=5)
    for _ in range(5):
        step(np.ones(1, np.float32))
    step.save_replay(tmp_path / "calls")
    assert (tmp_path / "calls").stat().st_size < 450_000


# Memory layout: NumPy's sums and products depend on it


BASE = np.asfortranarray(RNG.normal(size=(6, 7, 5)))
LAYOUTS = {
    "rows": BASE.copy("C"),
    "columns": BASE,
    "part": BASE[1:5, ::2, 1:],
    "backwards": BASE[::-1, :, ::-1],
    "turned": np.moveaxis(BASE, 1, 0),
    "repeated": np.broadcast_to(BASE[:, :1, :], BASE.shape),
    "windows": np.lib.stride_tricks.sliding_window_view(BASE[:, 0, 0], 3),
    "empty": BASE[:, :0],
    "one": BASE[2:3, 4:5, ::3],
    "number": BASE[0, 0, 0:1].reshape(()),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_copies_lie_in_memory_as_the_original(name: str) -> None:
    x = LAYOUTS[name]
    made = copied(x)
    np.testing.assert_array_equal(made, x)
    assert not np.shares_memory(made, x)
    assert made.flags.c_contiguous == x.flags.c_contiguous
    assert made.flags.f_contiguous == x.flags.f_contiguous
    assert strides_like(made) == made.strides or not made.size
    wide = [(abs(s), t) for s, t, n in zip(x.strides, made.strides, x.shape) if n > 1]
    assert [t for _, t in sorted(wide, key=lambda pair: pair[0])] == sorted(
        (t for _, t in wide), key=abs
    )


def test_a_column_of_a_large_matrix_is_copied_alone() -> None:
    column = np.zeros((100_000, 50))[:, 3]
    assert copied(column).base.nbytes < 2_000_000


@pytest.mark.parametrize("name", LAYOUTS)
def test_any_layout_runs_again_with_the_same_bits(name: str, tmp_path: Path) -> None:
    x = LAYOUTS[name]
    step = limpid.compile(
        lambda x: (
            (limpid.sum(x, axis=0), limpid.sum(limpid.exp(x)), x @ limpid.matrix_transpose(x))
            if x.ndim > 1
            else (limpid.sum(limpid.exp(x)),)
        ),
        keep=1,
    )
    found = step(x)
    saved = saved_and_loaded(step, tmp_path)
    for again in (step.replay(), saved.run()):
        for a, b in zip(again.result, found, strict=True):
            same_bits(a.value, b.value)
