"""The debugger: a position in a run that went forward and goes backward, moved both ways.

What a step computed is kept, and nothing is ever changed: to go back is to look at it again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from limpid.compiler.steps.step import Step
from limpid.differentiation.relation import Relation
from limpid.differentiation.reverse import seed_for
from limpid.errors import ArgumentError, NoGradientError
from limpid.explanation.build import number_nodes
from limpid.explanation.gates import gate
from limpid.explanation.names import name_nodes
from limpid.explanation.quantity import Quantity
from limpid.explanation.stepping.conditions import Condition, parse_condition
from limpid.explanation.stepping.moment import Moment
from limpid.explanation.stepping.places import Place, place_of
from limpid.explanation.stepping.snapshots import Watcher, watching
from limpid.explanation.stepping.targets import matching
from limpid.explanation.walk import Output, Passage, Walk, added, walk_from
from limpid.graph.graph import input_specs
from limpid.graph.node import Array, Node
from limpid.graph.source import locate
from limpid.storage import writes_undone
from limpid.tensor import Tensor, make_leaf, to_array


def debug(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Debugger:
    """Run a function and go through its forward and backward pass, both ways.

    Float arrays and numbers among the arguments become tensors that require a gradient; tensors,
    modules and everything else are handed over as they are. The function runs once, and returns a
    scalar tensor; what it writes to parameters, buffers and random generators is undone. A backward
    rule runs when its step is reached for the first time, so that `breakpoint()` in the `backward`
    of a `limpid.Function` stops there. A compiled step is debugged as the function it was made of.

    Raises NoGradientError if the result depends on nothing that requires a gradient, SeedError if
    it is no scalar.

    >>> import limpid
    >>> d = limpid.debug(lambda x, y: (x + y) * y, -2.0, 5.0)
    >>> d.until("add").value.array.item()
    3.0
    >>> d.end().sums["y"].array.item(), d.back(2).op
    (8.0, 'add')
    """
    if isinstance(function, Step):  # the same numbers, up to rounding, with a node for each box
        function = function.function
    if not callable(function):
        raise ArgumentError(f"debug takes a function and its arguments, not {function!r:.60}")
    names = _argument_names(function, len(args))
    given = [_given(x, name) for x, name in zip(args, names, strict=True)]
    named = {name: _given(x, name) for name, x in kwargs.items()}
    with writes_undone(), watching() as watcher:
        output = function(*given, **named)
    return debugger_of(output, watcher)


def _argument_names(function: Callable[..., Any], count: int) -> list[str | None]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names: list[str | None] = [p.name for p in parameters if p.kind <= p.POSITIONAL_OR_KEYWORD]
    return (names + [None] * count)[:count]


def _given(x: Any, name: str | None) -> Any:
    """An argument as the function gets it."""
    is_array = isinstance(x, np.ndarray | np.generic) and x.dtype.kind == "f"
    if not is_array and not (isinstance(x, float) and not isinstance(x, bool)):
        return x
    return make_leaf(Tensor.__new__(Tensor), np.array(to_array(x)), True, name)


def debugger_of(output: Tensor, watcher: Watcher | None = None) -> Debugger:
    """A debugger at the start of the pass that led to a scalar tensor."""
    if not isinstance(output, Tensor) or output.node is None or not output.requires_grad:
        raise NoGradientError(
            "debug needs a function that returns a tensor which was computed from something with "
            "requires_grad=True; limpid.why(p, loss) says where a gradient was lost"
        )
    return Debugger(walk_from(output, seed_for(output, None, False)), watcher)


class Debugger:
    """A position in a forward and backward pass. `limpid.debug` makes one.

    `forward`, `back`, `until`, `back_until`, `run`, `end` and `start` move, and return the Moment
    where they stop; `where()` is the user's line with its local variables; `break_on` sets a
    condition at which any of the moves forward stops.
    """

    def __init__(self, walk: Walk, watcher: Watcher | None = None) -> None:
        self._walk, self._watcher = walk, watcher or Watcher()
        self.nodes = [n for n in self._walk.nodes if n.inputs]
        self.ids = number_nodes(self._walk.nodes)
        self.names = name_nodes(self.ids)
        from limpid.explanation.written import Rules  # with all of formulas

        self._rules = Rules(self.names, self.ids)
        self._inputs = tuple(self.names[n] for n in self._walk.nodes if not n.inputs)
        self._waiting = [n for n in self.nodes if n.requires_grad]  # the last is the next
        self._edges: list[Passage] = []
        self.position = 0
        self.breaks: dict[str, Condition] = {}

    # Moving

    def forward(self, steps: int = 1) -> Moment:
        """Go `steps` steps on: nodes in the order of the program, then edges backward."""
        for _ in range(_count(steps)):
            if not self._advance() or self._stops():
                break
        return self.moment

    def back(self, steps: int = 1) -> Moment:
        """Go `steps` steps back."""
        self.position = max(self.position - _count(steps), 0)
        return self.moment

    def until(self, target: str) -> Moment:
        """Go on to the next step of a scope, a name, a line (`net.py:31`) or a primitive.

        The steps of a parameter, or of an argument, are the edges that deliver to it.

        Raises ArgumentError if nothing is called that, or if no step ahead is.
        """
        wanted, before = self._matching(target), self.position
        while self._advance():
            if self._is_at(self.position, wanted) or self._stops():
                return self.moment
        self.position = before
        raise ArgumentError(f"no step ahead is at {target!r}; back_until({target!r}) looks behind")

    def back_until(self, target: str) -> Moment:
        """Go back to the step before this one that is at a target, as `until` does forward."""
        wanted = self._matching(target)
        for position in range(self.position - 1, 0, -1):
            if self._is_at(position, wanted):
                self.position = position
                return self.moment
        raise ArgumentError(f"no step behind is at {target!r}; until({target!r}) looks ahead")

    def run(self) -> Moment:
        """Go on to the next break, or to the end."""
        while self._advance() and not self._stops():
            pass
        return self.moment

    def end(self) -> Moment:
        """Go to the end, past all breaks."""
        while self._advance():
            pass
        return self.moment

    def start(self) -> Moment:
        """Go back to the start."""
        self.position = 0
        return self.moment

    # Breaks

    def break_on(self, condition: str | Callable[[Moment], bool]) -> str:
        """Stop where a condition holds: "norm > 1e3", "nan", "grad norm < 1e-8", or a function of
        the Moment. Returns the name by which `clear` knows it.
        """
        if callable(condition):
            name = getattr(condition, "__name__", "condition")
            self.breaks[name] = lambda value, edge: bool(condition(self.moment))
            return name
        self.breaks[condition] = parse_condition(condition)
        return condition

    def clear(self, name: str | None = None) -> None:
        """Forget one break, or all."""
        if name is None:
            self.breaks.clear()
        elif self.breaks.pop(name, None) is None:
            raise ArgumentError(f"there is no break {name!r}; there are {', '.join(self.breaks)}")

    def _stops(self) -> bool:
        if not self.breaks or self._node is None:
            return False
        edge = self._edge
        value = None if edge is not None else self._value(self._node)
        return any(condition(value, edge) for condition in self.breaks.values())

    # Looking

    @property
    def moment(self) -> Moment:
        """Where the debugger stands, as plain data."""
        node, edge = self._node, self._edge
        if node is None:
            if not self.position:
                return Moment(0, "start", inputs=self._inputs)
            return Moment(self.position, "end", sums=self.sums(), inputs=self._inputs)
        location = locate(node.source)
        common: dict[str, Any] = {
            "position": self.position,
            "node": self.ids[node],
            "name": self.names[node],
            "op": node.op.name,
            "scope": node.scope,
            "source": str(location) if location else "",
            "formula": self._rules.step(node)[0],
            "value": Quantity(self._value(node)),
            "inputs": self._inputs,
        }
        if edge is None:
            return Moment(phase="forward", **common)
        return Moment(phase="backward", **common, **self._backward_parts(edge))

    def sums(self) -> dict[str, Quantity]:
        """What has arrived so far at every node, by name, in the order of arrival."""
        arrived: dict[Output, list[Array]] = {}
        for edge in self._edges[: max(self.position - len(self.nodes), 0)]:
            arrived.setdefault(edge.to, []).append(edge.downstream)
        found = {}
        for (node, index), parts in arrived.items():
            total = added(parts)
            assert total is not None
            name = self.names[node]
            found[f"{name}[{index}]" if len(node.outputs) > 1 else name] = Quantity(total)
        return found

    def where(self) -> Place:
        """The user's line of this step, and the local variables when its node was made."""
        node = self._node
        if node is None:
            node = self._walk.end[0] if self.position else self._walk.nodes[0]
        return place_of(node, self._watcher.of(node))

    def value(self, name: str) -> Quantity:
        """What a node computed, by its name or id."""
        nodes = [n for n in self._walk.nodes if name in (self.names[n], self.ids[n])]
        if not nodes:
            raise ArgumentError(f"no node is called {name!r}")
        return Quantity(self._value(nodes[0]))

    def __repr__(self) -> str:
        return str(self.moment)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        from limpid.explanation.stepping.notebook import bundle

        return bundle(self, **options)

    # Behind it

    def _advance(self) -> bool:
        """One position on; False at the end. The next node's rules run if they never did."""
        ahead = self.position + 1 - len(self.nodes)  # how many edges that takes
        while ahead > len(self._edges) and self._waiting:
            self._edges += self._walk.through(self._waiting[-1])
            self._waiting.pop()
        if ahead > len(self._edges) + 1:
            return False
        self.position += 1
        return ahead <= len(self._edges)

    def _node_at(self, position: int) -> Node | None:
        edge = self._edge_at(position)
        if edge is not None:
            return edge.node
        return self.nodes[position - 1] if 0 < position <= len(self.nodes) else None

    def _edge_at(self, position: int) -> Passage | None:
        k = position - len(self.nodes) - 1
        return self._edges[k] if 0 <= k < len(self._edges) else None

    @property
    def _node(self) -> Node | None:
        return self._node_at(self.position)

    @property
    def _edge(self) -> Passage | None:
        return self._edge_at(self.position)

    def _matching(self, target: str) -> set[Node]:
        return matching(target, self._walk.nodes, self.names, self.ids)

    def _is_at(self, position: int, wanted: set[Node]) -> bool:
        """Whether a step is of one of these nodes, or delivers to one of them that nothing made."""
        edge = self._edge_at(position)
        if edge is not None and not edge.to[0].inputs and edge.to[0] in wanted:
            return True
        return self._node_at(position) in wanted

    def _value(self, node: Node) -> Array:
        value = self._walk.values[node]
        return np.asarray(value[0] if isinstance(value, tuple) else value)

    def _backward_parts(self, edge: Passage) -> dict[str, Any]:
        node, op = edge.node, edge.node.op
        written = self._rules.edge(node, edge.operand)
        relation: Relation = op.relation(input_specs(node), node.params)  # type: ignore[attr-defined]  # a primitive
        found = gate(op, edge.operand, edge.local, self._walk.operands(node), relation)
        to = edge.to[0]
        multiple = f"[{edge.to[1]}]" if len(to.outputs) > 1 else ""
        return {
            "to": self.ids[to],
            "to_name": self.names[to] + multiple,
            "upstream": Quantity(edge.arrived),
            "local": None if edge.local is None else Quantity(np.asarray(edge.local)),
            "local_rule": written.local_text,
            "downstream": Quantity(edge.downstream),
            "rule": written.text,
            "pattern": found.pattern,
            "sums": self.sums(),
        }


def _count(steps: Any) -> int:
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 0:
        raise ArgumentError(f"a number of steps is a whole number from 0 on, not {steps!r:.40}")
    return steps
