"""Versions of description sets: sentences frozen, signed and compared; and sentences planted among them."""

from __future__ import annotations

from typing import Any

from app.services.context import Context
from core.errors import InvalidOption
from core.records import audit, planted
from core.records.description_versions import freeze
from core.records.sentences import classes_of
from core.records.version_diff import diff
from core.records.version_reading import version_in_full
from core.text import fit_name, fit_text, shown

NOW = "now"
LONGEST_NUMBER = 10


def save_reviewed_version(ctx: Context, set_id: str, actor: str, note: str = "", sign: bool = False) -> dict[str, Any]:
    """Freeze the sentences as they stand as the next version: all but rejected ones; signed: approved ones alone.

    The answer counts what was left out. Raises NotFound, ClassMismatch where a class would have no sentence.
    """
    actor = fit_name(actor, "The name of who signs" if sign else "The name of who saves")
    note = fit_text(note, "A note", may_be_empty=True)

    def work(session: Any) -> dict[str, Any]:
        classes = classes_of(session, set_id)
        made = freeze(session, set_id, classes, author=actor, note=note, sign=sign)
        detail = {"version": made["version"]}
        audit.add_audit_entry(session, actor, "sign" if sign else "save", "description_set", set_id, detail)
        return made

    return ctx.db.write(work)


def read_version(ctx: Context, set_id: str, version: int) -> dict[str, Any]:
    """A version in full, with the runs trained on it; see `core.records.version_reading`. Raises NotFound."""
    with ctx.db.reading() as session:
        return version_in_full(session, set_id, version, classes_of(session, set_id))


def compare_versions(ctx: Context, set_id: str, before: str, after: str = NOW) -> dict[str, Any]:
    """What changed between two versions, by number or "now"; see `core.records.version_diff`. Raises NotFound."""
    with ctx.db.reading() as session:
        return {"from": before, "to": after, **diff(session, set_id, _number(before), _number(after))}


def plant_sentences(ctx: Context, set_id: str, actor: str, n: int, seed: int) -> dict[str, Any]:
    """Plant sentences that are wrong on purpose: {action}. Raises NotFound, Conflict with too few sentences."""
    actor = fit_name(actor, "The name of who plants")
    return {"action": ctx.db.write(lambda session: planted.plant(session, set_id, actor, n, seed))}


def take_planted_out(ctx: Context, set_id: str, actor: str) -> dict[str, Any]:
    """Take all planted sentences out: {action}. Raises NotFound, Conflict where none is there."""
    actor = fit_name(actor, "The name of who takes them out")
    return {"action": ctx.db.write(lambda session: planted.unplant(session, set_id, actor))}


def _number(version: str) -> int | None:
    if version != NOW and not (version.isdecimal() and len(version) < LONGEST_NUMBER):
        raise InvalidOption(
            f'The number of a version, or "{NOW}"', f"found '{shown(version, 60)}'", "Choose one listed."
        )
    return None if version == NOW else int(version)
