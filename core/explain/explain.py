"""Explain one image: the maps, what zero vectors do to attention, and how far to trust what is shown."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from core.backbones.contract import ImageAttention, LayerTokens
from core.errors import NotFound, Unavailable
from core.explain.attention import as_dict as attention_as_dict
from core.explain.attention import attention_map, rollout
from core.explain.classifier import ExplainedClassifier, pixels_of
from core.explain.frame import SeenMask, seen_mask
from core.explain.grad_cam import GradCamMap, grad_cam
from core.explain.paint import DIVERGING, SEQUENTIAL, ColourMap, colour_bar, overlay
from core.explain.redistribution import Redistribution, follows_plain_path, redistribution, what_if
from core.explain.region import RegionShare, peak_quadrant, quadrant_share, region_share
from core.explain.trust import trust
from core.explain.view import field_of_view

PICTURE_PX = 448
DISCLAIMER = "Research use only. Not for use in diagnostic procedures."


@dataclass(frozen=True)
class ExplanationMap:
    """One picture of an explanation and the scale its colours mean.

    file: a name inside the output folder. above_scale: patches beyond the last colour, painted in it.
    """

    kind: str
    title: str
    file: str | None
    alt: str
    scale: tuple[float, float] | None = None
    colour_map: ColourMap | None = None
    unit: str = ""
    above_scale: int = 0

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, with the colour bar as data."""
        bar = colour_bar(self.scale, self.colour_map) if self.scale and self.colour_map else None
        return {
            "kind": self.kind,
            "title": self.title,
            "file": self.file,
            "alt": self.alt,
            "scale": list(self.scale) if self.scale else None,
            "colour_map": self.colour_map,
            "unit": self.unit,
            "above_scale": self.above_scale,
            "colour_bar": bar,
        }


@dataclass(frozen=True)
class Explanation:
    """Everything shown about one image; `arrays` holds the raw maps (rows, columns)."""

    image: str | None
    class_name: str
    predicted: str
    probabilities: dict[str, float]
    seconds: float
    maps: list[ExplanationMap]
    attention: dict[str, Any]
    what_if: list[dict[str, Any]]
    trust: dict[str, Any]
    region: dict[str, Any] | None
    text: str
    notes: list[str]
    arrays: dict[str, np.ndarray] = field(repr=False, default_factory=dict)
    disclaimer: str = DISCLAIMER

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, without the arrays."""
        return {
            "image": self.image,
            "class": self.class_name,
            "predicted": self.predicted,
            "probabilities": self.probabilities,
            "seconds": self.seconds,
            "maps": [entry.as_dict() for entry in self.maps],
            "attention": self.attention,
            "what_if": self.what_if,
            "trust": self.trust,
            "region": self.region,
            "text": self.text,
            "notes": self.notes,
            "disclaimer": self.disclaimer,
        }


def explain_image(
    classifier: ExplainedClassifier,
    image: Image.Image,
    class_name: str | None = None,
    out_dir: Path | None = None,
    mask: Image.Image | None = None,
    image_name: str | None = None,
    step: Callable[[], None] = lambda: None,
) -> Explanation:
    """Maps, attention and trust for one image and one class (the predicted one by default).

    mask: a marked region of the image's size; the maps are measured against it. out_dir: where the PNG files and
    arrays.npz go; without it nothing is written and `file` is None. step: called between the parts of the work; what it
    raises ends the work. Raises NotFound for an unknown class and InvalidInput for a mask of another size than the
    image.
    """
    started = time.perf_counter()
    backbone, pixels = classifier.backbone, pixels_of(classifier, image)
    region = None if mask is None else seen_mask(mask, image.size, backbone.preprocessing, backbone.patch_grid)
    marked = region.pixels if region is not None and region.seen_px > 0 else None
    scores = classifier.probabilities([image.convert("RGB")])[0]  # the very numbers that classification shows
    predicted = classifier.classes[int(scores.argmax())]
    index = _class_index(classifier, class_name or predicted)
    name = classifier.classes[index]

    step()
    changed, notes = _redistribution(classifier, pixels)
    step()
    if region is not None and (doubt := region.sentence()):
        notes.append(doubt)
    layout = _own_attention(changed)
    if layout is None or changed is None:
        return _without_attention(image_name, name, predicted, classifier, scores, notes, started)
    cam = grad_cam(classifier, pixels, index, layout)
    step()
    if not follows_plain_path(classifier):
        notes.append("The attention maps are those of the tower without this method's own changes inside it.")
    if cam.replaced:
        notes.append(f"Zero vectors replaced {cam.replaced} patches in the first row; they stay grey.")
    arrays = _arrays(cam, changed, layout, classifier.visual_tokens())
    view = field_of_view(image.convert("RGB"), backbone.preprocessing, PICTURE_PX)
    maps = _maps(name, cam, changed, arrays)
    if out_dir is not None:
        maps = _write(out_dir, view, maps, arrays)
    step()
    judged = trust(classifier, pixels, index, cam, layout)
    step()
    supposed = what_if(classifier, pixels, marked, changed.attention_without, step)
    return Explanation(
        image=image_name,
        class_name=name,
        predicted=predicted,
        probabilities={c: float(p) for c, p in zip(classifier.classes, scores, strict=True)},
        maps=maps,
        attention=_attention(changed),
        what_if=supposed,
        trust=judged,
        region=None if region is None or marked is None else _region(arrays, region),
        text=_text(name, predicted, float(scores[index]), cam, changed),
        notes=notes,
        arrays=arrays,
        seconds=time.perf_counter() - started,
    )


def _class_index(classifier: ExplainedClassifier, name: str) -> int:
    if name not in classifier.classes:
        raise NotFound(
            f"This model knows the classes {', '.join(classifier.classes)}",
            f"found '{name}'",
            "Ask for one of them.",
        )
    return list(classifier.classes).index(name)


def _redistribution(classifier: ExplainedClassifier, pixels: torch.Tensor) -> tuple[Redistribution | None, list[str]]:
    """The two attention passes, or None and a sentence for a backbone that has no attention to show."""
    try:
        return redistribution(classifier, pixels), []
    except (NotImplementedError, Unavailable) as reason:  # the reason is shown, not hidden
        return None, [f"The backbone '{classifier.backbone.name}' has no attention to show: {reason}"]


def _own_attention(changed: Redistribution | None) -> ImageAttention | None:
    """The attention of the model as it was trained."""
    if changed is None:
        return None
    return changed.attention_with if changed.own else changed.attention_without


def _arrays(
    cam: GradCamMap, changed: Redistribution, layout: ImageAttention, tokens: LayerTokens | None
) -> dict[str, np.ndarray]:
    return {
        "grad_cam": cam.positive,
        "grad_cam_signed": cam.signed,
        "attention": attention_map(layout),
        "attention_without": changed.without,
        "attention_with": changed.with_vectors,
        "difference": changed.difference,
        "rollout": rollout(layout, tokens),
    }


def _maps(name: str, cam: GradCamMap, changed: Redistribution, arrays: dict[str, np.ndarray]) -> list[ExplanationMap]:
    """The pictures in the order they are shown; the three attention maps share one scale."""
    vectors, added = _vectors(changed), "" if changed.own else " added (what if)"
    share = "share of the class token's attention per patch, mean of the last layers"
    most = float(np.nanmax(arrays["grad_cam"]))
    rows: list[tuple[str, str, tuple[float, float], ColourMap, str]] = [
        ("grad_cam", f"Grad-CAM for {name}", (0.0, most), SEQUENTIAL, "class score per patch, not rescaled"),
        ("attention", "Attention of this model", changed.scale, SEQUENTIAL, share),
        ("attention_without", f"Attention without {vectors}", changed.scale, SEQUENTIAL, share),
        ("attention_with", f"Attention with {vectors}{added}", changed.scale, SEQUENTIAL, share),
        (
            "difference",
            f"Difference: with {vectors}{added} minus without",
            changed.difference_scale,
            DIVERGING,
            "difference of shares per patch",
        ),
    ]
    original = ExplanationMap("original", "What the model sees", None, "The image as the model sees it.")
    return [
        original,
        *(
            ExplanationMap(
                kind,
                title,
                None,
                _alt(title, arrays[kind], colours),
                scale,
                colours,
                unit,
                int((np.nan_to_num(arrays[kind]) > scale[1]).sum()),
            )
            for kind, title, scale, colours, unit in rows
        ),
    ]


def _alt(title: str, grid_map: np.ndarray, colours: ColourMap) -> str:
    """The map in one sentence, for those who cannot see it."""
    if colours == DIVERGING:
        if not np.nanmax(np.abs(grid_map)) > 0:
            return f"{title}: no change anywhere."
        up, down = peak_quadrant(grid_map), peak_quadrant(-grid_map)
        return f"{title}: attention rises most in the {up} and falls most in the {down}."
    if not np.nanmax(grid_map) > 0:
        return f"{title}: the map is empty."
    share = quadrant_share(grid_map)
    return f"{title}: strongest in the {peak_quadrant(grid_map)}; that quarter holds {share:.0%} of the map."


def _write(
    folder: Path, view: Image.Image, maps: list[ExplanationMap], arrays: dict[str, np.ndarray]
) -> list[ExplanationMap]:
    """Writes one PNG a map and arrays.npz; gives the maps with their file names."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "arrays.npz", allow_pickle=False, **arrays)
    written = []
    for entry in maps:
        picture = view
        if entry.scale is not None and entry.colour_map is not None:
            picture = overlay(view, arrays[entry.kind], entry.scale, entry.colour_map)
        picture.save(folder / f"{entry.kind}.png")
        written.append(ExplanationMap(**{**vars(entry), "file": f"{entry.kind}.png"}))
    return written


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


def _region(arrays: dict[str, np.ndarray], region: SeenMask) -> dict[str, Any]:
    """Each map measured against the marked region."""
    kinds = ("grad_cam", "attention", "attention_without", "attention_with", "rollout")
    shares: dict[str, RegionShare] = {kind: region_share(arrays[kind], region.pixels) for kind in kinds}
    unit = "px of the model's input, not calibrated"
    return {"unit": unit, "mask": region.as_dict(), "maps": {k: s.as_dict() for k, s in shares.items()}}


def _vectors(changed: Redistribution) -> str:
    kind = "zero vector" if changed.zero else "learned vector"
    return f"{changed.n} {kind}" if changed.n == 1 else f"{changed.n} {kind}s"


def _text(name: str, predicted: str, probability: float, cam: GradCamMap, changed: Redistribution) -> str:
    """One sentence on the decision and one on the extra vectors."""
    if name == predicted:
        first = f"The model calls this image '{name}' (probability {probability:.2f})"
    else:
        first = f"The model gives '{name}' a probability of {probability:.2f}; it calls the image '{predicted}'"
    place = f"evidence is strongest in the {peak_quadrant(cam.signed)}"
    if not np.nanmax(cam.signed) > 0:
        place = f"no patch speaks for '{name}'"
    before, after = (attention_as_dict(a)["mean"] for a in (changed.attention_without, changed.attention_with))
    verb = "take" if changed.own else "would take"
    second = (f"Its {_vectors(changed)}" if changed.own else f"{_vectors(changed)} in place of the first patches") + (
        f" {verb} {after['zero_vectors']:.0%} of the class token's attention; the picture's share goes from "
        f"{before['patches']:.0%} to {after['patches']:.0%} (means over layers)."
    )
    return f"{first}; {place}. {second}"


def _without_attention(
    image_name: str | None,
    name: str,
    predicted: str,
    classifier: ExplainedClassifier,
    scores: torch.Tensor,
    notes: list[str],
    started: float,
) -> Explanation:
    """The answer for a backbone without attention: probabilities and the reason."""
    reason = notes[0]
    return Explanation(
        image=image_name,
        class_name=name,
        predicted=predicted,
        probabilities={c: float(p) for c, p in zip(classifier.classes, scores, strict=True)},
        maps=[],
        attention={"layers": [], "note": reason},
        what_if=[],
        trust={},
        region=None,
        text=f"The model calls this image '{predicted}' (probability {float(scores.max()):.2f}). {reason}",
        notes=notes,
        seconds=time.perf_counter() - started,
    )
