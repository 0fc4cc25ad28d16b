from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.records import image_sets, runs
from core.records.session import Database
from core.settings import Settings
from tests.core.records.databases import ENGINES, migrated_database
from tests.core.records.samples import image_set
from training_jobs import job_queue


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database with all tables, of each kind in turn."""
    with migrated_database(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def settings(database: Database, tmp_path: Path) -> Settings:
    """Settings with a home of their own and that database."""
    home = tmp_path / "home"
    home.mkdir()
    return Settings(home=home, database_url=database.url.render_as_string(hide_password=False), executor="local")


def submit(database: Database, settings: Settings, **request: object) -> str:
    """Queue a training on the sample image set; returns the job's id."""
    with database.writing() as session:
        names = [each["name"] for each in image_sets.list_image_sets(session)]
        if "phantoms" not in names:
            sample = image_set(settings.images_dir)
            image_sets.add_image_set(session, sample, source="demo", store=settings.images_dir, drawn=True)
        asked = runs.RunRequest(image_set="phantoms", method="coop", **request)  # type: ignore[arg-type]
        return job_queue.enqueue(session, runs.add_run(session, asked), asked.label)
