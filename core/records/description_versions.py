"""Versions of a description set: frozen wordings that runs point at, with or without a signature."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from core.descriptions.description_set import DescriptionSet
from core.descriptions.review import APPROVED, REJECTED
from core.errors import ClassMismatch
from core.records.description_tables import DescriptionSentenceRow, DescriptionVersionRow
from core.records.ids import new_id
from core.records.sentences import Sentence, hold_set, load_sentences
from core.records.types import iso, now
from core.text import shown

REVIEWED = "review"
"""Source of versions frozen from sentences, as they stood."""


@dataclass(frozen=True)
class Entry:
    """A sentence of a version, and the sentence and revision that it is."""

    class_name: str
    text: str
    description_id: str | None = None
    revision: int | None = None


def write_version(
    session: Session,
    set_id: str,
    entries: Sequence[Entry],
    *,
    author: str,
    source: str,
    note: str = "",
    based_on_id: str | None = None,
    signed_by: str | None = None,
) -> DescriptionVersionRow:
    """Keep a wording as the next version of a set, which is held already. entries: class after class."""
    version = DescriptionVersionRow(
        id=new_id(),
        description_set_id=set_id,
        version=(newest_number(session, set_id) or 0) + 1,
        based_on_id=based_on_id,
        author=author,
        note=note,
        source=source,
        fingerprint=DescriptionSet(_by_class(entries), source).fingerprint,
        signed_by=signed_by,
        signed_at=now() if signed_by else None,
    )
    session.add(version)
    session.flush()
    session.execute(insert(DescriptionSentenceRow), _sentence_values(version.id, entries))
    return version


def newest_number(session: Session, set_id: str) -> int | None:
    """The number of a set's newest version, None where it has none."""
    table = DescriptionVersionRow
    return session.scalar(select(func.max(table.version)).where(table.description_set_id == set_id))


def newest_signature(session: Session, set_id: str) -> tuple[int, str, str] | None:
    """(version, who, day) of the newest signed version of a set, None where none is signed."""
    table = DescriptionVersionRow
    query = select(table.version, table.signed_by, table.signed_at).where(
        table.description_set_id == set_id, table.signed_by.is_not(None)
    )
    row = session.execute(query.order_by(table.version.desc()).limit(1)).first()
    return None if row is None else (row[0], row[1] or "", row[2].date().isoformat() if row[2] else "")


def freeze(
    session: Session, set_id: str, classes: Sequence[str], *, author: str, note: str = "", sign: bool = False
) -> dict[str, Any]:
    """Save the sentences as they stand as a version: those not rejected, or for a signature the approved ones alone.

    classes: the order of classes; each needs a sentence. Gives {version, id, signed_by, signed_at, counts, left_out}:
    counts of sentences by class, and how many were left out by state. Raises NotFound, ClassMismatch.
    """
    hold_set(session, set_id)
    real = [each for each in load_sentences(session, set_id) if not each.planted]
    kept = [each for each in real if (each.state == APPROVED if sign else each.state != REJECTED)]
    ordered = _class_by_class(kept, classes)
    counts = {name: len(found) for name, found in ordered.items()}
    _check_complete(counts, sign)
    entries = [Entry(e.class_name, e.text, e.id, e.revision) for found in ordered.values() for e in found]
    signer = author if sign else None
    row = write_version(session, set_id, entries, author=author, source=REVIEWED, note=note, signed_by=signer)
    left_out = Counter(each.state for each in real) - Counter(each.state for each in kept)
    return {
        "id": row.id,
        "version": row.version,
        "author": row.author,
        "note": row.note,
        "created_at": iso(row.created_at),
        "signed_by": row.signed_by,
        "signed_at": iso(row.signed_at),
        "counts": counts,
        "sentences": len(kept),
        "left_out": {state: left_out[state] for state in ("draft", "rejected", "needs_second_reader")},
    }


def _class_by_class(sentences: Sequence[Sentence], classes: Sequence[str]) -> dict[str, list[Sentence]]:
    found: dict[str, list[Sentence]] = {name: [] for name in classes}
    for each in sentences:
        found.setdefault(each.class_name, []).append(each)
    return found


def _check_complete(counts: Mapping[str, int], sign: bool) -> None:
    missing = [name for name, number in counts.items() if not number]
    if not missing and counts:
        return
    kind = "an approved sentence" if sign else "a sentence that is not rejected"
    names = ", ".join(f"'{shown(name, 60)}'" for name in missing[:10])
    raise ClassMismatch(
        f"A {'signed ' if sign else ''}version has {kind} for every class",
        f"none for {names}" if names else "the set has no sentence",
        "Approve at least one of each class." if sign else "Write or restore at least one of each class.",
    )


def _by_class(entries: Iterable[Entry]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for entry in entries:
        found.setdefault(entry.class_name, []).append(entry.text)
    return {name: tuple(texts) for name, texts in found.items()}


def _sentence_values(version_id: str, entries: Iterable[Entry]) -> list[dict[str, Any]]:
    places: dict[str, int] = {}
    counts: Counter[str] = Counter()
    values = []
    for entry in entries:
        values.append(
            {
                "version_id": version_id,
                "class_position": places.setdefault(entry.class_name, len(places)),
                "position": counts[entry.class_name],
                "class_name": entry.class_name,
                "sentence": entry.text,
                "description_id": entry.description_id,
                "revision": entry.revision,
            }
        )
        counts[entry.class_name] += 1
    return values
