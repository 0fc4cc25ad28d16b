"""One map as an SVG drawing that holds its own table: the picture, a square a patch, the scale, facts and all values.

Nothing is smoothed: a patch is one square whose title says its row, column and value.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from textwrap import wrap
from typing import Any

import numpy as np
from PIL import Image

from core.explain.paint import GREY_WEIGHT, STOPS, colours_of

PICTURE_PX = 448
LEAST_WIDTH_PX = 640
LETTER_PX = 6.8
"""Width of a letter on average, for breaking lines."""
LINE_PX = 18
CELL_PX = (44, 14)
"""Of the table of values: width and height."""
BAR_PX = 12
JPEG_QUALITY = 92
NOTICE = "Research use only. Not for use in diagnostic procedures."
FONT = 'font-family="system-ui,sans-serif" font-size="12" fill="currentColor"'


def map_svg(entry: Mapping[str, Any], values: np.ndarray, view: Image.Image, facts: Sequence[tuple[str, str]]) -> str:
    """The drawing as a file of its own.

    entry: the map as `ExplanationMap.as_dict` gives it, with a scale. values: (rows, columns). view: what the model
    sees. facts: name and words of each line below the drawing, such as the crop box.
    """
    width = max(LEAST_WIDTH_PX, (values.shape[1] + 1) * CELL_PX[0])
    told = [f"{name}: {words}" for name, words in (*map_facts(entry, values), *facts)]
    lines = [line for text in (NOTICE, *told) for line in wrap(text, int(width / LETTER_PX))]
    table_top = map_height() + LINE_PX * (len(lines) + 4)
    height = table_top + (values.shape[0] + 2) * CELL_PX[1]
    body = [
        f"<title>{escape(str(entry['title']))}</title><desc>{escape(str(entry['alt']))}</desc>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="0" y="14" font-weight="600">{escape(str(entry["title"]))}</text>',
        f'<g transform="translate(0 {LINE_PX + 4})">{map_marks(entry, values, picture_mark(view))}</g>',
        _lines(lines, map_height() + 2 * LINE_PX),
        f'<g transform="translate(0 {table_top})" font-size="9">{_table(values)}</g>',
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'color="#000" {FONT} role="img">{"".join(body)}</svg>\n'
    )


def map_height() -> int:
    """Height of `map_marks` in pixels; its width is `PICTURE_PX`."""
    return PICTURE_PX + BAR_PX + 2 * LINE_PX


def map_marks(entry: Mapping[str, Any], values: np.ndarray, below: str) -> str:
    """Picture, patches and colour bar as SVG elements. below: the element that shows the picture."""
    rows, columns = values.shape
    across, down = PICTURE_PX / columns, PICTURE_PX / rows
    colours = colours_of(np.nan_to_num(values), tuple(entry["scale"]), entry["colour_map"])
    cells = "".join(
        f'<rect x="{column * across:.2f}" y="{row * down:.2f}" width="{across:.2f}" height="{down:.2f}" '
        f'fill="{_hex(colours[row, column])}"><title>row {row + 1}, column {column + 1}: {values[row, column]:.4g}'
        f"</title></rect>"
        for row, column in np.argwhere(np.isfinite(values))
    )
    return f'{below}<g opacity="{1 - GREY_WEIGHT:g}">{cells}</g>{_bar(entry)}'


def map_facts(entry: Mapping[str, Any], values: np.ndarray) -> list[tuple[str, str]]:
    """What the colours mean, and where the map is strongest."""
    low, high = entry["scale"]
    row, column = np.unravel_index(int(np.nanargmax(values)), values.shape)
    found = [
        ("Colours", f"{low:.4g} to {high:.4g}, {entry['unit']}"),
        ("Strongest patch", f"row {row + 1}, column {column + 1} of {values.shape[0]} x {values.shape[1]}"),
    ]
    if entry.get("above_scale"):
        found.append(("Beyond the last colour", patches_of(entry["above_scale"])))
    return found


def patches_of(number: int) -> str:
    """A number of patches in words."""
    return "1 patch" if number == 1 else f"{number} patches"


def frame_facts(frame: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Size of the original picture, and what of it the model sees, from `Frame.as_dict`."""
    left, top, right, bottom = frame["crop_box"]
    width, height = frame["original_px"]
    return [
        ("Original picture", f"{width} x {height} px"),
        (
            "Crop box",
            f"left {left:g}, top {top:g}, right {right:g}, bottom {bottom:g} px of the upright original; the model "
            f"sees {frame['seen_share']:.0%} of it",
        ),
    ]


def picture_mark(view: Image.Image, anchor: str | None = None) -> str:
    """The picture in grey as an SVG image that holds its own pixels. anchor: an id, to be used again."""
    known = f' id="{anchor}"' if anchor else ""
    size = f'width="{PICTURE_PX}" height="{PICTURE_PX}"'
    return f'<image{known} {size} href="{data_address(view.convert("L"))}"/>'


def data_address(picture: Image.Image) -> str:
    """A picture as a data address (JPEG)."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _bar(entry: Mapping[str, Any]) -> str:
    low, high = entry["scale"]
    steps = colours_of(np.linspace(0, 1, 4 * STOPS), (0.0, 1.0), entry["colour_map"])
    wide = PICTURE_PX / len(steps)
    top = PICTURE_PX + 6
    blocks = "".join(
        f'<rect x="{at * wide:.2f}" y="{top}" width="{wide + 0.5:.2f}" height="{BAR_PX}" fill="{_hex(colour)}"/>'
        for at, colour in enumerate(steps)
    )
    places = ((0, "start", low), (PICTURE_PX / 2, "middle", (low + high) / 2), (PICTURE_PX, "end", high))
    numbers = "".join(
        f'<text x="{x:g}" y="{top + BAR_PX + 13}" text-anchor="{anchor}">{value:.3g}</text>'
        for x, anchor, value in places
    )
    return blocks + numbers


def _lines(words: Sequence[str], top: int) -> str:
    return "".join(
        f'<text x="0" y="{top + LINE_PX * at}">{escape(text)}</text>' for at, text in enumerate(words, start=1)
    )


def _table(values: np.ndarray) -> str:
    """Values of all patches, rows and columns numbered from 1; what is missing is a dash."""
    wide, high = CELL_PX
    head = "".join(
        f'<text x="{(at + 1) * wide}" y="0" font-weight="600">{at + 1}</text>' for at in range(values.shape[1])
    )
    rows = "".join(
        f'<text x="0" y="{(row + 1) * high}" font-weight="600">{row + 1}</text>'
        + "".join(
            f'<text x="{(column + 1) * wide}" y="{(row + 1) * high}">{cell_words(value)}</text>'
            for column, value in enumerate(cells)
        )
        for row, cells in enumerate(values)
    )
    return head + rows


def cell_words(value: float) -> str:
    """A value in three digits, or a dash for a patch that is missing."""
    return f"{value:.3g}" if np.isfinite(value) else "-"


def _hex(colour: np.ndarray) -> str:
    red, green, blue = (np.clip(colour, 0, 1) * 255).round().astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"
