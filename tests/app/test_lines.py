"""Heavy work waits in bounded lines, and no kind of request takes the threads of another."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.lanes import THREADS, Lane, Lanes
from app.main import create_app
from app.services import explanation
from app.services.context import open_context
from app.services.line import Abandoned, Busy, ClientGone, Line, Lines, go_on
from core.errors import NotFound
from core.settings import Settings
from tests.app.conftest import ADDRESS

LONG_S = 120  # what is held up by a test is let go by it long before


class Client:
    """The far end of a request: it stays until told to leave."""

    def __init__(self) -> None:
        self.has_left = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.has_left.wait()
        return {"type": "http.disconnect"}


class Held:
    """Work that stands still, step by step, until it is let go."""

    def __init__(self) -> None:
        self.begun, self.free, self.ended = threading.Event(), threading.Event(), threading.Event()
        self.times, self.was_abandoned = 0, False

    def __call__(self, answer: str = "done") -> str:
        self.times += 1
        self.begun.set()
        try:
            while not self.free.wait(0.01):
                go_on()
        except Abandoned:
            self.was_abandoned = True
            raise
        finally:
            self.ended.set()
        return answer


def in_a_line(waiting: int = 1) -> Line:
    return Line("drawing", at_once=1, waiting=waiting)


async def started(work: Held) -> None:
    await asyncio.to_thread(work.begun.wait, 5)


def test_a_full_line_says_so_and_when_to_come_again() -> None:
    async def run() -> None:
        line, work = in_a_line(), Held()
        asked = [asyncio.create_task(line.do(Client().receive, work)) for _ in range(2)]
        await started(work)
        with pytest.raises(Busy) as refused:
            await line.do(Client().receive, work)
        assert refused.value.sentence == "A free place for drawing; all 2 are taken. Try again in 2 s."
        assert (refused.value.code, refused.value.status, refused.value.retry_after_s) == ("busy", 503, 2)
        work.free.set()
        assert await asyncio.gather(*asked) == ["done", "done"]
        assert line.inside == 0

    asyncio.run(run())


def test_what_is_asked_for_twice_at_once_is_computed_once() -> None:
    async def run() -> None:
        line, work = in_a_line(waiting=0), Held()
        asked = [asyncio.create_task(line.do(Client().receive, work, "same", key=("a", 1))) for _ in range(40)]
        await started(work)
        work.free.set()
        assert await asyncio.gather(*asked) == ["same"] * 40
        assert work.times == 1
        assert await line.do(Client().receive, work, "again", key=("a", 1)) == "again"

    asyncio.run(run())


def test_work_whose_client_has_left_never_starts() -> None:
    async def run() -> None:
        line, first, second, client = in_a_line(), Held(), Held(), Client()
        running = asyncio.create_task(line.do(Client().receive, first))
        await started(first)
        waiting = asyncio.create_task(line.do(client.receive, second))
        await asyncio.sleep(0.05)
        client.has_left.set()
        with pytest.raises(ClientGone):
            await waiting
        assert line.inside == 1
        first.free.set()
        assert await running == "done"
        assert second.times == 0

    asyncio.run(run())


def test_work_whose_client_leaves_stops_at_its_next_step() -> None:
    async def run() -> None:
        line, work, client = in_a_line(), Held(), Client()
        running = asyncio.create_task(line.do(client.receive, work))
        await started(work)
        client.has_left.set()
        with pytest.raises(ClientGone):
            await running
        assert await asyncio.to_thread(work.ended.wait, 5)
        assert work.was_abandoned

    asyncio.run(run())


def test_one_of_two_that_leaves_takes_nothing_from_the_other() -> None:
    async def run() -> None:
        line, work, leaving = in_a_line(), Held(), Client()
        stays = asyncio.create_task(line.do(Client().receive, work, key="k"))
        leaves = asyncio.create_task(line.do(leaving.receive, work, key="k"))
        await started(work)
        leaving.has_left.set()
        with pytest.raises(ClientGone):
            await leaves
        work.free.set()
        assert await stays == "done"

    asyncio.run(run())


def test_an_error_of_the_work_reaches_everybody_who_waits_for_it() -> None:
    def fail() -> None:
        time.sleep(0.05)
        raise ValueError("no picture")

    async def run() -> None:
        line = in_a_line()
        asked = [line.do(Client().receive, fail, key="k") for _ in range(3)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert [str(each) for each in found] == ["no picture"] * 3
        assert line.inside == 0

    asyncio.run(run())


def test_a_closed_line_drops_what_waits_and_stops_what_runs() -> None:
    async def run() -> None:
        line, first, second = in_a_line(), Held(), Held()
        asked = [asyncio.create_task(line.do(Client().receive, work)) for work in (first, second)]
        await started(first)
        line.close()
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(each) for each in found] == [ClientGone, ClientGone]
        assert (first.was_abandoned, second.times) == (True, 0)

    asyncio.run(run())


def test_outside_a_line_work_is_never_abandoned() -> None:
    go_on()


def test_a_lane_lets_in_a_few_keeps_some_waiting_and_refuses_the_rest() -> None:
    async def run() -> None:
        lane = Lane("writing", at_once=1, waiting=1, wait_s=5)
        await lane.enter()
        waiting = asyncio.create_task(lane.enter())
        await asyncio.sleep(0)
        with pytest.raises(Busy, match=r"A free place for writing; all 2 are taken\. Try again in 2 s\."):
            await lane.enter()
        lane.leave()
        await waiting
        lane.leave()
        await lane.enter()

    asyncio.run(run())


def test_waiting_in_a_lane_ends() -> None:
    async def run() -> None:
        lane = Lane("writing", at_once=1, waiting=1, wait_s=0.05)
        await lane.enter()
        with pytest.raises(Busy):
            await lane.enter()
        lane.leave()
        await lane.enter()

    asyncio.run(run())


def test_the_lanes_leave_threads_for_the_files_of_the_pages() -> None:
    async def nothing(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    assert sum(lane.at_once for lane in Lanes(nothing).all) + 16 <= THREADS
    assert Lines().uploads.places >= Lanes(nothing).uploads.at_once  # an upload that was received finds a place


@pytest.fixture
def patient_site(home) -> Iterator[FastAPI]:
    """A site that waits half a second for a locked database."""
    context = open_context(Settings(home=home, database_url=None), wait_s=0.5)
    app = create_app(context=context, with_worker=False, with_pages=False)
    from starlette.testclient import TestClient

    with TestClient(app, base_url=ADDRESS):
        yield app


def browsers(app: FastAPI) -> httpx.AsyncClient:
    access = app.state.access
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url=ADDRESS,
        cookies={access.cookie_name: access.new_session()},
        headers={"Sec-Fetch-Site": "same-origin"},
        timeout=60,
    )


async def health_while(client: httpx.AsyncClient, goes_on: Callable[[], bool]) -> int:
    """How many health checks were answered before something ended."""
    answered = 0
    while goes_on():
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        answered += goes_on()
        await asyncio.sleep(0.02)
    return answered


def test_the_site_answers_while_many_ask_for_explanations(site, monkeypatch, error_of: Callable[..., dict]) -> None:
    free = threading.Event()

    def slow(ctx: Any, model_id: str, *_: Any, **__: Any) -> None:
        free.wait(LONG_S)
        raise NotFound("A model with this id", model_id, "Train one.")

    monkeypatch.setattr(explanation, "explain", slow)

    async def run() -> None:
        async with browsers(site) as client:
            bodies = [{"model_id": f"m{n}", "image_id": "i"} for n in range(45)]
            asked = [asyncio.create_task(client.post("/api/v1/explanations", json=body)) for body in bodies]
            await health_while(client, lambda: sum(task.done() for task in asked) < 28)
            assert (await client.get("/healthz")).json() == {"status": "ok"}
            assert sum(task.done() for task in asked) == 28  # the others wait until they are let go
            free.set()
            answers = await asyncio.gather(*asked)
        statuses = [answer.status_code for answer in answers]
        assert (statuses.count(404), statuses.count(503)) == (17, 28)
        refused = answers[statuses.index(503)]
        assert error_of(refused, 503)["found"] == "all 17 are taken"
        assert int(refused.headers["retry-after"]) >= 2

    asyncio.run(run())


def test_writers_behind_a_locked_database_are_told_to_come_again(patient_site, home, error_of) -> None:
    holder = sqlite3.connect(home / "promptoscope.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    async def run() -> list[httpx.Response]:
        async with browsers(patient_site) as client:
            asked = [asyncio.create_task(client.delete(f"/api/v1/image-sets/s{n}")) for n in range(40)]
            assert await health_while(client, lambda: not all(task.done() for task in asked))
            assert (await client.get("/api/v1/image-sets")).status_code == 200
            return [task.result() for task in asked]

    answers = asyncio.run(run())
    holder.execute("ROLLBACK")
    for answer in answers:
        assert error_of(answer, 503)["code"] == "unavailable"
        assert answer.headers["retry-after"] == "5"
    assert {"it said: database is locked"} == {answer.json()["error"]["found"] for answer in answers}


def test_writers_behind_a_short_lock_are_served(site, home, error_of) -> None:
    holder = sqlite3.connect(home / "promptoscope.db", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    threading.Timer(0.5, lambda: holder.execute("ROLLBACK")).start()

    async def run() -> list[httpx.Response]:
        async with browsers(site) as client:
            return await asyncio.gather(*(client.delete(f"/api/v1/image-sets/s{n}") for n in range(40)))

    for answer in asyncio.run(run()):
        error_of(answer, 404)
