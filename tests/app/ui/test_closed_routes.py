"""Gradio draws the pages; its other routes are closed, and nothing sent to them becomes a 500 or a trace in the log."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.routing import Mount
from starlette.testclient import TestClient

from app.main import create_app
from app.ui.layout import PAGES
from core.settings import Settings
from tests.app.conftest import ADDRESS

OPEN = {"/theme.css", *(page.href for page in PAGES)}
ODD = [
    "/config?page=nosuch", "/?page=nosuch", "/?deep_link=../../x", "/train?page=%00", "/theme.css/", "/gradio_api",
    "/gradio_api/queue/join", "/gradio_api/queue/data?session_hash=none", "/gradio_api/call/x",
    "/gradio_api/run/predict",
    "/gradio_api/upload", "/gradio_api/upload_progress?upload_id=x", "/gradio_api/file=/etc/passwd",
    "/file=/etc/passwd",
    "/gradio_api/proxy=http://127.0.0.1:1/", "/proxy=file:///etc/passwd", "/gradio_api/heartbeat/x", "/gradio_api/info",
    "/gradio_api/custom_component/x/client/y/z.js", "/gradio_api/stream/a/b/c/playlist.m3u8", "/pwa_icon/99999999",
    "/manifest.json", "/login", "/logout", "/monitoring", "/dev/reload", "/svelte/../x", "/assets/", "/assets/%00",
    "/assets/..%2f..%2fconfig", f"/assets/{'a' * 5000}", "/assets/none.js", "/static/%00", f"/static/{'a' * 5000}",
    "/static/..%2f..%2fpyproject.toml", "/static/js", "/%ff%fe", "/a%00b", "/robots.txt", "/gradio_api/vibe-edit",
]  # fmt: skip
BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'{"fn_index": -1}',
    b'{"data": [], "fn_index": 99, "session_hash": 3}',
    b"\xff\x00",
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    app = create_app(Settings(home=tmp_path_factory.mktemp("home")), with_worker=False)
    with TestClient(app, base_url=ADDRESS):
        yield app


@pytest.fixture
def client(site: FastAPI) -> TestClient:
    access = site.state.access
    found = TestClient(site, base_url=ADDRESS, follow_redirects=False, headers={"Sec-Fetch-Site": "same-origin"})
    found.cookies.set(access.cookie_name, access.new_session())
    return found


def gradio_paths(site: FastAPI) -> list[str]:
    pages = next(route for route in site.routes if isinstance(route, Mount) and route.path == "")
    routes = pages.app.app.routes  # type: ignore[attr-defined]
    return sorted({re.sub(r"{[^}]*}", "x", route.path) for route in routes if hasattr(route, "path")})


def is_refused_in_our_shape(answer) -> bool:
    return answer.status_code in {404, 405} and set(answer.json()["error"]) >= {"code", "message", "remedy"}


def test_whatever_the_pages_do_not_need_is_not_there(site, client) -> None:
    closed = [path for path in gradio_paths(site) if path.rstrip("/") not in OPEN and path != "/"]
    assert len(closed) > 15
    for path, method in itertools.product(closed, ("GET", "POST", "DELETE")):
        answer = client.request(method, path)
        is_page = answer.status_code == 307 and answer.headers["location"] in OPEN
        is_own = path.startswith(("/static", "/api"))
        assert is_refused_in_our_shape(answer) or is_page or is_own, (method, path, answer.status_code)


def test_open_routes_take_no_body_and_no_other_method(client) -> None:
    for path, body in itertools.product(sorted(OPEN), BODIES):
        answer = client.post(path, content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 405, path
        assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ODD)
def test_odd_addresses_are_mistakes_of_the_sender(client, path, caplog) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "OPTIONS"):
        answer = client.request(method, path)
        assert answer.status_code < 500
        if answer.status_code >= 400 and method != "HEAD":
            assert answer.json()["error"]["message"]
    assert caplog.text == ""


def test_hundreds_of_random_requests_bring_no_failure(client, caplog) -> None:
    draw = random.Random(7)
    words = (
        "gradio_api queue join data file= proxy= .. %2e%2e %00 config run call v2 assets static upload é {} heartbeat"
    )
    parts = [*words.split(), "train", "theme.css", "http:", "", "x" * 300]
    headers = [{}, {"content-type": "multipart/form-data"}, {"content-type": "multipart/form-data; boundary="},
               {"range": "bytes=9-1,x"}, {"x-forwarded-host": "evil.example"}, {"accept-encoding": "br;q=x"},
               {"if-modified-since": "never"}, {"x-gradio-user": "api"}]  # fmt: skip
    for _ in range(400):
        path = "/" + "/".join(draw.choices(parts, k=draw.randint(1, 4)))
        query = draw.choice(["", "?fn_index=-1", "?session_hash=%00", "?page=%ff", "?deep_link=..%2f"])
        method = draw.choice(["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"])
        body = draw.choice(BODIES) if method in {"POST", "PUT", "PATCH"} else None
        answer = client.request(method, path + query, content=body, headers=draw.choice(headers))
        assert answer.status_code < 500, (method, path, query)
        assert "evil.example" not in answer.text
    assert caplog.text == ""


def test_people_see_a_page_and_programs_the_one_shape(client) -> None:
    page = client.get("/no-such-page", headers={"accept": "text/html,*/*"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "<h1>There is no page at this address</h1>" in page.text
    assert '<a href="/">To the start page</a>' in page.text
    program = client.get("/no-such-page")
    assert program.json()["error"]["found"] == "there is none at /no-such-page"
    assert client.get("/api/v1/nosuch", headers={"accept": "text/html"}).json()["error"]["code"] == "not_found"
    wrong = client.post("/train", headers={"accept": "text/html"})
    assert "One of GET, HEAD at /train; found POST." in wrong.text


def test_a_page_behind_a_slash_leads_to_the_page(client) -> None:
    answer = client.get("/train/?images=a")
    assert (answer.status_code, answer.headers["location"]) == (307, "/train?images=a")


def test_pages_do_not_depend_on_what_proxies_say(client) -> None:
    answer = client.get("/train", headers={"x-forwarded-host": "evil.example", "x-forwarded-proto": "https"})
    assert "evil.example" not in answer.text
    assert '"root":(location.origin + "")' in answer.text
