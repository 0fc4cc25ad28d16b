"""Which version of which description set runs were made with, and whether there is a newer one by now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from core.records.description_tables import DescriptionSetRow, DescriptionVersionRow
from core.records.tables import ModelRow, RunRow


def with_description_versions(session: Session, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that have a `description_version_id`, each with `description_version`, None where it is None.

    That is {set_id, set, version, signed_by, newest, newest_signed, sentence}: newest is the number of the set's newest
    version now, sentence says in words when that is another one.
    """
    known = _versions(session, {row["description_version_id"] for row in rows})
    return [row | {"description_version": known.get(row["description_version_id"])} for row in rows]


def versions_of_runs(session: Session, run_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """{run: its `description_version`, as `with_description_versions` tells it}; runs without one are left out."""
    query = select(RunRow.id, RunRow.description_version_id).where(RunRow.id.in_(run_ids))
    version_of = {run: version for run, version in session.execute(query) if version}
    known = _versions(session, version_of.values())
    return {run: known[version] for run, version in version_of.items() if version in known}


def version_of_model(session: Session, *, id: str | None = None, folder: str | None = None) -> dict[str, Any] | None:
    """The `description_version` of a model, named by its id or its folder; None without one or without such a model."""
    query = select(RunRow.description_version_id).join(ModelRow, ModelRow.run_id == RunRow.id)
    query = query.where(ModelRow.folder == folder if id is None else ModelRow.id == id)
    version = session.scalar(query.limit(1))
    return _versions(session, [version]).get(version)


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
