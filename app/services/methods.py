"""Methods: their cards, options and presets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.errors import InvalidOption, NotFound
from core.tuning import method_cards
from core.tuning.preset_files import preset, preset_notes

if TYPE_CHECKING:
    from app.services.context import Context  # brings the database with it

DEFAULT_BACKBONE = "embedded"


def list_methods(ctx: Context | None = None) -> list[dict[str, Any]]:
    """The card of every method, by name."""
    return method_cards.method_cards()


def get_method(ctx: Context | None, name: str, backbone: str | None = None) -> dict[str, Any]:
    """A method's card with "options" (defaults are the backbone's preset) and "presets" (values per variant).

    Raises NotFound for an unknown name.
    """
    try:
        card = method_cards.method_card(name)
    except InvalidOption as error:
        raise NotFound(error.expected, error.found, error.remedy) from None
    chosen = backbone or DEFAULT_BACKBONE
    values = preset(chosen, name)
    options = [row | {"default": values.get(row["name"], row["default"])} for row in method_cards.method_options(name)]
    return card | {
        "options": options,
        "presets": {"default": values} | method_cards.method_variants(name),
        "backbone": chosen,
        "preset_notes": preset_notes(chosen, name),
    }


def is_baseline(name: str) -> bool:
    """Whether this is the method that learns nothing."""
    return name == method_cards.baseline_method()
