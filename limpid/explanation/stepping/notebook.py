"""The debugger in a notebook: buttons where ipywidgets is installed, else a page of HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from limpid.errors import LimpidError
from limpid.explanation.quantity import Quantity
from limpid.explanation.stepping.debugger import Debugger
from limpid.explanation.stepping.moment import Moment, derivative

MOST = 100  # gradients in the list
STYLE = "border-collapse:collapse;font-family:monospace;font-size:13px"


def bundle(debugger: Debugger, **options: Any) -> Any:
    """What a notebook shows of a debugger, by media type."""
    if find_spec("ipywidgets") is not None:
        return widget(debugger)._repr_mimebundle_(**options)
    return {"text/html": page(debugger), "text/plain": str(debugger.moment)}


def page(debugger: Debugger) -> str:
    """The present step as HTML; every name and every line is escaped."""
    moment = debugger.moment
    shown = moment.inputs if moment.phase == "end" else (moment.to_name,)
    rows: list[tuple[str, Quantity | str | None]] = [("value", moment.value)]
    if moment.phase == "backward":
        rows += [
            ("rule", f"{moment.rule}  ({moment.pattern})"),
            ("upstream", moment.upstream),
            ("local", moment.local if moment.local is not None else moment.local_rule),
            ("downstream", moment.downstream),
        ]
    now = "" if moment.phase == "end" else " so far"
    rows += [(derivative(x) + now, moment.sums[x]) for x in shown if x in moment.sums]
    return (
        f"<div><b>{escape(moment.title)}</b>{_table(rows)}"
        f'<pre style="font-size:13px">{escape(str(debugger.where()))}</pre>{_sums(moment)}</div>'
    )


def _sums(moment: Moment) -> str:
    """All that has arrived so far, the latest first, to be unfolded."""
    latest = list(moment.sums.items())[: -MOST - 1 : -1]
    if not latest:
        return ""
    more = f" (the latest {MOST})" if len(moment.sums) > MOST else ""
    summary = f"{len(moment.sums)} gradients so far{more}"
    rows = [(derivative(name), total) for name, total in latest]
    return f"<details><summary>{summary}</summary>{_table(rows)}</details>"


def _table(rows: Sequence[tuple[str, Quantity | str | None]]) -> str:
    cells = "".join(_row(name, value) for name, value in rows if value is not None)
    return f'<table style="{STYLE}">{cells}</table>'


def _row(name: str, value: Quantity | str) -> str:
    return (
        f'<tr><th style="text-align:left;padding-right:1em">{escape(name)}</th>'
        f'<td style="text-align:left;white-space:pre-wrap">{escape(str(value))}</td></tr>'
    )


def widget(debugger: Debugger) -> Any:
    """The same with buttons, and a field for `until` and for breaks. Needs ipywidgets."""
    widgets = import_module("ipywidgets")
    shown, said = widgets.HTML(page(debugger)), widgets.HTML()
    target = widgets.Text(placeholder="fc1, net.py:31, relu, or a condition: norm > 1e3")
    moves = {
        "◀◀ start": debugger.start,
        "◀ back": debugger.back,
        "forward ▶": debugger.forward,
        "until ▶": lambda: debugger.until(target.value),
        "◀ until": lambda: debugger.back_until(target.value),
        "break on": lambda: debugger.break_on(target.value),
        "run ▶": debugger.run,
        "end ▶▶": debugger.end,
    }

    def button(label: str) -> Any:
        made = widgets.Button(description=label, layout=widgets.Layout(width="auto"))

        def pressed(_: Any) -> None:
            said.value = ""
            try:
                moves[label]()
            except LimpidError as error:
                said.value = f"<i>{escape(str(error))}</i>"
            shown.value = page(debugger)

        made.on_click(pressed)
        return made

    return widgets.VBox([widgets.HBox([button(label) for label in moves]), target, said, shown])
