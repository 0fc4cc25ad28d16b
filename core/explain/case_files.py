"""An explanation as files to take along: the page of the case, and each map as a drawing with its table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core.errors import NotFound
from core.explain.case_page import case_page
from core.explain.map_drawing import frame_facts, map_svg

PAGE_FILE = "case.html"


def write_case(
    folder: Path,
    found: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    view: Image.Image,
    card: Mapping[str, Any],
) -> Path:
    """Write `case.html` and one SVG a map beside the pictures; gives the page's path.

    found: as `Explanation.as_dict` gives it. card: of the model.
    """
    for entry in found["maps"]:
        if entry["scale"]:
            drawing = svg_of(found, entry["kind"], arrays, view, card)
            (folder / f"{entry['kind']}.svg").write_text(drawing, encoding="utf-8")
    page = folder / PAGE_FILE
    page.write_text(page_of(found, arrays, view, card), encoding="utf-8")
    return page


def page_of(
    found: Mapping[str, Any], arrays: Mapping[str, np.ndarray], view: Image.Image, card: Mapping[str, Any]
) -> str:
    """The page of the case."""
    return case_page(found, arrays, view, _about(found, card))


def svg_of(
    found: Mapping[str, Any],
    kind: str,
    arrays: Mapping[str, np.ndarray],
    view: Image.Image,
    card: Mapping[str, Any],
) -> str:
    """One map as a drawing. Raises NotFound for a kind without values."""
    drawn = {entry["kind"]: entry for entry in found["maps"] if entry.get("scale") and entry["kind"] in arrays}
    if kind not in drawn:
        raise NotFound(f"A map of one of the kinds {', '.join(drawn)}", f"found '{kind}'", "Choose one of them.")
    facts = [("Class explained", found["class"]), ("Explains", found.get("scalar") or "-"), *_about(found, card)]
    return map_svg(drawn[kind], arrays[kind], view, [*facts, *(frame_facts(found["frame"]) if found["frame"] else [])])


def _about(found: Mapping[str, Any], card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Which picture and which model, as far as it is known."""
    known = {
        "Image": found.get("image"),
        "Image SHA-256": found.get("image_sha256"),
        "Method": card.get("method"),
        "Backbone": card.get("backbone"),
        "Weights SHA-256": card.get("weights_sha256"),
    }
    return [(name, str(value)) for name, value in known.items() if value]
