"""The Start page: what this is, where one stands, and three ways in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.ui.page import Page, element

if TYPE_CHECKING:
    from app.services.context import Context

PAGE = Page(
    name="Start",
    path="",
    heading="Teach a vision-language model your images",
    lead="Promptoscope tunes a biomedical vision-language model on a small set of labelled images and compares the "
    "methods that can do it. Then it classifies new images and shows where the model looked.",
)


def build(ctx: Context) -> None:
    """Place the page's custom element; it reads and changes everything through the API."""
    element("ps-start")
