"""Training in the foreground, for the command line: from a path without a database, or on a stored image set."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.services.context import ACTOR, Context
from app.services.descriptions import find_description_set
from app.services.image_sets import get_image_set, load_image_set
from app.services.incoming_images import refuse_choice
from app.services.packs import pack_meant, shadowing_note
from app.services.training import check_numbers, checked_config
from core.descriptions.description_set import DescriptionSet
from core.descriptions.files import read_descriptions
from core.descriptions.packs import PREFIX, Pack, get_pack
from core.images.columns import ColumnChoice
from core.images.image_set import ImageSet
from core.records import audit, models, runs
from core.records.runs import EpochMetric, RunRequest
from core.settings import Settings
from core.tuning.model_folder import describe_model_folder

if TYPE_CHECKING:
    from core.tuning.progress import Report

Opened = Callable[[], AbstractContextManager[Context]]


@dataclass(frozen=True)
class ForegroundTraining:
    """What was asked on the command line.

    images: a path or a stored set's name. descriptions: a file or a name (a set's, a pack's). group, label: columns of
    the table at a path.
    """

    images: str
    method: str
    backbone: str = "embedded"
    variant: str = "default"
    recipe: str | None = None
    shots: int | None = 16
    seed: int = 1
    epochs: int | None = None
    views: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    descriptions: str | None = None
    modality: str | None = None
    template: str | None = None
    allow_leakage: bool = False
    group: str | None = None
    label: str | None = None
    out: Path | None = None

    @property
    def is_stored(self) -> bool:
        """Whether the images are a set of the home folder: a path that exists comes first."""
        return not os.path.exists(self.images)

    def request(self, image_set: str, version_id: str | None) -> RunRequest:
        """The same as it is recorded."""
        same = ("method", "backbone", "variant", "recipe", "shots", "seed", "epochs", "views", "modality", "template")
        values = {name: getattr(self, name) for name in same}
        return RunRequest(
            image_set,
            options=self.options,
            description_version_id=version_id,
            allow_leakage=self.allow_leakage,
            **values,
        )


@dataclass(frozen=True)
class PreparedTraining:
    """A training whose images and sentences are read and whose options are right."""

    settings: Settings
    asked: ForegroundTraining
    image_set: ImageSet
    descriptions: DescriptionSet | None
    version_id: str | None
    opened: Opened

    @property
    def wording_note(self) -> str | None:
        """Which descriptions are meant, where a built-in pack has the same name; else None."""
        if self.descriptions is None or self.descriptions.source.startswith(PREFIX):
            return None
        return shadowing_note(self.asked.descriptions or "", "the stored set" if self.version_id else "the file")

    def run(self, progress: Report) -> dict[str, Any]:
        """Train and return the run's record; a run on a stored set is kept in the database as well."""
        epochs: dict[int, EpochMetric] = {}

        def report(found: Any) -> None:
            if found.epoch and found.loss is not None:
                epochs[found.epoch] = EpochMetric(
                    found.epoch, found.loss, found.terms, found.learning_rate, found.train_accuracy
                )
            progress(found)

        asked = self.asked
        from core import train

        trained = train(
            self.image_set,
            asked.method,
            backbone=asked.backbone,
            shots=asked.shots,
            seed=asked.seed,
            epochs=asked.epochs,
            views=asked.views,
            options=asked.options,
            variant=asked.variant,
            recipe=asked.recipe,
            descriptions=self.descriptions,
            modality=asked.modality,
            template=asked.template,
            out=asked.out or self.settings.models_dir / f"{asked.method}-{secrets.token_hex(6)}",
            home=self.settings.home,
            progress=report,
            allow_leakage=asked.allow_leakage,
        )
        if asked.is_stored:
            self._keep(trained, list(epochs.values()))
        return trained.record

    def _keep(self, trained: Any, epochs: list[EpochMetric]) -> None:
        """Record run and model. A model outside the home folder is the person's own, so only its run is recorded."""
        folder = Path(trained.record["model"])
        with self.opened() as ctx, ctx.db.writing() as session:
            run_id = runs.add_run(session, self.asked.request(self.asked.images, self.version_id))
            runs.write_epoch_metrics(session, run_id, epochs)
            runs.seal_run(session, run_id, trained.record, trained.predictions, trained.drawn)
            if folder.parent == ctx.settings.models_dir.resolve():
                models.add_model(
                    session, run_id, name=runs.find_run(session, run_id).name, **describe_model_folder(folder)
                )
            audit.add_audit_entry(session, ACTOR, "train", "run", run_id)


def prepare(settings: Settings, asked: ForegroundTraining, opened: Opened) -> PreparedTraining:
    """Read images and sentences and check every option, before anything heavy happens.

    opened: opens the home's context; not called where a path is given and no stored descriptions are named. Raises
    InvalidOption, NotFound, UnreadableSource, ClassMismatch.
    """
    check_numbers(asked.shots, asked.seed)
    checked_config(settings.home, asked.request(asked.images, None))
    wording, version_id = _wording(asked, opened)
    image_set = _images(asked, opened)
    found = None if wording is None else wording.for_classes(image_set.classes)
    return PreparedTraining(settings, asked, image_set, found, version_id, opened)


def _wording(asked: ForegroundTraining, opened: Opened) -> tuple[DescriptionSet | Pack | None, str | None]:
    """What the descriptions' name means: a file, else a stored set with the id of its version, else a pack."""
    name = asked.descriptions
    if not name:
        return None, None
    if os.path.isfile(name):
        return read_descriptions(Path(name)), None
    if name.startswith(PREFIX):
        return get_pack(name), None
    with opened() as ctx:
        if pack := pack_meant(ctx, name):
            return pack, None
        row = find_description_set(ctx, name)
    texts = {label: tuple(sentences) for label, sentences in row["sentences"].items()}
    return DescriptionSet(texts, f"{row['name']}, version {row['version']}"), row["version_id"]


def _images(asked: ForegroundTraining, opened: Opened) -> ImageSet:
    choice = ColumnChoice(asked.group, asked.label)
    if not asked.is_stored:
        return ImageSet.read(asked.images, modality=asked.modality, choice=choice)
    refuse_choice(choice)
    with opened() as ctx:
        return load_image_set(ctx, get_image_set(ctx, asked.images)["id"])
