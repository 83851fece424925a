"""What a call looks at, natively where memory shows it: whatever changes is seen."""

from __future__ import annotations

import gc
from collections.abc import Callable
from threading import Thread
from types import CellType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import limpid
from limpid.compiler.machine import anatomy
from limpid.compiler.runtime.references import References
from limpid.compiler.runtime.words import Words, words_tell
from limpid.compiler.steps.lookout import TRIES, Lookout
from limpid.compiler.steps.places import Cell, Contents, Entry, Place
from tests.native import needs_native

needs_memory = pytest.mark.skipif(not words_tell(), reason="memory is not looked at here")


@pytest.fixture(params=["in memory", "in Python"], autouse=True)
def looking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything holds both ways."""
    if request.param == "in Python":
        monkeypatch.setattr(anatomy, "KNOWN", False)


# Words of memory


def test_this_python_is_known() -> None:
    """Where tests run, calls are quick; a new version of Python has to be looked at."""
    assert anatomy._is_known()


KEYS = st.sampled_from(["a", "b", "c", 0, 1, 1.5, (1, 2)])
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("set"), KEYS, st.integers(0, 3)),
        st.tuples(st.just("delete"), KEYS, st.none()),
        st.tuples(st.sampled_from(["clear", "grow", "shrink"]), st.none(), st.none()),
    ),
    max_size=12,
)
PARTS = [object() for _ in range(4)]


def change(mapping: dict[Any, Any], how: str, key: Any, number: Any) -> None:
    if how == "set":
        mapping[key] = PARTS[number]
    elif how == "delete":
        mapping.pop(key, None)
    elif how == "clear":
        mapping.clear()
    elif how == "grow":
        mapping.update((f"more {n}", None) for n in range(40))
    else:
        for n in range(40):
            mapping.pop(f"more {n}", None)


@needs_memory
@given(CHANGES, CHANGES)
def test_words_of_a_dict_never_say_same_of_another_one(first: Any, second: Any) -> None:
    mapping: dict[Any, Any] = {}
    for how in first:
        change(mapping, *how)
    before = dict(mapping)
    found = anatomy.of_dict(mapping, before)
    if found is None:
        return
    words = Words(found)
    assert words.unchanged()
    for how in second:
        change(mapping, *how)
        if words.unchanged():
            assert list(mapping) == list(before)
            assert all(mapping[key] is before[key] for key in before)


@needs_memory
@given(CHANGES, CHANGES, KEYS)
def test_words_of_an_entry_never_say_same_of_another_one(first: Any, second: Any, key: Any) -> None:
    mapping: dict[Any, Any] = {key: PARTS[0]}
    for how in first:
        change(mapping, *how)
    if key not in mapping:
        return
    before = mapping[key]
    found = anatomy.of_entries(mapping, {key: before})
    if found is None:
        return
    words = Words(found)
    assert words.unchanged()
    for how in second:
        change(mapping, *how)
        if words.unchanged():
            assert mapping[key] is before


@needs_memory
@given(st.lists(st.integers(0, 3), max_size=9), st.data())
def test_words_of_a_list_never_say_same_of_another_one(numbers: list[int], data: Any) -> None:
    container = [PARTS[n] for n in numbers]
    before = list(container)
    words = Words(anatomy.of_list(container, before))
    assert words.unchanged()
    for _ in range(6):
        start, stop = sorted(data.draw(st.tuples(st.integers(0, 9), st.integers(0, 9))))
        container[start:stop] = [PARTS[n] for n in data.draw(st.lists(st.integers(0, 3)))]
        if words.unchanged():
            assert len(container) == len(before)
            assert all(a is b for a, b in zip(container, before, strict=True))
    container[:] = before
    if words.unchanged():
        assert container == before


@needs_memory
def test_words_of_variables_and_counts() -> None:
    x = object()
    cell = CellType(x)
    words = Words(anatomy.of_cell(cell, x))
    assert words.unchanged()
    cell.cell_contents = object()
    assert not words.unchanged()
    cell.cell_contents = x
    assert words.unchanged()
    del cell.cell_contents
    assert not words.unchanged()
    references = References([x])
    counted = Words(references.pairs())
    assert counted.unchanged()
    more = [x]
    assert not counted.unchanged()
    del more
    assert counted.unchanged()


@needs_memory
def test_a_function_keeps_what_it_looks_at() -> None:
    container = [1, 2, 3]
    unchanged = Words(anatomy.of_list(container, container)).unchanged
    gc.collect()
    assert all(unchanged() for _ in range(3))


# Looking at places


def places(namespace: dict[str, Any], parts: list[Any]) -> list[Place]:
    return [Entry("x", namespace, "x"), Contents("parts", parts), Cell("cell", CellType(1.5))]


def test_equal_numbers_and_lists_elsewhere_are_the_same() -> None:
    namespace, parts = {"x": 1000.5}, [1000.5, "a"]
    lookout = Lookout(places(namespace, parts))
    for n in range(3 * TRIES):
        assert lookout.holds()
        namespace["x"] = float("1000.5")
        namespace[f"more {n}"] = n  # the dict may lie elsewhere
        parts.extend(range(n))
        del parts[2:]
        parts[0] = float("1000.5")
        assert lookout.holds()


@pytest.mark.parametrize("times", [0, 1, 2, 3 * TRIES])
def test_changes_are_seen_and_changes_back_are_the_same(times: int) -> None:
    namespace, parts = {"x": 1.0}, [[1.0], "a"]
    inner = parts[0]
    lookout = Lookout(places(namespace, parts))
    for n in range(times):
        assert lookout.holds()
        parts.extend(range(n))
        del parts[2:]
    namespace["x"] = 2.0
    assert not lookout.holds()
    namespace["x"] = 1.0
    assert lookout.holds()
    parts[0] = [1.0]  # another list
    assert not lookout.holds()
    parts[0] = inner
    assert lookout.holds()
    del namespace["x"]
    assert not lookout.holds()


# Steps


def doubled() -> tuple[limpid.Step, list[Any]]:
    """A step that looks at a list outside."""
    factors = [2.0, 3.0]

    def step(x: Any) -> Any:
        return x * factors[0] + factors[-1]

    return limpid.compile(step), factors


def test_a_list_outside() -> None:
    step, factors = doubled()
    x = np.ones(2)
    for _ in range(3):
        assert step(x).tolist() == [5.0, 5.0]
    factors.append(4.0)
    assert step(x).tolist() == [6.0, 6.0]
    factors.pop()
    for _ in range(3):
        assert step(x).tolist() == [5.0, 5.0]
    factors[0] = 1.0
    assert step(x).tolist() == [4.0, 4.0]
    factors[:] = [2.0, 3.0]
    assert step(x).tolist() == [5.0, 5.0]
    assert step.count == 3


def test_the_default_type() -> None:
    step = limpid.compile(lambda x: x + limpid.tensor(1.0))
    x = np.ones(1, np.float32)
    try:
        for name in ("float32", "float64", "float32"):
            limpid.set_default_dtype(name)
            for _ in range(3):
                assert step(x).dtype.name == name
    finally:
        limpid.set_default_dtype("float32")
    assert step.count == 2
    assert "default type: float32 → float64" in step.why_recompiled()


class Learning:
    """Two parameters, whose gradients a step leaves."""

    def __init__(self) -> None:
        self.a, self.b = limpid.Parameter([1.0, 2.0]), limpid.Parameter([3.0, 4.0])
        self.step = limpid.compile(self.run)

    def run(self, x: Any) -> Any:
        self.a.grad = self.b.grad = None
        loss = limpid.sum(self.a * x + self.b * 2.0)
        loss.backward()
        return loss

    def check(self) -> None:
        """That the step leaves gradients."""
        self.step(limpid.tensor([5.0, 6.0]))
        assert self.a.grad is not None
        assert self.a.grad.tolist() == [5.0, 6.0]
        assert self.b.grad is not None
        assert self.b.grad.tolist() == [2.0, 2.0]


def take_away(t: Learning) -> None:
    t.a.grad = None


def swap(t: Learning) -> None:
    t.a.grad, t.b.grad = t.b.grad, t.a.grad


def hand_over(t: Learning) -> None:
    t.a.grad, t.b.grad = None, t.a.grad


def share(t: Learning) -> None:
    t.a.grad = t.b.grad


def replace(t: Learning) -> None:
    t.a.grad = limpid.tensor([9.0, 9.0])


def other_dict(t: Learning) -> None:
    t.a.node.retained = dict(t.a.node.retained)


def backward(t: Learning) -> None:
    limpid.sum(t.a * t.b).backward()


def assign(t: Learning) -> None:
    limpid.assign(t.a, limpid.tensor([7.0, 7.0]))


@pytest.mark.parametrize(
    "between", [take_away, swap, hand_over, share, replace, other_dict, backward, assign]
)
def test_gradients_and_values_changed_between_steps(between: Callable[[Learning], None]) -> None:
    learning = Learning()
    for _ in range(3):
        learning.check()
    for _ in range(3):
        between(learning)
        learning.check()
        learning.check()
    assert learning.step.count == 1


def test_a_gradient_that_is_kept_stays() -> None:
    learning = Learning()
    kept = []
    for n in range(6):
        learning.step(limpid.tensor([float(n), 1.0]))
        kept.append(learning.a.grad)
    assert [g.tolist()[0] for g in kept] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


# Arguments


A, B = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(3, np.float32)


@pytest.mark.parametrize(
    "x",
    [
        A, limpid.tensor(A), [A, B], (A, B), [A, [B, (A,)]], [[], A], [(), [], A], [A, None],
        [A, A.T.copy()], [A.T], [A[:, ::2]], [A[::-1]], np.asarray(3.0), [np.zeros((0, 2))], A > 2,
        [A.astype(">f4")], [A, 2.0], [limpid.Parameter(B)],
    ],
    ids=str,
)  # fmt: skip
def test_arguments_of_many_forms(x: Any) -> None:
    def run(x: Any) -> Any:
        return limpid.sum(flat(x))

    step = limpid.compile(run)
    for _ in range(3):
        assert step(x).item() == run(x).item()
    assert step.count == 1


def flat(x: Any) -> Any:
    """All numbers in a nesting, added up."""
    if isinstance(x, list | tuple):
        return sum((flat(part) for part in x), start=limpid.tensor(0.0))
    return limpid.tensor(0.0) if x is None else limpid.sum(x * 1.0)


OTHERS = [
    [A, B, B], [A], (A, B), [B, A], [A, B.astype(np.float64)], [A, B[:2]], [A, [B]], [A, None],
    [A, limpid.Parameter(B)], [A, limpid.tensor(B, requires_grad=True)], [A.T, B], [A, B > 0],
]  # fmt: skip


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_arguments_of_another_form(other: Any) -> None:
    step = limpid.compile(flat)
    for x in ([A, B], [A, B], other, [A, B], other):
        assert step(x).item() == flat(x).item()


@needs_memory
def test_usual_arguments_are_taken_natively(looking: None) -> None:
    if not anatomy.KNOWN:
        return
    step = limpid.compile(lambda x, y: limpid.sum(x) + flat(y))
    for args in ((A, [B]), (limpid.tensor(A), [B])):
        step(*args)
        taken = step.latest().signature._collect
        assert taken is not None
        first, second = taken(args)
        assert first.tolist() == A.tolist()
        assert second is B
        assert taken((A.T, [B])) is taken((A, B)) is taken((A,)) is None


def test_an_argument_that_is_reshaped_in_place() -> None:
    step = limpid.compile(lambda x: limpid.sum(x, axis=0))
    x = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
    assert step(x).tolist() == step(x).tolist() == [3.0, 5.0, 7.0]
    x.shape = (3, 2)
    assert step(x).tolist() == step(x).tolist() == [6.0, 9.0]
    x.resize((2, 2), refcheck=False)
    assert step(x).tolist() == step(x).tolist() == [2.0, 4.0]


def test_arrays_with_gaps_follow_arrays_without() -> None:
    step = limpid.compile(lambda x, y: x + 2.0 * y)
    whole = np.arange(12.0).reshape(3, 4)
    for x in (whole[:, :2].copy(), whole[:, 2:], whole[:, :2].copy(), whole[:, ::2]):
        for y in (x, whole[:, 1:3], x.copy()):
            np.testing.assert_array_equal(step(x, y).numpy(), x + 2.0 * y)
    assert step.count == 1


def test_lists_that_change_between_calls() -> None:
    step = limpid.compile(flat)
    x = [A, B]
    for _ in range(3):
        assert step(x).item() == 18.0
    x[1] = B * 2
    assert step(x).item() == 21.0
    x.append(B)
    assert step(x).item() == 24.0
    x[:] = [B]
    assert step(x).item() == 3.0
    x.clear()
    assert step(x).item() == 0.0


def test_keywords_in_any_order() -> None:
    step = limpid.compile(lambda x, y, z=1.0: x - 2.0 * y + z)
    a, b = np.ones(2), np.full(2, 5.0)
    for _ in range(3):
        assert step(a, b).tolist() == step(a, y=b).tolist() == [-8.0, -8.0]
        assert step(x=a, y=b).tolist() == step(y=b, x=a).tolist() == [-8.0, -8.0]
        assert step(y=a, x=b).tolist() == step(b, y=a).tolist() == [4.0, 4.0]
        assert step(a, b, 2.0).tolist() == step(a, b, z=2.0).tolist() == [-7.0, -7.0]
        assert step(a, b, float("2.0")).tolist() == [-7.0, -7.0]
        assert step(a, b, b).tolist() == step(a, z=b, y=b).tolist() == [-4.0, -4.0]


def test_random_numbers_of_the_thread_that_calls() -> None:
    step = limpid.compile(lambda x: x * limpid.random.uniform(shape=2))
    x = np.ones(2)

    def draws() -> list[list[float]]:
        limpid.manual_seed(3)
        return [step(x).tolist() for _ in range(3)]

    expected = draws()
    found: list[Any] = []
    for _ in range(2):
        thread = Thread(target=lambda: found.append(draws()))
        thread.start()
        thread.join()
        found.append(draws())
    assert found == [expected] * 4
    assert expected[0] != expected[1]


def test_wrong_numbers_of_arguments_are_errors() -> None:
    step = limpid.compile(lambda x, y: x + y)
    step(A, A)
    for args in ((), (A,), (A, A, A)):
        with pytest.raises(TypeError, match="argument"):
            step(*args)
    assert step(A, y=A).tolist() == step(A, A).tolist()


@needs_native
def test_results_of_calls_do_not_share_memory() -> None:
    for size in (1, 3, 300):
        step = limpid.compile(lambda x: (x + 1.0, x * 2.0))
        found = [step(np.full(size, float(n))) for n in range(4)]
        for n, (a, b) in enumerate(found):
            assert a.numpy()[0] == n + 1.0
            assert b.numpy()[0] == 2.0 * n
