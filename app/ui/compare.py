"""The Compare page: metrics of runs that may be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.ui.page import Page, element

if TYPE_CHECKING:
    from app.services.context import Context

PAGE = Page(
    name="Compare",
    path="compare",
    lead="Results side by side, only where images, shots and encoder are the same, with zero-shot as the line to beat.",
)


def build(ctx: Context) -> None:
    """Place the page's custom element; it reads and changes everything through the API."""
    element("ps-compare")
