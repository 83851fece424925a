"""The debugger: both ways through twelve models, the user's lines, breaks, and its faces."""

from __future__ import annotations

import io
import json
import pdb
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import errors
from limpid.cli import main
from limpid.explanation.stepping import notebook
from limpid.explanation.stepping.moment import Moment
from limpid.explanation.stepping.places import place_of
from limpid.explanation.stepping.terminal import Terminal
from limpid.graph.node import reachable
from limpid.graph.source import watchers
from tests.models import MODELS

by_model = pytest.mark.parametrize("build", [b for _, b in MODELS], ids=[n for n, _ in MODELS])


def frozen(moment: Moment) -> str:
    """Everything that a moment says, with the bits of its arrays."""
    quantities = {
        name: q.array.tobytes().hex()
        for name, q in [*vars(moment).items(), *moment.sums.items()]
        if hasattr(q, "array")
    }
    return json.dumps([moment.to_json(), quantities, str(moment)], sort_keys=True)


def debugger_of(build: Any) -> limpid.Debugger:
    model = build()
    return limpid.debug(model.loss, *model.arguments)


# Both ways


@by_model
def test_forward_back_forward_is_the_same(build: Any) -> None:
    d = debugger_of(build)
    seen = [frozen(d.moment)]
    while d.moment.phase != "end":
        seen.append(frozen(d.forward()))
        at = d.position
        d.back()
        assert frozen(d.moment) == seen[at - 1]
        assert frozen(d.forward()) == seen[at]
    for position in reversed(range(len(seen) - 1)):
        assert frozen(d.back()) == seen[position]
    random = np.random.default_rng(0)
    for _ in range(30):
        steps = int(random.integers(0, len(seen)))
        (d.forward if random.random() < 0.5 else d.back)(steps)
        assert frozen(d.moment) == seen[d.position]
    assert frozen(d.end()) == seen[-1]


@by_model
def test_the_sums_at_the_end_are_the_gradients_of_backward(build: Any) -> None:
    model = build()
    before = {name: p.value.copy() for name, p in model.parameters.items()}
    d = limpid.debug(model.loss, *model.arguments)
    sums = d.end().sums
    assert all(p.grad is None for p in model.parameters.values())
    model.run().backward()
    arrived = [q.array for q in sums.values()]
    for name, p in model.parameters.items():
        assert p.grad is not None
        assert any(np.array_equal(x, p.grad.numpy()) for x in arrived)
        np.testing.assert_array_equal(before[name], p.value)


@by_model
def test_every_edge_is_upstream_times_local(build: Any) -> None:
    d = debugger_of(build)
    while (m := d.forward()).phase != "end":
        if m.local is None:
            continue
        product = np.asarray(m.upstream.array * m.local.array)
        if product.shape == m.downstream.shape:
            np.testing.assert_allclose(product, m.downstream.array, rtol=1e-10, atol=1e-300)


@by_model
def test_every_node_has_a_line_or_an_entry_point(build: Any) -> None:
    """Of the forward graph, and of the backward graph that `create_graph` records."""
    model = build()
    loss = model.run()
    loss.backward(create_graph=True)
    ends = [p.grad.node for p in model.parameters.values() if p.grad.node is not None]
    nodes = reachable([loss.node, *ends])
    assert len(nodes) > len(reachable([loss.node]))
    for node in nodes:
        place = place_of(node)
        if place.location is not None:
            assert Path(place.location.file).name in ("models.py", "test_debug.py")
            assert place.location.column is not None
        assert place.expression


def test_a_node_without_a_line_has_an_entry_point() -> None:
    graph = limpid.record(lambda x: limpid.sum(limpid.tanh(x)), limpid.tensor([1.0, 2.0]))
    places = [str(place_of(node)) for node in graph.graph.nodes]
    assert all(places)
    leaves = {x for node in graph.graph.nodes for x in node.inputs if not x.inputs}
    assert [place_of(leaf).entry for leaf in leaves] == ["input arg0"]


# Local variables


def loop(w: Any, scale: Any) -> Any:
    buffer = np.zeros(3)
    total = limpid.sum(w * 0.0)
    for i in range(3):
        buffer[i] = i + 1.0
        step = w * scale
        total = total + limpid.sum(step * float(i))
    return total


def test_local_variables_are_those_of_the_time() -> None:
    d = limpid.debug(loop, np.ones(3), 2)
    seen = []
    while d.moment.phase != "backward":
        d.forward()
        if d.where().expression == "w * scale":
            found = {local.name: local for local in d.where().locals}
            seen.append(found["i"].text)
            assert found["w"].value.shape == (3,)
            assert found["scale"].text == "2"
            assert found["buffer"].changed == (seen[-1] != "2")
    assert seen == ["0", "1", "2"]
    backward = d.until("w * scale")
    assert backward.phase == "backward"
    assert {local.name: local.text for local in d.where().locals}["i"] == "2"
    assert "written into since" not in str(d.where())
    d.back_until("w * scale")


def test_an_assigned_tensor_is_shown_as_it_was() -> None:
    state = limpid.Buffer([1.0, 2.0], dtype="float64")

    def function(x: Any) -> Any:
        y = x * 1.0
        limpid.assign(state, state + 10.0)
        return limpid.sum(y * 2.0)

    d = limpid.debug(function, np.array([1.0, 2.0]))
    d.until("x * 1.0")
    assert "x = [1, 2]" in str(d.where())
    d.until("y * 2.0")
    locals_ = {local.name: local for local in d.where().locals}
    assert locals_["y"].quantity.array.tolist() == [1.0, 2.0]
    assert locals_["state"].quantity.array.tolist() == [11.0, 12.0]
    assert "assigned to since" in str(locals_["state"])  # it was undone
    assert state.value.tolist() == [1.0, 2.0]
    d.back_until("x * 1.0")
    state_then = {local.name: local for local in d.where().locals}["state"]
    assert state_then.quantity.array.tolist() == [1.0, 2.0]
    assert not state_then.changed
    limpid.assign(state, [5.0, 6.0])
    assert state_then.quantity.array.tolist() == [1.0, 2.0]
    assert state_then.changed


def test_a_whole_training_step() -> None:
    """What it writes is undone, so that it can be looked at, and run again."""
    net = limpid.nn.Linear(3, 2, dtype="float64")
    optimizer = limpid.optim.SGD(net.parameters(), lr=0.1)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = limpid.sum(net(limpid.asarray(x)) ** 2)
        loss.backward()
        optimizer.step()
        return loss

    before = net.weight.value.copy()
    d = limpid.debug(limpid.compile(step), np.ones((2, 3)))
    np.testing.assert_array_equal(net.weight.value, before)
    np.testing.assert_array_equal(d.end().sums["weight"].array, net.weight.grad.numpy())


def test_watching_ends_with_the_function() -> None:
    def broken(x: Any) -> Any:
        y = x * 2.0
        raise KeyError(y.shape)

    with pytest.raises(KeyError):
        limpid.debug(broken, np.ones(2))
    assert not watchers


# Going to places


class Net(limpid.nn.Module):
    def __init__(self) -> None:
        limpid.manual_seed(0)
        self.fc1 = limpid.nn.Linear(3, 4)
        self.fc2 = limpid.nn.Linear(4, 1)

    def forward(self, x: Any) -> Any:
        hidden = limpid.tanh(self.fc1(x))
        return self.fc2(hidden)


def test_until() -> None:
    net = Net()
    d = limpid.debug(lambda x: limpid.sum(net(limpid.asarray(x))), np.ones((2, 3), np.float32))
    assert d.until("fc1").phase == "forward"
    assert d.moment.scope == "fc1"
    assert d.until("tanh").op == "tanh"
    line = int(d.moment.source.rpartition(":")[2])
    assert d.start().phase == "start"
    assert d.until(f"test_debug.py:{line}").scope == "fc1"
    d.until("fc2")
    assert d.until("fc1").phase == "backward"
    assert d.forward().to_name == "fc1.weight"
    assert d.back_until("tanh").phase == "backward"
    assert d.back_until("tanh").phase == "forward"
    with pytest.raises(errors.ArgumentError, match="fc1"):
        d.until("fc3")
    d.start()
    assert d.until("fc2.weight").to_name == "fc2.weight"
    assert d.until("x").to_name == "x"
    at = d.end().position
    with pytest.raises(errors.ArgumentError, match="back_until"):
        d.until("fc1")
    assert d.position == at
    for wrong in ("", "net.py:1", "line 1"):
        with pytest.raises(errors.ArgumentError):
            d.until(wrong)
    with pytest.raises(errors.ArgumentError):
        d.forward(-1)
    with pytest.raises(errors.ArgumentError):
        d.back("2")


def test_breaks() -> None:
    def function(x: Any) -> Any:
        small = limpid.exp(-x * 20.0)
        return limpid.sum(limpid.log(x - 1.0)) + limpid.sum(small)

    d = limpid.debug(function, np.array([1.0, 3.0]))
    d.break_on("inf")
    assert d.run().op == "log"
    d.clear("inf")
    d.break_on("grad norm < 1e-6")
    assert d.run().phase == "backward"
    assert np.linalg.norm(d.moment.downstream.array) < 1e-6
    d.clear()
    d.start()
    d.break_on(lambda moment: moment.op == "exp")
    assert d.run().op == "exp"
    d.clear()
    d.break_on("zeros >= 50%")
    assert d.start().position == 0
    assert d.run().phase in ("forward", "backward")
    for wrong in ("norm", "norm > many", "size > 3", "", "__import__('os')", "nan nan"):
        with pytest.raises(errors.ArgumentError):
            d.break_on(wrong)
    with pytest.raises(errors.ArgumentError):
        d.clear("nothing")


def test_what_can_not_be_debugged() -> None:
    with pytest.raises(errors.NoGradientError):
        limpid.debug(lambda x: x.detach(), np.ones(2))
    with pytest.raises(errors.NoGradientError):
        limpid.debug(lambda x: 3.0, np.ones(2))
    with pytest.raises(errors.SeedError):
        limpid.debug(lambda x: x * 2.0, np.ones(2))
    with pytest.raises(errors.ArgumentError):
        limpid.debug(limpid.tensor(1.0))


# Rules


class Doubled(limpid.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.fail = False
        return x * 2.0

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        marker = "in the rule"
        breakpoint()  # what is tested
        return g * 2.0 if marker else g


def scripted(commands: str, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """`breakpoint()` reads these commands; what it says is returned."""
    said = io.StringIO()

    def stop() -> None:
        debugger = pdb.Pdb(stdin=io.StringIO(commands), stdout=said, nosigint=True, readrc=False)
        debugger.set_trace(sys._getframe(1))

    monkeypatch.setattr(sys, "breakpointhook", stop)
    return said


def test_breakpoint_in_the_backward_of_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    said = scripted("p marker\np g.value.tolist()\nn\nw\nup\nc\n", monkeypatch)
    x = limpid.tensor([1.0, 2.0], requires_grad=True)
    limpid.sum(Doubled.apply(x) * 3.0).backward()
    assert x.grad.numpy().tolist() == [6.0, 6.0]
    assert "'in the rule'" in said.getvalue()
    assert "[3.0, 3.0]" in said.getvalue()
    assert "return g * 2.0 if marker else g" in said.getvalue()
    assert "reverse.py" in said.getvalue()  # the stack is whole: nothing is hidden from pdb


def test_breakpoint_stops_at_its_step_of_the_debugger(monkeypatch: pytest.MonkeyPatch) -> None:
    said = scripted("p marker\nc\n" * 2, monkeypatch)
    d = limpid.debug(lambda x: limpid.sum(Doubled.apply(x) * 3.0), np.array([1.0, 2.0]))
    assert not said.getvalue()
    d.until("sum")
    d.until("sum")
    assert not said.getvalue()
    d.until("Doubled")
    assert "'in the rule'" in said.getvalue()
    length = len(said.getvalue())
    d.back(2)
    d.forward(2)  # what was computed is kept: the rule does not run again
    assert len(said.getvalue()) == length
    assert d.end().sums["x"].array.tolist() == [6.0, 6.0]


def test_breakpoint_in_the_rule_of_a_primitive(monkeypatch: pytest.MonkeyPatch) -> None:
    said = scripted("p x.tolist()\nc\n", monkeypatch)

    def local(y: Any, x: Any) -> Any:
        if isinstance(x, np.ndarray):  # not while the rule is recorded
            breakpoint()  # what is tested
        return 2 * x

    name = "squared_for_the_debugger"
    squared = limpid.elementwise(name, lambda x: x * x, local=[local], math=r"{x}^2")
    try:
        x = limpid.tensor([1.0, 3.0], requires_grad=True)
        limpid.sum(squared(x)).backward()
    finally:
        for table in (limpid.primitives, limpid.graph.registry.operations):
            table.pop(name, None)
    assert "[1.0, 3.0]" in said.getvalue()
    assert x.grad.numpy().tolist() == [2.0, 6.0]


def test_a_rule_that_raises_leaves_the_debugger_where_it_was() -> None:
    class Moody(limpid.Function):
        fails = True

        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 1.0

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            if Moody.fails:
                raise ZeroDivisionError("not now")
            return g

    d = limpid.debug(lambda x: limpid.sum(Moody.apply(x + x)), np.ones(2))
    with pytest.raises(ZeroDivisionError):
        d.end()
    at = d.moment
    assert at.phase == "backward"
    assert at.op == "sum"
    with pytest.raises(ZeroDivisionError):
        d.forward()
    assert d.moment.position == at.position
    Moody.fails = False
    assert d.end().sums["x"].array.tolist() == [2.0, 2.0]


# Its faces


def test_the_terminal() -> None:
    d = limpid.debug(lambda x, y: (x + y) * y, -2.0, 5.0)
    commands = "f\nuntil nowhere\nwhere\nu multiply\nprint x + y\nforward two\nbreak nan\nclear\n"
    commands += "start\n\nb\nnonsense\nsums\nend\nsums\nlist\nhelp\nback_until add\nrun\nq\n"
    said = io.StringIO()
    Terminal(d, io.StringIO(commands), said).run()
    text = said.getvalue()
    for part in (
        "forward 1: v1 = x + y  [add]", "nothing in this graph is called 'nowhere'",
        "test_debug.py", "whole number, not 'two'", "break on nan", "no command 'nonsense'",
        "∂/∂y = 8", "∂/∂(x + y) = 5", "back_until WHERE", "at the end",
    ):  # fmt: skip
        assert part in text, part


def test_the_command(capsys: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("f\nwhere\nend\n"))
    assert main(["debug", "(x + y) * z", "x=-2", "y=5", "z=-4"]) == 0
    out = capsys.readouterr().out
    assert "forward 1: v1 = x + y  [add]" in out
    assert "^^^^^" in out
    assert "∂/∂z = 3" in out
    file = tmp_path / "net.py"
    file.write_text(
        "import limpid\nw = limpid.Parameter([1.0, 2.0])\n"
        "def loss(scale=0.5):\n    hidden = limpid.tanh(w * scale)\n    return limpid.sum(hidden)\n"
    )
    monkeypatch.setattr(sys, "stdin", io.StringIO("until net.py:4\nw\nrun\n"))
    assert main(["debug", f"{file}:loss", "--break", "grad norm > 1.4"]) == 0
    out = capsys.readouterr().out
    assert "net.py:4 in loss" in out
    assert "→     4      hidden = limpid.tanh(w * scale)" in out
    assert "backward 4" in out
    for wrong in (
        [f"{file}"],
        [f"{file}:los"],
        [f"{file}:w"],
        ["x +", "x=1"],
        ["x * [1,2]", "x=1"],
    ):
        monkeypatch.setattr(sys, "stdin", io.StringIO(""))
        assert main(["debug", *wrong]) != 0
        err = capsys.readouterr().err
        assert err.startswith("limpid: ")
        assert err.count("\n") == 1


def test_expression_nodes_have_columns() -> None:
    from limpid.explanation.expression import evaluate_expression, parse_value

    given = dict(parse_value(t) for t in ("x=2", "y=3"))
    loss = evaluate_expression("sum((x + y) * x)", given)
    places = {
        str(place_of(n).location.column): place_of(n).expression for n in reachable([loss.node])
    }
    assert places == {"5": "x", "9": "y", "4": "(x + y) * x", "0": "sum((x + y) * x)"} or len(
        places
    )
    assert place_of(given["y"].node).location.column == 9


def test_the_page_escapes_names() -> None:
    layer = limpid.nn.ModuleDict({"<script>alert(1)</script>": limpid.nn.Linear(2, 1)})

    def loss(x: Any, text: str) -> Any:
        return limpid.sum(layer["<script>alert(1)</script>"](limpid.asarray(x)))

    d = limpid.debug(loss, np.ones((1, 2), np.float32), "<img src=x>")
    while d.moment.phase != "end":
        assert "<script" not in notebook.page(d)
        assert "<img" not in notebook.page(d)
        d.forward()
    assert "&lt;script&gt;" in notebook.page(d)


def test_the_notebook_without_widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "find_spec", lambda name: None)
    d = limpid.debug(lambda x: limpid.sum(x * x), np.ones(2))
    shown = d.forward() and d._repr_mimebundle_()
    assert "<table" in shown["text/html"]
    assert shown["text/plain"] == str(d.moment)


def test_the_buttons() -> None:
    pytest.importorskip("ipywidgets")
    d = limpid.debug(lambda x: limpid.sum(x * x), np.ones(2))
    box = notebook.widget(d)
    buttons = {b.description: b for b in box.children[0].children}
    buttons["forward ▶"].click()
    assert d.position == 1
    assert "multiply" in box.children[3].value
    box.children[1].value = "<b>nothing</b>"
    buttons["until ▶"].click()
    assert "&lt;b&gt;" in box.children[2].value
    buttons["end ▶▶"].click()
    buttons["◀ back"].click()
    assert d.moment.phase == "backward"
    assert d._repr_mimebundle_()


# Compiled steps


@pytest.fixture
def training() -> Any:
    limpid.manual_seed(0)
    net = limpid.nn.Sequential(limpid.nn.Linear(4, 5), limpid.nn.ReLU(), limpid.nn.Linear(5, 1))
    optimizer = limpid.optim.SGD(net.parameters(), lr=0.1)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = limpid.sum(net(x) ** 2)
        loss.backward()
        optimizer.step()
        return loss

    return net, limpid.compile(step)


def test_a_call_of_a_compiled_step(training: Any) -> None:
    net, step = training
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    before = net[0].weight.value.copy()
    d = step.debug(x)
    seen = [frozen(d.moment)]
    while d.moment.phase != "end":
        seen.append(frozen(d.forward()))
        assert str(d.where())
    for position in reversed(range(len(seen) - 1)):
        assert frozen(d.back()) == seen[position]
    assert frozen(d.end()) == seen[-1]
    np.testing.assert_array_equal(net[0].weight.value, before)
    d.start()
    assert d.until("0").scope == "0"
    assert "test_debug.py" in str(d.where())
    sums = d.end().sums
    step(x)
    for name, p in net.named_parameters():
        np.testing.assert_allclose(sums[name].array, p.grad.numpy(), rtol=1e-5, atol=1e-6)


def test_why_in_a_compiled_step(training: Any) -> None:
    net, step = training
    x = np.ones((3, 4), np.float32)
    limpid.assign(net[0].bias, np.full(5, -100.0, np.float32))
    reason = step.why(net[0].weight, x)
    assert (reason.status, reason.kind) == ("zero", "mask")
    assert "test_debug.py" in reason.source
    reason = step.why("2.bias", x)
    assert reason.status == "arrives"
    assert np.prod(reason.factors) == pytest.approx(reason.whole, rel=1e-5)
    with pytest.raises(errors.ArgumentError):
        step.why("nothing", x)


class Hostile:
    """An object that answers every question with an error."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __repr__(self) -> str:
        raise RuntimeError("repr")

    def __len__(self) -> int:
        raise RuntimeError("len")


class Longer(list[Any]):
    def __iter__(self) -> Any:
        raise RuntimeError("iter")


def test_strange_local_variables() -> None:
    """Looking at them calls nothing of theirs."""

    def function(x: Any) -> Any:
        hostile, longer, inside = Hostile(), Longer([1]), [Hostile(), {Hostile: 1}]
        objects = np.array([str, None], dtype=object)
        stepped, empty, number = np.arange(10.0)[::2], np.zeros((0, 3)), np.float32(1.5)
        table = {("a", 1): x, "b": stepped}
        y = x * 2.0
        stepped[0] = 7.0
        del hostile, longer, inside, objects, empty, number, table
        return limpid.sum(y)

    d = limpid.debug(function, np.ones(2))
    d.forward()
    text = str(d.where())
    for part in (
        "hostile = <Hostile>", "longer = <Longer>", "inside = list of 2: <Hostile>, <dict>",
        "objects = <ndarray>", "stepped = [0, 2, 4, 6, 8]", "number = 1.5",
        "table = dict of 2: <tuple>: float64[2], 'b': float64[5]",
    ):  # fmt: skip
        assert part in text.replace("stepped = [7, 2", "stepped = [0, 2"), part
    assert {x.name for x in d.where().locals if x.changed} == {"stepped"}


def test_recursion_generators_and_comprehensions() -> None:
    def descend(x: Any, depth: int) -> Any:
        return descend(limpid.tanh(x), depth - 1) if depth else x

    def parts(x: Any) -> Any:
        for k in range(2):
            yield x * float(k + 1)

    def function(x: Any) -> Any:
        return limpid.sum(descend(x, 3) + sum(parts(x)) + sum([x / n for n in (1.0, 2.0)]))

    d = limpid.debug(function, np.ones(2))
    found: dict[str, list[str]] = {"tanh": [], "multiply": [], "divide": []}
    names = {"tanh": "depth", "multiply": "k", "divide": "n"}
    while d.forward().phase == "forward":
        if d.moment.op in names:
            local = {x.name: x.text for x in d.where().locals}
            found[d.moment.op].append(local[names[d.moment.op]])
    assert found == {"tanh": ["3", "2", "1"], "multiply": ["0", "1"], "divide": ["1.0", "2.0"]}
