"""A request with an Idempotency-Key is done once, however often it is sent."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import update

from app.services import incoming_images
from core.errors import Conflict, DatabaseAway
from core.records import idempotency
from core.records.tables import IdempotencyKeyRow
from core.scratch import scratch_folder
from tests.app.conftest import labelled_pictures, zipped

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
