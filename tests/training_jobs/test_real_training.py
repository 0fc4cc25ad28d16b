from __future__ import annotations

from pathlib import Path

import pytest

from core.records import image_sets, jobs, models, runs
from core.records.session import Database
from core.settings import Settings
from tests.core.records.databases import migrated_database
from training_jobs import job_queue
from training_jobs.run_job import DONE, run_job

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("method", "epochs"), [("linear_probe", None), ("coop", 3)])
def test_a_job_trains_on_the_embedded_backbone(tmp_path: Path, method: str, epochs: int | None) -> None:
    with migrated_database("sqlite", tmp_path) as database:
        settings = Settings(home=tmp_path, database_url=f"sqlite:///{tmp_path / 'test.db'}")
        job_id = _queue(database, settings, method, epochs)
        with database.writing() as session:
            claim = job_queue.claim(session, executor="local", host="here", slots=1)
        assert claim is not None
        assert run_job(job_id, claim.fence, settings=settings) == DONE
        with database.reading() as session:
            job = jobs.job_dict(session, job_id)
            assert (job["state"], job["error"]) == ("succeeded", None)
            run = runs.run_dict(session, job["run_id"])
            model = models.model_dict(session, run["model_id"])
            predictions = runs.list_predictions(session, run["id"])
        right = sum(each["label"] == each["predicted"] for each in predictions)
        assert run["metrics"]["accuracy"] == pytest.approx(right / len(predictions))
        assert len(predictions) == run["n_test"]
        assert all(each["image_id"] for each in predictions)
        assert len(run["epoch_metrics"]) == (epochs or 0)
        assert run["epochs"] == (epochs or 0)
        assert (settings.models_dir / model["folder"] / "adapter_model.safetensors").is_file()
        assert model["classes"] == run["classes"]


def _queue(database: Database, settings: Settings, method: str, epochs: int | None) -> str:
    from core.images.phantoms import make_phantoms
    from core.images.read import read_image_set

    make_phantoms(settings.home / "drawn", seed=1, per_class=(8, 4))
    image_set = read_image_set(settings.home / "drawn", name="phantoms", store_dir=settings.images_dir)
    request = runs.RunRequest(image_set="phantoms", method=method, shots=4, epochs=epochs, views=1)
    if epochs is None:
        request = runs.RunRequest(image_set="phantoms", method=method, shots=4)
    with database.writing() as session:
        image_sets.add_image_set(session, image_set, source="demo", store=settings.images_dir, drawn=True)
        return job_queue.enqueue(session, runs.add_run(session, request), request.label)
