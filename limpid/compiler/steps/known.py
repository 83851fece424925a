"""Programs that were made before, by this process or another one: found in the cache on disk.

A program depends on its graph, on the processor, on how many threads there are, and on all of
limpid's code; its name is made of these.
"""

from __future__ import annotations

import sys
from collections.abc import Collection

import numpy as np

from limpid.compiler.machine import cache as disk
from limpid.compiler.machine.loading import load_again, version
from limpid.compiler.machine.sources import sources
from limpid.compiler.machine.target import Target
from limpid.compiler.program.fingerprint import fingerprint
from limpid.compiler.runtime.image import Restored, image_of, unpacked
from limpid.compiler.runtime.native import Native
from limpid.graph.dtype import default_float
from limpid.graph.graph import Graph
from limpid.ops.workers import thread_count


def name_of(
    graph: Graph, target: Target, left: Collection[int], probes: Collection[int]
) -> str | None:
    """The name of a graph's program; None where there is no cache, or nobody knows what it does.

    left, probes  numbers of outputs that go to `.grad`, and that are only looked at
    """
    if disk.cache_folder() is None:
        return None
    code, found = sources(), fingerprint(graph)
    if code is None or found is None:
        return None
    settings = list(left), sorted(probes), thread_count(), default_float().name
    versions = *version(), np.__version__, sys.version
    return disk.key("program", found.hex(), repr(settings), repr(target), *versions, code)


def read(name: str, target: Target) -> Restored | None:
    """The program of a name; None if it is not there."""
    content = disk.read(name)
    if content is None:
        return None
    image = unpacked(content)
    module = load_again(image.header["module"], target)
    return None if module is None else Restored(image, module)


def write(name: str, native: Native) -> None:
    """Keep a program, if it is of the sort that can be kept."""
    image = image_of(native)
    if image is not None:
        disk.write(name, image.packed())
