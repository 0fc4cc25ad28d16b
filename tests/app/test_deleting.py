"""What people made can be deleted, with all that hangs on it and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.services import contents
from app.services.context import Context
from core.records import audit, classifications, descriptions, explanations, image_sets, jobs, runs
from tests.app.conftest import png
from tests.core.records.samples import add_sample_set, add_sealed_run


@pytest.fixture
def made(context: Context) -> dict[str, str]:
    """A set, a sealed run with job and model, a classification of a loose image, and its explanation."""
    store = context.settings.images_dir
    sha256, path = context.store.put(png(99), ".png")
    with context.db.writing() as session:
        set_id = add_sample_set(session, store)
        run_id, model_id = add_sealed_run(session, set_id)
        job_id = jobs.add_job(session, run_id, "done")
        jobs.move_job(session, job_id, "queued", "succeeded")
        file = image_sets.path_in(store, path)
        [image_id] = image_sets.add_loose_images(
            session, [{"name": "a.png", "sha256": sha256, "file": file, "width": 32, "height": 24}]
        )
        answer = {"image_id": image_id, "label": "calm", "probabilities": {"calm": 1.0}}
        asked = classifications.add_classification(session, model_id, [answer])
        explanations.add_explanation(
            session, model_id=model_id, image_id=image_id, class_name="calm", seconds=1.0, folder="explanations/one",
            result={"maps": []},
        )  # fmt: skip
    for folder in (
        context.explanations_dir / "one",
        context.settings.models_dir / run_id,
        context.settings.jobs_dir / job_id,
    ):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"x")
    return {"set": set_id, "run": run_id, "model": model_id, "job": job_id, "asked": asked, "file": str(path)}


def last_audit(context: Context) -> tuple[str, str, str]:
    with context.db.reading() as session:
        entry = audit.list_audit_entries(session, limit=1)[0]
    return entry["action"], entry["noun"], entry["noun_id"]


def test_a_classification_goes_with_its_images_and_explanations(client, context, made, error_of) -> None:
    address = f"/api/v1/classifications/{made['asked']}"
    assert client.delete(address).json() == {"deleted": made["asked"]}
    assert not Path(made["file"]).exists()
    assert not (context.explanations_dir / "one").exists()
    assert last_audit(context) == ("delete", "classification", made["asked"])
    assert error_of(client.delete(address), 404)["expected"] == "A classification with this id"
    assert client.get(f"/api/v1/models/{made['model']}").status_code == 200


def test_an_image_that_another_classification_has_too_keeps_its_file(client, context, made) -> None:
    with context.db.writing() as session:
        old = session.execute(text("SELECT name, sha256, file, width, height FROM images WHERE image_set_id IS NULL"))
        [image_id] = image_sets.add_loose_images(session, [dict(old.mappings().one())])
        answer = {"image_id": image_id, "label": "calm", "probabilities": {"calm": 1.0}}
        other = classifications.add_classification(session, made["model"], [answer])
    client.delete(f"/api/v1/classifications/{made['asked']}")
    assert Path(made["file"]).exists()
    client.delete(f"/api/v1/classifications/{other}")
    assert not Path(made["file"]).exists()


def test_a_run_goes_with_its_model_job_and_files(client, context, made) -> None:
    assert client.delete(f"/api/v1/runs/{made['run']}").json() == {"deleted": made["run"]}
    for address in (f"runs/{made['run']}", f"models/{made['model']}", f"jobs/{made['job']}"):
        assert client.get(f"/api/v1/{address}").status_code == 404
    for folder in ("explanations/one", f"models/{made['run']}", f"jobs/{made['job']}"):
        assert not (context.home / folder).exists()
    kept = client.get("/api/v1/classifications").json()["items"]
    assert [(row["id"], row["model_id"], row["model_name"]) for row in kept] == [
        (made["asked"], None, "coop, 16 shots")
    ]
    assert last_audit(context) == ("delete", "run", made["run"])


def test_a_run_with_a_due_job_stays(client, context, made, error_of) -> None:
    with context.db.writing() as session:
        run_id = runs.add_run(session, runs.RunRequest(image_set=made["set"], method="coop"))
        job_id = jobs.add_job(session, run_id, "coop, 16 shots")
    assert error_of(client.delete(f"/api/v1/runs/{run_id}"), 409)["found"] == "its job 'coop, 16 shots' is queued"
    client.post(f"/api/v1/jobs/{job_id}/cancel")
    assert client.delete(f"/api/v1/runs/{run_id}").status_code == 200


def test_a_description_set_in_use_names_its_runs(client, context, made, error_of) -> None:
    sentences = {"lesion": ["one"], "calm": ["two"]}
    with context.db.writing() as session:
        text_id, _ = descriptions.save_version(session, made["set"], "texts", sentences, author="a", source="api")
        version = descriptions.find_version(session, text_id).id
        asked = runs.RunRequest(image_set=made["set"], method="coop", name="spring", description_version_id=version)
        run_id = runs.add_run(session, asked)
    address = f"/api/v1/description-sets/{text_id}"
    assert error_of(client.delete(address), 409)["found"] == "'texts' is used by 'spring'"
    client.delete(f"/api/v1/runs/{run_id}")
    assert client.delete(address).json() == {"deleted": text_id}
    assert last_audit(context) == ("delete", "description_set", text_id)
    assert error_of(client.delete(address), 404)["expected"] == "A description set with this id or name"


def test_every_deletion_gives_up_the_reserve_on_a_full_disk(client, context, made, monkeypatch) -> None:
    """One that wrote past `contents.remove` would be refused for want of room."""
    with context.db.writing() as session:
        text_id, _ = descriptions.save_version(
            session, made["set"], "texts", {"lesion": ["one"], "calm": ["two"]}, author="a", source="api"
        )
    removed = []
    original = contents.remove
    monkeypatch.setattr(contents, "remove", lambda ctx, work: (removed.append(work), original(ctx, work)))
    things = (("classifications", "asked"), ("description-sets", None), ("models", "model"), ("runs", "run"))
    for noun, key in (*things, ("image-sets", "set")):
        answer = client.delete(f"/api/v1/{noun}/{made[key] if key else text_id}")
        assert answer.status_code == 200, answer.text
    assert len(removed) == 5


# damaged records, as a site meets them ---------------------------------------------------------------------------

ADDRESSES = ("image-sets", "description-sets", "runs", "models", "jobs", "classifications", "explanations")
DAMAGE = (
    "UPDATE image_sets SET source = 'elsewhere', notes = '{', created_at = 'never', drawn = 'perhaps'",
    "UPDATE images SET width = 'wide', part = 'nowhere', file = 'gone.png'",
    "UPDATE image_classes SET label = label || 'th'",
    "UPDATE runs SET seed = 'one', options = '[1]', metrics = '{\"accuracy\": NaN, \"kappa\": 9e999}', notes = 'x'",
    "UPDATE runs SET shots = 1e999, epochs = 'many', seconds = 'x'",
    "UPDATE runs SET request = '{\"template\": \"\\ud800\"}', name = CAST(X'ff00fe' AS TEXT)",
    "UPDATE jobs SET state = 'lost', error = '\"\\udfff\"', done = 'all', kind = 7, seconds_left = 9e999",
    "UPDATE models SET card = '', created_at = '2026-99-99', calibrated = 'x', size_bytes = 'x'",
    "UPDATE classifications SET problems = 'null', model_name = X'00'",
    'UPDATE classification_images SET probabilities = \'{"calm": NaN, "lesion": 7}\'',
    "UPDATE explanations SET result = '{\"maps\": 3}', seconds = 'x'",
    "UPDATE description_versions SET version = 'one', source = CAST(X'c328' AS TEXT)",
)


def test_damaged_records_hide_no_list_and_no_record(client, context, made) -> None:
    with context.db.writing() as session:
        add_sample_set(session, context.settings.images_dir, "sound")
        descriptions.save_version(session, made["set"], "texts", {"lesion": ["one"]}, author="a", source="api")
        session.execute(text("PRAGMA ignore_check_constraints = ON"))
        for statement in DAMAGE:
            where = " WHERE id = :id" if statement.startswith("UPDATE image_sets") else ""
            session.execute(text(statement.replace(":", "\\:") + where), {"id": made["set"]} if where else {})
        session.execute(text("PRAGMA ignore_check_constraints = OFF"))
    found: dict[str, Any] = {}
    for noun in ADDRESSES:
        answer = client.get(f"/api/v1/{noun}")
        assert answer.status_code == 200, (noun, answer.text)
        found[noun] = answer.json()["items"]
        assert noun == "explanations" or any(row["unreadable"] for row in found[noun]), noun
        for row in found[noun]:
            assert client.get(f"/api/v1/{noun}/{row['id']}").status_code == 200, (noun, row)
    damaged, sound = sorted(found["image-sets"], key=lambda row: row["name"])
    assert (sound["name"], sound.get("unreadable")) == ("sound", [])
    assert {"source", "notes", "created_at"} <= set(damaged["unreadable"])
    assert (damaged["source"], damaged["created_at"], damaged["name"]) == (None, None, "phantoms")
    assert found["jobs"][0]["state"] is None
    assert client.get(f"/api/v1/image-sets/{made['set']}/images").status_code == 200
    assert client.get("/api/v1/runs/comparison").status_code == 200
    for noun in ("runs", "classifications", "description-sets"):
        assert client.delete(f"/api/v1/{noun}/{found[noun][0]['id']}").status_code in (200, 409), noun
