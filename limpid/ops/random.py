"""Random numbers: bits from a generator, and what is made of bits.

Each draw is a primitive of the generator's bits, which have no derivative. Means, scales and
bounds come in by ordinary arithmetic, so that gradients flow to them (reparameterisation).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from limpid.differentiation.elementwise import broadcast
from limpid.errors import ArgumentError, DTypeError, ShapeError
from limpid.graph.dtype import DType, as_dtype, default_float, int64, result_type
from limpid.ops.arithmetic import less
from limpid.ops.cast import astype
from limpid.ops.gaussian import cumulative
from limpid.ops.generator import Generator, default_generator
from limpid.ops.index import get_item
from limpid.ops.sampling import (
    bits_to_choice,
    bits_to_distinct,
    bits_to_integers,
    bits_to_normal,
    bits_to_permutation,
    bits_to_truncated_normal,
    bits_to_uniform,
)
from limpid.tensor import Tensor, asarray, operand, to_array


def uniform(
    low: Any = 0.0,
    high: Any = 1.0,
    shape: Any = None,
    *,
    dtype: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Numbers spread evenly over [low, high): low + (high − low) · u.

    u has all multiples of 2⁻²⁴ in [0, 1) (float32; 2⁻⁵³ in float64, 2⁻¹¹ in float16). low and
    high may be tensors, to which gradients flow; without a shape theirs is taken. Rounding of the
    product can give high itself where it is not a power of two away from low.

    >>> import limpid
    >>> g = limpid.random.Generator(0)
    >>> limpid.random.uniform(-1.0, 1.0, (2,), generator=g)
    tensor([-0.20190716,  0.76104033])
    """
    low, high = _parameter(low), _parameter(high)
    kind = _float_type(dtype, low, high)
    if _is_number(low) and _is_number(high) and not low <= high:
        raise ArgumentError(f"low must not exceed high, but {low} > {high}")
    u = _draw(bits_to_uniform, kind, _extents(shape, low, high), generator)
    plain = _is_number(low) and _is_number(high) and low == 0 and high == 1
    return _finished(u if plain else low + (high - low) * u, kind)


def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    shape: Any = None,
    *,
    dtype: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Normal numbers: mean + std · z, with z = Φ⁻¹ of (bits + ½) / 2^width.

    One word of 32 bits makes one number (64 bits in float64), so that |z| ≤ 6.4 (9.1). mean and
    std may be tensors, to which gradients flow; without a shape theirs is taken. Wichura's
    AS 241 (1988) in plain arithmetic: the same bits on every machine.

    >>> import limpid
    >>> g = limpid.random.Generator(0)
    >>> limpid.random.normal(10.0, 2.0, (3,), generator=g)
    tensor([ 9.488368, 12.355183, 11.260367])
    """
    mean, std = _parameter(mean), _parameter(std)
    kind = _float_type(dtype, mean, std)
    _check_scale(std)
    z = _draw(bits_to_normal, kind, _extents(shape, mean, std), generator)
    return _finished(_placed(z, mean, std), kind)


def truncated_normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    low: float = -2.0,
    high: float = 2.0,
    shape: Any = None,
    *,
    dtype: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Normal numbers conditioned on lying between low and high standard deviations: mean + std · z.

    low and high are numbers, in units of std from the mean. By the quantile, not by rejection, so
    that each number takes one word.

    >>> import limpid
    >>> g = limpid.random.Generator(0)
    >>> limpid.random.truncated_normal(shape=(2,), generator=g)
    tensor([-0.24393678,  1.0948391 ])
    """
    mean, std = _parameter(mean), _parameter(std)
    kind = _float_type(dtype, mean, std)
    _check_scale(std)
    low, high = float(low), float(high)
    if not low < high:
        raise ArgumentError(f"low must lie below high, but they are {low} and {high}")
    if cumulative(min(high, -low)) < 1e-290:
        raise ArgumentError(f"a normal number is between {low} and {high} with probability 0")
    extents = _extents(shape, mean, std)
    z = _draw(bits_to_truncated_normal, kind, extents, generator, low=low, high=high)
    return _finished(_placed(z, mean, std), kind)


def integers(
    low: int,
    high: int | None = None,
    shape: Any = (),
    *,
    dtype: Any = int64,
    generator: Generator | None = None,
) -> Tensor:
    """Integers from low to high − 1, or from 0 to low − 1 where only one is given.

    Each is ⌊w · n / 2⁶⁴⌋ of a 64-bit word w, without rejection, so that a draw takes a known number
    of words; among n values no probability is off by more than n / 2⁶⁴ of itself.

    >>> import limpid
    >>> limpid.random.integers(1, 7, (4,), generator=limpid.random.Generator(0))
    tensor([6, 4, 3, 1])
    """
    low, high = (0, low) if high is None else (low, high)
    kind = as_dtype(dtype)
    if kind.kind != "int":
        raise DTypeError(f"integers must have an integer type, not {kind.name}")
    try:
        first, end = int(low.__index__()), int(high.__index__())
    except AttributeError:
        raise ArgumentError(f"bounds must be integers, not {low!r:.40} and {high!r:.40}") from None
    limits = np.iinfo(kind.storage)
    if not first < end or first < limits.min or end - 1 > limits.max:
        raise ArgumentError(f"there is no {kind.name} from {first} to {end} − 1")
    words = (generator or default_generator()).words(_extents(shape), 64)
    return asarray(bits_to_integers(words, low=first, count=end - first, dtype=kind.name))


def bernoulli(
    p: Any = 0.5, shape: Any = None, *, dtype: Any = None, generator: Generator | None = None
) -> Tensor:
    """True with probability p (a number, or a tensor of them): u < p.

    Booleans unless another type is asked for. No gradient flows to p.

    >>> import limpid
    >>> limpid.random.bernoulli(0.5, (4,), generator=limpid.random.Generator(0))
    tensor([ True, False, False, False])
    """
    p = _parameter(p)
    if _is_number(p) and not 0 <= p <= 1:
        raise ArgumentError(f"a probability lies between 0 and 1, not at {p}")
    kind = _float_type(None, p)
    u = _draw(bits_to_uniform, kind, _extents(shape, p), generator)
    drawn = asarray(less(u, p))
    return drawn if dtype is None else asarray(astype(drawn, dtype))


def permutation(x: Any, *, generator: Generator | None = None) -> Tensor:
    """The integers 0 … x − 1, or the slices of an array along its first axis, in random order.

    The order is that of one 64-bit word for each.

    >>> import limpid
    >>> limpid.random.permutation(5, generator=limpid.random.Generator(0))
    tensor([3, 4, 2, 1, 0])
    """
    if isinstance(x, int | np.integer):
        count, array = int(x), None
    else:
        array = _slices(x)
        if not array.ndim:
            raise ShapeError("a 0-d array has no slices to permute")
        count = array.shape[0]
    if count < 0:
        raise ArgumentError(f"there are no permutations of {count} items")
    order = bits_to_permutation((generator or default_generator()).words((count,), 64))
    return asarray(order) if array is None else get_item(array, order)


def choice(
    items: Any,
    shape: Any = (),
    replace: bool = True,
    p: Any = None,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Items (slices of an array along its first axis, or integers below a number) chosen at random.

    replace  whether an item can be chosen more than once
    p        the probability of each item; equal ones by default

    Raises ArgumentError if probabilities are negative or do not sum to 1, or if there are fewer
    items than are to be different.

    >>> import limpid
    >>> limpid.random.choice(10, (3,), replace=False, generator=limpid.random.Generator(0))
    tensor([3, 5, 4])
    """
    array = None if isinstance(items, int | np.integer) else _slices(items)
    if array is not None and not array.ndim:
        raise ShapeError("a 0-d array has no slices to choose from")
    count = int(items) if array is None else array.shape[0]
    extents = _extents(shape)
    weights = None if p is None else operand(p)
    if weights is not None and weights.shape != (count,):
        raise ShapeError(f"{count} items need {count} probabilities, not shape {weights.shape}")
    if count < 1 and 0 not in extents:
        raise ArgumentError("there is nothing to choose from")
    chosen = (_with if replace else _without)(count, extents, weights, generator)
    return asarray(chosen) if array is None else get_item(array, chosen)


def _with(count: int, extents: tuple[int, ...], p: Any, generator: Generator | None) -> Any:
    words = (generator or default_generator()).words(extents, 64)
    if p is None:
        return bits_to_integers(words, low=0, count=max(count, 1), dtype="int64")
    return bits_to_choice(words, p)


def _without(count: int, extents: tuple[int, ...], p: Any, generator: Generator | None) -> Any:
    wanted = int(np.prod(extents, dtype=np.int64))
    if wanted > count:
        raise ArgumentError(f"{wanted} different items can't be chosen from {count}")
    words = (generator or default_generator()).words((count,), 64)
    if p is None:
        chosen = bits_to_permutation(words)[:wanted]
    else:
        chosen = bits_to_distinct(words, p, count=wanted)
    return chosen.reshape(extents)


def _draw(
    convert: Any, kind: DType, extents: tuple[int, ...], generator: Generator | None, **params: Any
) -> Any:
    """Words of the width that the type needs, converted: an array, or a tensor while recording."""
    width = 64 if kind.storage.itemsize == 8 else 32
    words = (generator or default_generator()).words(extents, width)
    return convert(words, **params, dtype=kind.name)


def _placed(z: Any, mean: Any, std: Any) -> Any:
    if _is_number(mean) and _is_number(std) and mean == 0 and std == 1:
        return z
    return mean + std * z


def _slices(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else Tensor(None, 0, to_array(x))


def _finished(x: Any, kind: DType) -> Tensor:
    """A tensor of the type that was asked for."""
    return asarray(x if x.dtype == kind else astype(x, kind))


def _float_type(dtype: Any, *given: Any) -> DType:
    if dtype is None:
        types = [as_dtype(x.dtype) for x in given if not _is_number(x)]
        kind = result_type(types, float_only=True) if types else default_float()
    else:
        kind = as_dtype(dtype)
    if kind.kind != "float":
        raise DTypeError(f"these random numbers must have a float type, not {kind.name}")
    return kind


def _is_number(x: Any) -> bool:
    return isinstance(x, float | int)


def _check_scale(std: Any) -> None:
    if _is_number(std) and not std >= 0:
        raise ArgumentError(f"a standard deviation is not negative, but {std} was given")


def _extents(shape: Any, *like: Any) -> tuple[int, ...]:
    """A shape as integers; without one that of the parameters, broadcast together."""
    if shape is None:
        return broadcast(*(() if _is_number(x) else x.shape for x in like))
    given = shape if isinstance(shape, tuple | list) else (shape,)
    try:
        extents = tuple([int(extent.__index__()) for extent in given])
    except AttributeError:
        raise ArgumentError(f"a shape is an integer or several, not {shape!r:.40}") from None
    if min(extents, default=0) < 0:
        raise ShapeError(f"extents must be 0 or more, not {extents}")
    return extents


def _parameter(x: Any) -> Any:
    """A tensor, a Python number (weak, as NumPy's scalars are here), or an array."""
    if isinstance(x, np.generic):
        return x.item()
    return x if isinstance(x, Tensor | float | int) else to_array(x)
