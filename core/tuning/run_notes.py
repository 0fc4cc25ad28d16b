"""What a run says of itself in sentences: what it saw, what was chosen where, what its encoder knew."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from core.images.image_set import ImageSet
from core.images.leak_counts import Leakage
from core.images.shots import ShotDraw
from core.tuning.contract import Choice, Method
from core.tuning.text_context import TextContext
from core.tuning.views import CENTER


def run_notes(
    method: Method, draw: ShotDraw, image_set: ImageSet, leakage: Leakage, asked: Sequence[str] | None = None
) -> list[str]:
    """The notes of a trained method, in the order in which a person reads them.

    asked: all classes it was measured on, where these are more than those of the images it was trained on.
    """
    split = [part.split for part in method.modules() if isinstance(part, TextContext) and part.split]
    choices = method.choices(method.config)
    validation = _on_validation(choices, draw, image_set) if draw.validation else [_without_validation(choices, draw)]
    leaks = [leakage.sentence] if leakage.allowed or leakage.found or leakage.doubts else []
    return [
        *leaks,
        *split,
        *_views(method),
        *method.remarks(),
        *validation,
        *_known(method, asked or image_set.classes),
    ]


def known_classes(method: Method, classes: Sequence[str]) -> list[str]:
    """Those classes that the text side of the backbone has learned from labelled images, however they are spelled.

    None for a method that reads pictures with something else.
    """
    learned = {_spelled(name) for name in method.backbone.known_classes if method.reader is method.backbone}
    return [name for name in classes if _spelled(name) in learned]


def _spelled(name: str) -> str:
    return " ".join(re.split(r"[\W_]+", name.casefold())).strip()


def chosen_on_validation(method: Method, draw: ShotDraw) -> list[str]:
    """What of the model was chosen on the images that also calibrated it, each in a few words."""
    return [choice.what for choice in method.choices(method.config)] if draw.validation else []


def _views(method: Method) -> list[str]:
    views, epochs = getattr(method.config, "views", None), getattr(method.config, "epochs", 0)
    if not (method.trains_by_steps and views and views < epochs and method.config.augmentation != CENTER):
        return []
    return [
        f"Each image was seen in {views} augmented views, used in turn; the published protocol draws a new one in "
        f"each of the {epochs} epochs."
    ]


def _without_validation(choices: list[Choice], draw: ShotDraw) -> str:
    sizes = Counter(image.label for image in draw.train).values()
    if max(sizes) == 1:
        return "With 1 image per class and no further ones, nothing could be tuned or calibrated."
    if not any(choice.inside_shots for choice in choices):
        return "No further images for validation: probabilities not calibrated."
    if _fewest_groups(draw) == 1:
        lone = "1 image only" if min(sizes) == 1 else "images of 1 group (patient) only"
        return (
            f"No further images for validation, and {lone} of a class: nothing was tuned, probabilities not calibrated."
        )
    return "No further images for validation: tuned inside the shots, probabilities not calibrated."


def _fewest_groups(draw: ShotDraw) -> int:
    """The fewest groups (patients) that a class has training images of; an image without group is one of its own."""
    groups: dict[int, set[str]] = {}
    for place, image in enumerate(draw.train):
        groups.setdefault(image.label, set()).add(f"image {place}" if image.group is None else f"group {image.group}")
    return min(len(found) for found in groups.values())


def _on_validation(choices: list[Choice], draw: ShotDraw, image_set: ImageSet) -> list[str]:
    notes = []
    if choices:
        count = len(draw.validation)
        images = "1 validation image" if count == 1 else f"{count} validation images"
        notes.append(
            f"The {images} that calibrated the probabilities also chose {_listed([c.what for c in choices])}: new "
            "images will look somewhat less well calibrated."
        )
    labels = {image.label for image in draw.validation}
    absent = [repr(name) for label, name in enumerate(image_set.classes) if label not in labels]
    if absent:
        notes.append(
            f"No validation image of {', '.join(absent)}: what was chosen and calibrated rests on the other classes."
        )
    return notes


def _known(method: Method, classes: Sequence[str]) -> list[str]:
    known = known_classes(method, classes)
    if not known:
        return []
    return [
        f"The text side of the backbone '{method.backbone.name}' has learned {', '.join(known)} from labelled "
        "images: zero-shot and few-shot numbers on them are not honest ones."
    ]


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
