"""Experiments that answer what the papers' ablations ask, as files without images: `ablations/*.toml`.

Each is an ordinary experiment file whose first line of comment is its title. Whoever runs one names the images.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from core.errors import InvalidOption, did_you_mean
from core.experiments.spec import parse_toml

PREFIX = "ablation:"


@cache
def ablations() -> dict[str, str]:
    """The text of each file, by name."""
    folder = files("core.experiments") / "ablations"
    found = {each.name.removesuffix(".toml"): each for each in folder.iterdir() if each.name.endswith(".toml")}
    return {name: found[name].read_text("utf-8") for name in sorted(found)}


def ablation_text(name: str) -> str:
    """The text of one of them, its prefix or not. Raises InvalidOption with the nearest name."""
    called = name.removeprefix(PREFIX)
    if called not in ablations():
        remedy = did_you_mean(called, list(ablations()), f"Known ones: {', '.join(ablations())}.")
        raise InvalidOption("The name of a shipped ablation", f"'{called}' is none", remedy)
    return ablations()[called]


def list_ablations() -> list[dict[str, Any]]:
    """[{name, title, methods, shots, seeds}] of all."""
    return [_short(name, text) for name, text in ablations().items()]


def _short(name: str, text: str) -> dict[str, Any]:
    values = parse_toml(text)
    title = text.splitlines()[0].removeprefix("# ")
    return {"name": name, "title": title, **{key: values.get(key) for key in ("methods", "shots", "seeds")}}
