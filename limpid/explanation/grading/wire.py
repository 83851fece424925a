"""Arrays and words between two processes. Nothing that arrives is ever executed."""

from __future__ import annotations

import json
import math
from typing import Any, BinaryIO

import numpy as np

from limpid.graph.node import Array

MOST_BYTES = 64 * 2**20
KINDS = "fiub"  # floats, integers, booleans


class WireError(Exception):
    """What arrived is no message."""


def send(stream: BinaryIO, words: dict[str, Any], arrays: list[Array]) -> None:
    """Write a message: its length, a line of JSON, the bytes of the arrays."""
    arrays = [np.ascontiguousarray(a).reshape(np.shape(a)) for a in arrays]
    forms = [[a.dtype.str, list(a.shape)] for a in arrays]
    head = json.dumps({"words": words, "arrays": forms}).encode()
    body = b"".join(a.tobytes() for a in arrays)
    stream.write(len(head).to_bytes(8, "little") + head + body)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[dict[str, Any], list[Array]]:
    """Read a message. Raises WireError for anything else, EOFError at the end."""
    head = json_head(_exactly(stream, _length(_exactly(stream, 8))))
    arrays = [_array(stream, form) for form in head["arrays"]]
    return head["words"], arrays


def json_head(data: bytes) -> dict[str, Any]:
    """The words and the forms of the arrays."""
    try:
        head = json.loads(data)
    except ValueError as error:
        raise WireError("no JSON") from error
    if not isinstance(head, dict) or not isinstance(head.get("words"), dict):
        raise WireError("no message")
    if not isinstance(head.get("arrays"), list):
        raise WireError("no arrays")
    return head


def _array(stream: BinaryIO, form: Any) -> Array:
    try:
        code, shape = form
        dtype, shape = np.dtype(str(code)), tuple(int(n) for n in shape)
    except (TypeError, ValueError) as error:
        raise WireError("no array") from error
    if (
        dtype.kind not in KINDS
        or dtype.itemsize > 8
        or any(n < 0 for n in shape)
        or len(shape) > 16
    ):
        raise WireError("an array of another kind")
    data = _exactly(stream, _bounded(math.prod(shape) * dtype.itemsize))
    return np.frombuffer(data, dtype).reshape(shape).copy()


def _length(data: bytes) -> int:
    return _bounded(int.from_bytes(data, "little"))


def _bounded(length: int) -> int:
    if length > MOST_BYTES:
        raise WireError("too large")
    return length


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
