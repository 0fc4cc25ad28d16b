"""A browser that is killed, as a machine does without memory: what was not saved is offered when it comes back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.browser.conftest import FLAGS, PATIENCE_MS, Site, Visit
from tests.browser.reviewing import open_review, press, sentence, sentences, states, texts, wait_until_saved

pytestmark = pytest.mark.browser

ACTIONS = "**/api/v1/description-sets/*/actions"
TYPED = "A cyst, typed before the browser died."
BETWEEN_S = 1.5


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """The folder in which a browser keeps what it knows."""
    return tmp_path / "profile"


@pytest.fixture
def begin(driver: Any, program: str, site: Site, profile: Path) -> Iterator[Callable[[], Visit]]:
    """Starts a browser of its own on the profile, signed in: each call after the one before was killed."""
    contexts: list[Any] = []

    def begin_() -> Visit:
        context = driver.chromium.launch_persistent_context(str(profile), executable_path=program, args=FLAGS)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        visit = Visit(site, context.new_page())
        visit.page.goto(f"{site.address}/?code={site.code}")
        return visit

    yield begin_
    kill(profile)
    for context in contexts:
        with suppress(Exception):  # it was killed
            context.close()


def kill(profile: Path) -> int:
    """End all processes of the browser on a profile at once, without a chance to write anything; how many."""
    mark = f"--user-data-dir={profile}"
    found = [each for each in psutil.process_iter(["cmdline"]) if mark in (each.info["cmdline"] or ())]
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + 20
    while any(is_alive(each) for each in found) and time.monotonic() < deadline:
        time.sleep(0.05)
    for lock in profile.glob("Singleton*"):
        lock.unlink()
    return len(found)


def is_alive(process: psutil.Process) -> bool:
    """Whether a process still runs; one that nobody has asked how it ended does not."""
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def type_an_edit(page: Any) -> None:
    page.keyboard.press("e")
    page.keyboard.press("Control+A")
    page.keyboard.type(TYPED)


def again(window: Visit, found: dict[str, Any]) -> Any:
    return window.open(f"/descriptions?image_set={found['image_set_id']}&id={found['id']}", ".ps-review-card")


def test_an_edit_without_an_answer_is_offered_after_a_kill(
    begin: Callable[[], Visit], profile: Path, site: Site
) -> None:
    found = texts(site, "Killed after saving")
    page = open_review(begin(), found["id"])
    page.route(
        "**/api/v1/description-sets/**", lambda route: route.continue_() if route.request.method == "GET" else None
    )
    type_an_edit(page)
    page.keyboard.press("Enter")
    page.wait_for_selector(".ps-saving[data-state=saving]")
    time.sleep(BETWEEN_S)
    assert kill(profile) > 1
    page = again(begin(), found)
    notice = page.locator(".ps-notice-warn")
    assert f"Edited: “{TYPED}”" in notice.inner_text()
    assert states(site, found["id"])[0] == "draft"
    page.get_by_role("button", name="Send again").click()
    wait_until_saved(page)
    assert sentences(site, found["id"])[0]["text"] == TYPED
    assert notice.count() == 0


def test_an_edit_without_an_answer_is_offered_in_another_browser_too(
    begin: Callable[[], Visit], open_window: Callable[..., Visit], profile: Path, site: Site
) -> None:
    found = texts(site, "Killed, then elsewhere")
    page = open_review(begin(), found["id"])
    page.route(ACTIONS, lambda route: None if route.request.method == "POST" else route.continue_())
    type_an_edit(page)
    page.keyboard.press("Enter")
    page.wait_for_selector(".ps-saving[data-state=saving]")
    time.sleep(BETWEEN_S)
    assert kill(profile) > 1
    other = open_review(open_window(), found["id"], "Ben")
    assert other.locator(".ps-notice-warn").count() == 0
    page = open_review(open_window(), found["id"])
    notice = page.locator(".ps-notice-warn")
    assert "You typed about 1 sentence and did not save it." in notice.inner_text()
    assert f"It reads now: “{sentence('cyst', 0)}”" in notice.inner_text()
    page.get_by_role("button", name="Save it").click()
    wait_until_saved(page)
    assert sentences(site, found["id"])[0]["text"] == TYPED
    assert notice.count() == 0
    page.reload()
    page.wait_for_selector(".ps-review-card")
    assert notice.count() == 0


def test_words_that_were_only_typed_are_there_again_after_a_kill(
    begin: Callable[[], Visit], profile: Path, site: Site
) -> None:
    found = texts(site, "Killed while typing")
    page = open_review(begin(), found["id"])
    type_an_edit(page)
    time.sleep(BETWEEN_S)
    assert kill(profile) > 1
    page = open_review(begin(), found["id"])
    page.get_by_role("button", name="Go on editing").click()
    field = page.locator("textarea.ps-review-text")
    assert field.input_value() == TYPED
    page.keyboard.type(" More.")
    page.keyboard.press("Enter")
    wait_until_saved(page)
    assert sentences(site, found["id"])[0]["text"] == f"{TYPED} More."
    page.keyboard.press("e")
    assert field.input_value() == f"{TYPED} More."


def test_decisions_without_an_answer_are_offered_after_a_kill_and_thrown_away_by_hand(
    begin: Callable[[], Visit], profile: Path, site: Site
) -> None:
    found = texts(site, "Killed between decisions")
    page = open_review(begin(), found["id"])
    press(page, "a")
    wait_until_saved(page)
    page.route(ACTIONS, lambda route: None if route.request.method == "POST" else route.continue_())
    press(page, "ra")
    time.sleep(BETWEEN_S)
    assert kill(profile) > 1
    page = again(begin(), found)
    notice = page.locator(".ps-notice-warn")
    offered = [f"{word}: “{sentence('cyst', n)}”" for n, word in ((1, "Rejected"), (2, "Approved"))]
    assert notice.locator("li").all_inner_texts() == offered
    page.get_by_role("button", name="Forget them").click()
    page.reload()
    page.wait_for_selector(".ps-review-card")
    assert notice.count() == 0
    assert states(site, found["id"])[:3] == ["approved", "draft", "draft"]
