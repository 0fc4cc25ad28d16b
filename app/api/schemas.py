"""Shapes of requests and answers, for validation and the OpenAPI page. Services return the same as plain dicts."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    model_validator,
)

from app.api.values import LARGEST_COUNT, Count, Id, Line, NoBool, Number, Sentence, Whole, Word, fit_body

DISCLAIMER = "Research use only. Not for use in diagnostic procedures."

MOST_CLASSES = 2000
MOST_SENTENCES = 1000
MOST_OPTIONS = 200

Probability = Annotated[float, Field(ge=0, le=1)]


class Answer(BaseModel):
    """Base of every answer. Services may add fields; none is cut off."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="wrap")
    @classmethod
    def _keep_what_can_be_read(cls, data: Any, read: ValidatorFunctionWrapHandler) -> Any:
        """A record that was damaged outside this program is shown without what cannot be read, and says so.

        The fields become null and are named in `unreadable`; otherwise one such record would hide a whole list.
        """
        try:
            return read(data)
        except ValidationError as error:
            fields = sorted({str(item["loc"][0]) for item in error.errors() if item["loc"]})
            if not isinstance(data, dict) or not fields:
                raise
            return _construct(cls, data, fields)


def _construct(kind: type[Answer], data: dict[str, Any], unreadable: list[str]) -> Answer:
    known = {field.alias or name: name for name, field in kind.model_fields.items()}
    kept = {
        key: _reader(kind, known[key]).validate_python(value) if key in known and key not in unreadable else value
        for key, value in data.items()
    }
    marked = sorted({*data.get("unreadable", []), *unreadable})
    return kind.model_construct(**kept | dict.fromkeys(unreadable) | {"unreadable": marked})


@cache
def _reader(kind: type[Answer], name: str) -> TypeAdapter[Any]:
    shape: Any = kind.model_fields[name].annotation
    return TypeAdapter(shape)


class Body(BaseModel):
    """Base of every request body. Unknown fields are refused, so that a misspelt one is not silently ignored."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _fit(cls, data: Any) -> Any:
        return fit_body(data)


class ErrorDetail(Answer):
    """What was expected, what was found, what to do; `code` is stable for programs."""

    code: str
    message: str
    expected: str
    found: str
    remedy: str


class ErrorAnswer(Answer):
    """The one shape of every error."""

    error: ErrorDetail


class Page(Answer):
    """Where a list stands: `total` items match, `limit` at most are shown from `offset` on."""

    total: int
    limit: int
    offset: int


class Problem(Answer):
    """One refused file and why."""

    file: str
    problem: str
    expected: str
    found: str


class ClassCount(Answer):
    """Images of one class in each part. `label` is its number in the order of classes."""

    name: str
    label: int
    train: int
    val: int
    test: int


class ImageSetInShort(Answer):
    """Labelled images in parts, and how many files were refused while reading them."""

    id: str | int
    name: str
    modality: str | None = None
    source: Literal["upload", "folder", "demo"]
    drawn: bool = Field(description="True for phantoms drawn by this program: not patient images.")
    fingerprint: str
    created_at: str
    n_images: int
    classes: list[ClassCount]
    n_problems: int
    notes: list[str]


class ImageSet(ImageSetInShort):
    """An image set with the first of its problems; /image-sets/{id}/problems lists all of them, a page at a time."""

    problems: list[Problem]


class ImageSetList(Page):
    """Image sets in short, newest first."""

    items: list[ImageSetInShort]


class Windowing(Answer):
    """Which values of a file of more than 8 bits became black and white; each picture is shown by its own range.

    low, high: shown as 0 and 255, the other way round where `inverted`. padding: values that belong to no picture.
    """

    low: float
    high: float
    source: Literal["data", "type"]
    bits: int
    kind: Literal["unsigned", "signed", "float"]
    declared_bits: int | None = None
    inverted: bool
    padding: list[float | str]
    sentence: str


class PictureFinding(Answer):
    """What a readable picture lacks, so that an answer for it means little."""

    problem: Literal["constant", "low_contrast", "transparent", "not_finite"]
    expected: str
    found: str
    sentence: str


class Image(Answer):
    """One image of a set. Its picture is at /api/v1/images/{id}/file."""

    id: str | int
    image_set_id: str | int | None = None
    name: str
    class_: str | None = Field(default=None, alias="class")
    part: str | None = None
    group: str | None = None
    width: int
    height: int
    sha256: str
    has_mask: bool = False
    windowing: Windowing | None = Field(default=None, description="Null where the file has 8 bits a sample.")
    findings: list[PictureFinding] = []

    model_config = ConfigDict(extra="allow", populate_by_name=True)


class GroupColumn(Answer):
    """A column of a table that could say which images belong together."""

    column: str
    table: str
    n_groups: int = Field(description="Different values.")
    n_images: int = Field(description="Rows with a value.")
    usual: bool = Field(description="Recognised by its name.")


class LabelColumn(Answer):
    """A column of a table that could name the classes."""

    column: str
    table: str
    n_classes: int = Field(description="Different values.")
    n_images: int = Field(description="Rows with a value.")
    usual: bool = Field(description="Recognised by its name.")


class TableColumns(Answer):
    """A table, and which of its columns names the files and which the classes."""

    name: str
    columns: list[str]
    path: str | None = None
    label: str | None = None
    used: bool = Field(description="Whether the classes come from it.")


class RecognisedColumns(Answer):
    """How files would be read with their tables.

    label: the column that names the classes. group: the one that keeps images of one patient together.
    """

    classes: list[str]
    n_images: int
    label: str | None = Field(default=None, description="Null where folders or several columns name the classes.")
    labels: list[LabelColumn]
    group: str | None = None
    groups: list[GroupColumn]
    tables: list[TableColumns]
    notes: list[str]
    problem: str | None = Field(default=None, description="Why they could not be read.")


class ImageList(Page):
    """Images of a set."""

    items: list[Image]


class ProblemList(Page):
    """Refused files of a set."""

    items: list[Problem]


class DescriptionVersion(Answer):
    """One saved state of a description set."""

    version: int
    created_at: str
    author: str | None = None
    note: str | None = None
    signed_by: str | None = Field(default=None, description="Who vouches for it; null where nobody signed.")
    signed_at: str | None = None


class DescriptionSetInShort(Answer):
    """A description set in its newest version, without its sentences."""

    id: str | int
    name: str
    image_set_id: str | int | None = None
    version: int | None = Field(default=None, description="Null while no version of its sentences was saved.")
    source: str | None = None
    fingerprint: str | None = None
    signed_by: str | None = Field(default=None, description="Who vouches for this version; null where nobody signed.")
    signed_at: str | None = None


class DescriptionSet(DescriptionSetInShort):
    """Sentences per class in one version, and where they come from."""

    versions: list[DescriptionVersion]
    sentences: dict[str, list[str]]


class DescriptionSetList(Page):
    """Description sets in short, by name."""

    items: list[DescriptionSetInShort]


class DescriptionVersionList(Page):
    """Versions of a description set, newest last."""

    items: list[DescriptionVersion]


class NewDescriptionVersion(Body):
    """Sentences to save as a new version of the set with this name (made if there is none).

    Without sentences an empty set is made, for sentences that are still to be written.
    """

    image_set_id: Id
    name: Line = Field(min_length=1)
    sentences: dict[Line, Annotated[list[Sentence], Field(max_length=MOST_SENTENCES)]] | None = Field(
        default=None, max_length=MOST_CLASSES
    )
    author: Line = ""
    source: Line = "api"
    based_on: Number | None = Field(
        default=None, description="The version that was edited; 409 if it is not the newest."
    )


class DescriptionsToCheck(Body):
    """A saved description set to check, in its newest or a given version."""

    id: Id
    version: Count | None = None


class Finding(Answer):
    """Something a reader should look at in a sentence."""

    class_name: str | None = Field(default=None, alias="class")
    sentence: str = ""
    finding: str
    detail: str = ""

    model_config = ConfigDict(extra="allow", populate_by_name=True)


class FindingList(Page):
    """Findings of a check."""

    items: list[Finding]


class DescriptionPack(Answer):
    """Built-in sentences about the classes of a public image set, drafted by a language model."""

    name: str
    title: str
    modality: str
    status: str = Field(description="Who wrote the sentences and whether a clinician reviewed them.")
    note: str
    licence: str
    classes: list[str]
    sentences: int = Field(description="How many there are in all.")


class DescriptionPackList(Page):
    """Built-in packs."""

    items: list[DescriptionPack]


class DescriptionPackSentences(DescriptionPack):
    """A pack with its sentences, which can be saved as a version of a description set."""

    sentences: dict[str, list[str]]  # type: ignore[assignment]
    source: str


class DescriptionLayout(Answer):
    """How files hold sentences."""

    name: str
    title: str
    suffix: str


class DescriptionLayoutList(Page):
    """Layouts of files."""

    items: list[DescriptionLayout]


class Sentences(Answer):
    """Sentences per class, unsaved."""

    sentences: dict[str, list[str]]


class Method(Answer):
    """A method's card."""

    name: str
    title: str
    summary: str
    paper: str
    code: str
    licence: str
    needs: list[str]
    trains: str
    image_path: Literal["frozen", "prompted", "trained"]
    learns_words: bool = Field(default=False, description="Words of the class sentences are learned.")
    per_image_text: bool = Field(default=False, description="The class sentences depend on the image.")
    variants: list[str]
    starter: str | None = None
    starter_place: int | None = None
    is_baseline: bool
    is_simple: bool = Field(
        default=False, description="A head on frozen features and no more; what is called better has to beat it too."
    )


class MethodOption(Answer):
    """One option of a method, with the default in force for the backbone asked about."""

    name: str
    type: str
    optional: bool
    default: Any = None
    unit: str | None = None
    bounds: list[float] | None = None
    choices: list[str] | None = None
    help: str | None = None
    advanced: bool | None = None


class MethodWithOptions(Method):
    """A method's card, its options and its presets."""

    options: list[MethodOption]
    presets: dict[str, Any] | list[Any]


class MethodList(Page):
    """Methods by name."""

    items: list[Method]


class Recipe(Answer):
    """Published settings of a method for one data set and protocol, in short."""

    name: str
    method: str
    source: str
    data_set: str
    protocol: str
    title: str
    modality: str
    backbone: str
    hash: str


class RecipeInFull(Recipe):
    """A recipe with what it sets. shots: null among them takes all images; empty lists where they play no part.

    options: what the publication states. values: all options of a run that follows it. to_be_given: options that
    whoever follows it fills in.
    """

    options: dict[str, Any]
    values: dict[str, Any]
    to_be_given: list[str]
    shots: list[int | None]
    seeds: list[int]
    classes: list[str]
    novel_classes: list[str]
    sentences_per_class: int | None = None
    provenance: dict[str, str]
    notes: list[str]


class RecipeList(Page):
    """Recipes by method and source."""

    items: list[Recipe]


class Deviation(Answer):
    """What a run does otherwise than its recipe."""

    name: str
    recipe: Any = None
    used: Any = None


class FollowedRecipe(Answer):
    """The recipe a run follows, as it was, and where the run leaves it."""

    name: str
    hash: str
    deviations: list[Deviation]
    notes: list[str]


class Backbone(Answer):
    """A dual encoder known by name, and whether its weights are here."""

    name: str
    title: str
    available: bool
    checksum: str | None = None
    licence: str | None = None
    note: str | None = None


class BackboneList(Page):
    """Backbones by name."""

    items: list[Backbone]


class TrainingRequest(Body):
    """What to train: one run of one method.

    Options left out are those of the recipe, or the preset of method, variant and backbone.
    """

    image_set: Id = Field(description="Id or name of a stored image set.")
    method: Word | None = Field(default=None, description="May be left out beside a recipe.")
    recipe: Word | None = Field(default=None, description="Published settings to follow, by name.")
    backbone: Word = "embedded"
    variant: Literal["default", "paper", "reference"] = "default"
    shots: Count | None = Field(default=16, description="Training images per class; null takes all.")
    seed: Number = 1
    epochs: Count | None = None
    views: Count | None = None
    options: dict[Word, Any] = Field(default_factory=dict, max_length=MOST_OPTIONS)
    description_set: Id | None = None
    description_version: Count | None = None
    modality: Line | None = None
    template: Sentence | None = None
    allow_leakage: bool = False
    name: Line | None = None


class JobSubmission(Body):
    """One or many runs to queue. All are checked before any is queued."""

    requests: list[TrainingRequest] = Field(min_length=1, max_length=500)


class Attempt(Answer):
    """One try at a job."""

    number: int
    state: str
    pid: int | None = None
    started_at: str | None = None
    finished_at: str | None = None
    error: Any = None


class CellCounts(Answer):
    """How many cells of an experiment are in each state."""

    waiting: int
    running: int
    done: int
    failed: int


class Job(Answer):
    """A job: its state, how far it is, and its attempts. Times in seconds.

    Of a training it names the run, of an experiment that: done and total then count cells, cells how many of it are in
    each state, and note names the one at work. Of a task about descriptions (kind write or evidence) it names the task
    and the description set; done and total then count its parts, such as classes. Of a batch of explanations (kind
    explain) it names the batch and the images; done and total then count images times conditions.
    """

    id: str | int
    kind: str
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    run_id: str | int | None = None
    experiment_id: str | int | None = None
    cells: CellCounts | None = None
    description_task_id: str | None = None
    explanation_batch_id: str | None = None
    image_set: Named | None = None
    description_set: Named | None = None
    label: str
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None
    stage: str | None = None
    done: int | None = None
    total: int | None = None
    epoch: int | None = None
    epochs: int | None = None
    seconds_per_epoch: float | None = None
    seconds_left: float | None = None
    note: str | None = None
    heartbeat_age_s: float | None = None
    queue_position: int | None = None
    error: dict[str, Any] | None = None
    attempts: list[Attempt] = []


class JobList(Page):
    """Jobs, newest first."""

    items: list[Job]


class JobLog(Answer):
    """The log of a job's attempts as text."""

    id: str | int
    log: str


class EpochMetric(Answer):
    """Loss and rate of one epoch."""

    epoch: int
    loss: float | None = None
    terms: dict[str, float] | None = None
    learning_rate: float | None = None
    train_accuracy: float | None = None


class EpochMetricList(Page):
    """Epochs of a run in order."""

    items: list[EpochMetric]


class LeakCount(Answer):
    """Test images of one kind, of how many, and how many because of images that this run used."""

    test_images: int
    of: int
    by_drawn: int


class Leakage(Answer):
    """What stands on both sides of the split, counted whether it was allowed or not.

    found: something makes the metrics too good. doubts: near duplicates and like names, a warning only.
    """

    allowed: bool
    found: bool | None
    sentence: str
    exact_copies: LeakCount | None = None
    near_duplicates: LeakCount | None = None
    shared_groups: LeakCount | None = None
    shared_names: LeakCount | None = None
    doubts: int | None = None
    groups: int | None = None
    two_classes: int | None = None


class CalibrationError(Answer):
    """Distance of stated from observed shares over bins of equal mass, beside what a calibrated model would show.

    square: debiased, may be negative; root: null then.
    """

    value: float
    n: int
    bins: int
    expected: float
    expected_high: float | None = Field(description="Null where several images are of one group (patient), as is p.")
    p: float | None
    square: float
    root: float | None = None


class MeasuredCalibration(Answer):
    """Proper scores and the calibration error of the test part, and the temperature it would choose itself."""

    brier: float
    brier_skill: float | None = None
    log_loss: float
    error: CalibrationError
    test_temperature: float
    slope: float
    sentence: str


class ClassSets(Answer):
    """Sets of the test images of one class: how many held it, with Wilson's 95 %, and their mean size."""

    class_: str = Field(alias="class")
    n: int
    coverage: float | None = None
    low: float | None = None
    high: float | None = None
    size: float | None = None

    model_config = ConfigDict(extra="allow", populate_by_name=True)


class SetCoverage(Answer):
    """What sets did on the test part. single, empty, full: shares of sets with one class, none and all."""

    n: int
    coverage: float
    low: float
    high: float
    size: float
    single: float
    empty: float
    full: float
    per_class: list[ClassSets]


class MeasuredTrust(Answer):
    """Null where there are no sets or no distances. called_outside: share of test images, which are none."""

    sets: SetCoverage | None = None
    called_outside: float | None = None


class PredictionSets(Answer):
    """Sets that hold the true class with `level`, and how they were calibrated.

    n: calibration images, one of each patient. smallest_alpha: 1 / (n + 1). unlucky: coverage that 1 of 20 draws of
    these images stays below. doubt: why the promise may not hold. distances: images behind p of `outside`.
    """

    level: float
    how: str
    n: int
    needed: int
    highest_level: float
    smallest_alpha: float
    reason: str | None = None
    guarantee: str | None = None
    unlucky: float | None = None
    doubt: str | None = None
    distances: int
    measured: MeasuredTrust | None = None
    sentence: str


class Calibration(Answer):
    """Validation images behind the probabilities, how far to trust them, and what these images chose besides.

    measured: what the test part says of them; null for runs recorded before it was measured. sets: prediction sets of
    90 %, or the reason why there are none; null for runs of experiments and older ones.
    """

    n: int
    note: str
    also_chose: list[str]
    measured: MeasuredCalibration | None = None
    sets: PredictionSets | None = None


class Interval(Answer):
    """Where a number lies with 95 %, how that was made and what it would vary with; null where it is not known.

    claim: what it holds for, in words, such as "this trained model on new images".
    """

    low: float | None = None
    high: float | None = None
    n: int
    interval: str
    over: str | None = None
    claim: str | None = None


class Named(Answer):
    """A reference to something by id, with its name for people."""

    id: str | int | None = None
    name: str | None = None


class RunPart(Answer):
    """What a run gave on one part: its own names, how many images, and the numbers. chance: accuracy of guessing."""

    classes: list[str] = []
    n_test: int | None = None
    metrics: dict[str, float | None] = {}
    chance: float | None = None
    majority: float | None = None


class DescriptionUse(Answer):
    """The version of a description set that something was trained on, beside what the set has now."""

    set_id: str
    set: str
    version: int
    signed_by: str | None = None
    newest: int = Field(description="The set's newest version now.")
    newest_signed: int | None = None
    sentence: str = Field(description="The same in words.")


class Run(Answer):
    """One training and everything needed to repeat it. Metrics are fractions; null until finished."""

    id: str | int
    name: str | None = None
    job_id: str | int | None = None
    state: str
    method: str
    method_title: str | None = None
    backbone: str
    variant: str
    recipe: FollowedRecipe | None = None
    image_set: Named | None = None
    shots: int | None = None
    share: float | None = Field(default=None, description="Of the labels, where the protocol takes shares.")
    seed: int
    protocol: str = "few-shot"
    precision: str | None = Field(default=None, description="Of the towers' arithmetic; null of older runs.")
    options: dict[str, Any]
    metrics: dict[str, float | None] | None = None
    description_version: DescriptionUse | None = Field(
        default=None, description="Null where it was trained on template sentences or a file."
    )
    parts: dict[str, RunPart] | None = Field(
        default=None, description="What each part of its protocol gave, the ranked one first; of runs of experiments."
    )
    intervals: dict[str, Interval] | None = Field(default=None, description="Of this model, over its test images.")
    leakage: Leakage | None = None
    known_classes: list[str] | None = Field(
        default=None, description="Classes that the backbone's text side had learned from labelled images."
    )
    calibration: Calibration | None = None
    notes: list[str] = []
    disclaimer: str = DISCLAIMER


class RunList(Page):
    """Runs, newest first, without versions, confusion matrix, numbers per class and epochs."""

    items: list[Run]
    disclaimer: str = DISCLAIMER


class ClassNumbers(Answer):
    """One class: test images, and means over the runs of what is defined."""

    class_: str = Field(alias="class")
    n: int
    recall: float | None = None
    precision: float | None = None
    f1: float | None = None
    auroc: float | None = None

    model_config = ConfigDict(extra="allow", populate_by_name=True)


class ReliabilityBin(Answer):
    """Answers of one range of stated probability, ranges of equal counts: how sure they were and how often right.

    accuracy_low, accuracy_high: Wilson, 95 %, over images. expected_low, expected_high: where the share right of a
    calibrated model would lie in 95 % of draws. All four are null where several images are of one group (patient).
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float
    accuracy_low: float | None
    accuracy_high: float | None
    expected_low: float | None
    expected_high: float | None


class RunSummary(Answer):
    """Answers of several runs on one part, usually the seeds of one line, counted together.

    confusion: by true class (rows) and answer (columns). Numbers of classes, `ece`, `brier` and `log_loss` are means
    of the runs; `calibration_error` is null for several runs.
    """

    part: str
    parts: list[str]
    classes: list[str]
    n_runs: int
    n_images: int
    grouped: bool = Field(description="Whether several images are of one group (patient).")
    confusion: list[list[int]]
    per_class: list[ClassNumbers]
    ece: float
    brier: float
    log_loss: float
    calibration_error: CalibrationError | None = None
    reliability: list[ReliabilityBin]
    disclaimer: str = DISCLAIMER


class AnsweredImage(Answer):
    """An image of one class and what runs called it. image_id: null once the image is deleted."""

    image_id: str | int | None = None
    file: str
    group: str | None = None
    label: str
    predicted: str
    n_runs: int = Field(description="Of the runs asked about, those that gave this answer.")
    probability: float = Field(description="What these runs stated for their answer, on average.")


class AnsweredImageList(Page):
    """Images behind one number of a confusion matrix, those that most runs answered so first."""

    items: list[AnsweredImage]
    disclaimer: str = DISCLAIMER


class ComparisonGroup(Answer):
    """Runs that may be compared: same images, backbone and shots."""

    rows: list[dict[str, Any]]
    leakage: Leakage | None = None
    known_classes: list[str] = []
    warnings: list[str] = Field(default=[], description="What makes all numbers of the group too good.")
    verdict: dict[str, Any] = Field(
        default={}, description="Which row is best, and whether paired differences to each other one lie above zero."
    )


class Comparison(Answer):
    """Runs in groups of like with like, zero-shot among the rows where it was run."""

    groups: list[ComparisonGroup]
    notes: list[str] = []
    tested: bool = Field(default=True, description="Whether with what needs the answers to single images.")
    disclaimer: str = DISCLAIMER


class Model(Answer):
    """A trained model and the data it was made from."""

    id: str | int
    run_id: str | int | None = None
    name: str | None = None
    method: str
    method_title: str | None = None
    is_baseline: bool = False
    backbone: str
    classes: list[str]
    image_set: Named | None = None
    shots: int | None = None
    seed: int | None = None
    metrics: dict[str, float | None] | None = None
    intervals: dict[str, Interval] | None = None
    leakage: Leakage | None = None
    allowed_leakage: bool = False
    known_classes: list[str] | None = None
    calibration: Calibration | None = None
    description_version: DescriptionUse | None = Field(
        default=None, description="Null where it was trained on template sentences or a file."
    )
    created_at: str
    disclaimer: str = DISCLAIMER


class ModelList(Page):
    """Models, newest first."""

    items: list[Model]
    disclaimer: str = DISCLAIMER


class NearImage(Answer):
    """A training image near a classified one. distance: 1 - cosine. image_id: null once it or the model is deleted."""

    file: str
    sha256: str
    class_: str = Field(alias="class")
    distance: float
    image_id: str | int | None = None

    model_config = ConfigDict(extra="allow", populate_by_name=True)


class Outside(Answer):
    """How unlike the images a model learned from an image is.

    score: distance to the nearest of them (the fifth nearest from 50 on). p: how many images kept aside are at least as
    far, small for a stranger; null where there are none.
    """

    score: float
    p: Probability | None = None
    nearest: list[NearImage]


class ClassifiedImage(Answer):
    """One image's predicted class and the probability of each.

    set: classes that hold the true one with 90 %, null with the reason in `set_reason`. abstain: why the model should
    be silent, or null. outside: null for models that keep nothing of their training images.
    """

    file: str
    image_id: str | int | None = None
    label: str
    probabilities: dict[str, Probability]
    set: list[str] | None = None
    set_reason: str | None = None
    abstain: str | None = None
    outside: Outside | None = None
    windowing: Windowing | None = None
    findings: list[PictureFinding] = []


class ClassificationInShort(Answer):
    """How many images were classified by which model, and when. model_id: null once the model is deleted."""

    id: str | int
    model_id: str | int | None = None
    model_name: str
    created_at: str
    n_images: int
    n_problems: int
    disclaimer: str = DISCLAIMER


class Classification(ClassificationInShort):
    """Images classified by one model in one go; unreadable files stand in `problems`."""

    images: list[ClassifiedImage]
    problems: list[Problem]
    description_version: DescriptionUse | None = Field(
        default=None, description="That the model was trained on; null without one or once the model is deleted."
    )


class ClassificationList(Page):
    """Classifications in short, newest first."""

    items: list[ClassificationInShort]
    disclaimer: str = DISCLAIMER


class NewExplanation(Body):
    """Which image to look at with which model, and for which class (the predicted one if left out)."""

    model_id: Id
    image_id: Id
    class_name: Line | None = Field(default=None, alias="class")
    region_id: Id | None = Field(default=None, description="Measure maps against this region of the image.")

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class ExplanationInShort(Answer):
    """Which model was asked about which image, for which class."""

    id: str | int
    model_id: str | int
    image_id: str | int
    class_: str | None = Field(default=None, alias="class")
    disclaimer: str = DISCLAIMER

    model_config = ConfigDict(extra="allow", populate_by_name=True)


class Explanation(ExplanationInShort):
    """Where the model looks: maps, attention per layer, what-if numbers and how far the map can be trusted."""

    maps: list[dict[str, Any]]
    windowing: Windowing | None = None
    findings: list[PictureFinding] = []


class ExplanationList(Page):
    """Explanations in short, newest first."""

    items: list[ExplanationInShort]
    disclaimer: str = DISCLAIMER


class Estimate(Answer):
    """How long a training will take and what it will use."""

    seconds: float | None = None
    n_train: int
    n_val: int
    n_test: int
    notes: list[str]


MOST_VALUES = 200
"""Values of one key of an experiment: image sets, methods, seeds, ..."""
Words = Annotated[list[Word], Field(max_length=MOST_VALUES)]
Amount = Annotated[int, Whole, Field(ge=1, le=LARGEST_COUNT)] | Literal["all"]


Share = Annotated[float, NoBool, Field(gt=0, le=100)]


class NewExperiment(Body):
    """The values of an experiment file. What is left out takes the default of the file.

    A list as the value of an option stands for one line of the comparison a value.
    """

    name: Line
    images: Words | Word = Field(description="Image sets, by id or name.")
    methods: Words | Word | None = None
    recipes: Words | Word | None = Field(default=None, description="Published settings, each a line of its own.")
    variant: Literal["default", "paper", "reference"] | None = None
    backbone: Word | None = None
    protocol: Literal["few-shot", "base-to-novel", "cross-set", "full", "realistic"] | None = None
    shots: Annotated[list[Amount], Field(max_length=MOST_VALUES)] | Amount | None = Field(
        default=None, description='Training images per class, or "all".'
    )
    shares: Annotated[list[Share], Field(max_length=MOST_VALUES)] | Share | None = Field(
        default=None, description="Of the labels, for the protocol full: fractions, or percent above 1."
    )
    seeds: Annotated[list[Number], Field(max_length=MOST_VALUES)] | Number | None = None
    base_classes: Annotated[list[Line], Field(max_length=MOST_CLASSES)] | None = None
    target_images: Words | Word | None = Field(default=None, description="For the protocol cross-set.")
    descriptions: Words | Word | None = Field(
        default=None, description='Wordings to compare, by name; "templates" for sentences made from names.'
    )
    modality: Line | None = None
    template: Sentence | None = None
    epochs: Count | None = None
    views: Count | None = None
    metric: Word | None = Field(default=None, description="The one that is ranked by.")
    compare_to: Line | None = Field(
        default=None, description="The line others are held against; without it all pairs are."
    )
    controlled: bool | None = Field(default=None, description="Equal updates, batches and crops for all.")
    updates: Count | None = None
    allow_leakage: bool | None = None
    options: dict[Word, dict[Word, Any]] | None = Field(default=None, max_length=MOST_OPTIONS)
    start: bool = Field(default=True, description="Queue it at once.")


class ExperimentFile(Body):
    """An experiment as the text of its TOML file."""

    toml: str = Field(max_length=200_000)
    start: bool = Field(default=True, description="Queue it at once.")


class ExperimentJob(Answer):
    """The job that works on an experiment, or did last.

    note: the cell at work. waits: what a queued one waits for, in a sentence.
    """

    id: str | int
    state: str
    note: str | None = None
    waits: str | None = None
    seconds_left: float | None = None


class ExperimentInShort(Answer):
    """A comparison: which lines are trained on which images, how often, and how far it is.

    state: queued, running, waiting (nobody works on what is left), done, or failed (done, but cells failed).
    """

    id: str | int
    name: str
    protocol: str
    backbone: str
    hash: str
    created_at: str
    state: Literal["queued", "running", "waiting", "done", "failed"]
    cells: CellCounts
    n_cells: int
    job: ExperimentJob | None = None
    disclaimer: str = DISCLAIMER


class ExperimentList(Page):
    """Experiments in short, newest first."""

    items: list[ExperimentInShort]
    disclaimer: str = DISCLAIMER


class ExperimentRow(Answer):
    """One line at one number of training images on one image set, or on the mean over sets (image_set null).

    low, high: what `interval` says it is over. values: the ranked number of each seed. difference: {against, mean, low,
    high, p, p_holm, ...} to the line it is held against. beats: whether the paired intervals to zero-shot and to the
    best simple baseline lie above zero; null where that was not compared. rank: the first and last it can have.
    published: [{whose, source, place, value, ours, n, k, seeds, low, high, mark, sentence, notes}], numbers of others.
    """

    image_set: str | None = None
    method: str
    line: str
    shots: int | None = None
    share: float | None = None
    metric: str
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    interval: str
    claim: str | None = None
    n_seeds: int
    seeds: list[int]
    values: list[float] = []
    role: Literal["baseline", "best simple"] | None = None
    rank: list[int] | None = None
    difference: dict[str, Any] | None = None
    beats: bool | None = None
    metrics: dict[str, float | None] = {}
    parts: dict[str, Any] = {}
    leakage: Leakage | None = None
    known_classes: list[str] = []
    published: list[dict[str, Any]] = []
    description_versions: list[DescriptionUse] = Field(
        default=[], description="Those its runs were trained on; several only in the mean over sets."
    )
    notes: list[str] = []


class Experiment(ExperimentInShort):
    """An experiment with what is finished of it. titles: what people call each line. rank_tests: ranks of the lines
    over image sets at each number of training images, tested from five sets on, and why not where there are fewer.

    Without its rows (`rows=false`) it has `states` instead, a letter for each cell in order: w(aiting), r(unning),
    d(one), f(ailed), and `leakage`, the worst of its finished cells by image set.
    """

    spec: dict[str, Any]
    sources: dict[str, Any] = {}
    titles: dict[str, str] = {}
    rows: list[ExperimentRow] | None = None
    rank_tests: list[dict[str, Any]] = []
    states: str | None = None
    leakage: dict[str, Leakage] = {}
    notes: list[str] = []


class ExperimentCell(Answer):
    """One training of an experiment. run: its result; reused: it was there already."""

    id: str | int
    position: int
    state: Literal["waiting", "running", "done", "failed"]
    image_set: str
    line: str
    method: str
    shots: int | None = None
    share: float | None = None
    seed: int
    descriptions: str | None = None
    description_version: DescriptionUse | None = None
    run: str | int | None = None
    reused: bool = False
    attempts: int = 0
    metrics: dict[str, float | None] | None = None
    parts: dict[str, Any] = {}
    seconds: float | None = None
    error: ErrorDetail | None = None
    notes: list[str] = []


class ExperimentCellList(Page):
    """Cells of an experiment in order."""

    items: list[ExperimentCell]
    disclaimer: str = DISCLAIMER


class PairMatrix(Answer):
    """Each line against each other; null where lines of the protocol are not compared in pairs."""

    matrix: dict[str, Any] | None = None
    disclaimer: str = DISCLAIMER


class ExperimentLine(Answer):
    """A line of a comparison: what `compare_to` takes, and what people call it."""

    name: str
    title: str


class ExperimentEstimate(Answer):
    """How many cells an experiment has, and what they take, judged by earlier runs here or by a few steps.

    low, high: seconds between which it probably lies. shared: those of them that are spent once, whatever the number of
    cells, on features of pictures, the search for leakage and the start. unknown: methods left out, measuring: those of
    them that are being timed, or "this machine" where what cells share is.
    """

    n_cells: int
    seconds: float | None = None
    low: float | None = None
    high: float | None = None
    shared: float = 0.0
    peak_mb: float | None = None
    unknown: list[str] = []
    measuring: list[str] = []
    by_timing: list[str] = []
    lines: list[ExperimentLine] = []
    sentence: str


class ExperimentText(Answer):
    """An experiment as the text of the TOML file that gives it again."""

    name: str
    toml: str


class Deleted(Answer):
    """What was deleted."""

    deleted: str | int


class Health(Answer):
    """Whether the server (health) and what it depends on (ready) answer."""

    status: Literal["ok", "unavailable"]
