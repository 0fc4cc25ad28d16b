"""What people do to sentences: decide, edit, take out, put back, add and settle; each an action that can be undone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from core.descriptions.review import APPROVE, APPROVED, FLAG, REJECT, REJECTED, Event, Judgement, Standing, reason_of
from core.errors import Conflict, InvalidInput, InvalidOption
from core.records.description_tables import DescriptionActionRow, DescriptionRevisionRow
from core.records.sentence_writing import (
    Change,
    NewSentence,
    Review,
    action_dict,
    add_sentences,
    judgements_about,
    write_action,
)
from core.records.sentences import REOPEN, SETTLE, Sentence, hold_set, load_sentences
from core.records.unsaved_wordings import forget_wordings
from core.text import shown

DECIDING = (APPROVE, REJECT, FLAG)
READING = (*DECIDING, REOPEN)
"""Kinds that leave the wording alone: readers who do these at once do not get into each other's way."""
KINDS = (*READING, "edit", "remove", "restore", "add", SETTLE)
NAMED = 3


@dataclass(frozen=True)
class Order:
    """What to do, and who does it.

    ids: the sentences. text, class_name: of an edit or a new sentence. revisions: {sentence: the revision that was
    seen}, refused where it is out of date. approve: of a new or edited sentence, that it is approved at once; of a
    settlement, whether for or against. skip_same: leave out sentences this reader decided in the same way already.
    """

    kind: str
    actor: str
    ids: Collection[str] = ()
    text: str | None = None
    class_name: str | None = None
    reason: str | None = None
    seconds: float | None = None
    revisions: Mapping[str, int] = field(default_factory=dict)
    approve: bool | None = None
    skip_same: bool = False


class StaleSentences(Conflict):
    """Somebody changed these sentences meanwhile. sentences: what they are now (id, class, text, revision)."""

    def __init__(self, expected: str, remedy: str, sentences: Collection[Sentence]) -> None:
        self.sentences = [
            {
                "id": each.id,
                "class": each.class_name,
                "text": each.text,
                "revision": each.revision,
                "withdrawn": each.withdrawn,
            }
            for each in sentences
        ]
        super().__init__(expected, named(sentences), remedy)

    def as_dict(self) -> dict[str, Any]:
        """The one JSON shape of an error, with the sentences."""
        return {**super().as_dict(), "sentences": self.sentences}


def act(session: Session, set_id: str, order: Order) -> tuple[dict[str, Any], list[str]]:
    """Do what is ordered, all of it or nothing: (the action, ids of the sentences it touched).

    Raises NotFound for sentences that are not there, StaleSentences where they changed since they were seen, Conflict
    where nothing is left to do, InvalidInput for an order that lacks something,
    InvalidOption for a kind that is none.
    """
    if order.kind not in KINDS:
        raise InvalidOption(
            f"An action of {', '.join(KINDS)}", f"found '{shown(order.kind, 60)}'", "Choose one of them."
        )
    hold_set(session, set_id)
    if order.kind == "add":
        return _add(session, set_id, order)
    if not order.ids:
        raise InvalidInput("An action names its sentences", "found none", "Choose at least one.")
    sentences = load_sentences(session, set_id, order.ids, withdrawn=None)
    _check_unchanged(order, sentences)
    if order.kind == "edit":
        forget_wordings(session, set_id, order.actor, order.ids)
        return _edit(session, set_id, order, sentences)
    changes = _changes(order, sentences)
    if not changes:
        raise Conflict(
            f"At least one sentence for '{order.kind}'",
            "every one of them stands so already",
            "Choose others, or take another action.",
        )
    action = write_action(session, set_id, order.kind, order.actor, changes)
    return action, [change.before.id for change in changes]


def named(sentences: Collection[Sentence]) -> str:
    """Sentences as an error names them: the first few with their class and what they say now."""
    first = [f"'{shown(each.text, 80)}' ({each.class_name})" for each in sentences]
    more = f" and {len(first) - NAMED} more" if len(first) > NAMED else ""
    return f"changed meanwhile: {'; '.join(first[:NAMED])}{more}"


def _check_unchanged(order: Order, sentences: Collection[Sentence]) -> None:
    """Refuse what was decided about another wording. Who only decided meanwhile is in nobody's way."""
    stale = [
        each
        for each in sentences
        if (seen := order.revisions.get(each.id)) is not None
        and seen < (each.revision if order.kind == SETTLE else each.text_revision)
        and not _is_done(order, each)
    ]
    if stale:
        raise StaleSentences(
            "An action is about sentences as they were seen", "Look at them as they are now, then decide.", stale
        )
    gone = [each for each in sentences if each.withdrawn]
    if gone and order.kind != "restore":
        raise StaleSentences(
            "An action is about sentences of the set; these were taken out of it", "Put them back first.", gone
        )


def _is_done(order: Order, sentence: Sentence) -> bool:
    """Whether an edit is there already: the same request sent again after its answer was lost."""
    return order.kind == "edit" and order.text == sentence.text and sentence.changed_by == order.actor


def _changes(order: Order, sentences: Collection[Sentence]) -> list[Change]:
    if order.kind in DECIDING:
        return [_decided(order, each) for each in sentences if not (order.skip_same and _same(order, each))]
    if order.kind == REOPEN:
        return [_reopened(order, each) for each in sentences if order.actor in each.standing]
    if order.kind == SETTLE:
        if order.approve is None:
            raise InvalidInput("A settlement is for or against", "found neither", "Send approve as true or false.")
        state = APPROVED if order.approve else REJECTED
        return [_changed(each, state=state, reason=_settled_reason(order, each)) for each in sentences]
    out = order.kind == "remove"
    return [_changed(each, withdrawn=out) for each in sentences if each.withdrawn != out]


def _same(order: Order, sentence: Sentence) -> bool:
    known = sentence.standing.get(order.actor)
    return known is not None and (known.decision, known.reason) == (order.kind, order.reason)


def _settled_reason(order: Order, sentence: Sentence) -> str | None:
    return None if order.approve else order.reason or reason_of(REJECTED, sentence.standing)


def _decided(order: Order, sentence: Sentence) -> Change:
    # The time for many at once is nobody's time for one.
    seconds = order.seconds if len(order.ids) == 1 else None
    review = Review(order.actor, order.kind, order.reason, seconds)
    after = sentence.judgement.after(Event(order.actor, _standing(order.actor, order.kind, order.reason)))
    return _changed(sentence, state=after.state, reason=after.reason, review=review)


def _reopened(order: Order, sentence: Sentence) -> Change:
    after = sentence.judgement.after(Event(order.actor))
    return _changed(sentence, state=after.state, reason=after.reason)


def _standing(reader: str, decision: str, reason: str | None = None) -> Standing:
    return Standing(reader, decision, reason, order="~")  # behind all that were kept


def _changed(sentence: Sentence, **changes: Any) -> Change:
    kept = ("class_name", "text", "state", "reason", "withdrawn")
    return Change(sentence, **({name: getattr(sentence, name) for name in kept} | changes))


def _edit(
    session: Session, set_id: str, order: Order, sentences: Collection[Sentence]
) -> tuple[dict[str, Any], list[str]]:
    if len(sentences) != 1 or order.text is None:
        raise InvalidInput("An edit of one sentence, with its new text", f"found {len(sentences)}", "Edit one by one.")
    sentence = next(iter(sentences))
    class_name = order.class_name or sentence.class_name
    if (order.text, class_name) == (sentence.text, sentence.class_name):
        if not order.approve or _same(Order(APPROVE, order.actor), sentence):
            return _last_action(session, sentence), [sentence.id]
        change = _decided(Order(APPROVE, order.actor, (sentence.id,), seconds=order.seconds), sentence)
        return write_action(session, set_id, "edit", order.actor, [change]), [sentence.id]
    review = Review(order.actor, APPROVE, None, order.seconds) if order.approve else None
    # Where it says again what it once said, what readers decided about that counts again.
    wordings = {sentence.id: (class_name, order.text)}
    judged = judgements_about(session, set_id, wordings).get(sentence.id, Judgement())
    if review:
        judged = judged.after(Event(order.actor, _standing(order.actor, APPROVE)))
    change = _changed(
        sentence, class_name=class_name, text=order.text, state=judged.state, reason=judged.reason, review=review
    )
    return write_action(session, set_id, "edit", order.actor, [change]), [sentence.id]


def _last_action(session: Session, sentence: Sentence) -> dict[str, Any]:
    revision = session.get_one(DescriptionRevisionRow, (sentence.id, sentence.revision))
    return action_dict(session.get_one(DescriptionActionRow, revision.action_id))


def _add(session: Session, set_id: str, order: Order) -> tuple[dict[str, Any], list[str]]:
    if order.text is None or order.class_name is None:
        raise InvalidInput("A new sentence has a class and a text", "one is missing", "Send both.")
    review = Review(order.actor, APPROVE, None, order.seconds) if order.approve else None
    state = APPROVED if review else "draft"
    new = NewSentence(order.class_name, order.text, "person", order.actor, state=state, review=review)
    return add_sentences(session, set_id, order.actor, [new])
