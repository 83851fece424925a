"""Modules: state by walking, names, loading, scopes, layers."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import weakref
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import nn
from limpid.errors import (
    AbstractError,
    ArgumentError,
    DeclarationError,
    DTypeError,
    OperandError,
    OverwrittenError,
    ShapeError,
    StateError,
)
from limpid.graph.changes import Changes


class Network(nn.Module):
    """No super().__init__()."""

    def __init__(self) -> None:
        self.fc1 = nn.Linear(3, 4)
        self.layers = [nn.Linear(4, 4), nn.ReLU()]
        self.heads = {"a": nn.Linear(4, 2), "b": (nn.Linear(4, 1),)}
        self.scale = limpid.Parameter([2.0])
        self.count = limpid.Buffer(np.int64(0))
        self.last: Any = None

    def forward(self, x: Any) -> Any:
        self.count = self.count + 1
        for layer in self.layers:
            x = layer(self.fc1(x) if layer is self.layers[0] else x)
        self.last = x
        return self.heads["a"](x) * self.scale


def test_state_is_found_in_order_of_attributes() -> None:
    model = Network()
    assert [name for name, _ in model.named_parameters()] == [
        "fc1.weight", "fc1.bias", "layers.0.weight", "layers.0.bias", "heads.a.weight",
        "heads.a.bias", "heads.b.0.weight", "heads.b.0.bias", "scale",
    ]  # fmt: skip
    assert [name for name, _ in model.named_buffers()] == ["count"]
    assert [name for name, _ in model.named_children()] == [
        "fc1", "layers.0", "layers.1", "heads.a", "heads.b.0",
    ]  # fmt: skip
    assert next(iter(model.named_modules())) == ("", model)


def test_a_cached_activation_is_no_state_and_a_buffer_is_assigned_to() -> None:
    model = Network()
    count = model.count
    model(limpid.ones((2, 3)))
    model(limpid.ones((2, 3)))
    assert model.count is count
    assert count.item() == 2
    assert model.last is not None
    assert "last" not in model.state_dict()
    assert isinstance(model.last, limpid.Tensor)


def test_a_plain_value_in_place_of_a_parameter_is_refused() -> None:
    model = Network()
    for value in (limpid.zeros((1,)), np.zeros(1), 0.0):
        with pytest.raises(OperandError, match=r"limpid\.assign\(module\.scale"):
            model.scale = value
    model.scale = limpid.Parameter([3.0])
    assert model.scale.item() == 3.0
    model.scale = None
    assert "scale" not in dict(model.named_parameters())


def test_dataclasses_inside_and_as_modules() -> None:
    @dataclass
    class Pair:
        left: limpid.Parameter
        right: Any = None

    @dataclass
    class Layer(nn.Module):
        width: int
        parts: list[Any] = field(default_factory=list)

        def forward(self, x: Any) -> Any:
            return x

    model = Layer(3, [Pair(limpid.Parameter([1.0]), nn.Linear(1, 1))])
    names = [name for name, _ in model.named_parameters()]
    assert names == ["parts.0.left", "parts.0.right.weight", "parts.0.right.bias"]
    assert model(limpid.ones(2)).shape == (2,)


def test_tied_parameters_count_once_and_have_every_name() -> None:
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    model[1].weight = model[0].weight
    assert [name for name, _ in model.named_parameters()] == ["0.weight"]
    state = model.state_dict()
    assert list(state) == ["0.weight", "1.weight"]
    new = np.arange(9, dtype=np.float32).reshape(3, 3)
    model.load_state_dict({"0.weight": new, "1.weight": new})
    assert model[1].weight is model[0].weight
    np.testing.assert_array_equal(model[1].weight.detach(), new)
    with pytest.raises(StateError, match=r"0\.weight and 1\.weight are one slot but differ"):
        model.load_state_dict({"0.weight": new, "1.weight": new + 1})
    twin = copy.deepcopy(model)
    assert twin[0].weight is twin[1].weight
    assert twin[0].weight is not model[0].weight


def test_a_shared_module_has_every_name() -> None:
    inner = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    inner.append(inner[0])
    model = nn.Sequential(inner, inner)
    expected = [f"{a}.{b}.{c}" for a in "01" for b in "012" for c in ("weight", "bias")]
    assert list(model.state_dict()) == expected
    assert len(list(model.parameters())) == 4
    assert len(list(model.modules())) == 4


def test_cycles_end() -> None:
    class Node(nn.Module):
        def __init__(self) -> None:
            self.weight = limpid.Parameter([1.0])
            self.parent: Any = None
            self.child: Any = None

    class Ring(nn.Module):
        def __init__(self, size: int) -> None:
            self.nodes = [Node() for _ in range(size)]
            for i, node in enumerate(self.nodes):
                node.parent = self
                node.friends = list(self.nodes)
                node.child = self.nodes[(i + 1) % size]

    ring = Ring(30)
    assert len(list(ring.parameters())) == 30
    assert len(list(ring.modules())) == 31
    state = ring.state_dict()
    assert len(state) == 30
    ring.load_state_dict({name: value + 1 for name, value in state.items()})
    assert {p.item() for p in ring.parameters()} == {2.0}
    repr(ring.nodes[0].weight)


def test_a_long_chain_of_modules_is_walked_without_recursion() -> None:
    class Link(nn.Module):
        def __init__(self, below: Any) -> None:
            self.below = below

    chain: Any = Link(limpid.Parameter([1.0]))
    depth = sys.getrecursionlimit() + 20
    for _ in range(depth):
        chain = Link(chain)
    assert len(list(chain.parameters())) == 1
    assert len(list(chain.modules())) == depth + 1


def test_load_state_dict_lists_everything_and_changes_nothing() -> None:
    model = Network()
    before = model.state_dict()
    state = {name: value + 1 for name, value in before.items()}
    del state["fc1.bias"], state["scale"]
    state["fc1.weight"] = np.zeros((4, 5), np.float32)
    state["layers.0.bias"] = "text"
    state["count"] = np.float64(1.5)
    state["extra"] = np.zeros(1)
    with pytest.raises(StateError) as raised:
        model.load_state_dict(state)
    for part in (
        "missing: fc1.bias", "missing: scale", "unexpected: extra",
        "fc1.weight is [4, 5] but must be [4, 3]", "layers.0.bias is 'text'",
        "count is float64 but must be int64", "nothing was changed", "Network",
    ):  # fmt: skip
        assert part in str(raised.value)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_loading_loosely_returns_what_was_passed_over() -> None:
    model = nn.Linear(2, 1)
    keys = model.load_state_dict({"weight": limpid.ones((1, 2)), "more": 1}, strict=False)
    assert keys == (["bias"], ["more"])
    assert keys.missing_keys == ["bias"]
    assert model.weight.detach().tolist() == [[1.0, 1.0]]
    with pytest.raises(StateError, match="must be \\[1, 2\\]"):
        model.load_state_dict({"weight": np.ones(3)}, strict=False)
    with pytest.raises(StateError, match="maps names to arrays"):
        model.load_state_dict([1])


def test_a_state_dict_is_a_copy_and_loads_other_float_types() -> None:
    model = nn.Linear(2, 1)
    state = model.state_dict()
    before = state["weight"].copy()
    state["weight"] += 1
    np.testing.assert_array_equal(model.state_dict()["weight"], before)
    model.load_state_dict({"weight": np.ones((1, 2)), "bias": np.zeros(1)})
    assert model.weight.dtype is limpid.float32


def test_two_pieces_of_state_with_one_name() -> None:
    class Bad(nn.Module):
        def __init__(self) -> None:
            self.a = {1: limpid.Parameter([1.0]), "1": limpid.Parameter([2.0])}

    with pytest.raises(StateError, match=r"'a\.1'"):
        Bad().state_dict()


def test_train_eval_freeze_apply_zero_grad() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.Sequential(nn.Linear(2, 1)))
    assert model.eval() is model
    assert not any(m.training for m in model.modules())
    assert all(m.training for m in model.train().modules())
    assert model[0].requires_grad_(False) is model[0]
    model(limpid.ones((3, 2))).sum().backward()
    assert model[0].weight.grad is None
    assert model[2][0].weight.grad is not None
    model.zero_grad()
    assert model[2][0].weight.grad is None
    seen: list[str] = []
    model.apply(lambda m: seen.append(type(m).__name__))
    assert seen == ["Linear", "Sequential", "Dropout", "Linear", "Sequential"]


def test_repr_is_a_tree() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False), nn.LeakyReLU(0.2))
    assert repr(model) == (
        "Sequential(\n"
        "  (0): Flatten(start_dim=1, end_dim=-1)\n"
        "  (1): Linear(in_features=4, out_features=2, bias=False)\n"
        "  (2): LeakyReLU(negative_slope=0.2)\n"
        ")"
    )
    assert "  (heads.b.0): Linear" in repr(Network())
    assert repr(nn.ReLU(inplace=True)) == "ReLU()"

    class Child(nn.Module):
        parent: Any = None

    child = Child()
    child.parent = nn.Sequential(child)
    assert "Child(...)" in repr(child)


def test_pickle_and_deepcopy() -> None:
    model = Network()
    model(limpid.ones((1, 3)))
    for twin in (pickle.loads(pickle.dumps(Network())), copy.deepcopy(Network())):
        twin.load_state_dict(model.state_dict())
        x = limpid.ones((2, 3))
        np.testing.assert_array_equal(twin(x).detach(), model(x).detach())
        assert [n for n, _ in twin.named_parameters()] == [n for n, _ in model.named_parameters()]
        assert all(p.requires_grad for p in twin.parameters())


def test_scopes_are_paths_from_the_called_root() -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            self.inner = Network()

        def forward(self, x: Any) -> Any:
            return limpid.exp(self.inner(x))

    outer = Outer()
    x = limpid.ones((1, 3))
    y = outer(x)
    assert y.node.scope == ""
    product = y.node.inputs[0]
    assert product.scope == "inner"
    head = product.inputs[0]
    assert head.scope == "inner.heads.a"
    assert head.inputs[0].scope == "inner.layers.1"
    assert outer.inner(x).node.scope == ""
    assert (x * outer.inner.scale).node.scope == ""


def test_the_scope_of_a_module_that_was_added_to_a_list_later() -> None:
    class Stack(nn.Module):
        def __init__(self) -> None:
            self.layers = [nn.Linear(2, 2)]

        def forward(self, x: Any) -> Any:
            for layer in self.layers:
                x = layer(x)
            return x

    stack = Stack()
    x = limpid.ones((1, 2))
    assert stack(x).node.scope == "layers.0"
    stack.layers.append(nn.Linear(2, 2))
    assert stack(x).node.scope == "layers.1"
    loose = nn.Linear(2, 2)

    class Borrowing(nn.Module):
        def forward(self, x: Any) -> Any:
            return loose(x)

    assert Borrowing()(x).node.scope == "Linear"


def test_an_error_in_forward_leaves_scopes_as_they_were() -> None:
    class Failing(nn.Module):
        def forward(self, x: Any) -> Any:
            raise ValueError("no")

    model = nn.Sequential(Failing())
    with pytest.raises(ValueError, match="no"):
        model(limpid.ones(1))
    x = limpid.tensor(1.0, requires_grad=True)
    assert (x * x).node.scope == ""
    assert nn.Sequential(nn.ReLU())(x).node.scope == "0"


def test_slots_of_a_recording_carry_paths() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Sequential(nn.Linear(3, 1)))
    recorded = limpid.record(model, np.ones((4, 2), np.float32))
    assert list(recorded.graph.slots) == ["0.weight", "0.bias", "2.0.weight", "2.0.bias"]
    np.testing.assert_array_equal(
        recorded(np.ones((4, 2), np.float32)).numpy(),
        model(limpid.ones((4, 2))).detach().numpy(),
    )


def test_gradient_with_respect_to_a_module() -> None:
    model = nn.Linear(2, 1)
    x = limpid.tensor([[1.0, 2.0]])
    gradients = limpid.grad(lambda m: limpid.sum(m(x)))(model)
    assert {name: g.tolist() for name, g in gradients.items()} == {
        "weight": [[1.0, 2.0]], "bias": [1.0],
    }  # fmt: skip


def test_a_module_without_forward() -> None:
    with pytest.raises(DeclarationError, match="Module does not define forward"):
        nn.Module()(1)
    assert not hasattr(nn.Linear(1, 1), "absent")


def test_modules_are_freed() -> None:
    model = Network()
    model(limpid.ones((1, 3)))
    ref = weakref.ref(model)
    model.last = None
    del model
    gc.collect()
    assert ref() is None


def test_linear() -> None:
    layer = nn.Linear(3, 2)
    assert layer.weight.shape == (2, 3)
    bound = 1 / np.sqrt(3)
    assert np.abs(layer.weight.detach()).max() <= bound
    w, b = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    for shape in ((3,), (4, 3), (2, 4, 3), (0, 3)):
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        np.testing.assert_allclose(layer(x).detach(), x @ w.T + b, rtol=1e-6)
        assert layer(limpid.asarray(x)).shape == (*shape[:-1], 2)
    plain = nn.Linear(3, 2, bias=False)
    assert list(plain.state_dict()) == ["weight"]
    np.testing.assert_allclose(
        plain(np.ones((1, 3), np.float32)).detach()[0], plain.weight.detach().numpy().sum(1), 1e-6
    )


def test_linear_refuses_what_does_not_fit() -> None:
    layer = nn.Linear(3, 2)
    with pytest.raises(ShapeError, match=r"the input must end in 3, but its shape is \(4, 2\)"):
        layer(limpid.ones((4, 2)))
    with pytest.raises(ShapeError):
        layer(limpid.tensor(1.0))
    with pytest.raises(DTypeError, match="the input is float64 but the parameters are float32"):
        layer(np.ones((1, 3)))
    for bad in (-1, 2.5, "3"):
        with pytest.raises(ArgumentError, match="in_features"):
            nn.Linear(bad, 2)
    assert nn.Linear(3, 2, dtype="float64")(np.ones((1, 3))).dtype is limpid.float64
    assert layer(np.ones((1, 3), np.int64)).dtype is limpid.float32
    assert nn.Linear(0, 2)(limpid.ones((4, 0))).shape == (4, 2)


def test_bilinear_is_a_double_sum() -> None:
    layer = nn.Bilinear(3, 4, 2)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 3)).astype("f4"), rng.normal(size=(5, 4)).astype("f4")
    w, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    expected = np.einsum("ni,kij,nj->nk", a, w, b) + bias
    np.testing.assert_allclose(layer(a, b).detach(), expected, rtol=1e-4, atol=1e-6)
    with pytest.raises(ShapeError, match="agree but for the last axis"):
        layer(a[:2], b)


def test_dropout() -> None:
    limpid.random.seed(0)
    x = limpid.ones((100, 100))
    layer = nn.Dropout(0.25)
    y = layer(x).numpy()
    assert set(np.unique(y)) == {0.0, np.float32(1 / 0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.02
    assert layer.eval()(x) is x
    assert not nn.Dropout(1.0)(x).numpy().any()
    assert nn.Dropout(0.0)(x) is x
    limpid.random.seed(1)
    first = nn.functional.dropout(x).numpy()
    limpid.random.seed(1)
    np.testing.assert_array_equal(nn.functional.dropout(x).numpy(), first)
    w = limpid.tensor(np.ones(50), requires_grad=True)
    out = nn.functional.dropout(w, 0.5)
    out.sum().backward()
    np.testing.assert_array_equal(w.grad.numpy(), out.detach().numpy())
    for p in (-0.1, 1.1, np.nan):
        with pytest.raises(ArgumentError):
            nn.Dropout(p)


def test_dropout_in_a_recording_draws_anew() -> None:
    limpid.random.seed(3)
    layer = nn.Dropout(0.5)
    recorded = limpid.record(layer, np.ones(64, np.float32))
    first, second = (recorded(np.ones(64, np.float32)).numpy() for _ in range(2))
    assert (first != second).any()
    limpid.random.seed(3)
    np.testing.assert_array_equal(layer(limpid.ones(64)).numpy(), first)


def test_embedding() -> None:
    table = nn.Embedding(5, 3, padding_idx=-1)
    assert table.padding_idx == 4
    assert not table.weight.detach().numpy()[4].any()
    y = table(limpid.tensor([[1, 1], [4, 0]]))
    assert y.shape == (2, 2, 3)
    y.sum().backward()
    assert table.weight.grad.numpy()[:, 0].tolist() == [1.0, 2.0, 0.0, 0.0, 0.0]
    with pytest.raises(ArgumentError, match="row -1"):
        table(np.array([-1]))
    with pytest.raises(IndexError):
        table(np.array([5]))
    with pytest.raises(ArgumentError):
        nn.Embedding(5, 3, padding_idx=5)
    assert nn.Embedding(5, 3)(np.zeros((0,), np.int64)).shape == (0, 3)


def test_shapes() -> None:
    x = limpid.zeros((2, 3, 4, 5))
    assert nn.Flatten()(x).shape == (2, 60)
    assert nn.Flatten(0, 1)(x).shape == (6, 4, 5)
    assert nn.Flatten(0)(limpid.tensor(1.0)).shape == (1,)
    assert x.flatten(1).shape == (2, 60)
    assert x.flatten().shape == x.ravel().shape == (120,)
    assert nn.Unflatten(-1, (5, 1))(x).shape == (2, 3, 4, 5, 1)
    assert nn.Unflatten(1, (-1, 3))(x).shape == (2, 1, 3, 4, 5)
    with pytest.raises(ShapeError):
        nn.Unflatten(1, (2, -1))(x)
    with pytest.raises(ArgumentError):
        nn.Flatten(2, 1)(x)
    assert nn.Identity(1, b=2)(x) is x


def test_containers() -> None:
    a, b, c = nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1)
    sequence = nn.Sequential({"first": a, "second": b})
    assert [n for n, _ in sequence.named_parameters()] == ["first.weight", "first.bias"]
    assert nn.Sequential(a, b, c)[1:][1] is c
    assert len(nn.Sequential()) == 0
    modules = nn.ModuleList([a])
    modules.append(b)
    modules.insert(0, c)
    assert list(modules) == [c, a, b]
    assert modules.pop(0) is c
    modules[-1] = c
    assert [n for n, _ in modules.named_children()] == ["0", "1"]
    assert modules[1] is c
    assert c in modules
    assert b not in modules
    named = nn.ModuleDict({"x": a})
    named["y"] = b
    assert list(named) == ["x", "y"]
    assert named.pop("x") is a
    assert "x" not in named
    assert dict(named.items()) == {"y": b}
    for bad in ("a.b", "forward", 3, ""):
        with pytest.raises(ArgumentError):
            named[bad] = a
    with pytest.raises(OperandError, match="only modules"):
        nn.Sequential(a, limpid.relu)


def test_a_change_of_a_parameter_between_forward_and_backward_is_noticed() -> None:
    layer = nn.Linear(2, 1)
    x = limpid.tensor([[1.0, 2.0]], requires_grad=True)
    y = layer(x).sum()
    limpid.assign(layer.weight, limpid.zeros((1, 2)))
    with pytest.raises(OverwrittenError):
        y.backward()


ACTIVATIONS = [
    (nn.CELU(0.7), lambda F, x: F.celu(x, 0.7)), (nn.ELU(0.7), lambda F, x: F.elu(x, 0.7)),
    (nn.GELU("tanh"), lambda F, x: F.gelu(x, approximate="tanh")),
    (nn.GLU(0), lambda F, x: F.glu(x, dim=0)), (nn.SELU(), lambda F, x: F.selu(x)),
    (nn.Hardshrink(0.3), lambda F, x: F.hardshrink(x, 0.3)),
    (nn.Hardsigmoid(), lambda F, x: F.hardsigmoid(x)),
    (nn.Hardswish(), lambda F, x: F.hardswish(x)),
    (nn.Hardtanh(-0.5, 2.0), lambda F, x: F.hardtanh(x, -0.5, 2.0)),
    (nn.LeakyReLU(0.2), lambda F, x: F.leaky_relu(x, 0.2)),
    (nn.LogSigmoid(), lambda F, x: F.logsigmoid(x)),
    (nn.LogSoftmax(0), lambda F, x: F.log_softmax(x, dim=0)), (nn.Mish(), lambda F, x: F.mish(x)),
    (nn.ReLU(), lambda F, x: F.relu(x)), (nn.ReLU6(), lambda F, x: F.relu6(x)),
    (nn.Sigmoid(), lambda F, x: F.sigmoid(x)), (nn.SiLU(), lambda F, x: F.silu(x)),
    (nn.Softmax(1), lambda F, x: F.softmax(x, dim=1)),
    (nn.Softmin(1), lambda F, x: F.softmin(x, dim=1)),
    (nn.Softplus(2.0), lambda F, x: F.softplus(x, 2.0)),
    (nn.Softshrink(0.3), lambda F, x: F.softshrink(x, 0.3)),
    (nn.Softsign(), lambda F, x: F.softsign(x)), (nn.Tanh(), lambda F, x: F.tanh(x)),
    (nn.Tanhshrink(), lambda F, x: F.tanhshrink(x)),
    (nn.Threshold(0.1, 7.0), lambda F, x: F.threshold(x, 0.1, 7.0)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("module", "function"), ACTIVATIONS, ids=[type(m).__name__ for m, _ in ACTIVATIONS]
)
def test_activation_modules_are_the_functions(module: nn.Module, function: Any) -> None:
    x = limpid.asarray(np.random.default_rng(0).normal(size=(4, 6)) * 2)
    np.testing.assert_array_equal(module(x).numpy(), function(nn.functional, x).numpy())
    assert repr(module).startswith(type(module).__name__ + "(")


def test_prelu_learns_its_slope() -> None:
    module = nn.PReLU(2)
    x = limpid.asarray(np.float32([[-1.0, 3.0], [2.0, -4.0]]))
    y = module(x)
    assert y.detach().tolist() == [[-0.25, 3.0], [2.0, -1.0]]
    y.sum().backward()
    assert module.weight.grad.tolist() == [-1.0, -4.0]
    assert repr(module) == "PReLU(num_parameters=2)"


def test_state_is_never_a_constant_of_a_recording() -> None:
    model = Network()
    count, scale = model.count, limpid.Buffer([2.0])
    reads = (
        scale.item, scale.tolist, scale.numpy, lambda: float(scale), lambda: bool(scale),
        lambda: scale.value, lambda: np.asarray(scale), lambda: int(count), model.state_dict,
        lambda: [0, 1, 2][count], lambda: f"{scale:.2f}",
    )  # fmt: skip
    for read in reads:
        with pytest.raises(AbstractError, match="is state, read anew at every run"):
            limpid.record(lambda read=read: read())
        read()
    recorded = limpid.record(lambda x: x * scale, limpid.ones(1))
    limpid.assign(scale, limpid.tensor([5.0]))
    assert recorded(limpid.ones(1)).item() == 5.0


def test_changes_are_counted() -> None:
    model = Network()
    model(limpid.ones((1, 3)))
    before = Changes.any, Changes.structure
    model.last = limpid.ones(3)
    assert (Changes.any, Changes.structure) == (before[0] + 1, before[1])
    model.eval()
    assert Changes.structure == before[1]
    model.extra = nn.Linear(1, 1)
    assert Changes.structure > before[1]
    structure = Changes.structure
    del model.extra
    assert Changes.structure > structure
    assert "extra.weight" not in model.state_dict()
