"""What pictures are drawn on: matplotlib where it is installed, colours, and clean SVG."""

from __future__ import annotations

import re
import warnings
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from io import BytesIO, StringIO
from typing import Any

import numpy as np

from limpid.errors import MissingLibraryError
from limpid.explanation.drawing.faces import clean

INK, SOFT, LINE, PAPER = "#1b1f24", "#5b6570", "#d5dae0", "#ffffff"
# Okabe and Ito's colours, which the colour-blind tell apart, the darker ones first
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
BLUE, ORANGE = COLOURS[:2]
ZERO, WRONG = "#9a9a9a", "#d45f01"  # of pixels: no logarithm, not finite; the same in the dark
SIGNED, AMOUNT = "PuOr_r", "viridis"  # colour maps: around zero, and from little to much
_DARK = {
    INK: "#e6e8eb", SOFT: "#9aa4af", LINE: "#3a4149", PAPER: "#16191d", "#0072b2": "#58aee8",
    "#d55e00": "#f5893d", "#009e73": "#35c79c", "#cc79a7": "#dc93bb", "#e69f00": "#f0b740",
}  # fmt: skip
_SETTINGS: dict[str, Any] = {
    "font.family": ["DejaVu Sans"], "font.size": 9.0, "text.color": INK, "text.parse_math": False,
    "figure.facecolor": PAPER, "figure.edgecolor": PAPER, "savefig.facecolor": PAPER,
    "axes.facecolor": "none", "axes.edgecolor": SOFT, "axes.labelcolor": INK,
    "axes.titlesize": 9.0, "axes.titlecolor": INK, "axes.titlelocation": "left",
    "axes.linewidth": 0.7, "axes.spines.top": False, "axes.spines.right": False,
    "axes.axisbelow": True, "axes.formatter.use_mathtext": False, "axes.unicode_minus": True,
    "xtick.color": SOFT, "ytick.color": SOFT, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "xtick.labelsize": 8.0, "ytick.labelsize": 8.0, "grid.color": LINE, "grid.linewidth": 0.6,
    "legend.frameon": False, "legend.fontsize": 8.0, "lines.linewidth": 1.6,
    "svg.fonttype": "none", "svg.hashsalt": "limpid", "pdf.fonttype": 42, "hatch.linewidth": 0.6,
    "figure.constrained_layout.use": True,
}  # fmt: skip
SHADES = 240  # of a colour map; a palette has 256, some of which stand for what has no colour
NAME = "limpid-picture"  # the class of the SVGs
_PARTS = re.compile(r"<metadata>.*?</metadata>|<!--.*?-->|<title>.*?</title>", re.DOTALL)
_SHAPES = re.compile(r'(<path[^>]*? d=")([^"]*)"')
_IMAGES = re.compile(r'("data:image/png;base64,)([^"]*)"')
_LONG = re.compile(r"-?\d+\.\d{3,}")


def library() -> Any:
    """matplotlib, which draws pictures; its `pyplot` is left alone."""
    try:
        import matplotlib.figure
        import matplotlib.style
    except ImportError:
        raise MissingLibraryError(
            "pictures need matplotlib; their data does not\nremedy: pip install 'limpid[pictures]'"
        ) from None
    return matplotlib


@contextmanager
def styled() -> Iterator[None]:
    """matplotlib's settings are those of limpid's pictures, and afterwards the user's again."""
    style = library().style
    with style.context(["default", _SETTINGS]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # names may be in any script
        yield


def new_figure(width: float, height: float) -> Any:
    """An empty figure of a size in inches, which pyplot does not know of."""
    return library().figure.Figure((width, height))


def colour_map(name: str) -> Any:
    """A colour map of few enough colours that images of it have palettes."""
    return library().colormaps[name].resampled(SHADES)


def svg_of(figure: Any, title: str) -> str:
    """The figure as SVG that can stand in a page: small, light and dark.

    Texts stay texts. The colours in it are those for light paper; where dark is preferred, a style
    sheet replaces them, which programs that know none leave alone.
    """
    buffer = StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with styled():
        figure.savefig(buffer, format="svg", metadata=nothing)
    text = buffer.getvalue()
    body = text[text.index(">", text.index("<svg")) + 1 :]
    body = _PARTS.sub("", body).replace("base64,\n", "base64,")
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = _SHAPES.sub(lambda m: f'{m[1]}{" ".join(_LONG.sub(_rounded, m[2]).split())}"', body)
    body = _IMAGES.sub(lambda m: m[1] + with_palette(m[2]) + '"', body)
    body = re.sub(r">\s+<", "><", body)
    width, height = (72 * inches for inches in figure.get_size_inches())
    return (
        f'<svg class="{NAME}" xmlns="http://www.w3.org/2000/svg" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width * 4 / 3:.0f}" height="{height * 4 / 3:.0f}" role="img" '
        f'aria-label="{escape(clear(title, 200), quote=True)}">'
        f"<style>{style_sheet()}</style>{body.strip()}"
    )


def style_sheet() -> str:
    """What makes pictures dark on dark screens, not in print."""
    rules = "".join(
        f'.{NAME} [style*="{kind}: {light}"]{{{kind}:{dark}!important}}'
        for light, dark in _DARK.items()
        for kind in ("fill", "stroke")
    )
    return f"@media screen and (prefers-color-scheme:dark){{{rules}}}"


def bytes_of(figure: Any, kind: str) -> bytes:
    """The figure as PNG or PDF."""
    buffer = BytesIO()
    metadata = {"CreationDate": None} if kind == "pdf" else {"Software": None}
    with styled():
        figure.savefig(buffer, format=kind, dpi=200, metadata=metadata)
    return buffer.getvalue()


def with_palette(image: str) -> str:
    """A PNG in base64, with one byte for each pixel if it has at most 256 colours."""
    from PIL import Image  # which matplotlib needs, too

    pixels = np.asarray(Image.open(BytesIO(b64decode(image))).convert("RGBA"))
    colours, places = np.unique(pixels.reshape(-1, 4), axis=0, return_inverse=True)
    if len(colours) > 256:
        return image
    made = Image.fromarray(places.reshape(pixels.shape[:2]).astype(np.uint8), "P")
    made.putpalette(colours[:, :3].tobytes())
    buffer = BytesIO()
    made.save(buffer, "png", optimize=True, transparency=colours[:, 3].tobytes())
    return min(image, b64encode(buffer.getvalue()).decode(), key=len)


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


# Texts


def clear(text: object, longest: int = 28) -> str:
    """A name as pictures show it: printable, and of a long one the end, which tells most.

    >>> clear("encoder.layers.11.attention.out.weight", 20)
    '…attention.out.weight'
    """
    name = clean(str(text))
    return name if len(name) <= longest else "…" + name[-longest:].lstrip()


_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def power_of_ten(exponent: float) -> str:
    """10 to a power, in small numbers above the line.

    >>> power_of_ten(-3)
    '10⁻³'
    """
    whole = round(exponent)
    if abs(exponent - whole) > 1e-9:
        return f"{10.0**exponent:.2g}"
    return "10" + str(whole).translate(_RAISED)
