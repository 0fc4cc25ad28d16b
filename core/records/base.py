"""What all tables share: their base with its naming rules, and the types of common columns.

JSON columns are plain JSON, not JSONB: the order of classes in an object is kept.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from core.records.ids import LENGTH, new_id
from core.records.types import JsonList, JsonObject, Moment

Id = String(LENGTH)
Sha256 = String(64)
Name = String(300)
Word = String(40)


class Base(DeclarativeBase):
    """Base of all tables; every constraint and index has a name, so that migrations can speak of it."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: Moment, dict[str, Any]: JsonObject, list[Any]: JsonList}  # noqa: RUF012


def key() -> Mapped[str]:
    """The primary key of a noun."""
    return mapped_column(Id, primary_key=True, default=new_id)


def one_of(column: str, words: tuple[str, ...]) -> CheckConstraint:
    """The column holds one of these words."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(word) for word in words)})", name=column)
