"""The maps that lead: one a class, of the headline explainer, with Grad-CAM beside them.

A map whose evidence for its class is negligible in logits is never painted; it is told in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.explain.captured import Captured
from core.explain.registry import get_explainer

HEADLINE = "relevance"
"""The explainer whose map is shown first. `explain benchmark` gives the evidence for it."""
SIDE_BY_SIDE = 8
"""Maps of further classes that are offered: the likeliest ones."""
NEGLIGIBLE_LOGIT = 0.01
"""A map is painted if its positive cells add up to more, after the temperature: even if all of it counted, less would
move a probability by at most a quarter of a percentage point."""


@dataclass(frozen=True)
class ClassMaps:
    """headline, grad_cam: {class index: (rows, columns)}, in class score; not-a-number where replaced.

    The first class is the one asked for, the others come in label order.
    """

    classes: Sequence[str]
    headline: Mapping[int, np.ndarray]
    grad_cam: Mapping[int, np.ndarray]
    temperature: float

    @property
    def asked(self) -> int:
        """The class asked for."""
        return next(iter(self.headline))

    @property
    def others(self) -> list[int]:
        """The other classes whose maps are offered."""
        return list(self.headline)[1:]

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
        """One for each map that is not painted: Grad-CAM is offered for the class asked for alone."""
        reasons = [*map(self.reason, sorted(self.headline)), self.reason(self.asked, grad_cam=True)]
        return [reason for reason in reasons if reason is not None]

    def arrays(self) -> dict[str, np.ndarray]:
        """Raw arrays: of the class asked for, and of the others offered."""
        return {
            HEADLINE: np.maximum(self.headline[self.asked], 0),
            f"{HEADLINE}_signed": self.headline[self.asked],
            "grad_cam": np.maximum(self.grad_cam[self.asked], 0),
            "grad_cam_signed": self.grad_cam[self.asked],
            **{class_kind(other): np.maximum(self.headline[other], 0) for other in self.others},
        }


def class_maps(captured: Captured, asked: int) -> ClassMaps:
    """Maps of the class asked for and of the likeliest others, by one batched way back."""
    likeliest = [index for index in captured.logits.argsort(descending=True).tolist() if index != asked]
    chosen = [asked, *sorted(likeliest[:SIDE_BY_SIDE])]
    headline, grad_cam = (
        dict(zip(chosen, get_explainer(name)().map_set(captured, chosen).maps, strict=True))
        for name in (HEADLINE, "grad_cam")
    )
    classifier = captured.classifier
    return ClassMaps(tuple(classifier.classes), headline, grad_cam, float(classifier.temperature))


def class_kind(index: int) -> str:
    """The name of the headline map of the class at this place."""
    return f"{HEADLINE}_class_{index + 1}"
