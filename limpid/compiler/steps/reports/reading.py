"""A step's native program beside the graph that it comes from: names, targets, lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from limpid.compiler.program.values import Value
from limpid.compiler.runtime.native import Native
from limpid.compiler.schedule.naming import Names
from limpid.compiler.schedule.stages import Stage
from limpid.compiler.schedule.text import Line, Text
from limpid.compiler.steps.compiled import Compiled
from limpid.compiler.steps.recordings import Recording
from limpid.errors import NativeError
from limpid.graph.graph import Graph
from limpid.graph.node import Node
from limpid.graph.text import slot_text


class Reading:
    """What a recording runs, to be shown.

    lines    the schedule as text, values and stages named as in the graph's text
    homes    where ends go: the names of slots, and titles of results
    numbers  of stages, from 1 on; runs: how often each runs
    buffered values that are written to memory
    """

    def __init__(self, step: str, recording: Recording, what: str):
        self.step, self.graph = step, recording.graph
        self.recording = recording
        self.compiled = _compiled(step, recording, what)
        self.native: Native = self.compiled.native
        graph = self.graph
        inputs = [*graph.inputs, *map(slot_text, graph.slots)]
        constants = {id(x): name for name, x in graph.constants().items()}
        self.names = Names(inputs, dict(_node_names(graph)), constants)
        self.homes = self._homes()
        text = Text(self.native.schedule.buffered, self.names, self.homes)
        self.lines: list[Line] = list(text.schedule(self.native.schedule))
        self.runs = self.native.schedule.runs()
        self.numbers = {s: n for n, s in enumerate(self.runs, 1)}
        self.buffered = frozenset(v for s in self.native.schedules() for v in s.buffered)

    def functions(self) -> dict[Stage, list[str]]:
        """The native functions of each stage, each once."""
        found: dict[Stage, dict[str, None]] = {}
        for _, commands, _ in self.native.all_groups():
            for command in commands:
                if command.stage is not None:
                    found.setdefault(command.stage, {})[command.function] = None
        return {stage: list(names) for stage, names in found.items()}

    def _homes(self) -> dict[Value, str]:
        graph, ends = self.graph, self.native.ends
        titles = [title or "result" for title in graph.titles]
        titles += ["result"] * (len(graph.outputs) - len(titles))
        homes = dict(zip(ends, [*titles, *map(slot_text, graph.writes)], strict=True))
        return homes | dict.fromkeys(self.native.checks, "check")


def _compiled(step: str, recording: Recording, what: str) -> Compiled:
    executor: Any = recording.executor
    if isinstance(executor, Compiled):
        return executor
    raise NativeError(
        f"{step}.{what} shows native code, and there is none here: LIMPID_NATIVE=0 is set, or "
        "llvmlite is not installed\nremedy: unset LIMPID_NATIVE, or pip install llvmlite; "
        f"print({step}.graph) shows what runs without it"
    )


def _node_names(graph: Graph, prefix: str = "") -> Iterator[tuple[Node, str]]:
    """Names of nodes, and of those within graphs that nodes stand for."""
    for node, name in graph.names().items():
        yield node, prefix + name
        for key, value in node.params.items():
            if isinstance(value, Graph):
                yield from _node_names(value, f"{prefix}{name}_{key}.")
