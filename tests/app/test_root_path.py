"""The site below a path of another server, whether its proxy takes the path off or passes it on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.commands.serve import link
from app.main import create_app
from app.root_path import check_root_path
from core.errors import InvalidOption
from core.settings import Settings
from tests.app.conftest import ADDRESS

ROOT = "/tools/promptoscope"
PAGE = {"accept": "text/html"}


@pytest.fixture(scope="module")
def below(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    settings = Settings(home=tmp_path_factory.mktemp("home"), root_path="tools/promptoscope/")
    app = create_app(settings, with_worker=False)
    with TestClient(app, base_url=ADDRESS):
        yield app


@pytest.fixture(params=["passed on", "taken off"])
def proxied(below: FastAPI, request: pytest.FixtureRequest) -> TestClient:
    """Sends what a proxy sends; ask it for addresses below the root path, as a browser does."""

    class Proxied(TestClient):
        def request(self, method, url, **options):  # type: ignore[no-untyped-def, override]
            path = str(url)
            assert path.startswith(ROOT)
            sent = (path.removeprefix(ROOT) or "/") if request.param == "taken off" else path
            return super().request(method, sent, **options)

    return Proxied(below, base_url=ADDRESS, follow_redirects=False, headers={"Sec-Fetch-Site": "same-origin"})


@pytest.fixture
def signed_in(below: FastAPI, proxied: TestClient) -> TestClient:
    proxied.cookies.set(below.state.access.cookie_name, below.state.access.new_session())
    return proxied


def test_the_link_signs_in_below_the_path_only(below: FastAPI, proxied: TestClient) -> None:
    answer = proxied.get(f"{ROOT}/train?code={below.state.access.code}&images=a")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{ROOT}/train?images=a")
    assert f"Path={ROOT};" in answer.headers["set-cookie"]


def test_every_address_in_a_page_is_below_the_path(signed_in: TestClient) -> None:
    text = signed_in.get(f"{ROOT}/train").text
    asked = re.findall(r'(?:href|src)="(/[^"]*)"', text)
    assert f"{ROOT}/static/js/core.js" in asked
    assert f"{ROOT}/image-sets" in asked
    assert [address for address in asked if not address.startswith(f"{ROOT}/")] == []
    assert f'"root":(location.origin + "{ROOT}")' in text
    assert "promptoscope.invalid" not in text


@pytest.mark.parametrize("path", ["/", "/train", "/static/js/core.js", "/theme.css", "/healthz", "/api/v1/image-sets"])
def test_pages_files_and_the_api_answer_below_the_path(signed_in: TestClient, path: str) -> None:
    assert signed_in.get(ROOT + path).status_code == 200


def test_redirects_stay_below_the_path(signed_in: TestClient) -> None:
    assert signed_in.get(f"{ROOT}/train/?images=a").headers["location"] == f"{ROOT}/train?images=a"
    answer = signed_in.get(f"{ROOT}/api/v1/image-sets/")
    assert answer.headers.get("location", f"{ROOT}/api/v1/image-sets") == f"{ROOT}/api/v1/image-sets"


def test_the_schema_names_the_path(signed_in: TestClient) -> None:
    schema = signed_in.get(f"{ROOT}/api/v1/openapi.json").json()
    assert schema["servers"] == [{"url": ROOT}]
    assert "/api/v1/image-sets" in schema["paths"]


def test_errors_are_a_page_for_people_with_a_way_back(signed_in: TestClient) -> None:
    answer = signed_in.get(f"{ROOT}/no-such-page", headers=PAGE)
    assert answer.status_code == 404
    assert f'<a href="{ROOT}/">To the start page</a>' in answer.text


def test_strangers_stay_out_and_are_told_the_right_address(proxied: TestClient) -> None:
    for path in ("/", "/train", "/api/v1/jobs", "/static/app.css", "/config"):
        assert proxied.get(ROOT + path).status_code == 401
    assert f"{ADDRESS}{ROOT}/?code=" in proxied.get(f"{ROOT}/train", headers=PAGE).text


def test_the_path_itself_leads_into_it(below: FastAPI) -> None:
    browser = TestClient(below, base_url=ADDRESS, follow_redirects=False)
    assert browser.get(f"{ROOT}?code=x").headers["location"] == f"{ROOT}/?code=x"


def test_a_path_that_the_server_hands_over_counts_too(tmp_path: Path) -> None:
    app = create_app(Settings(home=tmp_path), with_worker=False, with_pages=False)
    browser = TestClient(app, base_url=ADDRESS, root_path="/given", follow_redirects=False)
    answer = browser.get(f"/?code={app.state.access.code}")
    assert (answer.headers["location"], "Path=/given;" in answer.headers["set-cookie"]) == ("/given/", True)


@pytest.mark.parametrize("path", ["/api", "/static/x", "/train"])
def test_a_path_that_is_one_of_ours_is_refused(path: str) -> None:
    with pytest.raises(InvalidOption, match=r"none of the site's own addresses; found '/\w+'\. Choose /promptoscope"):
        check_root_path(path, {"api", "static", "train"})


@pytest.mark.parametrize("path", ["/a b", "/a?b", "/..", "/a//b", "/é", '/"x', "/http://x"])
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(InvalidOption, match="A root path of letters, digits and"):
        check_root_path(path, set())


def test_the_site_refuses_a_wrong_path_before_it_starts(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption):
        create_app(Settings(home=tmp_path, root_path="/api/x"), with_worker=False, with_pages=False)


@pytest.mark.parametrize(("text", "path"), [("", ""), ("/", ""), ("x", "/x"), ("/x/", "/x"), (" x/y/ ", "/x/y")])
def test_slashes_around_the_path_do_not_matter(text: str, path: str) -> None:
    assert Settings(root_path=text).root_path == path


def test_the_printed_link_has_the_path() -> None:
    assert link("127.0.0.1", 8000, "c", "/x") == "http://127.0.0.1:8000/x/?code=c"
