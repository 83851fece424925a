"""The 1,797 handwritten digits that ship with limpid; credit and licence in README.md beside."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from limpid.data.dataset import Dataset, Parts, build
from limpid.data.scaling import AUTO

FILE = Path(__file__).parent / "digits.npz"


def read_digits() -> Parts:
    """The images as bytes 0 … 16 and the labels, cut into the two fixed parts."""
    with np.load(FILE, allow_pickle=False) as file:
        images, labels, test = file["images"], file["labels"], file["test"]
    is_test = np.zeros(len(labels), bool)
    is_test[test] = True
    return Parts(images[~is_test], labels[~is_test], images[is_test], labels[is_test])


def load_digits(scale: str = AUTO) -> Dataset:
    """The UCI handwritten digits: 1,438 images to train on and a fixed test part of 359.

    Images are (N, 8, 8) float32 between 0 and 1. By E. Alpaydin and C. Kaynak, CC BY 4.0.

    >>> from limpid.data import load_digits
    >>> digits = load_digits()
    >>> digits.train.x.shape, len(digits.test), digits.classes[3]
    ((1438, 8, 8), 359, '3')
    """
    return build("digits", read_digits(), scale)
