"""Vector functions of generated loops: stated errors, special values, the same bits in any lane."""

from __future__ import annotations

import ctypes
import math
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest
from scipy import special

import limpid
from limpid.compiler.emission.code import SCALARS, Code
from limpid.compiler.emission.functions import apply
from limpid.compiler.emission.nests import can_emit
from limpid.compiler.machine.loading import address, load
from limpid.compiler.program.tracing import trace
from limpid.compiler.program.values import Value, evaluate
from limpid.compiler.runtime.native import Native
from tests.native import HOST, needs_native

pytestmark = needs_native

STATED = {  # ulp, float32 and float64
    "exp": (1.1, 1.1), "exp2": (0.9, 0.9), "expm1": (1.6, 2.2), "tanh": (2.6, 2.7),
    "sinh": (1.6, 1.8), "cosh": (2.1, 1.6), "log": (0.9, 0.9), "log2": (1.9, 1.9),
    "log10": (2.0, 2.0), "log1p": (1.5, 1.5), "sin": (1.6, 1.6), "cos": (1.6, 1.6),
    "tan": (3.8, 3.8), "erf": (1.4, 1.4), "erfc": (3.3, 3.6),
}  # fmt: skip
# Where float64 arguments are drawn from; powers of two of all sizes are added.
RANGES = {
    "exp": 745, "exp2": 1074, "expm1": 700, "tanh": 20, "sinh": 710, "cosh": 710, "sin": 500,
    "cos": 500, "tan": 500, "erf": 6, "erfc": 26,
}  # fmt: skip
# The floats nearest to multiples of π/2, found by continued fractions.
NEAREST = {
    "float32": [252.89820861816406, 52516.43359375, 105032.8671875],
    "float64": [45.553093477052, 14461176.67027838, 57844706.68111352],
}
POSITIVE = ("log", "log2", "log10", "log1p")
names = pytest.mark.parametrize("name", STATED)
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def lanes(dtype: str) -> int:
    assert HOST is not None
    return HOST.lanes(dtype)


@cache
def native(name: str, dtype: str, width: int, operands: int = 1) -> Any:
    """A function of arrays that applies one function to vectors of so many lanes."""
    assert HOST is not None
    kind, code = np.dtype(dtype), Code(width)
    scalar, vector = SCALARS[kind], code.type_of(kind)
    given = []
    for n in range(operands):
        place = code.make(f"getelementptr {scalar}, ptr %x{n}, i64 %i")
        given.append(code.make(f"load {vector}, ptr {place}, align {kind.itemsize}"))
    y = apply(code, name, kind, given)
    place = code.make(f"getelementptr {scalar}, ptr %y, i64 %i")
    parameters = "".join(f"ptr %x{n}, " for n in range(operands))
    text = f"""
{chr(10).join(sorted(code.declared))}
define void @apply({parameters}ptr %y, i64 %n) {{
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
{chr(10).join(code.lines)}
  store {vector} {y}, ptr {place}, align {kind.itemsize}
  %next = add i64 %i, {width}
  %more = icmp ult i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}}"""
    pointers = [ctypes.c_void_p] * (operands + 1)
    function = load(text, HOST).function("apply", *pointers, ctypes.c_int64)

    def on_arrays(*arrays: Any) -> Any:
        count = arrays[0].size
        padded = [np.append(x, np.ones(-count % width, kind)) for x in arrays]
        y = np.empty_like(padded[0])
        function(*map(address, padded), address(y), y.size)
        return y[:count]

    return on_arrays


def vectors(name: str, *arrays: Any) -> Any:
    dtype = arrays[0].dtype.name
    return native(name, dtype, lanes(dtype), len(arrays))(*arrays)


def on_numpy(name: str) -> Any:
    return getattr(np, name, None) or getattr(special, name)


def alike(actual: Any, expected: Any) -> None:
    """The same NaN and infinities, zeros with their sign; where float32 may round to either."""
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
    infinite = np.isinf(expected) | np.isinf(actual)
    np.testing.assert_array_equal(actual[infinite], expected[infinite])
    zero = (expected == 0) | (actual == 0)
    np.testing.assert_array_equal(np.signbit(actual[zero]), np.signbit(expected[zero]))


def single_errors(actual: Any, exact: Any) -> Any:
    """In ulp of float32, from float64; 0 where either is not finite."""
    unit = np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)
    finite = np.isfinite(actual) & np.isfinite(unit)
    return np.where(finite, np.abs(actual - exact) / unit, 0)


def double_errors(name: str, x: Any, actual: Any) -> Any:
    """In ulp of float64, from 40 digits."""
    other = {"exp2": mpmath.exp, "log2": lambda v: mpmath.log(v, 2)}
    function = other.get(name) or getattr(mpmath, name)
    made = []
    with mpmath.workdps(40):
        factor = mpmath.ln(2) if name == "exp2" else 1
        for a, b in zip(x, actual, strict=True):
            exact = function(mpmath.mpf(float(a)) * factor)
            unit = float(np.spacing(abs(float(exact))))
            made.append(float(abs(exact - mpmath.mpf(float(b))) / unit))
    return np.array(made)


def patterns(dtype: str, count: int) -> Any:
    """Numbers of all exponents and signs, NaN and infinities among them."""
    bits = {"float32": 32, "float64": 64}[dtype]
    step = (1 << bits) // count | 1
    return (np.arange(count, dtype=np.uint64) * np.uint64(step)).astype(f"u{bits // 8}").view(dtype)


def everyday(dtype: str, count: int) -> Any:
    rng = np.random.default_rng(0)
    sizes = np.concatenate([np.full(count, s) for s in (0.01, 0.3, 1, 3, 30)])
    around = 1 + rng.normal(size=count) * 0.01
    return np.concatenate([rng.normal(size=sizes.size) * sizes, around]).astype(dtype)


def ends(dtype: str) -> Any:
    """Zeros, infinities, NaN, the smallest and largest numbers, and where functions leave range."""
    info = np.finfo(dtype)
    sizes = [0, 1, 0.5, 2, 3, 10, 100, info.tiny, info.smallest_subnormal, info.max, np.inf, np.nan]
    edges = [87.3, 88.7, 88.73, 89, 89.4, 89.5, 103, 103.9, 104, 708.4, 709.78, 710, 710.5, 745.2]
    bounds = [126, 127, 128, 149, 150, 1022, 1023.5, 1024, 1074, 1075, 3.92, 5.9, 9.2, 10.1, 26.6]
    x = np.array([*sizes, *edges, *bounds], dtype)
    x = np.concatenate([x, np.nextafter(x, dtype_inf(dtype)), np.nextafter(x, x.dtype.type(0))])
    return np.concatenate([x, -x])


def dtype_inf(dtype: str) -> Any:
    return np.dtype(dtype).type(np.inf)


@names
def test_errors_of_float32(name: str) -> None:
    x = np.concatenate([patterns("float32", 300_001), everyday("float32", 30_000), ends("float32")])
    actual, exact = vectors(name, x), on_numpy(name)(x.astype(np.float64))
    assert single_errors(actual, exact).max() <= STATED[name][0]
    alike(actual, exact.astype(np.float32))


@names
def test_errors_of_float64(name: str) -> None:
    rng, bound = np.random.default_rng(1), RANGES.get(name, 30)
    powers = np.ldexp(1.0, np.arange(-1070, 10, 7))
    x = np.concatenate([rng.uniform(-bound, bound, 600), everyday("float64", 100), powers, -powers])
    x = x[np.abs(x) <= bound]
    if name in POSITIVE:
        x = np.concatenate([np.abs(x), np.ldexp(rng.uniform(1, 2, 100), np.arange(-50, 50) * 20)])
        x = x[x > 0]
    actual = vectors(name, x)
    finite = np.isfinite(actual)
    assert double_errors(name, x[finite], actual[finite]).max() <= STATED[name][1]


@names
@dtypes
def test_special_values(name: str, dtype: str) -> None:
    x = ends(dtype)
    if name in ("sin", "cos", "tan"):  # NumPy's own are not exact at huge arguments
        x = x[(np.abs(x) < 1e6) | ~np.isfinite(x)]
    alike(vectors(name, x), on_numpy(name)(x))


@pytest.mark.parametrize("name", ["sinh", "tanh", "expm1", "log1p", "sin", "tan"])
@dtypes
def test_subnormal_numbers_stay(name: str, dtype: str) -> None:
    x = np.finfo(dtype).smallest_subnormal * np.arange(-40, 41).astype(dtype)
    np.testing.assert_array_equal(vectors(name, x), x)


@names
@dtypes
def test_neither_lanes_nor_widths_matter(name: str, dtype: str) -> None:
    x = np.concatenate([patterns(dtype, 20_001), everyday(dtype, 2_000), ends(dtype)])
    expected = vectors(name, x)
    shifted = vectors(name, np.append(x.dtype.type(1e30), x))[1:]
    number, bits = ~np.isnan(expected), f"u{x.itemsize}"
    for actual in (native(name, dtype, 1)(x), native(name, dtype, 4)(x), shifted):
        np.testing.assert_array_equal(np.isnan(actual), ~number)
        np.testing.assert_array_equal(actual[number].view(bits), expected[number].view(bits))


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
@dtypes
def test_angles_near_multiples_of_a_quarter_turn(name: str, dtype: str) -> None:
    limit = {"float32": 17, "float64": 30}[dtype]
    turns = np.unique(np.exp2(np.linspace(0, limit - 1, 500)).astype(np.int64))
    with mpmath.workdps(40):
        near = [float(mpmath.pi / 2 * int(n)) for n in turns]
        x = np.array([*near, *NEAREST[dtype], 2.0**limit, np.nextafter(2.0**limit, 0)], dtype)
        exact = [getattr(mpmath, name)(mpmath.mpf(float(a))) for a in x]
        off = [mpmath.mpf(float(a)) - y for a, y in zip(vectors(name, x), exact)]
    errors = np.abs(np.array(off, float)) / np.spacing(np.abs(np.array(exact, dtype)))
    assert errors.max() <= STATED[name][0]


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_huge_angles_are_left_to_the_c_library(name: str) -> None:
    x = np.array([1.0, 2.0**31, 1e15, -1e30, 0.5, 1e300, -0.0])
    expected = [
        getattr(math, name)(v) if abs(v) > 1e9 else vectors(name, np.array([v]))[0] for v in x
    ]
    np.testing.assert_array_equal(vectors(name, x), expected)
    single = x[:4].astype(np.float32)
    exact = getattr(np, name)(single.astype(np.float64))
    assert single_errors(vectors(name, single), exact).max() <= STATED[name][0]


def test_powers_of_float32() -> None:
    rng = np.random.default_rng(2)
    special_ones = np.concatenate([ends("float32"), [-3, -2.5, 4, 16777217, 1 / 3, -1.0000001]])
    a, b = (v.ravel().astype(np.float32) for v in np.meshgrid(special_ones, special_ones))
    bases = np.exp(rng.normal(size=50_000) * 10)
    whole = rng.integers(-9, 10, 10_000)
    x = np.concatenate([a, bases, -bases[:10_000], np.exp(bases[:10_000] * 1e-3 % 0.1)])
    y = np.concatenate([b, rng.normal(size=50_000) * 3, whole, whole * 100])
    x, y = x.astype(np.float32), y.astype(np.float32)
    actual = vectors("power", x, y)
    exact = np.power(x.astype(np.float64), y.astype(np.float64))
    assert single_errors(actual, exact).max() <= 0.6
    alike(actual, exact.astype(np.float32))


@dtypes
def test_logaddexp(dtype: str) -> None:
    a, b = (v.ravel() for v in np.meshgrid(ends(dtype), ends(dtype)))
    rng = np.random.default_rng(3)
    a, b = (np.append(v, rng.normal(size=9_000) * 5).astype(dtype) for v in (a, b))
    actual, expected = vectors("logaddexp", a, b), np.logaddexp(a, b)
    alike(actual[:-9_000], expected[:-9_000])
    with np.errstate(all="ignore"):
        unit = np.spacing(np.maximum(1, np.fmax(np.abs(a), np.abs(b))))
        errors = np.abs(actual - expected) / unit
    assert np.nanmax(np.where(np.isfinite(expected), errors, 0)) <= 2.5


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "uint64"])
def test_division_of_integers_is_rounded_down(dtype: str) -> None:
    info = np.iinfo(dtype)
    ones = np.array([0, 1, 2, 3, 7, info.max, info.min, info.min + 1], dtype)
    ones = np.concatenate([ones, -ones]) if info.min else ones
    a, b = (np.ascontiguousarray(v.ravel()) for v in np.meshgrid(ones, ones))
    for name in ("floor_divide", "remainder"):
        for width in (1, 8):
            actual = native(name, dtype, width, 2)(a, b)
            np.testing.assert_array_equal(actual, getattr(np, name)(a, b))


@pytest.mark.parametrize("name", ["isfinite", "isinf", "isnan", "positive"])
@dtypes
def test_classes_of_numbers(name: str, dtype: str) -> None:
    assert HOST is not None
    x = ends(dtype)
    (made,) = trace(getattr(np, name), [Value("input", x.shape, x.dtype, params={"number": 0})], {})
    assert can_emit(made)
    np.testing.assert_array_equal(Native([made], HOST).run([x])[0], getattr(np, name)(x))


@pytest.mark.parametrize("name", ["erf", "erfc"])
def test_error_functions_are_one_map(name: str) -> None:
    x = np.linspace(-3, 3, 7, dtype=np.float32)
    value = Value("input", x.shape, x.dtype, params={"number": 0})
    primitive: Any = getattr(limpid, name)
    (made,) = trace(primitive.forward, [value], {})
    assert (made.kind, made.params["function"], made.dtype) == ("map", name, x.dtype)
    np.testing.assert_array_equal(evaluate([made], [x])[0], primitive(x))


def test_a_function_is_defined_once() -> None:
    code, dtype = Code(8), np.dtype(np.float32)
    for x in ("%a", "%b"):
        apply(code, "exp", dtype, [x])
    assert sum(text.startswith("define") for text in code.declared) == 1
    assert sum("call" in line for line in code.lines) == 2
