"""Shapes of requests and answers about regions of images."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from app.api.schemas import Answer, Body, Page

Pixels = Annotated[float, Field(strict=True, ge=0, le=1_000_000, allow_inf_nan=False)]
Place = Annotated[list[Pixels], Field(min_length=2, max_length=2)]


class Shape(Body):
    """A polygon, or the way of a round brush; x and y in pixels of the upright image, from its upper left corner."""

    kind: Literal["polygon", "brush"]
    points: list[Place] = Field(min_length=1, max_length=10_000)
    radius: Pixels | None = Field(default=None, description="Of the brush, in pixels.")
    erase: bool = Field(default=False, description="Take these pixels out of the shapes before.")


class NewRegion(Body):
    """What is drawn, in this order."""

    shapes: list[Shape] = Field(min_length=1, max_length=100)


class Region(Answer):
    """A place marked on an image. source: drawn or uploaded."""

    id: str
    image_id: str
    source: str
    shapes: list[dict[str, object]]
    marked_px: int
    created_at: str


class RegionList(Page):
    """Regions of an image, newest first."""

    items: list[Region]
