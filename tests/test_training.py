"""Training runs: exact resumption, interruption, early stop, full disks, refusals."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
from inspect import getclosurevars
from xml.etree import ElementTree

import numpy as np
import pytest

import limpid
from limpid.data import from_arrays, load_digits
from limpid.errors import ArgumentError, DataError, LimpidError, RunError
from limpid.training import Callback, Config, load_model, resume, step, train
from limpid.training.checkpoint import load_checkpoint, save_checkpoint
from limpid.training.construction import build_model, build_objective, build_optimizer
from limpid.training.folder import RunFolder
from limpid.training.step import Objective, compiled_step, train_step
from tests.test_checkpoints import assert_same

SMALL = {"hidden": (12,), "batch_size": 64, "epochs": 3}


class StopAfter(Callback):
    """Ends training as Ctrl-C would, after so many steps."""

    def __init__(self, steps):
        self.steps = steps

    def on_step(self, trainer):
        if trainer.step == self.steps:
            signal.raise_signal(signal.SIGINT)


def state_of(folder):
    """The checkpoint without what may differ between equal runs: times and the number of epochs."""
    state = load_checkpoint(folder / "checkpoint.safetensors")
    del state["seconds"], state["config"]["epochs"]
    return state


def lines_of(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


def test_training_learns_and_leaves_a_run_folder(tmp_path):
    result = train(output=tmp_path / "run", lr=0.01, **SMALL | {"epochs": 8})
    assert result.test_accuracy > 0.85
    assert result.ended == "all epochs done"
    assert result.confusion.sum() == 359
    files = sorted(p.name for p in (tmp_path / "run").iterdir())
    assert files == ["checkpoint.safetensors", "config.json", "loss.svg", "metrics.jsonl"]
    lines = lines_of(tmp_path / "run")
    assert [line["epoch"] for line in lines] == list(range(1, 9))
    assert lines[-1]["step"] == 8 * 23  # 1438 examples by 64, the last batch smaller
    assert lines[-1]["train_loss"] < lines[0]["train_loss"]
    assert set(lines[0]["gradient_norms"]) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config == result.config.to_dict()
    assert ElementTree.parse(tmp_path / "run" / "loss.svg").getroot().tag.endswith("svg")


def test_five_seeds_reach_97_percent(tmp_path):
    """The defaults, for seeds 0 to 4."""
    for seed in range(5):
        result = train(seed=seed, output=tmp_path / str(seed))
        assert result.test_accuracy >= 0.97, seed


@pytest.mark.parametrize(
    "settings",
    [
        {"hidden": (128, 64), "activation": "tanh", "loss": "hinge", "optimizer": "sgd",
         "momentum": 0.9, "batch_size": 64, "l2": 1e-4},
        {"loss": "mse", "activation": "gelu", "init": "xavier", "l1": 1e-6, "dropout": 0.1},
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "activation": "sigmoid", "lr": 0.2},
        {"optimizer": "adam", "init": "orthogonal", "activation": "elu", "weight_decay": 1e-5},
        {"hidden": (), "lr": 0.01},
    ],
)  # fmt: skip
def test_settings_that_learn(tmp_path, settings):
    result = train(output=tmp_path, epochs=12, **settings)
    assert result.test_accuracy > 0.92


def test_same_seed_same_weights(tmp_path):
    a = train(output=tmp_path / "a", dropout=0.1, **SMALL)
    limpid.random.seed(5)
    before = limpid.random.default_generator().state_dict()["state"].tolist()
    train(output=tmp_path / "b", dropout=0.1, **SMALL)
    assert limpid.random.default_generator().state_dict()["state"].tolist() == before
    assert_same(state_of(tmp_path / "a"), state_of(tmp_path / "b"))
    other = train(output=tmp_path / "c", seed=1, **SMALL)
    assert a.metrics[0]["train_loss"] != other.metrics[0]["train_loss"]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True, "dropout": 0.2},
        {"batch_size": None},
        {"tolerance": 1e-9, "patience": 2},
    ],
)
def test_resumed_run_is_the_same_bit_for_bit(tmp_path, settings):
    settings = SMALL | settings
    train(output=tmp_path / "whole", **settings | {"epochs": 6})
    train(output=tmp_path / "parts", **settings)
    resume(tmp_path / "parts", epochs=6)
    assert_same(state_of(tmp_path / "whole"), state_of(tmp_path / "parts"))
    assert lines_of(tmp_path / "whole") == lines_of(tmp_path / "parts")


@pytest.mark.parametrize("steps", [1, 22, 23, 24, 40])
def test_interrupted_within_an_epoch(tmp_path, steps):
    """Ctrl-C at a step; 23 steps are an epoch, so 23 is the very last of one."""
    train(output=tmp_path / "whole", dropout=0.1, **SMALL)
    result = train(output=tmp_path / "parts", dropout=0.1, callbacks=[StopAfter(steps)], **SMALL)
    assert result.interrupted
    assert len(result.metrics) == steps // 23
    state = load_checkpoint(tmp_path / "parts" / "checkpoint.safetensors")
    assert (state["step"], state["ended"]) == (steps, "interrupted")
    again = resume(tmp_path / "parts")
    assert again.ended == "all epochs done"
    assert_same(state_of(tmp_path / "whole"), state_of(tmp_path / "parts"))
    assert lines_of(tmp_path / "whole") == lines_of(tmp_path / "parts")


def test_killed_after_its_metrics_were_written(tmp_path, monkeypatch):
    """Lines of epochs that the checkpoint does not have are dropped and written again."""
    train(output=tmp_path / "whole", **SMALL)
    train(output=tmp_path / "killed", **SMALL | {"epochs": 2})
    saved = (tmp_path / "killed" / "checkpoint.safetensors").read_bytes()
    resume(tmp_path / "killed", epochs=3)
    (tmp_path / "killed" / "checkpoint.safetensors").write_bytes(saved)
    with (tmp_path / "killed" / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 4, "tr')  # the line that was being written
    (tmp_path / "killed" / ".checkpoint.safetensors.1.partial").write_bytes(b"half")
    resume(tmp_path / "killed", epochs=3)
    assert lines_of(tmp_path / "whole") == lines_of(tmp_path / "killed")
    assert not list((tmp_path / "killed").glob(".*"))


class Keep(Callback):
    """Keeps what a callback can see of each step: the arrays themselves, and copies of them."""

    def __init__(self):
        self.kept = []

    def on_step(self, trainer):
        named = list(trainer.model.named_parameters())
        self.kept.append(
            [(f"{n}.grad", p.grad.numpy(), p.grad.numpy().copy()) for n, p in named]
            + [(n, p.detach().numpy(), p.detach().numpy().copy()) for n, p in named]
        )


@pytest.mark.parametrize(
    "settings",
    [
        {"hidden": (128, 64), "l1": 1e-4, "l2": 1e-3},
        {"optimizer": "sgd", "momentum": 0.9, "dropout": 0.2, "lr": 0.05},
        {"batch_size": None, "loss": "hinge"},
        {"batch_size": 5000, "loss": "mse"},
        {"model": "lenet", "hidden": (12,), "dropout": 0.0, "batch_size": 700},
    ],
)
def test_compiled_as_eager(tmp_path, settings):
    """Losses, gradients and weights of every step, and what callbacks keep stays as it was."""
    settings = SMALL | {"epochs": 2} | settings
    eager, compiled = Keep(), Keep()
    a = train(output=tmp_path / "a", eager=True, callbacks=[eager], **settings)
    b = train(output=tmp_path / "b", callbacks=[compiled], **settings)
    assert [line["train_loss"] for line in a.metrics] == pytest.approx(
        [line["train_loss"] for line in b.metrics], rel=1e-5
    )
    assert len(eager.kept) == len(compiled.kept) == a.metrics[-1]["step"]
    for one, other in zip(eager.kept, compiled.kept, strict=True):
        for (name, _, expected), (_, now, then) in zip(one, other, strict=True):
            np.testing.assert_array_equal(now, then, name)
            np.testing.assert_allclose(
                then, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max(), err_msg=name
            )


def test_what_is_compiled(monkeypatch):
    """Batches of the usual size, once for all of them."""
    config = Config(hidden=(5,))
    model = build_model(config, (3,), 2)
    parts = model, build_objective(config, model), build_optimizer(config, model)
    run, eager = compiled_step(8), []
    compiled = getclosurevars(run).nonlocals["compiled"]
    monkeypatch.setattr(step, "train_step", lambda *args: eager.append(len(args[3])))
    for size in (8, 8, 3, 8, 3):
        run(*parts, limpid.asarray(np.ones((size, 3), np.float32)), limpid.asarray([0] * size))
    assert eager == [3, 3]
    assert compiled.count == 1


def test_eager_runs_stay_eager(tmp_path, monkeypatch):
    """Also those from before there was a choice, whose config does not say."""
    run = tmp_path / "run"
    assert train(output=run, eager=True, **SMALL).config.eager
    assert json.loads((run / "config.json").read_text())["eager"] is True
    monkeypatch.setattr("limpid.training.trainer.compiled_step", None)
    assert resume(run, epochs=4).config.eager
    state = load_checkpoint(run / "checkpoint.safetensors")
    del state["config"]["eager"]
    save_checkpoint(run / "checkpoint.safetensors", state)
    assert resume(run, epochs=5).config.eager
    with pytest.raises(TypeError):
        train(output=tmp_path / "compiled", **SMALL)


@pytest.mark.parametrize("loss", ["cross-entropy", "hinge", "mse"])
def test_errors_of_compiled_steps(tmp_path, loss):
    """A label that is none is the same error, in the same words."""
    data = from_arrays(np.ones((90, 4), np.float32), np.arange(90) % 3)
    data.train.y[5] = 7
    texts = []
    for eager in (True, False):
        with pytest.raises(LimpidError) as raised:
            train(dataset=data, output=tmp_path / str(eager), loss=loss, eager=eager, **SMALL)
        texts.append(str(raised.value))
        assert load_checkpoint(tmp_path / str(eager) / "checkpoint.safetensors")["step"] == 0
    assert "class 7" in texts[0]
    first = [text.partition("class 7")[2].partition("\n")[0] for text in texts]
    assert first[0] == first[1]


def test_early_stop(tmp_path):
    result = train(output=tmp_path, tolerance=0.02, patience=2, **SMALL | {"epochs": 200})
    f = [line["objective"] for line in result.metrics]
    assert "changed by less than 0.02 in 2 epochs" in result.ended
    assert len(f) < 200
    assert abs(f[-1] - f[-3]) < 0.02
    assert all(abs(b - a) >= 0.02 for a, b in zip(f[:-3], f[2:-1]))
    with pytest.raises(RunError, match="has ended"):
        resume(tmp_path)
    assert len(resume(tmp_path, epochs=len(f) + 1).metrics) == len(f) + 1


def test_penalties_are_what_they_say():
    w = limpid.Parameter(np.array([[1.0, -2.0]]))
    objective = Objective(lambda s, y: s, [w], l1=0.1, l2=0.01)
    value = objective.add_penalties(limpid.tensor(np.float64(1.0)))
    assert value.item() == pytest.approx(1 + 0.1 * 3 + 0.5 * 0.01 * 5)


def test_training_step_can_be_recorded():
    config = Config(hidden=(5,), optimizer="sgd", momentum=0.9, l2=0.01)
    x, y = np.ones((4, 3), np.float32), np.array([0, 1, 0, 1])
    limpid.random.seed(0)
    eager, recorded = build_model(config, (3,), 2), build_model(config, (3,), 2)
    recorded.load_state_dict(eager.state_dict())
    steps = []
    for model in (eager, recorded):
        objective, optimizer = build_objective(config, model), build_optimizer(config, model)
        steps.append(lambda x, y, m=model, j=objective, o=optimizer: train_step(m, j, o, x, y))
    replay = limpid.record(steps[1], x, y)
    for _ in range(3):
        expected = steps[0](limpid.asarray(x), limpid.asarray(y))
        for a, b in zip(expected, replay(x, y)):
            np.testing.assert_array_equal(a.value, b.value)
    for name, value in eager.state_dict().items():
        np.testing.assert_array_equal(value, recorded.state_dict()[name])


def test_load_model(tmp_path):
    result = train(output=tmp_path, **SMALL)
    x = load_digits().test.x.reshape(-1, 64)
    with limpid.no_grad():
        scores = load_model(tmp_path)(limpid.asarray(x)).numpy()
        np.testing.assert_array_equal(scores, result.model(limpid.asarray(x)).numpy())
    assert np.mean(scores.argmax(1) == load_digits().test.y) == result.test_accuracy


def test_data_in_memory(tmp_path):
    x = np.random.default_rng(0).normal(size=(90, 4)).astype(np.float32)
    data = from_arrays(x, (x[:, 0] > 0).astype(int), name="mine")
    result = train(dataset=data, output=tmp_path, **SMALL)
    assert result.config.data == "mine"
    with pytest.raises(DataError, match="no data named"):
        resume(tmp_path, epochs=4)
    assert len(resume(tmp_path, epochs=4, dataset=data).metrics) == 4


def test_callbacks_can_stop(tmp_path):
    class Stop(Callback):
        def on_epoch(self, trainer, metrics):
            if trainer.epoch == 2:
                trainer.stop("seen enough")

    result = train(output=tmp_path, callbacks=[Stop()], **SMALL)
    assert (result.ended, len(result.metrics)) == ("seen enough", 2)


def test_default_folder_is_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    a, b = (train(**SMALL | {"epochs": 1}).folder for _ in range(2))
    assert a.parent.name == b.parent.name == "runs"
    assert a.name.endswith("-digits-1")
    assert a != b


# What is refused


@pytest.mark.parametrize("eager", [True, False])
def test_divergence_is_an_error_and_keeps_the_checkpoint(tmp_path, eager):
    with pytest.raises(RunError, match=r"the loss became (nan|inf) at step 2, epoch 1: training"):
        train(output=tmp_path, eager=eager, **SMALL | {"optimizer": "sgd", "lr": 1e20})
    assert load_checkpoint(tmp_path / "checkpoint.safetensors")["epoch"] == 0


def test_full_disk_while_training(tmp_path, monkeypatch):
    """The third save finds no room; the second stays, and the run can go on from it."""
    real, saves = os.fsync, []

    def full(descriptor):
        saves.append(descriptor)
        if len(saves) > 8:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    train(output=tmp_path / "whole", **SMALL)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match=r"No space left on device; .* intact; .* train --resume"):
        train(output=tmp_path / "full", **SMALL)
    monkeypatch.undo()
    assert load_checkpoint(tmp_path / "full" / "checkpoint.safetensors")["epoch"] == 2
    resume(tmp_path / "full")
    assert_same(state_of(tmp_path / "whole"), state_of(tmp_path / "full"))


def test_metrics_that_can_not_be_read_or_written(tmp_path):
    train(output=tmp_path, **SMALL)
    (tmp_path / "metrics.jsonl").unlink()
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(RunError, match=r"metrics.jsonl can't be read"):
        resume(tmp_path, epochs=4)
    with pytest.raises(RunError, match=r"metrics.jsonl could not be written: .* --resume"):
        RunFolder(tmp_path).append_metrics({"epoch": 4})


def test_folders_that_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="not empty"):
        train(output=tmp_path, **SMALL)
    with pytest.raises(RunError, match="not a run folder"):
        resume(tmp_path)
    with pytest.raises(RunError, match="no such run folder"):
        resume(tmp_path / "nowhere")
    with pytest.raises(RunError, match="can't be made"):
        train(output=tmp_path / "notes.txt" / "run", **SMALL)
    save_checkpoint(tmp_path / "checkpoint.safetensors", {"n": 1})
    with pytest.raises(RunError, match="holds no training run"):
        resume(tmp_path)


def test_resume_refusals(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.random.default_rng(0).normal(size=(60, 4)), y=[0, 1, 2] * 20)
    run = tmp_path / "run"
    train(data=str(tmp_path / "a.npz"), output=run, **SMALL)
    with pytest.raises(RunError, match="has ended after 3 epochs"):
        resume(run)
    with pytest.raises(RunError, match="has ended after 3 epochs"):
        resume(run, epochs=2)
    with pytest.raises(ArgumentError, match="epochs must be at least 1"):
        resume(run, epochs=-1)
    (tmp_path / "a.npz").rename(tmp_path / "b.npz")
    with pytest.raises(DataError, match="no data named"):
        resume(run, epochs=4)
    assert resume(run, epochs=4, data=str(tmp_path / "b.npz")).metrics[-1]["epoch"] == 4
    np.savez(tmp_path / "b.npz", x=np.ones((60, 4)), y=[0, 1, 2] * 20)
    with pytest.raises(RunError, match="is not the data that"):
        resume(run, epochs=5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"epochs": 1.5}, "epochs must be at least 1, not 1.5"),
        ({"epochs": True}, "epochs must be"),
        ({"lr": float("nan")}, "lr must be above 0, not nan"),
        ({"lr": float("inf")}, "lr must be above 0, not inf"),
        ({"lr": "fast"}, "lr must be"),
        ({"seed": -1}, "seed must be"),
        ({"batch_size": 0}, "batch_size must be at least 1, or full"),
        ({"momentum": 1, "optimizer": "sgd"}, "momentum must be from 0 to below 1"),
        ({"momentum": 0.5}, "momentum belongs to sgd"),
        ({"nesterov": True, "optimizer": "sgd"}, "nesterov needs"),
        ({"patience": 2}, "patience needs a tolerance"),
        ({"tolerance": 0}, "tolerance must be above 0"),
        ({"hidden": (3, 0)}, "hidden must be widths"),
        ({"hidden": ("3",)}, "hidden must be widths"),
        ({"loss": "l7"}, "loss 'l7' is unknown; choose from cross-entropy, hinge, mse"),
        ({"activation": None}, "activation None is unknown"),
        ({"dropout": 1.0}, "dropout must be"),
        ({"test_fraction": 1.0}, "test_fraction must be"),
        ({"l2": -1}, "l2 must be at least 0"),
        ({"eager": "no"}, "eager is True or False, not 'no'"),
    ],
)
def test_impossible_settings(settings, words):
    with pytest.raises(ArgumentError, match=re.escape(words)):
        Config(**settings)


def test_unknown_setting():
    with pytest.raises(ArgumentError, match="no setting named colour"):
        train(colour="red")
