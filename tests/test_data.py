"""The digits, readers of files, and what they refuse."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

from limpid.data import load, load_digits
from limpid.data.idx import read_idx
from limpid.errors import ArgumentError, DataError

RNG = np.random.default_rng(0)


def idx_bytes(array, code=8):
    head = struct.pack(">BBBB", 0, 0, code, array.ndim)
    dimensions = struct.pack(f">{array.ndim}I", *array.shape)
    return head + dimensions + array.astype(array.dtype.newbyteorder(">")).tobytes()


def images(n, size=4):
    return RNG.integers(0, 256, (n, size, size), dtype=np.uint8)


def labels(n, classes=3):
    return (np.arange(n) % classes).astype(np.uint8)


def write_mnist(folder, packed=False, prefix=""):
    for part, n in (("train", 12), ("t10k", 6)):
        for kind, array in (("images-idx3", images(n)), ("labels-idx1", labels(n))):
            path = folder / f"{prefix}{part}-{kind}-ubyte{'.gz' if packed else ''}"
            raw = idx_bytes(array)
            path.write_bytes(gzip.compress(raw) if packed else raw)


def message(source, **options):
    """The error that this data gives; always one line."""
    with pytest.raises((DataError, ArgumentError)) as caught:
        load(source, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text


# Digits


def test_digits_ship_whole():
    digits = load_digits()
    assert len(digits.train) + len(digits.test) == 1797
    assert digits.train.x.shape == (1438, 8, 8)
    assert digits.train.x.dtype == np.float32
    assert (digits.train.x.min(), digits.train.x.max()) == (0.0, 1.0)
    assert digits.classes == tuple("0123456789")
    every = np.bincount(np.concatenate([digits.train.y, digits.test.y]))
    held_out = np.bincount(digits.test.y)
    assert np.all(np.abs(held_out - 0.2 * every) <= 0.5)  # stratified


def test_digits_are_the_published_ones():
    """Counts of each digit and the sum of all pixels, from the collection's own description."""
    digits = load_digits()
    every = np.bincount(np.concatenate([digits.train.y, digits.test.y]))
    assert every.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    ink = 16.0 * (digits.train.x.sum(dtype=np.float64) + digits.test.x.sum(dtype=np.float64))
    assert ink == 561718.0


def test_digits_are_the_same_each_time():
    assert load("digits").digest == load_digits().digest


# IDX


@pytest.mark.parametrize("packed", [False, True])
def test_idx_folder(tmp_path, packed):
    write_mnist(tmp_path, packed)
    data = load(tmp_path)
    assert data.train.x.shape == (12, 4, 4)
    assert len(data.test) == 6
    assert data.classes == ("0", "1", "2")
    assert data.train.x.max() <= 1.0


def test_idx_one_file_finds_the_others(tmp_path):
    write_mnist(tmp_path, prefix="letters-")
    write_mnist(tmp_path, prefix="others-")
    assert "more than one" in message(tmp_path)
    data = load(tmp_path / "letters-train-images-idx3-ubyte")
    assert (len(data.train), len(data.test)) == (12, 6)


def test_idx_without_test_files_holds_out(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(images(30)))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(labels(30)))
    data = load(tmp_path, test_fraction=0.1)
    assert (len(data.train), len(data.test)) == (27, 3)


@pytest.mark.parametrize(
    ("code", "dtype"),
    [(8, "u1"), (9, "i1"), (11, "i2"), (12, "i4"), (13, "f4"), (14, "f8")],
)
def test_idx_types(tmp_path, code, dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    (tmp_path / "a").write_bytes(idx_bytes(array, code))
    read = read_idx(tmp_path / "a")
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda raw: raw[:100], "truncated: shape (12, 4, 4) takes 208 bytes, not 100"),
        (lambda raw: raw + b"x", "too long: shape (12, 4, 4) takes 208 bytes, not 209"),
        (lambda raw: raw[:9], "truncated: 9 bytes, its header alone has 16"),
        (lambda raw: raw[:2], "truncated: 2 bytes"),
        (lambda raw: b"", "truncated: 0 bytes"),
        (lambda raw: b"\x89PNG" + raw, "not an IDX file: it begins with the bytes 89 50 4e 47"),
        (lambda raw: gzip.compress(raw)[:-9], "gzip stream ends early"),
        (lambda raw: b"\x1f\x8b" + raw, "damaged gzip"),
    ],
)
def test_idx_damaged(tmp_path, damage, words):
    write_mnist(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    assert words in message(tmp_path)
    assert str(path) in message(tmp_path)


def test_idx_missing_files(tmp_path):
    assert "no file train-images-idx3-ubyte" in message(tmp_path)
    write_mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    assert "no file t10k-labels-idx1-ubyte" in message(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(labels(11)))
    assert "12 images" in message(tmp_path)
    assert "11 labels" in message(tmp_path)


def test_idx_label_that_no_class_has(tmp_path):
    write_mnist(tmp_path)
    wrong = labels(12)
    wrong[7] = 255
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(wrong))
    assert "y[7] is 255, out of range: no label is 3" in message(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(labels(12)))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(labels(6) + np.uint8(2)))
    assert "y_test[1] is 3, out of range: the training labels run from 0 to 2" in message(tmp_path)


def test_classes_may_count_from_one(tmp_path):
    np.savez(tmp_path / "a.npz", x=RNG.normal(size=(20, 2)), y=1 + np.arange(20) % 2)
    data = load(tmp_path / "a.npz")
    assert data.classes == ("1", "2")
    assert set(data.train.y.tolist()) == {0, 1}


# NumPy archives


@pytest.mark.parametrize(
    ("names", "test"),
    [
        (("x", "y"), 4),
        (("X", "Y"), 4),
        (("images", "labels"), 4),
        (("x_train", "y_train"), 4),
        (("x_train", "y_train", "x_test", "y_test"), 20),
        (("train_images", "train_labels", "test_images", "test_labels"), 20),
    ],
)
def test_npz(tmp_path, names, test):
    parts = [RNG.normal(size=(20, 3)), np.arange(20) % 2] * 2
    np.savez(tmp_path / "a.npz", **dict(zip(names, parts)))
    data = load(tmp_path / "a.npz")
    assert len(data.test) == test
    assert data.features == 3
    assert data.name == "a"


def save(path, **arrays):
    good = {"x": RNG.normal(size=(20, 3)), "y": np.arange(20) % 2}
    np.savez(path, **{k: v for k, v in (good | arrays).items() if v is not None})
    return path


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": np.full((20, 3), np.nan)}, "x holds nan at row 0, column 0"),
        ({"x": np.full((20, 3), 1e300)}, "too large for float32"),
        ({"x": np.ones((0, 3)), "y": np.ones(0)}, "x is empty"),
        ({"x": np.ones(20)}, "shape (20,)"),
        ({"x": np.array([["a"] * 3] * 20)}, "x holds <U1, not numbers"),
        ({"y": np.arange(20) / 2}, "y[1] is 0.5: labels are whole numbers"),
        ({"y": np.full(20, np.nan)}, "y[0] is nan"),
        ({"y": np.arange(20) % 2 - 1}, "y[0] is -1, out of range"),
        ({"y": np.zeros(20, int)}, "every label is 0"),
        ({"y": np.eye(20)}, "argmax(axis=1)"),
        ({"y": np.arange(19) % 2}, "20 examples but 19 labels"),
        ({"y": None}, "needs x and y"),
        ({"y": np.array([{}] * 20)}, "Object arrays"),
        ({"x_test": np.ones((2, 3))}, "its other half"),
        ({"x_test": np.ones((2, 4)), "y_test": np.arange(2)}, "test examples have shape (4,)"),
        ({"x_test": np.ones((2, 3)), "y_test": np.arange(3)}, "2 test examples but 3 labels"),
        ({"x_test": np.ones((0, 3)), "y_test": np.arange(0)}, "x_test is empty"),
        ({"x": np.ones((3, 3)), "y": np.arange(3) % 2}, None),
        ({"x": np.ones((2, 3)), "y": np.arange(2)}, "too few"),
    ],
)
def test_npz_refused(tmp_path, arrays, words):
    path = save(tmp_path / "a.npz", **arrays)
    if words is None:
        assert "too few" in message(path)
    else:
        assert words in message(path)


def test_npz_damaged(tmp_path):
    path = save(tmp_path / "a.npz")
    raw = path.read_bytes()
    for damaged in (b"", raw[:50], raw[:-30], b"nonsense"):
        path.write_bytes(damaged)
        assert "damaged" in message(path)
    middle = raw.index(b"NUMPY") + 200
    path.write_bytes(
        raw[:middle] + bytes(b ^ 255 for b in raw[middle : middle + 9]) + raw[middle + 9 :]
    )
    assert "CRC" in message(path)


# Tables

IRIS = (
    "length,width,species\n5.1,3.5,setosa\n6.2,2.9,virginica\n"
    + "5.0,3.4,setosa\n6.3,3.0,virginica\n" * 4
)


def table(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(text)
    return path


def test_csv_with_header_and_words(tmp_path):
    data = load(table(tmp_path, IRIS))
    assert data.classes == ("setosa", "virginica")
    assert data.features == 2
    assert abs(float(data.train.x.mean())) < 1e-6  # standardised


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(f"{i}.5,{i % 2}" for i in range(10)),  # no header
        "\r\n".join(f"{i}.5;{i % 2}" for i in range(10)),
        "\n".join(f"{i}.5\t{i % 2}" for i in range(10)) + "\n\n",
        "\ufefff,label\n" + "\n".join(f"{i}.5, {i % 2}" for i in range(10)),
        "label,f\n" + "\n".join(f"{i % 2},{i}.5" for i in range(10)),
        '"f, g","class"\n' + "\n".join(f'"{i}.5","{i % 2}"' for i in range(10)),
    ],
)
def test_csv_spellings(tmp_path, text):
    data = load(table(tmp_path, text))
    assert (data.features, data.classes) == (1, ("0", "1"))
    assert len(data.train) + len(data.test) == 10


def test_csv_label_column(tmp_path):
    text = "kind,f\n" + "\n".join(f"{i % 2},{i}.5" for i in range(10))
    for label in ("kind", "1"):
        assert load(table(tmp_path, text), label=label).classes == ("0", "1")
    assert "no column 'sort' for the label; they are kind, f" in message(
        tmp_path / "a.csv", label="sort"
    )
    assert "no column '3'" in message(tmp_path / "a.csv", label="3")
    assert "row 2, column f: the label '0.5' is no class number" in message(tmp_path / "a.csv")


def test_csv_pixels_are_bytes(tmp_path):
    text = "\n".join(f"{i},255,0,{i % 2}" for i in range(10))
    data = load(table(tmp_path, text))
    assert data.train.x.max() == 1.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("a,b\n", "a header but no rows"),
        ("1\n2\n", "one column only"),
        ("a,label\n1,0\n2\n", "row 3 has 1 cells, not 2"),
        ("a,label\n1,0\n2,1,3\n", "row 3 has 3 cells, not 2"),
        ("a,label\n1,0\nnan,1\n", "row 3, column a: 'nan' is not a number"),
        ("a,label\n1,0\n-inf,1\n", "row 3, column a: '-inf' is not a number"),
        ("a,label\n1,0\n,1\n", "row 3, column a: an empty cell is not a number"),
        ("a,label\n1,0\nx,1\n", "row 3, column a: 'x' is not a number"),
        ("a,label\n1,0\n2,\n", "row 3, column label: the label '' is no class number"),
        ("a,label\n1,red\n2,\n", "row 3, column label: the label is empty"),
        ("a,label\n1,0\n2,?\n", "row 3, column label: the label '?' is no class number"),
        ("a,label\n1,0\n2,-1\n", "the label '-1' is no class number"),
        ("a,label\n1,0\n2,0.5\n", "the label '0.5' is no class number"),
        ("a,label\n1,0\n2,0\n", "every label is 0"),
        ("a,label\n1,red\n2,red\n", "every label is red"),
        ("a,label\n1e200,0\n2,1\n", "too large for float32"),
    ],
)
def test_csv_refused(tmp_path, text, words):
    path = table(tmp_path, text)
    assert words in message(path)
    assert str(path) in message(path)


def test_csv_not_text(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00\x01" * 30)
    assert "not a text file" in message(tmp_path / "a.csv")


def test_unknown_data(tmp_path):
    assert "no data named 'faces'" in message("faces")
    (tmp_path / "a.doc").write_text("?")
    assert "of unknown kind" in message(tmp_path / "a.doc")
    assert "label column" in message("digits", label="3")
