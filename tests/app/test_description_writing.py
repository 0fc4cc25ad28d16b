"""Sentences written by a language model: previewed, ordered and watched over the API, and written in a terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from typer.testing import CliRunner

from app.cli import app
from app.main import create_app
from app.services.context import Context
from app.services.system import doctor
from core.settings import Settings
from tests.app.conftest import ADDRESS, labelled_pictures, zipped
from tests.language_model_server import Call, Served, language_model, sentences, well
from training_jobs import job_queue, run_job

KEY = "sk-secret-0123456789"
VARIABLES = {"BASE_URL", "MODEL", "API_KEY"}


@pytest.fixture
def server() -> Iterator[Served]:
    with language_model() as served:
        yield served


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(f"PROMPTOSCOPE_LLM_{name}", raising=False)


@pytest.fixture
def configured(server: Served, monkeypatch: pytest.MonkeyPatch) -> Served:
    """A server that the environment names."""
    monkeypatch.setenv("PROMPTOSCOPE_LLM_BASE_URL", server.address)
    monkeypatch.setenv("PROMPTOSCOPE_LLM_MODEL", "writer-1")
    monkeypatch.setenv("PROMPTOSCOPE_LLM_API_KEY", KEY)
    return server


@pytest.fixture
def site(configured: Served, migrated_home: Path) -> Iterator[FastAPI]:
    made = create_app(Settings(home=migrated_home, database_url=None), with_worker=False, with_pages=False)
    with TestClient(made, base_url=ADDRESS):
        yield made


@pytest.fixture
def set_id(client: TestClient, uploaded: dict) -> str:
    """A description set without a sentence."""
    body = {"image_set_id": uploaded["id"], "name": "shades", "sentences": None}
    answer = client.post("/api/v1/description-sets", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def work(context: Context) -> int:
    """The next job of the queue, done here and now."""
    with context.db.writing() as session:
        claim = job_queue.claim(session, executor="local", host="here", slots=9)
    assert claim is not None
    return run_job.run_job(claim.job_id, claim.fence, settings=context.settings)


def test_prompts_are_listed_with_all_their_words(client: TestClient, home: Path) -> None:
    (home / "prompts").mkdir()
    (home / "prompts" / "broken.toml").write_text("title = ")
    found = client.get("/api/v1/description-sets/prompts").json()
    assert [row["name"] for row in found["items"]] == [
        "attributes",
        "broken",
        "contrast",
        "disease_relation",
        "visible_features",
    ]
    assert "{class}" in found["items"][0]["text"]
    assert found["items"][1]["problem"].startswith("A prompt file is TOML with")


def test_what_is_previewed_is_what_is_sent_and_what_is_kept(
    client: TestClient, context: Context, configured: Served, set_id: str
) -> None:
    wish = {"n": 3, "instructions": "Say grey levels.\nNo colours."}
    seen = client.post(f"/api/v1/description-sets/{set_id}/writing/preview", json=wish).json()
    assert configured.calls == []
    assert [each["class"] for each in seen["classes"]] == ["bright", "dark"]
    assert (seen["model"], seen["problem"], seen["requests"], seen["cost"]) == ("writer-1", None, 2, None)
    assert seen["address"] == f"{configured.address}/chat/completions"
    assert "test card" in seen["classes"][0]["messages"][1]["content"]
    assert "Further wishes: Say grey levels.\nNo colours." in seen["classes"][0]["messages"][1]["content"]
    answer = client.post(
        f"/api/v1/description-sets/{set_id}/writing", json=wish | {"fingerprint": seen["fingerprint"], "actor": "ann"}
    )
    assert answer.status_code == 202, answer.text
    task = answer.json()
    assert task["job"]["state"] == "queued"
    assert task["parts"] == {"waiting": 2, "done": 0, "failed": 0}
    assert work(context) == 0
    sent = {call.asked_class: call.body["messages"] for call in configured.calls}
    assert sent == {each["class"]: each["messages"] for each in seen["classes"]}
    at = f"/api/v1/description-sets/{set_id}/tasks"
    done = client.get(f"{at}/{task['id']}").json()
    assert done["result"]["classes"] == {"bright": 3, "dark": 3}
    assert (done["job"]["state"], done["job"]["done"], done["job"]["total"]) == ("succeeded", 2, 2)
    parts = client.get(f"{at}/{task['id']}/parts").json()
    assert {part["label"]: part["request"]["messages"] for part in parts["items"]} == sent
    assert [row["id"] for row in client.get(f"{at}?kind=write").json()["items"]] == [task["id"]]
    assert client.get(f"{at}?kind=evidence").json()["total"] == 0
    rows = client.get(f"/api/v1/description-sets/{set_id}/sentences").json()["items"]
    assert {(row["state"], row["author_kind"], row["author"]) for row in rows} == {("draft", "model", "writer-1")}
    assert {row["origin"]["messages"][1]["content"] for row in rows if row["class"] == "dark"} == {
        sent["dark"][1]["content"]
    }
    job = client.get(f"/api/v1/jobs/{task['job']['id']}").json()
    assert (job["kind"], job["description_task_id"], job["description_set"]) == (
        "write",
        task["id"],
        {"id": set_id, "name": "shades"},
    )
    assert job["label"] == "shades: Visible features of each class"
    assert KEY not in json.dumps([seen, task, done, parts, rows, job])


def test_drafts_are_taken_back_as_one_action_a_class(
    client: TestClient, context: Context, configured: Served, set_id: str
) -> None:
    client.post(f"/api/v1/description-sets/{set_id}/writing", json={"n": 2, "actor": "ann"})
    work(context)
    undone = client.post(f"/api/v1/description-sets/{set_id}/undo", json={"actor": "ann"})
    assert undone.status_code == 201, undone.text
    left = client.get(f"/api/v1/description-sets/{set_id}/sentences").json()["items"]
    # whichever of the two was written last
    assert len(left) == 2
    assert len({row["class"] for row in left}) == 1


def test_a_preview_that_is_out_of_date_sends_nothing(
    client: TestClient, configured: Served, set_id: str, home: Path, error_of: Any
) -> None:
    seen = client.post(f"/api/v1/description-sets/{set_id}/writing/preview", json={}).json()
    (home / "prompts").mkdir()
    shipped = Path("core/descriptions/prompts/visible_features.toml")
    own = (Path(__file__).resolve().parents[2] / shipped).read_text().replace("different sentences", "sentences")
    (home / "prompts" / "visible_features.toml").write_text(own)
    at = f"/api/v1/description-sets/{set_id}/writing"
    error = error_of(client.post(at, json={"fingerprint": seen["fingerprint"]}), 409)
    assert error["message"].startswith("The texts that were shown are those that are sent; they are others by now")
    assert client.get(f"/api/v1/description-sets/{set_id}/tasks").json()["total"] == 0


def test_contrast_names_the_nearest_class_or_the_one_that_was_chosen(
    client: TestClient, configured: Served, set_id: str
) -> None:
    at = f"/api/v1/description-sets/{set_id}/writing/preview"
    found = client.post(at, json={"prompt": "contrast"}).json()
    assert [(each["class"], each["similar"]) for each in found["classes"]] == [("bright", "dark"), ("dark", "bright")]
    assert "It is most easily taken for: dark" in found["classes"][0]["messages"][1]["content"]
    chosen = client.post(at, json={"prompt": "contrast", "classes": ["dark"], "similar": {"dark": "bright"}}).json()
    assert [each["similar"] for each in chosen["classes"]] == ["bright"]


@pytest.mark.parametrize(
    ("body", "status", "found"),
    [
        ({"prompt": "nope"}, 404, "Known: attributes, contrast"),
        ({"classes": ["blue"]}, 422, "'blue' is none"),
        ({"n": 0}, 422, "greater than or equal to 1"),
        ({"n": 201}, 422, "less than or equal to 200"),
        ({"similar": {"dark": "dark"}, "prompt": "contrast"}, 422, "'dark' stands for both"),
        ({"folder": "/etc"}, 403, "folder"),
        ({"folder": "/etc", "model": "m"}, 422, "found both"),
        ({"backbone": "nope", "prompt": "contrast"}, 404, "nope"),
        ({"instructions": "x" * 4001}, 422, "4000"),
        ({"instructions": "a\u0000b"}, 422, "control"),
        ({"wrong": 1}, 422, "wrong"),
    ],
)
def test_a_wish_that_cannot_be_is_refused_and_records_nothing(
    client: TestClient, configured: Served, set_id: str, error_of: Any, body: dict[str, Any], status: int, found: str
) -> None:
    error = error_of(client.post(f"/api/v1/description-sets/{set_id}/writing", json=body), status)
    assert found in json.dumps(error)
    assert client.get(f"/api/v1/description-sets/{set_id}/tasks").json()["total"] == 0
    assert configured.calls == []


def test_tasks_of_another_set_are_not_found(client: TestClient, set_id: str, error_of: Any) -> None:
    task = client.post(f"/api/v1/description-sets/{set_id}/writing", json={}).json()
    for path in ("nope/tasks", f"nope/tasks/{task['id']}", f"{set_id}/tasks/nope", f"nope/tasks/{task['id']}/parts"):
        error_of(client.get(f"/api/v1/description-sets/{path}"), 404)
    error_of(client.post("/api/v1/description-sets/nope/writing", json={}), 404)


def test_without_a_model_the_preview_says_so_and_nothing_starts(migrated_home: Path, error_of: Any) -> None:
    made = create_app(Settings(home=migrated_home, database_url=None), with_worker=False, with_pages=False)
    with TestClient(made, base_url=ADDRESS, headers={"Sec-Fetch-Site": "same-origin"}) as client:
        client.cookies.set(made.state.access.cookie_name, made.state.access.new_session())
        files = [("files", ("shades.zip", zipped(labelled_pictures()), "application/zip"))]
        images = client.post("/api/v1/image-sets", data={"name": "Shades"}, files=files).json()
        made_set = client.post("/api/v1/description-sets", json={"image_set_id": images["id"], "name": "s"}).json()
        at = f"/api/v1/description-sets/{made_set['id']}/writing"
        seen = client.post(f"{at}/preview", json={}).json()
        assert "PROMPTOSCOPE_LLM_BASE_URL is not set" in seen["problem"]
        assert len(seen["classes"]) == 2
        error = error_of(client.post(at, json={}), 422)
        assert error["expected"] == "A language model writes sentences where one is configured"


# evidence --------------------------------------------------------------------------------------------------------


def test_evidence_is_ordered_for_the_sentences_as_they_stand(client: TestClient, set_id: str, uploaded: dict) -> None:
    at = f"/api/v1/description-sets/{set_id}"
    for name, text in {"bright": "A bright card.", "dark": "A dark card."}.items():
        client.post(f"{at}/actions", json={"kind": "add", "actor": "ann", "class": name, "text": text})
    rejected = client.post(f"{at}/actions", json={"kind": "add", "actor": "ann", "class": "dark", "text": "Not it."})
    ids = [rejected.json()["sentences"][0]["id"]]
    client.post(f"{at}/actions", json={"kind": "reject", "actor": "ann", "ids": ids})
    answer = client.post(f"{at}/evidence", json={"shots": 4, "replacements": 99, "actor": "ann"})
    assert answer.status_code == 202, answer.text
    assert "research" in answer.headers["X-Research-Use-Only"].lower()
    task = answer.json()
    assert (task["kind"], task["image_set"]["name"], task["job"]["state"]) == ("evidence", "Shades", "queued")
    assert task["request"]["sentences"] == {"bright": ["A bright card."], "dark": ["A dark card."]}
    job = client.get(f"/api/v1/jobs/{task['job']['id']}").json()
    assert (job["kind"], job["label"]) == ("evidence", "shades: evidence from Shades")
    listed = client.get(f"{at}/tasks?kind=evidence").json()
    assert listed["total"] == 1
    assert "sentences" in task["request"]
    assert "sentences" not in listed["items"][0]["request"]


@pytest.mark.parametrize(
    ("body", "status", "found"),
    [
        ({}, 422, "at least one sentence for every class"),
        ({"image_set": "nope"}, 404, "nope"),
        ({"version": 7}, 404, "7 is none"),
        ({"backbone": "nope"}, 404, "nope"),
        ({"backbone": "/etc"}, 403, "folder"),
        ({"replacements": 5}, 422, "99"),
        ({"shots": 0}, 422, "greater than or equal to 1"),
        ({"seed": -1}, 422, "'seed' lies between"),
        ({"template": "no place"}, 422, "{}"),
    ],
)
def test_evidence_that_cannot_be_is_refused_at_once(
    client: TestClient, set_id: str, error_of: Any, body: dict[str, Any], status: int, found: str
) -> None:
    at = f"/api/v1/description-sets/{set_id}"
    client.post(f"{at}/actions", json={"kind": "add", "actor": "ann", "class": "dark", "text": "A dark card."})
    assert found in json.dumps(error_of(client.post(f"{at}/evidence", json=body), status))
    assert client.get(f"{at}/tasks").json()["total"] == 0


def test_the_bounds_of_replacements_are_those_of_the_engine() -> None:
    from app.api.description_task_schemas import FEWEST_REPLACEMENTS, MOST_REPLACEMENTS
    from core.descriptions.evidence.replacement import LARGEST, LEAST

    assert (FEWEST_REPLACEMENTS, MOST_REPLACEMENTS) == (LEAST, LARGEST)


# the command line ------------------------------------------------------------------------------------------------


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("PROMPTOSCOPE_HOME", str(home))
    monkeypatch.delenv("PROMPTOSCOPE_DATABASE_URL", raising=False)
    return lambda *words: CliRunner().invoke(app, ["descriptions", "generate", *[str(word) for word in words]])


@pytest.fixture
def zip_path(tmp_path: Path) -> Path:
    path = tmp_path / "shades.zip"
    path.write_bytes(zipped(labelled_pictures()))
    return path


@pytest.fixture
def stored(run: Any, zip_path: Path) -> str:
    """The name of an image set in the home folder."""
    done = CliRunner().invoke(app, ["images", "add", str(zip_path), "--name", "greys", "--modality", "test card"])
    assert done.exit_code == 0, done.output
    return "greys"


def rows(result: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_dry_run_prints_the_exact_text_and_sends_nothing(run: Any, stored: str, configured: Served) -> None:
    shown = run(stored, "--dry-run", "--n", 2)
    assert shown.exit_code == 0, shown.output
    assert f"Nothing was sent. It would go to {configured.address}/chat/completions. It would take 2" in shown.stdout
    assert configured.calls == []
    found = rows(run(stored, "--dry-run", "--n", 2, "--json"))
    assert [row.get("class") for row in found] == ["bright", "dark", None]
    for row in found[:2]:
        assert all(message["content"] in shown.stdout for message in row["messages"])
    run(stored, "--n", 2)
    sent = {call.asked_class: call.body["messages"] for call in configured.calls}
    assert sent == {row["class"]: row["messages"] for row in found[:2]}


def test_sentences_are_written_here_class_by_class(run: Any, stored: str, configured: Served) -> None:
    done = run(stored, "--n", 3, "--author", "ann", "--json")
    assert done.exit_code == 0, done.output
    first, second, last = rows(done)
    assert {row["class"]: row["sentences"] for row in (first, second)} == {
        name: sentences(name, 3) for name in ("bright", "dark")
    }
    assert (last["description_set"]["name"], last["sentences"], last["dropped"]) == ("greys", 6, 0)
    again = run(last["description_set"]["id"], "--classes", "dark", "--n", 5)
    assert again.exit_code == 0, again.output
    assert again.stdout.splitlines() == [
        "dark: 2 sentences, 3 left out",
        "2 drafts are in 'greys'. A person has to review them.",
    ]


def test_images_at_a_path_give_a_set_of_their_name(run: Any, zip_path: Path, configured: Served) -> None:
    done = run(zip_path, "--n", 1, "--json")
    assert done.exit_code == 0, done.output
    assert rows(done)[-1]["description_set"]["name"] == "shades"


def test_a_failure_names_its_class_and_exits_with_1(run: Any, stored: str, configured: Served) -> None:
    def one(call: Call) -> None:
        call.say("no") if call.asked_class == "dark" else well(call)

    configured.react = one
    done = run(stored, "--n", 2)
    assert done.exit_code == 1
    assert "bright: 2 sentences" in done.stdout
    assert "dark: none. A JSON object with sentences about 'dark'; it holds no JSON object." in done.stdout
    assert "Sentences about 2 classes; 1 failed: 'dark': it holds no JSON object." in done.stderr


def test_a_writing_that_was_killed_here_is_gone_on_with(home: Path, run: Any, stored: str, configured: Served) -> None:
    code = (
        "import os, signal, sys; from typer.testing import CliRunner; from app.cli import app;"
        "from training_jobs import writing; well = writing.WritingWork._record;\n"
        "def once(self, ended, writer):\n"
        "    well(self, ended, writer) if ended.part.label == 'bright' else os.kill(os.getpid(), signal.SIGKILL)\n"
        "writing.WritingWork._record = once\n"
        f"CliRunner().invoke(app, ['descriptions', 'generate', '{stored}', '--n', '2'])"
    )
    env = os.environ | {"PROMPTOSCOPE_LLM_AT_ONCE": "1"}
    assert subprocess.run([sys.executable, "-c", code], env=env, timeout=120).returncode == -signal.SIGKILL
    done = run(stored, "--resume", "--json")
    assert done.exit_code == 0, done.output
    row, last = rows(done)
    assert (row["class"], row["sentences"]) == ("dark", sentences("dark", 2))
    assert (last["sentences"], last["classes"]) == (4, {"bright": 2, "dark": 2})
    again = run(stored, "--resume")
    assert again.exit_code == 2
    assert "'greys' has none" in again.output


def test_a_job_is_queued_where_asked_for(run: Any, stored: str, configured: Served) -> None:
    done = run(stored, "--job", "--json")
    assert done.exit_code == 0, done.output
    (task,) = rows(done)
    assert (task["job"]["state"], task["parts"]["waiting"]) == ("queued", 2)
    assert configured.calls == []


@pytest.mark.parametrize(
    ("words", "code", "found"),
    [
        (["nowhere"], 2, "'nowhere' is none"),
        (["greys", "--prompt", "nope"], 2, "Known: attributes"),
        (["greys", "--classes", "blue"], 1, "'blue' is none"),
        (["greys", "--n", "300"], 1, "1 to 200 sentences"),
        (["greys", "--similar", "dark"], 2, "not of the form class=other"),
        (["greys", "--folder", "./nowhere"], 2, "language model"),
    ],
)
def test_wrong_wishes_are_named(
    run: Any, stored: str, configured: Served, words: list[str], code: int, found: str
) -> None:
    done = run(*words)
    assert done.exit_code == code
    assert found in done.output
    assert configured.calls == []


def test_without_a_model_the_command_says_what_to_set(run: Any, stored: str) -> None:
    done = run(stored)
    assert done.exit_code == 2
    assert "PROMPTOSCOPE_LLM_BASE_URL is not set" in done.stderr


def test_writing_by_an_endpoint_loads_no_model(home: Path, stored: str, configured: Served, run: Any) -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from app.cli import app;"
        f"done = CliRunner().invoke(app, ['descriptions', 'generate', '{stored}', '--n', '1']);"
        "assert not done.exit_code;"
        "print([m for m in ('torch', 'numpy', 'PIL', 'transformers', 'alembic') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"
    assert len(configured.calls) == 2


def test_doctor_says_whether_a_model_is_configured(home: Path, server: Served) -> None:
    def told(**values: Any) -> dict[str, str]:
        none = {"llm_base_url": None, "llm_model": None, "llm_api_key": None}
        return {row["check"]: row for row in doctor(settings=Settings(home=home, **none | values))}["language model"]

    assert told()["message"] == "No language model is configured: people write the descriptions"
    good = told(llm_base_url=server.address, llm_model="m", llm_api_key=KEY)
    assert (good["status"], good["message"]) == ("pass", "Descriptions are written by 'm' at 127.0.0.1, with a key")
    assert told(llm_base_url="http://8.8.8.8/v1", llm_model="m")["status"] == "fail"
    assert told(llm_base_url=server.address, llm_model="m", llm_max_cost=1.0)["fix"].startswith("Set PROMPTOSCOPE_LLM")
    assert server.calls == []
