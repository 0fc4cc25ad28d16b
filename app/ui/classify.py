"""The Classify page: new images and the probabilities of a trained model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.ui.page import Page, element

if TYPE_CHECKING:
    from app.services.context import Context

PAGE = Page(
    name="Classify",
    path="classify",
    lead="Drop new images and see how likely each class is, according to a model you trained.",
)


def build(ctx: Context) -> None:
    """Place the page's custom element; it reads and changes everything through the API."""
    element("ps-classify")
