"""Rows of an experiment: what its runs answered, read and put together, and kept for the next who asks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from app.services.context import Context
from app.services.kept_rows import keep_rows, read_rows, rows_key
from core.experiments.spec import ExperimentSpec, spec_from_record
from core.records import runs as run_records
from core.records.answer_columns import read_answers
from core.tuning.method_cards import baseline_method, simple_methods

if TYPE_CHECKING:
    from core.experiments.finished import Answers, Finished

MOST_ANSWERS = 3_000_000
"""Predictions read to put rows together."""
ROWS_KEPT = 8
MOST_KEPT = 4_000_000
"""Probabilities that are kept in memory, 8 bytes each."""
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
        rows = _put_together(ctx, session, spec, done)
        keep_rows(folder, key, rows)
    return rows


def _put_together(
    ctx: Context, session: Session, spec: ExperimentSpec, done: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    from core.experiments.rows import experiment_rows

    return experiment_rows(spec, finished_cells(ctx, session, done), baseline_method(), simple_methods())


def finished_cells(ctx: Context, session: Session, done: Sequence[Mapping[str, Any]]) -> list[Finished]:
    """Cells that are done, as `list_cells` gives them, with what their runs answered; without answers they fall out."""
    from core.experiments.finished import Finished

    parts_of = {cell["run"]: list(cell["parts"]) for cell in done}
    sealed = run_records.list_runs(session, run_ids=list(parts_of), limit=len(parts_of))
    known = {row["id"]: row for row in sealed}
    answers = _answers_of(ctx, session, parts_of)
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


_read: OrderedDict[tuple[str, str], dict[str, Answers]] = OrderedDict()
"""Answers of runs that were read last, so that a comparison that grows reads those of its new runs only."""


def _answers_of(ctx: Context, session: Session, parts_of: Mapping[str, list[str]]) -> dict[str, dict[str, Answers]]:
    """What runs answered, by part. parts_of: the order of each run's parts, as far as it is known."""
    from core.experiments.finished import answers_of_columns

    home = str(ctx.settings.database)
    found = {run: _read[home, run] for run in parts_of if (home, run) in _read}
    for run, parts in read_answers(session, [run for run in parts_of if run not in found]):
        order = [part for part in parts_of[run] or parts if part in parts]
        found[run] = {
            part: answers_of_columns(own.files, own.labels, own.stated, own.groups)
            for part in order
            for own in (parts[part],)
        }
    _read.update({(home, run): own for run, own in found.items()})
    size = sum(part.probabilities.size for own in _read.values() for part in own.values())
    while size > MOST_KEPT:
        _, oldest = _read.popitem(last=False)
        size -= sum(part.probabilities.size for part in oldest.values())
    return found
