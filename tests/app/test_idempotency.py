"""A request with an Idempotency-Key is done once, however often it is sent."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from sqlalchemy import update

from app.api.once import OnceOnly
from app.services import incoming_images
from core.errors import Conflict, DatabaseAway
from core.records import idempotency
from core.records.tables import IdempotencyKeyRow
from core.scratch import scratch_folder
from tests.app.conftest import labelled_pictures, zipped
from tests.app.test_description_review import listed, url

__all__ = ["url"]

URL = "/api/v1/image-sets"


def send(client, key: str, name: str = "Once", content: bytes | None = None):
    files = [("files", ("s.zip", content or zipped(labelled_pictures()), "application/zip"))]
    return client.post(URL, data={"name": name}, files=files, headers={"Idempotency-Key": key})


def test_second_sending_gets_the_first_answer_and_does_nothing(client):
    first, second = send(client, "k1"), send(client, "k1")
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert client.get(URL).json()["total"] == 1


def test_other_keys_and_other_addresses_are_other_requests(client, uploaded):
    request = {"image_set": uploaded["id"], "method": "zero_shot", "shots": 2}
    jobs = [client.post("/api/v1/jobs", json=request, headers={"Idempotency-Key": key}) for key in ("a", "b", "a")]
    ids = [answer.json()["items"][0]["id"] for answer in jobs]
    assert ids[0] == ids[2] != ids[1]
    estimate = client.post("/api/v1/jobs/estimate", json=request, headers={"Idempotency-Key": "a"})
    assert estimate.json()["n_test"] == 6


def test_key_used_for_another_body_is_refused(client, uploaded, error_of):
    request = {"image_set": uploaded["id"], "method": "zero_shot", "shots": 2}
    client.post("/api/v1/jobs", json=request, headers={"Idempotency-Key": "a"})
    other = client.post("/api/v1/jobs", json=request | {"seed": 2}, headers={"Idempotency-Key": "a"})
    assert error_of(other, 409)["found"] == "this one came before with another body"


def test_errors_free_the_key_so_that_a_corrected_request_can_be_sent(client, error_of):
    error_of(send(client, "k", content=b"junk"), 422)
    assert send(client, "k").status_code == 201


def test_unforeseen_failures_free_the_key(client, monkeypatch, error_of):
    with monkeypatch.context() as patch:
        patch.setattr(incoming_images, "add_upload", lambda *_: 1 / 0)
        error_of(send(client, "k"), 500)
    assert send(client, "k").status_code == 201


def test_request_still_at_work_is_not_done_twice(client, monkeypatch, error_of):
    def meanwhile(*_):
        seen.append(send(client, "k"))
        raise Conflict("a", "b")

    seen: list = []
    monkeypatch.setattr(incoming_images, "add_upload", meanwhile)
    send(client, "k")
    assert error_of(seen[0], 409)["expected"] == "A request is answered before it is repeated"


def test_keys_are_short_and_printable(client, error_of):
    for key in ("", "x" * 201):
        assert error_of(send(client, key), 422)["expected"].startswith("An Idempotency-Key of 1 to 200")


def test_strangers_learn_nothing_from_a_known_key(client, stranger):
    assert send(client, "k").status_code == 201
    assert send(stranger, "k").status_code == 401


def unanswered(context, key: str, owner: str | None) -> None:
    """A request that some server has begun."""
    with context.db.writing() as session:
        alive = lambda _: True  # noqa: E731
        idempotency.begin_request(session, "POST", URL, key, "0" * 64, owner=owner or "", is_alive=alive)
        if owner is None:
            session.execute(update(IdempotencyKeyRow).values(owner=None))


def test_key_of_a_server_that_died_is_free_at_once(client, context):
    with scratch_folder(context.servers_dir) as dead:
        pass
    unanswered(context, "k", dead.name)
    assert send(client, "k").status_code == 201
    assert send(client, "k").headers["idempotency-replayed"] == "true"


def test_key_of_another_server_at_work_is_kept(client, context, error_of):
    with scratch_folder(context.servers_dir) as living:
        unanswered(context, "k", living.name)
        assert error_of(send(client, "k"), 409)["expected"] == "An Idempotency-Key belongs to one request"
    assert send(client, "k").status_code == 201


def test_key_whose_answer_could_not_be_written_down_is_free(client, context, monkeypatch):
    monkeypatch.setattr("app.api.once.FINISH_PAUSES_S", ())
    with monkeypatch.context() as patch:

        def away(*_):
            raise DatabaseAway("The database answers", "it does not")

        patch.setattr(idempotency, "finish_request", away)
        assert send(client, "k").status_code == 201
    assert send(client, "k", name="Again").status_code == 201


def test_key_of_an_unknown_server_is_free_after_a_while(client, context, error_of, monkeypatch):
    unanswered(context, "k", None)
    assert send(client, "k").status_code == 409
    monkeypatch.setattr(idempotency, "UNANSWERED", timedelta(0))
    assert send(client, "k").status_code == 201


@pytest.mark.parametrize(
    ("method", "rest", "body"),
    [
        ("POST", "/actions", {"kind": "add", "actor": "Ada", "class": "dark", "text": "A dark card of even grey."}),
        ("POST", "/actions", {"kind": "approve", "actor": "Ada", "where": {"class": "dark"}}),
        ("POST", "/plant", {"actor": "Ada", "n": 2}),
        ("DELETE", "/plant?actor=Ada", None),
        ("POST", "/versions", {"actor": "Ada"}),
        ("POST", "/import", {"actor": "Ada", "name": "a.json", "text": '{"dark": ["A dark card with a rim."]}'}),
        ("POST", "/evidence", {"actor": "Ada"}),
    ],
)
def test_what_was_written_before_its_answer_was_lost_is_not_written_again(client, url, monkeypatch, method, rest, body):
    """The server's note of the answer fails, as when it dies between the writing and the note."""
    if method == "DELETE":
        client.post(f"{url}/plant", json={"actor": "Ada", "n": 2})

    def ask():
        return client.request(method, url + rest, json=body, headers={"Idempotency-Key": "k"})

    def rows() -> list[int]:
        shown = ("sentences", "actions", "versions", "tasks")
        return [client.get(f"{url}/{each}", params={"limit": 100}).json()["total"] for each in shown]

    before = rows()
    with monkeypatch.context() as patch:
        patch.setattr(OnceOnly, "_finish", lambda self, asked, *_: self._leave(asked))
        first = ask()
        written = rows()
        assert first.status_code in {200, 201, 202}
        assert written != before
        assert ask().json() == first.json()
    again, later = ask(), ask()
    assert (again.status_code, again.json()) == (later.status_code, later.json()) == (first.status_code, first.json())
    assert "idempotency-replayed" not in again.headers
    assert later.headers["idempotency-replayed"] == "true"
    assert rows() == written


KILLED = """
import os, signal, sys
from pathlib import Path
from starlette.testclient import TestClient
from app.api.once import OnceOnly
from app.main import create_app
from core.settings import Settings

OnceOnly._finish = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
app = create_app(Settings(home=Path(sys.argv[1]), database_url=None), with_worker=False, with_pages=False)
with TestClient(app, base_url="http://127.0.0.1:8000") as client:
    client.cookies.set(app.state.access.cookie_name, app.state.access.new_session())
    client.headers["Sec-Fetch-Site"] = "same-origin"
    body = {"kind": "add", "actor": "Ada", "class": "dark", "text": "A dark card of even grey."}
    client.post(sys.argv[2], json=body, headers={"Idempotency-Key": "k"})
"""


def test_a_server_killed_between_writing_and_answering_adds_nothing_twice(client, context, url):
    done = subprocess.run([sys.executable, "-c", KILLED, str(context.home), f"{url}/actions"], timeout=120)
    assert done.returncode == -signal.SIGKILL
    body = {"kind": "add", "actor": "Ada", "class": "dark", "text": "A dark card of even grey."}
    for replayed in (None, "true"):
        answer = client.post(f"{url}/actions", json=body, headers={"Idempotency-Key": "k"})
        assert answer.status_code == 201, answer.text
        assert answer.headers.get("idempotency-replayed") == replayed
        assert answer.json()["action"]["changed"] == 1
    assert [row["text"] for row in listed(client, url)].count("A dark card of even grey.") == 1
    other = client.post(f"{url}/actions", json=body | {"text": "Another."}, headers={"Idempotency-Key": "k"})
    assert other.status_code == 409


def test_a_request_that_wrote_and_then_failed_is_finished_not_repeated(client, url, monkeypatch, error_of):
    body = {"kind": "add", "actor": "Ada", "class": "dark", "text": "A dark card of even grey."}
    with monkeypatch.context() as patch:

        def away(*_):
            raise DatabaseAway("The database answers", "it does not")

        patch.setattr("app.services.description_review._done", away)
        error_of(client.post(f"{url}/actions", json=body, headers={"Idempotency-Key": "k"}), 503)
    answer = client.post(f"{url}/actions", json=body, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 201
    assert [row["text"] for row in listed(client, url)].count("A dark card of even grey.") == 1


def test_deletions_with_a_key_are_answered_again(client, uploaded):
    for replayed in (None, "true"):
        answer = client.delete(f"{URL}/{uploaded['id']}", headers={"Idempotency-Key": "k"})
        assert answer.json() == {"deleted": uploaded["id"]}
        assert answer.headers.get("idempotency-replayed") == replayed
