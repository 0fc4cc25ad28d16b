"""How far the readers of a description set agree, and how many planted sentences each caught."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from app.services.context import Context
from core.descriptions.review import APPROVE, FLAG, REJECT
from core.records.sentence_summary import catch, readers_of
from core.records.sentences import Sentence, find_set, load_sentences


def agreement_of(ctx: Context, set_id: str) -> dict[str, Any]:
    """{readers, pairs, several, catch}: see `core.descriptions.agreement`; planted sentences are in `catch` alone.

    readers: [{reader, decided, approved, rejected, flagged, shared, percent}]: sentences that others decided about
    too, and the share of these others who said the same. Counted are decisions about the wording of now, as readers
    took them: a settlement changes none. Raises NotFound.
    """
    from core.descriptions.agreement import Readings, agreement

    with ctx.db.reading() as session:
        find_set(session, set_id)
        everything = load_sentences(session, set_id, withdrawn=None)
    real = [each for each in everything if not each.planted and not each.withdrawn]
    planted = [each for each in everything if each.planted]
    readers = readers_of(real)
    decisions = {
        reader: {each.id: each.standing[reader].decision for each in real if reader in each.standing}
        for reader in readers
    }
    found = agreement(Readings(decisions, {each.id: each.class_name for each in real}))
    return {
        "readers": [_reader(real, reader) for reader in readers],
        **found,
        "catch": [{"reader": reader, **catch(planted, reader)} for reader in readers_of(planted)],
    }


def _reader(sentences: Sequence[Sentence], reader: str) -> dict[str, Any]:
    mine = [each for each in sentences if reader in each.standing]
    counts = Counter(each.standing[reader].decision for each in mine)
    same = [
        other.decision == each.standing[reader].decision
        for each in mine
        for name, other in each.standing.items()
        if name != reader
    ]
    return {
        "reader": reader,
        "decided": len(mine),
        "approved": counts[APPROVE],
        "rejected": counts[REJECT],
        "flagged": counts[FLAG],
        "shared": sum(len(each.standing) > 1 for each in mine),
        "percent": sum(same) / len(same) if same else None,
    }
