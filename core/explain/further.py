"""What comes after the first answer: tests of the maps, and what other numbers of zero vectors would do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from core.errors import Unavailable
from core.explain.captured import Captured
from core.explain.class_maps import HEADLINE, ClassMaps, class_kind, class_maps
from core.explain.explanation import Explanation
from core.explain.first_answer import Step, Subject, no_step
from core.explain.hiding import probe
from core.explain.randomised import MapOf, cascade
from core.explain.redistribution import what_if
from core.explain.registry import get_explainer
from core.explain.standing import standing
from core.explain.trust import ShownMap, examine


def judge(subject: Subject, step: Step = no_step) -> dict[str, Any]:
    """How far to trust each map that is shown or can be chosen; empty where there are none.

    {explainer, model, true_class, right, maps, others, verdict}: what the model is worth, whether it is right on this
    image where that is known (None if not), one test a map that is shown at first, the leading one first, one a map
    that can be chosen, and the sentence of the leading one.
    """
    try:
        captured = subject.captured
    except (NotImplementedError, Unavailable):
        return {}
    found, index = class_maps(captured, subject.class_index), subject.class_index
    shown = [(HEADLINE, index), ("attention", index)]
    others = [(HEADLINE, other) for other in found.others if found.reason(other) is None]
    if found.reason(index, grad_cam=True) is None:
        others.append(("grad_cam", index))
    asked = [
        ShownMap(each.kind, each.title, index, each.values, each.explainer.per_class)
        for each in subject.asked
        if each.reason is None
    ]
    tested = _tested(captured, found, [*shown, *others], step, asked)
    return {
        "explainer": HEADLINE,
        "model": standing(subject.classifier.card),
        "true_class": subject.true_class,
        "right": None if subject.true_class is None else subject.true_class == subject.predicted,
        "maps": tested[: len(shown)],
        "others": tested[len(shown) :],
        "verdict": tested[0]["sentence"],
    }


def suppose(subject: Subject, step: Step = no_step) -> list[dict[str, Any]]:
    """What other numbers of zero vectors would do; empty for a backbone without attention to show."""
    try:
        return what_if(subject.classifier, subject.pixels, subject.marked, step)
    except (NotImplementedError, Unavailable):
        return []


def completed(explanation: Explanation, subject: Subject, step: Step = no_step) -> Explanation:
    """The same explanation with all its parts."""
    started = time.perf_counter()
    judged, supposed = judge(subject, step), suppose(subject, step)
    seconds = explanation.seconds + time.perf_counter() - started
    return replace(explanation, trust=judged, what_if=supposed, pending=(), seconds=seconds)


def _tested(
    captured: Captured, found: ClassMaps, kinds: Sequence[tuple[str, int]], step: Step, asked: Sequence[ShownMap] = ()
) -> list[dict[str, Any]]:
    """Tests of explainers' maps, each with the class that it is about; of those asked for without random weights."""
    classifier = captured.classifier
    draws = [_drawn(name, list(found.headline), index) for name, index in kinds]
    probed, randomised = probe(classifier, captured.pixels, step), cascade(captured, draws, step)
    model, rows = standing(classifier.card), []
    for (name, index), draw, redrawn in zip(kinds, draws, randomised, strict=True):
        explainer = get_explainer(name)
        kind = class_kind(index) if name == HEADLINE and index != found.asked else name
        title = f"{explainer.title} for '{classifier.classes[index]}'" if explainer.per_class else explainer.title
        shown = ShownMap(kind, title, index, draw(captured), explainer.per_class)
        reason = found.reason(index) if name == HEADLINE else None
        rows.append(examine(classifier.classes, shown, probed, model, redrawn, reason))
    return rows + [examine(classifier.classes, each, probed, model) for each in asked]


def _drawn(name: str, classes: Sequence[int], index: int) -> MapOf:
    """One class's map; those of all classes are drawn together and kept with the pass, for one way back."""

    def draw(captured: Captured) -> np.ndarray:
        known = captured.drawn
        if name not in known:
            known[name] = dict(zip(classes, get_explainer(name)().map_set(captured, classes).maps, strict=True))
        return known[name][index]

    return draw
