"""What changed between two versions of a description set, or since one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from core.descriptions.review import REJECTED
from core.errors import NotFound
from core.records.description_tables import DescriptionRevisionRow, DescriptionSentenceRow, DescriptionVersionRow
from core.records.sentence_saving import keyed
from core.records.sentences import find_set, load_sentences


@dataclass(frozen=True)
class _Wording:
    class_name: str
    text: str
    state: str | None


def diff(session: Session, set_id: str, before: int | None, after: int | None) -> dict[str, Any]:
    """Sentences added, removed and edited between two versions (by number, None for now), and changed states.

    {added, removed: [{class, text}], edited: [{class, class_before, before, after}], state_changes: [{class, text,
    before, after}]}. Now means what a version saved now would hold. Raises NotFound.
    """
    find_set(session, set_id)
    old, new = _wordings(session, set_id, before), _wordings(session, set_id, after)
    _match_by_words(old, new)
    both = [(old[key], new[key]) for key in new if key in old]
    return {
        "added": [_shown(each) for key, each in new.items() if key not in old],
        "removed": [_shown(each) for key, each in old.items() if key not in new],
        "edited": [
            {"class": b.class_name, "class_before": a.class_name, "before": a.text, "after": b.text}
            for a, b in both
            if (a.class_name, a.text) != (b.class_name, b.text)
        ],
        "state_changes": [
            {"class": b.class_name, "text": b.text, "before": a.state, "after": b.state}
            for a, b in both
            if a.state != b.state
        ],
    }


def _shown(each: _Wording) -> dict[str, str]:
    return {"class": each.class_name, "text": each.text}


def _wordings(session: Session, set_id: str, version: int | None) -> dict[Any, _Wording]:
    """{sentence: its wording}; sentences of a version that is not linked go by their words."""
    if version is None:
        real = [each for each in load_sentences(session, set_id) if not each.planted and each.state != REJECTED]
        return {each.id: _Wording(each.class_name, each.text, each.state) for each in real}
    return dict(_of_version(session, set_id, version))


def _of_version(session: Session, set_id: str, version: int) -> Iterator[tuple[Any, _Wording]]:
    table, row, revision = DescriptionVersionRow, DescriptionSentenceRow, DescriptionRevisionRow
    version_id = session.scalar(select(table.id).where(table.description_set_id == set_id, table.version == version))
    if version_id is None:
        raise NotFound("A version of this description set", f"{version} is none", "Choose one that is listed.")
    same = and_(revision.description_id == row.description_id, revision.number == row.revision)
    query = select(row.class_name, row.sentence, row.description_id, revision.state).outerjoin(revision, same)
    rows = session.execute(query.where(row.version_id == version_id).order_by(row.class_position, row.position)).all()
    for key, (label, text, id_, state) in zip(keyed((r[0], r[1]) for r in rows), rows, strict=True):
        yield id_ or key, _Wording(label, text, state)


def _match_by_words(old: dict[Any, _Wording], new: dict[Any, _Wording]) -> None:
    """Take what is the same in words on both sides, but not the same sentence, for unchanged."""
    gone = {(each.class_name, each.text): key for key, each in old.items() if key not in new}
    for key, each in list(new.items()):
        other = gone.pop((each.class_name, each.text), None) if key not in old else None
        if other is not None:
            del old[other]
            old[key] = each
