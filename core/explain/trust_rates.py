"""How often maps of a model are said to follow it, over images: the rates by which the trust test itself is judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from core.evaluation.intervals import wilson_interval
from core.explain.asked_maps import explainer_of
from core.explain.captured import Captured, capture
from core.explain.classifier import ExplainedClassifier
from core.explain.hiding import Step, probe
from core.explain.randomised import MapOf, cascade
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

    def joined(self, other: Rate) -> Rate:
        """Of both lots of images."""
        counts = (getattr(self, name) + getattr(other, name) for name in ("n", "follows", "small_p", "worse"))
        return Rate(self.explainer, *counts)

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
    model, classes = standing(classifier.card), classifier.classes
    for number, image in enumerate(pixels):
        captured, probed = capture(classifier, image), probe(classifier, image, step)
        draws = {name: map_of(name, captured.predicted) for name in explainers}
        maps = {name: ShownMap(name, name, captured.predicted, draw(captured)) for name, draw in draws.items()}
        told = {name: examine(classes, shown, probed, model, seed=seed) for name, shown in maps.items()}
        open_ones = [name for name in explainers if told[name]["state"] == "follows"]  # random weights can only deny it
        drawn_again = cascade(captured, [draws[name] for name in open_ones], step, seed) if open_ones else []
        for name, rows in zip(open_ones, drawn_again, strict=True):
            told[name] = examine(classes, maps[name], probed, model, rows, seed=seed)
        yield from ({"image": number, **row} for row in told.values())


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
    explainer = explainer_of(name)

    def draw(captured: Captured) -> Any:
        return explainer.map_set(captured, [index]).maps[0]

    return draw
