"""Probabilities as bars, most likely first, with the reason where a model would rather not answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.components.base import OwnComponent
from core.errors import InvalidInput

Value = dict[str, Any]
"""{"probabilities": {class: probability in [0, 1]}, "abstain": a reason in words, or None}."""


class ProbabilityBars(OwnComponent):
    """One bar a class, for any Gradio application.

    value: {"probabilities": {class: p}, "abstain": reason or None}, or {class: p} alone, or None for "no image yet".
    Events: `select`, when a class is clicked or chosen by Enter (its data holds `label` and `probability`), and
    `change`. Raises InvalidInput for a probability outside [0, 1].
    """

    NAME = "probability_bars"

    def __init__(self, value: Mapping[str, Any] | None = None, *, label: str = "Probabilities", **kwargs: Any) -> None:
        super().__init__(value, label=label, **kwargs)

    def postprocess(self, value: Any) -> Any:
        """The value in its full form."""
        return None if value is None else full_value(value)

    def api_info(self) -> dict[str, Any]:
        """The JSON schema that API clients see."""
        return {
            "type": "object",
            "properties": {
                "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
                "abstain": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            },
            "description": "probabilities per class, and the reason not to answer or null",
        }

    def example_value(self) -> Any:
        """A value for documentation."""
        return {"probabilities": {"benign": 0.8, "malignant": 0.2}, "abstain": None}


def full_value(value: Mapping[str, Any]) -> Value:
    """{class: p} or the full form, checked. Raises InvalidInput."""
    whole = "probabilities" in value and isinstance(value["probabilities"], Mapping)
    found = dict(value["probabilities"] if whole else value)
    for name, share in found.items():
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise InvalidInput(
                "A probability between 0 and 1 for each class",
                f"found {share!r} for '{name}'",
                "Give {class: probability}.",
            )
    return {
        "probabilities": {str(name): float(share) for name, share in found.items()},
        "abstain": value.get("abstain") if whole else None,
    }
