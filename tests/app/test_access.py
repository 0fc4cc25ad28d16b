"""Who may come in: fails closed everywhere, opens by the link, the cookie and the token."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.main import create_app
from app.security import SESSION_DAYS, Access, address_without_code, host_name, read_or_make_secret
from core.settings import Settings
from tests.app.conftest import ADDRESS

PAGE = {"accept": "text/html"}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[FastAPI]:
    """One site for all: nobody here is let in far enough to leave something for the next."""
    app = create_app(Settings(home=tmp_path_factory.mktemp("home")), with_worker=False, with_pages=False)
    with TestClient(app, base_url=ADDRESS):
        yield app


def api_addresses(app: FastAPI) -> list[tuple[str, str]]:
    """(method, address) of every route in the schema, with ids filled in."""
    return [
        (method.upper(), re.sub(r"{\w+}", "x", path))
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    ]


def test_every_api_address_needs_a_sign_in(site, stranger, error_of):
    closed = [pair for pair in api_addresses(site) if pair[1] not in ("/healthz", "/readyz")]
    assert len(closed) > 30
    for method, address in closed:
        error = error_of(stranger.request(method, address), 401)
        assert error["code"] == "not_signed_in"


@pytest.mark.parametrize(
    "address",
    ["/", "/train", "/static/app.css", "/config", "/gradio_api/info", "/gradio_api/file=/etc/passwd", "/theme.css",
     "/gradio_api/queue/join", "/api/v1/openapi.json", "/favicon.ico", "/no/such/page", "//", "/healthz/", "/HEALTHZ"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_nothing_else_answers_a_stranger(stranger, method, address):
    assert stranger.request(method, address, follow_redirects=False).status_code == 401


def test_health_and_readiness_are_open(stranger):
    assert stranger.get("/healthz").json() == {"status": "ok"}
    assert stranger.get("/readyz").json() == {"status": "ok"}


def test_sign_in_page_says_where_the_link_is(stranger):
    answer = stranger.get("/", headers=PAGE)
    assert answer.status_code == 401
    assert "The link was printed where the server was started" in answer.text
    assert f"{ADDRESS}/?code=" in answer.text
    assert "The link opens any number of browsers until the server stops, for whoever has it." in answer.text


def test_link_signs_in_and_leads_to_the_same_page_without_the_code(site, stranger):
    code = site.state.access.code
    answer = stranger.get(f"/api-docs/x?code={code}&view=2", follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/api-docs/x?view=2"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert code not in cookie
    assert stranger.get("/api/v1/image-sets").status_code == 200


def test_link_stays_valid_until_the_server_stops(site):
    for _ in range(2):
        browser = TestClient(site, base_url=ADDRESS)
        browser.get(f"/?code={site.state.access.code}", follow_redirects=False)
        assert browser.get("/api/v1/image-sets").status_code == 200


@pytest.mark.parametrize("path", ["//evil.example/x", "///evil.example/x", "/\\\\evil.example/x", "\\/evil.example/x"])
def test_redirect_never_leaves_this_server(path):
    scope = {"path": path, "query_string": b"code=abc&next=//evil.example"}
    assert address_without_code(scope) == "/evil.example/x?next=%2F%2Fevil.example"


@pytest.mark.parametrize("code", ["", "wrong", "é"])
def test_wrong_code_signs_nobody_in(stranger, code):
    answer = stranger.get("/", params={"code": code}, headers=PAGE, follow_redirects=False)
    assert answer.status_code == 401
    assert "The link's code is not valid" in answer.text or code == ""
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("value", ["", "x", "1.2.3", "9999999999.aaaa.bbbb", "..", "1..", "nan.x.y"])
def test_forged_cookies_are_refused(site, stranger, value):
    stranger.cookies.set(site.state.access.cookie_name, value.encode().decode("latin-1"))
    assert stranger.get("/api/v1/image-sets").status_code == 401


def test_sessions_end_after_their_time_and_are_bound_to_the_key(home):
    access = Access.prepare(home)
    session = access.new_session(now=1000.0)
    assert access.is_session(session, now=1000.0 + SESSION_DAYS * 86400 - 1)
    assert not access.is_session(session, now=1000.0 + SESSION_DAYS * 86400 + 1)
    assert not access.is_session(session, now=900.0)
    assert not access.is_session(session.replace("1000", "1001"), now=1000.0)
    assert not Access("c", b"other key", "t").is_session(session, now=1000.0)


def test_sessions_and_token_survive_a_restart_and_the_code_does_not(home):
    first, second = Access.prepare(home), Access.prepare(home)
    assert second.is_session(first.new_session())
    assert first.token == second.token
    assert first.code != second.code
    assert len(first.code) >= 43


def test_secrets_are_readable_by_their_owner_only(home):
    Access.prepare(home)
    for name in ("session-key", "api-token"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600
    (home / "api-token").chmod(0o644)
    read_or_make_secret(home / "api-token")
    assert stat.S_IMODE((home / "api-token").stat().st_mode) == 0o600
    assert sorted(path.name for path in home.iterdir()) == ["api-token", "session-key"]


def test_token_opens_the_api_for_programs(site, stranger):
    token = (site.state.context.home / "api-token").read_text().strip()
    assert stranger.get("/api/v1/jobs", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    for wrong in (f"Bearer {token}x", "Bearer ", token, f"Basic {token}"):
        assert stranger.get("/api/v1/jobs", headers={"Authorization": wrong}).status_code == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "10.0.0.7", "[", "a b"]
)
def test_foreign_host_names_are_refused(client, stranger, host, error_of):
    for someone in (client, stranger):
        for address in ("/", "/healthz", "/api/v1/jobs"):
            error = error_of(someone.get(address, headers={"host": host}), 400)
            assert error["code"] == "wrong_host"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.2:8000", "[::1]:8000"])
def test_loopback_names_are_ours(stranger, host):
    assert stranger.get("/healthz", headers={"host": host}).status_code == 200


def test_server_at_all_interfaces_answers_to_addresses_and_given_names(home):
    access = Access.prepare(home, "0.0.0.0", ["Scans.example"])
    assert access.is_host("10.0.0.7:8000")
    assert access.is_host("scans.example")
    assert not access.is_host("evil.example")
    assert not Access.prepare(home, "127.0.0.1").is_host("10.0.0.7:8000")
    assert Access.prepare(home, "10.0.0.7").is_host("10.0.0.7:8000")


def test_host_names_are_read_without_port_and_brackets():
    assert host_name("LocalHost:80") == "localhost"
    assert host_name("[::1]:80") == "::1"
    assert host_name("[::1") == ""


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:9000"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "http://[::1"},
    ],
)
def test_other_sites_cannot_write_with_our_cookie(site, headers, error_of):
    access = site.state.access
    browser = TestClient(site, base_url=ADDRESS, headers=headers)
    browser.cookies.set(access.cookie_name, access.new_session())
    error = error_of(browser.post("/api/v1/image-sets/demo"), 403)
    assert error["found"] == "found one made by another site"


def test_other_sites_cannot_show_our_pictures_but_may_link_to_pages(site, error_of):
    access = site.state.access
    browser = TestClient(site, base_url=ADDRESS)
    browser.cookies.set(access.cookie_name, access.new_session())
    picture = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}
    error_of(browser.get("/api/v1/images/x/file", headers=picture), 403)
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert browser.get("/api/v1/jobs", headers=link).status_code == 200


def test_own_pages_and_programs_may_write(site, client, error_of):
    access = site.state.access
    old_browser = TestClient(site, base_url=ADDRESS, headers={"Origin": ADDRESS})
    old_browser.cookies.set(access.cookie_name, access.new_session())
    program = TestClient(site, base_url=ADDRESS, headers={"Authorization": f"Bearer {access.token}"})
    for someone in (client, old_browser, program):
        error_of(someone.post("/api/v1/jobs/x/cancel"), 404)


def test_sockets_of_other_kinds_are_closed(site):
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), TestClient(site, base_url=ADDRESS).websocket_connect("/ws"):
        pass


def test_answers_carry_the_headers_that_keep_them_private(client):
    page, api = client.get("/nothing"), client.get("/api/v1/jobs")
    for answer in (page, api):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "http" not in page.headers["content-security-policy"]
    assert api.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("address", ["/api/v1/image-sets", "/api/v1/jobs", "/api/v1/openapi.json", "/api/v1/nosuch"])
def test_no_answer_of_the_api_stays_in_a_browsers_cache(client, address):
    assert client.get(address).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "https://]"])
def test_an_origin_that_is_no_address_is_refused_before_and_after_sign_in(client, stranger, error_of, origin):
    for someone in (client, stranger):
        if "sec-fetch-site" in someone.headers:
            del someone.headers["sec-fetch-site"]
        error_of(someone.post("/api/v1/image-sets/demo", headers={"Origin": origin}), 403)


def test_pages_and_their_machinery_are_closed_too(tmp_path: Path):
    pytest.importorskip("app.ui.layout")
    from starlette.routing import Mount

    app = create_app(Settings(home=tmp_path), with_worker=False)
    stranger = TestClient(app, base_url=ADDRESS)
    pages = next(route for route in app.routes if isinstance(route, Mount) and route.path == "")
    gradio = getattr(pages.app, "app", pages.app)
    paths = [re.sub(r"{[^}]*}", "x", route.path) for route in gradio.routes if hasattr(route, "path")]
    assert "/login" in paths
    for path in ["/", "/gradio_api/queue/join", "/gradio_api/upload", "/gradio_api/file=/etc/passwd", *paths]:
        for method in ("GET", "POST"):
            assert stranger.request(method, path, follow_redirects=False).status_code == 401, path
