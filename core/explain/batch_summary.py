"""What the rows of a batch say: one summary a condition, and one sentence on zero vectors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from core.evaluation.paired_tests import holm
from core.explain.batch import BatchSettings, key_of
from core.explain.conditions import CONDITIONS
from core.explain.paired_change import CHANGE, NO_CHANGE, PairedChange, discordant_p, paired_change

PAIRS = (("C1", "C4"), ("C1", "C5"), ("C2", "C6"))
"""Held against each other directly; the first pair of all, C1 against C0, is the primary question."""
SECONDARY_TO_PLAIN = ("C1v", "C1b")
MEANS = (
    "lesion_share",
    "background_share",
    "raw_lesion_share",
    "written_share",
    "enrichment",
    "vectors_share",
    "class_token_share",
    "patches_share",
    "entropy",
    "effective_patches",
    "answer_changed",
)
NO_GROUPS = "Nothing tells which images are of one patient: if some are, the ranges are too narrow."
NO_MASKS = "No image has a lesion mask in view, so nothing is said of lesions."

Row = dict[str, Any]


def summarise(
    rows: Iterable[Row], settings: BatchSettings, absent: dict[str, str] | None = None, *, by_group: bool = True
) -> list[Row]:
    """One summary a condition, in the order of the rows; conditions that do not exist follow with the reason.

    by_group: whether images of one group (a patient) are drawn together; otherwise each stands for itself.
    difference, low, high, p: the lesion's share of the attention on patches, against nothing added, on the same cells.
    n: images with a lesion; n_images: all. Only images with a lesion count in lesion measures and hits.
    """
    kept, left_out = _by_key(rows if by_group else ({**row, "group": None} for row in rows))
    plain = {row["image"]: row for row in kept.get(key_of("C0", 0), [])}
    summaries = [_summary(found, plain, settings) for found in kept.values()]
    by_key = {summary["key"]: summary for summary in summaries}
    _compare(by_key, kept, settings)
    for k in settings.vectors:
        primary = by_key.get(key_of("C1", k))
        if primary is not None:
            primary["sentence"] = answer(primary, by_key.get(key_of("C4", k)), settings.margin)
    for summary in summaries:
        summary |= {"left_out": len(left_out), "margin": settings.margin}
    return summaries + [_absent(key, why) for key, why in (absent or {}).items() if not key.startswith("own")]


def _by_key(rows: Iterable[Row]) -> tuple[dict[str, list[Row]], list[Row]]:
    kept: dict[str, list[Row]] = defaultdict(list)
    left_out = []
    for row in rows:
        if row.get("left_out"):
            left_out.append(row)
        else:
            kept[row["key"]].append(row)
    return kept, left_out


def _absent(key: str, why: str) -> Row:
    id, k = key.rsplit(":", 1)
    names = ("groups", "lesion_share", "background_share", "difference", "low", "high", "p", "hit_rate")
    title = CONDITIONS[id].title_for(int(k)) if id in CONDITIONS else id
    row: Row = {"condition": id, "vectors": int(k), "key": key, "title": title, "exists": False, "n": 0}
    return row | dict.fromkeys((*names, "answer_changed")) | {"reason": why}


def _summary(found: Sequence[Row], plain: dict[str, Row], settings: BatchSettings) -> Row:
    first, lesions = found[0], [row for row in found if row["lesion_share"] is not None]
    groups = groups_of(lesions)
    row: Row = {name: first[name] for name in ("condition", "vectors", "key", "title")}
    row |= {"exists": True, "n": len(lesions), "n_images": len(found)}
    row |= {"groups": None if groups is None else len(set(groups)), "draws": first["draws"]}
    row |= {name: _mean(found, name) for name in MEANS}
    row |= {"hit_rate": _mean(lesions, "hit"), "hit_half_rate": _mean(lesions, "hit_half")}
    row |= {"hit_chance": _mean(lesions, "hit_chance"), "accuracy": _mean(found, "right")}
    is_plain = first["condition"] == "C0"
    row |= _difference(lesions, groups, settings, is_plain)
    row |= _turned(lesions, plain, groups)
    row["log_odds_change"] = None if is_plain else _range_of(found, "log_odds_change", settings)
    row["notes"] = [NO_MASKS] if not lesions else [NO_GROUPS] if groups is None else []
    return row


def _difference(lesions: Sequence[Row], groups: Sequence[str] | None, settings: BatchSettings, is_plain: bool) -> Row:
    """The change of the lesion's share, of its two parts and of the raw share."""
    if is_plain or not lesions:
        names = ("difference", "low", "high", "p", "verdict", "interval", "rising", "units_term", "within_term")
        return dict.fromkeys((*names, "raw_difference", "raw_low", "raw_high", "difference_sd"))
    change = paired_change([row["difference"] for row in lesions], groups, settings.margin, settings.seed)
    raw = paired_change([row["raw_difference"] for row in lesions], groups, None, settings.seed)
    return {
        "difference": change.mean,
        "low": change.low,
        "high": change.high,
        "p": change.p,
        "verdict": change.verdict,
        "interval": change.interval,
        "rising": change.rising,
        "units_term": _mean(lesions, "units_term"),
        "within_term": _mean(lesions, "within_term"),
        "raw_difference": raw.mean,
        "raw_low": raw.low,
        "raw_high": raw.high,
        "difference_sd": _mean(lesions, "difference_sd"),
    }


def _turned(lesions: Sequence[Row], plain: dict[str, Row], groups: Sequence[str] | None) -> Row:
    """Pointing hits that the condition loses and wins; exact McNemar."""
    if not lesions or any(row["image"] not in plain for row in lesions):
        return dict.fromkeys(("hits_lost", "hits_won", "hit_p"))
    before, after = [plain[row["image"]]["hit"] for row in lesions], [row["hit"] for row in lesions]
    apart = np.asarray(after) - np.asarray(before)
    return {
        "hits_lost": float(abs(apart[apart < 0].sum())),
        "hits_won": float(apart[apart > 0].sum()),
        "hit_p": discordant_p(before, after, groups),
    }


def _compare(by_key: dict[str, Row], kept: dict[str, list[Row]], settings: BatchSettings) -> None:
    """Adds `against` (conditions held against each other) and p corrected by Holm over all secondary questions."""
    asked: list[Row] = []
    for k in settings.vectors:
        for first, second in PAIRS:
            ours, theirs = kept.get(key_of(first, k)), kept.get(key_of(second, k))
            found = _against(ours, theirs, settings) if ours and theirs else None
            if found is not None:
                entry = {"condition": second, "vectors": k, **found.as_dict()}
                by_key[key_of(first, k)].setdefault("against", []).append(entry)
                asked.append(entry)
        for id in SECONDARY_TO_PLAIN:
            summary = by_key.get(key_of(id, k))
            if summary is not None and summary["p"] is not None:
                asked.append(summary)
    for entry, corrected in zip(asked, holm([entry["p"] for entry in asked]) if asked else [], strict=True):
        entry["p_holm"] = corrected


def _against(ours: Sequence[Row], theirs: Sequence[Row], settings: BatchSettings) -> PairedChange | None:
    """Both differences to nothing added, one minus the other, image by image."""
    other = {row["image"]: row["difference"] for row in theirs if row["difference"] is not None}
    pairs = [row for row in ours if row["difference"] is not None and row["image"] in other]
    if not pairs:
        return None
    apart = [row["difference"] - other[row["image"]] for row in pairs]
    return paired_change(apart, groups_of(pairs), settings.margin, settings.seed)


def answer(primary: Row, random: Row | None, margin: float) -> str:
    """Whether inserting zero vectors moves attention from background to lesion on these images, in one sentence."""
    if primary["difference"] is None:
        return "Whether zero vectors move attention from background to lesion cannot be said without lesion masks."
    k, n = primary["vectors"], primary["n"]
    units = f"{primary['groups']} groups" if primary["groups"] else "by image"
    zeros = f"{k} zero vector" + ("" if k == 1 else "s")
    size = f"by {_signed(primary, 'difference', 'low', 'high')}"
    raw = f"the raw share changes by {_signed(primary, 'raw_difference', 'raw_low', 'raw_high')}"
    said = f"inserting {zeros} changes the lesion's share of the attention on patches {size} ({n} images, {units})"
    drawn = f"the vectors draw {primary['vectors_share']:.1%} and {raw}"
    verdict = primary["verdict"]
    if verdict == NO_CHANGE:
        text = f"No, zero vectors do not move attention from background to lesion here: {said}, within the margin of "
        text += f"{margin:g} set beforehand; {drawn}"
    elif verdict == CHANGE and primary["difference"] > 0:
        text = f"Yes, zero vectors move attention from background to lesion here: {said}, beyond the margin of "
        text += f"{margin:g} set beforehand; {drawn}"
    elif verdict == CHANGE:
        text = f"No, zero vectors move attention from lesion to background here: {said}, beyond the margin of "
        text += f"{margin:g} set beforehand; {drawn}"
    else:
        text = f"Undecided whether zero vectors move attention from background to lesion here: {said}, which neither "
        text += f"stays within nor lies beyond the margin of {margin:g} set beforehand; {drawn}"
    if random is not None and random["difference"] is not None:
        text += f"; random vectors change it by {_signed(random, 'difference', 'low', 'high')}"
        if verdict == CHANGE and primary["difference"] > 0 and random["difference"] >= primary["difference"]:
            text += ", at least as much, so the change is not the zeros' own"
    return f"{text}."


def _signed(row: Row, mean: str, low: str, high: str) -> str:
    if row[low] is None or row[high] is None:
        return f"{row[mean]:+.4f} (range unknown)"
    return f"{row[mean]:+.4f} [{row[low]:+.4f}, {row[high]:+.4f}]"


def _range_of(rows: Sequence[Row], name: str, settings: BatchSettings) -> Row | None:
    found = [row for row in rows if row[name] is not None]
    if not found:
        return None
    return paired_change([row[name] for row in found], groups_of(found), None, settings.seed).as_dict()


def groups_of(rows: Sequence[Row]) -> list[str] | None:
    """A group an image, None where nothing tells groups; an image without one stands for itself."""
    if not any(row["group"] for row in rows):
        return None
    return [row["group"] or f"image {row['image']}" for row in rows]


def _mean(rows: Sequence[Row], name: str) -> float | None:
    values = [row[name] for row in rows if row[name] is not None]
    return float(np.mean(values)) if values else None
