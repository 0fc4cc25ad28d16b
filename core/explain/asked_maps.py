"""Maps of any explainer that somebody asks for beside those that are always drawn; slow ones run only here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.explain.captured import Captured, capture
from core.explain.explainer import Explainer, flat_reason
from core.explain.explanation import ExplanationMap
from core.explain.pictures import map_picture
from core.explain.registry import get_explainer


@dataclass(frozen=True)
class AskedMap:
    """One class's map (rows, columns), signed, with the explainer that drew it. kind: as in files and arrays."""

    kind: str
    explainer: Explainer
    title: str
    values: np.ndarray

    @property
    def reason(self) -> str | None:
        """Why it is not painted, or None."""
        found = flat_reason(self.values)
        if found is None and not np.nanmax(self.values) > 0:
            found = "no value is above 0"
        return None if found is None else f"{self.title}: {found}, so no map is painted."

    @property
    def positive(self) -> np.ndarray:
        """What is painted."""
        return np.maximum(self.values, 0)

    def picture(self) -> ExplanationMap:
        """Its entry among the maps."""
        scale = (0.0, float(np.nanmax(self.values)))
        return map_picture(self.kind, self.title, scale, {self.kind: self.positive}, self.explainer.unit)


def explainer_of(text: str) -> Explainer:
    """An explainer by its name, with options after a colon as in "rise:masks=500,grid=7". Raises InvalidOption."""
    name, _, options = text.partition(":")
    values = dict(pair.split("=", 1) for pair in options.split(",") if "=" in pair)
    return get_explainer(name).with_options(values)


def draw_asked(
    captured: Captured, index: int, names: Sequence[str], step: Callable[[], None] = lambda: None
) -> list[AskedMap]:
    """Maps of one class. step: called before each batch of passes; what it raises ends the work."""
    found, whole = [], captured
    for name in names:
        explainer = explainer_of(name)
        if explainer.cost == "all blocks" and whole.graph != "all":
            whole = capture(captured.classifier, captured.pixels, "all")
        values = explainer.map_set(whole, [index], lambda done, total: step()).maps[0]
        class_name = captured.classifier.classes[index]
        title = f"{explainer.title} for {class_name}" if explainer.per_class else explainer.title
        title += f" ({name.partition(':')[2]})" if ":" in name else ""
        found.append(AskedMap(kind_of(name), explainer, title, values))
    return found


def kind_of(name: str) -> str:
    """What a map that was asked for is called in files and arrays."""
    return "asked_" + "".join(letter if letter.isalnum() else "_" for letter in name)
