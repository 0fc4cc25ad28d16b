"""Ranks of the lines of an experiment over its image sets, each of which counts once, and why there are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from core.evaluation.over_sets import LEAST_SETS, RankTest, rank_test, wilcoxon_pairs
from core.evaluation.pseudo_values import LOWER_IS_BETTER

Row = Mapping[str, Any]


def rank_tests(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """What ranks say at each number of training images.

    rows: of `core.experiments.rows`. Returns {shots, share, n_sets, image_sets, lines: [{line, mean_rank, low, high,
    best, worst}], p, critical_difference, sentence, pairs: [{first, second, mean, p, p_holm}], pairs_sentence}. low,
    high: the mean rank less and plus half of Nemenyi's critical difference; lines whose ranges do not touch are
    different. best, worst: ranks a line can have by that. Below five sets p and ranges are None, and the sentence says
    why; pairs are tested from six sets on.
    """
    amounts = dict.fromkeys((row["shots"], row["share"]) for row in rows)
    return [
        {"shots": shots, "share": share, **_at([row for row in rows if (row["shots"], row["share"]) == (shots, share)])}
        for shots, share in amounts
    ]


def _at(rows: Sequence[Row]) -> dict[str, Any]:
    means = [row for row in rows if row["image_set"] is None]
    if len(means) < 2:
        return _nothing(rows)
    sets = means[0]["image_sets"]
    own = {(row["line"], row["image_set"]): row["mean"] for row in rows}
    scores = {row["line"]: [own[row["line"], at] for at in sets] for row in means}
    metric = means[0]["metric"]
    found = rank_test(scores, lower_is_better=metric in LOWER_IS_BETTER)
    pairs = wilcoxon_pairs(scores)
    return {
        "n_sets": found.n_sets,
        "image_sets": list(sets),
        "lines": _lines(found),
        "p": found.p,
        "critical_difference": found.critical_difference,
        "sentence": _sentence(found),
        "pairs": [asdict(pair) for pair in pairs.pairs],
        "pairs_sentence": pairs.refusal,
    }


def _nothing(rows: Sequence[Row]) -> dict[str, Any]:
    sets = list(dict.fromkeys(row["image_set"] for row in rows if row["image_set"] is not None))
    if len({row["line"] for row in rows}) < 2:
        why = "There is one line: ranks need two."
    elif len(sets) < LEAST_SETS:
        why = f"{len(sets)} data set{'' if len(sets) == 1 else 's'}: ranks are tested from {LEAST_SETS} on."
    else:
        why = "Fewer than two data sets have all seeds of every line: ranks are of sets that are complete."
    nothing: dict[str, Any] = {
        "p": None,
        "critical_difference": None,
        "sentence": why,
        "pairs": [],
        "pairs_sentence": "",
    }
    return {"n_sets": len(sets), "image_sets": sets, "lines": [], **nothing}


def _lines(found: RankTest) -> list[dict[str, Any]]:
    """Mean ranks, the best first, with what they can be."""
    apart, ranks = found.critical_difference, found.mean_ranks
    told = []
    for line, mean in sorted(ranks.items(), key=lambda each: each[1]):
        range_: dict[str, Any] = dict.fromkeys(("low", "high", "best", "worst"))
        if apart is not None:
            range_ = {
                "low": mean - apart / 2,
                "high": mean + apart / 2,
                "best": 1 + sum(other < mean - apart for other in ranks.values()),
                "worst": len(ranks) - sum(other > mean + apart for other in ranks.values()),
            }
        told.append({"line": line, "mean_rank": mean, **range_})
    return told


def _sentence(found: RankTest) -> str:
    if found.p is None or found.critical_difference is None:
        return found.refusal
    p = "below 0.001" if found.p < 0.001 else f"{found.p:.3f}"
    which = "differ" if found.p < 0.05 else "are not shown to differ"
    return (
        f"Over {found.n_sets} data sets the ranks {which}: p {p} (Friedman's test in Iman and Davenport's form). Mean "
        f"ranks are different if they are more than {found.critical_difference:.2f} apart (Nemenyi)."
    )
