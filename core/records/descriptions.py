"""Description sets and their versions. A version is never changed; editing makes the next one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from core.descriptions.description_set import DescriptionSet
from core.errors import Conflict, InvalidInput, NotFound
from core.records.description_versions import Entry, newest_number, write_version
from core.records.ids import new_id
from core.records.sentence_saving import save_wording
from core.records.tables import DescriptionSentenceRow, DescriptionSetRow, DescriptionVersionRow, RunRow
from core.records.types import iso, unreadable_columns
from core.text import shown

NAMED = 3


def save_version(
    session: Session,
    image_set_id: str | None,
    name: str,
    sentences: Mapping[str, Sequence[str]],
    *,
    author: str,
    source: str,
    note: str = "",
    based_on: int | None = None,
) -> tuple[str, int]:
    """Save a wording as the next version of the set with this name, made where there is none: (set id, version).

    based_on: the version that was edited; where a newer one exists by now, Conflict says so and nothing is saved.
    Raises InvalidInput without sentences or with an empty one.
    """
    _check(name, sentences)
    row = _set_named(session, image_set_id, name)
    newest = newest_number(session, row.id)
    if based_on is not None and based_on != (newest or 0):
        raise Conflict(
            f"An edit starts from the newest version of '{name}', {newest or 'none'}",
            f"this one started from version {based_on}",
            "Open the newest version, make the changes there and save again.",
        )
    before = _version_row(session, row.id, newest).id if newest else None
    number = (newest or 0) + 1
    linked = save_wording(
        session, row.id, sentences, author=author, source=source, note=f"version {number}", edited_version=before
    )
    wording = [(label, text.strip()) for label, texts in sentences.items() for text in texts]
    version = write_version(
        session,
        row.id,
        [Entry(*words, *link) for words, link in zip(wording, linked, strict=True)],
        author=author,
        source=source,
        note=note,
        based_on_id=before if based_on else None,
    )
    return row.id, version.version


def make_description_set(session: Session, image_set_id: str | None, name: str) -> str:
    """An empty set, for sentences that are still to be written: its id. Raises Conflict where the name is taken."""
    if not name.strip():
        raise InvalidInput("A description set has a name", "found none", "Write one.")
    if find_set_named(session, image_set_id, name):
        raise Conflict("A name no other description set of these images has", f"'{name}' exists", "Choose another.")
    return _set_named(session, image_set_id, name).id


def find_set_named(session: Session, image_set_id: str | None, name: str) -> str | None:
    """The id of the set with this name among those of an image set; None where there is none."""
    same_set = DescriptionSetRow.image_set_id.is_not_distinct_from(image_set_id)
    return session.scalar(select(DescriptionSetRow.id).where(same_set, DescriptionSetRow.name == name))


def list_description_sets(
    session: Session, image_set_id: str | None = None, limit: int = 500, offset: int = 0
) -> list[dict[str, Any]]:
    """Description sets in short, by name: their newest version without sentences; all, or those of one image set."""
    query = select(DescriptionSetRow).order_by(DescriptionSetRow.name, DescriptionSetRow.id)
    if image_set_id is not None:
        query = query.where(DescriptionSetRow.image_set_id == image_set_id)
    rows = session.scalars(query.limit(limit).offset(offset)).all()
    newest = _newest_versions(session, [row.id for row in rows])
    return [_short(row, newest.get(row.id)) for row in rows]


def count_description_sets(session: Session, image_set_id: str | None = None) -> int:
    """How many description sets `list_description_sets` would give over all pages."""
    query = select(func.count(DescriptionSetRow.id))
    query = query if image_set_id is None else query.where(DescriptionSetRow.image_set_id == image_set_id)
    return session.scalar(query) or 0


def ids_of_sets_called(session: Session, id_or_name: str) -> list[str]:
    """Ids of the description sets with this id or name; a name may stand for several."""
    row = DescriptionSetRow
    named = select(row.id).where(or_(row.id == id_or_name, row.name == id_or_name))
    return list(session.scalars(named.order_by(row.id)))


def delete_description_set(session: Session, set_id: str) -> None:
    """Forget a description set with all its versions. Raises NotFound, or Conflict while runs were made with one."""
    row = _set_row(session, set_id)
    users = select(RunRow.name).join(DescriptionVersionRow, RunRow.description_version_id == DescriptionVersionRow.id)
    users = users.where(DescriptionVersionRow.description_set_id == row.id).order_by(RunRow.id)
    names = session.scalars(users).all()
    if names:
        shown_names = ", ".join(f"'{shown(name, 60)}'" for name in names[:NAMED])
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        raise Conflict(
            "A description set is deleted when no run was made with it",
            f"'{shown(row.name)}' is used by {shown_names}{more}",
            "Delete these runs first, or keep the set: it says what they were trained with.",
        )
    session.delete(row)
    session.flush()


def description_set_dict(session: Session, set_id: str, version: int | None = None) -> dict[str, Any]:
    """One version of a description set, the newest unless said: id, name, image_set_id, version, versions, source,
    sentences, fingerprint. Version, source and fingerprint are None where nothing was saved yet. Raises NotFound."""
    row = _set_row(session, set_id)
    versions = _versions(session, [row.id])[row.id]
    if not versions and version is None:
        return _short(row, None) | {"versions": [], "sentences": {}}
    chosen = _version_row(session, row.id, version)
    return _dict(row, versions, chosen, _sentences(session, [chosen.id]))


def find_version(session: Session, set_id: str, version: int | None = None) -> DescriptionVersionRow:
    """The row of a version, the newest unless said. Raises NotFound."""
    return _version_row(session, _set_row(session, set_id).id, version)


def load_descriptions(session: Session, version_id: str) -> DescriptionSet:
    """The sentences of a version, named "<set>, version <n>" as their source. Raises NotFound."""
    row = session.get(DescriptionVersionRow, version_id)
    if row is None:
        raise NotFound("A description version with this id", f"'{version_id}' is none", "It may have been deleted.")
    name = _set_row(session, row.description_set_id).name
    return _as_set(_sentences(session, [row.id])[row.id], f"{name}, version {row.version}")


def _check(name: str, sentences: Mapping[str, Sequence[str]]) -> None:
    if not name.strip():
        raise InvalidInput("A description set has a name", "found none", "Write one.")
    empty = [label for label, texts in sentences.items() if not texts or not all(text.strip() for text in texts)]
    if empty or not sentences:
        raise InvalidInput(
            "Every class has at least one sentence and none is empty",
            f"that is not so for {', '.join(repr(label) for label in empty) or 'any class'}",
            "Write a sentence or remove the empty line.",
        )


def _set_named(session: Session, image_set_id: str | None, name: str) -> DescriptionSetRow:
    same_set = DescriptionSetRow.image_set_id.is_not_distinct_from(image_set_id)
    # Held, so that two who save at once make one version each, one after the other.
    query = select(DescriptionSetRow).where(same_set, DescriptionSetRow.name == name).with_for_update()
    row = session.scalar(query)
    if row is None:
        row = DescriptionSetRow(id=new_id(), image_set_id=image_set_id, name=name)
        session.add(row)
        session.flush()
    return row


def _set_row(session: Session, set_id: str) -> DescriptionSetRow:
    row = session.get(DescriptionSetRow, set_id)
    if row is None:
        raise NotFound("A description set with this id", f"'{set_id}' is none", "List the description sets.")
    return row


def _version_row(session: Session, set_id: str, version: int | None) -> DescriptionVersionRow:
    query = select(DescriptionVersionRow).where(DescriptionVersionRow.description_set_id == set_id)
    query = query if version is None else query.where(DescriptionVersionRow.version == version)
    row = session.scalar(query.order_by(DescriptionVersionRow.version.desc()).limit(1))
    if row is None:
        raise NotFound("A version of this description set", f"{version} is none", "Choose one that is listed.")
    return row


def _as_set(sentences: Mapping[str, Sequence[str]], source: str) -> DescriptionSet:
    return DescriptionSet({label: tuple(t.strip() for t in texts) for label, texts in sentences.items()}, source)


def _versions(session: Session, set_ids: Sequence[str]) -> dict[str, list[DescriptionVersionRow]]:
    found: dict[str, list[DescriptionVersionRow]] = {id_: [] for id_ in set_ids}
    query = select(DescriptionVersionRow).where(DescriptionVersionRow.description_set_id.in_(set_ids))
    for row in session.scalars(query.order_by(DescriptionVersionRow.version)):
        found[row.description_set_id].append(row)
    return found


def _sentences(session: Session, version_ids: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = {id_: {} for id_ in version_ids}
    table = DescriptionSentenceRow
    query = select(table).where(table.version_id.in_(version_ids))
    for row in session.scalars(query.order_by(table.version_id, table.class_position, table.position)):
        found[row.version_id].setdefault(row.class_name, []).append(row.sentence)
    return found


def _newest_versions(session: Session, set_ids: Sequence[str]) -> dict[str, DescriptionVersionRow]:
    table = DescriptionVersionRow
    highest = select(table.description_set_id, func.max(table.version).label("version"))
    newest = highest.where(table.description_set_id.in_(set_ids)).group_by(table.description_set_id).subquery()
    same = (table.description_set_id == newest.c.description_set_id, table.version == newest.c.version)
    return {row.description_set_id: row for row in session.scalars(select(table).join(newest, and_(*same)))}


def _short(row: DescriptionSetRow, chosen: DescriptionVersionRow | None) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "image_set_id": row.image_set_id,
        "version": chosen and chosen.version,
        "version_id": chosen and chosen.id,
        "created_at": iso(chosen.created_at if chosen else row.created_at),
        "source": chosen and chosen.source,
        "fingerprint": chosen and chosen.fingerprint,
        "signed_by": chosen and chosen.signed_by,
        "signed_at": chosen and iso(chosen.signed_at),
        "unreadable": unreadable_columns(row, chosen) if chosen else unreadable_columns(row),
    }


def _dict(
    row: DescriptionSetRow,
    versions: Sequence[DescriptionVersionRow],
    chosen: DescriptionVersionRow,
    texts: Mapping[str, dict[str, list[str]]],
) -> dict[str, Any]:
    return _short(row, chosen) | {
        "versions": [
            {
                "version": v.version,
                "created_at": iso(v.created_at),
                "author": v.author,
                "note": v.note,
                "signed_by": v.signed_by,
                "signed_at": iso(v.signed_at),
            }
            for v in versions
        ],
        "sentences": texts[chosen.id],
    }
