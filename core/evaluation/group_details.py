"""What a report says of a group of rows beyond the leaderboard: all pairs, each class, and the best simple method."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from core.evaluation.pairwise import pairwise_matrix
from core.evaluation.run_answers import MeasuredRuns, RunAnswers

Row = Mapping[str, Any]


def details(rows: Sequence[Row], measured: MeasuredRuns | None, simple: Collection[str]) -> dict[str, Any]:
    """{best_simple, matrix, per_class} of the rows of a group, which are named by `row_name`.

    measured: None where what runs said of single images was not looked up; then only best_simple is known. matrix: of
    `Matrix.as_dict`, in balanced accuracy; None with fewer than two rows to compare. per_class: rows of {row, class, n,
    recall, precision}, means of the row's seeds; precision is None where the class was never named. simple: methods
    that learn, but take no steps.
    """
    known = [row for row in rows if row["mean"] is not None]
    simple_rows = [row for row in known if row["method"] in simple]
    best = max(simple_rows, key=lambda row: row["mean"], default=None)
    found: dict[str, Any] = {"best_simple": best and row_name(best), "matrix": None, "per_class": []}
    if measured is None:
        return found
    looked_up = [row for row in known if all(run_id in measured.answers for run_id in row["run_ids"])]
    found["per_class"] = [each for row in looked_up for each in _classes(row, measured)]
    # answers to other images cannot be put into one table of seeds
    alike = [row for row in looked_up if len({measured.answers[at].images for at in row["run_ids"]}) == 1]
    names = [row_name(row) for row in alike]
    if len(alike) > 1 and len(set(names)) == len(names):
        sides = {row_name(row): _side(row, measured) for row in alike}
        found["matrix"] = pairwise_matrix(sides, test_models=False).as_dict()
    return found


def row_name(row: Row) -> str:
    """A row's title with what sets it apart from other rows of its method."""
    return f"{row['method_title']} ({row['differs']})" if row["differs"] else str(row["method_title"])


def _side(row: Row, measured: MeasuredRuns) -> Any:
    """A row as it is paired: by its seeds; what nothing is drawn for stands for each seed of another row."""
    steady = row["measurements"] == 1 and (row["is_baseline"] or row["n_seeds"] > 1)
    runs = row["run_ids"][-1:] if steady else row["run_ids"]
    seeds = tuple(row["seeds"][-1:] if steady else row["seeds"])
    return replace(measured.of(runs), seeds=seeds, drawn=not steady)


def _classes(row: Row, measured: MeasuredRuns) -> list[dict[str, Any]]:
    runs = [measured.answers[run_id] for run_id in row["run_ids"]]
    classes = sorted({runs[0].classes[at] for at in np.unique(runs[0].labels)})
    return [{"row": row_name(row), "class": name, **_numbers(runs, name)} for name in classes]


def _numbers(runs: Sequence[RunAnswers], name: str) -> dict[str, Any]:
    of_class = [run.labels == run.classes.index(name) for run in runs]
    named = [run.predicted == run.classes.index(name) for run in runs]
    right = [int((true & told).sum()) for true, told in zip(of_class, named, strict=True)]
    precise = [hits / told.sum() for hits, told in zip(right, named, strict=True) if told.any()]
    return {
        "n": int(of_class[0].sum()),
        "recall": float(np.mean([hits / true.sum() for hits, true in zip(right, of_class, strict=True)])),
        "precision": float(np.mean(precise)) if precise else None,
    }
