"""Checkpoints and what else a run folder holds: whole or not there, damaged files, full disks."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from xml.etree import ElementTree

import numpy as np
import pytest

import limpid
from limpid.errors import ArgumentError, RunError
from limpid.files.durable import write_durably
from limpid.files.packing import pack, unpack
from limpid.training.chart import Chart, draw_charts
from limpid.training.checkpoint import load_checkpoint, save_checkpoint
from limpid.training.metrics import Mean, confusion_table

STATE = {
    "model": {"0.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "scale": np.float64(2.5)},
    "optimizer": {"state": {0: {"step": 3, "slots": (np.ones(2), None)}}, "groups": [{"lr": 0.1}]},
    "random": {"key": 2**64 - 1, "counter": [1, 2]},
    "empty": {"array": np.zeros((0, 4)), "dict": {}, "text": "ε"},
    "flags": np.array([True, False]),
    "numbers": [0.1, 1e-300, float("inf"), -0.0, 10**30],
}


def assert_same(a, b):
    if isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert type(a) is type(b)
        assert len(a) == len(b)
        for x, y in zip(a, b):
            assert_same(x, y)
    elif isinstance(a, np.ndarray | np.generic):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        assert a.tobytes() == b.tobytes()
    else:
        assert type(a) is type(b)
        assert repr(a) == repr(b)


# Packing and checkpoints


def test_packing_round_trip():
    arrays, packed = pack(STATE)
    assert_same(STATE, unpack(arrays, json.loads(json.dumps(packed))))


def test_packing_names_arrays_by_their_place():
    assert "model.0.weight" in pack(STATE)[0]
    assert "optimizer.state.0.slots.0" in pack(STATE)[0]


def test_packing_tensors_and_refusing_others():
    arrays, packed = pack({"t": limpid.tensor([1.0], requires_grad=True)})
    assert unpack(arrays, packed)["t"].tolist() == [1.0]
    with pytest.raises(ArgumentError, match=r"a\.b: a checkpoint can't hold a set"):
        pack({"a": {"b": {1}}})


def test_checkpoint_round_trip(tmp_path):
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, STATE)
    assert_same(STATE, load_checkpoint(path))
    assert [p.name for p in tmp_path.iterdir()] == ["c.safetensors"]


def test_checkpoint_is_a_safetensors_file(tmp_path):
    from safetensors.numpy import load_file

    save_checkpoint(tmp_path / "c", STATE)
    np.testing.assert_array_equal(
        load_file(tmp_path / "c")["model.0.weight"], STATE["model"]["0.weight"]
    )


def test_arrays_of_any_layout(tmp_path):
    array = np.arange(24.0).reshape(2, 3, 4)
    state = {"t": array.T, "strided": array[:, ::2], "scalar": array[0, 0, 0]}
    save_checkpoint(tmp_path / "c", state)
    for name, value in load_checkpoint(tmp_path / "c").items():
        np.testing.assert_array_equal(value, state[name])


def refused(path):
    with pytest.raises(RunError) as caught:
        load_checkpoint(path)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_damaged_checkpoints(tmp_path):
    path = tmp_path / "c"
    save_checkpoint(path, STATE)
    raw = path.read_bytes()
    for cut in (0, 4, 8, 50, len(raw) // 2, len(raw) - 1):
        path.write_bytes(raw[:cut])
        assert "damaged" in refused(path)
    for place in range(0, len(raw), 7):  # any changed byte is noticed
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        refused(path)
    path.write_bytes(raw + b"x")
    assert "damaged" in refused(path)
    assert "no such checkpoint" in refused(tmp_path / "none")
    refused(tmp_path)


def test_foreign_safetensors_file(tmp_path):
    from safetensors.numpy import save_file

    save_file({"w": np.ones(2)}, tmp_path / "w.safetensors")
    assert "not a checkpoint" in refused(tmp_path / "w.safetensors")


WRITER = """
import sys
import numpy as np
from limpid.training.checkpoint import save_checkpoint
n = 0
while True:
    n += 1
    save_checkpoint(sys.argv[1], {"n": n, "array": np.full(200_000, n)})
    print(n, flush=True)
"""


def test_kill_at_any_moment(tmp_path):
    """A writer is killed again and again; what is left always loads and is the last or the next."""
    path = tmp_path / "c.safetensors"
    for attempt in range(8):
        command = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            process.stdout.readline()
            time.sleep(0.0037 * attempt)
            process.send_signal(signal.SIGKILL)
            written = [1, *map(int, process.stdout.read().split())]
        state = load_checkpoint(path)
        assert written[-1] <= state["n"] <= written[-1] + 1
        assert np.all(state["array"] == state["n"])


def test_full_disk_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "c"
    save_checkpoint(path, {"n": 1})

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match=r"No space left on device; the file from before is intact"):
        save_checkpoint(path, {"n": 2})
    monkeypatch.undo()
    assert load_checkpoint(path) == {"n": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["c"]  # nothing half done stays


def test_no_room_for_the_file(tmp_path):
    """The system itself refuses to write more than so many bytes."""
    path = tmp_path / "c"
    save_checkpoint(path, {"n": 1})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(RunError, match="could not be written: File too large; the file from"):
            save_checkpoint(path, {"array": np.ones(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert load_checkpoint(path) == {"n": 1}
    assert len(list(tmp_path.iterdir())) == 1


def test_folder_that_is_gone(tmp_path):
    with pytest.raises(RunError, match="No such file or directory"):
        write_durably(tmp_path / "gone" / "file", b"")


# Metrics and charts


def test_confusion_table():
    table = confusion_table(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 3)
    assert table.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_mean_weighs_batches():
    mean = Mean()
    mean.add(1.0, 3)
    mean.add(5.0, 1)
    assert mean.value == 2.0


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([1, 2, 3], [2.0, 0.5, 0.01]),
        ([1], [0.3]),
        ([1, 2], [0.5, 0.5]),
        ([1, 2], [0.0, 0.0]),
        ([], []),
        ([1, 2, 3], [float("nan"), 1.0, 2.0]),
        (list(range(5000)), np.geomspace(1e-9, 1e9, 5000).tolist()),
    ],
)
def test_charts_are_well_formed(x, y):
    picture = draw_charts([Chart("loss <&>", x, {"train": y, "test": y})] * 2, "a & b", "epoch")
    root = ElementTree.fromstring(picture)
    for element in root.iter():
        for name in ("x1", "x2", "cx"):
            if name in element.attrib:
                assert 0 <= float(element.attrib[name]) <= 840
    assert "nan" not in picture
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")
