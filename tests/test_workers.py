"""Worker threads: errors, nesting, forks, and results that do not depend on their number."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from limpid.errors import ArgumentError
from limpid.ops import workers

STEP = """
import hashlib, numpy as np, limpid
from limpid.nn import functional as F
rng = np.random.default_rng(0)
x = limpid.tensor(rng.normal(size=(16, 16, 24, 24)).astype("f4"), requires_grad=True)
w = limpid.tensor(rng.normal(size=(32, 16, 3, 3)).astype("f4"), requires_grad=True)
y = F.conv2d(x, w, padding=1)
limpid.sum(y * y).backward()
print(*(hashlib.sha256(a.tobytes()).hexdigest() for a in (y.detach().numpy(), x.grad.numpy(),
                                                          w.grad.numpy())))
"""


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    found = set()
    for threads, blas in (("1", "1"), ("2", "1"), ("3", "2"), ("1", "2")):
        env = os.environ | {"LIMPID_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": blas}
        done = subprocess.run(
            [sys.executable, "-c", STEP], env=env, capture_output=True, text=True, check=True
        )
        found.add(done.stdout)
    assert len(found) == 1


def test_an_error_is_raised_when_all_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "thread_count", lambda: 2)
    ended = []

    def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        workers.run_parts([lambda: ended.append(1), fails, lambda: ended.append(2)])
    assert ended == [1, 2]


def test_parts_within_parts_run_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "thread_count", lambda: 2)
    seen = []

    def outer() -> None:
        here = threading.get_ident()
        workers.run_parts([lambda: seen.append(threading.get_ident() == here)] * 3)

    workers.run_parts([outer, outer])
    assert seen == [True] * 6


def test_a_forked_process_starts_its_own_threads() -> None:
    code = """
import os
from limpid.ops import workers
workers.thread_count = lambda: 2
done = []
workers.run_parts([lambda: done.append(1)] * 2)
child = os.fork()
workers.run_parts([lambda: done.append(1)] * 2)
if child:
    assert os.waitpid(child, 0)[1] == 0
assert len(done) == 4
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)


def test_the_number_of_threads_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    workers.thread_count.cache_clear()
    monkeypatch.setenv("LIMPID_NUM_THREADS", "many")
    with pytest.raises(ArgumentError, match=r"LIMPID_NUM_THREADS .* 'many'"):
        workers.thread_count()
    monkeypatch.setenv("LIMPID_NUM_THREADS", "3")
    assert workers.thread_count() == 3
    workers.thread_count.cache_clear()
