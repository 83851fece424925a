"""Animations of a warp as .gif and .apng, drawn by matplotlib and written by pillow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from limpid.diagnosis.figures import DARK, LIGHT, Ink, styled
from limpid.diagnosis.pictures.canvas import library
from limpid.diagnosis.warp.picture import Panels
from limpid.diagnosis.warp.warping import Warp
from limpid.errors import MissingLibraryError

Array = np.ndarray[Any, np.dtype[Any]]

RATE = 10  # moments in a second
LAST = 15  # times that the last one is shown
COLOURS = 256  # of a palette
CLOSE = 8  # of 255 levels


def draw_animation(warp: Warp, path: Path, dark: bool = False) -> None:
    """All moments, one after another, for ever."""
    library()
    try:
        from PIL import Image
    except ImportError:
        raise MissingLibraryError(
            "animations as .gif and .apng need pillow\nremedy: pip install pillow, or write .html"
        ) from None
    ink = DARK if dark else LIGHT
    pictures = [Image.fromarray(pixels) for pixels in _draw(warp, ink)]
    palette = _palette(pictures[-1], ink)  # one for all, so that still parts stay still
    images = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    lasts = [1000 // RATE] * (len(images) - 1) + [LAST * 1000 // RATE]
    kind = "GIF" if path.suffix.lower() == ".gif" else "PNG"
    first, *rest = images
    first.save(path, kind, save_all=True, append_images=rest, duration=lasts, loop=0)


def _draw(warp: Warp, ink: Ink) -> Iterator[Array]:
    """The pixels of each moment (rows, columns, 3): what moves, over what doesn't."""
    with styled(ink):
        panels = Panels(warp, ink)
        figure, canvas = panels.figure, panels.figure.canvas
        for artist in panels.moving():
            artist.set_visible(False)
        canvas.draw()
        still = canvas.copy_from_bbox(figure.bbox)
        for number in range(len(warp.frames)):
            canvas.restore_region(still)
            panels.show(number)
            for artist in panels.moving():
                artist.set_visible(True)
                artist.draw(canvas.get_renderer())
            yield np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _palette(picture: Any, ink: Ink) -> Any:
    """The colours of a picture, of which that of the paper is exactly what it is.

    Pillow takes colours that are almost the same for one another, so there is none beside it.
    """
    from PIL import Image

    colours = np.array(picture.quantize(COLOURS).getpalette()).reshape(-1, 3)
    paper = [int(ink.paper[at : at + 2], 16) for at in (1, 3, 5)]
    far = np.abs(colours - paper).max(axis=1)
    colours[(far < CLOSE) | (far == far.min())] = paper
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours.reshape(-1).tolist())
    return palette
