"""Explainers by name. A file in `core/explain/explainers` is an explainer; nothing else lists them."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

import core.explain.explainers
from core.errors import InvalidOption, did_you_mean
from core.explain.explainer import Explainer


def explainer_names() -> list[str]:
    """Names of all explainers, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(core.explain.explainers.__path__))


@cache
def get_explainer(name: str) -> type[Explainer]:
    """The explainer class of a name. Raises InvalidOption with the nearest known name."""
    names = explainer_names()
    if name not in names:
        remedy = did_you_mean(name, names, f"Known explainers: {', '.join(names)}.")
        raise InvalidOption("The name of an explainer", f"'{name}' is none", remedy)
    module = importlib.import_module(f"core.explain.explainers.{name}")
    found = [v for v in vars(module).values() if isinstance(v, type) and issubclass(v, Explainer)]
    return next(v for v in found if v.__module__ == module.__name__)
