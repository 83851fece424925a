"""Folding: modules and repeated blocks as a tree, and the search for repeats."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from limpid.explanation.folding import Fold, Item, fold
from limpid.explanation.repeats import find_repeats


def chain(*scopes: str, ops: str = "") -> list[Item]:
    """Items one after another, in these scopes."""
    names = ops.split() or ["f"] * len(scopes)
    return [
        Item(f"v{i}", op, f"n{i}", scope, (f"v{i - 1}",) if i else ())
        for i, (scope, op) in enumerate(zip(scopes, names, strict=True))
    ]


def shape(part: Fold) -> object:
    return part.id if part.kind == "node" else [part.kind, *map(shape, part.children)]


def test_modules_hold_their_nodes() -> None:
    top = fold(chain("", "a", "a", "a.b", "a.b", "", ops="p q r s t u"))
    assert shape(top) == ["graph", "v0", ["module", "v1", "v2", ["module", "v3", "v4"]], "v5"]
    assert [part.title for part in top.walk() if part.kind == "module"] == ["a", "a.b"]


def test_a_module_called_again_is_there_again() -> None:
    """One box for both calls would be left and entered again: no layers could be drawn."""
    top = fold(chain("a", "a", "b", "b", "a", "a", ops="p q r s t u"))
    assert shape(top) == [
        "graph", ["module", "v0", "v1"], ["module", "v2", "v3"], ["module", "v4", "v5"],
    ]  # fmt: skip


def test_modules_of_one_part_are_left_out() -> None:
    assert shape(fold(chain("", "a", "a.b.c", "a.b.c", ops="p q r s"))) == [
        "graph", "v0", ["module", "v1", ["module", "v2", "v3"]],
    ]  # fmt: skip
    assert shape(fold(chain("relu", ""))) == ["graph", "v0", "v1"]


def test_equal_modules_in_a_row_are_a_repeat() -> None:
    scopes = [f"blocks.{i // 2}" for i in range(8)]
    (repeat,) = fold(chain(*scopes, ops="p q " * 4)).children
    assert (repeat.kind, repeat.count, repeat.title) == ("repeat", 4, "blocks.0 … blocks.3")
    assert [block.title for block in repeat.children] == [f"blocks.{i}" for i in range(4)]


def test_modules_of_other_structure_are_no_repeat() -> None:
    top = fold(chain("a", "a", "b", "b", ops="p q p r"))
    assert [part.kind for part in top.children] == ["module", "module"]


def test_a_block_may_be_a_module_and_what_follows_it() -> None:
    scopes = ["block.0", "block.0", "", "block.1", "block.1", "", "block.2", "block.2", ""]
    (repeat,) = fold(chain(*scopes, ops="p q add " * 3)).children
    assert (repeat.count, repeat.title) == (3, "block.0 … block.2")
    assert shape(repeat.children[0]) == ["module", ["module", "v0", "v1"], "v2"]


def test_a_loop_without_modules_is_a_repeat_if_it_is_long() -> None:
    short, long = chain(*[""] * 6, ops="p q " * 3), chain(*[""] * 20, ops="p q " * 10)
    assert all(part.kind == "node" for part in fold(short).children)
    (repeat,) = fold(long).children
    assert (repeat.count, repeat.title) == (10, "p, q")


def test_repeats_within_repeats() -> None:
    inner = "p q " * 6
    (outer,) = fold(chain(*[""] * 39, ops=f"{inner}r " * 3)).children
    assert outer.count == 3
    assert [part.kind for part in outer.children[0].children] == ["repeat", "node"]


def test_owned_leaves_go_to_what_uses_them() -> None:
    w = Item("w", "input", "a.weight", "", leaf=True, owned=True)
    x = Item("x", "input", "x", "", leaf=True)
    shared = Item("s", "input", "a.shared", "", leaf=True, owned=True)
    items = [
        w, x, shared,
        Item("v1", "p", "v1", "a", ("x", "w")),
        Item("v2", "q", "v2", "a", ("v1", "s")),
        Item("v3", "r", "v3", "", ("v2", "s")),
    ]  # fmt: skip
    assert shape(fold(items)) == ["graph", "x", "s", ["module", "w", "v1", "v2"], "v3"]


def test_shared_leaves_stand_beside_a_repeat() -> None:
    w = Item("w", "input", "cell.weight", "", leaf=True, owned=True)
    steps = [Item(f"v{i}", "pq"[i % 2], f"v{i}", f"cell.scan[{i // 2}]", ("w",)) for i in range(6)]
    assert shape(fold([w, *steps])) == [
        "graph",
        ["module", "w", ["repeat", *[["module", f"v{i}", f"v{i + 1}"] for i in (0, 2, 4)]]],
    ]


def test_nothing_at_all() -> None:
    assert fold([]).children == ()


@given(st.lists(st.sampled_from(["", "a", "a.b", "a.c", "d"]), max_size=40), st.randoms())
def test_every_node_is_there_once(scopes: list[str], random: Random) -> None:
    ops = [random.choice("pq") for _ in scopes]
    items = chain(*scopes, ops=" ".join(ops)) if scopes else []
    top = fold(items)
    assert list(top.nodes()) == [item.id for item in items]  # in the order of the program
    ids = [part.id for part in top.walk()]
    assert len(set(ids)) == len(ids)
    assert all(len(part.children) > 1 for part in top.walk() if part.kind in ("module", "repeat"))


@given(st.lists(st.integers(0, 3), max_size=60))
def test_repeats_are_repeats(numbers: list[int]) -> None:
    end = 0
    for start, period, times in find_repeats(numbers):
        assert start >= end
        assert times > 1
        end = start + period * times
        assert numbers[start:end] == numbers[start : start + period] * times


def test_the_shortest_block_that_covers_most() -> None:
    assert list(find_repeats([1] * 12)) == [(0, 1, 12)]
    assert list(find_repeats([5, *[1, 1, 2] * 4, 6])) == [(1, 3, 4)]
    assert list(find_repeats([])) == []
