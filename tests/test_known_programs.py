"""Programs from the cache on disk: the same bits, nothing made anew, and never that of another."""

import gc
import os
import subprocess
import sys
import time
import weakref
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn, optim
from limpid.compiler.machine import cache as disk
from limpid.compiler.machine import sources
from limpid.compiler.machine.target import native_target
from limpid.compiler.program.fingerprint import fingerprint
from limpid.compiler.runtime.image import LARGEST, Restored, image_of
from limpid.compiler.runtime.native import Native
from limpid.compiler.steps import compiled, known
from limpid.ops import workers
from tests.native import needs_native

pytestmark = needs_native


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for each test."""
    monkeypatch.setenv(disk.FOLDER, str(tmp_path / "cache"))
    monkeypatch.setattr(known, "sources", lambda: "as they are")  # somebody may write to them
    return tmp_path / "cache"


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def program(step: Any) -> Any:
    """What the latest call ran."""
    return step.latest().executor.program


def training(sizes: tuple[int, ...] = (20, 16, 16, 5), batch: int = 12) -> tuple[Any, list[Any]]:
    """A compiled training step, and what it is called with."""
    limpid.manual_seed(0)
    layers = [nn.Linear(a, b) for a, b in pairwise(sizes)]
    model = nn.Sequential(*[part for layer in layers for part in (layer, nn.Tanh())][:-1])
    optimizer = optim.Adam(model.parameters(), lr=0.1)

    def step(x: Any, labels: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss, loss * 2

    labels = np.random.default_rng(1).integers(0, sizes[-1], batch)
    return limpid.compile(step), [numbers(batch, sizes[0]), labels, model]


def convolutions() -> tuple[Any, list[Any]]:
    limpid.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(8),
        nn.Dropout(0.5), nn.Flatten(), nn.Linear(8 * 16, 10),
    )  # fmt: skip
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step(x: Any, labels: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    labels = np.random.default_rng(1).integers(0, 10, 6)
    return limpid.compile(step), [numbers(6, 3, 8, 8), labels, model]


def large() -> tuple[Any, list[Any]]:
    """So much work that threads share it, with sums for each slot."""
    limpid.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 64))
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return limpid.compile(step), [numbers(512, 64), numbers(512, 64, seed=1), model]


def run(made: tuple[Any, list[Any]]) -> tuple[Any, list[bytes]]:
    """The step, and all bits of three calls and what they leave."""
    step, (*arguments, model) = made
    found = [bits(x) for _ in range(3) for x in _flat(step(*arguments))]
    found += [bits(x) for x in model.state_dict().values()]
    found += [bits(p.grad) for p in model.parameters()]
    return step, found


def _flat(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple) else [result]


def bits(x: Any) -> bytes:
    return np.asarray(x.detach() if isinstance(x, limpid.Tensor) else x).tobytes()


@pytest.mark.parametrize("make", [training, convolutions, large])
@pytest.mark.parametrize("threads", [1, 2])
def test_same_bits(make: Any, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "thread_count", lambda: threads)
    monkeypatch.setattr("limpid.compiler.runtime.native.thread_count", lambda: threads)
    first, expected = run(make())
    assert isinstance(program(first), Native)
    second, found = run(make())
    assert isinstance(program(second), Restored)
    assert program(second).buffers.workers == program(first).buffers.workers
    assert found == expected


ELSEWHERE = """
import numpy as np, limpid
from limpid import nn, optim
from limpid.compiler.steps import known

known.sources = lambda: "as they are"
limpid.manual_seed(0)
model = nn.Sequential(nn.Linear(20, 16), nn.Tanh(), nn.Linear(16, 5))
optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

@limpid.compile
def step(x, labels):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), labels)
    loss.backward()
    optimizer.step()
    return loss

x = np.random.default_rng(0).normal(size=(12, 20)).astype(np.float32)
losses = [step(x, np.arange(12) % 5).item().hex() for _ in range(4)]
print(type(step.latest().executor.program).__name__, *losses)
"""


def test_other_processes_know_it_too() -> None:
    """Nothing lies where it lay."""
    command = [sys.executable, "-c", ELSEWHERE]
    found = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        for _ in range(2)
    ]
    assert [name for name, *_ in found] == ["Native", "Restored"]
    assert found[0][1:] == found[1][1:]


def test_nothing_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    _, expected = run(training())

    def refuse(*_: Any) -> Any:
        raise AssertionError("a program that is known was made")

    monkeypatch.setattr(compiled, "translate", refuse)
    assert run(training())[1] == expected
    with pytest.raises(AssertionError, match="was made"):
        run(training(batch=13))


def test_reports_make_it_anew() -> None:
    first, _ = run(training())
    second, _ = run(training())
    assert second.listing() == first.listing()
    assert second.llvm() == first.llvm()
    assert isinstance(program(second), Native)
    step, (*arguments, model) = training()
    step(*arguments)
    third, (*arguments, other) = training()
    third(*arguments)
    assert isinstance(program(third), Restored)
    third.memory()
    assert isinstance(program(third), Native)
    again = [bits(s(*arguments)[0]) for s in (step, third)]
    assert again[0] == again[1]
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert bits(p) == bits(q)
        assert bits(p.grad) == bits(q.grad)


def test_wrong_labels_are_refused_as_before() -> None:
    run(training())
    step, (x, labels, model) = training()
    step(x, labels)
    before = [bits(p) for p in model.parameters()]
    with pytest.raises(limpid.errors.LimpidError):
        step(x, labels + 100)
    assert isinstance(program(step), Restored)
    assert [bits(p) for p in model.parameters()] == before
    assert np.isfinite(step(x, labels)[0].item())


def test_probes_are_known_too() -> None:
    def probed() -> tuple[Any, dict[str, Any]]:
        step, (*arguments, _) = training()
        step.probe("norm:grad:*", "loss", "grad:0.weight")
        step(*arguments)
        step(*arguments)
        return step, step.probed

    expected, found = probed()[1], probed()[1]
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert bits(value) == bits(found[name]), name


def test_arrays_that_somebody_holds_are_not_written_to() -> None:
    run(training())
    step, (*arguments, model) = training()
    step(*arguments)
    held = [(p.detach().numpy(), p.grad.numpy()) for p in model.parameters()]
    copies = [(a.copy(), b.copy()) for a, b in held]
    first = step(*arguments)
    kept = [bits(x) for x in first]
    step(*arguments)
    assert isinstance(program(step), Restored)
    for (a, b), (c, d) in zip(held, copies, strict=True):
        assert (a == c).all()
        assert (b == d).all()
    assert [bits(x) for x in first] == kept


# What has another name, or none


def test_large_constants_are_not_kept(folder: Path) -> None:
    much = np.ones(LARGEST // 4 + 1, np.float32)
    assert fingerprint(limpid.record(lambda x: x * much, much).graph) is None
    step = limpid.compile(lambda x: x * much)
    step(much)
    assert step(much * 3).tolist()[:2] == [3.0, 3.0]


def test_settings_have_names_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    target = native_target()
    assert target is not None
    graph = limpid.record(limpid.exp, numbers(4, 6)).graph
    names = {known.name_of(graph, target, [], []), known.name_of(graph, target, [0], [])}
    names.add(known.name_of(graph, target, [], [0]))
    count = workers.thread_count()
    monkeypatch.setattr(known, "thread_count", lambda: count + 1)
    names.add(known.name_of(graph, target, [], []))
    monkeypatch.setattr(known, "sources", lambda: "others")
    names.add(known.name_of(graph, target, [], []))
    assert len(names) == 5
    assert None not in names
    monkeypatch.setattr(known, "sources", lambda: None)
    assert known.name_of(graph, target, [], []) is None
    monkeypatch.setenv(disk.FOLDER, "")
    assert known.name_of(graph, target, [], []) is None


def test_files_written_since_they_were_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    find = sources.sources.__wrapped__
    monkeypatch.setattr(sources, "SINCE", time.time() + 1)
    before = find()
    assert before is not None
    assert find() == before
    monkeypatch.setattr(sources, "SINCE", 0.0)
    assert find() is None


def test_words_that_may_be_addresses_are_not_kept() -> None:
    """A table that does not tell of an address would lead anywhere in another process."""
    native = run(training())[0].latest().executor._made()
    assert image_of(native) is not None
    pointers = native.assembler.pointers
    number = next(n for n, found in enumerate(pointers) if len(found.places) == 3)
    pointers[number] = pointers[number]._replace(places=pointers[number].places[1:])
    assert image_of(native) is None


def test_nothing_keeps_a_program_alive() -> None:
    """Programs, too, are freed without a search for garbage."""
    run(training())
    step, _ = run(training())
    found = weakref.ref(program(step))
    assert isinstance(found(), Restored)
    gc.collect()
    gc.disable()
    try:
        assert step.latest().executor.native is not None  # which puts another one in its place
        assert found() is None
    finally:
        gc.enable()


# Files


def test_damaged_and_missing_entries_are_made_anew(folder: Path) -> None:
    _, expected = run(training())
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    step, found = run(training())
    assert isinstance(program(step), Native)
    assert found == expected
    module = program(step).module.name
    (folder / module).unlink()
    step, found = run(training())
    assert isinstance(program(step), Native)
    assert found == expected
    assert isinstance(program(run(training())[0]), Restored)


def test_a_folder_that_others_may_write_to_is_not_used(folder: Path) -> None:
    run(training())
    os.chmod(folder, 0o777)
    assert isinstance(program(run(training())[0]), Native)


def test_loops_and_calls_of_numpy_run_without(folder: Path) -> None:
    def loop(x: Any) -> Any:
        return limpid.scan(lambda carry, y: (carry + y, carry), x[0], x)[0]

    def call(x: Any) -> Any:
        return limpid.linalg.det(x) + 1.0

    for function in (loop, call):
        a, b = (limpid.compile(function)(numbers(4, 4)) for _ in range(2))
        assert bits(a) == bits(b)
