"""The rows of a comparison: finished cells of one line put together, with what may be said of them.

A row is one line (method, options, wording) at one number of shots on one image set: its mean over seeds, the interval
over new draws and new patients, and the paired difference to the line it is held against. Sources of the procedures are
in `core.evaluation`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from core.evaluation.pairwise import Matrix, pairwise_matrix
from core.evaluation.pseudo_values import LOWER_IS_BETTER, Measured
from core.experiments.finished import Finished, Key, Line, line_of, names_of, ranked_values
from core.experiments.row_values import (
    BASELINE,
    BEST_SIMPLE,
    costs_of,
    deviations_of,
    difference_of,
    floor_of,
    head_of,
    honesty_of,
    means_of,
    notes_of,
    parts_of,
    rank_of,
    reference_of,
    spread_of,
)
from core.experiments.set_rows import complete_sets, mean_matrix, rows_over_sets
from core.experiments.spec import ExperimentSpec


def experiment_rows(
    spec: ExperimentSpec, cells: Sequence[Finished], baseline: str, simple: Sequence[str]
) -> list[dict[str, Any]]:
    """All rows: of each image set, and of the mean over sets where there are several.

    baseline: the method that learns nothing. simple: methods that a better one has to beat as well.
    """
    by_place: dict[Key, dict[tuple[Any, ...], list[Finished]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        by_place[cell.place][cell.row].append(cell)
    rows: list[dict[str, Any]] = []
    measured: dict[Key, dict[str, Line]] = {}
    for place, lines in by_place.items():
        named = names_of(lines)
        found = {named[key]: line_of(spec, own, baseline) for key, own in lines.items()}
        measured[place] = found
        rows += _ranked(spec, place, found, baseline, simple)
    return [*rows, *rows_over_sets(spec, measured, baseline)]


def _ranked(
    spec: ExperimentSpec, place: Key, lines: Mapping[str, Line], baseline: str, simple: Sequence[str]
) -> list[dict[str, Any]]:
    """The rows of one place, compared with each other."""
    matrix = _matrix(spec, {name: line.main for name, line in lines.items() if line.main is not None})
    reference = reference_of(spec, lines, baseline)
    best_simple = _best(spec, lines, simple)
    floor = next((name for name, line in lines.items() if line.cells[0].method == baseline), None)
    rows = []
    for name, line in lines.items():
        row: dict[str, Any] = {"image_set": place[0], **head_of(spec, line, name)}
        row["runs"] = [cell.record.get("id") for cell in line.cells]
        row |= spread_of(line.found)
        row |= {
            "difference": difference_of(matrix, name, reference),
            "beats": _beats(matrix, name, floor, best_simple, reference),
        }
        row |= {
            "values": ranked_values(line),
            "role": _role(line.cells[0], name, baseline, best_simple),
            "rank": rank_of(matrix, name),
        }
        row |= {
            "metrics": means_of(line.cells),
            "deviations": deviations_of(line.cells),
            "parts": parts_of(line, len(spec.target_images)),
            **costs_of(line.cells),
            **floor_of(line.cells[0]),
        }
        row |= honesty_of(line.cells)
        rows.append(row | {"notes": notes_of(line, matrix, name, reference)})
    return rows


def _matrix(spec: ExperimentSpec, measured: Mapping[str, Measured]) -> Matrix | None:
    """All pairs of a place."""
    if len(measured) < 2:
        return None
    # what holds for the trained models alone enters no row, and takes most of the time
    return pairwise_matrix(measured, spec.compare_to if spec.compare_to in measured else None, test_models=False)


def comparison_matrix(spec: ExperimentSpec, cells: Sequence[Finished], baseline: str) -> Matrix | None:
    """The pairwise matrix of cells at one number of shots: of one image set, or of the mean over several.

    None where there is nothing to compare.
    """
    by_set: dict[str, dict[tuple[Any, ...], list[Finished]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        by_set[cell.image_set][cell.row].append(cell)
    sets = {}
    for name, lines in by_set.items():
        named = names_of(lines)
        sets[name] = {named[key]: line_of(spec, own, baseline) for key, own in lines.items()}
    if len(sets) > 1:
        return mean_matrix(spec, sets, complete_sets(sets))
    lone = next(iter(sets.values()), {})
    return _matrix(spec, {name: line.main for name, line in lone.items() if line.main is not None})


def _role(first: Finished, name: str, baseline: str, best_simple: str | None) -> str | None:
    """Which of the two lines that others have to beat this is, if any."""
    if first.method == baseline:
        return BASELINE
    return BEST_SIMPLE if name == best_simple else None


def _best(spec: ExperimentSpec, lines: Mapping[str, Line], methods: Sequence[str]) -> str | None:
    known = {name: line.main.mean for name, line in lines.items() if line.main and line.cells[0].method in methods}
    best = min if spec.metric in LOWER_IS_BETTER else max
    return best(known, key=lambda name: known[name]) if known else None


def _beats(
    matrix: Matrix | None, name: str, floor: str | None, best_simple: str | None, reference: str | None
) -> bool | None:
    """Whether the paired intervals to the baseline, the best simple method and the reference all lie above zero.

    None for the baseline itself, and where it or every simple method is missing: then nothing is called better.
    """
    if matrix is None or floor is None or best_simple is None or name == floor or name not in matrix.methods:
        return None
    others = {floor, best_simple, reference} - {name, None}
    pairs = [matrix.cell(name, other) for other in others if other in matrix.methods]
    side = -1 if matrix.lower_is_better else 1
    ends = [pair.low if side > 0 else pair.high for pair in pairs]
    return all(end is not None and side * end > 0 for end in ends)
