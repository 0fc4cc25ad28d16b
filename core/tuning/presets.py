"""Which option values a run starts from: defaults, the backbone's preset, a variant, a recipe, the person's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import InvalidOption
from core.tuning.contract import EPOCH_RULES, LoopConfig, Method, MethodConfig
from core.tuning.preset_files import preset, preset_notes
from core.tuning.recipe import Recipe

DEFAULT = "default"


def resolve_config(
    method: type[Method],
    backbone: str,
    *,
    variant: str = DEFAULT,
    options: Mapping[str, Any] | None = None,
    epochs: int | None = None,
    views: int | None = None,
    template: str | None = None,
    recipe: Recipe | None = None,
) -> tuple[MethodConfig, list[str]]:
    """The config a run uses, and notes on it: of the preset, on what could not be applied, of the method.

    Later sources win: defaults, preset, variant, recipe, template, options, epochs and views; a number of epochs also
    puts aside an earlier source's rule for it. With a recipe there is no preset: it stands for its publication, which
    knew none. Raises InvalidOption, also for a recipe of another method.
    """
    name = method.card()["name"]
    if recipe:
        recipe.check_method(name)
    values: dict[str, Any] = {}
    sources = [
        {} if recipe else preset(backbone, name),
        _variant(method, name, variant),
        recipe.options if recipe else {},
        {"template": template} if template else {},
        options or {},
    ]
    for source in sources:
        values = _without_epoch_rules(values, "epochs" in source) | dict(source)
    values = _without_epoch_rules(values, epochs is not None)
    notes = [] if recipe else preset_notes(backbone, name)
    for key, value in (("epochs", epochs), ("views", views)):
        if value is None:
            continue
        if issubclass(method.Config, LoopConfig):
            values[key] = value
        else:
            notes.append(f"{method.title} is not trained in steps: the given number of {key} has no effect.")
    config = method.Config.from_values(values, owner=name)
    return config, [*notes, *method.notes(config)]


def _without_epoch_rules(values: Mapping[str, Any], put_aside: bool) -> dict[str, Any]:
    return {key: value for key, value in values.items() if not (put_aside and key in EPOCH_RULES)}


def _variant(method: type[Method], name: str, variant: str) -> dict[str, Any]:
    if variant == DEFAULT:
        return {}
    if variant not in method.variants:
        known = ", ".join([DEFAULT, *method.variants])
        raise InvalidOption(f"A variant of {name}", f"'{variant}' is none", f"It has: {known}.")
    return dict(method.variants[variant])
