"""Keys of indexing, `x[key]`, taken apart: what is static, and what is an operand.

The static part of a key is a param: a tuple of integers, booleans, None, `"..."`, slices as
`(start, stop, step)`, and `"array"` where an array of indices, an operand, comes in. All of them
print and parse as literals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from limpid.differentiation.relation import Label
from limpid.errors import AbstractError, IndexingError
from limpid.graph.source import here
from limpid.tensor import Tensor, to_array

HOLE = "array"
DOTS = "..."
FULL = (None, None, None)  # the slice `:`
Static = tuple[Any, ...]
Shape = tuple[int, ...]


def numpy_key(static: Static, arrays: Sequence[Any]) -> tuple[Any, ...]:
    """NumPy's key from the static part and the arrays for its holes."""
    rest = iter(arrays)
    return tuple([_numpy_part(part, rest) for part in static])


def _numpy_part(part: Any, rest: Iterator[Any]) -> Any:
    if type(part) is tuple:
        return slice(*part)
    if type(part) is not str:
        return part
    return Ellipsis if part == DOTS else next(rest)


def split_key(key: Any, shape: Shape) -> tuple[Static, list[Any]]:
    """The static part of a key, and the arrays of indices for its holes.

    A mask becomes the positions where it is true. Raises IndexingError for what can't be an index,
    AbstractError for a mask without values.
    """
    static: list[Any] = []
    arrays: list[Any] = []
    parts = key if type(key) is tuple else (key,)
    for number, part in enumerate(parts):
        kind = type(part)
        if part is None or kind is int or kind is bool:
            static.append(part)
        elif kind is slice:
            static.append((_bound(part.start), _bound(part.stop), _bound(part.step)))
        elif part is Ellipsis:
            static.append(DOTS)
        else:
            index = _index(part)
            if type(index) is int or type(index) is bool:
                static.append(index)
                continue
            found = _positions(index, number, parts, shape) if is_mask(index) else [index]
            static.extend([HOLE] * len(found))
            arrays.extend(found)
    return tuple(static), arrays


def _bound(bound: Any) -> int | None:
    if bound is None or type(bound) is int:
        return bound
    try:
        return int(bound.__index__())
    except AttributeError:
        refuse_index(bound, "the bounds of a slice must be integers or None")


def _index(part: Any) -> Any:
    """An integer, a boolean, or an array (perhaps a tensor) of either."""
    dtype = getattr(part, "dtype", None)
    if dtype is not None and dtype.kind in ("i", "int", "u") and part.shape:
        return part
    array: Any
    if isinstance(part, Tensor):
        array = part
        if not array.shape and is_mask(array):
            return bool(array)
    elif isinstance(part, str | bytes):
        refuse_index(part)
    elif isinstance(part, Sequence) and not len(part):
        return np.zeros(0, np.intp)  # an empty list
    elif isinstance(part, Sequence) or hasattr(part, "__array__"):
        array = to_array(part)
        if not array.shape and array.dtype.kind in "iub":
            return array.item()
    elif hasattr(part, "__index__"):
        return int(part.__index__())
    else:
        refuse_index(part)
    if array.dtype.kind not in ("int", "bool", "i", "u", "b"):
        refuse_index(part)
    return array


def is_mask(array: Any) -> bool:
    """Whether an array of indices is boolean."""
    return array.dtype.kind in ("b", "bool")


def refuse_index(
    part: Any,
    rule: str = "an index is an integer, a slice, None, ..., or an array of integers or booleans",
) -> NoReturn:
    """Raise: this can't be an index."""
    dtype = getattr(part, "dtype", None)
    given = f"{part!r:.40}" if dtype is None else f"an array of {getattr(dtype, 'name', dtype)}"
    floats = isinstance(part, float) or getattr(dtype, "kind", "") in ("f", "float")
    remedy = "\nremedy: int(index), or limpid.astype(index, limpid.int64)" if floats else ""
    raise IndexingError(f"{rule}, not {given}{here()}{remedy}")


def _positions(mask: Any, number: int, parts: Sequence[Any], shape: Shape) -> list[Any]:
    """Where a mask is true, as one array of indices for each of its axes."""
    if isinstance(mask, Tensor):
        if mask._value is None:
            _refuse_mask()
        mask = mask.value
    first = sum(map(_taken, parts[:number]))
    if any(part is Ellipsis for part in parts[:number]):
        first = len(shape) - sum(map(_taken, parts[number:]))
    for axis, (given, extent) in enumerate(zip(mask.shape, shape[first:], strict=False), first):
        if given != extent:
            raise IndexingError(
                f"the mask has extent {given} where axis {axis} has extent {extent}: mask "
                f"{mask.shape}, indexed {shape}{here()}"
            )
    return list(np.nonzero(mask))


def _taken(part: Any) -> int:
    """How many axes a part of a key takes."""
    if part is None or part is Ellipsis or isinstance(part, bool | np.bool_):
        return 0
    if isinstance(part, int | slice):
        return 1
    index = _index(part)
    return index.ndim if not isinstance(index, int) and is_mask(index) else 1


def _refuse_mask() -> NoReturn:
    raise AbstractError(
        "the shape of x[mask] depends on the values of the mask, and a recorded graph has none "
        f"yet{here()}\n"
        "remedy: limpid.where(mask, x, other) keeps the shape; or make the mask a NumPy array "
        "outside the recorded function"
    )


def walk(static: Static, rank: int) -> Iterator[tuple[Any, int | None]]:
    """(part, axis of x or None) for every part; `"..."` is announced, then written out."""
    taken = sum(part is not None and part != DOTS and type(part) is not bool for part in static)
    axis = 0
    for part in static if DOTS in static else (*static, DOTS):
        if part == DOTS:
            yield DOTS, None
            for _ in range(rank - taken):
                yield FULL, axis
                axis += 1
        elif part is None or type(part) is bool:
            yield part, None
        else:
            yield part, axis
            axis += 1


class Layout(NamedTuple):
    """Where the axes of `x[key]` come from."""

    shape: Shape
    axes: tuple[int | None, ...]  # the axis of x that was sliced; None where it is new
    block: int  # the place of the axes that arrays of indices make
    width: int  # and how many there are
    moved: frozenset[int]  # the axes of x of which not every index is taken, each in its place


def key_layout(shape: Shape, static: Static, arrays: Sequence[Shape]) -> Layout:
    """The shape of `x[key]` and where its axes come from; arrays are given by their shapes.

    Raises IndexingError where NumPy would, as far as that depends on shapes.
    """
    _check_count(static, shape)
    block = _block(static, arrays)
    axes: list[int | None] = []
    extents: list[int] = []
    moved: set[int] = set()
    runs = 0  # of parts that make the block; the block goes first unless there is one run
    place, inside = 0, False
    for part, axis in walk(static, len(shape)):
        advanced = part == HOLE or type(part) is bool or (type(part) is int and bool(arrays))
        if advanced and not inside:
            runs, place = runs + 1, len(axes)
        inside = advanced
        if type(part) is tuple and axis is not None:
            taken = range(*slice(*part).indices(shape[axis]))
            axes.append(axis)
            extents.append(len(taken))
            if taken != range(shape[axis]):
                moved.add(axis)
        elif part is None:
            axes.append(None)
            extents.append(1)
        elif axis is not None:
            moved.add(axis)
            if type(part) is int and not -shape[axis] <= part < shape[axis]:
                raise range_error(part, axis, shape)
    place = place if runs == 1 else 0
    axes[place:place] = [None] * len(block)
    extents[place:place] = block
    return Layout(tuple(extents), tuple(axes), place, len(block), frozenset(moved))


def _check_count(static: Static, shape: Shape) -> None:
    if static.count(DOTS) > 1:
        raise IndexingError(f"a key can hold only one ellipsis{here()}")
    taken = sum(part is not None and part != DOTS and type(part) is not bool for part in static)
    if taken > len(shape):
        raise IndexingError(f"{taken} indices for {len(shape)} dimensions (shape {shape}){here()}")


def _block(static: Static, arrays: Sequence[Shape]) -> Shape:
    """The shape that the arrays of indices have together."""
    flags = [part for part in static if type(part) is bool]
    shapes = [*arrays, (int(all(flags)),)] if flags else arrays
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        text = " and ".join(map(str, shapes))
        raise IndexingError(
            f"arrays of indices of shapes {text} do not broadcast together{here()}"
        ) from None


def range_error(index: Any, axis: int, shape: Shape) -> IndexingError:
    """The error for an index that is out of range."""
    return IndexingError(
        f"index {index} is out of range for axis {axis} with extent {shape[axis]} "
        f"(shape {shape}){here()}"
    )


def index_error(static: Static, arrays: Sequence[Any], shape: Shape) -> IndexingError:
    """What NumPy's IndexError was about: the axis, the index and the extent."""
    try:
        key_layout(shape, static, [a.shape for a in arrays])
    except IndexingError as error:
        return error
    rest = iter(arrays)
    for part, axis in walk(static, len(shape)):
        if part == HOLE and axis is not None:
            given = next(rest)
            wrong = given[(given < -shape[axis]) | (given >= shape[axis])]
            if wrong.size:
                return range_error(wrong.flat[0], axis, shape)
    return IndexingError(f"the key {static} does not fit shape {shape}")


def block_labels(shape: Shape, layout: Layout, labels: Sequence[Label]) -> tuple[Label, ...]:
    """The labels of one array of indices, within the block that the arrays make together."""
    block = labels[layout.block : layout.block + layout.width]
    return tuple(block[len(block) - len(shape) :])
