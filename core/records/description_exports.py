"""Sentences of a description set as rows for files: of a version, or as they stand now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from core.records.description_tables import DescriptionRevisionRow, DescriptionRow, DescriptionSentenceRow
from core.records.descriptions import find_version
from core.records.sentence_filters import in_order
from core.records.sentences import load_sentences


def rows(session: Session, set_id: str, version: int | None, classes: Sequence[str]) -> list[dict[str, Any]]:
    """[{class, sentence, id, state, author, reason, revision}], class by class; planted sentences left out.

    version: its number, None for the sentences as they stand. classes: their order. State and reason of a sentence in a
    version are those it had then. Raises NotFound.
    """
    if version is None:
        real = [each for each in load_sentences(session, set_id) if not each.planted]
        return [
            _row(e.class_name, e.text, e.id, e.state, e.author, e.reason, e.revision)
            for e in in_order(real, "class", classes)
        ]
    table, sentence, revision = DescriptionSentenceRow, DescriptionRow, DescriptionRevisionRow
    same = and_(revision.description_id == table.description_id, revision.number == table.revision)
    query = select(
        table.class_name, table.sentence, sentence.id, revision.state, sentence.author, revision.reason, table.revision
    )
    query = query.outerjoin(sentence, sentence.id == table.description_id).outerjoin(revision, same)
    query = query.where(table.version_id == find_version(session, set_id, version).id)
    return [_row(*found) for found in session.execute(query.order_by(table.class_position, table.position))]


def _row(*values: Any) -> dict[str, Any]:
    return dict(zip(("class", "sentence", "id", "state", "author", "reason", "revision"), values, strict=True))
