"""Facts of a study's images: where they come from, what was refused, how they were divided and drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.images.decode import FORMATS
from core.reporting.fact_words import (
    listed,
    number,
    sets_here,
    span,
)
from core.reporting.flow import data_flow, draws, flow_sentence
from core.reporting.study import Study, StudySet, amount_words

ARTEFACTS = "files of other formats, of several pages, damaged or too large are refused by name and never classified"


def _data_source(study: Study) -> str:
    return " ".join(
        f"{each.name} ({_role(each)}): {_source(each)}, fingerprint {each.fingerprint[:16]}." for each in study.sets
    )


def _refusal(study: Study) -> str:
    told = []
    for of, images in sets_here(study):
        refused = data_flow(images)["refused"]
        counts = ", ".join(f"{n} {reason}" for reason, n in refused.items()) or "none"
        told.append(f"{of}: files refused by reason: {counts}.")
    rules = (
        f"Files are read in the formats {', '.join(FORMATS)}; {ARTEFACTS}. Classes without training image are left out."
    )
    return " ".join([rules, *told]) if told else ""


def _subsets(study: Study) -> str:
    told = []
    for each in study.sets:
        for draw in draws(study, each.name):
            distinct = f", {draw['distinct_train']} different ones over all seeds" if draw["distinct_train"] else ""
            told.append(
                f"{each.name}, {draw['amount']}: {number(draw['train'])} training and {number(draw['validation'])} "
                f"validation images a seed{distinct}, seeds {listed(map(str, draw['seeds']))}, measured on "
                f"{number(draw['tested'])} images."
            )
    return " ".join(told)


def _missing(study: Study) -> str:
    told = []
    for of, images in sets_here(study):
        lone = sum(image.group is None for image in images.images)
        told.append(f"{of}: {lone} of {len(images.images)} usable images have no group (patient).")
    rule = "Every usable image has a label: files without one are refused. Nothing is imputed."
    return " ".join([rule, *told]) if told else ""


def _acquisition(study: Study) -> str:
    told = []
    for of, images in sets_here(study):
        sizes = [(image.width, image.height) for image in images.images if image.width]
        kind = images.modality or "kind of image not stated"
        if sizes:
            widths, heights = zip(*sizes, strict=True)
            told.append(f"{of}: {kind}; {span(widths)} pixels wide and {span(heights)} high.")
    return " ".join(told)


def _split(study: Study) -> str:
    told = []
    for of, images in sets_here(study):
        flow = data_flow(images)
        parts = ", ".join(f"{part['n']} {name}" for name, part in flow["parts"].items())
        held = [note for note in images.notes if "test part" in note or "held out" in note]
        how = " ".join(held) if held else "The parts are those that the images came with."
        told.append(f"{of}: {parts}. {how}")
    return " ".join(told)


def _disjoint(study: Study) -> str:
    told = []
    for of, images in sets_here(study):
        known = [image.group for image in images.images if image.group is not None]
        level = (
            f"groups (patients) are known for {len(known)} of {len(images.images)} images"
            if known
            else ("disjoint at the level of images; patients unknown")
        )
        told.append(f"{of}: {level}.")
    leaks = {group["leakage"]["sentence"] for group in study.groups if group.get("leakage")}
    return " ".join([*told, *sorted(leaks)])


def _internal(study: Study) -> str:
    names = [each.name for each in study.sets if not each.is_target]
    return f"Measured on the test part of the set that was trained on: {listed(names)}." if names else ""


def _external(study: Study) -> str:
    names = [each.name for each in study.sets if each.is_target]
    return f"Measured on other image sets as well, with nothing refitted: {listed(names)}." if names else ""


def _flow(study: Study) -> str:
    return " ".join(f"{of}: {flow_sentence(data_flow(images))}" for of, images in sets_here(study))


def _characteristics(study: Study) -> str:
    told = []
    for of, images in sets_here(study):
        for name, part in data_flow(images)["parts"].items():
            classes = ", ".join(f"{n} {label}" for label, n in part["classes"].items())
            told.append(f"{of}, {name}: {classes}.")
    return " ".join(told)


def _data_identity(study: Study) -> str:
    prints = "; ".join(f"{each.name} {each.fingerprint}" for each in study.sets)
    return f"SHA-256 fingerprints over every image, class, part and group: {prints}." if prints else ""


def _imbalance(study: Study) -> str:
    drawn = sorted({amount_words(run) for run in study.runs})
    shares = []
    for of, images in sets_here(study):
        test = data_flow(images)["parts"].get("test")
        if test:
            known = [n / test["n"] for n in test["classes"].values()]
            shares.append(f"{of} {100 * min(known):.0f} to {100 * max(known):.0f} %")
    if not shares:
        return ""
    return (
        f"Training draws: {listed(drawn)}; shots are the same number for each class. Balanced accuracy counts each "
        f"class alike. Shares of classes in the test part: {listed(shares)}."
    )


def _clusters(study: Study) -> str:
    known = [of for of, images in sets_here(study) if any(i.group is not None for i in images.images)]
    if not known:
        return ""
    return f"Groups (patients) of {listed(known)} are kept together in intervals; no site is recorded."


def _evaluation_shift(study: Study) -> str:
    told = []
    for of, images in sets_here(study):
        parts = data_flow(images)["parts"]
        shares = [f"{name} {_shares(part)}" for name, part in parts.items()]
        told.append(f"{of}: {'; '.join(shares)}.")
    return f"Shares of classes by part. {' '.join(told)}" if told else ""


def _shares(part: Mapping[str, Any]) -> str:
    return ", ".join(f"{label} {100 * n / part['n']:.0f} %" for label, n in part["classes"].items())


def _n_events(study: Study) -> str:
    return " ".join(filter(None, [_subsets(study), _characteristics(study)]))


def _role(each: StudySet) -> str:
    return "measured on only" if each.is_target else "trained and measured on"


def _source(each: StudySet) -> str:
    if each.images is None:
        return "deleted from this home since"
    kind = f"{each.images.modality}, " if each.images.modality else ""
    return f"{kind}{len(each.images.images):,} images, added by {each.source}"


FACTS_OF_IMAGES = {
    "data_source": _data_source,
    "refusal": _refusal,
    "subsets": _subsets,
    "missing": _missing,
    "acquisition": _acquisition,
    "split": _split,
    "disjoint": _disjoint,
    "internal": _internal,
    "external": _external,
    "flow": _flow,
    "characteristics": _characteristics,
    "data_identity": _data_identity,
    "imbalance": _imbalance,
    "clusters": _clusters,
    "evaluation_shift": _evaluation_shift,
    "n_events": _n_events,
}
"""Facts by the names that checklists give them."""
