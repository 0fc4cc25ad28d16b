"""Shapes of requests and answers about sentences of description sets and their review."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from app.api.schemas import Answer, Body, Page
from app.api.values import LARGEST_COUNT, Line, Sentence, Whole, Word, fit_body

MOST_NAMED = 10_000
LONGEST_READING_S = 86_400
MOST_PLANTED = 200

State = Literal["draft", "approved", "rejected", "needs_second_reader", "withdrawn"]
Queue = Literal["pending", "flagged", "done"]
AuthorKind = Literal["person", "model", "pack", "file", "template"]
Kind = Literal["approve", "reject", "flag", "reopen", "edit", "remove", "restore", "add", "settle"]
Order = Literal["given", "evidence", "class"]
SentenceId = Annotated[str, Field(min_length=1, max_length=26)]
Seconds = Annotated[float, Field(ge=0, le=LONGEST_READING_S)]
_TOWER = "Whose text tower the sentences must fit, in findings and lengths."
Revision = Annotated[int, Whole, Field(ge=1, le=LARGEST_COUNT)]


class _OfClass(Answer):
    class_name: str | None = Field(default=None, alias="class")

    model_config = ConfigDict(extra="allow", populate_by_name=True)


class SentenceFinding(Answer):
    """Something the checks say of a sentence."""

    finding: str
    detail: str = ""


class SentenceEvidence(Answer):
    """What images say of a sentence, from the newest finished task about its set."""

    agreement: float | None = Field(default=None, description="AUROC, images of its class against the others.")
    effect: float | None = Field(default=None, description="On the log-likelihood of training images, in nats.")
    low: float | None = None
    high: float | None = None
    p_adjusted: float | None = None
    verdict: str | None = Field(default=None, description="helpful, harmful or cannot_tell.")
    suspect_class: str | None = Field(default=None, description="The class it seems to tell of rather than of its own.")
    backbone: str | None = Field(default=None, description="On which it was gathered.")


class Decision(Answer):
    """A reader's decision about the wording of now."""

    reader: str | None = Field(default=None, description="Null in `mine`.")
    decision: str
    reason: str | None = None
    at: str | None = None


class DescriptionSentence(_OfClass):
    """A sentence as it stands. For a blind reader who has not decided, what others made of it is null."""

    id: str
    position: int = Field(description="Its rank in the set.")
    text: str
    state: str | None = Field(default=None, description="draft, approved, rejected or needs_second_reader.")
    reason: str | None = None
    withdrawn: bool = Field(default=False, description="Taken out of the set.")
    author_kind: str
    author: str
    origin: dict[str, Any] | None = Field(default=None, description="How a model wrote it, which file it is from.")
    revision: int = Field(description="To be sent with an action, so that nothing unseen is decided about.")
    created_at: str | None = None
    changed_at: str | None = None
    changed_by: str | None = None
    findings: list[SentenceFinding] | None = None
    tokens: int | None = Field(default=None, description="On the backbone asked about, start and end included.")
    limit: int | None = Field(default=None, description="How many tokens that backbone reads.")
    lost: str | None = Field(default=None, description='The words at the end that it does not read, "" for none.')
    evidence: SentenceEvidence | None = None
    mine: Decision | None = None
    reviews: list[Decision] | None = Field(default=None, description="Decisions that count, one a reader.")


class SentenceRevision(_OfClass):
    """A sentence as one action left it."""

    number: int
    text: str
    state: str | None = None
    reason: str | None = None
    withdrawn: bool
    actor: str
    kind: str
    at: str | None = None


class SentenceWithRevisions(DescriptionSentence):
    """A sentence and how it came to be, oldest first."""

    revisions: list[SentenceRevision]


class SentenceList(Page):
    """Sentences that were asked for."""

    items: list[DescriptionSentence]


class DescriptionAction(Answer):
    """Something somebody did to sentences of a set, however many at once."""

    id: str
    kind: str
    actor: str
    note: str = ""
    changed: int = Field(description="How many sentences.")
    at: str | None = None
    undone_by: str | None = Field(default=None, description="The action that took it back, while it is taken back.")
    undoes_id: str | None = Field(default=None, description="The action that this one takes back.")


class ActionList(Page):
    """Actions on sentences, newest first."""

    items: list[DescriptionAction]


class ActionDone(Answer):
    """An action that was done, and the sentences it touched as they are now (1,000 at most)."""

    action: DescriptionAction
    sentences: list[DescriptionSentence]
    effect: dict[str, Any] | None = None


class SentenceFilter(Body):
    """All sentences that match."""

    class_name: Line | None = Field(default=None, alias="class")
    state: State | None = None
    queue: Queue | None = None
    q: Line | None = Field(default=None, description="Words that stand in the text, in any case.")
    finding: Word | None = None
    author_kind: AuthorKind | None = None

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class NewAction(Body):
    """What to do to which sentences: named by `ids`, or all that match `where`."""

    kind: Kind
    actor: Line = Field(min_length=1, description="Who does it.")
    ids: list[SentenceId] = Field(default=[], max_length=MOST_NAMED)
    where: SentenceFilter | None = None
    text: Sentence | None = Field(default=None, description="Of an edit (of one sentence) or a new sentence.")
    class_name: Line | None = Field(default=None, alias="class", description="Of a new sentence, or a new one.")
    reason: Sentence | None = Field(
        default=None, description="not_visible, wrong, other_class, vague, repeats, other, or words of one's own."
    )
    seconds: Seconds | None = Field(default=None, description="From seeing the sentence to deciding.")
    revisions: dict[SentenceId, Revision] = Field(
        default={}, max_length=MOST_NAMED, description="What was seen; 409 names sentences that changed since."
    )
    approve: bool | None = Field(
        default=None, description="Approve what is edited or added at once; of a settlement, whether for or against."
    )
    blind: bool = Field(default=False, description="Tell only what a blind reader may know.")
    backbone: Word = Field(default="embedded", description=_TOWER)

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Undo(Body):
    """Which action to take back: the actor's newest unless named. The id of an undo does again what it took back."""

    actor: Line = Field(min_length=1)
    action_id: SentenceId | None = None
    blind: bool = False
    backbone: Word = Field(default="embedded", description=_TOWER)


class ClassReview(_OfClass):
    """Sentences of a class by state."""

    draft: int
    approved: int
    rejected: int
    needs_second_reader: int


class ReaderReview(Answer):
    """What a reader decided so far. low, high: Wilson's 95 % interval of planted_caught of planted_read."""

    reader: str
    decided: int
    approved: int
    rejected: int
    flagged: int
    median_seconds: float | None = None
    planted_read: int
    planted_caught: int
    low: float | None = None
    high: float | None = None


class ReviewSummary(Answer):
    """How far the review of a set is. Planted sentences are counted as any other."""

    classes: list[ClassReview]
    total: int
    readers: list[ReaderReview]
    queues: dict[str, int]
    planted: int = Field(description="Sentences planted wrong on purpose.")
    versions: int
    newest_version: int | None = None
    newest_signed: int | None = None
    undoable: DescriptionAction | None = None
    redoable: DescriptionAction | None = None


class NewVersion(Body):
    """Who freezes the sentences as they stand; signed: who vouches for them."""

    actor: Line = Field(min_length=1)
    note: Sentence = ""
    sign: bool = Field(default=False, description="Approved sentences alone, and never to be changed.")


class SavedVersion(Answer):
    """A version that was frozen, and what it holds."""

    version: int
    author: str
    note: str
    created_at: str | None = None
    signed_by: str | None = None
    signed_at: str | None = None
    sentences: int
    counts: dict[str, int] = Field(description="Sentences by class.")
    left_out: dict[str, int] = Field(description="Sentences that are not in it, by state.")


class SentenceOfVersion(_OfClass):
    """A sentence of a version. State and reason are those it had then, null where that is not known."""

    text: str
    id: str | None = Field(default=None, description="Null for versions older than sentences of their own.")
    state: str | None = None
    reason: str | None = None
    author: str | None = None
    revision: int | None = None


class RunOfVersion(Answer):
    """A run that was trained on a version."""

    id: str
    name: str
    method: str
    sealed_at: str | None = Field(default=None, description="Null while it is not finished.")


class VersionInFull(Answer):
    """A version that was frozen, with its sentences and what was trained on it."""

    version: int
    author: str
    note: str
    source: str
    created_at: str | None = None
    signed_by: str | None = None
    signed_at: str | None = None
    sentences: list[SentenceOfVersion]
    runs: list[RunOfVersion] = Field(description="The newest 50.")
    n_runs: int


class SentenceWording(_OfClass):
    """A sentence of one of the versions."""

    text: str


class EditedSentence(_OfClass):
    """A sentence in both versions, worded differently."""

    class_before: str
    before: str
    after: str


class StateChange(_OfClass):
    """A sentence in both versions that stands differently."""

    text: str
    before: str | None = None
    after: str | None = None


class VersionDiff(Answer):
    """What changed between two versions, or since one."""

    from_: str = Field(alias="from")
    to: str
    added: list[SentenceWording]
    removed: list[SentenceWording]
    edited: list[EditedSentence]
    state_changes: list[StateChange]

    model_config = ConfigDict(extra="allow", populate_by_name=True)


class NewPlanting(Body):
    """How many sentences to plant. The same seed draws the same ones."""

    actor: Line = Field(min_length=1)
    n: Annotated[int, Whole, Field(ge=1, le=MOST_PLANTED)] = 10
    seed: Annotated[int, Whole, Field(ge=0, le=LARGEST_COUNT)] = 1


class Planting(Answer):
    """The action that planted sentences or took them out."""

    action: DescriptionAction


class _Agreement(Answer):
    """Fractions; kappa, AC1 and alpha from -1 to 1. Null where not defined, intervals also below 10 sentences."""

    n: int = Field(description="Sentences decided about by both, or by several.")
    percent: float | None = Field(default=None, description="Share of equal decisions, from 0 to 1.")
    percent_low: float | None = None
    percent_high: float | None = None
    ac1: float | None = Field(default=None, description="Gwet's AC1.")
    ac1_low: float | None = None
    ac1_high: float | None = None


class _PairAgreement(_Agreement):
    kappa: float | None = Field(default=None, description="Cohen's kappa.")
    kappa_low: float | None = None
    kappa_high: float | None = None


class ClassAgreement(_PairAgreement):
    """Agreement of two readers about the sentences of a class."""

    class_name: str | None = Field(default=None, alias="class")

    model_config = ConfigDict(extra="allow", populate_by_name=True)


class PairAgreement(_PairAgreement):
    """Agreement of two readers, with 95 % intervals: bootstrap over sentences within classes."""

    a: str
    b: str
    per_class: list[ClassAgreement]
    disagreements: list[str] = Field(description="Ids of sentences the two decided about differently.")


class SeveralAgreement(_Agreement):
    """Agreement of more than two readers over sentences that at least two of them decided about."""

    readers: int
    alpha: float | None = Field(default=None, description="Krippendorff's alpha, nominal.")
    alpha_low: float | None = None
    alpha_high: float | None = None


class ReaderAgreement(Answer):
    """What a reader decided, and the share of other readers' decisions about the same sentences that are the same."""

    reader: str
    decided: int
    approved: int
    rejected: int
    flagged: int
    shared: int = Field(description="Sentences that somebody else decided about too.")
    percent: float | None = None


class CatchRate(Answer):
    """How many of the planted sentences a reader rejected or flagged, with Wilson's 95 % interval."""

    reader: str
    planted_read: int
    planted_caught: int
    low: float | None = None
    high: float | None = None


class Agreement(Answer):
    """How far readers agree about the wording of now. Settlements change no decision; planted sentences count apart."""

    readers: list[ReaderAgreement]
    pairs: list[PairAgreement]
    several: SeveralAgreement | None = None
    catch: list[CatchRate]


class FileToImport(Body):
    """The text of a file with sentences."""

    text: str = Field(description="JSON, CSV, or the Python file of a public repository, as its layout says.")
    name: Line = Field(min_length=1, description="Name of the file; its ending says the layout.")
    layout: Word | None = None
    actor: Line = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _fit(cls, data: Any) -> Any:
        """Ends of lines may be those of any system."""
        if isinstance(data, dict) and isinstance(data.get("text"), str):
            data = data | {"text": data["text"].replace("\r\n", "\n").replace("\r", "\n")}
        return fit_body(data)


class PackToAdd(Body):
    """Who adds a built-in pack."""

    actor: Line = Field(min_length=1)


class Added(Answer):
    """What came in."""

    action: DescriptionAction | None = Field(default=None, description="Null where the set had all of it.")
    added: int
    known: int = Field(description="Sentences the set had already.")


class Imported(Added):
    """What came in from a file."""

    layout: str
    other_classes: list[str] = Field(description="Classes of the file that the images do not have.")


class MethodsSection(Answer):
    """Text for a paper."""

    text: str
