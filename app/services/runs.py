"""Runs: what trainings gave, and an honest comparison of them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from app.services import contents
from app.services.context import ACTOR, Context
from app.services.image_sets import ALL
from app.services.published_beside import put_beside_comparison
from core.evaluation.comparison import compare_runs
from core.evaluation.run_answers import RunAnswers, run_answers
from core.records import audit, image_sets
from core.records import runs as records
from core.records.answer_columns import AnswerColumns, read_answers
from core.tuning.method_cards import method_title, simple_methods

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

MOST_ANSWERS = 400_000
"""Predictions read to test what is said of one group of runs, and kept from one comparison to the next."""
COMPARED = ("confusion", "request", "parts")
"""Of the details of a run, those that a comparison looks at."""
_keeping = threading.Lock()


def list_runs(ctx: Context, image_set_id: str | None = None, limit: int = ALL, offset: int = 0) -> list[dict[str, Any]]:
    """Runs in short, newest first; all, or those on one image set (id or name). Raises NotFound for the set."""
    with ctx.db.reading() as session:
        found = _set_id(session, image_set_id)
        return _titled(records.list_runs(session, found, limit=limit, offset=offset))


def count_runs(ctx: Context, image_set_id: str | None = None) -> int:
    """How many runs `list_runs` has over all pages."""
    with ctx.db.reading() as session:
        return records.count_runs(session, _set_id(session, image_set_id))


def list_epoch_metrics(ctx: Context, id: str, limit: int = ALL, offset: int = 0) -> list[dict[str, Any]]:
    """What a run's epochs measured, in order. Raises NotFound."""
    with ctx.db.reading() as session:
        return records.epoch_metrics(session, records.find_run(session, str(id)).id, limit, offset)


def count_epochs(ctx: Context, id: str) -> int:
    """How many epochs `list_epoch_metrics` has over all pages."""
    with ctx.db.reading() as session:
        return records.count_epochs(session, str(id))


def delete_run(ctx: Context, id: str) -> dict[str, Any]:
    """Delete a run with its numbers, its model, its explanations and its job. Raises NotFound, Conflict while it runs.

    Classifications by its model stay, under the model's name.
    """
    run = get_run(ctx, id)

    def work(session: Session) -> list[str]:
        paths = records.delete_run(session, run["id"])
        audit.add_audit_entry(session, ACTOR, "delete", "run", run["id"])
        return paths

    contents.remove(ctx, work)
    if run["model_id"]:
        ctx.classifiers.forget(run["model_id"])
    return {"deleted": run["id"]}


def _set_id(session: Session, id_or_name: str | None) -> str | None:
    return None if id_or_name is None else image_sets.find_image_set(session, str(id_or_name)).id


def full_runs(ctx: Context, run_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Runs with everything but their epochs, in this order. Raises NotFound."""
    return _named(ctx, run_ids, records.DETAILS)


def get_run(ctx: Context, id: str) -> dict[str, Any]:
    """One run with its epoch metrics. Raises NotFound."""
    with ctx.db.reading() as session:
        return _titled([records.run_dict(session, str(id))])[0]


def compare(
    ctx: Context,
    image_set_id: str | None = None,
    run_ids: Sequence[str] | None = None,
    tested: bool = True,
    detailed: bool = False,
) -> dict[str, Any]:
    """Runs in groups of like with like: {groups: [{image_set, fingerprint, backbone, shots, rows}], notes, tested}.

    Each row has the `published` numbers that stand beside it, see `core.evaluation.published_beside`.
    Of all runs, those of one image set, or the given ones. tested: False leaves out what needs the answers to single
    images (intervals over patients, the verdict, published numbers), which takes longest where runs are many. detailed:
    True adds `details` to each group, all pairs and each class. Raises NotFound.
    """
    chosen = _named(ctx, run_ids) if run_ids else _on(ctx, image_set_id)
    look_up = (lambda run_ids: answers_of_runs(ctx, run_ids)) if tested else None
    found = compare_runs(chosen, look_up, simple_methods() if detailed else None) | {"tested": tested}
    # Beside the rows, not among what they are grouped by: it changes when somebody saves another version.
    versions = {run["id"]: run["description_version"] for run in chosen}
    for row in (row for group in found["groups"] for row in group["rows"]):
        row["description_version"] = versions.get(next(iter(row.get("run_ids") or ()), None))
    return found if look_up is None else put_beside_comparison(ctx, found, chosen, look_up)


_kept: OrderedDict[tuple[str, str], RunAnswers] = OrderedDict()
"""Answers read last, by database and run: those of finished runs do not change."""


def answers_of_runs(ctx: Context, run_ids: Sequence[str]) -> Mapping[str, RunAnswers] | None:
    """What runs said of each test image; None where that would be too much for one page."""
    place = str(ctx.settings.database)
    known = {run_id: own for run_id in run_ids if (own := _kept.get((place, run_id)))}
    missing = [run_id for run_id in run_ids if run_id not in known]
    with ctx.db.reading() as session:
        unread = records.count_predictions(session, missing) if missing else 0
        if unread + sum(len(own.images) for own in known.values()) > MOST_ANSWERS:
            return None
        answers = read_answers(session, missing, records.RANKED_PARTS)
        read = {run_id: _in_order(next(iter(parts.values()))) for run_id, parts in answers if parts}
    found = {run_id: told for run_id in run_ids if (told := read.get(run_id) or known.get(run_id))}
    _keep({(place, run_id): own for run_id, own in read.items()})
    return found


def _in_order(own: AnswerColumns) -> RunAnswers:
    return run_answers(own.files, _units(own.files, own.groups), own.labels, own.predicted, own.stated)


@lru_cache(maxsize=64)
def _units(files: tuple[str, ...], groups: tuple[str | None, ...]) -> tuple[str, ...]:
    """What each image belongs to; units of two kinds never share a name."""
    return tuple(
        f"image {file}" if group is None else f"group {group}" for file, group in zip(files, groups, strict=True)
    )


def _keep(read: Mapping[tuple[str, str], RunAnswers]) -> None:
    if not read:
        return
    with _keeping:
        _kept.update(read)
        answers = sum(len(each.images) for each in _kept.values())
        while answers > MOST_ANSWERS:
            answers -= len(_kept.popitem(last=False)[1].images)


def _on(ctx: Context, image_set_id: str | None) -> list[dict[str, Any]]:
    with ctx.db.reading() as session:
        found = _set_id(session, image_set_id)
        return _titled(records.list_runs(session, found, details=COMPARED, limit=ALL))


def _named(ctx: Context, run_ids: Sequence[str], details: Sequence[str] = COMPARED) -> list[dict[str, Any]]:
    with ctx.db.reading() as session:
        rows = records.list_runs(session, run_ids=run_ids, details=details, limit=ALL)
        found = {row["id"]: row for row in rows}
        for id in run_ids:
            if id not in found:
                records.find_run(session, id)
    return _titled(found[id] for id in dict.fromkeys(run_ids))


def _titled(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    title = cache(method_title)  # which looks at files: once a method, not once a run
    # comparison groups by the image set's fingerprint, under this shorter name
    return [row | {"method_title": title(row["method"]), "fingerprint": row["image_set_fingerprint"]} for row in rows]
