"""Along which axes programs are cut: not where that leaves little side by side in memory."""

from __future__ import annotations

from typing import Any

import numpy as np

import limpid
from limpid import nn
from limpid.compiler.program.translation import translate
from limpid.compiler.program.values import Value, ordered
from limpid.compiler.schedule.bands import Bands
from limpid.compiler.schedule.stages import PRODUCT
from tests.native import native, needs_native

pytestmark = needs_native


def test_rows_are_shared_where_an_operand_can_only_be_cut_along_columns() -> None:
    """The gradient of an embedding, and the update of its weights."""
    table = Value("input", (20000, 64), np.dtype(np.float32), params={"number": 0})
    index = Value("input", (64, 20), np.dtype(np.int64), params={"number": 1})
    given = Value("input", (64, 20, 64), np.dtype(np.float32), params={"number": 2})
    made = Value("scatter_add", table.shape, table.dtype, (given, index), {"axis": 0})
    for _ in range(5):
        made = Value("map", table.shape, table.dtype, (made, table), {"function": "multiply"})
    bands = Bands(ordered([made]))
    rows, columns = bands.of(made, 0), bands.of(made, 1)
    assert columns.chunk % 16 == 0
    assert bands.rank[rows.number] > bands.rank[columns.number]


def test_convolutions_between_statistics_of_channels_are_cut_along_the_batch() -> None:
    """Channels are linked through more values, but they are the lanes of vectors."""
    first = nn.Conv2d(3, 32, 3, padding=1)
    blocks = [[nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32)] for _ in range(4)]

    def loss(x: Any) -> Any:
        x = first(x)
        for conv, norm in blocks:
            x = x + limpid.relu(norm(conv(x)))
        return limpid.sum(x * x)

    x = np.random.default_rng(0).normal(size=(16, 3, 32, 32)).astype(np.float32)
    graph = limpid.record(lambda x: limpid.grad(loss)(x), x).graph
    made = native(translate(graph).outputs)
    products = [
        block.band
        for phase in made.schedule.phases
        for block in phase
        for stage in block.stages
        if stage.kind == PRODUCT
    ]
    assert len(products) > 6
    assert all(band is not None and band.extent == 16 for band in products)
