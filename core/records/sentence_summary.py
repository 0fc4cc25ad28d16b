"""How far the review of a description set is: counts by class, by reader and by queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.descriptions.catch_rate import wilson
from core.descriptions.review import APPROVE, FLAG, REJECT
from core.records.description_tables import SENTENCE_STATES, DescriptionVersionRow
from core.records.sentence_filters import QUEUES, Filter
from core.records.sentence_undo import redoable, undoable
from core.records.sentences import Sentence, load_sentences


def review_summary(
    session: Session, set_id: str, classes: Sequence[str], reader: str | None = None, blind: bool = False
) -> dict[str, Any]:
    """Classes with their sentences by state, readers with what they decided, queues of `reader`, versions, and what
    `reader` can undo and redo.

    Planted sentences are counted as any other; catch rates count those taken out again too. Raises NotFound.
    """
    everything = load_sentences(session, set_id, withdrawn=None)
    sentences = [each for each in everything if not each.withdrawn]
    planted = [each for each in everything if each.planted]
    asked = Filter(reader=reader, blind=blind)
    queues = Counter(queue for each in sentences for queue in asked.queues(each))
    return {
        "classes": _classes(sentences, classes, asked),
        "total": len(sentences),
        "readers": [_reader(sentences, planted, name) for name in readers_of([*sentences, *planted])],
        "queues": {name: queues[name] for name in QUEUES},
        "planted": sum(each.planted for each in sentences),
        **_versions(session, set_id),
        "undoable": undoable(session, set_id, reader) if reader else None,
        "redoable": redoable(session, set_id, reader) if reader else None,
    }


def readers_of(sentences: Sequence[Sentence]) -> list[str]:
    """Names of all whose decisions count, in order."""
    return sorted({reader for each in sentences for reader in each.standing})


def _classes(sentences: Sequence[Sentence], classes: Sequence[str], asked: Filter) -> list[dict[str, Any]]:
    names = dict.fromkeys([*classes, *(each.class_name for each in sentences)])
    counts = Counter((each.class_name, asked.state_shown(each)) for each in sentences)
    return [{"class": name, **{state: counts[name, state] for state in SENTENCE_STATES}} for name in names]


def _reader(sentences: Sequence[Sentence], planted: Sequence[Sentence], reader: str) -> dict[str, Any]:
    decided = [each for each in sentences if reader in each.standing]
    counts = Counter(each.standing[reader].decision for each in decided)
    seconds = [s for each in decided if (s := each.standing[reader].seconds) is not None]
    return {
        "reader": reader,
        "decided": len(decided),
        "approved": counts[APPROVE],
        "rejected": counts[REJECT],
        "flagged": counts[FLAG],
        "median_seconds": median(seconds) if seconds else None,
        **catch(planted, reader),
    }


def catch(planted: Sequence[Sentence], reader: str) -> dict[str, Any]:
    """Of the planted sentences a reader decided on, how many were rejected or flagged, with Wilson's 95 % interval."""
    read = [each.standing[reader].decision for each in planted if reader in each.standing]
    caught = sum(decision != APPROVE for decision in read)
    low, high = wilson(caught, len(read)) if read else (None, None)
    return {"planted_read": len(read), "planted_caught": caught, "low": low, "high": high}


def _versions(session: Session, set_id: str) -> dict[str, Any]:
    table = DescriptionVersionRow
    numbers = select(func.count(table.id), func.max(table.version)).where(table.description_set_id == set_id)
    count, newest = session.execute(numbers).one()
    signed = select(func.max(table.version)).where(table.description_set_id == set_id, table.signed_by.is_not(None))
    return {"versions": count, "newest_version": newest, "newest_signed": session.scalar(signed)}
