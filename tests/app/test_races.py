"""Two people at once: one gets what was asked for, the other a 404 or a 409, on both databases; never a 500."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.main import create_app
from app.services import image_sets as service
from app.services.context import Context
from core.errors import Conflict, DatabaseAway, NotFound
from core.records import image_sets, jobs, runs
from core.records.failures import Contended
from core.records.session import WRITE_TRIES
from core.settings import Settings
from tests.app.conftest import ADDRESS
from tests.app.test_contents import CONTENT, add, files, needed
from tests.core.records.databases import ENGINES, migrated_database

URL = "/api/v1/image-sets"


@pytest.fixture(params=ENGINES)
def site_of(request, tmp_path) -> Iterator[TestClient]:
    """A signed-in client of a site on each kind of database."""
    with migrated_database(request.param, tmp_path) as database:
        address = database.url.render_as_string(hide_password=False)
        settings = Settings(home=tmp_path / "home", database_url=address)
        app = create_app(settings, with_worker=False, with_pages=False)
        with TestClient(app, base_url=ADDRESS):
            client = TestClient(
                app, base_url=ADDRESS, headers={"Sec-Fetch-Site": "same-origin"}, raise_server_exceptions=False
            )
            client.cookies.set(app.state.access.cookie_name, app.state.access.new_session())
            yield client


def context_of(client: TestClient) -> Context:
    return client.app.state.context


def at_once(*requests: Callable[[], object]) -> list:
    """What each gives, all begun in the same moment."""
    start, answers = threading.Barrier(len(requests)), [None] * len(requests)

    def ask(number: int) -> None:
        start.wait()
        answers[number] = requests[number]()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(requests))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def statuses(answers: list) -> Counter:
    return Counter(answer.status_code for answer in answers)


def upload(client, name, key=None):
    headers = {"Idempotency-Key": key} if key else {}
    return client.post(URL, data={"name": name}, files=[("files", ("s.zip", CONTENT))], headers=headers)


def test_uploads_of_one_name(site_of):
    answers = at_once(*[lambda: upload(site_of, "Same")] * 6)
    assert statuses(answers) == {201: 1, 409: 5}
    refused = next(answer for answer in answers if answer.status_code == 409).json()["error"]
    assert refused["found"] == "'Same' exists already"
    assert files(context_of(site_of)) == needed(context_of(site_of))


def test_uploads_with_one_key(site_of):
    answers = at_once(*[lambda: upload(site_of, "Same", "k")] * 6)
    assert set(statuses(answers)) <= {201, 409}
    assert statuses(answers)[201] >= 1
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert upload(site_of, "Same", "k").headers["idempotency-replayed"] == "true"


def test_deletions_of_one_set(site_of):
    made = add(context_of(site_of), "A")
    answers = at_once(*[lambda: site_of.delete(f"{URL}/{made['id']}")] * 6)
    assert statuses(answers) == {200: 1, 404: 5}


def test_a_submission_against_a_deletion(site_of):
    for _ in range(6):
        made = add(context_of(site_of), "A")
        request = {"image_set": made["id"], "method": "zero_shot", "shots": 2}
        submitted, deleted = at_once(
            lambda request=request: site_of.post("/api/v1/jobs", json=request),
            lambda made=made: site_of.delete(f"{URL}/{made['id']}"),
        )
        both = (submitted.status_code, deleted.status_code)
        assert both in {(201, 409), (202, 409), (404, 200)}
        if deleted.status_code == 409:
            site_of.post(f"/api/v1/jobs/{submitted.json()['items'][0]['id']}/cancel")
            assert site_of.delete(f"{URL}/{made['id']}").status_code == 200


def test_a_deletion_waits_for_a_submission_that_has_begun(site_of):
    ctx = context_of(site_of)
    made, waiting = add(ctx, "A"), []

    def delete() -> None:
        with pytest.raises(Conflict, match="1 queued or running job does"):
            service.delete_image_set(ctx, made["id"])
        waiting.append("refused")

    with ctx.db.writing() as session:
        run_id = runs.add_run(session, runs.RunRequest(image_set=made["id"], method="coop"))
        thread = threading.Thread(target=delete)
        thread.start()
        jobs.add_job(session, run_id, "coop")
    thread.join()
    assert waiting == ["refused"]


def test_a_submission_waits_for_a_deletion_that_has_begun(site_of):
    ctx = context_of(site_of)
    made, waiting = add(ctx, "A"), []

    def submit(session: Session) -> None:
        runs.add_run(session, runs.RunRequest(image_set=made["id"], method="coop"))

    def try_to() -> None:
        with pytest.raises(NotFound, match="An image set with this id or name"):
            ctx.db.write(submit)
        waiting.append("refused")

    with ctx.db.writing() as session:
        image_sets.delete_image_set(session, made["id"])
        thread = threading.Thread(target=try_to)
        thread.start()
    thread.join()
    assert waiting == ["refused"]


def test_first_versions_of_one_description_set(site_of):
    made = add(context_of(site_of), "A")
    body = {
        "image_set_id": made["id"],
        "name": "D",
        "author": "me",
        "source": "written",
        "sentences": {"a": ["A."], "b": ["B."]},
    }
    answers = at_once(*[lambda: site_of.post("/api/v1/description-sets", json=body)] * 5)
    assert set(statuses(answers)) <= {200, 201, 409}, [answer.text for answer in answers]
    versions = sorted(a.json()["version"] for a in answers if a.status_code in {200, 201})
    assert versions == list(range(1, len(versions) + 1))
    assert versions


def test_an_image_deleted_while_its_file_is_sent_is_not_found(site_of, monkeypatch):
    ctx = context_of(site_of)
    made = add(ctx, "A")
    row = service.list_images(ctx, made["id"])[0]
    original = service.image_file

    def image_file(*given):
        found = original(*given)
        service.delete_image_set(ctx, made["id"])
        return found

    monkeypatch.setattr(service, "image_file", image_file)
    answer = site_of.get(f"/api/v1/images/{row['id']}/file")
    assert (answer.status_code, answer.json()["error"]["found"]) == (404, "it was removed meanwhile")


@pytest.mark.postgres
def test_of_two_that_wait_for_each_other_both_get_through(tmp_path):
    with migrated_database("postgresql", tmp_path) as database:
        with database.writing() as session:
            session.execute(text("CREATE TABLE pair (id int PRIMARY KEY, n int)"))
            session.execute(text("INSERT INTO pair VALUES (1, 0), (2, 0)"))
        first_locks, tries = threading.Barrier(2), Counter()

        def swap(first: int, second: int) -> None:
            def work(session: Session) -> None:
                tries[first] += 1
                session.execute(text("UPDATE pair SET n = n + 1 WHERE id = :id"), {"id": first})
                if tries[first] == 1:
                    first_locks.wait(10)
                session.execute(text("UPDATE pair SET n = n + 1 WHERE id = :id"), {"id": second})

            database.write(work)

        at_once(lambda: swap(1, 2), lambda: swap(2, 1))
        with database.reading() as session:
            assert session.execute(text("SELECT n FROM pair ORDER BY id")).scalars().all() == [2, 2]
        assert sorted(tries.values()) == [1, 2]


def test_trying_again_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("core.records.session.PAUSE_S", 0)
    tries = []

    def work(_: Session) -> None:
        tries.append(1)
        raise Contended("a", "b")

    with migrated_database("sqlite", tmp_path) as database, pytest.raises(DatabaseAway):
        database.write(work)
    assert len(tries) == WRITE_TRIES


def test_no_free_connection_is_told_in_a_sentence(monkeypatch):
    from sqlalchemy.exc import TimeoutError as PoolTimeout

    from core.records.failures import told_in_sentences

    with pytest.raises(DatabaseAway, match="all connections are in use"), told_in_sentences():
        raise PoolTimeout("QueuePool limit of size 5 overflow 10 reached")


def test_forty_readers_and_writers_at_once_wait_for_each_other(tmp_path):
    with migrated_database("sqlite", tmp_path) as database:

        def read_and_write() -> int:
            with database.reading() as session:
                session.scalar(text("SELECT count(*) FROM image_sets"))
                barrier.wait(30)
            return 1

        barrier = threading.Barrier(40)
        assert at_once(*[read_and_write] * 40) == [1] * 40
