"""What lets a model say when it should be silent: calibration of its sets and of its distances to what it has seen.

Done once after training, from images that neither trained the model nor chose anything of it but its temperature.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torch import Tensor

from core.evaluation.conformal import (
    LEVEL,
    highest_level,
    images_needed,
    lac_scores,
    measured_sets,
    percent,
    unlucky_coverage,
)
from core.evaluation.outside import OUTSIDE_P, distances_inside, nearest_images
from core.images.labelled_image import LabelledImage
from core.images.shots import ShotDraw
from core.tuning.contract import Method
from core.tuning.fitting import Fitted, image_data
from core.tuning.judge import Judge, directions, stated_by, with_state
from core.tuning.measure import Measurement, seen_features
from core.tuning.refits import refits
from core.tuning.run_notes import known_classes
from core.tuning.seen import Seen
from core.tuning.training_data import group_numbers

if TYPE_CHECKING:
    from core.tuning.feature_store import FeatureStore

SPLIT, UNUSED, LEFT_OUT, FOLDS = "split", "unused shots", "leave-one-out", "folds"


class Calibrating(NamedTuple):
    """scores: of images that calibrate, an array a fold. refits: learned tensors by fold, or none. reason: why none."""

    how: str
    scores: tuple[np.ndarray, ...] = ()
    refits: tuple[dict[str, Tensor], ...] = ()
    reason: str | None = None

    @property
    def n(self) -> int:
        """Calibration images."""
        return sum(map(len, self.scores))


def calibrate_trust(fitted: Fitted, store: FeatureStore) -> tuple[Seen, dict[str, Any]]:
    """What a fitted method keeps to give sets and distances, and a record of it; without test images.

    The record: level, how, n (calibration images, one of each patient), needed, highest_level, smallest_alpha, reason
    (why there is no set, or None), guarantee (in words, or None), unlucky (coverage that 1 of 20 draws of calibration
    images stays below; None unless the model itself scored them), doubt (why the promise may not hold, in words, or
    None), distances (how many calibrate p of `outside`).
    """
    method, draw = fitted.method, fitted.draw
    found = _calibrating(fitted, store)
    reason = found.reason
    if reason is None and found.n < images_needed():
        best = f"{percent(highest_level(found.n))} is the highest level with them"
        reason = f"no set: {_images(found.n)}, {percent(LEVEL)} needs {images_needed()} ({best})"
    features = seen_features(method, draw.train, store)
    kept = found if reason is None else Calibrating(found.how)
    images = tuple({"file": i.name, "sha256": i.sha256, "class": method.task.classes[i.label]} for i in draw.train)
    seen = Seen(images, features, _distances(method, draw, features, store), kept.scores, kept.refits)
    record = {
        "level": LEVEL,
        "how": found.how,
        "n": found.n,
        "needed": images_needed(),
        "highest_level": highest_level(found.n),
        "smallest_alpha": 1 / (found.n + 1),
        "reason": reason,
        "guarantee": None if reason else _guarantee(found),
        "unlucky": None if reason or found.refits else unlucky_coverage(found.n),
        "doubt": None if reason else _doubt(method),
        "distances": len(seen.distances),
    }
    return seen, record


def measured_trust(judge: Judge, features: Tensor, measured: Measurement) -> dict[str, Any]:
    """What sets and distances did on the test part: sets (see `measured_sets`) and called_outside, None where unknown.

    called_outside: the share of test images, which are none, that would be called unlike what the model has seen.
    """
    p = judge.strangeness(features)
    inside = None if judge.reason else judge.members(features, measured.probabilities)
    return {
        "sets": None if inside is None else measured_sets(inside, measured.labels, measured.classes),
        "called_outside": None if p is None else float((p <= OUTSIDE_P).mean()),
    }


def one_a_group(images: Sequence[LabelledImage], seed: int) -> list[LabelledImage]:
    """One image of each group (patient), drawn by seed; an image without group is one of its own."""
    return [images[at] for at in _one_a_group(images, seed)]


def trust_sentence(record: Mapping[str, Any]) -> str:
    """What a record of `calibrate_trust`, with what was measured, says to a person."""
    if record["reason"]:
        return f"{record['reason'][0].upper()}{record['reason'][1:]}."
    said = f"Sets of {percent(record['level'])} from {_images(record['n'])}: {record['guarantee']}"
    unlucky = record["unlucky"]
    if unlucky is not None:
        said += f" In 1 of 20 draws of these images the true coverage is below {percent(unlucky)}."
    sets = (record.get("measured") or {}).get("sets")
    if sets:
        coverage, low, high = (percent(sets[name]) for name in ("coverage", "low", "high"))
        said += (
            f" On {sets['n']} test images {coverage} of sets held the true class ({low} to {high}), with "
            f"{sets['size']:.2f} classes on average."
        )
    return f"{said} {record['doubt']}" if record["doubt"] else said


def _doubt(method: Method) -> str | None:
    """Images that calibrate are not new to an encoder that was trained on them, which cannot be seen from here."""
    known = known_classes(method, method.task.classes)
    if not known:
        return None
    return (
        f"The encoder's text side has learned {', '.join(known)} from labelled images, perhaps from these: the promise "
        "may not hold."
    )


def _calibrating(fitted: Fitted, store: FeatureStore) -> Calibrating:
    method, draw, temperature = fitted.method, fitted.draw, fitted.temperature.value
    chosen = method.choices(method.config)
    if method.is_baseline:  # nothing was learned from the shots, so they are as good as images left over
        images = one_a_group([*draw.train, *draw.validation], method.task.seed)
        return Calibrating(UNUSED, (_scores(method, images, temperature, store),))
    if draw.validation and not chosen:
        images = one_a_group(draw.validation, method.task.seed)
        return Calibrating(SPLIT, (_scores(method, images, temperature, store),))
    if not method.trains_by_steps and not method.reads_unlabelled:
        return _refitted(method, draw, temperature, store)
    if draw.validation:
        named = " and ".join(choice.what for choice in chosen)
        return Calibrating(SPLIT, reason=f"no set: the {len(draw.validation)} images left over also chose {named}")
    return Calibrating(SPLIT, reason="no set: 0 calibration images, none were left over")


def _refitted(method: Method, draw: ShotDraw, temperature: float, store: FeatureStore) -> Calibrating:
    single = set(_one_a_group(draw.train, method.task.seed))
    scores, states = [], []
    for state, held in refits(method, image_data(method, draw, store)):
        images = [draw.train[at] for at in held.tolist() if at in single]
        scores.append(_scores(with_state(method, state), images, temperature, store))
        states.append(state)
    if not scores:
        return Calibrating(FOLDS, reason="no set: too few or too many images to fit again without some of them")
    how = LEFT_OUT if all(len(found) == 1 for found in scores) else FOLDS
    return Calibrating(how, tuple(scores), tuple(states))


def _scores(method: Method, images: Sequence[LabelledImage], temperature: float, store: FeatureStore) -> np.ndarray:
    """How strange the true class of each image is to a method."""
    stated = stated_by(method, seen_features(method, images, store), temperature)
    return lac_scores(stated)[np.arange(len(images)), [image.label for image in images]]


def _distances(method: Method, draw: ShotDraw, features: Tensor, store: FeatureStore) -> np.ndarray:
    """Scores of images that are known to be like the training images."""
    seed = method.task.seed
    if method.image_path(method.config) == "trained":  # what trained the tower lies nearer to itself than new images do
        if not draw.validation:
            return np.empty(0)
        apart = seen_features(method, one_a_group(draw.validation, seed), store)
        return nearest_images(directions(method, apart), directions(method, features)).score
    groups = group_numbers([image.group for image in draw.train]).numpy()
    return distances_inside(directions(method, features), groups, _one_a_group(draw.train, seed))


def _one_a_group(images: Sequence[LabelledImage], seed: int) -> list[int]:
    """Positions, in order, of one image of each group."""
    groups = group_numbers([image.group for image in images]).tolist()
    order = np.random.default_rng(seed).permutation(len(images)).tolist()
    first = {groups[at]: at for at in reversed(order)}
    return sorted(first.values())


def _guarantee(found: Calibrating) -> str:
    if found.refits:
        return f"at least {percent(2 * LEVEL - 1)} of such sets hold the true class, usually near {percent(LEVEL)}."
    return f"at least {percent(LEVEL)} of such sets hold the true class, over all classes together."


def _images(n: int) -> str:
    return "1 calibration image" if n == 1 else f"{n} calibration images"
