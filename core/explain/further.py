"""What comes after the first answer: tests of the maps, and what other numbers of zero vectors would do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from core.errors import Unavailable
from core.explain.captured import Captured
from core.explain.class_maps import HEADLINE, class_kind, class_maps
from core.explain.explanation import Explanation
from core.explain.first_answer import Step, Subject, no_step
from core.explain.pictures import side_by_side
from core.explain.randomised import MapOf, cascade
from core.explain.redistribution import what_if
from core.explain.registry import get_explainer
from core.explain.standing import standing
from core.explain.trust import ShownMap, examine


def judge(subject: Subject, step: Step = no_step) -> dict[str, Any]:
    """How far to trust the maps that are shown at first; empty where there are none.

    {explainer, model, true_class, right, maps, verdict}: what the model is worth, whether it is right on this image
    where that is known (None if not), one test a map, the map that leads first, and the sentence of that one.
    """
    try:
        captured = subject.captured
    except (NotImplementedError, Unavailable):
        return {}
    model = standing(subject.classifier.card)
    tested = _tested(subject, captured, [(HEADLINE, subject.class_index), ("attention", subject.class_index)], step)
    return {
        "explainer": HEADLINE,
        "model": model,
        "true_class": subject.true_class,
        "right": None if subject.true_class is None else subject.true_class == subject.predicted,
        "maps": tested,
        "verdict": tested[0]["sentence"],
    }


def judge_others(subject: Subject, step: Step = no_step) -> list[dict[str, Any]]:
    """The same tests of the maps that can be chosen: Grad-CAM, and the leading map of the likeliest other classes."""
    try:
        captured = subject.captured
    except (NotImplementedError, Unavailable):
        return []
    found, index = class_maps(subject.captured), subject.class_index
    kinds = [(HEADLINE, other) for other in side_by_side(found, index) if found.reason(other) is None]
    if found.reason(index, grad_cam=True) is None:
        kinds.append(("grad_cam", index))
    return _tested(subject, captured, kinds, step)


def suppose(subject: Subject, step: Step = no_step) -> list[dict[str, Any]]:
    """What other numbers of zero vectors would do; empty for a backbone without attention to show."""
    try:
        return what_if(subject.classifier, subject.pixels, subject.marked, step)
    except (NotImplementedError, Unavailable):
        return []


def completed(explanation: Explanation, subject: Subject, step: Step = no_step) -> Explanation:
    """The same explanation with all its parts."""
    started = time.perf_counter()
    judged, supposed, others = judge(subject, step), suppose(subject, step), judge_others(subject, step)
    seconds = explanation.seconds + time.perf_counter() - started
    return replace(explanation, trust=judged, what_if=supposed, trust_others=others, pending=(), seconds=seconds)


def _tested(subject: Subject, captured: Captured, kinds: Sequence[tuple[str, int]], step: Step) -> list[dict[str, Any]]:
    """Tests of explainers' maps, each with the class that it is about."""
    draws = [_drawn(name, index) for name, index in kinds]
    randomised = cascade(captured, draws, step) if draws else []
    model, reasons = standing(subject.classifier.card), class_maps(captured)
    rows = []
    for (name, index), draw, redrawn in zip(kinds, draws, randomised, strict=True):
        explainer = get_explainer(name)
        kind = class_kind(index) if name == HEADLINE and index != subject.class_index else name
        title = (
            f"{explainer.title} for '{captured.classifier.classes[index]}'" if explainer.per_class else explainer.title
        )
        shown = ShownMap(kind, title, index, draw(captured), explainer.per_class)
        reason = reasons.reason(index) if name == HEADLINE else None
        rows.append(examine(captured, shown, model, step, redrawn, reason))
    return rows


def _drawn(name: str, index: int) -> MapOf:
    def draw(captured: Captured) -> np.ndarray:
        return get_explainer(name)().map_set(captured, [index]).maps[0]

    return draw
