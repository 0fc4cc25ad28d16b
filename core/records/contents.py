"""Files and folders that rows refer to, as paths in the home folder, and the lock under which both change together.

Whoever records rows moves their files into place, and whoever removes files looks whether a row needs them, while
holding `hold_contents`. So no row is ever recorded on a file that is about to go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath

from sqlalchemy import or_, select, text
from sqlalchemy.orm import Session

from core.records.tables import ExperimentRow, ExplanationRow, ImageRow, JobRow, ModelRow, RegionRow

PATHS_PER_QUERY = 500
CONTENT_LOCK = 7_701_203_115
LOCK_TIMEOUT_S = 60
IMAGES, MODELS, EXPLANATIONS, JOBS, EXPERIMENTS = "images", "models", "explanations", "jobs", "experiments"


def hold_contents(session: Session) -> None:
    """Wait until nobody else records or removes files, and keep others out until the writing session ends.

    SQLite lets one writer in at a time anyway. The lock is the database's, so it holds for every process and host and
    ends with whoever had it.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'"))
        session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": CONTENT_LOCK})


def image_path(file: str) -> str:
    """A file of the image store, as rows name it, as a path in the home folder."""
    return f"{IMAGES}/{file}"


def model_path(folder: str) -> str:
    """A model's folder, as rows name it, as a path in the home folder."""
    return f"{MODELS}/{folder}"


def job_path(job_id: str) -> str:
    """The folder of a job's log and checkpoint, as a path in the home folder."""
    return f"{JOBS}/{job_id}"


def experiment_path(experiment_id: str) -> str:
    """The folder of the checkpoints of an experiment's cells, as a path in the home folder."""
    return f"{EXPERIMENTS}/{experiment_id}"


def unreferenced(session: Session, paths: Iterable[str]) -> list[str]:
    """Of these paths in the home folder, those that no row refers to.

    A model's folder counts as needed while its run may still train. Raises ValueError for a path of another kind.
    """
    by_kind: dict[str, list[str]] = {}
    for path in sorted(set(paths)):
        by_kind.setdefault(PurePosixPath(path).parts[0], []).append(path)
    left: list[str] = []
    for kind, some in by_kind.items():
        if kind not in _NEEDED:
            raise ValueError(f"no row refers to files of the kind '{kind}'")
        for start in range(0, len(some), PATHS_PER_QUERY):
            asked = some[start : start + PATHS_PER_QUERY]
            needed = _NEEDED[kind](session, asked)
            left += [path for path in asked if path not in needed]
    return left


def _needed_images(session: Session, paths: Sequence[str]) -> set[str]:
    files = [path.removeprefix(f"{IMAGES}/") for path in paths]
    query = select(ImageRow.file, ImageRow.mask_file)
    rows = session.execute(query.where(or_(ImageRow.file.in_(files), ImageRow.mask_file.in_(files))))
    drawn = session.scalars(select(RegionRow.mask_file).where(RegionRow.mask_file.in_(files)))
    return {image_path(file) for pair in [*rows, *((mask,) for mask in drawn)] for file in pair if file}


def _needed_models(session: Session, paths: Sequence[str]) -> set[str]:
    folders = [path.removeprefix(f"{MODELS}/") for path in paths]
    kept = session.scalars(select(ModelRow.folder).where(ModelRow.folder.in_(folders))).all()
    at_work = select(JobRow.run_id).where(JobRow.run_id.in_(folders), JobRow.state.in_(("queued", "running")))
    return {model_path(folder) for folder in [*kept, *session.scalars(at_work)]}


def _needed_explanations(session: Session, paths: Sequence[str]) -> set[str]:
    return set(session.scalars(select(ExplanationRow.folder).where(ExplanationRow.folder.in_(paths))))


def _needed_jobs(session: Session, paths: Sequence[str]) -> set[str]:
    ids = [path.removeprefix(f"{JOBS}/") for path in paths]
    return {job_path(id_) for id_ in session.scalars(select(JobRow.id).where(JobRow.id.in_(ids)))}


def _needed_experiments(session: Session, paths: Sequence[str]) -> set[str]:
    ids = [path.removeprefix(f"{EXPERIMENTS}/") for path in paths]
    return {experiment_path(id_) for id_ in session.scalars(select(ExperimentRow.id).where(ExperimentRow.id.in_(ids)))}


_NEEDED: dict[str, Callable[[Session, Sequence[str]], set[str]]] = {
    IMAGES: _needed_images,
    MODELS: _needed_models,
    EXPLANATIONS: _needed_explanations,
    JOBS: _needed_jobs,
    EXPERIMENTS: _needed_experiments,
}
