"""The Descriptions page: the sentences methods read, edited and saved as versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.ui.page import Page, element

if TYPE_CHECKING:
    from app.services.context import Context

PAGE = Page(
    name="Descriptions",
    path="descriptions",
    lead="What each class looks like, in sentences. Methods that learn from text read the version you choose.",
)


def build(ctx: Context) -> None:
    """Place the page's custom element; it reads and changes everything through the API."""
    element("ps-descriptions")
