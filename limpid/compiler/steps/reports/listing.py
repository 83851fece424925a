"""The generated loops beside the lines that they come from."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from limpid.compiler.schedule.text import Line
from limpid.compiler.steps.reports.origins import Place, place_of
from limpid.compiler.steps.reports.reading import Reading

WIDTH = 100
CODE = 60  # columns of it, where it leaves room for the rest
DEEPER = 4  # columns more for what a line is continued by


def listing(reading: Reading) -> str:
    """All phases, blocks and stages; on the right the functions of a stage, and users' lines."""
    schedule, functions = reading.native.schedule, reading.functions()
    lines = [
        f"{reading.step}: {_count(len(schedule.phases), 'phase')}, "
        f"{_count(len(schedule.stages), 'stage')}"
    ]
    shown: Place | None = None
    for line in reading.lines:
        right = ""
        if line.stage is not None:
            shown, right = None, ", ".join(functions.get(line.stage, []))
        elif line.value is not None:
            place = place_of(line.value.node)
            if place is not None and place != shown:
                right = place.fitted(WIDTH - CODE - 2)
            shown = place
        lines += _beside(line, right)
    return "\n".join(lines)


def module_text(reading: Reading) -> str:
    """The text of all native functions, after a line for each that says which stages it is of."""
    stages: dict[str, list[int]] = {}
    for stage, names in reading.functions().items():
        for name in names:
            stages.setdefault(name, []).append(reading.numbers[stage])
    notes = [
        f"; {name}: {'stage' if len(numbers) == 1 else 'stages'} {', '.join(map(str, numbers))}"
        for name, numbers in stages.items()
    ]
    return "\n".join([*notes, "", reading.native.functions.module()])


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _beside(line: Line, right: str) -> Iterator[str]:
    """Code, and on the right of it, or below, what else there is."""
    indent = len(line.text) - len(line.text.lstrip())
    deeper = " " * (indent + DEEPER)
    code = wrap(
        line.text,
        WIDTH,
        subsequent_indent=deeper,
        break_long_words=False,
        break_on_hyphens=False,
    )
    rest = wrap(right, WIDTH - CODE - 2, break_long_words=False, break_on_hyphens=False)
    if rest and len(code) == 1 and len(code[0]) <= CODE:
        yield f"{code[0]:{CODE}}  {rest.pop(0)}"
    else:
        yield from code
    for part in rest:
        yield f"{'':{CODE}}  {part}"
