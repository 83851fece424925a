"""The explanation as a page: it holds the record's numbers, and names never become markup."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import limpid
from limpid import errors, nn


class Reader(HTMLParser):
    """Checks that tags close, and collects the text and the tags."""

    VOID = frozenset({"meta", "input", "br", "rect"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [str(v) for name, v in attrs if name in ("src", "href", "srcset")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open[-1] in ("th", "tr", "td") and self.open[-1] != tag:
            self.open.pop()  # which HTML closes by itself
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def explained() -> Any:
    W = limpid.tensor([[0.1, 0.5], [-0.3, 0.8]], requires_grad=True)
    x = limpid.tensor([0.2, 0.4], requires_grad=True)
    q = W @ x
    return limpid.explain(limpid.sum(q * q))


def test_the_page_says_what_the_record_says() -> None:
    record = explained()
    page = Reader(record.html())
    assert not page.open
    for edge in record.edges:
        assert str(edge.downstream) in page.text
        assert edge.words in page.text
    assert "math" in page.tags


def test_nothing_is_fetched() -> None:
    page = Reader(explained().html())
    assert page.addresses == []
    assert "default-src 'none'" in explained().html()


def test_names_are_text() -> None:
    wild = '<script>alert("1")</script>&amp;'

    class Net(nn.Module):
        def __init__(self) -> None:
            self.layers = {wild: nn.Linear(2, 2)}

        def forward(self, x: Any) -> Any:
            return self.layers[wild](x)

    model = Net()
    record = limpid.explain(limpid.sum(model(np.ones((1, 2), np.float32))))
    assert any(wild in step.name for step in record.steps)
    for made in (record.html(), record._repr_html_()):
        assert "<script>alert" not in made
        assert wild in Reader(made).text


def test_files(tmp_path: Path) -> None:
    record = explained()
    for ending in ("html", "json", "tex", "txt"):
        record.save(tmp_path / f"record.{ending}")
        assert (tmp_path / f"record.{ending}").stat().st_size > 100
    assert json.loads((tmp_path / "record.json").read_text()) == record.to_json()
    with pytest.raises(errors.ArgumentError, match=r"\.html, \.json, \.tex, \.txt"):
        record.save(tmp_path / "record.pdf")


def test_large_arrays_have_histograms() -> None:
    x = limpid.tensor(np.random.default_rng(0).normal(size=(30, 40)), requires_grad=True)
    page = limpid.explain(limpid.sum(limpid.relu(x))).html()
    assert 'class="histogram"' in page
    assert len(page) < 100_000


def test_arrays_without_finite_numbers() -> None:
    x = limpid.tensor(np.full((5, 5), np.nan), requires_grad=True)
    assert "not finite" in limpid.explain(limpid.sum(limpid.exp(x))).html()


class Block(nn.Module):
    def __init__(self) -> None:
        self.fc1 = nn.Linear(4, 4)
        self.fc2 = nn.Linear(4, 4)

    def forward(self, x: Any) -> Any:
        return x + self.fc2(limpid.relu(self.fc1(x)))


def test_repeated_blocks_are_folded() -> None:
    """All are on the page; the text has the first, or each if that is asked for."""
    limpid.manual_seed(0)
    model = nn.Sequential(*(Block() for _ in range(5)))
    record = limpid.explain(limpid.sum(model(np.ones((2, 4), np.float32))))
    page, text, whole = record.html(), str(record), record.text(folded=False)
    for number in range(5):
        name = f"{number}.fc1.weight"
        assert name in page
        assert f"\n    → {name}: " in whole
        assert (f"\n    → {name}: " in text) == (number == 0)
    assert text.count("0 … 4 ×5: 16 more, as in the first") == 3  # parameters, forward, backward
    assert page.count('<details class="more">') == 3
    assert "more" not in whole
