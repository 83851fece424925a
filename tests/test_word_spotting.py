"""The example that spots a word: features, recordings, networks, training on a small data set."""

from __future__ import annotations

import wave
from io import BytesIO
from pathlib import Path
from subprocess import CompletedProcess
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy import signal

import limpid
from examples.fitting import count_parameters
from examples.word_spotting import dataset, features, recordings, speech
from examples.word_spotting.__main__ import main
from examples.word_spotting.network import (
    MODELS,
    SPAN,
    STRIDE,
    MaxOverTime,
    SoftmaxOverTime,
    time_delay_network,
    windows_in,
)
from examples.word_spotting.train import accuracy, located, train

FIXTURE = Path(__file__).parent / "fixtures" / "word_spotting.npz"
VOICE = speech.Voice("en-us", "f1", 200, 50)


@pytest.fixture(scope="module")
def parts():
    return dataset.load(FIXTURE)


# Words and recordings


@pytest.fixture
def _synthesiser(monkeypatch):
    """A program that says every word as half a second of tone between silences."""
    tone = np.sin(2 * np.pi * 440 * np.arange(11025) / 22050)
    file = BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, 22050, 0, "NONE", ""))
        writer.writeframes((np.pad(tone, 4000) * 10_000).astype("<i2").tobytes())
    done = CompletedProcess([], 0, stdout=file.getvalue())
    monkeypatch.setattr(speech, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(speech.subprocess, "run", lambda command, **options: done)
    speech.speak.cache_clear()
    yield
    speech.speak.cache_clear()


@pytest.mark.usefixtures("_synthesiser")
def test_a_word_is_resampled_trimmed_and_scaled():
    word = speech.speak("welcome", VOICE)
    assert word.dtype == np.float32
    assert abs(len(word) - 8000) < 16  # half a second, without the silence around it
    assert np.sqrt(np.mean(word**2)) == pytest.approx(1, abs=1e-3)
    assert np.abs(np.fft.rfft(word)).argmax() == round(440 * len(word) / speech.RATE)


def test_resampling_is_scipys():
    spectrum = np.zeros(2206, complex)
    spectrum[:1500] = np.random.default_rng(0).standard_normal(1500)  # all below the new limit
    x = np.fft.irfft(spectrum, 4410)
    expected = signal.resample(x, 3200)
    np.testing.assert_allclose(speech.resample(x, 22050, 16000), expected, atol=1e-12)
    assert len(speech.resample(x[:4400], 22050, 16000)) == 3200  # padded to a whole number


@pytest.mark.usefixtures("_synthesiser")
@pytest.mark.parametrize("half", [0, 1])
def test_the_key_word_lies_in_its_half(half):
    rng = np.random.default_rng(0)
    length = recordings.SAMPLES / speech.RATE
    for _ in range(20):
        made = recordings.record(VOICE, contains=True, half=half, rng=rng)
        assert made.wave.shape == (recordings.SAMPLES,)
        low, high = (0.15, length / 2) if half == 0 else (length / 2, length - 0.15)
        assert low <= made.start < made.end <= high + 1e-4


@pytest.mark.usefixtures("_synthesiser")
def test_what_is_said_beside_the_target(monkeypatch):
    said = []
    monkeypatch.setattr(recordings, "speak", lambda word, voice: said.append(word) or np.ones(6000))
    recordings.record(VOICE, contains=True, half=1, rng=np.random.default_rng(0))
    assert said[0] == recordings.TARGET
    assert len(said) >= 4
    assert recordings.TARGET not in said[1:]
    said.clear()
    recordings.record(VOICE, contains=False, half=0, rng=np.random.default_rng(0))
    assert recordings.TARGET not in said


def test_without_a_synthesiser_the_package_is_named(monkeypatch):
    monkeypatch.setattr(speech, "which", lambda name: None)
    speech.speak.cache_clear()
    with pytest.raises(SystemExit, match="apt-get install espeak-ng"):
        speech.speak("welcome", VOICE)


# Features


def test_features_are_those_of_scipy():
    wave = np.random.default_rng(0).standard_normal(16000)
    _, _, power = signal.spectrogram(
        wave, window=np.hanning(400), nperseg=400, noverlap=240, nfft=512, detrend=False
    )  # (bins, frames), up to a factor
    decibels = 10 * np.log10(features.mel_bands(16000) @ power)
    expected = np.maximum(decibels - decibels.max(), -features.RANGE)
    np.testing.assert_allclose(features.log_mel(wave, 16000), expected, atol=1e-4)


def test_bands_overlap_so_that_inner_bins_count_once():
    weights = features.mel_bands(16000)
    assert weights.shape == (features.BANDS, features.POINTS // 2 + 1)
    centres = features.to_hertz(
        np.linspace(*features.to_mel([features.LOWEST, features.HIGHEST]), features.BANDS + 2)
    )
    bins = np.fft.rfftfreq(features.POINTS, 1 / 16000)
    inner = (bins >= centres[1]) & (bins <= centres[-2])
    np.testing.assert_allclose(weights[:, inner].sum(axis=0), 1)


def test_silence_is_as_loud_as_the_loudest():
    assert np.all(features.log_mel(np.zeros(4000), 16000) == 0)


@pytest.mark.parametrize("step", [0.25, 3.75])
def test_levels_are_within_half_a_step(step):
    decibels = np.linspace(-features.RANGE, 0, 100)
    x = features.from_levels(features.to_levels(decibels, step), step)
    np.testing.assert_allclose(x * 16 - features.RANGE / 2, decibels, atol=step / 2 + 1e-4)


# The data set


def test_the_fixture_is_small_and_balanced(parts):
    assert FIXTURE.stat().st_size <= 1_000_000
    middle = recordings.SECONDS / features.STEP / 2
    for name, part in parts.items():
        assert part.x.shape == (len(part), features.BANDS, 250)
        assert part.x.dtype == part.y.dtype == np.float32
        assert part.y.mean() == 0.5
        first = name in (dataset.TRAIN, "heard_first", "new_first")
        assert np.all((part.middles < middle) == first)


def test_speakers_to_train_and_to_test_differ():
    assert not set(dataset.HEARD) & set(dataset.NEW)
    assert recordings.TARGET not in (*recordings.SIMILAR, *recordings.OTHERS)


@pytest.mark.usefixtures("_synthesiser")
def test_making_saving_and_loading(tmp_path):
    size = dataset.Size(train=8, test=2, voices=2, test_voices=2, anywhere=True)
    made = dataset.make(size, seed=0, say=lambda text: None)
    again = dataset.make(size, seed=0, say=lambda text: None)
    dataset.save(made, tmp_path / "new" / "data.npz")
    loaded = dataset.load(tmp_path / "new" / "data.npz")
    for name, part in made.items():
        for other in (again[name], loaded[name]):
            np.testing.assert_array_equal(other.x, part.x)
            np.testing.assert_array_equal(other.spans, part.spans)
            np.testing.assert_array_equal(other.contains, part.contains)
    halves = made[dataset.TRAIN].middles > 125
    assert 0 < halves.sum() < len(halves)


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "data.npz"
    if content is None:
        np.savez(path, x=np.zeros(3))
    else:
        path.write_bytes(content)
    with pytest.raises(SystemExit, match="is no data set of this example"):
        dataset.load(path)


# Networks


def test_every_window_is_the_same_network(parts):
    """What a window says depends on its frames alone, and moves with them."""
    limpid.random.seed(0)
    network = time_delay_network(features.BANDS)
    x = parts["new_first"].x[:2]
    z = network(x).detach().numpy()
    assert z.shape == (2, windows_in(250))
    for t in (0, 17, z.shape[1] - 1):
        alone = network(x[:, :, t * STRIDE : t * STRIDE + SPAN]).detach().numpy()
        np.testing.assert_allclose(alone, z[:, t : t + 1], atol=1e-5)
    moved = network(np.roll(x, 10 * STRIDE, axis=2)).detach().numpy()
    np.testing.assert_allclose(moved[:, 10:], z[:, :-10], atol=1e-5)


def test_max_teaches_the_best_window_and_softmax_the_good_ones():
    z = limpid.tensor([[0.0, 3.0, 1.0], [2.0, -1.0, 0.0]], requires_grad=True)
    best = MaxOverTime()(z)
    assert best.tolist() == [3.0, 2.0]
    limpid.sum(best).backward()
    assert z.grad.tolist() == [[0, 1, 0], [1, 0, 0]]
    values = z.detach().numpy()
    expected = (np.exp(values) * values).sum(axis=1) / np.exp(values).sum(axis=1)
    soft = SoftmaxOverTime()(values)
    np.testing.assert_allclose(soft, expected, rtol=1e-6)
    assert np.all(soft < values.max(axis=1))


def test_the_plain_mlp_is_about_as_large():
    sizes = {name: count_parameters(make(features.BANDS, 250)) for name, make in MODELS.items()}
    assert sizes["time-delay, max"] == sizes["time-delay, softmax"]
    assert 0.9 < sizes["plain MLP"] / sizes["time-delay, max"] < 1.1


# Training


@pytest.mark.parametrize("name", ["time-delay, max", "time-delay, softmax"])
def test_scanning_finds_the_word_where_it_never_was(parts, name):
    model = train(name, parts[dataset.TRAIN], seed=0, steps=350)
    for half in ("first", "second"):
        tests = [parts[f"{who}_{half}"] for who in ("heard", "new")]
        assert np.mean([accuracy(model, test) for test in tests]) >= 0.8, half
        right, found = np.sum([located(model, test) for test in tests], axis=0)
        assert right >= 0.9 * found > 0, half


@pytest.mark.parametrize("name", ["plain MLP", "plain MLP, wide"])
def test_a_plain_mlp_does_not(parts, name):
    model = train(name, parts[dataset.TRAIN], seed=0, steps=300)
    assert accuracy(model, parts[dataset.TRAIN]) > 0.75  # it can learn them by heart
    tests = [parts[f"{who}_second"] for who in ("heard", "new")]
    assert np.mean([accuracy(model, test) for test in tests]) <= 0.6


def test_the_command(tmp_path, capsys):
    main(["--data", str(FIXTURE), "--steps", "12", "--seeds", "0", "1", "--output", str(tmp_path)])
    printed = capsys.readouterr().out
    assert [line.count("|") for line in printed.splitlines() if "|" in line] == [7] * 7
    for name in ("found.svg", "shares.svg"):
        assert ElementTree.parse(tmp_path / name).getroot().tag.endswith("svg")
    text = (tmp_path / "found.svg").read_text()
    assert text.count("<image") == 4
    assert text.count("“welcome” from") == 2
    with pytest.raises(SystemExit, match="is there already"):
        main(["--data", str(FIXTURE), "--train", "10"])
    for wrong in (["--steps", "0"], ["--seeds", "x"], ["--step", "0"]):
        with pytest.raises(SystemExit):
            main(["--data", str(FIXTURE), *wrong])
    assert "'0' is not between 0.25 and 16" in capsys.readouterr().err
