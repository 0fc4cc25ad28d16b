"""The colours of the site keep the contrast people need, in light and in dark."""

from __future__ import annotations

import re
from functools import cache

import pytest

from app.ui.layout import STATIC_DIR

TEXT, EDGE = 4.5, 3.0
GROUNDS = ("page", "surface", "surface-2")
PAIRS = [
    *[(ink, ground, TEXT) for ink in ("ink", "ink-soft", "accent-ink") for ground in GROUNDS],
    *[(f"{tone}", f"{tone}-soft", TEXT) for tone in ("good", "warn", "bad")],
    *[("ink", f"{tone}-soft", TEXT) for tone in ("good", "warn", "bad", "accent")],
    *[("ink-soft", f"{tone}-soft", TEXT) for tone in ("bad", "warn")],
    ("accent-ink", "accent-soft", TEXT),
    ("on-accent", "accent", TEXT),
    ("on-accent", "accent-strong", TEXT),
    ("on-bad", "bad-fill", TEXT),
    *[(mark, ground, EDGE) for mark in ("edge", "accent") for ground in GROUNDS],
    *[(f"series-{n}", "surface", EDGE) for n in (1, 2, 3)],
]


@cache
def colours() -> dict[str, tuple[str, str]]:
    """{name: (light, dark)} of every custom property of app.css that has both."""
    sheet = (STATIC_DIR / "app.css").read_text("utf-8")
    rows = re.findall(r"--ps-([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", sheet)
    return {name: (light, dark) for name, light, dark in rows}


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it, in [0, 1]."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2.2, from 1 to 21."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_black_on_white_is_21() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground", "least"), PAIRS, ids=lambda value: str(value))
def test_text_and_edges_stand_out_from_their_ground(ink: str, ground: str, least: float, mode: int) -> None:
    assert contrast(colours()[ink][mode], colours()[ground][mode]) >= least
