"""The command line as a person meets it: what it prints, refuses, resumes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from limpid.cli import main
from limpid.cli.arguments import join_lists
from limpid.training.checkpoint import load_checkpoint

QUICK = ["--hidden", "16", "--epochs", "2", "--batch-size", "128"]


def limpid(*arguments, **environment):
    """A new process; its status, stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "limpid", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def failure(capsys, *arguments):
    """The status and the one line of a command that fails."""
    status = main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    assert status != 0
    assert out == ""
    assert err.startswith("limpid: ")
    assert err.count("\n") == 1
    return status, err


# Training


def test_train_digits(tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["train", "digits", *QUICK, "--output", str(run)]) == 0
    out, err = capsys.readouterr()
    assert "Test accuracy" in out
    assert "of 359" in out
    assert str(run) in out
    assert f"limpid train --resume {run} --epochs 4" in out
    assert "epoch 2/2" in err
    assert len([line for line in out.splitlines() if line.startswith("│")]) == 10
    assert "\x1b" not in out + err  # plain text where there is no terminal


def test_the_call_of_the_readme(tmp_path, capsys):
    call = (
        "train digits --hidden 128 64 --activation tanh --loss hinge --optimizer sgd --lr 0.1 "
        "--momentum 0.9 --batch-size 64 --epochs 20 --seed 0 --l2 1e-4 --json --output"
    )
    assert main([*call.split(), str(tmp_path)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["config"]["hidden"] == [128, 64]
    assert result["config"]["l2"] == 1e-4
    assert result["test_accuracy"] > 0.95
    assert result["epochs"] == 20
    assert np.trace(result["confusion"]) == round(result["test_accuracy"] * 359)


@pytest.mark.parametrize(("size", "steps"), [("full", 1), ("1", 1438), ("1000", 2), ("5000", 1)])
def test_batch_sizes(tmp_path, capsys, size, steps):
    call = ["train", "digits", "--hidden", "8", "--epochs", "1", "--batch-size", size, "--json"]
    assert main([*call, "--output", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == steps


def test_json_and_quiet_say_nothing_else(tmp_path, capsys):
    assert main(["train", *QUICK, "--json", "--output", str(tmp_path / "a")]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["run"] == str(tmp_path / "a")
    assert err == ""
    assert main(["train", *QUICK, "-q", "--output", str(tmp_path / "b")]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == (f"{tmp_path / 'b'}\n", "")


def test_early_stop(tmp_path, capsys):
    call = ["train", "--hidden", "8", "--epochs", "300", "--tolerance", "0.05", "--patience", "3"]
    assert main([*call, "--batch-size", "full", "--lr", "0.01", "--output", str(tmp_path)]) == 0
    assert "the loss changed by less than 0.05 in 3 epochs" in capsys.readouterr().out


def test_own_data_with_awkward_names(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [f"{i % 3}.{i},[bold]{i % 3}" for i in range(60)]
    (tmp_path / "my [data].csv").write_text("width,kind\n" + "\n".join(rows))
    assert main(["train", "my [data].csv", "--epochs", "1", "--output", "run [1]"]) == 0
    out = capsys.readouterr().out
    assert "[bold]2" in out
    assert "limpid train --resume 'run [1]'" in out


def test_many_classes_are_listed_not_drawn(tmp_path, capsys):
    x, y = np.random.default_rng(0).normal(size=(400, 3)), np.arange(400) % 40
    np.savez(tmp_path / "a.npz", x=x, y=y)
    call = ["train", str(tmp_path / "a.npz"), "--epochs", "1", "--output", str(tmp_path / "run")]
    assert main(call) == 0
    assert "Most frequent confusions" in capsys.readouterr().out


# The same in other processes


def test_same_weights_for_any_hash_seed(tmp_path):
    states = []
    for seed in ("0", "77"):
        run = tmp_path / seed
        status, _, err = limpid("train", *QUICK, "-q", "--output", run, PYTHONHASHSEED=seed)
        assert (status, err) == (0, "")
        states.append(load_checkpoint(run / "checkpoint.safetensors"))
    for name, value in states[0]["model"].items():
        assert value.tobytes() == states[1]["model"][name].tobytes()


@pytest.mark.parametrize("more", [[], ["--eager"]])
def test_ten_epochs_are_five_and_five(tmp_path, more):
    """10 epochs = 5 epochs + save + new process + resume + 5 epochs, bitwise."""
    call = ["train", "digits", "--hidden", "16", "--dropout", "0.1", "-q", *more, "--output"]
    assert limpid(*call, tmp_path / "ten", "--epochs", 10)[0] == 0
    assert limpid(*call, tmp_path / "five", "--epochs", 5)[0] == 0
    status, out, err = limpid("train", "--resume", tmp_path / "five", "--epochs", 10, "-q")
    assert (status, out, err) == (0, f"{tmp_path / 'five'}\n", "")
    ten, five = (load_checkpoint(tmp_path / n / "checkpoint.safetensors") for n in ("ten", "five"))
    for state in (ten, five):
        del state["seconds"]
    assert json.dumps(ten, default=repr_exactly) == json.dumps(five, default=repr_exactly)


def repr_exactly(array):
    return [str(array.dtype), array.shape, array.tobytes().hex()]


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path):
    run = tmp_path / "run"
    command = [sys.executable, "-m", "limpid", "train", "--batch-size", "1", "--epochs", "1000"]
    with subprocess.Popen(
        [*command, "--output", str(run)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while not (run / "metrics.jsonl").exists():
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == 130
    assert f"Go on with: limpid train --resume {run}" in out
    assert "Traceback" not in err
    state = load_checkpoint(run / "checkpoint.safetensors")
    assert state["ended"] == "interrupted"
    assert main(["train", "--resume", str(run), "--epochs", str(state["epoch"] + 1), "-q"]) == 0


def test_kill_leaves_a_run_that_goes_on(tmp_path):
    run = tmp_path / "run"
    command = [sys.executable, "-m", "limpid", "train", *QUICK[:2], "--epochs", "100000", "-q"]
    with subprocess.Popen([*command, "--output", str(run)]) as process:
        while not (run / "metrics.jsonl").exists():
            time.sleep(0.05)
        time.sleep(0.1)
        process.kill()
    epoch = load_checkpoint(run / "checkpoint.safetensors")["epoch"]
    status, out, err = limpid("train", "--resume", run, "--json", "--epochs", epoch + 2)
    assert status == 0, err
    assert json.loads(out)["epochs"] == epoch + 2


# Errors: one line, a status, no traceback


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ("frobnicate", 2, "No such command 'frobnicate'"),
        ("--frobnicate", 2, "No such option"),
        ("train --frobnicate", 2, "No such option"),
        ("train digits more", 2, "unexpected extra argument"),
        ("train --epochs", 2, "--epochs"),
        ("train --lr fast", 2, "--lr"),
        ("train --epochs 2.5", 2, "--epochs"),
        ("train faces", 1, "no data named 'faces'"),
        ("train --lr -1", 1, "lr must be above 0"),
        ("train --lr nan", 1, "lr must be above 0"),
        ("train --epochs 0", 1, "epochs must be at least 1"),
        ("train --seed -1", 1, "seed must be"),
        ("train --hidden 0", 1, "hidden must be widths"),
        ("train --hidden -3", 1, "hidden must be widths"),
        ("train --hidden 12.5", 1, "--hidden takes whole numbers"),
        ("train --batch-size half", 1, "--batch-size takes a number or full"),
        ("train --batch-size 0", 1, "batch_size must be at least 1"),
        ("train --loss l7", 1, "loss 'l7' is unknown; choose from"),
        ("train --momentum 0.9", 1, "momentum belongs to sgd"),
        ("train --patience 2", 1, "patience needs a tolerance"),
        ("train --label kind", 1, "a label column can be chosen in a .csv"),
        ("train --resume nowhere", 1, "nowhere: no such run folder"),
        ("train --resume .", 1, "is not a run folder"),
        ("train --resume . --lr 0.1 --l2 1", 1, "--lr, --l2 can't be given with --resume"),
        ("train --resume . --eager", 1, "--eager can't be given with --resume"),
        ("train --output file/run", 1, "can't be made"),
        ("train --output .", 1, "is not empty"),
    ],
)
def test_errors(tmp_path, monkeypatch, capsys, arguments, status, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    found, line = failure(capsys, *arguments.split())
    assert found == status
    assert words in line
    assert not (tmp_path / "runs").exists()


def test_bad_data_files(tmp_path, capsys):
    path = tmp_path / "a.csv"
    path.write_text("a,label\n1,0\nnan,1\n")
    assert "row 3, column a: 'nan' is not a number" in failure(capsys, "train", path)[1]
    folder = tmp_path / "mnist"
    folder.mkdir()
    assert "no file train-images-idx3-ubyte" in failure(capsys, "train", folder)[1]
    (folder / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03\0\0\0\x01")
    (folder / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01\0\0\0\x01\x05")
    assert "truncated" in failure(capsys, "train", folder)[1]


def test_divergence_is_one_line(tmp_path):
    call = ["train", "--optimizer", "sgd", "--lr", "1e9", "--json", "--output", tmp_path]
    status, out, err = limpid(*call)
    assert (status, out) == (1, "")
    assert err.startswith("limpid: the loss became")
    assert err.count("\n") == 1


def test_damaged_checkpoint(tmp_path, capsys):
    assert main(["train", *QUICK, "-q", "--output", str(tmp_path)]) == 0
    capsys.readouterr()
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert "damaged" in failure(capsys, "train", "--resume", tmp_path)[1]


# Asking


def test_help_and_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("limpid ")
    assert main(["--help"]) == 0
    assert "train" in capsys.readouterr().out
    assert main(["train", "--help"]) == 0
    out = capsys.readouterr().out
    assert "limpid train digits --hidden 128 64" in " ".join(out.split())
    for word in ("--resume", "cross-entropy", "full", "MNIST"):
        assert word in out


def test_a_closed_pipe_is_no_error():
    command = f"{sys.executable} -m limpid train --help | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("given", "joined"),
    [
        (["--hidden", "128", "64", "digits"], ["--hidden=128,64", "digits"]),
        (["--hidden=5", "--lr", "1"], ["--hidden=5", "--lr", "1"]),
        (["digits", "--hidden"], ["digits", "--hidden=none"]),
        (["--hidden", "none", "--lr", "1"], ["--hidden=none", "--lr", "1"]),
        (["--hidden", "128,64"], ["--hidden=128,64"]),
        (["--", "--hidden", "1", "2"], ["--", "--hidden", "1", "2"]),
    ],
)
def test_lists_of_numbers(given, joined):
    assert join_lists(given) == joined
