"""Shapes of requests and answers about published numbers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.api.schemas import Answer, Body, Page
from app.api.values import Count, Id, Line, Sentence
from core.evaluation.published_file import MOST_BYTES, MOST_ROWS

Part = Literal["test", "base", "novel", "harmonic mean"]
Whose = Literal["authors", "re-run"]


class PublishedFile(Body):
    """Published numbers as the text of a CSV or TOML file; its name says which."""

    name: Line = "published.toml"
    text: str = Field(max_length=MOST_BYTES)


class NewPublishedResult(Body):
    """One published number with where it stands.

    value: a fraction, or a text in percent such as "72.4 %". shots: images per class, or "all". whose: its authors ran
    the method, or run_by did. image_set: the name the data set has here, if somebody says so.
    """

    method: Line
    data_set: Line
    value: float | Line
    shots: int | Literal["all"]
    whose: Whose
    source: Sentence
    place: Sentence
    metric: Line = "accuracy"
    part: Part = "test"
    protocol: Line = "few-shot"
    share: float | None = None
    seeds: Count | None = None
    n_test: Count | None = None
    backbone: Line | None = None
    run_by: Sentence | None = None
    h_definition: Sentence | None = None
    deviations: Sentence | None = None
    fingerprint: Line | None = None
    image_set: Line | None = None


class NewPublishedResults(Body):
    """Published numbers given one by one; all of them are kept or none."""

    results: list[NewPublishedResult] = Field(min_length=1, max_length=MOST_ROWS)


class PublishedImport(Answer):
    """What came of it: added are new, known were kept already."""

    added: int
    known: int
    ids: list[str | int]


class PublishedMatch(Body):
    """The image set here that a published number is of. n_test: on other images of that data set, and how many."""

    image_set: Id
    n_test: Count | None = None


class PublishedResult(Answer):
    """A published number. value: a fraction. shots: null for all. h_is: what a "harmonic mean" is instead of one."""

    id: str | int
    method: str
    data_set: str
    image_set: str | None = None
    fingerprint: str | None = None
    metric: str
    value: float
    decimals: int
    part: str
    protocol: str
    shots: int | None = None
    share: float | None = None
    seeds: int | None = None
    n_test: int | None = None
    backbone: str | None = None
    whose: Whose
    run_by: str | None = None
    source: str
    place: str
    h_definition: str | None = None
    deviations: str | None = None
    h_is: str = ""


class PublishedResultList(Page):
    """Published numbers by method and data set."""

    items: list[PublishedResult]
