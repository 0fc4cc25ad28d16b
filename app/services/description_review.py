"""Reviewing class descriptions: sentences listed and decided about, everything undone and done again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app.services.context import Context
from core.backbones.text_lengths import TextLengths
from core.descriptions.checks import check_descriptions
from core.descriptions.description_set import DescriptionSet
from core.descriptions.findings.cut import TokenCount, token_counts
from core.errors import Conflict, InvalidInput
from core.records import description_evidence, sentence_history, sentence_summary
from core.records.planted import PLANTING
from core.records.sentence_actions import Order, act
from core.records.sentence_filters import Filter, in_order
from core.records.sentence_undo import undo
from core.records.sentences import Sentence, classes_of, load_sentences, pictures_of
from core.text import fit_name, fit_text, shown

EMBEDDED = "embedded"
MOST_TOLD = 1000
"""Sentences in one answer; of an action that changed more the first ones are told."""
Row = tuple[str, str]


@dataclass(frozen=True)
class _Remarks:
    """What is said beside sentences: findings of the checks, lengths in tokens, evidence from images."""

    findings: Mapping[str, Sequence[dict[str, str]]] = field(default_factory=dict)
    lengths: Mapping[str, TokenCount] = field(default_factory=dict)
    evidence: Mapping[Row, dict[str, Any]] = field(default_factory=dict)
    with_planted: bool = False


def list_sentences(
    ctx: Context,
    set_id: str,
    asked: Filter,
    order: str = "given",
    limit: int = 100,
    offset: int = 0,
    backbone: str = EMBEDDED,
) -> tuple[list[dict[str, Any]], int]:
    """Sentences that are asked for, and how many there are over all pages.

    Each with what the checks say of it (findings), its length on the backbone and the words that its text tower does
    not read (lost), evidence from images where it was gathered, and what `asked.reader` decided (mine). Raises
    NotFound, InvalidInput for blind reading without a reader.
    """
    _check_blind(asked)
    with ctx.db.reading() as session:
        classes = classes_of(session, set_id)
        everything = load_sentences(session, set_id, withdrawn=asked.withdrawn)
        evidence = description_evidence.newest_evidence(session, set_id)
        pictures = pictures_of(session, set_id)
    remarks = _remarks(ctx, everything, backbone, pictures, evidence)
    kept = [each for each in everything if asked.fits(each, _kinds(remarks, each))]
    known = {
        each.id: found["agreement"]
        for each in kept
        if (found := evidence.get((each.class_name, each.text))) and found["agreement"] is not None
    }
    ordered = in_order(kept, order, classes, known, asked.hides)
    page = ordered[offset : offset + limit]
    return [_told(each, asked, remarks) for each in page], len(kept)


def get_sentence(
    ctx: Context, set_id: str, sentence_id: str, asked: Filter, backbone: str = EMBEDDED
) -> dict[str, Any]:
    """One sentence as `list_sentences` gives it, with its revisions. Raises NotFound.

    A reader who is blind to it gets the revisions that changed its wording, without the states.
    """
    _check_blind(asked)
    with ctx.db.reading() as session:
        everything = load_sentences(session, set_id, withdrawn=None)
        evidence = description_evidence.newest_evidence(session, set_id)
        pictures = pictures_of(session, set_id)
        revisions = sentence_history.revisions_of(session, set_id, sentence_id)
    sentence = next(each for each in everything if each.id == sentence_id)
    told = _told(sentence, asked, _remarks(ctx, everything, backbone, pictures, evidence))
    return told | {"revisions": _wordings(revisions) if asked.hides(sentence) else revisions}


def act_on_sentences(
    ctx: Context,
    set_id: str,
    order: Order,
    where: Filter | None = None,
    blind: bool = False,
    backbone: str = EMBEDDED,
) -> dict[str, Any]:
    """Do something to sentences, named by id or all that match: {action, sentences, effect}.

    backbone: whose text tower they must fit, where `where` asks for a finding and in the answer.
    Everything is written together or not at all. Raises NotFound, Conflict (StaleSentences where somebody changed a
    sentence since `order.revisions`), InvalidInput.
    """
    order = _fit(order)
    if where is not None and order.ids:
        raise InvalidInput("Sentences named by ids, or all that match", "found both", "Send one of them.")
    if where is not None and where.finding is not None:
        _warm_findings(ctx, set_id, backbone)

    def work(session: Session) -> tuple[dict[str, Any], list[str]]:
        _check_class(session, set_id, order.class_name)
        chosen = order if where is None else _resolved(ctx, session, set_id, order, where, backbone)
        return act(session, set_id, chosen)

    action, ids = ctx.db.write(work)
    return _done(ctx, set_id, action, ids, Filter(reader=order.actor, blind=blind), backbone)


def undo_action(
    ctx: Context,
    set_id: str,
    actor: str,
    action_id: str | None = None,
    blind: bool = False,
    backbone: str = EMBEDDED,
) -> dict[str, Any]:
    """Take an action back, the actor's newest unless said; the id of an undo does again what it took back.

    The shape is that of `act_on_sentences`. Raises NotFound, Conflict (StaleSentences where a later action changed one
    of the sentences; then nothing is changed).
    """
    actor = fit_name(actor, "The name of who undoes")
    action, ids = ctx.db.write(lambda session: undo(session, set_id, actor, action_id))
    return _done(ctx, set_id, action, ids, Filter(reader=actor, blind=blind), backbone)


def list_actions(ctx: Context, set_id: str, limit: int, offset: int) -> tuple[list[dict[str, Any]], int]:
    """Actions on sentences of a set, newest first, and how many there are. Raises NotFound."""
    with ctx.db.reading() as session:
        found = sentence_history.list_actions(session, set_id, limit, offset)
        return found, sentence_history.count_actions(session, set_id)


def review_summary(ctx: Context, set_id: str, reader: str | None = None, blind: bool = False) -> dict[str, Any]:
    """How far the review is, by class, reader and queue; see `core.records.sentence_summary`. Raises NotFound."""
    _check_blind(Filter(reader=reader, blind=blind))
    with ctx.db.reading() as session:
        return sentence_summary.review_summary(session, set_id, classes_of(session, set_id), reader, blind)


def _done(
    ctx: Context, set_id: str, action: dict[str, Any], ids: Sequence[str], asked: Filter, backbone: str
) -> dict[str, Any]:
    with ctx.db.reading() as session:
        everything = load_sentences(session, set_id, withdrawn=None)
        evidence = description_evidence.newest_evidence(session, set_id)
        pictures = pictures_of(session, set_id)
    # Who takes planting back is not told which sentences these are: they may come back.
    touched = set() if action["note"] in PLANTING else set(ids)
    told = [each for each in everything if each.id in touched][:MOST_TOLD]
    remarks = _remarks(ctx, everything, backbone, pictures, evidence)
    return {"action": action, "sentences": [_told(each, asked, remarks) for each in told], "effect": None}


def _fit(order: Order) -> Order:
    reason = order.reason and fit_text(order.reason, "A reason", may_be_empty=True)
    return replace(
        order,
        actor=fit_name(order.actor, "The name of who does it"),
        text=None if order.text is None else " ".join(fit_text(order.text, "A sentence").split()),
        class_name=None if order.class_name is None else fit_name(order.class_name, "The name of a class"),
        reason=reason or None,
    )


def _check_class(session: Session, set_id: str, class_name: str | None) -> None:
    classes = classes_of(session, set_id)
    if class_name is not None and classes and class_name not in classes:
        names = ", ".join(f"'{shown(name, 60)}'" for name in classes)
        raise InvalidInput(f"A class of the images: {names}", f"found '{shown(class_name, 60)}'", "Choose one of them.")


def _check_blind(asked: Filter) -> None:
    if asked.blind and not asked.reader:
        raise InvalidInput("Blind reading has a reader", "found none", "Say who reads.")


def _resolved(ctx: Context, session: Session, set_id: str, order: Order, where: Filter, backbone: str) -> Order:
    """The order with the ids of all sentences that match, as they are in this transaction."""
    _check_blind(where)
    withdrawn = where.withdrawn or order.kind == "restore"
    sentences = load_sentences(session, set_id, withdrawn=withdrawn)
    remarks = _Remarks()
    if where.finding:
        evidence = description_evidence.newest_evidence(session, set_id)
        remarks = _remarks(ctx, sentences, backbone, pictures_of(session, set_id), evidence)
    ids = [each.id for each in sentences if where.fits(each, _kinds(remarks, each))]
    if not ids:
        raise Conflict("At least one sentence that matches", "none does", "Choose other filters.")
    return replace(order, ids=ids, skip_same=True)


def _warm_findings(ctx: Context, set_id: str, backbone: str) -> None:
    """Look at the sentences before the database is held for writing."""
    with ctx.db.reading() as session:
        sentences, pictures = load_sentences(session, set_id), pictures_of(session, set_id)
    _remarks(ctx, sentences, backbone, pictures)


def _remarks(
    ctx: Context,
    sentences: Sequence[Sentence],
    backbone: str,
    pictures: str | None,
    evidence: Mapping[Row, dict[str, Any]] | None = None,
) -> _Remarks:
    """Findings, lengths and evidence of sentences. Withdrawn ones are looked at alone, as planted ones are: they must
    not turn the sentence they were dealt from into a repeat."""
    apart: dict[tuple[bool, bool], list[Sentence]] = defaultdict(list)
    for each in sentences:
        apart[each.planted, each.withdrawn].append(each)
    planted = any(each.planted and not each.withdrawn for each in sentences)
    suspected = {} if planted or evidence is None else evidence
    findings: dict[str, list[dict[str, str]]] = {}
    lengths: dict[str, TokenCount] = {}
    for group in apart.values():
        found, counts = _checked(tuple((e.class_name, e.text) for e in group), backbone, ctx.home, pictures)
        for each in group:
            row = (each.class_name, each.text)
            findings[each.id] = [*found.get(row, []), *_suspicion(suspected.get(row))]
            lengths[each.id] = counts[each.text]
    return _Remarks(findings, lengths, evidence or {}, planted)


def _suspicion(evidence: Mapping[str, Any] | None) -> list[dict[str, str]]:
    """A finding for a sentence that seems to tell of another class, by the evidence about it."""
    if not evidence or not evidence["suspect_class"]:
        return []
    detail = f"by images and by what the others tell it seems to be about '{shown(evidence['suspect_class'], 60)}'"
    return [{"finding": "near_other_class", "detail": detail}]


@lru_cache(maxsize=32)
def _checked(
    rows: tuple[Row, ...], backbone: str, home: Path, pictures: str | None
) -> tuple[dict[Row, list[dict[str, str]]], dict[str, TokenCount]]:
    """(findings by class and text, lengths on the backbone by text) of sentences, kept for the next look."""
    lengths = TextLengths(backbone, home)
    by_class: dict[str, list[str]] = defaultdict(list)
    for label, text in rows:
        by_class[label].append(text)
    texts = DescriptionSet({label: tuple(found) for label, found in by_class.items()}, "sentences")
    findings: dict[Row, list[dict[str, str]]] = defaultdict(list)
    for found in check_descriptions(texts, lengths, pictures=pictures):
        remark = {"finding": found.finding, "detail": found.detail}
        if remark not in findings[found.class_name, found.sentence]:
            findings[found.class_name, found.sentence].append(remark)
    distinct = list(dict.fromkeys(text for _, text in rows))
    return dict(findings), dict(zip(distinct, token_counts(distinct, lengths), strict=True))


def _kinds(remarks: _Remarks, sentence: Sentence) -> list[str]:
    return [found["finding"] for found in remarks.findings.get(sentence.id, ())]


def _told(sentence: Sentence, asked: Filter, remarks: _Remarks) -> dict[str, Any]:
    mine = sentence.standing.get(asked.reader) if asked.reader else None
    length = remarks.lengths.get(sentence.id)
    told = sentence.as_dict() | {
        "findings": list(remarks.findings.get(sentence.id, ())),
        "tokens": length and length.tokens,
        "limit": length and length.limit,
        "lost": length and length.lost,
        "evidence": remarks.evidence.get((sentence.class_name, sentence.text)),
        "mine": mine and {"decision": mine.decision, "reason": mine.reason},
    }
    if remarks.with_planted and not mine:
        # Planted sentences have no evidence, and its absence must not give them away.
        told["evidence"] = None
    if asked.hides(sentence):
        hidden = ("state", "reason", "reviews", "evidence", "findings", "changed_at", "changed_by")
        return told | dict.fromkeys(hidden) | {"revision": sentence.text_revision}
    return told


def _wordings(revisions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Revisions that changed the wording, without what readers made of it."""
    kept: list[dict[str, Any]] = []
    for each in revisions:
        if not kept or (each["class"], each["text"]) != (kept[-1]["class"], kept[-1]["text"]):
            kept.append({**each, "state": None, "reason": None})
    return kept
