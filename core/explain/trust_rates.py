"""How often maps of a model are said to follow it, over images: the rates by which the trust test itself is judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from core.evaluation.intervals import wilson_interval
from core.explain.captured import Captured, capture
from core.explain.classifier import ExplainedClassifier
from core.explain.hiding import Step
from core.explain.randomised import MapOf, cascade
from core.explain.registry import get_explainer
from core.explain.standing import standing
from core.explain.trust import LEVEL, ShownMap, examine


@dataclass(frozen=True)
class Rate:
    """Of so many images: how many maps follow, have a small p whatever the model is worth, and are worse than random.

    Each share has Wilson's 95 % interval.
    """

    explainer: str
    n: int
    follows: int
    small_p: int
    worse: int

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: {explainer, n, follows {share, low, high}, small_p {...}, worse {...}}."""
        return {"explainer": self.explainer, "n": self.n} | {
            name: self._share(getattr(self, name)) for name in ("follows", "small_p", "worse")
        }

    def _share(self, count: int) -> dict[str, float | None]:
        found = wilson_interval(count, self.n)
        return {"share": found.mean, "low": found.low, "high": found.high}


def examine_images(
    classifier: ExplainedClassifier, pixels: Iterable[Tensor], explainers: Sequence[str], step: Step, seed: int = 0
) -> Iterator[dict[str, Any]]:
    """What `examine` says of each explainer's map of the predicted class, image after image.

    pixels: model input (1, 3, size, size) each. An explainer is given by its name, with options after a colon as in
    "relevance:layers=last".
    """
    model = standing(classifier.card)
    for number, image in enumerate(pixels):
        captured = capture(classifier, image)
        draws = [map_of(name, captured.predicted) for name in explainers]
        for name, draw, rows in zip(explainers, draws, cascade(captured, draws, step, seed), strict=True):
            shown = ShownMap(name, name, captured.predicted, draw(captured))
            yield {"image": number, **examine(captured, shown, model, step, rows, seed=seed + number)}


def rates(rows: Iterable[dict[str, Any]]) -> list[Rate]:
    """One rate an explainer; maps that mark nothing count as not following."""
    kept = list(rows)
    found = []
    for name in dict.fromkeys(row["kind"] for row in kept):
        own = [row for row in kept if row["kind"] == name]
        states = [row["state"] for row in own]
        small = sum(row.get("p", 1.0) <= LEVEL for row in own)
        found.append(Rate(name, len(own), states.count("follows"), small, states.count("worse than random")))
    return found


def map_of(name: str, index: int) -> MapOf:
    """Draws one class's map by an explainer's name, with options after a colon."""
    plain, _, options = name.partition(":")
    values = dict(pair.split("=", 1) for pair in options.split(",") if pair)

    def draw(captured: Captured) -> Any:
        return get_explainer(plain).with_options(values).map_set(captured, [index]).maps[0]

    return draw
