"""Two models of one batch held against each other image by image, condition by condition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from core.evaluation.paired_tests import holm
from core.explain.batch import BatchSettings
from core.explain.batch_summary import groups_of
from core.explain.paired_change import discordant_p, paired_change

Row = dict[str, Any]
OTHER_PATCHES = (
    "The two models cut the picture into other patches, so their shares are not of the same places: read the "
    "changes, not the shares."
)


def against_model(
    summaries: Sequence[Row], ours: Iterable[Row], theirs: Iterable[Row], settings: BatchSettings, name: str
) -> list[Row]:
    """The summaries of one model, each with `against_model`: this model minus the other on the same images.

    {model, n, share, change, right, p_holm, notes} or None where they share no image with a lesion under a condition.
    share: of the lesion's share of the attention on patches, with the margin's verdict. change: of what the condition
    changes in it, None for the plain one. right: {n, lost, won, p}, answers that this model gets wrong or right alone.
    p_holm: of `share`, over conditions. ours, theirs: rows of both models. name: of the other one.
    """
    mine, other = _by_key(ours), _by_key(theirs)
    found = [_against(mine.get(each["key"], {}), other.get(each["key"], {}), settings, name) for each in summaries]
    told = [each for each in found if each is not None]
    for each, corrected in zip(told, holm([each["share"]["p"] for each in told]) if told else [], strict=True):
        each["p_holm"] = corrected
    return [summary | {"against_model": each} for summary, each in zip(summaries, found, strict=True)]


def pair_sentence(summary: Row) -> str | None:
    """The comparison of one condition in a sentence, or None where there is none."""
    found = summary.get("against_model")
    if not found:
        return None
    share = found["share"]
    between = "range unknown" if share["low"] is None else f"{share['low']:+.4f} to {share['high']:+.4f}"
    right = found["right"]
    answers = f"; answers right here alone {right['won']:g}, there alone {right['lost']:g}" if right else ""
    return (
        f"{summary['title']}: {share['mean']:+.4f} of the lesion's share against '{found['model']}' ({between}), "
        f"{share['verdict'] or 'no verdict'}, {found['n']} images{answers}."
    )


def _by_key(rows: Iterable[Row]) -> dict[str, dict[str, Row]]:
    kept: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        if not row.get("left_out"):
            kept[row["key"]][row["image"]] = row
    return kept


def _against(mine: dict[str, Row], other: dict[str, Row], settings: BatchSettings, name: str) -> Row | None:
    pairs = [(row, other[image]) for image, row in mine.items() if image in other]
    lesions = [pair for pair in pairs if all(row["lesion_share"] is not None for row in pair)]
    if not lesions:
        return None

    def apart(measure: str, margin: float | None) -> Row:
        values = [first[measure] - second[measure] for first, second in lesions]
        return paired_change(values, groups_of([first for first, _ in lesions]), margin, settings.seed).as_dict()

    is_plain = lesions[0][0]["condition"] == "C0"
    alike = all(first["lesion_patches"] == second["lesion_patches"] for first, second in lesions)
    return {
        "model": name,
        "n": len(lesions),
        "share": apart("lesion_share", settings.margin),
        "change": None if is_plain else apart("difference", settings.margin),
        "right": _right(pairs),
        "notes": [] if alike else [OTHER_PATCHES],
    }


def _right(pairs: Sequence[tuple[Row, Row]]) -> Row | None:
    known = [pair for pair in pairs if all(row["right"] is not None for row in pair)]
    if not known:
        return None
    mine, other = ([float(pair[side]["right"]) for pair in known] for side in (0, 1))
    apart = [here - there for here, there in zip(mine, other, strict=True)]
    lost, won = -sum(a for a in apart if a < 0), sum(a for a in apart if a > 0)
    groups = groups_of([first for first, _ in known])
    return {"n": len(known), "lost": lost, "won": won, "p": discordant_p(other, mine, groups)}
