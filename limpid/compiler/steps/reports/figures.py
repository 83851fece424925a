"""Numbers for people."""

from __future__ import annotations

SIZES = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
TIMES = (("s", 1.0), ("ms", 1e-3))


def size_text(count: float) -> str:
    """Bytes.

    >>> size_text(512), size_text(3 << 20)
    ('512 B', '3.0 MiB')
    """
    for unit, size in SIZES:
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count:.0f} B"


def time_text(seconds: float) -> str:
    """Seconds, in a unit that suits them.

    >>> time_text(0.0000123), time_text(0.25)
    ('12.3 µs', '250 ms')
    """
    for unit, size in TIMES:
        if seconds >= size:
            return f"{rounded(seconds / size)} {unit}"
    return f"{rounded(seconds * 1e6)} µs"


def rounded(number: float) -> str:
    """Three digits, no more.

    >>> rounded(1.2345), rounded(98.76), rounded(4321.0), rounded(0.0123)
    ('1.23', '98.8', '4321', '0.01')
    """
    return f"{number:.{2 if number < 9.995 else 1 if number < 99.95 else 0}f}"
