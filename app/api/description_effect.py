"""What descriptions do on training images, answered at once: the effect of an edit, and the class map."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import ConfigDict, Field, model_validator

from app.api.common import InContext, errors, research_use
from app.api.schemas import Answer, Body
from app.api.values import Count, Line, Number, Sentence, Word
from app.services import description_effect as service
from app.services.description_effect import EMBEDDED, MOST_CHANGES, AskedDraw, Change

router = APIRouter(
    prefix="/description-sets/{description_set_id}",
    tags=["description evidence"],
    dependencies=[Depends(research_use)],
)
_SHOTS = "Training images of each class; without it as many as each has, 16 at most."


class SentenceChange(Body):
    """A sentence edited (`id`), added (`class`) or taken away (no `text`)."""

    id: Word | None = None
    class_name: Line | None = Field(default=None, alias="class")
    text: Sentence | None = None
    before: Sentence | None = Field(
        default=None, description="What it said before, where the edit is saved already; else what it says now."
    )

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    @model_validator(mode="after")
    def _names_one(self) -> SentenceChange:
        if (self.id is None) == (self.class_name is None):
            raise ValueError("either the id of a sentence or the class of a new one")
        return self


class EffectRequest(Body):
    """Changes to be tried on training images. None at all makes the images ready and gives the present numbers."""

    changes: list[SentenceChange] = Field(default=[], max_length=MOST_CHANGES)
    image_set: Word | None = Field(default=None, description="Id or name; without it the set the descriptions are for.")
    backbone: Word = EMBEDDED
    shots: Count | None = Field(default=None, description=_SHOTS)
    seed: Number = 1


class BeforeAndAfter(Answer):
    """Zero-shot with the sentences before and after. Likelihoods are means in nats, at most 0.

    Null without images, or where a class has no sentence yet.
    """

    accuracy_before: float | None
    accuracy_after: float | None
    log_likelihood_before: float | None
    log_likelihood_after: float | None


class ClassEffect(BeforeAndAfter):
    """The same for the images of one class."""

    class_name: str = Field(alias="class")
    n_images: int

    model_config = ConfigDict(extra="allow", populate_by_name=True)


class OnImages(Answer):
    """Which training images were looked at. unit, n_units: what varies: patients or other groups where known."""

    backbone: str
    shots: int
    seed: int
    n_images: int
    unit: str
    n_units: int
    n_leaks: int = Field(description="Images or groups of the set that its test part holds as well.")


class Effect(BeforeAndAfter, OnImages):
    """What changes do to zero-shot on training images; too few to say that a sentence helps, see evidence."""

    n_changed: int = Field(description="Images that get another class.")
    per_class: list[ClassEffect]
    seconds: float


class MapPoint(Answer):
    """A sentence, the mean of a class's sentences (prototype), or that of its images, on the map."""

    kind: str
    class_name: str = Field(alias="class")
    x: float
    y: float
    id: str | None = Field(default=None, description="Of a sentence.")
    index: int | None = Field(default=None, description="Place of a sentence in its class, from 0.")
    text: str | None = None
    closest_class: str | None = Field(default=None, description="Whose images it is closest to, in the whole space.")
    cosine: float | None = Field(default=None, description="To the mean of those images.")

    model_config = ConfigDict(extra="allow", populate_by_name=True)


class ClassMap(OnImages):
    """Sentences and images of each class on one plane."""

    points: list[MapPoint]
    explained: list[float] = Field(description="Share of what sentences differ by, along x and y.")
    projection: str


@router.post("/effect", summary="Try an edit", response_model=Effect, responses=errors(404, 409, 422))
async def effect(description_set_id: Word, body: EffectRequest, request: Request, ctx: InContext) -> Any:
    """Accuracy and log-likelihood of zero-shot on training images before and after changes. Nothing is saved.

    The first time images are encoded; from then on only changed sentences are. 503 with `Retry-After` says that too
    many wait already.
    """
    asked = AskedDraw(body.image_set, body.backbone, body.shots, body.seed)
    changes = [Change(**change.model_dump()) for change in body.changes]
    return await ctx.lines.sentences.do(request.receive, service.effect, ctx, description_set_id, asked, changes)


@router.get("/class-map", summary="Map sentences and images", response_model=ClassMap, responses=errors(404, 422))
async def class_map(
    description_set_id: Word,
    request: Request,
    ctx: InContext,
    image_set: Annotated[Word | None, Query(description="Id or name; without it the descriptions' own.")] = None,
    backbone: Annotated[Word, Query()] = EMBEDDED,
    shots: Annotated[Count | None, Query(description=_SHOTS)] = None,
    seed: Annotated[Number, Query()] = 1,
) -> Any:
    """Where sentences lie among the training images of each class, on the plane in which sentences differ most."""
    asked = AskedDraw(image_set, backbone, shots, seed)
    key = ("class map", description_set_id, asked)
    return await ctx.lines.sentences.do(request.receive, service.map_classes, ctx, description_set_id, asked, key=key)
