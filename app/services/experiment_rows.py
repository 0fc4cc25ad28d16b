"""Rows of an experiment: what its runs answered, read and put together, and kept for the next who asks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from app.services.context import Context
from app.services.kept_rows import keep_rows, read_rows, rows_key
from core.experiments.spec import ExperimentSpec, spec_from_record
from core.records import experiments as records
from core.records import runs as run_records
from core.tuning.method_cards import baseline_method, simple_methods

if TYPE_CHECKING:
    from core.experiments.finished import Finished

MOST_ANSWERS = 3_000_000
"""Predictions read to put rows together."""
ROWS_KEPT = 8
_kept: OrderedDict[tuple[Any, ...], list[dict[str, Any]]] = OrderedDict()
"""Rows that were put together last, by the runs in them: finished runs do not change."""


def rows_of(
    ctx: Context, session: Session, found: Mapping[str, Any], cells: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of the cells that are done, and notes on what is missing. found: the experiment. cells: all of it."""
    done = [cell for cell in cells if cell["state"] == "done" and cell["run"]]
    if not done:
        return [], ["No cell is finished yet."]
    key = (str(ctx.settings.database), found["id"], tuple((cell["position"], cell["run"]) for cell in done))
    if key not in _kept:
        run_ids = [cell["run"] for cell in done]
        if run_records.count_predictions(session, run_ids) > MOST_ANSWERS:
            return [], [f"Rows are put together of at most {MOST_ANSWERS} answers; this experiment has more."]
        _kept[key] = _stored_rows(ctx, session, found, done)
        while len(_kept) > ROWS_KEPT:
            _kept.popitem(last=False)
    left = len(cells) - len(done)
    return _kept[key], [f"{left} of {len(cells)} cells are not finished: the rows are of the others."] if left else []


def _stored_rows(
    ctx: Context, session: Session, found: Mapping[str, Any], done: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The rows as an earlier process kept them, else put together now."""
    folder = ctx.settings.experiments_dir / found["id"]
    spec = spec_from_record(found["spec"])
    key = rows_key(spec.hash, [(cell["position"], cell["run"]) for cell in done])
    rows = read_rows(folder, key)
    if rows is None:
        rows = _put_together(session, spec, done)
        keep_rows(folder, key, rows)
    return rows


def _put_together(session: Session, spec: ExperimentSpec, done: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    from core.experiments.rows import experiment_rows

    return experiment_rows(spec, finished_cells(session, done), baseline_method(), simple_methods())


def finished_cells(session: Session, done: Sequence[Mapping[str, Any]]) -> list[Finished]:
    """Cells that are done, as `list_cells` gives them, with what their runs answered; without answers they fall out."""
    from core.experiments.finished import Answers, Finished, answers_of_columns

    run_ids = list(dict.fromkeys(cell["run"] for cell in done))
    sealed = run_records.list_runs(session, run_ids=run_ids, in_full=True, limit=len(run_ids))
    known = {row["id"]: row for row in sealed}
    answers: dict[str, dict[str, Answers]] = {}
    for run_id, parts in records.read_answers(session, run_ids):
        order = [part for part in known[run_id]["parts"] or parts if part in parts]
        answers[run_id] = {
            part: answers_of_columns(own.files, own.labels, own.probabilities, own.groups)
            for part in order
            for own in (parts[part],)
        }
    return [
        Finished(
            cell["image_set"],
            cell["line"],
            cell["method"],
            cell["shots"],
            cell["share"],
            cell["seed"],
            cell["descriptions"],
            known[cell["run"]],
            answers[cell["run"]],
        )
        for cell in done
        if answers.get(cell["run"])
    ]
