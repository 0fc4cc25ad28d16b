"""What an explanation of one image holds: pictures with their scales, numbers, sentences, and the raw maps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.explain.paint import ColourMap, colour_bar
from core.explain.parts import RULES

DISCLAIMER = "Research use only. Not for use in diagnostic procedures."


@dataclass(frozen=True)
class ExplanationMap:
    """One picture of an explanation and the scale its colours mean.

    file: a name inside the output folder. above_scale: patches beyond the last colour, painted in it. shown: among the
    pictures that are looked at first.
    """

    kind: str
    title: str
    file: str | None
    alt: str
    scale: tuple[float, float] | None = None
    colour_map: ColourMap | None = None
    unit: str = ""
    above_scale: int = 0
    shown: bool = True

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, with the colour bar as data."""
        bar = colour_bar(self.scale, self.colour_map) if self.scale and self.colour_map else None
        return {
            "kind": self.kind,
            "title": self.title,
            "file": self.file,
            "alt": self.alt,
            "scale": list(self.scale) if self.scale else None,
            "colour_map": self.colour_map,
            "unit": self.unit,
            "above_scale": self.above_scale,
            "shown": self.shown,
            "colour_bar": bar,
        }


@dataclass(frozen=True)
class Explanation:
    """Everything shown about one image; `arrays` holds the raw maps (rows, columns).

    explainer: whose map leads. settings: its options, and what the attention is of and compared with. scalar: what the
    map explains, in words. explained_probability: of the class, in the pass that the maps were made in (float32);
    `probabilities` are those of classification. frame: what of the original picture the model sees, as `Frame.as_dict`.
    region: as `core.explain.measure` gives it. signatures: of failure, as `core.explain.signature` says them. pending:
    parts that are still to come, of `PARTS`.
    """

    image: str | None
    class_name: str
    predicted: str
    probabilities: dict[str, float]
    seconds: float
    maps: list[ExplanationMap]
    attention: dict[str, Any]
    frame: dict[str, Any]
    region: dict[str, Any] | None
    text: str
    notes: list[str]
    explainer: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    scalar: str = ""
    explained_probability: float | None = None
    signatures: list[dict[str, Any]] = field(default_factory=list)
    what_if: list[dict[str, Any]] = field(default_factory=list)
    trust: dict[str, Any] = field(default_factory=dict)
    pending: tuple[str, ...] = ()
    arrays: dict[str, np.ndarray] = field(repr=False, default_factory=dict)
    disclaimer: str = DISCLAIMER

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, without the arrays."""
        return {
            "image": self.image,
            "class": self.class_name,
            "predicted": self.predicted,
            "probabilities": self.probabilities,
            "seconds": self.seconds,
            "explainer": self.explainer,
            "settings": self.settings,
            "scalar": self.scalar,
            "explained_probability": self.explained_probability,
            "maps": [entry.as_dict() for entry in self.maps],
            "attention": self.attention,
            "what_if": self.what_if,
            "trust": self.trust,
            "pending": list(self.pending),
            "rules": RULES,
            "frame": self.frame,
            "region": self.region,
            "signatures": self.signatures,
            "text": self.text,
            "notes": self.notes,
            "disclaimer": self.disclaimer,
        }
