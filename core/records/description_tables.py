"""Tables of class descriptions: sets, their sentences with every change, frozen versions, and the tasks about them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Float, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.records.base import Base, Name, Sha256, Word, key, one_of
from core.records.types import JsonObject, now

SENTENCE_STATES = ("draft", "approved", "rejected", "needs_second_reader")
DECISIONS = ("approve", "reject", "flag")
AUTHOR_KINDS = ("person", "model", "pack", "file", "template")
TASK_KINDS = ("write", "evidence")
PART_STATES = ("waiting", "done", "failed")


class DescriptionSetRow(Base):
    """Class descriptions of an image set under one name; their text lives in versions."""

    __tablename__ = "description_sets"

    id: Mapped[str] = key()
    image_set_id: Mapped[str | None] = mapped_column(ForeignKey("image_sets.id", ondelete="SET NULL"))
    name: Mapped[str] = mapped_column(Name)
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (UniqueConstraint("image_set_id", "name"), Index(None, "name", "id"))


class DescriptionVersionRow(Base):
    """One wording, never changed once saved. Editing makes the next version.

    signed_by, signed_at: who vouches for it; such a version holds approved sentences only.
    """

    __tablename__ = "description_versions"

    id: Mapped[str] = key()
    description_set_id: Mapped[str] = mapped_column(ForeignKey("description_sets.id", ondelete="CASCADE"))
    version: Mapped[int]
    based_on_id: Mapped[str | None] = mapped_column(
        ForeignKey("description_versions.id", ondelete="SET NULL"), index=True
    )
    author: Mapped[str] = mapped_column(Name)
    note: Mapped[str] = mapped_column(Text, default="")
    source: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(Sha256)
    created_at: Mapped[datetime] = mapped_column(default=now)
    signed_by: Mapped[str | None] = mapped_column(Name)
    signed_at: Mapped[datetime | None]

    __table_args__ = (UniqueConstraint("description_set_id", "version"),)


class DescriptionSentenceRow(Base):
    """A sentence about a class, in one version. `class_position` and `position` keep the order.

    description_id, revision: the sentence and the revision of it that stand here.
    """

    __tablename__ = "description_sentences"

    version_id: Mapped[str] = mapped_column(ForeignKey("description_versions.id", ondelete="CASCADE"), primary_key=True)
    class_position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    class_name: Mapped[str] = mapped_column(Name)
    sentence: Mapped[str] = mapped_column(Text)
    description_id: Mapped[str | None] = mapped_column(ForeignKey("descriptions.id", ondelete="SET NULL"), index=True)
    revision: Mapped[int | None]


class DescriptionRow(Base):
    """A sentence about a class as it stands now; how it came to be is in its revisions.

    position: its place in the set. state: what readers decided. reason: why, where they said so. withdrawn: taken out
    of the set. author: a name, or that of a language model. origin: how a model wrote it (model, settings, prompt),
    which file or pack it is from. planted: wrong on purpose, to see whether readers notice; never part of a version.
    """

    __tablename__ = "descriptions"

    id: Mapped[str] = key()
    description_set_id: Mapped[str] = mapped_column(ForeignKey("description_sets.id", ondelete="CASCADE"))
    position: Mapped[int]
    class_name: Mapped[str] = mapped_column(Name)
    text: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Word, default="draft")
    reason: Mapped[str | None] = mapped_column(Text)
    withdrawn: Mapped[bool] = mapped_column(default=False)
    revision: Mapped[int] = mapped_column(default=1)
    author_kind: Mapped[str] = mapped_column(Word)
    author: Mapped[str] = mapped_column(Name)
    origin: Mapped[dict[str, Any] | None] = mapped_column(JsonObject(none_as_null=True))
    planted: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (
        one_of("state", SENTENCE_STATES),
        one_of("author_kind", AUTHOR_KINDS),
        UniqueConstraint("description_set_id", "position"),
        Index(None, "description_set_id", "state", "position"),
    )


class DescriptionActionRow(Base):
    """What somebody did to sentences of a set, one row however many sentences it changed.

    undoes_id: the action that this one takes back. changed: how many sentences.
    """

    __tablename__ = "description_actions"

    id: Mapped[str] = key()
    description_set_id: Mapped[str] = mapped_column(ForeignKey("description_sets.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(Word)
    actor: Mapped[str] = mapped_column(Name)
    note: Mapped[str] = mapped_column(Text, default="")
    changed: Mapped[int] = mapped_column(default=0)
    undoes_id: Mapped[str | None] = mapped_column(ForeignKey("description_actions.id", ondelete="CASCADE"), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (Index(None, "description_set_id", "id"),)


class DescriptionRevisionRow(Base):
    """A sentence as an action left it. Rows are added, never changed."""

    __tablename__ = "description_revisions"

    description_id: Mapped[str] = mapped_column(ForeignKey("descriptions.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    action_id: Mapped[str] = mapped_column(ForeignKey("description_actions.id", ondelete="CASCADE"), index=True)
    class_name: Mapped[str] = mapped_column(Name)
    text: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Word)
    reason: Mapped[str | None] = mapped_column(Text)
    withdrawn: Mapped[bool] = mapped_column(default=False)

    __table_args__ = (one_of("state", SENTENCE_STATES),)


class DescriptionReviewRow(Base):
    """A reader's decision about a sentence as it was worded then. Rows are added, never changed.

    text_revision: the revision that gave the sentence the wording which was read. seconds: from seeing it to deciding,
    where known.
    """

    __tablename__ = "description_reviews"

    id: Mapped[str] = key()
    description_id: Mapped[str] = mapped_column(ForeignKey("descriptions.id", ondelete="CASCADE"))
    action_id: Mapped[str] = mapped_column(ForeignKey("description_actions.id", ondelete="CASCADE"), index=True)
    reader: Mapped[str] = mapped_column(Name)
    decision: Mapped[str] = mapped_column(Word)
    reason: Mapped[str | None] = mapped_column(Text)
    text_revision: Mapped[int]
    seconds: Mapped[float | None] = mapped_column(Float(53))
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (one_of("decision", DECISIONS), Index(None, "description_id", "reader", "id"))


class UnsavedWordingRow(Base):
    """What a reader typed about a sentence and has not saved; saving an edit of the sentence takes it out.

    revision: that of the sentence when it was typed.
    """

    __tablename__ = "unsaved_wordings"

    description_id: Mapped[str] = mapped_column(ForeignKey("descriptions.id", ondelete="CASCADE"), primary_key=True)
    reader: Mapped[str] = mapped_column(Name, primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    revision: Mapped[int]
    changed_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)


class DescriptionTaskRow(Base):
    """Work about a description set that takes longer than a request: writing sentences, or evidence from images.

    request: all that was asked for. result: what came out of it as a whole, once it is done.
    """

    __tablename__ = "description_tasks"

    id: Mapped[str] = key()
    kind: Mapped[str] = mapped_column(Word)
    description_set_id: Mapped[str] = mapped_column(ForeignKey("description_sets.id", ondelete="CASCADE"))
    image_set_id: Mapped[str | None] = mapped_column(ForeignKey("image_sets.id", ondelete="SET NULL"), index=True)
    request: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any] | None] = mapped_column(JsonObject(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]

    __table_args__ = (one_of("kind", TASK_KINDS), Index(None, "description_set_id", "created_at", "id"))


class DescriptionTaskPartRow(Base):
    """A piece of a task, such as one class; those that are done are not done again after an interruption.

    request: what was sent, word for word. answer: what came back.
    """

    __tablename__ = "description_task_parts"

    task_id: Mapped[str] = mapped_column(ForeignKey("description_tasks.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    label: Mapped[str] = mapped_column(Name)
    state: Mapped[str] = mapped_column(Word, default="waiting")
    request: Mapped[dict[str, Any]]
    answer: Mapped[dict[str, Any] | None] = mapped_column(JsonObject(none_as_null=True))
    error: Mapped[dict[str, Any] | None] = mapped_column(JsonObject(none_as_null=True))
    finished_at: Mapped[datetime | None]

    __table_args__ = (one_of("state", PART_STATES),)
