"""Shapes of requests and answers about tasks of description sets: writing sentences, and evidence from images."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from app.api.schemas import MOST_CLASSES, Answer, Body, Named, Page
from app.api.values import Count, Line, Number, Sentence, Word
from core.descriptions.writing.messages import LONGEST_INSTRUCTIONS
from core.descriptions.writing.prompts import MOST_SENTENCES

FEWEST_REPLACEMENTS, MOST_REPLACEMENTS = 99, 99_999
Kind = Literal["write", "evidence"]
PartState = Literal["waiting", "done", "failed"]


class Prompt(Answer):
    """What a language model is asked, from a file. Of a damaged file only name and problem are told."""

    name: str
    title: str | None = None
    purpose: str | None = None
    system: str | None = None
    text: str | None = Field(default=None, description="With places in braces that are filled in for each class.")
    answer: str | None = None
    sentences: int | None = Field(default=None, description="So many for each class unless said.")
    needs_similar: bool | None = Field(default=None, description="Whether it speaks of the most similar class.")
    sha256: str | None = None
    own: bool = Field(description="Whether it is a file of the home folder.")
    problem: str | None = None


class PromptList(Page):
    """Prompts by name."""

    items: list[Prompt]


class WritingWish(Body):
    """What is to be written. Only class names, kind of image and instructions are sent to the model."""

    prompt: Word = "visible_features"
    classes: list[Line] | None = Field(default=None, max_length=MOST_CLASSES, description="Without them all.")
    n: Annotated[int, Field(ge=1, le=MOST_SENTENCES)] | None = Field(
        default=None, description="Sentences for each class; the prompt's own number unless said."
    )
    instructions: Annotated[str, Field(max_length=LONGEST_INSTRUCTIONS)] = ""
    modality: Line | None = Field(default=None, description="Kind of image; that of the image set unless said.")
    similar: dict[Line, Line] = Field(
        default_factory=dict,
        max_length=MOST_CLASSES,
        description="Class and the one it is told from; the others by text features of the backbone.",
    )
    backbone: Word = "embedded"
    model: Line | None = Field(default=None, description="Another model of the configured endpoint.")
    folder: Word | None = Field(default=None, description="A language model on this machine instead.")
    seed: Number = 1
    actor: Line = Field(default="", description="Who asks.")


class NewWriting(WritingWish):
    """A wish that is to be carried out."""

    fingerprint: Word | None = Field(
        default=None, description="That of the preview that was seen: other texts are then not sent (409)."
    )


class EvidenceWish(Body):
    """What is to be weighed, and on which images."""

    image_set: Word | None = Field(default=None, description="Id or name; the set's own images unless said.")
    version: Count | None = Field(
        default=None, description="Of the sentences; without it as they stand now, without rejected ones."
    )
    backbone: Word = "embedded"
    shots: Count | None = Field(default=16, description="Training images per class; null takes all.")
    seed: Number = 1
    replacements: Annotated[int, Field(ge=FEWEST_REPLACEMENTS, le=MOST_REPLACEMENTS)] = Field(
        default=999, description="Sentences of random words that each sentence is held against."
    )
    curve: bool = Field(default=False, description="Accuracy by number of sentences too.")
    modality: Line | None = None
    template: Sentence | None = Field(default=None, description="The control's sentence, with {} for the class name.")
    allow_leakage: bool = False
    actor: Line = Field(default="", description="Who asks.")


class Message(Answer):
    """A message as it is sent."""

    role: str
    content: str


class ClassMessages(Answer):
    """What is sent about one class, word for word."""

    class_name: str = Field(alias="class")
    similar: str | None = None
    n: int
    messages: list[Message]

    model_config = ConfigDict(extra="allow", populate_by_name=True)


class WritingPreview(Answer):
    """Exactly what would be sent, and what it would take if each class is written at once."""

    prompt: Prompt
    model: str | None = None
    address: str | None = Field(default=None, description="Where it would go: an address, or a folder of this machine.")
    problem: str | None = Field(default=None, description="Why nothing could be written now.")
    classes: list[ClassMessages]
    fingerprint: str
    requests: int
    tokens_in: int
    tokens_out: int
    cost: float | None = Field(default=None, description="Null where no prices are set.")


class PartCounts(Answer):
    """How many parts of a task are in which state."""

    waiting: int
    done: int
    failed: int


class TaskJob(Answer):
    """The job of a task, and how far it is."""

    id: str
    state: str
    stage: str | None = None
    done: int | None = None
    total: int | None = None
    seconds_left: float | None = None
    note: str | None = None
    error: dict[str, Any] | None = None


class DescriptionTask(Answer):
    """Work about a description set: what was asked for, how far it is, and what came of it."""

    id: str
    kind: Kind
    description_set: Named
    image_set: Named | None = None
    request: dict[str, Any] | None = None
    result: dict[str, Any] | None = Field(default=None, description="Once all of it is done.")
    created_at: str | None = None
    finished_at: str | None = None
    parts: PartCounts
    job: TaskJob | None = Field(default=None, description="Null for one that was done in a terminal.")


class DescriptionTaskList(Page):
    """Tasks, newest first."""

    items: list[DescriptionTask]


class TaskPart(Answer):
    """A part of a task, such as a class: what was asked, and what came back."""

    position: int
    label: str
    state: PartState
    request: dict[str, Any] | None = None
    answer: dict[str, Any] | None = Field(
        default=None, description="Sentences that became drafts, those left out with reasons, and what it took."
    )
    error: dict[str, Any] | None = None
    finished_at: str | None = None


class TaskPartList(Page):
    """Parts in order."""

    items: list[TaskPart]
