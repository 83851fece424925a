"""Pages of drawings in a browser: from file://, folded and unfolded, light, dark and in print."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

import limpid
from limpid.explanation.drawing.drawing import Drawing
from tests import pictures
from tests.browser import Browser

pytestmark = pytest.mark.browser

SHOWN = """[...document.querySelectorAll('#picture .part, #picture .mark')].map(part => {
  const rect = part.querySelector('rect');
  const [x, y, w, h] = ['x', 'y', 'width', 'height'].map(name => Number(rect.getAttribute(name)));
  return {id: part.dataset.id || '', frame: rect.classList.contains('frame'), x, y, w, h,
          text: [...part.querySelectorAll('text')].map(text => [text.textContent,
                 text.getBBox().width])};
})"""
PANEL = "document.getElementById('panel').innerText"


def opened(browser: Browser, drawing: Drawing, folder: Path) -> Any:
    """What a page shows when it is opened."""
    browser.show_as()
    browser.open(drawing.save(folder / "g.html"), 1200, 900)
    assert browser.errors == []
    assert len(browser.requests) == 1  # the file itself
    return browser.evaluate(SHOWN)


def press(browser: Browser, button: str) -> Any:
    browser.evaluate(f"document.getElementById('{button}').click()")
    return browser.evaluate(SHOWN)


def click(browser: Browser, id_: str) -> None:
    found = f"document.querySelector('[data-id=\"{id_}\"]')"
    browser.evaluate(f"{found}.dispatchEvent(new MouseEvent('click', {{bubbles: true}}))")


def check_apart(shown: list[dict[str, Any]]) -> None:
    """No two boxes overlap, but frames hold what is in them; words are within their boxes."""
    slack = 0.11  # places have one decimal
    for a, b in combinations(shown, 2):
        apart = (
            a["x"] + a["w"] <= b["x"] + slack
            or b["x"] + b["w"] <= a["x"] + slack
            or a["y"] + a["h"] <= b["y"] + slack
            or b["y"] + b["h"] <= a["y"] + slack
        )
        assert apart or (a["frame"] and inside(b, a)) or (b["frame"] and inside(a, b)), (a, b)
    for box in shown:
        assert all(width < box["w"] for _, width in box["text"]), box


def check_places(drawing: Drawing, shown: dict[str, dict[str, Any]]) -> None:
    for box in drawing.boxes:
        if box.kind != "mark":
            there = shown[box.id]
            place = (there["x"], there["y"], there["w"], there["h"])
            assert place == pytest.approx((box.x, box.y, box.width, box.height), abs=0.06)


def inside(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return bool(
        b["x"] <= a["x"]
        and b["y"] <= a["y"]
        and a["x"] + a["w"] <= b["x"] + b["w"]
        and a["y"] + a["h"] <= b["y"] + b["h"]
    )


@pytest.mark.parametrize("name", list(pictures.PICTURES))
def test_the_script_puts_boxes_where_the_layout_does(
    browser: Browser, tmp_path: Path, name: str
) -> None:
    drawing = limpid.draw(pictures.PICTURES[name]())
    shown = {box["id"]: box for box in opened(browser, drawing, tmp_path)}
    assert shown.keys() == {box.id for box in drawing.boxes}
    check_places(drawing, shown)


@pytest.mark.parametrize("name", list(pictures.PICTURES))
def test_fold_and_unfold(browser: Browser, tmp_path: Path, name: str) -> None:
    drawing = limpid.draw(pictures.PICTURES[name]())
    first = opened(browser, drawing, tmp_path)
    check_apart(first)
    for _ in range(6):
        check_apart(press(browser, "unfold"))
    nodes = {item.id for item in drawing.content.items}
    assert nodes <= {box["id"] for box in browser.evaluate(SHOWN)}
    folded = press(browser, "fold")
    check_apart(folded)
    assert not any(box["frame"] for box in folded)
    assert press(browser, "reset") == first
    assert browser.errors == []


def test_a_click_folds_one_module(browser: Browser, tmp_path: Path) -> None:
    drawing = limpid.draw(pictures.resnet18())
    first = opened(browser, drawing, tmp_path)
    (repeat,) = [box.id for box in drawing.boxes if box.kind == "repeat"]
    click(browser, repeat)
    more = browser.evaluate(SHOWN)
    check_apart(more)
    assert len(more) == len(first) + 2  # its two blocks; the box has become a frame
    click(browser, repeat)
    assert browser.evaluate(SHOWN) == first


def test_a_node_tells_its_record(browser: Browser, tmp_path: Path) -> None:
    opened(browser, limpid.draw(pictures.gate()), tmp_path)
    click(browser, "v2")
    told = browser.evaluate(PANEL)
    for words in ("value\n-12", "gradient\n1", "→ z", "swaps and multiplies", "pictures.py:"):
        assert words in told
    entered = "document.querySelector('.line').dispatchEvent(new Event('pointerenter'))"
    opened(browser, limpid.draw(pictures.gate()), tmp_path)
    browser.evaluate(entered)
    assert "gradient\nnorm 4" in browser.evaluate(PANEL)


def test_keys_fold_too(browser: Browser, tmp_path: Path) -> None:
    drawing = limpid.draw(pictures.two_layers())
    first = opened(browser, drawing, tmp_path)
    frame = next(box["id"] for box in first if box["frame"])
    press_enter = (
        f"document.querySelector('[data-id=\"{frame}\"]').dispatchEvent("
        "new KeyboardEvent('keydown', {key: 'Enter', bubbles: true}))"
    )
    browser.evaluate(press_enter)
    assert len(browser.evaluate(SHOWN)) < len(first)
    assert browser.evaluate("document.activeElement.dataset.id") == frame


def test_names_show_as_text(browser: Browser, tmp_path: Path) -> None:
    drawing = limpid.draw(pictures.two_layers("<script>alert(1)</script>"))
    shown = opened(browser, drawing, tmp_path)
    assert any("<script>alert(1)" in text for box in shown for text, _ in box["text"])
    for id_ in drawing.content.cards:
        click(browser, id_)
        assert browser.evaluate("document.querySelectorAll('#panel script').length") == 0
    assert browser.evaluate("document.scripts.length") == 2
    browser.open(drawing.save(tmp_path / "g.svg"))
    assert browser.evaluate("document.querySelectorAll('script').length") == 0
    assert browser.errors == []


def brightness(browser: Browser, expression: str) -> float:
    colour = browser.evaluate(expression)
    parts = colour[colour.index("(") + 1 : -1].split(",")[:3]
    return sum(map(float, parts)) / 3


@pytest.mark.parametrize("kind", ["html", "svg"])
def test_light_dark_and_print(browser: Browser, tmp_path: Path, kind: str) -> None:
    path = limpid.draw(pictures.two_layers()).save(tmp_path / f"g.{kind}")
    text = "getComputedStyle(document.querySelector('.limpid text.title')).fill"
    box = "getComputedStyle(document.querySelector('.limpid .box')).fill"
    for medium, scheme, is_dark in [
        ("screen", "light", False), ("screen", "dark", True), ("print", "light", False),
        ("print", "dark", False),
    ]:  # fmt: skip
        browser.show_as(medium, scheme)
        browser.open(path)
        difference = brightness(browser, text) - brightness(browser, box)
        assert difference > 120 if is_dark else difference < -120
    browser.show_as()


def test_a_large_page_opens(browser: Browser, tmp_path: Path) -> None:
    drawing = limpid.draw(pictures.tangled(3000))
    shown = opened(browser, drawing, tmp_path)
    assert len(shown) == len(drawing.boxes)
    check_places(drawing, {box["id"]: box for box in shown})


def test_lines_that_pass_many_rows(browser: Browser, tmp_path: Path) -> None:
    drawing = limpid.draw(pictures.tangled(160), depth=9)
    shown = opened(browser, drawing, tmp_path)
    check_places(drawing, {box["id"]: box for box in shown})
    check_apart(shown)
