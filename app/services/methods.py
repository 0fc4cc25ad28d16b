"""Methods: their cards, options and presets."""

from __future__ import annotations

from typing import Any

from app.services.context import Context
from core.errors import InvalidOption, NotFound

DEFAULT_BACKBONE = "embedded"


def list_methods(ctx: Context | None = None) -> list[dict[str, Any]]:
    """The card of every method, by name."""
    from core.tuning.registry import get_method as find
    from core.tuning.registry import method_names

    return [find(name).card() for name in method_names()]


def get_method(ctx: Context | None, name: str, backbone: str | None = None) -> dict[str, Any]:
    """A method's card with "options" (defaults are the backbone's preset) and "presets" (values per variant).

    Raises NotFound for an unknown name.
    """
    from core.tuning.presets import preset, preset_notes
    from core.tuning.registry import get_method as find

    try:
        method = find(name)
    except InvalidOption as error:
        raise NotFound(error.expected, error.found, error.remedy) from None
    values = preset(backbone or DEFAULT_BACKBONE, name)
    options = [_plain(row | {"default": values.get(row["name"], row["default"])}) for row in method.Config.schema()]
    presets = {"default": values} | {variant: dict(found) for variant, found in method.variants.items()}
    notes = preset_notes(backbone or DEFAULT_BACKBONE, name)
    chosen = {"backbone": backbone or DEFAULT_BACKBONE, "preset_notes": notes}
    return method.card() | {"options": options, "presets": presets} | chosen


def method_title(name: str) -> str:
    """The method's name as written in papers; the file name for a method that has left the project."""
    from core.tuning.registry import get_method as find

    try:
        return find(name).title
    except InvalidOption:
        return name


def is_baseline(name: str) -> bool:
    """Whether this is the method that learns nothing."""
    from core.tuning.registry import baseline_method

    return name == baseline_method()


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Tuples as lists, as JSON has them."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in row.items()}
