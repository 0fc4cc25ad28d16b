"""The first step of a training: which images it may use, after the refusals that need no model."""

from __future__ import annotations

from core.errors import Leakage, TooFewImages
from core.images.image_set import ImageSet
from core.images.leakage import find_leaks
from core.images.shots import ShotDraw, draw_shots


def draw_images(image_set: ImageSet, shots: int | None, seed: int, allow_leakage: bool = False) -> ShotDraw:
    """Training and validation images for one seed. shots: per class; None takes all.

    Raises TooFewImages, also where a class has no test image, and Leakage unless it is allowed.
    """
    check_measurable(image_set, allow_leakage)
    return draw_shots(image_set, shots, seed)


def check_measurable(image_set: ImageSet, allow_leakage: bool = False) -> None:
    """Raises TooFewImages for a class without test image, Leakage for images or groups on both sides if not allowed."""
    absent = [name for name, row in image_set.counts().items() if not row["test"]]
    if absent:
        raise TooFewImages(
            "Every class needs test images to be measured on",
            f"none for {', '.join(repr(name) for name in absent)}",
            "Add images to the test part.",
        )
    leaks = [] if allow_leakage else find_leaks(image_set)
    if leaks:
        named = "; ".join(f"{leak.file}: {leak.found}" for leak in leaks[:3])
        raise Leakage(
            "Training and test part share no image and no patient",
            f"{len(leaks)} do ({named})",
            "Remove them, or allow leakage knowing that the metrics are then too good.",
        )
