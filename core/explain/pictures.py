"""Which pictures an explanation shows, in which order, with titles that say whose map each is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from core.explain.class_maps import HEADLINE, ClassMaps, class_kind
from core.explain.classifier import ExplainedClassifier
from core.explain.explanation import ExplanationMap
from core.explain.paint import DIVERGING, SEQUENTIAL, ColourMap
from core.explain.redistribution import Redistribution, follows_plain_path
from core.explain.region import peak_quadrant, quadrant_share
from core.explain.registry import get_explainer

SHARE = "share of the class token's attention per patch, mean of the last layers"


def original_picture() -> ExplanationMap:
    """The picture below the maps."""
    return ExplanationMap("original", "What the model sees", None, "The image as the model sees it.")


def class_pictures(found: ClassMaps, arrays: Mapping[str, np.ndarray]) -> list[ExplanationMap]:
    """The headline map of the class asked for, Grad-CAM, and the headline maps of other classes on the same scale.

    That is the scale of the class asked for: another class's far stronger evidence must not hide it. Stronger cells get
    the last colour and are counted. What has next to no evidence is left out; `ClassMaps.sentences` says so.
    """
    explainer, index, name = get_explainer(HEADLINE), found.asked, found.classes[found.asked]
    leading = [found.headline[index]] if found.reason(index) is None else list(found.headline.values())
    most = float(np.nanmax(np.maximum(leading, 0)))
    pictures = []
    if found.reason(index) is None:
        pictures.append(map_picture(HEADLINE, f"Evidence for {name}", (0.0, most), arrays, explainer.unit))
    for other in found.others:
        if found.reason(other) is None:
            title = f"Evidence for {found.classes[other]}"
            pictures.append(map_picture(class_kind(other), title, (0.0, most), arrays, explainer.unit, shown=False))
    if found.reason(index, grad_cam=True) is None:
        scale = (0.0, float(np.nanmax(arrays["grad_cam"])))
        unit = get_explainer("grad_cam").unit
        pictures.append(map_picture("grad_cam", f"Grad-CAM for {name}", scale, arrays, unit, shown=False))
    return pictures


def attention_pictures(
    classifier: ExplainedClassifier, changed: Redistribution, arrays: Mapping[str, np.ndarray]
) -> list[ExplanationMap]:
    """The three attention maps on one scale, and their difference."""
    kind = "zero vector" if changed.zero else "learned vector"
    vectors = f"{changed.n} {kind}" if changed.n == 1 else f"{changed.n} {kind}s"
    added = "" if changed.own else " added (what if)"
    pictures = [
        map_picture("attention", whose_attention(classifier, changed), changed.scale, arrays, SHARE),
        map_picture("attention_without", f"Attention without {vectors}", changed.scale, arrays, SHARE, shown=False),
        map_picture("attention_with", f"Attention with {vectors}{added}", changed.scale, arrays, SHARE, shown=False),
    ]
    title = f"Difference: with {vectors}{added} minus without"
    unit = "difference of shares per patch"
    return [*pictures, map_picture("difference", title, changed.difference_scale, arrays, unit, colours=DIVERGING)]


def whose_attention(classifier: ExplainedClassifier, changed: Redistribution) -> str:
    """The title of the attention map: which tower it is of. It is the same for every class."""
    if not follows_plain_path(classifier) or not (changed.zero or not changed.own):
        return "Attention of the tuned tower, the same for every class"
    vectors = " with its zero vectors" if changed.own else ""
    return f"Attention of the frozen tower{vectors}, the same for every class"


def map_picture(
    kind: str,
    title: str,
    scale: tuple[float, float],
    arrays: Mapping[str, np.ndarray],
    unit: str,
    *,
    colours: ColourMap = SEQUENTIAL,
    shown: bool = True,
) -> ExplanationMap:
    """The entry of one map: what its colours mean, and the map in a sentence."""
    above = int((np.nan_to_num(arrays[kind]) > scale[1]).sum())
    return ExplanationMap(kind, title, None, _alt(title, arrays[kind], colours), scale, colours, unit, above, shown)


def _alt(title: str, grid_map: np.ndarray, colours: ColourMap) -> str:
    """The map in one sentence, for those who cannot see it."""
    if colours == DIVERGING:
        if not np.nanmax(np.abs(grid_map)) > 0:
            return f"{title}: no change anywhere."
        up, down = peak_quadrant(grid_map), peak_quadrant(-grid_map)
        return f"{title}: attention rises most in the {up} and falls most in the {down}."
    share = quadrant_share(grid_map)
    return f"{title}: strongest in the {peak_quadrant(grid_map)}; that quarter holds {share:.0%} of the map."
