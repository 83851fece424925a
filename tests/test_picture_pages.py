"""Reports of runs, pictures and explanations in a browser, opened from disk without a network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import diagnosis, nn
from tests.browser import Browser

pytestmark = pytest.mark.browser

WILD = "<script>alert('1')</script>"
TEXT = "document.body.innerText"


def opened(
    browser: Browser, page: str, path: Path, medium: str = "screen", scheme: str = "light"
) -> None:
    """Nothing but the page itself and the images in it is asked for, and nothing goes wrong."""
    path.write_text(page, encoding="utf-8")
    browser.show_as(medium, scheme)
    browser.open(path)
    assert browser.errors == []
    assert [x for x in browser.requests if not x.startswith("data:image/png")] == [
        path.resolve().as_uri()
    ]


def brightness(browser: Browser, selector: str, property: str) -> float:
    found = f"getComputedStyle(document.querySelector({selector!r})).{property}"
    colour = browser.evaluate(found)
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3


# Reports


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("runs") / WILD.replace("/", "_")
    limpid.training.train(data="digits", hidden=(8,), epochs=3, output=folder)
    lines = (folder / "metrics.jsonl").read_text().replace('"2.weight"', f'"{WILD}.weight"')
    (folder / "metrics.jsonl").write_text(lines)
    finding = {"rule": "dead-units", "where": WILD, "evidence": "9 of 10", "remedy": f"a {WILD}"}
    return diagnosis.report_page(folder, [finding])


def test_a_report_opens(browser: Browser, report: str, tmp_path: Path) -> None:
    opened(browser, report, tmp_path / "report.html")
    told = browser.evaluate(TEXT)
    for words in ("dead-units", "9 of 10", "Training", "First layer", "Gradient flow"):
        assert words in told or words in browser.evaluate("document.body.textContent")
    size = "[...document.querySelectorAll('svg')].map(s => s.getBoundingClientRect().width)"
    widths = browser.evaluate(size)
    assert len(widths) == 7
    assert all(200 < width <= 1000 for width in widths)
    assert browser.evaluate("document.documentElement.scrollWidth") <= 1000


def test_names_in_reports_show_as_text(browser: Browser, report: str, tmp_path: Path) -> None:
    opened(browser, report, tmp_path / "report.html")
    assert browser.evaluate("document.scripts.length") == 0
    assert WILD in browser.evaluate("document.querySelector('.finding').innerText")
    assert WILD.replace("/", "_") in browser.evaluate("document.querySelector('h1').innerText")
    labels = "[...document.querySelectorAll('svg text')].map(x => x.textContent)"
    assert any(WILD in text for text in browser.evaluate(labels))


def test_reports_run_no_scripts(browser: Browser, report: str, tmp_path: Path) -> None:
    """The page's own rules keep out whatever should get past the escaping."""
    broken = report.replace("</body>", "<script>document.title = 'run'</script></body>")
    (tmp_path / "broken.html").write_text(broken)
    browser.open(tmp_path / "broken.html")
    assert browser.evaluate("document.title") != "run"
    assert any("Content Security Policy" in error for error in browser.errors)


def test_the_data_unfolds(browser: Browser, report: str, tmp_path: Path) -> None:
    opened(browser, report, tmp_path / "report.html")
    first = "document.querySelector('figure details')"
    before = browser.evaluate("document.body.scrollHeight")
    browser.evaluate(f"{first}.querySelector('summary').click()")
    assert browser.evaluate(f"{first}.open")
    told = browser.evaluate(f"{first}.querySelector('pre').innerText")
    assert told.startswith("epoch,train,test")
    assert browser.evaluate("document.body.scrollHeight") > before


PICTURED = [
    ("screen", "light", False), ("screen", "dark", True), ("print", "light", False),
    ("print", "dark", False),
]  # fmt: skip


@pytest.mark.parametrize(("medium", "scheme", "is_dark"), PICTURED)
def test_reports_in_light_dark_and_print(
    browser: Browser, report: str, tmp_path: Path, medium: str, scheme: str, is_dark: bool
) -> None:
    opened(browser, report, tmp_path / "report.html", medium, scheme)
    for ink, paper in (
        (("h1", "color"), ("body", "backgroundColor")),
        (("svg text", "fill"), ("svg path", "fill")),
    ):
        difference = brightness(browser, *ink) - brightness(browser, *paper)
        assert difference > 120 if is_dark else difference < -120
    browser.show_as()


@pytest.mark.parametrize(("medium", "scheme", "is_dark"), PICTURED)
def test_a_picture_by_itself(
    browser: Browser, tmp_path: Path, medium: str, scheme: str, is_dark: bool
) -> None:
    history = {s: {f"grad:{WILD}.weight": {"norm": 0.1**s}} for s in range(4)}
    picture = diagnosis.gradient_flow(history)
    opened(browser, picture.svg, tmp_path / "flow.svg", medium, scheme)
    ink, paper = brightness(browser, "text", "fill"), brightness(browser, "path", "fill")
    assert (ink > paper) is is_dark
    assert browser.evaluate("document.querySelectorAll('script').length") == 0
    browser.show_as()


# Explanations


class Net(nn.Module):
    def __init__(self) -> None:
        self.layers = {WILD: nn.Linear(3, 4), "last": nn.Linear(4, 2)}

    def forward(self, x: Any) -> Any:
        return self.layers["last"](limpid.tanh(self.layers[WILD](x)))


def explained() -> limpid.Explanation:
    limpid.manual_seed(0)
    model = Net()
    return limpid.explain(limpid.sum(model(np.ones((5, 3), np.float32)) ** 2))


def test_an_explanation_opens(browser: Browser, tmp_path: Path) -> None:
    record = explained()
    opened(browser, record.html(), tmp_path / "explanation.html")
    assert browser.requests == [(tmp_path / "explanation.html").resolve().as_uri()]
    told = browser.evaluate("document.body.textContent")
    for edge in record.edges:
        assert str(edge.downstream) in told
    assert browser.evaluate("document.querySelectorAll('.edge').length") >= len(record.edges)
    heights = "[...document.querySelectorAll('math')].map(m => m.getBoundingClientRect().height)"
    found = browser.evaluate(heights)
    assert found
    assert all(height > 5 for height in found)


def test_names_in_explanations_show_as_text(browser: Browser, tmp_path: Path) -> None:
    opened(browser, explained().html(), tmp_path / "explanation.html")
    assert browser.evaluate("document.scripts.length") == 1  # the page's own
    assert browser.evaluate("document.querySelector('script').textContent").strip()
    names = "[...document.querySelectorAll('code')].map(x => x.innerText)"
    assert any(WILD in name for name in browser.evaluate(names))
    assert browser.errors == []


SHOWN = (
    "[...document.querySelectorAll('[data-name]')]"
    ".filter(x => x.offsetParent !== null).map(x => x.dataset.name)"
)


def search(browser: Browser, text: str) -> list[str]:
    browser.evaluate(
        "(() => { const box = document.querySelector('.limpid input');"
        f"box.value = {text!r}; box.dispatchEvent(new Event('input', {{bubbles: true}})); }})()"
    )
    return list(browser.evaluate(SHOWN))


def test_an_explanation_is_searched(browser: Browser, tmp_path: Path) -> None:
    opened(browser, explained().html(), tmp_path / "explanation.html")
    everything = browser.evaluate(SHOWN)
    few = search(browser, "LAST.weight")
    assert few
    assert len(few) < len(everything)
    assert all("last.weight" in name for name in few)
    assert any(WILD in name for name in search(browser, "<script>"))
    assert search(browser, "nowhere") == []
    assert search(browser, "") == everything


def test_an_explanation_folds(browser: Browser, tmp_path: Path) -> None:
    opened(browser, explained().html(), tmp_path / "explanation.html")
    count = "document.querySelectorAll('details[open]').length"
    shown = "[...document.querySelectorAll('.edge')].filter(x => x.checkVisibility()).length"
    before, edges = browser.evaluate(count), browser.evaluate(shown)
    assert before > 2
    browser.evaluate("document.querySelector('summary').click()")
    assert browser.evaluate(count) == before - 1
    assert browser.evaluate(shown) < edges
    browser.evaluate("document.querySelector('summary').click()")
    assert browser.evaluate(shown) == edges


@pytest.mark.parametrize(("medium", "scheme", "is_dark"), PICTURED)
def test_explanations_in_light_dark_and_print(
    browser: Browser, tmp_path: Path, medium: str, scheme: str, is_dark: bool
) -> None:
    opened(browser, explained().html(), tmp_path / "explanation.html", medium, scheme)
    ink = brightness(browser, ".limpid", "color")
    paper = brightness(browser, ".limpid", "backgroundColor")
    assert ink - paper > 120 if is_dark else ink - paper < -120
    browser.show_as()
