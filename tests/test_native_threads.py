"""Threads inside native code: their number changes no bit, and they get in nobody's way."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np

import limpid
from tests.native import needs_native

pytestmark = needs_native

TRAINING = """
import hashlib, os, sys, time
import numpy as np
import limpid
from limpid import nn, optim
rng = np.random.default_rng(0)
def training(model, shape, classes):
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    @limpid.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    x = rng.normal(size=shape).astype(np.float32)
    y = rng.integers(0, classes, shape[0])
    return step, x, y, model
def digest(*models):
    found = hashlib.sha256()
    for model in models:
        for value in model.state_dict().values():
            found.update(np.ascontiguousarray(value).tobytes())
    return found.hexdigest()
limpid.manual_seed(0)
wide = training(nn.Sequential(nn.Linear(200, 300), nn.ReLU(), nn.Dropout(0.2), nn.Linear(300, 10)),
                (96, 200), 10)
windows = training(nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16),
    nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 8, 3, padding=1), nn.Tanh(), nn.Flatten(),
    nn.Linear(8 * 64, 5)), (33, 3, 16, 16), 5)
"""


def run(code: str, threads: int) -> str:
    environment = {**os.environ, "LIMPID_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [sys.executable, "-c", TRAINING + code],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        timeout=300,
    )
    return done.stdout


def test_any_number_of_threads_gives_the_same_bits() -> None:
    code = """
for step, x, y, model in (wide, windows):
    for _ in range(3):
        step(x, y)
    assert step.count == 1
print(digest(wide[3], windows[3]))
"""
    digests = {run(code, threads) for threads in (1, 2, 3)}
    assert len(digests) == 1


def test_work_is_shared() -> None:
    code = """
step, x, y, _ = wide
step(x, y)
native = step._recordings[0].executor.native
print(native.is_shared, native.buffers.workers)
"""
    assert run(code, 2).split() == ["True", "2"]


def test_after_a_fork() -> None:
    code = """
step, x, y, model = wide
step(x, y)
child = os.fork()
step(x, y)
if not child:
    open(sys.argv[1] if len(sys.argv) > 1 else os.devnull, "w").close()
    os.write(1, (digest(model) + "\\n").encode())
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(digest(model))
"""
    first, second = run(code, 2).split()
    assert first == second


def test_idle_threads_sleep() -> None:
    code = """
step, x, y, model = wide
for _ in range(3):
    step(x, y)
time.sleep(0.05)
before = time.process_time()
time.sleep(0.5)
print(time.process_time() - before)
"""
    assert float(run(code, 2)) < 0.05


def test_steps_in_several_threads_of_python() -> None:
    """Whoever finds the team busy computes alone."""
    weights = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32)
    steps = [limpid.compile(lambda x, n=n: limpid.tanh(x @ weights) * n) for n in range(3)]
    x = np.random.default_rng(1).normal(size=(512, 256)).astype(np.float32)
    expected = [step(x).numpy() for step in steps]
    wrong: list[int] = []

    def call(n: int) -> None:
        for _ in range(20):
            if not np.array_equal(steps[n](x).numpy(), expected[n]):
                wrong.append(n)

    threads = [threading.Thread(target=call, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_call_lets_other_threads_run() -> None:
    weights = np.random.default_rng(0).normal(size=(512, 512)).astype(np.float32)

    def many(x: limpid.Tensor) -> limpid.Tensor:
        for _ in range(40):
            x = limpid.tanh(x @ weights)
        return x

    step = limpid.compile(many)
    x = np.zeros((512, 512), np.float32)
    step(x)
    ticks: list[float] = []
    ended = threading.Event()

    def tick() -> None:
        while not ended.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    start = time.perf_counter()
    step(x)
    end = time.perf_counter()
    ended.set()
    thread.join()
    assert sum(start < t < end for t in ticks) >= 2
