"""The Image sets page: add, look at and delete labelled image sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.ui.page import Page, element

if TYPE_CHECKING:
    from app.services.context import Context

PAGE = Page(
    name="Image sets",
    path="image-sets",
    lead="Labelled images, one folder a class. They stay on this machine.",
)


def build(ctx: Context) -> None:
    """Place the page's custom element; it reads and changes everything through the API."""
    element("ps-image-sets")
