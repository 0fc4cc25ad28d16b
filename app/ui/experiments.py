"""The Experiments page: plan a comparison, start it, watch its cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.ui.page import Page, element

if TYPE_CHECKING:
    from app.services.context import Context

PAGE = Page(
    name="Experiments",
    path="experiments",
    lead="Compare methods, numbers of images and wordings in one go, with repeats. You can close this page at any "
    "time: the work goes on.",
)


def build(ctx: Context) -> None:
    """Place the page's custom element; it reads and changes everything through the API."""
    element("ps-experiments")
