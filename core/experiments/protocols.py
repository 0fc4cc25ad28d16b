"""What each protocol draws for a cell, and what it measures the fitted method on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core.descriptions.description_set import DescriptionSet
from core.errors import Leakage
from core.experiments.cells import Cell
from core.experiments.spec import ExperimentSpec
from core.images.image_set import ImageSet
from core.images.leakage import find_leaks
from core.images.protocol_draws import draw_as_they_come, draw_share, halves, narrowed_draw
from core.images.shots import ShotDraw, draw_shots
from core.tuning.feature_store import FeatureStore
from core.tuning.fitting import Fitted
from core.tuning.measure import Measurement, measure, rename_classes
from core.tuning.progress import Report, unheard
from core.tuning.registry import get_method

TEST, BASE, NOVEL = "test", "base", "novel"
CANNOT_RENAME = "cannot name new classes: what it has learned belongs to the classes it was trained on"


@dataclass(frozen=True)
class Drawn:
    """The images of a cell. classes: names that are trained on, in the order of labels. absent: names without image."""

    draw: ShotDraw
    classes: tuple[str, ...]
    absent: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def draw_cell(spec: ExperimentSpec, cell: Cell, image_set: ImageSet) -> Drawn:
    """The images a cell trains on, tunes on and calibrates with. Raises TooFewImages, InvalidInput, ClassMismatch."""
    if spec.protocol == "full":
        assert cell.share is not None, "cells of the protocol full have a share"
        return Drawn(draw_share(image_set, cell.share, cell.seed), image_set.classes)
    if spec.protocol == "realistic":
        assert cell.shots is not None, "an experiment with 'all' shots is refused for this protocol"
        draw, notes = draw_as_they_come(image_set, cell.shots * len(image_set.classes), cell.seed)
        seen = {image.label for image in draw.train}
        absent = tuple(name for label, name in enumerate(image_set.classes) if label not in seen)
        return Drawn(draw, image_set.classes, absent, tuple(notes))
    draw = draw_shots(image_set, cell.shots, cell.seed)
    if spec.controlled:
        # nothing is chosen on images of its own: what calibrates is not counted as an advantage of one method
        draw = replace(draw, validation=())
    if spec.protocol != "base-to-novel":
        return Drawn(draw, image_set.classes)
    # drawn on all classes first, so that base images are those of the few-shot protocol
    base, _ = halves(image_set.classes, spec.base_classes)
    return Drawn(narrowed_draw(draw, image_set.classes, base), base)


def trained_classes(drawn: Drawn, method: str) -> tuple[str, ...]:
    """Names a method is built for: weights of one class each need an image of it, words do not."""
    if get_method(method).renames_classes:
        return drawn.classes
    return tuple(name for name in drawn.classes if name not in drawn.absent)


def measure_cell(
    spec: ExperimentSpec,
    fitted: Fitted,
    drawn: Drawn,
    image_set: ImageSet,
    targets: Mapping[str, ImageSet],
    zero_shot: Callable[[], Fitted],
    texts: DescriptionSet | None,
    *,
    store: FeatureStore,
    home: Path,
    progress: Report = unheard,
) -> tuple[dict[str, Measurement], list[str]]:
    """Measurements by part, the first of which ranks, and notes.

    zero_shot: fits it, asked for where a head has seen no image of a class. texts: the descriptions in use; names they
    do not cover get sentences made from them. Parts are "test", "base" and "novel", or the names of target sets.
    """

    notes: list[str] = []

    def on(method: Fitted, found: ImageSet) -> Measurement:
        return measure(
            method.method,
            found.part("test"),
            found.classes,
            store=store,
            temperature=method.temperature,
            progress=progress,
        )

    def renamed(found: ImageSet) -> Measurement:
        covers = texts is not None and set(found.classes) <= set(texts.sentences)
        sentences = fitted.setup.descriptions(found.classes, texts if covers else None)
        if texts is not None and not covers:
            notes.append(
                f"No descriptions of {', '.join(found.classes)} were given: sentences were made from the names."
            )
        other = rename_classes(fitted.method, found.classes, sentences, home)
        return measure(other, found.part("test"), found.classes, store=store, temperature=fitted.temperature)

    if spec.protocol == "base-to-novel":
        base, novel = halves(image_set.classes, spec.base_classes)
        parts = {BASE: on(fitted, image_set.of_classes(base))}
        if not fitted.method.can_rename_classes():
            return parts, [f"{fitted.method.title} {CANNOT_RENAME}."]
        parts[NOVEL] = renamed(image_set.of_classes(novel))
        notes += [_trivial(part, names) for part, names in ((BASE, base), (NOVEL, novel)) if len(names) == 1]
        return parts, notes
    missing = [name for name in image_set.classes if name not in fitted.method.task.classes]
    if missing:
        filled = _filled(fitted, on(zero_shot(), image_set), image_set, store, progress)
        return {TEST: filled}, [
            f"No training image of {', '.join(map(repr, missing))}: these classes are scored by zero-shot, which the "
            "method does not do by itself."
        ]
    parts = {TEST: on(fitted, image_set)}
    for name, target in targets.items():
        if fitted.method.can_rename_classes():
            parts[name] = renamed(target)
        elif set(target.classes) <= set(image_set.classes):
            parts[name] = on(fitted, target).among(target.classes)
        else:
            notes.append(f"{fitted.method.title} {CANNOT_RENAME}.")
        if set(target.classes) == set(image_set.classes):
            notes.append(f"'{name}' has the same classes, other images.")
    return parts, list(dict.fromkeys(notes))


def check_targets(draw: ShotDraw, image_set: ImageSet, targets: Mapping[str, ImageSet]) -> None:
    """Raises Leakage where a target's test part holds an image that was drawn from the source.

    By bytes and by pixels; groups (patients) are named by each set for itself, so that equal names say nothing.
    """
    for name, target in targets.items():
        seen = tuple(replace(i, part="train", group=None) for i in (*draw.train, *draw.validation))
        asked = tuple(replace(i, group=None) for i in target.part("test"))
        classes = tuple(dict.fromkeys([*image_set.classes, *target.classes]))
        leaks = find_leaks(ImageSet(name, classes, (*seen, *asked)))
        if leaks:
            raise Leakage(
                f"The test part of '{name}' shares no image with what is learned on '{image_set.name}'",
                f"{len(leaks)} are shared ({leaks[0].file})",
                "Leave this target out, or remove the images.",
            )


def _trivial(part: str, names: tuple[str, ...]) -> str:
    return f"The {part} half holds one class ({names[0]}); 100 % there means nothing, so it enters no mean."


def _filled(
    fitted: Fitted, zero_shot: Measurement, image_set: ImageSet, store: FeatureStore, progress: Report
) -> Measurement:
    """A head's scores, with zero-shot scores for the classes it has not seen."""
    known = fitted.method.task.classes
    images = image_set.part("test")
    own = measure(fitted.method, tuple(replace(i, label=0) for i in images), known, store=store, progress=progress)
    logits = np.array(zero_shot.logits, dtype=np.float64)
    for column, name in enumerate(known):
        logits[:, image_set.classes.index(name)] = own.logits[:, column]
    return Measurement(images, image_set.classes, image_set.classes, logits, fitted.temperature.value)
