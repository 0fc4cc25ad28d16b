"""What a reader typed about a sentence and has not saved: kept while it is typed, so that a browser may die of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from core.records.description_tables import DescriptionRow, UnsavedWordingRow
from core.records.sentences import find_set, hold_set, load_sentences
from core.records.types import iso


def keep_wording(session: Session, set_id: str, sentence_id: str, reader: str, text: str, revision: int) -> bool:
    """Keep what a reader typed about a sentence instead of what was kept before; False where the sentence says it.

    text: words apart by single spaces. revision: of the sentence, as the reader saw it. Raises NotFound.
    """
    hold_set(session, set_id)
    (sentence,) = load_sentences(session, set_id, [sentence_id], withdrawn=None)
    if text in ("", sentence.text):
        forget_wordings(session, set_id, reader, [sentence_id])
        return False
    row = session.get(UnsavedWordingRow, (sentence_id, reader))
    if row is None:
        session.add(UnsavedWordingRow(description_id=sentence_id, reader=reader, text=text, revision=revision))
    else:
        row.text, row.revision = text, revision
    return True


def forget_wordings(session: Session, set_id: str, reader: str, ids: Collection[str]) -> None:
    """Take out what a reader typed about these sentences of a set. Raises NotFound for the set."""
    find_set(session, set_id)
    own = select(DescriptionRow.id).where(DescriptionRow.description_set_id == set_id, DescriptionRow.id.in_(ids))
    session.execute(
        delete(UnsavedWordingRow).where(
            UnsavedWordingRow.reader == reader, UnsavedWordingRow.description_id.in_(own.scalar_subquery())
        )
    )


def kept_wordings(session: Session, set_id: str, reader: str) -> list[dict[str, Any]]:
    """[{id, class, text, unsaved, revision, changed_at}] of what a reader typed, in the order of the sentences.

    text: what the sentence says now; unsaved: what was typed. Without sentences that are taken out. Raises NotFound.
    """
    find_set(session, set_id)
    kept, row = UnsavedWordingRow, DescriptionRow
    query = select(kept, row).join(row, row.id == kept.description_id)
    query = query.where(row.description_set_id == set_id, row.withdrawn.is_(False), kept.reader == reader)
    return [
        {
            "id": sentence.id,
            "class": sentence.class_name,
            "text": sentence.text,
            "unsaved": typed.text,
            "revision": typed.revision,
            "changed_at": iso(typed.changed_at),
        }
        for typed, sentence in session.execute(query.order_by(row.position, row.id))
        if typed.text != sentence.text
    ]
