"""The table of numbers that others have published."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Float, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.records.base import Base, Name, Sha256, Word, key, one_of
from core.records.types import now

WHOSE = ("authors", "re-run")


class PublishedResultRow(Base):
    """A number that somebody published for one method on one data set, with where it stands.

    value: fraction. decimals: of the printed percentage. part: "test", or of base-to-novel "base", "novel" or "harmonic
    mean". shots: images per class, None for all; share: of the labels, for the protocol "full". seeds: how many draws
    it is the mean of. whose: the method's authors ran it, or run_by did. source, place: the paper or repository, and
    the table or page in it. h_definition: how a harmonic mean was made. deviations: where our recipe cannot follow it.
    fingerprint: of the images of its test part, image_set: the name it has here; both None until somebody says so.
    """

    __tablename__ = "published_results"

    id: Mapped[str] = key()
    method: Mapped[str] = mapped_column(Name)
    data_set: Mapped[str] = mapped_column(Name)
    image_set: Mapped[str | None] = mapped_column(Name)
    fingerprint: Mapped[str | None] = mapped_column(Sha256)
    metric: Mapped[str] = mapped_column(Word)
    value: Mapped[float] = mapped_column(Float(53))
    decimals: Mapped[int]
    part: Mapped[str] = mapped_column(Word)
    protocol: Mapped[str] = mapped_column(Word)
    shots: Mapped[int | None]
    share: Mapped[float | None] = mapped_column(Float(53))
    seeds: Mapped[int | None]
    n_test: Mapped[int | None]
    backbone: Mapped[str | None] = mapped_column(Name)
    whose: Mapped[str] = mapped_column(Word)
    run_by: Mapped[str | None] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    place: Mapped[str] = mapped_column(Text)
    h_definition: Mapped[str | None] = mapped_column(Text)
    deviations: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (one_of("whose", WHOSE), Index(None, "method", "data_set", "id"))
