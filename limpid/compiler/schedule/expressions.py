"""What a value is computed from, as text that reads like NumPy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from limpid.compiler.program.puts import is_at_indices
from limpid.compiler.program.values import Value
from limpid.compiler.program.views import VIEWS
from limpid.compiler.schedule.naming import Names, is_copy, word_for

ATOM, UNARY = 9, 8
SETTING = 24  # characters of a parameter that is shown
OPERATORS = {
    "add": ("+", 6), "subtract": ("-", 6), "multiply": ("*", 7), "divide": ("/", 7),
    "floor_divide": ("//", 7), "remainder": ("%", 7), "left_shift": ("<<", 5),
    "right_shift": (">>", 5), "bitwise_and": ("&", 4), "logical_and": ("&", 4),
    "bitwise_xor": ("^", 3), "logical_xor": ("^", 3), "bitwise_or": ("|", 2),
    "logical_or": ("|", 2), "equal": ("==", 1), "not_equal": ("!=", 1), "less": ("<", 1),
    "less_equal": ("<=", 1), "greater": (">", 1), "greater_equal": (">=", 1),
}  # fmt: skip
SIGNS = {"negative": "-", "invert": "~", "bitwise_not": "~", "logical_not": "~"}
UPDATES = {"add": "+=", "maximum": "max="}

Text = tuple[str, int]  # and how strongly it holds together


class Expressions:
    """Texts of values. Those in `inside` have no name: they are written where they are used."""

    def __init__(self, names: Names, inside: Collection[Value]):
        self.names, self.inside = names, inside

    def text(self, value: Value) -> str:
        """How a value is computed."""
        return self._made(value)[0]

    def target(self, put: Value) -> str:
        """Where a put writes, and how: `v3[2:30] =`."""
        target = put.operands[-1]
        name = self.names[target]
        if is_at_indices(put):
            index = self.operand(put.operands[1])
            return f"{name}.at[{index}] {UPDATES[put.params['function']]}"
        starts, steps = put.params["starts"], put.params["steps"]
        stops = [start + n * step for start, n, step in zip(starts, put.shape, steps, strict=True)]
        return f"{name}{_slices(starts, stops, steps, target.shape)} ="

    def operand(self, x: Value) -> str:
        """A value where it is used."""
        return self._read(x)[0]

    def _read(self, x: Value) -> Text:
        if x.kind in VIEWS:
            return _VIEWS[x.kind](self, x)
        return self._made(x) if x in self.inside else (self.names[x], ATOM)

    def _held(self, x: Value, strength: int) -> str:
        """An operand, in brackets where it would fall apart."""
        text, own = self._read(x)
        return text if own >= strength else f"({text})"

    def _made(self, value: Value) -> Text:
        operands = value.operands
        if value.kind == "put":
            return self._read(operands[0])
        if value.kind == "contract":
            return " · ".join(self._held(x, ATOM) for x in operands), 7
        if value.kind == "map":
            return self._map(value)
        listed = ", ".join([*map(self.operand, operands), *_settings(value)])
        return f"{word_for(value)}({listed})", ATOM

    def _map(self, value: Value) -> Text:
        function, operands = value.params["function"], value.operands
        if is_copy(value):
            return f"copy({self.operand(operands[0])})", ATOM
        if function == "cast":
            return f"{value.dtype.name}({self.operand(operands[0])})", ATOM
        if function == "view":
            return f"{self._held(operands[0], ATOM)}.view({value.dtype.name})", ATOM
        if function in OPERATORS and len(operands) == 2:
            sign, strength = OPERATORS[function]
            left, right = operands
            text = f"{self._held(left, strength)} {sign} {self._held(right, strength + 1)}"
            return text, strength
        if function in SIGNS:
            return f"{SIGNS[function]}{self._held(operands[0], UNARY)}", UNARY
        return f"{function}({', '.join(map(self.operand, operands))})", ATOM

    # Views

    def _same(self, x: Value) -> Text:
        return self._read(x.operands[0])

    def _permute(self, x: Value) -> Text:
        axes, x = x.params["axes"], x.operands[0]
        while x.kind == "permute":
            axes, x = tuple(x.params["axes"][n] for n in axes), x.operands[0]
        if axes == tuple(range(len(axes))):
            return self._read(x)
        inner = self._held(x, ATOM)
        return f"{inner}.T" if axes == (1, 0) else f"{inner}.permute{axes}", ATOM

    def _reshape(self, x: Value) -> Text:
        text, strength = self._read(x.operands[0])
        if _long(x.shape) == _long(x.operands[0].shape):
            return text, strength
        extents = ", ".join(map(str, x.shape))
        return f"{self._held(x.operands[0], ATOM)}.reshape({extents})", ATOM

    def _slice(self, x: Value) -> Text:
        (operand,), params = x.operands, x.params
        slices = _slices(params["starts"], params["stops"], params["steps"], operand.shape)
        return f"{self._held(operand, ATOM)}{slices}", ATOM

    def _window(self, x: Value) -> Text:
        sizes = ", ".join(map(str, x.params["sizes"]))
        return f"windows({self.operand(x.operands[0])}, {sizes})", ATOM

    def _affine(self, x: Value) -> Text:
        places = [_address(start, terms) for start, terms in x.params["places"]]
        return f"{self._held(x.operands[0], ATOM)}[{', '.join(places)}]", ATOM


_VIEWS: dict[str, Callable[[Expressions, Value], Text]] = {
    "broadcast": Expressions._same,
    "permute": Expressions._permute,
    "reshape": Expressions._reshape,
    "slice": Expressions._slice,
    "window": Expressions._window,
    "affine": Expressions._affine,
}


def _settings(value: Value) -> list[str]:
    """What else than operands says what a value is."""
    params = value.params
    if value.kind == "reduce":
        axes = params["axes"]
        every = len(axes) == len(value.operands[0].shape)
        return [] if every else [f"axis={axes[0] if len(axes) == 1 else axes}"]
    if value.kind == "call":
        texts = [f"{name}={x!r}" for name, x in params["params"].items()]
        return [text for text in texts if len(text) <= SETTING]
    return [f"axis={params['axis']}"] if "axis" in params else []


def _long(shape: Sequence[int]) -> list[int]:
    return [n for n in shape if n != 1]


def _slices(
    starts: Sequence[int], stops: Sequence[int], steps: Sequence[int], shape: Sequence[int]
) -> str:
    """`[:, 2:30, ::2]`; nothing for all of an array."""
    made = [
        _slice_text(start, stop, step, extent)
        for start, stop, step, extent in zip(starts, stops, steps, shape, strict=True)
    ]
    while made and made[-1] == ":":
        made.pop()
    return f"[{', '.join(made)}]" if made else ""


def _slice_text(start: int, stop: int, step: int, extent: int) -> str:
    if start + step == stop and step > 0:
        return f"{start}:{start + 1}" if extent > 1 else ":"
    first = "" if start == (0 if step > 0 else extent - 1) else str(start)
    last = "" if stop >= extent or stop < 0 else str(stop)
    return f"{first}:{last}" + (f":{step}" if step != 1 else "")


def _address(start: int, terms: Sequence[tuple[int, int]]) -> str:
    """`2·i1 + i3 + 1`: a place along an axis, from those along the axes of the view."""
    parts = [f"i{axis}" if step == 1 else f"{step}·i{axis}" for axis, step in terms]
    return " + ".join([*parts, *([str(start)] if start or not parts else [])])
