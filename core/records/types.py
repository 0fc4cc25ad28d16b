"""Column types: moments in UTC, and values made fit for JSON.

Reading never fails on a row that was damaged outside this program (a disk, a hand in the database): what cannot be read
comes back empty and marked, so that one such row does not hide the others. Writing refuses what could not be read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json
from sqlalchemy import JSON, DateTime
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from core.errors import InvalidInput
from core.text import storable


class Moment(TypeDecorator[datetime]):
    """A point in time, always aware and in UTC. SQLite keeps no zone, so it is taken off and put back there.

    None where what is stored is no point in time.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise TypeError("moments carry a time zone; use core.records.types.now()")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        read = super().result_processor(dialect, coltype)

        def read_or_none(value: Any) -> datetime | None:
            try:
                return read(value) if read else value
            except (ValueError, TypeError):
                return None

        return read_or_none


class Unreadable:
    """Stands in a row for a JSON value that is no JSON, or of another shape than its column's."""


class UnreadableObject(Unreadable, dict[str, Any]):
    """In place of an object."""


class UnreadableList(Unreadable, list[Any]):
    """In place of a list."""


class JsonObject(TypeDecorator[dict[str, Any]]):
    """A JSON object; see `Unreadable` for one that cannot be read. With none_as_null, None is NULL."""

    impl = JSON
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> dict[str, Any] | None:
        if value is None and self.impl_instance.none_as_null:  # type: ignore[attr-defined]
            return None
        return value if isinstance(value, dict) else UnreadableObject()


class JsonList(TypeDecorator[list[Any]]):
    """A JSON list; see `Unreadable` for one that cannot be read. With none_as_null, None is NULL."""

    impl = JSON
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> list[Any] | None:
        if value is None and self.impl_instance.none_as_null:  # type: ignore[attr-defined]
            return None
        return value if isinstance(value, list) else UnreadableList()


def unreadable_columns(*rows: Any) -> list[str]:
    """Names of the loaded columns of rows that could not be read; empty for sound ones."""
    return sorted({name for row in rows for name, value in vars(row).items() if isinstance(value, Unreadable)})


def read_json(text: str | bytes) -> Any:
    """JSON of a column. Words that are no JSON (NaN) are None and unfit texts cleaned; no JSON at all gives a mark."""
    escaped = b"\\u" if isinstance(text, bytes) else "\\u"
    if escaped not in text:  # type: ignore[operator]  # only an escape can stand for a character that is to be cleaned
        with suppress(ValueError):
            return from_json(text, allow_inf_nan=False)
    try:
        return storable(json.loads(text, parse_constant=lambda _: None))
    except (ValueError, RecursionError):
        return Unreadable()


def read_json_column(texts: Sequence[Any]) -> list[Any]:
    """JSON of many rows at once, which takes a fraction of the time; a driver may have decoded them already."""
    if not all(isinstance(text, str) for text in texts):
        return list(texts)
    try:
        return list(from_json(f"[{','.join(texts)}]", cache_strings="keys"))
    except ValueError:
        return [read_json(text) for text in texts]  # one of them was damaged outside this program


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


def iso(moment: datetime | None) -> str | None:
    """The moment as text for JSON, such as 2026-01-31T12:00:00.123456+00:00."""
    return None if moment is None else moment.isoformat()


def finite(value: float | None) -> float | None:
    """The number, or None where it is missing, infinite or not a number: JSON has no word for these."""
    return None if value is None or not math.isfinite(value) else float(value)


def check_finite(value: Any, what: str, remedy: str) -> None:
    """Refuse results that are not numbers before they are kept. Raises InvalidInput, naming the first one.

    value: numbers, or lists and dicts of them; None and texts are fine. what: such as "The answer for 'a.png'".
    """
    if (place := _place_of_non_finite(value, "")) is not None:
        found = f"found one that is not{f' at {place}' if place else ''}"
        raise InvalidInput(f"{what} holds finite numbers", found, remedy)


def _place_of_non_finite(value: Any, place: str) -> str | None:
    if isinstance(value, float):
        return None if math.isfinite(value) else place
    if isinstance(value, Mapping):
        pairs: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, (list, tuple)):
        pairs = enumerate(value)
    else:
        return None
    found = (_place_of_non_finite(item, f"{place}.{key}" if place else str(key)) for key, item in pairs)
    return next((each for each in found if each is not None), None)


def json_text(value: Any) -> str:
    """JSON in which numbers that are not finite are null, as both databases and browsers need it."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_without_nan(value), allow_nan=False)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return finite(value) if isinstance(value, float) else value
