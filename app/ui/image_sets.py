"""The Image sets page: add, look at and delete labelled image sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.ui.page import Page, element
from core.images.decode import FORMATS
from core.images.limits import Limits, megabytes

if TYPE_CHECKING:
    from app.services.context import Context

PAGE = Page(
    name="Image sets",
    path="image-sets",
    lead="Labelled images, one folder for each class. They stay on this machine.",
)


def limits_sentence(limits: Limits) -> str:
    """What may be added, in words, from the limits the server holds uploads to."""
    formats = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
    return (
        f"{formats}, 8 or 16 bit, grey or colour. At most {limits.max_files:,} files, "
        f"{megabytes(limits.max_file_bytes)} each and {megabytes(limits.max_total_bytes)} together."
    )


def build(ctx: Context) -> None:
    """Place the page's custom element; images go to and come from the API, never through Gradio."""
    element("ps-image-sets", limits=limits_sentence(Limits()))
