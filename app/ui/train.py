"""The Train page: choose images, a method and its options, queue the training and watch it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.ui.page import Page, element

if TYPE_CHECKING:
    from app.services.context import Context

PAGE = Page(
    name="Train",
    path="train",
    lead="Choose images and a method, start, and watch it learn. You can close this page at any time: "
    "training goes on.",
)


def build(ctx: Context) -> None:
    """Place the page's custom element; it reads and changes everything through the API."""
    element("ps-train")
