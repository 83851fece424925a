"""limpid, the whole step compiled."""

from collections.abc import Callable
from functools import partial
from typing import Any

import limpid
from benchmarks.contenders.limpid_models import training_step
from benchmarks.workloads import Workload


def build(work: Workload) -> Callable[[], Any]:
    train, data = training_step(work)
    return partial(limpid.compile(train), *data)
