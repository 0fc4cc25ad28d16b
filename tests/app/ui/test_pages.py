"""Every page is answered with its frame, says what it is, and asks no other site."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.ui.image_sets import limits_sentence
from app.ui.layout import PAGES, STATIC_DIR, mount_pages
from app.ui.page import Page
from app.ui.shell import RESEARCH_USE, frame, navigation
from core.images.limits import Limits

PATHS = [page.href for page in PAGES]


class Elements(HTMLParser):
    """The start tags of a document, with their attributes."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    app = FastAPI()
    mount_pages(app, None)  # type: ignore[arg-type]  # building the pages reads nothing from the context
    with TestClient(app) as client:
        yield client


def test_the_navigation_has_the_nine_pages_in_the_order_of_the_work() -> None:
    names = [page.name for page in PAGES]
    assert names == [
        "Start",
        "Image sets",
        "Descriptions",
        "Train",
        "Experiments",
        "Compare",
        "Classify",
        "Attention",
        "Jobs",
    ]
    assert PATHS[:3] == ["/", "/image-sets", "/descriptions"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_page_has_one_heading_landmarks_and_a_language_before_any_script_runs(
    client: TestClient, page: Page
) -> None:
    document = Elements(client.get(page.href).text)
    for tag in ("h1", "header", "nav", "main", "footer", "title"):
        assert len(document.all(tag)) == 1, tag
    assert document.all("html")[0]["lang"] == "en"
    assert document.all("main")[0]["id"] == "main"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_page_marks_itself_in_the_navigation_and_names_itself_in_the_tab(client: TestClient, page: Page) -> None:
    answer = client.get(page.href)
    current = [a["href"] for a in Elements(answer.text).all("a") if a.get("aria-current") == "page"]
    assert current == [page.href]
    assert f"<title>{page.title}</title>" in answer.text
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", PATHS)
def test_each_page_says_what_it_is_not_for(client: TestClient, path: str) -> None:
    assert RESEARCH_USE == "For research use only. Not for use in diagnostic procedures."
    assert f"<p>{RESEARCH_USE}</p>" in client.get(path).text


@pytest.mark.parametrize("path", PATHS)
def test_no_page_names_another_site_in_what_the_browser_loads(client: TestClient, path: str) -> None:
    document = Elements(client.get(path).text)
    asked = [
        tag.get("src") or tag.get("href") or "" for name in ("script", "link", "img") for tag in document.all(name)
    ]
    assert [address for address in asked if re.match(r"(https?:)?//", address)] == []
    assert [tag for tag in document.all("meta") if "gradio" in str(tag.get("content", "")).lower()] == []
    assert [tag for tag in document.all("link") if tag.get("rel") == "manifest"] == []


def test_a_compressed_page_is_framed_too(client: TestClient) -> None:
    answer = client.get("/train", headers={"accept-encoding": "br, gzip"})
    assert "<h1>Train</h1>" in answer.text


def test_gradio_takes_no_upload(client: TestClient) -> None:
    answer = client.post("/gradio_api/upload", files={"files": ("scan.png", b"not for this door")})
    assert answer.status_code >= 400


def test_static_files_are_ours_then_gradios_and_checked_for_news_on_each_visit(client: TestClient) -> None:
    ours = client.get("/static/js/core.js")
    assert ours.status_code == 200
    assert ours.headers["cache-control"] == "no-cache"
    assert client.get("/static/js/iframeResizer.contentWindow.min.js").status_code == 200
    assert client.get("/static/../pyproject.toml").status_code == 404


def test_the_chart_library_is_served_from_here_and_kept_by_browsers(client: TestClient) -> None:
    (meta,) = [tag for tag in Elements(client.get("/compare").text).all("meta") if tag.get("name") == "ps-charts"]
    address = str(meta["content"])
    assert re.fullmatch(r"/static/charts/plotly-\d+\.\d+\.\d+\.min\.js", address)
    packed, whole = (client.get(address, headers={"accept-encoding": kind}) for kind in ("gzip", "identity"))
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < 0.4 * int(whole.headers["content-length"])
    assert packed.content == whole.content
    assert b"Licensed under the MIT license" in whole.content[:400]
    for answer in (packed, whole):
        assert answer.headers["content-type"].startswith("text/javascript")
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert client.get("/static/charts/plotly-0.0.0.min.js").status_code == 404


def test_charts_need_no_code_made_from_text(client: TestClient) -> None:
    """The library runs without `unsafe-eval`: its one such call stands behind the names that browsers have."""
    address = re.search(r'ps-charts" content="([^"]+)"', client.get("/compare").text)
    assert address
    script = client.get(address[1]).text
    assert set(re.findall(r"\bnew Function\([^)]*\)|[^\w.]eval\([^)]*\)", script)) <= {'new Function("return this")'}


def test_an_unknown_page_is_not_framed(client: TestClient) -> None:
    answer = client.get("/no-such-page")
    assert answer.status_code == 404
    assert "ps-header" not in answer.text


def test_the_frame_escapes_what_it_writes() -> None:
    page = Page(name="A & B", path="a", lead="1 < 2")
    framed = frame("<head></head><gradio-app></gradio-app>", [page], page)
    assert "<h1>A &amp; B</h1>" in framed
    assert "1 &lt; 2" in framed
    assert navigation([page], page) == '<li><a href="/a" aria-current=page>A &amp; B</a></li>'


def test_the_limits_are_said_in_words_from_the_limits_in_force() -> None:
    limits = Limits(max_files=5000, max_file_bytes=2 * 1024**2, max_total_bytes=3 * 1024**3)
    assert limits_sentence(limits) == (
        "PNG, JPEG, TIFF, BMP or WEBP, 8 or 16 bit, grey or colour. At most 5,000 files, 2 MB each and 3 GB together."
    )


def test_every_element_a_page_places_has_its_script(client: TestClient) -> None:
    for path in PATHS:
        placed = set(re.findall(r"u003c(ps-[a-z-]+)", client.get(path).text))
        assert placed, f"{path} places no element"
        for tag in placed:
            assert (STATIC_DIR / "js" / f"{tag.removeprefix('ps-')}.js").is_file(), tag
