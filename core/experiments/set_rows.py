"""Rows of the mean over image sets, of those on which every line is complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.evaluation.harmonic_mean import H1, harmonic_means_over_sets
from core.evaluation.over_sets import RankTest, rank_test
from core.evaluation.pairwise import Matrix, pairwise_matrix
from core.evaluation.pseudo_values import LOWER_IS_BETTER
from core.evaluation.two_part import mean_over_sets, of_measured
from core.experiments.finished import Key, Line
from core.experiments.protocols import BASE, NOVEL
from core.experiments.row_values import (
    BASELINE,
    costs_of,
    deviations_of,
    difference_of,
    head_of,
    honesty_of,
    means_of,
    rank_of,
    reference_of,
    spread_of,
)
from core.experiments.spec import ExperimentSpec


def rows_over_sets(
    spec: ExperimentSpec, measured: Mapping[Key, Mapping[str, Line]], baseline: str
) -> list[dict[str, Any]]:
    """Rows of the mean over image sets, at each number of shots, of sets on which every line has all its seeds."""
    amounts = dict.fromkeys((shots, share) for _, shots, share in measured)
    rows = []
    for shots, share in amounts:
        sets = {place[0]: lines for place, lines in measured.items() if place[1:] == (shots, share)}
        if len(sets) < 2:
            continue
        rows += _mean_rows(spec, sets, baseline)
    return rows


def complete_sets(sets: Mapping[str, Mapping[str, Line]]) -> list[str]:
    """Image sets on which every line has as many seeds as it has anywhere."""
    # a line that can be measured nowhere, such as a head among novel classes, takes no set from the others
    names = list(dict.fromkeys(name for lines in sets.values() for name, line in lines.items() if line.main))
    if not names:
        return []
    seeds = {name: max(len(lines[name].cells) for lines in sets.values() if name in lines) for name in names}
    return [
        at
        for at, lines in sets.items()
        if all(name in lines and lines[name].main and len(lines[name].cells) == seeds[name] for name in names)
    ]


def mean_matrix(spec: ExperimentSpec, sets: Mapping[str, Mapping[str, Line]], whole: Sequence[str]) -> Matrix | None:
    """All pairs of lines over complete image sets; None where there is nothing to compare."""
    names = list(dict.fromkeys(name for at in whole for name, line in sets[at].items() if line.main))
    if len(names) < 2 or len(whole) < 2:
        return None
    known = {name: {at: each for at in whole if (each := sets[at][name].main) is not None} for name in names}
    return pairwise_matrix(known, spec.compare_to if spec.compare_to in known else None, test_models=False)


def _mean_rows(spec: ExperimentSpec, sets: Mapping[str, Mapping[str, Line]], baseline: str) -> list[dict[str, Any]]:
    whole = complete_sets(sets)
    if len(whole) < 2:
        return []
    # a line that can be measured nowhere, such as a head among novel classes, takes no set from the others
    names = list(dict.fromkeys(name for lines in sets.values() for name, line in lines.items() if line.main))
    if not names:
        return []
    matrix = mean_matrix(spec, sets, whole)
    reference = reference_of(spec, sets[whole[0]], baseline)
    left = [at for at in sets if at not in whole]
    scores = {name: [_score(sets[at][name]) for at in whole] for name in names}
    ranks = rank_test(scores, lower_is_better=spec.metric in LOWER_IS_BETTER) if len(names) > 1 else None
    rows = []
    for name in names:
        lines = [sets[at][name] for at in whole]
        parts: dict[str, Any] = {}
        if spec.protocol == "base-to-novel":
            halves = [(line.parts[BASE], line.parts[NOVEL]) for line in lines]
            means = harmonic_means_over_sets(halves)
            parts = {which: spread_of(each) for which, each in means.items()}
            for at, half in enumerate((BASE, NOVEL)):
                parts[half] = spread_of(mean_over_sets([of_measured(pair[at]) for pair in halves]))
            found = means[H1]
        else:
            found = mean_over_sets([line.found for line in lines if line.found is not None])
        rows.append(
            {
                "image_set": None,
                "image_sets": whole,
                **head_of(spec, lines[0], name),
                "runs": [],
                **spread_of(found),
                "mean_rank": ranks.mean_ranks[name] if ranks else None,
                "difference": difference_of(matrix, name, reference),
                "beats": None,
                "values": [],
                "role": BASELINE if lines[0].cells[0].method == baseline else None,
                "rank": rank_of(matrix, name),
                "metrics": means_of([cell for line in lines for cell in line.cells]),
                "deviations": deviations_of([cell for line in lines for cell in line.cells]),
                "parts": parts,
                **costs_of([cell for line in lines for cell in line.cells]),
                **honesty_of([cell for line in lines for cell in line.cells]),
                "notes": [
                    f"Unweighted mean over {len(whole)} image sets; says nothing about a further one.",
                    *([_rank_sentence(ranks)] if ranks else []),
                    *([f"Left out, since not every line is complete there: {', '.join(left)}."] if left else []),
                ],
            }
        )
    return rows


def _score(line: Line) -> float:
    """What a line is ranked by on one set."""
    assert line.found is not None, "only sets on which every line was measured are averaged"
    return line.found.mean


def _rank_sentence(ranks: RankTest) -> str:
    """What the ranks over image sets say, or why nothing is tested."""
    if ranks.refusal:
        return ranks.refusal
    return (
        f"Ranks over {ranks.n_sets} image sets differ with p = {ranks.p:.2g} (Friedman, Iman and Davenport); mean "
        f"ranks that differ by more than {ranks.critical_difference:.2f} are different (Nemenyi)."
    )
