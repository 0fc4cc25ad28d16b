"""The maps that lead: one a class, of the headline explainer, with Grad-CAM beside them.

A map whose evidence for its class is negligible in logits is never painted; it is told in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.explain.captured import Captured
from core.explain.registry import get_explainer

HEADLINE = "hires_cam"
"""The explainer whose map is shown first. `explain benchmark` gives the evidence for it."""
NEGLIGIBLE_LOGIT = 0.01
"""A map is painted if its positive cells add up to more, after the temperature: even if all of it counted, less would
move a probability by at most a quarter of a percentage point."""


@dataclass(frozen=True)
class ClassMaps:
    """headline, grad_cam: (classes, rows, columns), signed, in class score; not-a-number where replaced."""

    classes: Sequence[str]
    headline: np.ndarray
    grad_cam: np.ndarray
    temperature: float

    def reason(self, index: int, grad_cam: bool = False) -> str | None:
        """Why a class's map is not painted, or None."""
        cells = (self.grad_cam if grad_cam else self.headline)[index]
        mass = float(np.maximum(np.nan_to_num(cells), 0).sum()) / self.temperature
        if mass > NEGLIGIBLE_LOGIT:
            return None
        kind = get_explainer("grad_cam" if grad_cam else HEADLINE).title
        found = "no patch" if mass == 0 else f"next to nothing ({mass:.1e} logits in all)"
        return f"{kind}: {found} speaks for '{self.classes[index]}', so no map is painted."

    def sentences(self) -> list[str]:
        """One for each map that is not painted."""
        both = [self.reason(index, grad_cam) for index in range(len(self.classes)) for grad_cam in (False, True)]
        return [reason for reason in both if reason is not None]

    def arrays(self, index: int) -> dict[str, np.ndarray]:
        """Raw arrays: of the class asked for, and of all classes."""
        return {
            HEADLINE: np.maximum(self.headline[index], 0),
            f"{HEADLINE}_signed": self.headline[index],
            "grad_cam": np.maximum(self.grad_cam[index], 0),
            "grad_cam_signed": self.grad_cam[index],
            **{class_kind(other): np.maximum(cells, 0) for other, cells in enumerate(self.headline) if other != index},
        }


def class_maps(captured: Captured) -> ClassMaps:
    """Maps of all classes, by one batched way back through the last block."""
    every = range(len(captured.logits))
    headline, grad_cam = (get_explainer(name)().map_set(captured, every).maps for name in (HEADLINE, "grad_cam"))
    classifier = captured.classifier
    return ClassMaps(tuple(classifier.classes), headline, grad_cam, float(classifier.temperature))


def class_kind(index: int) -> str:
    """The name of the headline map of the class at this place."""
    return f"{HEADLINE}_class_{index + 1}"
