"""The Attention page: maps of where a model looks, and what zero vectors change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.ui.page import Page, element

if TYPE_CHECKING:
    from app.services.context import Context

PAGE = Page(
    name="Attention",
    path="attention",
    lead="Where a model looks in one image, and how zero-vector prompts move its attention.",
)


def build(ctx: Context) -> None:
    """Place the page's custom element; it reads and changes everything through the API."""
    element("ps-attention")
