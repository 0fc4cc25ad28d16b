"""The Classify page offers the files the decoder reads, and says what results are for."""

from __future__ import annotations

import re

from app.ui.layout import STATIC_DIR
from core.images.decode import FORMATS


def test_the_file_input_accepts_the_formats_that_can_be_read() -> None:
    script = (STATIC_DIR / "js" / "image-drop.js").read_text("utf-8")
    accepted = re.search(r'const ACCEPTED = "([^"]+)"', script)
    assert accepted
    endings = set(accepted[1].split(","))
    assert {f".{name.lower()}" for name in FORMATS} <= endings


def test_results_stand_under_their_purpose() -> None:
    script = (STATIC_DIR / "js" / "classify.js").read_text("utf-8")
    assert script.count("Not for use in diagnostic procedures.") == 2  # on the screen and in the file
