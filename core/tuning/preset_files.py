"""What was found better for one backbone than the published settings: `presets/<backbone>/<method>.toml`."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

NOTE = "note"


def preset(backbone: str, method: str) -> dict[str, Any]:
    """Option values from `presets/<backbone>/<method>.toml`; empty where the published defaults stand.

    A method's own defaults are the published settings for BiomedCLIP-type models. A folder beside this file holds
    what was found better for one backbone.
    """
    return {key: value for key, value in _read(backbone, method).items() if key != NOTE}


def preset_notes(backbone: str, method: str) -> list[str]:
    """What every run with the preset should say of it: the key "note" of the file."""
    found = _read(backbone, method)
    return [str(found[NOTE])] if NOTE in found else []


def _read(backbone: str, method: str) -> dict[str, Any]:
    folder = files("core.tuning") / "presets"
    # a name that is none of ours must not lead anywhere
    if backbone not in {entry.name for entry in folder.iterdir()}:
        return {}
    path = folder / backbone / f"{method}.toml"
    return tomllib.loads(path.read_text("utf-8")) if path.is_file() else {}
