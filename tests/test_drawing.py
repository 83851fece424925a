"""Drawings: what they say, that nothing lies on anything else, size and speed."""

from __future__ import annotations

import itertools
import re
import sys
import time
import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import limpid
from limpid import errors
from limpid.cli import main
from limpid.explanation.drawing.content import Card, Content, Link
from limpid.explanation.drawing.drawing import Box, Drawing
from limpid.explanation.folding import Item
from tests import pictures

SVG = "{http://www.w3.org/2000/svg}"
Rectangle = tuple[float, float, float, float]


@pytest.fixture(scope="module", params=list(pictures.PICTURES))
def drawing(request: pytest.FixtureRequest) -> Drawing:
    return limpid.draw(pictures.PICTURES[request.param]())


def area(box: Box) -> Rectangle:
    return box.x, box.y, box.x + box.width, box.y + box.height


def apart(a: Rectangle, b: Rectangle) -> bool:
    return a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def within(a: Rectangle, b: Rectangle) -> bool:
    return b[0] <= a[0] and b[1] <= a[1] and a[2] <= b[2] and a[3] <= b[3]


def rectangles(svg: str) -> tuple[list[Rectangle], list[Rectangle]]:
    """Those of boxes and those of frames, as the SVG has them."""
    found: dict[str, list[Rectangle]] = {"box": [], "frame": []}
    for rect in ET.fromstring(svg).iter(f"{SVG}rect"):
        if rect.get("class") in found:
            x, y, w, h = (float(rect.get(name, 0)) for name in ("x", "y", "width", "height"))
            found[rect.get("class", "")].append((x, y, x + w, y + h))
    return found["box"], found["frame"]


def test_no_two_boxes_overlap(drawing: Drawing) -> None:
    boxes = {box.id: box for box in drawing.boxes}
    for a, b in combinations(boxes.values(), 2):
        if a.parent == b.parent:
            assert apart(area(a), area(b)), (a.title, b.title)
    for box in boxes.values():
        if box.parent:
            assert within(area(box), area(boxes[box.parent]))
        assert box.x >= 0
        assert box.y >= 0
        assert box.x + box.width <= drawing.layout.width


def test_no_two_boxes_overlap_in_the_svg(drawing: Drawing) -> None:
    boxes, frames = rectangles(drawing.svg)
    assert len(boxes) + len(frames) == len(drawing.boxes)
    for a, b in combinations(boxes, 2):
        assert apart(a, b)
    for frame in frames:
        for other in (*boxes, *frames):
            assert other is frame or apart(frame, other) or within(other, frame) or (
                within(frame, other) and other in frames
            )  # fmt: skip


def test_lines_go_down_and_pass_beside_boxes(drawing: Drawing) -> None:
    closed = [area(box) for box in drawing.boxes if not box.is_open]
    for edge in drawing.edges:
        heights = [y for _, y in edge.points]
        assert heights == sorted(heights)
        for (x, y), (a, b) in zip(edge.points[1:-1:2], edge.points[2:-1:2], strict=False):
            if x == a:  # straight through a row
                line = (x, y + 0.01, x, b - 0.01)
                assert all(apart(line, box) for box in closed), edge


def test_words_fit_into_their_boxes(drawing: Drawing) -> None:
    for box in drawing.boxes:
        if box.kind == "node":
            face = drawing.faces[box.id]
            assert max(map(len, (face.title, *face.lines, face.gradient))) * 6.63 < box.width


def test_values_and_gradients_are_those_of_the_record() -> None:
    f = pictures.gate()
    found = {box.title: (box.value, box.gradient) for box in limpid.draw(f).boxes}
    assert found == {
        "x": ("-2", "-4"), "y": ("5", "-4"), "z": ("-4", "3"), "x + y": ("3", "-4"),
        "f": ("-12", "1"),
    }  # fmt: skip
    assert all(leaf.grad is None for leaf in leaves(f))  # no backward was run


def leaves(output: Any) -> list[Any]:
    from limpid.graph.node import reachable
    from limpid.tensor import Tensor

    return [Tensor(node, 0, None) for node in reachable([output.node]) if not node.inputs]


def test_after_backward_it_says_the_same() -> None:
    before, f = limpid.draw(pictures.gate()).svg, pictures.gate()
    f.backward()
    assert limpid.draw(f).svg == before


def test_gradients_of_lines_are_those_of_edges() -> None:
    loss = pictures.fan_out()
    record = limpid.explain(loss)
    lines = {(e.source, e.target): e.gradient for e in limpid.draw(loss).edges}
    by_pair: dict[tuple[str, str], Any] = {}
    for edge in record.edges:
        pair = (edge.to, edge.node)
        by_pair[pair] = by_pair.get(pair, 0) + edge.downstream.array
    assert lines.keys() == by_pair.keys()
    for pair, gradient in by_pair.items():
        assert lines[pair] == pytest.approx(float(np.linalg.norm(gradient)), rel=1e-12)


def test_bytes_kept_for_backward() -> None:
    drawing = limpid.draw(pictures.two_layers(), depth=0)
    record = limpid.explain(pictures.two_layers())
    assert sum(box.saved for box in drawing.boxes) == sum(step.saved for step in record.steps) > 0
    assert "keeps" in drawing.svg


def test_resnet18_folds_to_forty_boxes() -> None:
    loss = pictures.resnet18()
    drawing = limpid.draw(loss)
    assert len(limpid.explain(loss).steps) > 150
    assert len(drawing.boxes) <= 40
    assert [b.title for b in limpid.draw(loss, depth=0).boxes if b.kind == "repeat"] == [
        "layer1.0 … layer1.1 ×2"
    ]


def test_repeated_blocks_fold() -> None:
    drawing = limpid.draw(pictures.twelve_blocks())
    (block,) = [box for box in drawing.boxes if box.kind == "repeat"]
    assert (block.count, block.title) == (12, "blocks.0 … blocks.11 ×12")
    (loop,) = [box for box in limpid.draw(pictures.lstm()).boxes if box.kind == "repeat"]
    assert loop.title == "scan[0] … scan[11] ×12"


def test_a_recorded_loop_is_a_module_with_its_body() -> None:
    drawing = limpid.draw(pictures.recorded_lstm())
    assert "scan ×12" in {box.title for box in drawing.boxes}
    assert not any(box.value or box.gradient for box in drawing.boxes)


def test_a_recorded_branch_has_both_bodies() -> None:
    def f(x: Any) -> Any:
        square, root = lambda x: limpid.sum(x * x * 2), lambda x: limpid.sum(limpid.exp(-x))
        return limpid.cond(limpid.sum(x) > 0, square, root, x) + 1

    titles = {box.title for box in limpid.draw(limpid.record(f, np.ones(3))).boxes}
    assert {"cond true", "cond false"} <= titles


def test_backward_nodes_are_paired_with_forward_ones() -> None:
    x = limpid.tensor([0.5, 2.0], requires_grad=True)
    recorded = limpid.record(limpid.grad(lambda x: limpid.sum(limpid.tanh(x) * x)), x.value)
    drawing = limpid.draw(recorded)
    paired = [box for box in drawing.boxes if box.pair]
    assert paired
    assert {box.pair for box in paired} <= {box.id for box in drawing.boxes}
    assert 'class="back"' in drawing.svg
    assert "backward of " in drawing.svg


def test_depth() -> None:
    loss = pictures.lstm()
    counts = [len(limpid.draw(loss, depth=depth).boxes) for depth in range(5)]
    assert counts == sorted(counts)
    assert counts[0] < counts[2]
    assert counts[3] == counts[4]
    for wrong in (-1, 1.5, True):
        with pytest.raises(errors.ArgumentError, match="whole number"):
            limpid.draw(loss, depth=wrong)


def test_constants_are_hidden() -> None:
    x = limpid.tensor(2.0, requires_grad=True)
    drawing = limpid.draw(3 * x + np.float32(4))
    assert len(drawing.boxes) == 3


def test_gradients_that_are_zero_or_no_numbers() -> None:
    x = limpid.tensor([-1.0, 0.0], requires_grad=True)
    y = limpid.tensor([1.0, 1.0], requires_grad=True)
    drawing = limpid.draw(limpid.sum(limpid.relu(x) * 2 + limpid.sqrt(y * 0)))
    assert 'class="g w0"' in drawing.svg
    assert 'class="g wn"' in drawing.svg
    assert "∂ zero" in drawing.svg
    assert "∂ not finite" in drawing.svg


@pytest.mark.parametrize("name", ["svg", "html"])
def test_a_large_graph_is_quick_and_small(name: str) -> None:
    output = pictures.tangled(3000)
    limpid.draw(pictures.gate())  # libraries are loaded
    begun = time.process_time()
    drawing = limpid.draw(output)
    made = getattr(drawing, name)
    taken = time.process_time() - begun
    assert len(drawing.content.items) >= 3000
    assert len(made.encode()) <= 1_000_000
    assert len(drawing.boxes) >= 3000  # nothing folds here
    print(f"{len(drawing.content.items)} nodes: {taken:.2f} s, {len(made.encode())} bytes")
    assert taken <= 20  # benchmarks say how long it takes; here it must not be absurd


@st.composite
def programs(draw: Any) -> Content:
    """Nodes in modules, each with up to three inputs from before."""
    count = draw(st.integers(1, 25))
    scopes = draw(st.lists(st.sampled_from(["", "a", "a.b", "a.b.c", "d"]), min_size=count))
    items: list[Item] = []
    links: list[Link] = []
    for k in range(count):
        near = st.lists(st.integers(0, k - 1), max_size=3) if k else st.just([])
        inputs = tuple(f"n{i}" for i in draw(near))
        leaf = not inputs
        owned = leaf and draw(st.booleans())
        op = draw(st.sampled_from("pq"))
        items.append(
            Item(f"n{k}", op, f"n{k}", "" if leaf else scopes[k], inputs, None, leaf, owned)
        )
        links += [Link(x, f"n{k}") for x in inputs]
    return Content(tuple(items), {i.id: Card(i.name, i.op, "2×3") for i in items}, tuple(links))


@given(programs(), st.integers(0, 5))
@settings(max_examples=200, deadline=None)
def test_random_programs_are_laid_out(content: Content, depth: int) -> None:
    drawing = Drawing(content, depth)
    test_no_two_boxes_overlap(drawing)
    test_lines_go_down_and_pass_beside_boxes(drawing)
    shown = {box.id for box in drawing.boxes}
    for edge in drawing.edges:
        ends = {end for end in (edge.source, edge.target) if end[0] not in "<>~"}
        assert ends <= shown
    assert drawing.html


def test_large_graphs_do_not_overlap() -> None:
    drawing = limpid.draw(pictures.tangled(800))
    boxes = sorted(map(area, drawing.boxes))
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            if b[0] >= a[2]:
                break
            assert apart(a, b)


def test_a_value_used_everywhere_has_marks_at_its_ends() -> None:
    x = limpid.tensor(np.ones(3), requires_grad=True)
    y = x
    for k in range(300):
        y = (limpid.tanh, limpid.sin, limpid.exp)[k * k % 3](y) * x
    drawing = limpid.draw(limpid.sum(y), depth=9)
    marks = [box for box in drawing.boxes if box.kind == "mark"]
    assert marks
    assert len({box.title for box in marks}) == 1
    assert drawing.layout.width < 6000


NAMES = ["<script>alert(1)</script>", 'a"b', "a&b", "]]>", "</svg>", "‮bidi\x00\n", "层" * 40]


@pytest.mark.parametrize("name", NAMES)
def test_names_never_become_markup(name: str) -> None:
    drawing = limpid.draw(pictures.two_layers(name))
    for page in (drawing.svg, drawing.html, drawing._repr_html_()):
        assert "<script>alert" not in page
        assert "\x00" not in page
    assert drawing.svg.count("</svg>") == 1
    shown = ["".join(text.itertext()) for text in ET.fromstring(drawing.svg).iter(f"{SVG}text")]
    start = "".join(c if c.isprintable() else " " for c in name)[:8].strip()
    assert any(start in text for text in shown)
    assert re.findall("<script", drawing.html) == ["<script"] * 2  # its data, its own


def test_an_empty_array_and_a_single_leaf() -> None:
    x = limpid.tensor(np.zeros((0, 3)), requires_grad=True)
    assert "empty" in limpid.draw(limpid.sum(x)).svg
    only = limpid.draw(limpid.tensor(1.0, requires_grad=True))
    assert len(only.boxes) == 1
    assert only.edges == ()


def test_what_can_not_be_drawn() -> None:
    x = limpid.tensor(2.0)
    with pytest.raises(errors.NoGradientError):
        limpid.draw(x * 2)
    with pytest.raises(errors.OperandError, match="not int"):
        limpid.draw(3)
    with pytest.raises(errors.SeedError):
        limpid.draw(limpid.tensor([1.0, 2.0], requires_grad=True) * 2)
    assert limpid.draw(limpid.tensor([1.0, 2.0], requires_grad=True) * 2, [1.0, 0.0]).boxes


def test_without_the_library_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "igraph", None)
    with pytest.raises(errors.MissingLibraryError, match=r"pip install 'limpid\[draw\]'"):
        limpid.draw(pictures.gate())


def test_save(tmp_path: Path) -> None:
    drawing = limpid.draw(pictures.gate())
    for name in ("g.svg", "g.html", "g.HTML"):
        text = drawing.save(tmp_path / name).read_text(encoding="utf-8")
        assert text == (drawing.svg if name == "g.svg" else drawing.html)
    with pytest.raises(errors.ArgumentError, match=r"\.svg or \.html"):
        drawing.save(tmp_path / "g.png")
    assert drawing._repr_svg_() == drawing.svg
    assert repr(drawing) == "<drawing of 5 nodes in 5 boxes, 4 lines>"


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "g.svg"
    assert main(["draw", "-o", str(file), "(x + y) * z", "x=-2", "y=5", "z=-4"]) == 0
    boxes, _ = rectangles(file.read_text(encoding="utf-8"))
    assert len(boxes) == 5
    model = tmp_path / "model.py"
    model.write_text("import limpid\nx = limpid.tensor(2.0, requires_grad=True)\nloss = x * x\n")
    assert main(["draw", f"{model}:loss", "-o", str(tmp_path / "g.html")]) == 0
    assert (tmp_path / "g.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    capsys.readouterr()
    assert main(["draw", "-o", str(tmp_path / "g.pdf"), "x * x", "x=1"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_very_wide_graph() -> None:
    """Rows that would take the library seconds; thousands of values that are all called p."""
    values = [limpid.tensor(float(k), requires_grad=True) for k in range(700)]
    drawing = limpid.draw(limpid.sum(limpid.stack([limpid.exp(p) * p for p in values])), depth=9)
    titles = [box.title for box in drawing.boxes]
    assert len(titles) > 2100
    assert max(map(len, titles)) <= 30
    row = sorted((box.x, box.x + box.width) for box in drawing.boxes if box.y == drawing.boxes[0].y)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(row))
    assert len(drawing.html.encode()) < 1_000_000
