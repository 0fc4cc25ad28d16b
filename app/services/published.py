"""Published numbers: brought in from files, listed, tied to an image set here, deleted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.services.context import ACTOR, Context
from app.services.image_sets import ALL
from core.errors import NotFound
from core.evaluation.listed_mean import name_of_listed_mean
from core.evaluation.published_file import (
    BASE,
    HARMONIC,
    MOST_BYTES,
    NOVEL,
    PublishedResult,
    checked_rows,
    parse_published,
    shipped_results,
)
from core.records import audit
from core.records import published as records
from core.tuning.method_cards import method_cards

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def import_file(ctx: Context, path: Path) -> dict[str, Any]:
    """Keep the numbers of a CSV or TOML file: {added, known, ids}.

    Raises NotFound, UnreadableSource, InvalidInput that names every wrong row, Conflict for another value of a number.
    """
    try:
        with path.open("rb") as source:
            content = source.read(MOST_BYTES + 1)
    except (OSError, ValueError):
        raise NotFound("A file of published numbers", f"none can be read at '{path}'", "Check the path.") from None
    return import_text(ctx, content, path.name)


def import_shipped(ctx: Context) -> dict[str, Any]:
    """Keep the numbers that come with the project: {added, known, ids}. Raises Conflict for another value."""
    return _keep(ctx, shipped_results(_methods()))


def import_text(ctx: Context, content: str | bytes, name: str) -> dict[str, Any]:
    """Keep the numbers of a file called `name`: {added, known, ids}. Raises as `import_file`."""
    return _keep(ctx, parse_published(content, name, _methods()))


def add_results(ctx: Context, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Keep numbers given one by one: {added, known, ids}. Raises InvalidInput that names every wrong one, Conflict."""
    return _keep(ctx, checked_rows([(f"Result {at}", row) for at, row in enumerate(rows, 1)], _methods()))


def list_results(
    ctx: Context, method: str | None = None, data_set: str | None = None, limit: int = ALL, offset: int = 0
) -> list[dict[str, Any]]:
    """Published numbers; a harmonic mean that is another mean says so in `h_is`."""
    with ctx.db.reading() as session:
        rows = records.list_published(session, method, data_set, limit, offset)
        named = _named_means(
            records.published_of_methods(session, [r["method"] for r in rows if r["part"] == HARMONIC])
        )
    return [row | {"h_is": named.get(row["id"], "")} for row in rows]


def count_results(ctx: Context, method: str | None = None, data_set: str | None = None) -> int:
    """How many `list_results` has over all pages."""
    with ctx.db.reading() as session:
        return records.count_published(session, method, data_set)


def match(ctx: Context, id: str, image_set: str, n_test: int | None = None) -> dict[str, Any]:
    """Say that a published number is of an image set here: of exactly its test part, or of another of n_test images.

    Raises NotFound, InvalidInput for a set without test images.
    """

    def work(session: Session) -> dict[str, Any]:
        found = records.match_published(session, str(id), str(image_set), n_test)
        audit.add_audit_entry(session, ACTOR, "match", "published_result", found["id"])
        return found

    return ctx.db.write(work)


def delete(ctx: Context, id: str) -> dict[str, Any]:
    """Forget a published number. Raises NotFound."""

    def work(session: Session) -> str:
        deleted = records.delete_published(session, str(id))
        audit.add_audit_entry(session, ACTOR, "delete", "published_result", deleted)
        return deleted

    return {"deleted": ctx.db.write(work)}


def _keep(ctx: Context, results: Sequence[PublishedResult]) -> dict[str, Any]:
    def work(session: Session) -> dict[str, Any]:
        made, again = records.add_published(session, results)
        for each in made:
            audit.add_audit_entry(session, ACTOR, "add", "published_result", each)
        return {"added": len(made), "known": again, "ids": made}

    return ctx.db.write(work)


def _methods() -> list[str]:
    return [card["name"] for card in method_cards()]


def _named_means(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Of each harmonic mean whose two halves are known what it is instead, by id; "" where it is one."""
    by_place: dict[tuple[Any, ...], dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for row in rows:
        place = tuple(row[name] for name in ("method", "data_set", "metric", "shots", "backbone", "source", "run_by"))
        by_place[place][row["part"]] = row
    found = {}
    for parts in by_place.values():
        if {BASE, NOVEL, HARMONIC} <= set(parts):
            base, novel, listed = (100 * parts[part]["value"] for part in (BASE, NOVEL, HARMONIC))
            decimals = min(parts[part]["decimals"] for part in (BASE, NOVEL, HARMONIC))
            found[parts[HARMONIC]["id"]] = name_of_listed_mean(base, novel, listed, decimals)
    return found
