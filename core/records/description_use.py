"""Which version of which description set runs were made with, and whether there is a newer one by now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from core.records.description_tables import DescriptionSetRow, DescriptionVersionRow


def with_description_versions(session: Session, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that have a `description_version_id`, each with `description_version`, None where it is None.

    That is {set_id, set, version, signed_by, newest, newest_signed, sentence}: newest is the number of the set's newest
    version now, sentence says in words when that is another one.
    """
    known = _versions(session, {row["description_version_id"] for row in rows})
    return [row | {"description_version": known.get(row["description_version_id"])} for row in rows]


def _versions(session: Session, ids: Iterable[str | None]) -> dict[str | None, dict[str, Any]]:
    wanted = [id_ for id_ in ids if id_]
    if not wanted:
        return {}
    version, other, texts = DescriptionVersionRow, aliased(DescriptionVersionRow), DescriptionSetRow
    same_set = other.description_set_id == version.description_set_id
    newest = select(func.max(other.version)).where(same_set).scalar_subquery()
    signed = select(func.max(other.version)).where(same_set, other.signed_by.is_not(None)).scalar_subquery()
    query = select(version.id, texts.id, texts.name, version.version, version.signed_by, newest, signed)
    query = query.join(texts, texts.id == version.description_set_id).where(version.id.in_(wanted))
    names = ("set_id", "set", "version", "signed_by", "newest", "newest_signed")
    found = {id_: dict(zip(names, values, strict=True)) for id_, *values in session.execute(query)}
    return {id_: values | {"sentence": _sentence(values)} for id_, values in found.items()}


def _sentence(use: dict[str, Any]) -> str:
    trained = f"Trained on version {use['version']} of '{use['set']}'"
    signed = f", signed by {use['signed_by']}" if use["signed_by"] else ""
    now = f"; now there is version {use['newest']}" if use["newest"] != use["version"] else ""
    return f"{trained}{signed}{now}."
