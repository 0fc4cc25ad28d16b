"""Sentences of a description set from files and packs, as drafts, and to files in every layout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app.services.context import Context
from core.descriptions.class_matching import for_classes_of_images
from core.descriptions.files import descriptions_text, layout_of, parse_descriptions
from core.descriptions.layouts.catalogue import find_layout
from core.descriptions.layouts.csv_layout import COLUMNS, DETAILS, write_rows
from core.descriptions.packs import get_pack
from core.records import description_exports
from core.records.sentence_saving import keyed
from core.records.sentence_writing import NewSentence, add_sentences
from core.records.sentences import classes_of, find_set, hold_set, load_sentences
from core.text import fit_name, shown

IMPORT = "import"


@dataclass(frozen=True)
class Exported:
    """A text to be written or downloaded under a name."""

    name: str
    media_type: str
    text: str
    sentences: int


def import_text(ctx: Context, set_id: str, text: str, name: str, layout: str | None, actor: str) -> dict[str, Any]:
    """Add the sentences of a file's text to a set, as drafts and one action: what the set has already is left out.

    Gives {action or None, layout, added, known, other_classes}: sentences the set had, classes of the file that the
    images do not have. Raises NotFound, UnreadableSource, InvalidInput, ClassMismatch where no class fits.
    """
    actor, name = fit_name(actor, "The name of who imports"), Path(shown(name)).name or "text"
    found, layout = parse_descriptions(text, name, layout), layout or layout_of(name)

    def work(session: Session) -> dict[str, Any]:
        hold_set(session, set_id)
        fitting, others = for_classes_of_images(found, classes_of(session, set_id))
        origin = {"file": name, "layout": layout}
        done = _add_missing(session, set_id, actor, fitting, ("file", actor, origin), name)
        return done | {"layout": layout, "other_classes": others}

    return ctx.db.write(work)


def add_pack(ctx: Context, set_id: str, name: str, actor: str) -> dict[str, Any]:
    """Add the sentences of a built-in pack to a set, as drafts and one action: {action or None, added, known}.

    Raises NotFound, ClassMismatch where the pack does not describe each class of the set's images.
    """
    actor, pack = fit_name(actor, "The name of who adds"), get_pack(name)

    def work(session: Session) -> dict[str, Any]:
        hold_set(session, set_id)
        texts = pack.for_classes(classes_of(session, set_id)).sentences
        origin = {"pack": pack.name, "status": pack.status}
        return _add_missing(session, set_id, actor, texts, ("pack", pack.source, origin), pack.source)

    return ctx.db.write(work)


def export_text(ctx: Context, set_id: str, layout: str, version: int | None = None) -> Exported:
    """The sentences of a version, or as they stand now, in a layout. Raises NotFound, InvalidOption.

    CSV also has id, state, author, reason and revision of each; as they stand now it holds rejected sentences too,
    which no other layout does. Planted sentences are in none.
    """
    chosen = find_layout(layout)
    with ctx.db.reading() as session:
        title = find_set(session, set_id).name
        rows = description_exports.rows(session, set_id, version, classes_of(session, set_id))
    if chosen.suffix == ".csv":
        text, kept = write_rows([*COLUMNS, *DETAILS], rows), rows
    else:
        kept = rows if version is not None else [row for row in rows if row["state"] != "rejected"]
        text = descriptions_text(by_class(kept), layout)
    stands = "now" if version is None else f"v{version}"
    media_type = {".csv": "text/csv", ".py": "text/x-python"}.get(chosen.suffix, "application/octet-stream")
    return Exported(f"{title}-{stands}-{layout}{chosen.suffix}", media_type, text, len(kept))


def _add_missing(
    session: Session,
    set_id: str,
    actor: str,
    texts: Mapping[str, Sequence[str]],
    written: tuple[str, str, dict[str, Any]],
    note: str,
) -> dict[str, Any]:
    """Add what the set, held already, has not. written: kind of author, author and origin of the new sentences."""
    there = set(keyed((e.class_name, e.text) for e in load_sentences(session, set_id) if not e.planted))
    wanted = list(keyed((label, each) for label, found in texts.items() for each in found))
    new = [NewSentence(key[0], key[1], *written) for key in wanted if key not in there]
    action = add_sentences(session, set_id, actor, new, IMPORT, note)[0] if new else None
    return {"action": action, "added": len(new), "known": len(wanted) - len(new)}


def by_class(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """{class: [sentences]} of rows with class and sentence."""
    table: dict[str, list[str]] = {}
    for row in rows:
        table.setdefault(row["class"], []).append(row["sentence"])
    return table
