"""Methods and backbones: what can be trained, and on what."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from app.api import schemas
from app.api.common import InContext, InPages, errors
from app.api.values import Word
from app.services import backbones, methods

router = APIRouter()


@router.get("/methods", tags=["methods"], summary="List methods", response_model=schemas.MethodList, responses=errors())
def list_methods(ctx: InContext, pages: InPages) -> Any:
    """The card of every method."""
    return pages.cut(methods.list_methods(ctx))


@router.get(
    "/methods/{name}",
    tags=["methods"],
    summary="Show a method and its options",
    response_model=schemas.MethodWithOptions,
    responses=errors(404, 422),
)
def get_method(
    name: Word,
    ctx: InContext,
    backbone: Annotated[Word | None, Query(description="Show the preset of this backbone as defaults.")] = None,
) -> Any:
    """A method's card and options: type, default, unit, bounds, choices, help."""
    return methods.get_method(ctx, name, backbone)


@router.get(
    "/backbones",
    tags=["backbones"],
    summary="List backbones",
    response_model=schemas.BackboneList,
    responses=errors(),
)
def list_backbones(ctx: InContext, pages: InPages) -> Any:
    """Backbones known by name, and whether their weights are on this machine."""
    return pages.cut(backbones.list_backbones(ctx))
