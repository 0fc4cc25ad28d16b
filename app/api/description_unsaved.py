"""Wordings that a reader has typed and not saved yet: kept here, since a browser may be gone before it is asked."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import ConfigDict, Field

from app.api.common import InContext, InPages, errors
from app.api.description_schemas import Revision
from app.api.schemas import Answer, Body, Page
from app.api.values import Line, Sentence, Word
from app.services import unsaved_wordings as service

router = APIRouter(prefix="/description-sets/{description_set_id}", tags=["description review"])
Actor = Annotated[Line, Query(min_length=1, description="Who typed it.")]


class TypedWording(Body):
    """What somebody typed about a sentence so far."""

    actor: Line = Field(min_length=1, description="Who types.")
    text: Sentence
    revision: Revision = Field(description="Of the sentence, as it was seen.")

    model_config = ConfigDict(extra="forbid")


class UnsavedWording(Answer):
    """A sentence, and what somebody typed about it and did not save."""

    id: str = Field(description="Of the sentence.")
    class_name: str = Field(alias="class")
    text: str = Field(description="What the sentence says now.")
    unsaved: str = Field(description="What was typed.")
    revision: int = Field(description="Of the sentence, as it was seen when this was typed.")
    changed_at: str | None = None

    model_config = ConfigDict(extra="allow", populate_by_name=True)


class UnsavedList(Page):
    """What a reader typed and did not save."""

    items: list[UnsavedWording]


class Kept(Answer):
    """Whether something is kept now: nothing where the sentence says it already."""

    kept: bool


@router.get("/unsaved", summary="List unsaved wordings", response_model=UnsavedList, responses=errors(404, 422))
def list_unsaved(description_set_id: Word, reader: Actor, ctx: InContext, pages: InPages) -> Any:
    """What this reader typed about sentences and did not save, in whichever browser."""
    return pages.cut(service.list_wordings(ctx, description_set_id, reader))


@router.put(
    "/sentences/{sentence_id}/unsaved", summary="Keep a wording", response_model=Kept, responses=errors(404, 422)
)
def keep_unsaved(description_set_id: Word, sentence_id: Word, body: TypedWording, ctx: InContext) -> Any:
    """Keep what is being typed. It changes nothing of the sentence; saving an edit of it takes it out again."""
    return {"kept": service.keep_wording(ctx, description_set_id, sentence_id, body.actor, body.text, body.revision)}


@router.delete(
    "/sentences/{sentence_id}/unsaved", summary="Forget a wording", response_model=Kept, responses=errors(404, 422)
)
def forget_unsaved(description_set_id: Word, sentence_id: Word, actor: Actor, ctx: InContext) -> Any:
    """Throw away what somebody typed about a sentence."""
    service.forget_wording(ctx, description_set_id, sentence_id, actor)
    return {"kept": False}
