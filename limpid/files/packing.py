"""Nested state as named arrays and JSON, and back: what a checkpoint file can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from limpid.errors import ArgumentError
from limpid.tensor import Tensor

Array = np.ndarray[Any, np.dtype[Any]]
Arrays = dict[str, Array]


def pack(state: Any) -> tuple[Arrays, Any]:
    """Any nesting of dicts, lists, tuples, numbers, strings and arrays, as (arrays, JSON).

    An array is named by its place and leaves {"$array": name} in the JSON. Tensors become arrays.

    >>> import numpy as np
    >>> pack({"rate": 0.1, "w": np.zeros(2)})
    ({'w': array([0., 0.])}, {'rate': 0.1, 'w': {'$array': 'w'}})
    """
    arrays: Arrays = {}
    return arrays, _pack(state, "", arrays)


def _pack(value: Any, path: str, arrays: Arrays) -> Any:
    if isinstance(value, Tensor):
        value = value.value
    if isinstance(value, np.ndarray | np.generic):
        arrays[path] = np.asarray(value, order="C")
        return {"$array": path}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return _pack_mapping(value, path, arrays)
    if isinstance(value, list | tuple):
        parts = [_pack(part, _join(path, i), arrays) for i, part in enumerate(value)]
        return parts if isinstance(value, list) else {"$tuple": parts}
    raise ArgumentError(f"{path}: a checkpoint can't hold a {type(value).__name__}")


def _pack_mapping(value: Mapping[Any, Any], path: str, arrays: Arrays) -> Any:
    items = [(key, _pack(part, _join(path, key), arrays)) for key, part in value.items()]
    if all(isinstance(key, str) and not key.startswith("$") for key, _ in items):
        return dict(items)
    return {"$items": [[_pack(key, "", {}), part] for key, part in items]}  # JSON keys are strings


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def unpack(arrays: Arrays, packed: Any) -> Any:
    """The state that was packed. KeyError if an array is missing.

    >>> unpack({}, {"$tuple": [1, 2]})
    (1, 2)
    """
    if isinstance(packed, list):
        return [unpack(arrays, part) for part in packed]
    if not isinstance(packed, dict):
        return packed
    if "$array" in packed:
        return arrays[packed["$array"]]
    if "$tuple" in packed:
        return tuple(unpack(arrays, part) for part in packed["$tuple"])
    if "$items" in packed:
        return {unpack(arrays, k): unpack(arrays, part) for k, part in packed["$items"]}
    return {key: unpack(arrays, part) for key, part in packed.items()}
