"""Sentences of a description set: listed, decided about, edited; everything can be undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from app.api import description_schemas as shapes
from app.api.common import InContext, InPages, errors
from app.api.values import Line, Word
from app.services import description_review as review
from core.records.sentence_actions import Order
from core.records.sentence_filters import Filter, asked_for

router = APIRouter(prefix="/description-sets/{description_set_id}", tags=["description review"])
Reader = Annotated[Line | None, Query(description="Who reads: for `mine`, queues and blind reading.")]
Blind = Annotated[bool, Query(description="Hide what others made of sentences this reader has not decided about.")]
Backbone = Annotated[Word, Query(description="Whose text tower the sentences must fit.")]


@dataclass(frozen=True)
class Asked:
    """The query of a list of sentences."""

    class_name: Annotated[Line | None, Query(alias="class")] = None
    state: Annotated[shapes.State | None, Query(description="`withdrawn` lists those taken out of the set.")] = None
    queue: Annotated[shapes.Queue | None, Query(description="Of `reader`; pending and flagged may overlap.")] = None
    q: Annotated[Line | None, Query(description="Words that stand in the text, in any case.")] = None
    finding: Annotated[Word | None, Query(description="Only those the checks say this of.")] = None
    author_kind: Annotated[shapes.AuthorKind | None, Query()] = None
    reader: Reader = None
    blind: Blind = False

    def filter(self) -> Filter:
        """As services take it."""
        return _filter(self, self.reader, self.blind)


def _filter(asked: Asked | shapes.SentenceFilter, reader: str | None, blind: bool) -> Filter:
    given = (asked.class_name, asked.state, asked.queue, asked.q, asked.finding, asked.author_kind)
    return asked_for(*given, reader, blind)


@router.get("/sentences", summary="List sentences", response_model=shapes.SentenceList, responses=errors(404, 422))
def list_sentences(
    description_set_id: Word,
    ctx: InContext,
    pages: InPages,
    asked: Annotated[Asked, Depends(Asked)],
    order: Annotated[shapes.Order, Query(description="evidence: lowest agreement with the images first.")] = "given",
    backbone: Backbone = review.EMBEDDED,
) -> Any:
    """Sentences with findings, length, evidence and decisions, as they stand now."""
    items, total = review.list_sentences(
        ctx, description_set_id, asked.filter(), order, pages.limit, pages.offset, backbone
    )
    return pages.page(items, total)


@router.get(
    "/sentences/{sentence_id}",
    summary="Show a sentence",
    response_model=shapes.SentenceWithRevisions,
    responses=errors(404, 422),
)
def get_sentence(
    description_set_id: Word,
    sentence_id: Word,
    ctx: InContext,
    reader: Reader = None,
    blind: Blind = False,
    backbone: Backbone = review.EMBEDDED,
) -> Any:
    """A sentence with everything that was done to it."""
    asked = Filter(reader=reader or None, blind=blind)
    return review.get_sentence(ctx, description_set_id, sentence_id, asked, backbone)


@router.get(
    "/review-summary", summary="Summarise a review", response_model=shapes.ReviewSummary, responses=errors(404, 422)
)
def review_summary(description_set_id: Word, ctx: InContext, reader: Reader = None, blind: Blind = False) -> Any:
    """How far it is by class, reader and queue, and what the reader can undo."""
    return review.review_summary(ctx, description_set_id, reader or None, blind)


@router.post(
    "/actions",
    summary="Act on sentences",
    status_code=201,
    response_model=shapes.ActionDone,
    responses=errors(404, 409, 422),
)
def act(description_set_id: Word, body: shapes.NewAction, ctx: InContext) -> Any:
    """Approve, reject, flag, reopen, edit, remove, restore, add or settle; all sentences together or none.

    409 names sentences that changed since the `revisions` that were seen, with what they are now.
    """
    fields = body.model_dump(exclude={"where", "blind", "backbone"})
    where = None if body.where is None else _filter(body.where, body.actor, body.blind)
    return review.act_on_sentences(ctx, description_set_id, Order(**fields), where, body.blind, body.backbone)


@router.get("/actions", summary="List actions", response_model=shapes.ActionList, responses=errors(404))
def list_actions(description_set_id: Word, ctx: InContext, pages: InPages) -> Any:
    """Who did what to how many sentences, newest first."""
    items, total = review.list_actions(ctx, description_set_id, pages.limit, pages.offset)
    return pages.page(items, total)


@router.post(
    "/undo",
    summary="Undo an action",
    status_code=201,
    response_model=shapes.ActionDone,
    responses=errors(404, 409, 422),
)
def undo(description_set_id: Word, body: shapes.Undo, ctx: InContext) -> Any:
    """Take an action back, bulk ones too. 409 names sentences that were changed since, and changes nothing."""
    return review.undo_action(ctx, description_set_id, body.actor, body.action_id, body.blind, body.backbone)
