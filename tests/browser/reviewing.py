"""Description sets to review in the browser, and what a reader does there."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from app.services import description_review, descriptions, image_sets, incoming_images
from core.records.sentence_filters import Filter
from tests.browser.conftest import Site, Visit

CLASSES = ("cyst", "solid mass")
SHAPES = ("round", "oval", "lobed", "angular", "flat", "tall", "spiked", "ring shaped")
EDGES = ("a thin wall", "a blurred margin", "a bright rim", "a dark halo", "a sharp border")


def png(seed: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 40), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def image_set(site: Site) -> str:
    """Id of an image set of two classes, added once."""
    for row in image_sets.list_image_sets(site.context):
        if row["name"] == "Reviewed":
            return str(row["id"])
    places = [f"{part}/{name}" for part in ("train", "test") for name in CLASSES]
    files = [(f"{place}/{n}.png", io.BytesIO(png(100 * k + n))) for k, place in enumerate(places) for n in range(5)]
    return str(incoming_images.add_upload(site.context, files, "Reviewed")["id"])


def sentence(class_name: str, n: int) -> str:
    """The n-th sentence about a class; no two classes are said to look the same."""
    other = CLASSES.index(class_name)
    shape, edge = SHAPES[(n + other) % len(SHAPES)], EDGES[n // len(SHAPES) % len(EDGES)]
    return f"A {class_name} is {shape} with {edge} in view {2 * n + other}."


def texts(site: Site, name: str, per_class: int = 3) -> dict[str, Any]:
    """A description set with so many different sentences a class, saved as version 1."""
    wording = {label: [sentence(label, n) for n in range(per_class)] for label in CLASSES}
    return descriptions.save_version(site.context, image_set(site), name, wording, "A. Writer", "edited")


def sentences(site: Site, texts_id: str, reader: str | None = None) -> list[dict[str, Any]]:
    """All sentences of a set as they stand, as this reader gets them."""
    return description_review.list_sentences(site.context, texts_id, Filter(reader=reader), "given", 10_000, 0)[0]


def states(site: Site, texts_id: str) -> list[str]:
    return [row["state"] for row in sentences(site, texts_id)]


def open_review(window: Visit, texts_id: str, reader: str = "Ada", view: str = "") -> Any:
    """The Review view, read by somebody who has said who they are."""
    window.page.evaluate("name => localStorage.setItem('promptoscope-author', name)", reader)
    address = f"/descriptions?image_set={image_set(window.site)}&id={texts_id}"
    return window.open(f"{address}&view={view}" if view else address, ".ps-review-card" if not view else "#ps-view h3")


def press(page: Any, keys: Sequence[str]) -> None:
    """Press keys as a reader does: each when the sentence it is about is shown."""
    for key in keys:
        page.wait_for_selector(".ps-review [aria-busy=false]")
        shown = page.locator(".ps-review-text").first.inner_text()
        page.keyboard.press(key)
        if key in "arf":
            page.wait_for_function("shown => document.querySelector('.ps-review-text')?.innerText !== shown", arg=shown)


def wait_until_saved(page: Any) -> None:
    page.wait_for_selector(".ps-saving[data-state=saved]")
