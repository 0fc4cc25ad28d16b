"""An experiment as the text of a TOML file, so that it can be published, edited and run again elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from core.experiments.spec import Candidate, ExperimentSpec

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(spec: ExperimentSpec) -> str:
    """The file that `parse_toml` and `parse_spec` read back as the same experiment. Defaults are written out."""
    values = _values(spec)
    lines = [f"{name} = {_written(value)}" for name, value in values.items() if value is not None]
    for method, options in _options(spec.candidates).items():
        lines += ["", f"[options.{_key(method)}]", *(f"{_key(name)} = {_written(v)}" for name, v in options.items())]
    return "\n".join(lines) + "\n"


def _values(spec: ExperimentSpec) -> dict[str, Any]:
    """Keys of the file in the order in which people think of them; None leaves one out."""
    methods = list(dict.fromkeys(line.method for line in spec.candidates if line.recipe is None))
    recipes = [line.recipe for line in spec.candidates if line.recipe is not None]
    variants = {line.variant for line in spec.candidates if line.recipe is None} or {"default"}
    worded = spec.descriptions != (None,)
    return {
        "name": spec.name,
        "images": list(spec.images),
        "methods": methods or None,
        "recipes": recipes or None,
        "variant": next(iter(variants)),
        "backbone": spec.backbone,
        "protocol": spec.protocol,
        "shots": None if spec.protocol == "full" else ["all" if shots is None else shots for shots in spec.shots],
        "shares": list(spec.shares) if spec.protocol == "full" else None,
        "seeds": list(spec.seeds),
        "base_classes": list(spec.base_classes) or None,
        "target_images": list(spec.target_images) or None,
        "descriptions": ["templates" if text is None else text for text in spec.descriptions] if worded else None,
        "modality": spec.modality,
        "template": spec.template,
        "epochs": spec.epochs,
        "views": spec.views,
        "metric": spec.metric,
        "compare_to": spec.compare_to,
        "controlled": spec.controlled,
        "updates": spec.updates,
        "allow_leakage": spec.allow_leakage,
    }


def _options(candidates: Sequence[Candidate]) -> dict[str, dict[str, Any]]:
    """Options by method; a list where lines differ in one, which is how they came to be several lines."""
    found: dict[str, dict[str, Any]] = {}
    for line in candidates:
        if line.recipe is not None:
            continue
        own = found.setdefault(line.method, {})
        for name, value in line.options.items():
            own.setdefault(name, [])
            if value not in own[name]:
                own[name].append(value)
    singles = {method: {n: v if len(v) > 1 else v[0] for n, v in own.items()} for method, own in found.items()}
    return {method: own for method, own in singles.items() if own}


def _key(name: str) -> str:
    return name if BARE_KEY.fullmatch(name) else _written(name)


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON escapes what TOML does, and one thing more that TOML has to: the character 127
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(str(name))} = {_written(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_written(item) for item in value)}]"
    return repr(value) if isinstance(value, float) else str(value)
