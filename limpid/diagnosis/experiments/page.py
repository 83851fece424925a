"""The page of an experiment: sentence, picture, table and settings; no network, no script."""

from __future__ import annotations

from html import escape
from typing import Any

from limpid.diagnosis.experiments.picture import draw_svg
from limpid.diagnosis.experiments.result import Experiment

STYLE = """
:root{color-scheme:light dark}
body{margin:0 auto;max-width:76rem;padding:1rem;font:15px/1.45 system-ui,sans-serif;
background:#fff;color:#1b1f24}
h1{font-size:1.3rem} svg{max-width:100%;height:auto}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
td,th{padding:.2rem .8rem .2rem 0;text-align:right;border-bottom:1px solid #8794a366}
td:first-child,th:first-child{text-align:left}
.soft{color:#5b6570;font-size:.9em;overflow-wrap:anywhere}
@media screen and (prefers-color-scheme:dark){body{background:#16191d;color:#e6e8eb}
.soft{color:#9aa4af}}
@media print{body{color:#000}}
"""
RULES = "default-src 'none'; style-src 'unsafe-inline'"


def render_page(experiment: Experiment) -> str:
    """The experiment as HTML that opens from disk."""
    title = escape(experiment.title)
    head = "".join(f"<th>{_cell(name)}</th>" for name in experiment.table.headings)
    rows = "".join(
        "<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>"
        for row in experiment.table.rows
    )
    settings = "; ".join(f"{name} {_told(value)}" for name, value in experiment.settings.items())
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{RULES}">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            f"<title>{title}</title><style>{STYLE}</style></head><body>",
            f"<h1>{title}</h1><p>{escape(experiment.sentence)}</p>",
            draw_svg(experiment),
            f'<div class="scroll"><table><tr>{head}</tr>{rows}</table></div>',
            f'<p class="soft">Settings: {escape(settings)}</p></body></html>\n',
        ]
    )


def _cell(value: Any) -> str:
    return escape(str(value))


def _told(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
