"""What many runs said of single images, read column by column: hundreds of thousands of answers at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Text, cast, func, literal, select
from sqlalchemy.orm import Session

from core.evaluation.stated import Stated, stated_of
from core.records.tables import PredictionRow
from core.records.types import read_json_column
from core.text import REPLACEMENT

RUNS_PER_QUERY = 500
BETWEEN, NO_GROUP = "\x1f", "\x1e"
"""Between joined values, and in place of no group: characters that JSON writes as six others."""


@dataclass(frozen=True)
class AnswerColumns:
    """What a run said of the images of one part, a value each.

    groups: None where unknown. predicted: the most probable class. Runs of one image set share `files`, `groups` and
    `labels` as one object each. stated: probabilities, a row an image.
    """

    files: tuple[str, ...]
    groups: tuple[str | None, ...]
    labels: tuple[str, ...]
    predicted: tuple[str, ...]
    stated: Stated


def read_answers(
    session: Session, run_ids: Sequence[str], parts: Sequence[str] | None = None
) -> Iterator[tuple[str, dict[str, AnswerColumns]]]:
    """(run, {part: columns}) of each run that has answers, in their order. parts: the only ones that are read.

    The database joins each column of a run to one text, and what runs have in common is taken apart once.
    """
    columns = _Columns()
    wanted = list(dict.fromkeys(run_ids))
    for start in range(0, len(wanted), RUNS_PER_QUERY):
        some = wanted[start : start + RUNS_PER_QUERY]
        for run_id, of_run in groupby(_joined_rows(session, some, parts), key=itemgetter(0)):
            found = {}
            for _, part, *texts in of_run:
                # a joining character that stands in a name makes one value two: this run is read again without it
                own = columns.read(*texts) or columns.read(*_without_joining_characters(session, run_id, part))
                if own is not None:
                    found[part] = own
            yield run_id, found


def _joined_rows(session: Session, run_ids: Sequence[str], parts: Sequence[str] | None) -> Any:
    row = PredictionRow
    query = select(row.run_id, row.part, *_joined(*_words())).where(row.run_id.in_(run_ids))
    query = query if parts is None else query.where(row.part.in_(parts))
    return session.connection().execute(query.group_by(row.run_id, row.part).order_by(row.run_id, row.part))


def _without_joining_characters(session: Session, run_id: str, part: str) -> Any:
    words = [func.replace(each, BETWEEN, REPLACEMENT) for each in _words()]
    row = PredictionRow
    query = select(*_joined(*words)).where(row.run_id == run_id, row.part == part)
    return session.connection().execute(query).one()


def _words() -> tuple[Any, ...]:
    row = PredictionRow
    return row.file, func.coalesce(row.group_name, _written(NO_GROUP)), row.label, row.predicted


def _joined(*words: Any) -> list[Any]:
    told = (cast(PredictionRow.position, Text), *words, cast(PredictionRow.probabilities, Text))
    return [func.aggregate_strings(each, _written(BETWEEN)) for each in told]


def _written(character: str) -> Any:
    """A character that stands in the statement itself: as a parameter SQLite fetches it anew for every row."""
    return literal(character, literal_execute=True)


class _Columns:
    """Reads joined columns. Runs of one image set say the same of files, groups and labels, which are parted once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, tuple[int, ...]], tuple[Any, ...]] = {}
        self._orders: dict[str, tuple[int, tuple[int, ...]]] = {}

    def read(
        self, positions: str, files: str, groups: str, labels: str, predicted: str, stated: str
    ) -> AnswerColumns | None:
        """The columns in the order of positions; None where one of them has too many values."""
        n, order = self._order(positions)
        named, grouped, labelled = (self._parted(each, order) for each in (files, groups, labels))
        told, asked = tuple(predicted.split(BETWEEN)), stated_of(_decoded(stated))
        if any(len(column) != n for column in (named, grouped, labelled, told, asked.table)):
            return None
        if order:
            told, asked = tuple(told[at] for at in order), Stated(asked.classes, asked.table[list(order)])
        return AnswerColumns(named, grouped, labelled, told, asked)

    def _order(self, positions: str) -> tuple[int, tuple[int, ...]]:
        """How many, and their places in the order of positions; empty where they stand so, as they mostly do."""
        if positions not in self._orders:
            places = [int(each) for each in positions.split(BETWEEN)]
            order = sorted(range(len(places)), key=places.__getitem__)
            self._orders[positions] = len(places), () if order == list(range(len(places))) else tuple(order)
        return self._orders[positions]

    def _parted(self, text: str, order: tuple[int, ...]) -> tuple[Any, ...]:
        if (text, order) not in self._known:
            found = tuple(None if each == NO_GROUP else each for each in text.split(BETWEEN))
            fits = len(found) == len(order)
            self._known[text, order] = tuple(found[at] for at in order) if order and fits else found
        return self._known[text, order]


def _decoded(joined: str) -> list[dict[str, float]]:
    """What a joined column of JSON holds."""
    try:
        return list(from_json(f"[{joined.replace(BETWEEN, ',')}]", cache_strings="keys"))
    except ValueError:
        return read_json_column(joined.split(BETWEEN))  # one was damaged outside this program
