"""Explain one image: the maps, what zero vectors do to attention, and how far to trust what is shown.

All at once, or the first answer and then each part that takes longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core.explain.classifier import ExplainedClassifier
from core.explain.explanation import DISCLAIMER, Explanation, ExplanationMap
from core.explain.first_answer import PICTURE_PX, Step, Subject, first_answer, no_step
from core.explain.further import completed, judge, suppose
from core.explain.measure import Source

__all__ = [
    "DISCLAIMER",
    "PICTURE_PX",
    "Explanation",
    "ExplanationMap",
    "explain_first",
    "explain_further",
    "explain_image",
]


def explain_image(
    classifier: ExplainedClassifier,
    image: Image.Image,
    class_name: str | None = None,
    out_dir: Path | None = None,
    mask: Image.Image | np.ndarray | None = None,
    image_name: str | None = None,
    step: Step = no_step,
    true_class: str | None = None,
    also: Sequence[str] = (),
) -> Explanation:
    """Maps, attention, trust and what-if for one image and one class (the predicted one by default).

    mask: a marked region of the image's size, a picture or bool (height, width); the maps are measured against it.
    out_dir: where the PNG files and arrays.npz go; without it nothing is written and `file` is None. step: called
    between the parts of the work; what it raises ends the work. also: explainers whose maps are drawn and tested beside
    the others, slow ones too, such as "rise:masks=500". Raises InvalidOption for an unknown one, NotFound for an
    unknown class and InvalidInput for a mask of another size than the image.
    """
    subject = Subject.of(classifier, image, class_name, mask, true_class=true_class, also=also, step=step)
    step()
    answer = first_answer(subject, out_dir, image_name)
    step()
    return completed(answer, subject, step)


def explain_first(
    classifier: ExplainedClassifier,
    image: Image.Image,
    class_name: str | None,
    out_dir: Path,
    mask: Image.Image | np.ndarray | None = None,
    image_name: str | None = None,
    source: Source = "file",
) -> Explanation:
    """The first answer alone: maps and attention; of the pictures only the one below the maps is written."""
    subject = Subject.of(classifier, image, class_name, mask, source)
    return first_answer(subject, out_dir, image_name, pictures=False)


def explain_further(
    classifier: ExplainedClassifier,
    image: Image.Image,
    class_name: str,
    part: str,
    mask: Image.Image | np.ndarray | None = None,
    step: Step = no_step,
    true_class: str | None = None,
) -> Any:
    """One part that was left pending, of `core.explain.parts.PARTS`. true_class: of the image, where it is known."""
    make = {"trust": judge, "what_if": suppose}[part]
    return make(Subject.of(classifier, image, class_name, mask, true_class=true_class), step)
