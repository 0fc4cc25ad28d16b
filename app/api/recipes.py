"""Recipes: published settings to follow."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from app.api import schemas
from app.api.common import InContext, InPages, errors
from app.api.values import Word
from app.services import recipes

router = APIRouter(tags=["methods"])


@router.get("/recipes", summary="List recipes", response_model=schemas.RecipeList, responses=errors(404))
def list_recipes(
    ctx: InContext,
    pages: InPages,
    method: Annotated[Word | None, Query(description="Only those of one method.")] = None,
) -> Any:
    """Published settings by method, source, data set and protocol."""
    return pages.cut(recipes.list_recipes(ctx, method))


@router.get("/recipes/{name:path}", summary="Show a recipe", response_model=schemas.RecipeInFull, responses=errors(404))
def get_recipe(name: Word, ctx: InContext) -> Any:
    """Its options, shots, seeds, classes, where they come from, and where the publication cannot be followed."""
    return recipes.get_recipe(ctx, name)
