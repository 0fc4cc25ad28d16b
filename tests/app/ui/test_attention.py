"""The Attention page's maps and colours are those the explanations are made with."""

from __future__ import annotations

import re

import numpy as np
import pytest

from app.ui.layout import STATIC_DIR
from core.explain.paint import DIVERGING, SEQUENTIAL, ColourMap


def script(name: str) -> str:
    """The text of one of our scripts."""
    return (STATIC_DIR / "js" / name).read_text("utf-8")


@pytest.mark.parametrize(("constant", "colour_map"), [("CIVIDIS", SEQUENTIAL), ("VIK", DIVERGING)])
def test_colours_in_the_browser_are_the_published_ones(constant: str, colour_map: ColourMap) -> None:
    from core.explain.paint import colours_of

    written = re.search(rf'const {constant} =\s+"([0-9a-f ]+)"', script("colour-maps.js"))
    assert written
    stops = written[1].split()
    values = np.linspace(0, 1, len(stops))[None]
    expected = (np.asarray(colours_of(values, (0.0, 1.0), colour_map))[0, :, :3] * 255).round().astype(int)
    found = np.array([[int(stop[i : i + 2], 16) for i in (0, 2, 4)] for stop in stops])
    assert np.abs(found - expected).max() <= 1
