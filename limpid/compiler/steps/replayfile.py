"""Kept calls in one file, which another process can run again without the user's code."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from importlib import import_module
from typing import Any

import numpy as np

from limpid.compiler.steps.labels import Labels, Sort
from limpid.compiler.steps.places import is_counted, shown
from limpid.compiler.steps.preparation import prepare
from limpid.compiler.steps.probes import read_only
from limpid.compiler.steps.recordings import Recording
from limpid.compiler.steps.replay import Kept, Replay, laid_out, run_again, strides_like
from limpid.compiler.steps.selection import parse_patterns, select
from limpid.errors import ArgumentError, GraphError, RunError
from limpid.files.state import read_state, write_state
from limpid.graph.graph import Graph, Reference, is_reference
from limpid.graph.node import Array, Node
from limpid.graph.registry import primitives
from limpid.graph.text import format_graph, parse_graph
from limpid.ops.axes import integer
from limpid.tensor import Slot, Tensor

KIND = "limpid replay 1"
State = dict[str, Any]


def save_replay(path: str | os.PathLike[str], name: str, calls: Sequence[Kept]) -> None:
    """Write calls, the latest last, and the graphs that they ran."""
    recordings = {id(call.recording): call.recording for call in calls}
    numbers = {key: number for number, key in enumerate(recordings)}
    arrays = _Arrays()
    state = {
        "function": name,
        "recordings": [_recording_state(recording) for recording in recordings.values()],
        "calls": [
            {
                "recording": numbers[id(call.recording)],
                "inputs": [[arrays.number(x), list(strides_like(x))] for x in call.inputs],
                "state": [arrays.number(x) for x in call.state],
            }
            for call in calls
        ],
    }
    write_state(path, {**state, "arrays": arrays.held}, KIND)


class _Arrays:
    """Arrays, each once: state that a call did not change is that of the next one, too."""

    def __init__(self) -> None:
        self.held: list[Array] = []
        self._numbers: dict[int, int] = {}

    def number(self, array: Array) -> int:
        """The number of an array."""
        number = self._numbers.setdefault(id(array), len(self.held))
        if number == len(self.held):
            self.held.append(array)
        return number


def _primitives(graph: Graph) -> dict[str, str]:
    """The primitives in a graph, with the modules that declare them."""
    found: dict[str, str] = {}
    for node in graph.nodes:
        op: Any = node.op
        if op.name not in primitives or primitives[op.name] is not op:
            raise ArgumentError(
                f"{op.name} is a Function, whose code a file can't hold: the call can be replayed "
                "in this process only"
            )
        found[op.name] = op.module
        for value in node.params.values():
            if isinstance(value, Graph):
                found.update(_primitives(value))
    return found


def _recording_state(recording: Recording) -> State:
    """A recording as nested data: its graph as text, with names and with what was not needed."""
    graph = recording.graph
    extra = [x for x in _references(recording.labels) if is_reference(x)]
    slots = {**graph.slots, **recording.idle}
    known = {*graph.nodes, *graph.inputs.values(), *slots.values()}
    idle = tuple(dict.fromkeys(x for x in extra if x[0] not in known))
    titles = (*graph.titles, *[""] * len(idle))
    whole = Graph(graph.inputs, (*graph.outputs, *idle), slots, graph.writes, titles)
    names = whole.names()
    return {
        "graph": format_graph(whole),
        "primitives": _primitives(whole),
        "constants": whole.constants(),
        "outputs": len(graph.outputs),
        "slots": len(graph.slots),
        "hidden": list(recording.trail.hidden),
        "labels": {
            kind: [
                [sort.title, [[n, _named(x, names)] for n, x in sort.values.items()]]
                for sort in sorts
            ]
            for kind, sorts in recording.labels.items()
        },
        "result": _described(_pattern(recording), recording),
    }


def _references(labels: Labels) -> Iterator[Reference]:
    for sorts in labels.values():
        for sort in sorts:
            yield from sort.values.values()


def _named(reference: Reference, names: dict[Node, str]) -> Any:
    """A reference by name: a node's output, or a constant itself."""
    if not is_reference(reference):
        return np.asarray(reference)
    node, index = reference
    return [names[node], index]


# What the function returned, as data


@dataclass(frozen=True)
class _Stand:
    """Stands for a tensor in a result: the number of an output, or of an input."""

    of: str
    number: int


def _pattern(recording: Recording) -> Any:
    outputs = [_Stand("outputs", i) for i in range(len(recording.graph.outputs))]
    inputs = [_Stand("inputs", i) for i in range(len(recording.graph.inputs))]
    return recording.nest(outputs, inputs)


def _described(value: Any, recording: Recording) -> Any:
    """A result as dicts, lists and numbers; what is none of these is described in words."""
    if isinstance(value, _Stand):
        return {"of": value.of, "number": value.number}
    if isinstance(value, Slot):
        names: dict[Any, str] = {node: name for name, node in recording.trail.slots.items()}
        return {"of": "state", "name": names.get(value.node, "")}
    if isinstance(value, np.ndarray):
        return {"of": "array", "value": value}
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or isinstance(value, bool | int | float | str):
        return {"of": "value", "value": value}
    parts = None if is_counted(value) else _parts(value)
    if parts is None:
        return {"of": "words", "value": shown(value)}
    kind = "tuple" if isinstance(value, tuple) else "list"
    keyed = not isinstance(parts, list | tuple)
    found = parts.items() if keyed else enumerate(parts)
    listed = [[_described(k, recording), _described(x, recording)] for k, x in found]
    return {"of": "dict" if keyed else kind, "parts": listed}


def _parts(value: Any) -> Any:
    """A list or tuple, or a dict of what has names; None if it is no nesting."""
    if hasattr(value, "_fields"):
        return value._asdict()
    if isinstance(value, dict | list | tuple):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in fields(value)}
    return None


def _made(described: Any, values: dict[str, Any]) -> Any:
    """A result from its description and the values that stand in it."""
    kind = described["of"]
    if kind in ("outputs", "inputs"):
        return Tensor(None, 0, values[kind][described["number"]])
    if kind == "state":
        held = values["state"].get(described["name"])
        return None if held is None else Tensor(None, 0, held)
    if kind in ("array", "value", "words"):
        return described["value"]
    pairs = [(_made(k, values), _made(x, values)) for k, x in described["parts"]]
    if kind == "dict":
        return dict(pairs)
    return tuple(x for _, x in pairs) if kind == "tuple" else [x for _, x in pairs]


# Loading


class SavedRecording:
    """A recording that was read from a file."""

    def __init__(self, state: State) -> None:
        for name, module in state["primitives"].items():
            _find(name, module)
        whole = parse_graph(state["graph"], state["constants"])
        slots = list(whole.slots.items())
        count = state["slots"]
        self.text: str = state["graph"]
        self.idle = dict(slots[count:])
        self.graph = Graph(
            whole.inputs, whole.outputs[: state["outputs"]], dict(slots[:count]), whole.writes
        )
        self.executor = prepare(self.graph)
        self.hidden: list[str] = state["hidden"]
        self.result = state["result"]
        nodes = {name: node for node, name in whole.names().items()}
        self.labels: Labels = {
            kind: [
                Sort(
                    title,
                    {n: x if isinstance(x, np.ndarray) else (nodes[x[0]], x[1]) for n, x in values},
                )
                for title, values in sorts
            ]
            for kind, sorts in state["labels"].items()
        }


def _find(name: str, module: str) -> None:
    """Let a primitive be declared: limpid's are when their module is first needed."""
    if name not in primitives and module.startswith("limpid."):
        with suppress(ImportError):
            import_module(module)
    if name not in primitives:
        raise GraphError(f"it needs the primitive {name}, which {module} declares; import it first")


@dataclass
class SavedCall:
    """A call that was read from a file."""

    recording: SavedRecording
    inputs: list[Array]
    state: list[Array]

    def run(self, probe: str | Iterable[str]) -> Replay:
        """Run it again."""
        recording = self.recording
        graph = recording.graph
        probes = select(recording.labels, parse_patterns(probe), recording.hidden)
        outputs, written, probed = run_again(recording, probes, self.inputs, self.state)
        state = dict(zip((*graph.slots, *recording.idle), self.state))
        state.update(zip(graph.writes, map(np.asarray, written)))
        values = {"outputs": outputs, "inputs": self.inputs, "state": state}
        result = _made(recording.result, values)
        return Replay(result, probed, {name: read_only(x) for name, x in state.items()})


class SavedReplay:
    """Kept calls that were read from a file; `run` runs one of them.

    `function` is the name of the compiled function, `calls` how many calls there are.
    """

    def __init__(self, state: State) -> None:
        self.function: str = state["function"]
        recordings = [SavedRecording(part) for part in state["recordings"]]
        arrays = state["arrays"]
        self._calls = [
            SavedCall(
                recordings[call["recording"]],
                [_with_strides(arrays[number], strides) for number, strides in call["inputs"]],
                [arrays[number] for number in call["state"]],
            )
            for call in state["calls"]
        ]

    @property
    def calls(self) -> int:
        return len(self._calls)

    def run(self, k: int = 1, probe: str | Iterable[str] = ()) -> Replay:
        """Run the k-th last call; the numbers are those that it gave, bit for bit.

        Dataclasses and named tuples in the result are dicts. What a file can't hold, such as a
        module, is a phrase.
        """
        return self._call(k).run(probe)

    def graph(self, k: int = 1) -> str:
        """What the k-th last call ran, as text, with the lines and scopes of the program."""
        return self._call(k).recording.text

    def __repr__(self) -> str:
        return f"<{self.calls} calls of {self.function}, to be run again>"

    def _call(self, k: int) -> SavedCall:
        if not 1 <= integer(k, "k") <= self.calls:
            raise ArgumentError(f"k is from 1, the latest call, to {self.calls}, not {k}")
        return self._calls[-k]


def _with_strides(array: Array, strides: Sequence[int]) -> Array:
    if array.strides == tuple(strides) or not array.size:
        return array
    made = laid_out(array.shape, array.dtype, strides)
    made[...] = array
    return made


def load_replay(path: str | os.PathLike[str]) -> SavedReplay:
    """The calls that `step.save_replay` wrote. Nothing of the program is needed to run them again.

    Raises RunError if the file is missing, damaged or not one of replays.

    >>> import limpid, tempfile, pathlib
    >>> step = limpid.compile(lambda x: limpid.sum(x * x), keep=1)
    >>> _ = step(limpid.tensor([3.0, 4.0]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     step.save_replay(pathlib.Path(folder, "call.safetensors"))
    ...     saved = limpid.load_replay(pathlib.Path(folder, "call.safetensors"))
    >>> saved.run(probe="norm:multiply").result.item()
    25.0
    """
    state = read_state(path, KIND)
    try:
        return SavedReplay(state)
    except (KeyError, IndexError, TypeError, ValueError, GraphError) as error:
        raise RunError(f"{path}: this version of limpid can't run it: {error}") from None
