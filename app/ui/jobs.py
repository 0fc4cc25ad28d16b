"""The Jobs page: what runs, waits or has finished."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.ui.page import Page, element

if TYPE_CHECKING:
    from app.services.context import Context

PAGE = Page(
    name="Jobs",
    path="jobs",
    lead="Everything that runs, waits or has finished, with its log.",
)


def build(ctx: Context) -> None:
    """Place the page's custom element; it reads and changes everything through the API."""
    element("ps-jobs")
