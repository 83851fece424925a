"""IDX files, the format of MNIST: http://yann.lecun.com/exdb/mnist, plain or gzipped."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from limpid.data.dataset import Parts
from limpid.errors import DataError

Array = np.ndarray[Any, np.dtype[Any]]

TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
TRAIN, TEST = ("train",), ("t10k", "test")


def read_idx(path: Path) -> Array:
    """The array in an IDX file. DataError if it is missing, no IDX file, truncated or too long.

    Header: two zero bytes, a type, the number of dimensions, then each dimension as a big-endian
    32-bit number.
    """
    raw = _read_bytes(path)
    if len(raw) < 4:
        raise DataError(f"{path}: truncated: {len(raw)} bytes, an IDX header has at least 4")
    if raw[:2] != b"\0\0" or raw[2] not in TYPES or not raw[3]:
        raise DataError(
            f"{path}: not an IDX file: it begins with the bytes {raw[:4].hex(' ')}, "
            "not with 00 00, a type (08, 09 or 0b to 0e) and the number of dimensions"
        )
    dtype, start = np.dtype(TYPES[raw[2]]), 4 + 4 * raw[3]
    if len(raw) < start:
        raise DataError(f"{path}: truncated: {len(raw)} bytes, its header alone has {start}")
    shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", raw[3], 4))
    expected = start + math.prod(shape) * dtype.itemsize
    if len(raw) != expected:
        what = "truncated" if len(raw) < expected else "too long"
        raise DataError(f"{path}: {what}: shape {shape} takes {expected} bytes, not {len(raw)}")
    array = np.frombuffer(raw, dtype, offset=start).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _read_bytes(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except EOFError:
        raise DataError(f"{path}: truncated: the gzip stream ends early") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: damaged gzip stream: {error}") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None


def read_idx_folder(folder: Path) -> Parts:
    """Images and labels of both parts, found in a folder under MNIST's usual names.

    train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
    t10k-labels-idx1-ubyte, with .gz or without, with `test` for `t10k`, or with a prefix. Without
    the t10k files a test part is held out.
    """
    return read_idx_pair(_required(folder, TRAIN, "images"))


def read_idx_pair(images: Path) -> Parts:
    """The images in this file with the labels beside it, and the test part if it is there, too."""
    part, prefix = _part_of(images), _prefix_of(images)
    labels = _required(images.parent, part, "labels", prefix)
    x, y = _read_both(images, labels)
    test_images = None if part == TEST else _find(images.parent, TEST, "images", prefix)
    if test_images is None:
        return Parts(x, y)
    test_labels = _required(images.parent, TEST, "labels", prefix)
    return Parts(x, y, *_read_both(test_images, test_labels))


def _read_both(images: Path, labels: Path) -> tuple[Array, Array]:
    x, y = read_idx(images), read_idx(labels)
    if len(x) != len(y):
        raise DataError(f"{images} holds {len(x)} images but {labels.name} {len(y)} labels")
    return x, y


def _part_of(images: Path) -> tuple[str, ...]:
    for part in (TRAIN, TEST):
        if re.search(_pattern(part, "images"), images.name):
            return part
    raise DataError(
        f"{images}: expected an images file with a name like train-images-idx3-ubyte or "
        "t10k-images-idx3-ubyte, with its labels beside it; or give the folder"
    )


def _prefix_of(images: Path) -> str:
    """What stands before `train` or `t10k`, as in emnist-letters-train-images-idx3-ubyte."""
    return re.split("train|t10k|test", images.name)[0]


def _pattern(part: tuple[str, ...], kind: str) -> str:
    return rf"^(.*[-_.])?({'|'.join(part)})[-_.]?{kind}([-_.]idx\d)?([-_.]ubyte)?(\.gz)?$"


def _find(folder: Path, part: tuple[str, ...], kind: str, prefix: str = "") -> Path | None:
    """The file of this kind; the plain one if a gzipped one lies beside it."""
    pattern = _pattern(part, kind)
    found = [p for p in sorted(folder.iterdir()) if re.search(pattern, p.name)]
    found = [p for p in found if not prefix or _prefix_of(p) == prefix]
    if len({p.name.removesuffix(".gz") for p in found}) > 1:
        names = ", ".join(p.name for p in found)
        raise DataError(f"{folder}: more than one file of {kind} ({names}); give one as the path")
    return min(found, key=lambda p: p.name.endswith(".gz"), default=None)


def _required(folder: Path, part: tuple[str, ...], kind: str, prefix: str = "") -> Path:
    found = _find(folder, part, kind, prefix)
    if found is None:
        number = {"images": 3, "labels": 1}[kind]
        raise DataError(f"{folder}: no file {prefix}{part[0]}-{kind}-idx{number}-ubyte (or .gz)")
    return found
