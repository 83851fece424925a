"""`limpid cache`: what it says of full, empty, foreign and unwanted folders, and clearing."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from limpid.cli import main
from limpid.compiler.machine import cache


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: Any) -> Path:
    monkeypatch.setenv(cache.FOLDER, str(tmp_path / "objects"))
    return tmp_path / "objects"


def said(capsys: Any, *options: str) -> str:
    assert main(["cache", *options]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def counted(capsys: Any, *options: str) -> dict[str, Any]:
    return json.loads(said(capsys, "--json", *options))


def test_before_anything_is_kept(folder: Path, capsys: Any) -> None:
    found = counted(capsys)
    assert found == {
        "folder": str(folder),
        "trusted": None,
        "entries": 0,
        "bytes": 0,
        "most_bytes": cache.LARGEST,
        "youngest_seconds": None,
        "oldest_seconds": None,
    }
    assert said(capsys).splitlines() == [
        f"Folder   {folder}",
        "Entries  0, 0 B of at most 256.0 MiB",
    ]
    assert not folder.exists()  # looking makes nothing


def test_number_size_and_ages(folder: Path, capsys: Any) -> None:
    for number in range(3):
        cache.write(f"entry{number}", b"x" * 1000)
        used = time.time() - number * 86400
        os.utime(folder / f"entry{number}", (used, used))
    found = counted(capsys)
    assert (found["entries"], found["bytes"]) == (3, 3 * (1000 + cache.DIGEST))
    assert 0 <= found["youngest_seconds"] < 60
    assert 0 <= found["oldest_seconds"] - 2 * 86400 < 60
    assert found["trusted"] is True
    text = said(capsys)
    assert "Entries  3, 3.0 KiB of at most" in text
    assert "between 2 days ago and a moment ago" in text


def test_clear(folder: Path, capsys: Any) -> None:
    for number in range(3):
        cache.write(f"entry{number}", b"x")
    assert "Removed  3" in said(capsys, "--clear")
    assert cache.entries() == []
    assert counted(capsys, "--clear")["removed"] == 0
    cache.write("entry", b"x")  # it is used as before
    assert cache.read("entry") == b"x"


def test_a_folder_that_others_can_write_to(folder: Path, capsys: Any) -> None:
    cache.write("entry", b"x")
    folder.chmod(0o777)
    assert "It is not used" in said(capsys)
    found = counted(capsys, "--clear")
    assert (found["trusted"], found["entries"], found["removed"]) == (False, 0, 0)
    assert (folder / "entry").exists()  # what may be somebody else's is left alone


def test_no_cache_is_wanted(monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setenv(cache.FOLDER, "")
    assert "LIMPID_CACHE is empty" in said(capsys)
    assert counted(capsys)["folder"] is None
    assert counted(capsys, "--clear")["removed"] == 0


def test_a_file_in_the_place_of_the_folder(folder: Path, capsys: Any) -> None:
    folder.write_text("")
    assert "It is not used" in said(capsys)


def test_a_wrong_option(capsys: Any) -> None:
    assert main(["cache", "--all"]) == 2
    assert "--help explains" in capsys.readouterr().err
