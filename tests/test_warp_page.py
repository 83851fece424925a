"""The page of a warp in a browser: it plays, the slider works, names are text, no network."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limpid.diagnosis.experiments import compare_rates
from limpid.diagnosis.warp import from_arrays, warp
from tests.browser import Browser

pytestmark = pytest.mark.browser

NOW = "Number(document.getElementById('time').value)"
TOLD = "document.getElementById('told').textContent"
PICTURES = "[...document.querySelectorAll('canvas')].map(canvas => canvas.toDataURL())"


def to(value: int) -> str:
    return (
        f"(slider => {{slider.value = {value}; slider.dispatchEvent(new Event('input'))}})"
        "(document.getElementById('time'))"
    )


@pytest.fixture(scope="module")
def found() -> Any:
    return warp("moons", (2, 3), epochs=40, n=40, frames=6)


@pytest.fixture(scope="module")
def page(found: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return found.save(tmp_path_factory.mktemp("warp") / "warp.html")


def opened(browser: Browser, page: Path) -> None:
    browser.show_as()
    browser.open(page, 1200, 900)
    assert browser.errors == []
    assert len(browser.requests) == 1  # the file itself


def test_all_panels_are_drawn(browser: Browser, page: Path, found: Any) -> None:
    opened(browser, page)
    captions = "[...document.querySelectorAll('figcaption')].map(part => part.textContent)"
    titles = [view.stage.title for view in found.views]
    assert browser.evaluate(captions) == [*titles, "loss"]
    pictures = browser.evaluate(PICTURES)
    assert len(set(pictures)) == len(pictures)
    assert "principal components of 3" in browser.evaluate("document.body.innerText")


def test_the_slider_shows_moments(browser: Browser, page: Path, found: Any) -> None:
    opened(browser, page)
    seen = []
    for number, frame in enumerate(found.frames):
        browser.evaluate(to(number))
        assert browser.evaluate(TOLD).startswith(f"epoch {frame.epoch}: loss ")
        seen.append(tuple(browser.evaluate(PICTURES)))
    assert len(set(seen)) == len(found.frames)
    browser.evaluate(to(0))
    assert tuple(browser.evaluate(PICTURES)) == seen[0]


def test_it_plays_to_the_end_and_pauses(browser: Browser, page: Path, found: Any) -> None:
    opened(browser, page)
    press = "document.getElementById('play').click()"
    label = "document.getElementById('play').getAttribute('aria-label')"
    browser.evaluate(press)
    assert browser.evaluate(label) == "Pause"
    places = {browser.evaluate(NOW)}
    end = time.monotonic() + 20
    while browser.evaluate(label) == "Pause" and time.monotonic() < end:
        places.add(browser.evaluate(NOW))
    assert len(places) > 2
    assert browser.evaluate(NOW) == len(found.frames) - 1
    browser.evaluate(press)
    browser.evaluate(press)
    held = browser.evaluate(NOW)
    time.sleep(0.4)
    assert browser.evaluate(NOW) == held < len(found.frames) - 1
    assert browser.errors == []


def test_keys_play_and_step(browser: Browser, page: Path, found: Any) -> None:
    opened(browser, page)
    key = "document.body.dispatchEvent(new KeyboardEvent('keydown', {{key: '{}', bubbles: true}}))"
    last = len(found.frames) - 1
    browser.evaluate(key.format("ArrowLeft"))
    assert browser.evaluate(NOW) == last - 1
    for _ in range(3):
        browser.evaluate(key.format("ArrowRight"))
    assert browser.evaluate(NOW) == last


def test_points_are_where_the_data_says(browser: Browser, page: Path, found: Any) -> None:
    """With all else hidden, each point's place on the canvas has its class's colour."""
    opened(browser, page)
    for name in ("grid", "lines", "boundary", "shading"):
        browser.evaluate(f"document.getElementById('show-{name}').click()")
    for number, view in enumerate(found.views):
        window, plane = view.window, found.frames[-1].planes[number]
        side = browser.evaluate(f"document.querySelectorAll('canvas')[{number}].width")
        share = (plane.points - [window.x, window.y]) / (2 * window.half) + 0.5
        pixels = np.floor(share * [side, -side] + [0, side]).astype(int)
        last = len(pixels) - 1  # drawn on top of all others
        colour = browser.evaluate(
            f"[...document.querySelectorAll('canvas')[{number}].getContext('2d').getImageData("
            f"{pixels[last][0]}, {pixels[last][1]}, 1, 1).data.slice(0, 3)]"
        )
        assert colour == [0xD5, 0x5E, 0x00]


def test_pointing_shows_a_point_everywhere(browser: Browser, page: Path, found: Any) -> None:
    opened(browser, page)
    before = browser.evaluate(PICTURES)
    window, place = found.views[0].window, found.points.x[0]
    share = (place - [window.x, window.y]) / (2 * window.half) + 0.5
    browser.evaluate(
        "(canvas => { const box = canvas.getBoundingClientRect(); canvas.dispatchEvent("
        f"new PointerEvent('pointermove', {{clientX: box.left + {share[0]} * box.width, "
        f"clientY: box.top + {1 - share[1]} * box.height}})) }})(document.querySelector('canvas'))"
    )
    after = browser.evaluate(PICTURES)
    panels = len(found.views)
    assert all(a != b for a, b in zip(after[:panels], before))


def test_names_show_as_text(browser: Browser, tmp_path: Path) -> None:
    bad = "</script><script>alert(1)</script>"
    points = from_arrays(np.eye(2), np.array([0, 1]), (bad, "<img src=x onerror=alert(2)>"), bad)
    opened(browser, warp(points, (2,), epochs=1, frames=2).save(tmp_path / "w.html"))
    assert bad in browser.evaluate("document.querySelector('h1').textContent")
    assert "<img src=x" in browser.evaluate("document.getElementById('legend').textContent")
    assert browser.evaluate("document.scripts.length") == 2
    assert browser.evaluate("document.images.length") == 0


def test_a_page_of_one_moment_has_no_controls(browser: Browser, tmp_path: Path) -> None:
    opened(browser, warp("xor", (2,), epochs=1, n=20, frames=1).save(tmp_path / "w.html"))
    for id_ in ("play", "time"):
        shown = f"getComputedStyle(document.getElementById('{id_}')).display"
        assert browser.evaluate(shown) == "none"
    assert browser.evaluate(TOLD).startswith("epoch 1: loss")


def corner(browser: Browser) -> float:
    """How bright the loss's paper is."""
    got = "document.querySelector('canvas:last-of-type')"
    last = f"[...document.querySelectorAll('canvas')].at(-1) || {got}"
    data = f"[...({last}).getContext('2d').getImageData(3, 60, 1, 1).data.slice(0, 3)]"
    return sum(browser.evaluate(data)) / 3


def test_light_and_dark(browser: Browser, page: Path) -> None:
    opened(browser, page)
    assert corner(browser) > 240
    browser.show_as(scheme="dark")
    end = time.monotonic() + 10
    while corner(browser) > 60 and time.monotonic() < end:
        time.sleep(0.05)
    assert corner(browser) < 60
    browser.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert corner(browser) > 240
    browser.show_as()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_an_experiment(browser: Browser, tmp_path: Path, scheme: str) -> None:
    path = compare_rates((0.1, 1.0), epochs=1).save(tmp_path / "rate.html")
    browser.show_as(scheme=scheme)
    browser.open(path)
    assert browser.errors == []
    assert len(browser.requests) == 1
    colour = browser.evaluate(
        "getComputedStyle([...document.querySelectorAll('svg text')]"
        ".find(text => text.textContent.includes('learning rate'))).fill"
    )
    bright = sum(map(int, colour[colour.index("(") + 1 : -1].split(","))) / 3
    assert bright > 200 if scheme == "dark" else bright < 60
    browser.show_as()
