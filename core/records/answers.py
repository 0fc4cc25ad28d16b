"""What several runs said of the same images, put together: for counts, and for the images behind a count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from core.errors import NotFound
from core.records.runs import RANKED_PARTS
from core.records.tables import PredictionRow, RunRow
from core.text import shown


def parts_of_runs(session: Session, run_ids: Sequence[str]) -> list[str]:
    """Names of the parts that all of these runs were measured on, the ranked one first.

    Raises NotFound for a run that does not exist, or that has said nothing of any image.
    """
    known = set(session.scalars(select(RunRow.id).where(RunRow.id.in_(run_ids))))
    row = PredictionRow
    found: dict[str, set[str]] = defaultdict(set)
    for run_id, part in session.execute(select(row.run_id, row.part).where(row.run_id.in_(run_ids)).distinct()):
        found[run_id].add(part)
    for run_id in run_ids:
        if run_id not in known or not found[run_id]:
            why = "has no answers: it is not finished" if run_id in known else "is none"
            raise NotFound("Finished runs, by their ids", f"'{shown(run_id)}' {why}", "List the runs to see their ids.")
    common = set.intersection(*found.values())
    return sorted(common, key=lambda part: (part not in RANKED_PARTS, part))


def count_answered_images(session: Session, run_ids: Sequence[str], part: str, label: str, predicted: str) -> int:
    """How many images `list_answered_images` has over all pages."""
    asked = select(PredictionRow.file).where(_asked(run_ids, part, label, predicted)).distinct().subquery()
    return session.scalar(select(func.count()).select_from(asked)) or 0


def list_answered_images(
    session: Session, run_ids: Sequence[str], part: str, label: str, predicted: str, limit: int, offset: int = 0
) -> list[dict[str, Any]]:
    """Images of one class that runs called another (or the same): those that most runs did come first.

    Each with image_id (None once it is deleted), file, group, n_runs, and probability, the mean that these runs stated.
    """
    row = PredictionRow
    times = func.count(row.run_id)
    which = _asked(run_ids, part, label, predicted)
    query = select(row.file, func.max(row.image_id), func.max(row.group_name), times).where(which)
    query = query.group_by(row.file).order_by(times.desc(), row.file).limit(limit).offset(offset)
    found = session.execute(query).all()
    stated = defaultdict(list)
    files = [file for file, *_ in found]
    for file, probabilities in session.execute(select(row.file, row.probabilities).where(which, row.file.in_(files))):
        stated[file].append(probabilities[predicted])
    return [
        {
            "image_id": image_id,
            "file": file,
            "group": group,
            "label": label,
            "predicted": predicted,
            "n_runs": n,
            "probability": sum(stated[file]) / len(stated[file]),
        }
        for file, image_id, group, n in found
    ]


def _asked(run_ids: Sequence[str], part: str, label: str, predicted: str) -> ColumnElement[bool]:
    row = PredictionRow
    return and_(row.run_id.in_(run_ids), row.part == part, row.label == label, row.predicted == predicted)
