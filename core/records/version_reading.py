"""A version of descriptions in full: its sentences as they stood then, and the runs that were trained on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.records import description_exports
from core.records.descriptions import find_version
from core.records.tables import RunRow
from core.records.types import iso

MOST_RUNS = 50
"""So many runs of a version are named, newest first; the others are counted."""


def version_in_full(session: Session, set_id: str, number: int, classes: Sequence[str]) -> dict[str, Any]:
    """{version, author, note, source, created_at, signed_by, signed_at, sentences, runs, n_runs}. Raises NotFound.

    classes: their order. sentences: [{class, text, id, state, author, reason, revision}], state and reason as they were
    then. runs: [{id, name, method, sealed_at}], sealed_at None for those that are not finished.
    """
    row = find_version(session, set_id, number)
    found = description_exports.rows(session, set_id, number, classes)
    runs = select(RunRow.id, RunRow.name, RunRow.method, RunRow.sealed_at)
    runs = runs.where(RunRow.description_version_id == row.id).order_by(RunRow.created_at.desc(), RunRow.id.desc())
    counted = select(func.count(RunRow.id)).where(RunRow.description_version_id == row.id)
    return {
        "version": row.version,
        "author": row.author,
        "note": row.note,
        "source": row.source,
        "created_at": iso(row.created_at),
        "signed_by": row.signed_by,
        "signed_at": iso(row.signed_at),
        "sentences": [{"text" if name == "sentence" else name: each[name] for name in each} for each in found],
        "runs": [
            {"id": id_, "name": name, "method": method, "sealed_at": iso(sealed)}
            for id_, name, method, sealed in session.execute(runs.limit(MOST_RUNS))
        ],
        "n_runs": session.scalar(counted) or 0,
    }
