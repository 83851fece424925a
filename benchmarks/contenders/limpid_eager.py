"""limpid, eager."""

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.contenders.limpid_models import training_step
from benchmarks.workloads import Workload


def build(work: Workload) -> Callable[[], Any]:
    train, data = training_step(work)
    return partial(train, *data)
