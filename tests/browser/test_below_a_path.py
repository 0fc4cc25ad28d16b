"""The whole site below a path of its server, and pages that meet a busy server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.conftest import Site, Visit, start_site

pytestmark = pytest.mark.browser
PAGES = ("image-sets", "descriptions", "train", "compare", "classify", "attention", "jobs")
BUSY = {
    "error": {
        "code": "busy",
        "message": "A free place for drawing; all 3 are taken. Try again in 1 s.",
        "expected": "A free place for drawing",
        "found": "all 3 are taken",
        "remedy": "Try again in 1 s.",
    }
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    running, stop = start_site(tmp_path_factory.mktemp("home"), with_worker=False, root_path="/tools/promptoscope")
    yield running
    stop()


def test_a_person_walks_through_the_site_below_its_path(window: Visit) -> None:
    page = window.open("/", "ps-start .ps-button")
    page.get_by_role("button", name="demo").first.click()
    page.wait_for_url(f"{window.site.address}/image-sets?id=*")
    page.wait_for_selector("ps-thumbnails img")
    page.wait_for_function("[...document.querySelectorAll('ps-thumbnails img')].some((i) => i.naturalWidth > 0)")
    for name in PAGES:
        page.locator(f".ps-nav a[href$='/{name}']").click()
        page.wait_for_url(f"{window.site.address}/{name}*")
        page.wait_for_selector(f"ps-{name} *")
    page.locator(".ps-brand").click()
    page.wait_for_url(f"{window.site.address}/")
    assert page.request.get(f"{window.site.address}/theme.css").status == 200


def test_a_page_asks_a_busy_server_again_and_says_so(window: Visit) -> None:
    window.expected.append("503")
    asked = []

    def answer(route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.fulfill(status=503, json=BUSY, headers={"Retry-After": "1"})
        else:
            route.continue_()

    window.page.route("**/api/v1/image-sets?*", answer)
    page = window.open("/image-sets", "#ps-waiting")
    assert page.inner_text("#ps-waiting") == "The server is busy with other work. This page asks again by itself."
    page.wait_for_selector("ps-image-sets h2")
    assert page.locator("#ps-waiting").count() == 0
    assert page.locator(".ps-notice-bad").count() == 0
    assert len(asked) >= 2
