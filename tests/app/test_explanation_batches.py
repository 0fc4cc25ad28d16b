"""`/explanation-batches`: asked for once, measured by a job, read as JSON and as tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.services.context import Context
from core.images.phantoms import make_phantoms
from core.images.read import read_image_set
from core.records import image_sets, jobs, models, runs
from tests.builders import tiny_backbone_folder
from training_jobs import job_queue, run_job
from training_jobs.run_job import DONE

PATH = "/api/v1/explanation-batches"


@pytest.fixture
def model(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a model of the tiny backbone; its image set 'phantoms' has masks."""
    monkeypatch.setenv("PROMPTOSCOPE_PRECISION", "fp32")
    folder = make_phantoms(tmp_path / "phantoms", per_class=(2, 2), size_px=64)
    found = read_image_set(folder, name="phantoms", store_dir=context.settings.images_dir)
    with context.db.writing() as session:
        image_sets.add_image_set(session, found, source="demo", store=context.settings.images_dir)
        asked = runs.RunRequest("phantoms", "zero_shot", backbone=str(tiny_backbone_folder()), shots=1)
        job_queue.enqueue(session, runs.add_run(session, asked), asked.label)
    work(context)
    with context.db.reading() as session:
        return str(models.list_models(session, 1, 0)[0]["id"])


def work(context: Context) -> None:
    with context.db.writing() as session:
        found = job_queue.claim(session, executor="local", host="here", slots=9)
    assert found is not None
    settings = context.settings.model_copy(update={"allow_folders": True})
    assert run_job.run_job(found.job_id, found.fence, settings=settings) == DONE


def wish(model: str, **more: Any) -> dict[str, Any]:
    return {"image_set": "phantoms", "models": [model], "conditions": ["C1", "C3"], "vectors": [2, 4, 2]} | more


def test_a_batch_is_asked_for_measured_and_read(client: TestClient, context: Context, model: str) -> None:
    started = client.post(PATH, json=wish(model))
    assert started.status_code == 202, started.text
    batch = started.json()
    address = f"{PATH}/{batch['id']}"
    assert (batch["job"]["state"], batch["n_images"], batch["n_rows"]) == ("queued", 8, 0)
    assert batch["settings"]["vectors"] == [2, 4]
    assert batch["settings"]["margin"] == 0.01
    assert batch["models"][0]["summaries"] is None
    work(context)
    found = client.get(address).json()
    assert found["job"]["state"] == "succeeded"
    summaries = {each["key"]: each for each in found["models"][0]["summaries"]}
    assert {"C0:0", "C1:2", "C1:4"} < set(summaries)
    shares = ["lesion_share", "background_share", "difference", "low", "high", "p"]
    fields = ["condition", "n", "groups", *shares, "hit_rate", "answer_changed"]
    assert set(fields) <= set(summaries["C1:4"])
    assert summaries["C1:4"]["n"] == 6
    assert summaries["C3:0"]["exists"] is False
    assert "outlier patches" in summaries["C3:0"]["reason"]
    rows = client.get(f"{address}/rows", params={"condition": "C1:4", "limit": 3}).json()
    assert (rows["total"], len(rows["items"])) == (8, 3)
    assert {row["key"] for row in rows["items"]} == {"C1:4"}
    assert client.get("/api/v1/images/" + rows["items"][0]["image_id"]).status_code == 200
    assert client.get(f"{address}/rows", params={"model": 1}).json()["total"] == 0


def test_tables_are_csv_with_a_row_each(client: TestClient, context: Context, model: str) -> None:
    batch = client.post(PATH, json=wish(model, conditions=["C1"], vectors=[4])).json()
    work(context)
    for kind, n in (("rows", 16), ("summaries", 2)):
        answer = client.get(f"{PATH}/{batch['id']}/tables/{kind}")
        assert answer.headers["content-type"].startswith("text/csv")
        assert answer.headers["x-research-use-only"]
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert len(rows) == n
        assert {row["model"] for row in rows} == {batch["models"][0]["name"]}
        assert {row["key"] for row in rows} == {"C0:0", "C1:4"}
    assert client.get(f"{PATH}/{batch['id']}/tables/more").status_code == 404


def test_the_same_key_starts_one_batch(client: TestClient, model: str) -> None:
    answers = [client.post(PATH, json=wish(model), headers={"Idempotency-Key": "one"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert client.get(PATH).json()["total"] == 1


def test_a_batch_is_cancelled_gone_on_with_and_deleted(
    client: TestClient, context: Context, model: str, error_of: Callable[..., dict[str, Any]]
) -> None:
    batch = client.post(PATH, json=wish(model)).json()
    address = f"{PATH}/{batch['id']}"
    assert client.delete(address).status_code == 409
    assert client.post(f"{address}/cancel").json()["job"]["state"] == "cancelled"
    assert "this one is cancelled" in error_of(client.post(f"{address}/cancel"), 409)["message"]
    assert client.post(f"{address}/resume").json()["job"]["state"] == "queued"
    work(context)
    assert client.post(f"{address}/resume").status_code == 409
    assert client.delete(address).json() == {"deleted": batch["id"]}
    assert client.get(address).status_code == 404
    with context.db.reading() as session:
        assert jobs.count_jobs(session) == 1


@pytest.mark.parametrize(
    ("wrong", "status", "words"),
    [
        ({"vectors": [17]}, 422, "less than or equal to 16"),
        ({"conditions": ["C9"]}, 422, "found 'C9'"),
        ({"part": "all"}, 422, "part"),
        ({"margin": 0}, 422, "margin"),
        ({"image_set": "none of ours"}, 404, "none of ours"),
        ({"part": "val"}, 422, "'phantoms' has none"),
        ({"models": []}, 422, "models"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_words(
    client: TestClient, model: str, wrong: dict[str, Any], status: int, words: str
) -> None:
    answer = client.post(PATH, json=wish(model, **wrong))
    assert answer.status_code == status, answer.text
    assert words in answer.text
    assert client.get(PATH).json()["total"] == 0


def test_one_model_is_not_two(client: TestClient, model: str) -> None:
    assert "found one twice" in client.post(PATH, json=wish(model, models=[model, model])).text


def test_strangers_read_nothing(stranger: TestClient, client: TestClient, model: str) -> None:
    batch = client.post(PATH, json=wish(model)).json()
    for place in ("", f"/{batch['id']}", f"/{batch['id']}/rows", f"/{batch['id']}/tables/rows", "/conditions"):
        assert stranger.get(PATH + place).status_code == 401
    assert stranger.post(PATH, json=wish(model)).status_code == 401


def test_conditions_are_listed_with_what_they_isolate(client: TestClient) -> None:
    found = {each["id"]: each for each in client.get(f"{PATH}/conditions").json()["items"]}
    assert found["C1"]["title"] == "k zero vectors inserted"
    assert found["C3"]["calibrated"]
    assert not found["C3"]["counted"]


def test_a_second_model_is_held_against_the_first_image_by_image(
    client: TestClient, context: Context, model: str
) -> None:
    with context.db.writing() as session:
        asked = runs.RunRequest("phantoms", "zero_shot", backbone=str(tiny_backbone_folder()), shots=2)
        job_queue.enqueue(session, runs.add_run(session, asked), asked.label)
    work(context)
    second = next(each["id"] for each in client.get("/api/v1/models").json()["items"] if each["id"] != model)
    batch = client.post(PATH, json=wish(model, models=[model, second], conditions=["C1"], vectors=[4])).json()
    work(context)
    first, other = client.get(f"{PATH}/{batch['id']}").json()["models"]
    assert not any("against_model" in each for each in first["summaries"])
    for each in other["summaries"]:
        pair = each["against_model"]
        assert (pair["model"], pair["n"]) == (first["name"], 6)
        assert pair["share"]["mean"] == pytest.approx(0), "both leave the same tower as it is"
        assert pair["share"]["verdict"] == "no change that matters"
