"""Experiments over HTTP: planned from values or a file, watched, stopped, gone on with, and put together as rows."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.services import experiment_rows
from app.services.context import Context
from core.evaluation.metrics import METRICS
from core.experiments.spec import parse_spec, parse_toml
from core.records import experiments as records
from core.records import jobs as job_records
from core.records import runs as run_records
from core.records.experiments import Holder
from core.records.runs import RunRequest
from tests.app.conftest import labelled_pictures, zipped

URL = "/api/v1/experiments"
HERE = Holder("here", 1)
CHANCE = {"zero_shot": 0.5, "linear_probe": 0.6, "coop": 0.95}
TOO_FEW = {
    "code": "too_few_images",
    "message": "4 shots need 4 images; 'dark' has 3.",
    "expected": "4 shots need 4 images",
}


@pytest.fixture
def shades(client: TestClient) -> dict[str, Any]:
    """An image set with enough test images for intervals."""
    answer = client.post(
        "/api/v1/image-sets",
        data={"name": "Shades", "modality": "test card"},
        files=[("files", ("shades.zip", zipped(labelled_pictures(test=30)), "application/zip"))],
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


def asked(**more: Any) -> dict[str, Any]:
    values = {"name": "First look", "images": ["Shades"], "methods": ["coop", "linear_probe"], "shots": [2, 4]}
    return values | {"seeds": [1, 2, 3], "start": False} | more


def work_off(context: Context, made: dict[str, Any], fails: Callable[[Any], bool] = lambda cell: False) -> None:
    """What a worker would do, with answers made up: CoOp is nearly always right."""
    draw = np.random.default_rng(1)
    with context.db.writing() as session:
        while cells := records.claim_cells(session, made["id"], HERE):
            (cell,) = cells
            records.begin_cell(session, cell.claim)
            method = cell.line.split(" ")[0]
            if fails(cell):
                records.fail_cell(session, cell.claim, TOO_FEW | {"found": "'dark' has 3", "remedy": ""}, 0.1)
                continue
            asked_ = RunRequest(image_set=cell.image_set_id or "", method=method, shots=cell.shots, seed=cell.seed)
            run_id = run_records.add_run(session, asked_, run_id=cell.claim)
            facts = {"backbone": "embedded", "variant": "default", "n_test": 60, "precision": "fp32", "seconds": 2.0}
            facts |= {"metrics": dict.fromkeys(METRICS, CHANCE[method]), "n_val": 4, "steps": 40, "options": {}}
            facts |= {"leakage": {"allowed": False, "found": False, "sentence": "No leakage was found."}}
            run_records.seal_run(session, run_id, facts, answers(draw, CHANCE[method]))
            records.finish_cell(session, cell.claim, run_id, 2.0)


def answers(draw: np.random.Generator, share: float) -> list[dict[str, Any]]:
    rows = []
    for label in ("bright", "dark"):
        for at in range(30):
            told = label if draw.random() < share else ("dark" if label == "bright" else "bright")
            probabilities = {name: 0.9 if name == told else 0.1 for name in ("bright", "dark")}
            rows.append(
                {"file": f"test/{label}/{at}.png", "label": label, "predicted": told, "probabilities": probabilities}
            )
    return rows


def test_an_experiment_is_planned_queued_and_listed(client: TestClient, shades: dict[str, Any]) -> None:
    answer = client.post(URL, json=asked(start=True))
    assert answer.status_code == 201
    assert answer.headers["x-research-use-only"].startswith("Research use only.")
    made = answer.json()
    # two methods, two numbers of shots, three seeds; zero-shot once for each number
    assert (made["n_cells"], made["states"]) == (14, "w" * 14)
    assert (made["state"], made["job"]["state"]) == ("queued", "queued")
    assert made["titles"] == {"zero_shot": "Zero-shot", "coop": "CoOp", "linear_probe": "Linear probe"}
    listed = client.get(URL).json()
    assert (listed["total"], listed["items"][0]["id"], listed["items"][0]["cells"]["waiting"]) == (1, made["id"], 14)
    job = client.get("/api/v1/jobs").json()["items"][0]
    assert (job["experiment_id"], job["cells"]) == (made["id"], {"waiting": 14, "running": 0, "done": 0, "failed": 0})
    assert client.get(f"{URL}/First look").json()["rows"] == []


@pytest.mark.usefixtures("shades")
def test_a_queued_experiment_says_what_it_waits_for(client: TestClient, context: Context) -> None:
    client.post(URL, json=asked(name="Before", start=True))
    client.post(URL, json=asked(start=True))
    waits = client.get(f"{URL}/First look?rows=false").json()["job"]["waits"]
    assert waits.startswith("No worker runs, so nothing in the queue starts.")
    with context.db.writing() as session:
        job_records.beat_worker(session, "w", host="here", pid=1, executor="local", slots=1)
    assert client.get(f"{URL}/First look?rows=false").json()["job"]["waits"] == "It is number 2 in the queue."
    assert client.get(f"{URL}/Before?rows=false").json()["job"]["waits"] == "It is next in the queue."


def test_cells_come_in_pages_and_by_state(client: TestClient, shades: dict[str, Any], context: Context) -> None:
    made = client.post(URL, json=asked()).json()
    work_off(context, made, lambda cell: cell.line == "coop" and cell.shots == 4)
    page = client.get(f"{URL}/{made['id']}/cells", params={"limit": 5, "offset": 12}).json()
    assert (page["total"], len(page["items"])) == (14, 2)
    failed = client.get(f"{URL}/{made['id']}/cells", params={"state": "failed"}).json()
    assert failed["total"] == 3
    assert {(cell["line"], cell["shots"]) for cell in failed["items"]} == {("coop", 4)}
    assert failed["items"][0]["error"]["message"] == "4 shots need 4 images; 'dark' has 3."
    seen = client.get(f"{URL}/{made['id']}", params={"rows": False}).json()
    assert (seen["state"], seen["states"].count("f"), seen["states"].count("d")) == ("failed", 3, 11)
    assert list(seen["leakage"]) == list(seen["sources"]["images"])
    assert all(isinstance(leak["found"], bool) and leak["sentence"] for leak in seen["leakage"].values())


def test_rows_say_what_may_be_said(client: TestClient, shades: dict[str, Any], context: Context) -> None:
    made = client.post(URL, json=asked()).json()
    work_off(context, made)
    found = client.get(f"{URL}/{made['id']}").json()
    rows = {row["line"]: row for row in found["rows"] if row["shots"] == 4}
    assert found["notes"] == []
    assert rows["coop"]["beats"] is True
    assert rows["coop"]["claim"] == "this method over new draws and new images"
    assert len(rows["coop"]["values"]) == 3
    assert rows["linear_probe"]["role"] == "best simple"
    assert rows["zero_shot"]["role"] == "baseline"
    assert rows["coop"]["rank"] == [1, 1]
    assert rows["coop"]["difference"]["against"] == "zero_shot"


def test_pairs_are_compared_at_one_place(
    client: TestClient, shades: dict[str, Any], context: Context, error_of: Any
) -> None:
    made = client.post(URL, json=asked()).json()
    address = f"{URL}/{made['id']}/matrix"
    error_of(client.get(address, params={"image_set": "Shades", "shots": 4}), 404)
    work_off(context, made)
    matrix = client.get(address, params={"image_set": "Shades", "shots": 4}).json()["matrix"]
    assert matrix["methods"][0] == "coop"
    first = next(pair for pair in matrix["pairs"] if {pair["first"], pair["second"]} == {"coop", "zero_shot"})
    assert (first["differs"], first["counted"], first["wins"] + first["ties"] + first["losses"]) == (True, "images", 60)
    assert matrix["n_tests"] == 3
    assert "could be seen here" in matrix["visible_sentence"]
    error = error_of(client.get(address, params={"image_set": "Nosuch", "shots": 4}), 404)
    assert "'Nosuch'" in error["message"]
    for wrong in ({"shots": 0}, {"shots": "many"}, {"share": 2}, {"share": "nan"}):
        error_of(client.get(address, params=wrong), 422)


def test_its_file_gives_the_same_experiment_again(client: TestClient, shades: dict[str, Any], error_of: Any) -> None:
    given = asked(options={"coop": {"context_length": [4, 8]}}, protocol="few-shot")
    made = client.post(URL, json=given).json()
    text = client.get(f"{URL}/{made['id']}/file").json()
    assert (
        parse_spec(tomllib.loads(text["toml"])).as_dict()
        == parse_spec({k: v for k, v in given.items() if k != "start"}).as_dict()
    )
    error = error_of(client.post(URL, json={"toml": text["toml"], "start": False}), 409)
    assert "'First look' exists already" in error["message"]
    renamed = text["toml"].replace('"First look"', '"Second look"')
    again = client.post(URL, json={"toml": renamed, "start": False}).json()
    assert (again["name"], again["hash"]) == ("Second look", made["hash"])


def test_it_is_cancelled_gone_on_with_tried_again_and_deleted(
    client: TestClient, shades: dict[str, Any], context: Context, error_of: Any
) -> None:
    made = client.post(URL, json=asked(start=True)).json()
    address = f"{URL}/{made['id']}"
    error_of(client.delete(address), 409)
    assert client.post(f"{address}/cancel").json()["state"] == "waiting"
    error_of(client.post(f"{address}/cancel"), 409)
    answer = client.post(f"{address}/start")
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    error_of(client.post(f"{address}/start"), 409)
    client.post(f"{address}/cancel")
    error_of(client.post(f"{address}/retry"), 409)
    work_off(context, made, lambda cell: cell.seed == 3)
    assert client.get(address, params={"rows": False}).json()["states"].count("f") == 4
    position = client.get(f"{address}/cells", params={"state": "failed"}).json()["items"][0]["position"]
    error_of(client.post(f"{address}/retry", params={"cell": 999}), 404)
    alone = client.post(f"{address}/retry", params={"cell": position}).json()
    assert (alone["state"], alone["cells"]["waiting"], alone["cells"]["failed"]) == ("queued", 1, 3)
    error_of(client.post(f"{address}/retry", params={"cell": position}), 409)
    tried = client.post(f"{address}/retry").json()
    assert (tried["state"], tried["cells"]["waiting"], tried["cells"]["done"]) == ("queued", 4, 10)
    client.post(f"{address}/cancel")
    runs = client.get("/api/v1/runs").json()["total"]
    assert client.delete(address).json() == {"deleted": made["id"]}
    error_of(client.get(address), 404)
    assert client.get("/api/v1/runs").json()["total"] == runs == 10


def test_its_runs_go_too_where_that_is_asked_for(client: TestClient, shades: dict[str, Any], context: Context) -> None:
    made = client.post(URL, json=asked()).json()
    work_off(context, made)
    assert client.delete(f"{URL}/{made['id']}", params={"runs": True}).status_code == 200
    assert client.get("/api/v1/runs").json()["total"] == 0


def test_a_repeated_request_with_a_key_makes_one_experiment(client: TestClient, shades: dict[str, Any]) -> None:
    headers = {"Idempotency-Key": "once"}
    first = client.post(URL, json=asked(), headers=headers)
    second = client.post(URL, json=asked(), headers=headers)
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.headers["idempotency-replayed"] == "true"
    assert second.json()["id"] == first.json()["id"]
    assert client.get(URL).json()["total"] == 1


def test_an_estimate_counts_cells_and_names_what_is_not_known(client: TestClient, shades: dict[str, Any]) -> None:
    found = client.post(f"{URL}/estimate", json=asked()).json()
    assert (found["n_cells"], found["seconds"]) == (14, None)
    assert set(found["unknown"]) == {"zero_shot", "coop", "linear_probe"}
    assert found["lines"][:2] == [{"name": "zero_shot", "title": "Zero-shot"}, {"name": "coop", "title": "CoOp"}]
    assert client.get(URL).json()["total"] == 0


def test_values_are_written_as_the_file_that_gives_them_again(client: TestClient, error_of: Any) -> None:
    values = asked(options={"coop": {"epochs": [5, 10]}}, recipes=["coop/biomedcoop-2025/btmri/few-shot"], views=2)
    values |= {"protocol": "base-to-novel", "base_classes": ["dark"], "compare_to": "linear_probe", "variant": "paper"}
    text = client.post(f"{URL}/file", json=values).json()["toml"]
    assert parse_spec(parse_toml(text)) == parse_spec({key: each for key, each in values.items() if key != "start"})
    assert client.post(f"{URL}/file", json={"toml": text}).json() == {"name": "First look", "toml": text}
    windows = {"toml": "\ufeff" + text.replace("\n", "\r\n")}
    assert client.post(f"{URL}/file", json=windows).json() == {"name": "First look", "toml": text}
    error_of(client.post(f"{URL}/file", json=values | {"shots": [0]}), 422)


WRONG = [
    ({"images": []}, 422),
    ({"images": ["Nosuch"]}, 404),
    ({"images": ["/etc"]}, 404),
    ({"methods": ["copo"]}, 422),
    ({"methods": []}, 422),
    ({"shots": [0]}, 422),
    ({"shots": [True]}, 422),
    ({"shots": ["some"]}, 422),
    ({"shots": [2.5]}, 422),
    ({"seeds": [-1]}, 422),
    ({"seeds": [2**63]}, 422),
    ({"seeds": list(range(201))}, 422),
    ({"protocol": "none"}, 422),
    ({"protocol": "cross-set"}, 422),
    ({"shares": [0.5]}, 422),
    ({"options": {"coop": {"nosuch": 1}}}, 422),
    ({"options": {"coop": {"epochs": []}}}, 422),
    ({"options": {"coop": 3}}, 422),
    ({"backbone": "nosuch"}, 404),
    ({"backbone": "local-dir:/etc"}, 403),
    ({"template": "no braces"}, 422),
    ({"descriptions": ["nosuch"]}, 404),
    ({"descriptions": ["/etc/passwd"]}, 404),
    ({"metric": "colour"}, 422),
    ({"name": ""}, 422),
    ({"name": "a\u0000b"}, 422),
    ({"name": "x" * 5000}, 422),
    ({"updates": 3}, 422),
    ({"protocol": "full", "shares": [True]}, 422),
    ({"protocol": "full", "shares": True}, 422),
    ({"protocol": "full", "shares": [0]}, 422),
    ({"unknown": 1}, 422),
    ({"seeds": list(range(200)), "shots": list(range(1, 27))}, 422),
]


@pytest.mark.parametrize(("wrong", "status"), WRONG, ids=[str(wrong)[:40] for wrong, _ in WRONG])
def test_what_cannot_be_run_is_refused_with_a_sentence_and_nothing_is_kept(
    client: TestClient, shades: dict[str, Any], error_of: Any, wrong: dict[str, Any], status: int
) -> None:
    for address in (URL, f"{URL}/estimate"):
        error_of(client.post(address, json=asked(**wrong)), status)
    assert client.get(URL).json()["total"] == 0


@pytest.mark.parametrize(
    "text", ["name = ", "name = 3", "", "[options]\ncoop = 1", 'name = "x"\nimages = "Shades"', "a" * 200_001]
)
def test_a_file_that_is_no_experiment_is_refused(
    client: TestClient, shades: dict[str, Any], error_of: Any, text: str
) -> None:
    error_of(client.post(URL, json={"toml": text}), 422)


def test_rows_of_a_finished_experiment_are_put_together_once(
    client: TestClient, shades: dict[str, Any], context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = client.post(URL, json=asked()).json()
    work_off(context, made)
    first = client.get(f"{URL}/{made['id']}").json()["rows"]
    monkeypatch.setattr(experiment_rows, "finished_cells", lambda *_: pytest.fail("put together again"))
    assert client.get(f"{URL}/{made['id']}").json()["rows"] == first
