"""Recipes: published settings, listed and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.errors import InvalidOption, NotFound

if TYPE_CHECKING:
    from app.services.context import Context  # brings the database with it


def list_recipes(ctx: Context | None = None, method: str | None = None) -> list[dict[str, Any]]:
    """All recipes in short, or those of one method. Raises NotFound for an unknown method."""
    from core.tuning.recipe import list_recipes as find

    try:
        return [_short(recipe.as_dict()) for recipe in find(method)]
    except InvalidOption as error:
        raise NotFound(error.expected, error.found, error.remedy) from None


def get_recipe(ctx: Context | None, name: str) -> dict[str, Any]:
    """One recipe with its options, classes, provenance and notes, and the "values" of all options. Raises NotFound."""
    from core.tuning.recipe import get_recipe as find

    recipe = find(name)
    return recipe.as_dict() | {"values": recipe.config().as_dict()}


def recipe_method(name: str) -> str:
    """The method a recipe is one of. Raises NotFound."""
    from core.tuning.recipe import get_recipe as find

    return find(name).method


SHORT = ("name", "method", "source", "data_set", "protocol", "title", "modality", "backbone", "hash")


def _short(recipe: dict[str, Any]) -> dict[str, Any]:
    return {name: recipe[name] for name in SHORT}
