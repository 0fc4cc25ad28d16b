"""The job of a batch of explanations: each image and condition measured once, recorded as soon as it is."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from core.errors import NotFound, TooFewImages
from core.records import explanation_batches as batches
from core.records import image_sets, jobs
from core.records.audit import add_audit_entry
from core.records.explanation_batches import Batch, BatchModel, MeasuredImage
from core.records.models import find_model
from core.records.session import Database
from core.settings import Settings
from training_jobs import job_queue
from training_jobs.job_log import CHECKPOINT, JobLog, job_folder
from training_jobs.patience import patiently
from training_jobs.reporter import Reporter, StopRequested, Superseded

if TYPE_CHECKING:
    from core.explain.batch import BatchSettings, Plan
    from core.explain.batch_images import BatchImage
    from core.images.image_set import ImageSet

Row = dict[str, Any]


def run_batch_job(
    database: Database, settings: Settings, batch_id: str, job_id: str, fence: int, reporter: Reporter, log: JobLog
) -> None:
    """Measure what is left of a batch, sum it up, and end the job with it.

    Raises Superseded and StopRequested, and the error that the job is to end with.
    """
    with database.reading() as session:
        batch = batches.find_batch(session, batch_id)
    work = BatchWork(database, settings, batch, job_id, fence, reporter, log)
    work.run()


@dataclass
class BatchWork:
    """This process at work on a batch."""

    database: Database
    settings: Settings
    batch: Batch
    job_id: str
    fence: int
    reporter: Reporter
    log: JobLog

    def run(self) -> None:
        """All models, one after the other."""
        images, found, others = patiently(self._images)
        self.told = _Told(self.reporter, total=len(self.batch.models) * len(images))
        for model in self.batch.models:
            if model.is_done:
                self.told.knows(model, patiently(lambda model=model: self._done(model)))  # type: ignore[misc]
            else:
                self._measure(model, images, found, others)
        patiently(self._end)

    def _images(self) -> tuple[list[BatchImage], dict[str, MeasuredImage], list[BatchImage]]:
        """The images of the part, their records by name, and images to calibrate on."""
        from core.explain.batch_images import calibration_images, images_of_part

        set_id, part = self.batch.image_set_id, self.batch.part
        if set_id is None:
            raise NotFound("The images of the batch", "they were deleted", "Choose other images and ask again.")
        with self.database.reading() as session:
            image_set = image_sets.load_image_set(session, set_id, self.settings.images_dir)
            ids = image_sets.image_ids(session, set_id)
        tested = images_of_part(image_set, part)  # type: ignore[arg-type]  # checked when the batch was asked for
        if not tested:
            raise TooFewImages(f"Images in the part '{part}'", "found none", "Choose another part.")
        return tested, _records(image_set, ids, part), calibration_images(image_set, part)  # type: ignore[arg-type]

    def _measure(
        self,
        model: BatchModel,
        images: Sequence[BatchImage],
        found: dict[str, MeasuredImage],
        others: Sequence[BatchImage],
    ) -> None:
        from core.explain.batch import plan_batch, run_batch
        from core.tuning.classifier import load_model

        asked = settings_of(self.batch)
        classifier = load_model(
            patiently(lambda: self._folder(model)), home=self.settings.home, folders=self.settings.allow_folders
        )
        plan = self._plan(model, classifier, asked, others, plan_batch)
        done = patiently(lambda: self._done(model))
        self.log.write(f"model {model.position + 1}: {len(plan.planned)} conditions, {len(done)} measures known")
        self.told.begin(model, [each.key for each in plan.planned], done)
        for rows in _together(run_batch(classifier, images, plan, self.told.step, done)):
            patiently(lambda rows=rows: self._keep(model, rows, found))  # type: ignore[misc]
            self.told.measured(rows)
        self.told.sums_up(model)
        patiently(lambda: self._sum_up(model, asked, plan))

    def _folder(self, model: BatchModel) -> Path:
        with self.database.reading() as session:
            if model.model_id is None:
                raise NotFound(f"The model '{model.name}'", "it was deleted", "Choose another model and ask again.")
            return self.settings.models_dir / find_model(session, model.model_id).folder

    def _plan(
        self, model: BatchModel, classifier: Any, asked: BatchSettings, others: Sequence[BatchImage], plan_batch: Any
    ) -> Plan:
        """The plan, with the calibration of an earlier attempt where there is one."""
        from core.explain.batch import calibration_for
        from core.explain.kept_calibration import keep_calibration, kept_calibration

        path = job_folder(self.settings, self.job_id) / CHECKPOINT / f"calibration-{model.position}.npz"
        calibration = kept_calibration(path)
        if calibration is None:
            self.told.calibrates(model)
            calibration = calibration_for(classifier, asked, others, self.told.step)
            if calibration is not None:
                keep_calibration(calibration, path)
        plan: Plan = plan_batch(classifier, asked, (), self.told.step, calibration)
        patiently(lambda: self._keep_plan(model, plan))
        return plan

    def _keep_plan(self, model: BatchModel, plan: Plan) -> None:
        told = {
            "conditions": [
                {
                    "key": each.key,
                    "condition": each.condition.id,
                    "vectors": each.k,
                    "title": each.condition.title_for(each.k),
                    "isolates": each.condition.isolates,
                    "passes": len(each.changes),
                }
                for each in plan.planned
            ],
            "absent": plan.absent,
            "calibrated_on": plan.calibrated_on,
            "norms": plan.norms,
        }
        with self.database.writing() as session:
            self._check(session)
            batches.keep_plan(session, self.batch.id, model.position, told)

    def _done(self, model: BatchModel) -> set[tuple[str, str]]:
        with self.database.reading() as session:
            return batches.measured(session, self.batch.id, model.position)

    def _keep(self, model: BatchModel, rows: Sequence[Row], found: dict[str, MeasuredImage]) -> None:
        with self.database.writing() as session:
            self._check(session)
            batches.keep_measures(session, self.batch.id, model.position, rows, found)

    def _sum_up(self, model: BatchModel, asked: BatchSettings, plan: Plan) -> None:
        from core.explain.model_pairs import against_model

        with self.database.reading() as session:
            rows = batches.list_measures(session, self.batch.id, model.position)
            others = batches.list_measures(session, self.batch.id, 0) if model.position else []
        summaries = summaries_of(rows, asked, [each.key for each in plan.planned], plan.absent)
        if model.position:
            summaries = against_model(summaries, rows, others, asked, self.batch.models[0].name)
        with self.database.writing() as session:
            self._check(session)
            batches.keep_result(session, self.batch.id, model.position, summaries)

    def _end(self) -> None:
        with self.database.writing() as session:
            self._check(session)
            batches.finish_batch(session, self.batch.id)
            job_queue.succeed(session, self.job_id, self.fence, self.told.outcome)
            add_audit_entry(session, "worker", "finish", "explanation_batch", self.batch.id, {"job_id": self.job_id})

    def _check(self, session: Session) -> None:
        held = jobs.beat(session, self.job_id, self.fence, self.reporter.latest)
        if not held.ours:
            raise Superseded
        if held.cancel_requested:
            raise StopRequested


def settings_of(batch: Batch) -> BatchSettings:
    """What the engine takes, of what was recorded."""
    from core.explain.batch import BatchSettings

    known = {each.name: batch.settings[each.name] for each in fields(BatchSettings) if each.name in batch.settings}
    known |= {name: tuple(known[name]) for name in ("vectors", "conditions") if name in known}
    return BatchSettings(**known)


def summaries_of(
    rows: Iterable[Row], asked: BatchSettings, keys: Sequence[str], absent: dict[str, str]
) -> list[dict[str, Any]]:
    """Summaries in the order of conditions; where groups are known, each has `by_image` with the ranges by image."""
    from core.explain.batch_summary import summarise

    kept, place = list(rows), {key: at for at, key in enumerate(keys)}
    kept.sort(key=lambda row: place.get(row["key"], -1))
    summaries = summarise(kept, asked, absent)
    if not any(summary.get("groups") for summary in summaries):
        return summaries
    alone = {summary["key"]: summary for summary in summarise(kept, asked, absent, by_group=False)}
    return [summary | {"by_image": alone[summary["key"]]} for summary in summaries]


def _records(image_set: ImageSet, ids: Sequence[str], part: str) -> dict[str, MeasuredImage]:
    own = [(image, id) for image, id in zip(image_set.images, ids, strict=True) if image.part == part]
    return {image.name: MeasuredImage(at, id, image.sha256) for at, (image, id) in enumerate(own)}


def _together(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows of one condition that come together, so that they are recorded at once."""
    kept: list[Row] = []
    for row in rows:
        if kept and kept[-1]["key"] != row["key"]:
            yield kept
            kept = []
        kept.append(row)
    if kept:
        yield kept


class _Told:
    """Tells the job's row how far the batch is: done and total count images times conditions."""

    def __init__(self, reporter: Reporter, total: int) -> None:
        self._reporter, self._images = reporter, total
        self._known: dict[int, int] = {}
        self._here, self._begun, self._keys = 0, 0.0, 1
        self._model: BatchModel | None = None
        self._left_out = 0

    def calibrates(self, model: BatchModel) -> None:
        """Patches are looked at on images that are not tested."""
        self._reporter.stand_at(stage="calibrating", done=self._done, total=self._total, note=model.name)

    def begin(self, model: BatchModel, keys: Sequence[str], done: set[tuple[str, str]]) -> None:
        """A model is measured; done: what is known of it."""
        self._model, self._keys = model, len(keys)
        self._take(model, done)
        self._begun = self._begun or time.monotonic()
        self._stand()

    def knows(self, model: BatchModel, done: set[tuple[str, str]]) -> None:
        """An earlier attempt has measured and summed up a model."""
        self._keys = model.n_conditions
        self._take(model, done)

    def _take(self, model: BatchModel, done: set[tuple[str, str]]) -> None:
        out = sum(key == "" for _, key in done)
        self._left_out += out
        self._known[model.position] = len(done) - out + out * self._keys

    def step(self) -> None:
        """Before each pass. Raises StopRequested or Superseded."""
        self._reporter.raise_if_stopped()

    def measured(self, rows: Sequence[Row]) -> None:
        """These rows are recorded."""
        out = sum(bool(row.get("left_out")) for row in rows)
        new = len(rows) - out + out * self._keys
        self._left_out += out
        self._known[self._model.position if self._model else 0] += new
        self._here += new
        self._stand()
        self._reporter.raise_if_stopped()

    def sums_up(self, model: BatchModel) -> None:
        """Ranges of a model are drawn."""
        self._reporter.stand_at(stage="summing up", done=self._done, total=self._total, note=model.name)

    @property
    def outcome(self) -> str:
        """What the job says when it is done."""
        out = f"; {self._left_out} left out" if self._left_out else ""
        return f"{self._done} measures{out}."

    @property
    def _done(self) -> int:
        return sum(self._known.values())

    @property
    def _total(self) -> int:
        return self._images * self._keys

    def _stand(self) -> None:
        spent, rest = time.monotonic() - self._begun, self._total - self._done
        left = spent / self._here * rest if self._here else None
        note = self._model.name if self._model else None
        self._reporter.stand_at(stage="measuring", done=self._done, total=self._total, seconds_left=left, note=note)
