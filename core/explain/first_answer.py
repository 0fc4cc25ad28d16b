"""The first answer about one image: class maps of all classes and all attention, from one open pass.

What takes longer comes after it, see `core.explain.further`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from core.errors import NotFound, Unavailable
from core.explain.asked_maps import AskedMap, draw_asked, explainer_of
from core.explain.attention import LAST_LAYERS
from core.explain.attention import as_dict as attention_as_dict
from core.explain.captured import Captured, capture
from core.explain.class_maps import HEADLINE, ClassMaps, class_maps
from core.explain.classifier import ExplainedClassifier, pixels_of
from core.explain.explanation import Explanation, ExplanationMap
from core.explain.frame import Frame, SeenMask, seen_mask
from core.explain.heads import head_arrays
from core.explain.measure import Source, measure
from core.explain.paint import overlay, save_picture
from core.explain.parts import PARTS
from core.explain.pictures import attention_pictures, class_pictures, original_picture
from core.explain.redistribution import Redistribution, follows_plain_path, redistribution
from core.explain.region import peak_quadrant
from core.explain.registry import get_explainer
from core.explain.signature import look_for_signatures
from core.explain.view import field_of_view

PICTURE_PX = 448
APART = 0.005
"""Difference of two probabilities of one image from which it is told: one was computed in another precision."""

Step = Callable[[], None]


def no_step() -> None:
    """Nobody stops the work."""


@dataclass(frozen=True)
class Subject:
    """One image and one class of a model, with what all parts of an explanation share.

    scores: probabilities (classes,) as classification gives them. region: where a mask was given; source says whose.
    also: explainers whose maps are drawn beside the others, as `asked_maps.explainer_of` reads them.
    """

    classifier: ExplainedClassifier
    image: Image.Image
    pixels: torch.Tensor
    scores: torch.Tensor
    class_index: int
    region: SeenMask | None
    source: Source = "file"
    true_class: str | None = None
    also: tuple[str, ...] = ()
    step: Step = no_step

    @classmethod
    def of(
        cls,
        classifier: ExplainedClassifier,
        image: Image.Image,
        class_name: str | None = None,
        mask: Image.Image | np.ndarray | None = None,
        source: Source = "file",
        true_class: str | None = None,
        also: Sequence[str] = (),
        step: Step = no_step,
    ) -> Subject:
        """The image as the model takes it.

        Raises NotFound for an unknown class, InvalidInput for a mask of another size than the image, and InvalidOption
        for an unknown explainer.
        """
        for name in also:
            explainer_of(name)
        backbone, image = classifier.backbone, image.convert("RGB")
        region = None if mask is None else seen_mask(mask, image.size, backbone.preprocessing, backbone.patch_grid)
        scores = classifier.probabilities([image])[0]
        index = int(scores.argmax()) if class_name is None else _class_index(classifier, class_name)
        return cls(
            classifier,
            image,
            pixels_of(classifier, image),
            scores,
            index,
            region,
            source,
            true_class,
            tuple(also),
            step,
        )

    @cached_property
    def frame(self) -> Frame:
        """Which place of the original picture each model pixel shows."""
        return Frame.of(self.image.size, self.classifier.backbone.preprocessing)

    @property
    def class_name(self) -> str:
        """The class that is explained."""
        return self.classifier.classes[self.class_index]

    @property
    def predicted(self) -> str:
        """The most likely class."""
        return self.classifier.classes[int(self.scores.argmax())]

    @property
    def marked(self) -> np.ndarray | None:
        """The marked region (size, size) in model input pixels, where some of it is seen."""
        return self.region.pixels if self.region is not None and self.region.seen_px > 0 else None

    @cached_property
    def captured(self) -> Captured:
        """The open pass, made once. Raises Unavailable for a backbone that does not open its blocks."""
        return capture(self.classifier, self.pixels, "third")

    @cached_property
    def asked(self) -> list[AskedMap]:
        """Maps that were asked for beside the others, drawn once."""
        return draw_asked(self.captured, self.class_index, self.also, self.step)


def first_answer(
    subject: Subject, out_dir: Path | None = None, image_name: str | None = None, pictures: bool = True
) -> Explanation:
    """Class maps and attention of one image, with `PARTS` pending.

    out_dir: where arrays.npz and the PNG files go; without it nothing is written and `file` is None. pictures: whether
    the painted maps are written as well, or only what the model sees.
    """
    started = time.perf_counter()
    try:
        changed = redistribution(subject.classifier, subject.pixels, subject.captured.attention)
    except (NotImplementedError, Unavailable) as reason:  # the reason is shown, not hidden
        return _without_attention(subject, str(reason), image_name, started)
    found = class_maps(subject.captured, subject.class_index)
    arrays = _arrays(found, changed, subject)
    maps = [
        original_picture(),
        *class_pictures(found, arrays),
        *attention_pictures(subject.classifier, changed, arrays),
        *(each.picture() for each in subject.asked if each.reason is None),
    ]
    if out_dir is not None:
        maps = write_maps(out_dir, seen_picture(subject), maps, arrays, pictures)
    return Explanation(
        image=image_name,
        class_name=subject.class_name,
        predicted=subject.predicted,
        probabilities=_probabilities(subject),
        explainer=HEADLINE,
        settings=_settings(changed),
        scalar=get_explainer(HEADLINE).scalar,
        explained_probability=float(subject.captured.probabilities[subject.class_index]),
        maps=maps,
        attention=_attention(changed),
        frame=subject.frame.as_dict(),
        region=None if subject.region is None else measure(arrays, subject.region, subject.source),
        text=_text(subject, found, changed),
        notes=_notes(subject, found),
        signatures=look_for_signatures(seen_picture(subject), arrays),
        pending=PARTS,
        arrays=arrays,
        seconds=time.perf_counter() - started,
    )


def seen_picture(subject: Subject) -> Image.Image:
    """What the model sees, as the picture below the maps."""
    return field_of_view(subject.image, subject.classifier.backbone.preprocessing, PICTURE_PX)


def write_maps(
    folder: Path, view: Image.Image, maps: list[ExplanationMap], arrays: dict[str, np.ndarray], pictures: bool = True
) -> list[ExplanationMap]:
    """Write arrays.npz and one PNG a map; gives the maps with their file names.

    pictures False: only the picture below them; `paint_map` makes the others when they are asked for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "arrays.npz", allow_pickle=False, **arrays)
    for entry in maps:
        if pictures or entry.scale is None:
            save_picture(paint_map(view, entry, arrays), folder / f"{entry.kind}.png", arrays)
    return [replace(entry, file=f"{entry.kind}.png") for entry in maps]


def paint_map(view: Image.Image, entry: ExplanationMap, arrays: dict[str, np.ndarray]) -> Image.Image:
    """One map over the picture, or the picture alone for the map without a scale."""
    if entry.scale is None or entry.colour_map is None:
        return view
    return overlay(view, arrays[entry.kind], entry.scale, entry.colour_map)


def _class_index(classifier: ExplainedClassifier, name: str) -> int:
    if name not in classifier.classes:
        raise NotFound(
            f"This model knows the classes {', '.join(classifier.classes)}",
            f"found '{name}'",
            "Ask for one of them.",
        )
    return list(classifier.classes).index(name)


def _probabilities(subject: Subject) -> dict[str, float]:
    return {c: float(p) for c, p in zip(subject.classifier.classes, subject.scores, strict=True)}


def _arrays(found: ClassMaps, changed: Redistribution, subject: Subject) -> dict[str, np.ndarray]:
    captured, index = subject.captured, subject.class_index
    whole = {name: get_explainer(name)().map_set(captured, [index]).maps[0] for name in ("attention", "rollout")}
    return {
        **found.arrays(),
        **whole,
        "attention_without": changed.without,
        "attention_with": changed.with_vectors,
        "difference": changed.difference,
        **head_arrays(changed.attention_without, "without"),
        **head_arrays(changed.attention_with, "with"),
        **{each.kind: each.positive for each in subject.asked},
        **{f"{each.kind}_signed": each.values for each in subject.asked},
        "crop_box": np.array(subject.frame.crop_box),
        "original_px": np.array(subject.image.size),
        **({} if subject.region is None else {"region_cells": subject.region.cells}),
    }


def _settings(changed: Redistribution) -> dict[str, Any]:
    """What another explanation of the same image would have to share to be comparable."""
    options = get_explainer(HEADLINE)().config.as_dict()
    compared = {"n_vectors": changed.n, "mode": changed.mode, "own_vectors": changed.own, "zero": changed.zero}
    return {"options": options, "attention_layers": LAST_LAYERS, "compared": compared}


def _attention(changed: Redistribution) -> dict[str, Any]:
    """Shares per layer of the model as it is, and of both sides of the comparison."""
    sides = {"without": changed.attention_without, "with": changed.attention_with}
    own = sides["with" if changed.own else "without"]
    return {
        **attention_as_dict(own),
        "own_vectors": changed.own,
        "vectors": "zero" if changed.zero else "learned",
        "compared": {
            "n_vectors": changed.n,
            "mode": changed.mode,
            **{side: attention_as_dict(found) for side, found in sides.items()},
        },
    }


def _notes(subject: Subject, found: ClassMaps) -> list[str]:
    """What is to be said before the maps are read."""
    classifier, notes = subject.classifier, []
    if not follows_plain_path(classifier):
        notes.append(
            "The maps with and without zero vectors are those of the tower without this method's own changes inside it."
        )
    if missing := int(np.isnan(found.headline[found.asked]).sum()):
        notes.append(f"Zero vectors replaced {missing} patches in the first row; they stay grey.")
    shown = float(subject.scores[subject.class_index])
    explained = float(subject.captured.probabilities[subject.class_index])
    if abs(shown - explained) > APART:
        notes.append(
            f"Maps are made in float32, where the probability is {explained:.3f}; classification in "
            f"{classifier.backbone.precision} says {shown:.3f}."
        )
    return [*notes, *found.sentences(), *(each.reason for each in subject.asked if each.reason is not None)]


def _vectors(changed: Redistribution) -> str:
    kind = "zero vector" if changed.zero else "learned vector"
    return f"{changed.n} {kind}" if changed.n == 1 else f"{changed.n} {kind}s"


def _text(subject: Subject, found: ClassMaps, changed: Redistribution) -> str:
    """One sentence on the decision and one on the extra vectors."""
    name, probability = subject.class_name, float(subject.scores[subject.class_index])
    if name == subject.predicted:
        first = f"The model calls this image '{name}' (probability {probability:.2f})"
    else:
        first = f"The model gives '{name}' a probability of {probability:.2f}; it calls the image '{subject.predicted}'"
    place = f"evidence is strongest in the {peak_quadrant(found.headline[subject.class_index])}"
    if found.reason(subject.class_index) is not None:
        place = f"no patch speaks for '{name}'"
    before, after = (attention_as_dict(a)["mean"] for a in (changed.attention_without, changed.attention_with))
    verb = "take" if changed.own else "would take"
    second = (f"Its {_vectors(changed)}" if changed.own else f"{_vectors(changed)} in place of the first patches") + (
        f" {verb} {after['zero_vectors']:.0%} of the class token's attention; the picture's share goes from "
        f"{before['patches']:.0%} to {after['patches']:.0%} (means over layers)."
    )
    return f"{first}; {place}. {second}"


def _without_attention(subject: Subject, why: str, image_name: str | None, started: float) -> Explanation:
    """The answer where no map can be made: probabilities and the reason."""
    reason = f"There are no maps. {why}"
    return Explanation(
        image=image_name,
        class_name=subject.class_name,
        predicted=subject.predicted,
        probabilities=_probabilities(subject),
        maps=[],
        attention={"layers": [], "note": reason},
        frame=subject.frame.as_dict(),
        region=None,
        text=f"The model calls this image '{subject.predicted}' (probability {float(subject.scores.max()):.2f}). "
        f"{reason}",
        notes=[reason],
        seconds=time.perf_counter() - started,
    )
