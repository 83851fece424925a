"""The cache of compiled objects: shared, damaged, untrusted and full folders."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from limpid.compiler.machine import cache


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.FOLDER, str(tmp_path / "objects"))
    return tmp_path / "objects"


def test_what_is_written_can_be_read(folder: Path) -> None:
    name = cache.key("text", "processor")
    assert cache.read(name) is None
    cache.write(name, b"object")
    assert cache.read(name) == b"object"
    assert cache.key("text", "other") != name
    assert cache.key("textp", "rocessor") != name
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", [b"", b"short", b"\0" * 100])
def test_damaged_entries_are_ignored_and_removed(folder: Path, damage: bytes) -> None:
    cache.write("entry", b"object")
    (folder / "entry").write_bytes(damage)
    assert cache.read("entry") is None
    assert not (folder / "entry").exists()
    cache.write("entry", b"object")
    assert cache.read("entry") == b"object"


def test_a_folder_that_others_can_write_to_is_not_used(folder: Path) -> None:
    cache.write("entry", b"object")
    folder.chmod(0o770)
    assert cache.read("entry") is None
    cache.write("other", b"object")
    assert not (folder / "other").exists()


def test_no_cache_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.FOLDER, "")
    cache.write("entry", b"object")
    assert cache.read("entry") is None
    assert cache.entries() == []


def test_a_cache_that_cannot_be_written_to_is_no_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.parent.joinpath("file").write_text("")
    monkeypatch.setenv(cache.FOLDER, str(folder.parent / "file"))
    cache.write("entry", b"object")
    assert cache.read("entry") is None


def test_the_entries_not_used_for_longest_go_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "LARGEST", 3 * (100 + cache.DIGEST))
    for n in range(4):
        cache.write(f"entry{n}", b"x" * 100)
        os.utime(folder / f"entry{n}", (n, n))
        if n == 2:
            assert cache.read("entry0")  # used just now
            os.utime(folder / "entry0", (10, 10))
    assert sorted(path.name for path in cache.entries()) == ["entry0", "entry2", "entry3"]
    assert cache.clear() == 3
    assert cache.size() == 0


def test_the_folder_is_looked_through_now_and_then(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    entries = cache.entries
    monkeypatch.setattr(cache, "entries", lambda: (looks.append(1), entries())[1])
    monkeypatch.setattr(cache, "LARGEST", 64 * 1000)
    for n in range(100):
        cache.write(f"entry{n}", b"x" * 100)
    assert len(looks) < 2 * 100 / 9  # each look is at all entries twice, after 10 writes
    for n in range(1000):
        cache.write(f"more{n}", b"x" * 100)
    assert cache.size() <= 64 * 1000 + 1000 + 10 * cache.DIGEST


def test_many_processes_write_at_once(folder: Path) -> None:
    code = (
        "from limpid.compiler.machine import cache\n"
        "for n in range(50):\n"
        "    cache.write('entry', b'x' * 10000)\n"
        "    assert cache.read('entry') == b'x' * 10000\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert [path.name for path in folder.iterdir()] == ["entry"]


def test_a_second_process_compiles_nothing(folder: Path) -> None:
    code = (
        "import numpy as np, time\n"
        "from limpid.compiler.machine import loading\n"
        "from limpid.nn import functional as F\n"
        "made = []\n"
        "optimise = loading._optimise\n"
        "loading._optimise = lambda *a: (made.append(1), optimise(*a))\n"
        "y = F.conv2d(np.ones((2, 16, 8, 8)), np.ones((16, 16, 3, 3)))\n"
        "print(len(made), y.sum())\n"
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"LIMPID_NATIVE": "1"},
        ).stdout.split()
        for _ in range(2)
    ]
    assert found[0][1] == found[1][1]
    assert [f[0] for f in found] == ["1", "0"]
