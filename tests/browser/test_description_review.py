"""Reviewing sentences in a real browser: by keyboard alone, two readers at once, with the connection cut."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from app.services import description_review
from core.records.sentence_filters import Filter
from tests.browser.conftest import Site, Visit
from tests.browser.measures import NOTHING_WRONG, measured
from tests.browser.reviewing import open_review, press, sentence, sentences, states, texts, wait_until_saved
from tests.builders import short_backbone

pytestmark = pytest.mark.browser

LOOKS = [(width, scheme) for width in (1440, 390) for scheme in ("light", "dark")]
ACTIONS = "**/api/v1/description-sets/*/actions"


def test_a_hundred_sentences_are_read_by_keyboard_alone(window: Visit, site: Site) -> None:
    found = texts(site, "A hundred", 50)
    page = window.open(f"/descriptions?image_set={found['image_set_id']}&id={found['id']}", ".ps-review-card")
    assert "Say who you are" in page.locator(".ps-next").inner_text()
    page.get_by_label("Your name").focus()
    page.keyboard.type("Ada")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=100 sentences wait for you. Press A to approve, R to reject.")
    press(page, "a" * 40 + "r" * 10 + "f" * 5)
    page.keyboard.press("e")
    page.keyboard.press("Control+A")
    page.keyboard.type("A solid mass is darker than the tissue around it.")
    page.keyboard.press("Control+Enter")
    press(page, "a" * 44)
    page.wait_for_selector("text=You have read everything")
    wait_until_saved(page)
    rows = sentences(site, found["id"], "Ada")
    assert Counter(row["mine"]["decision"] for row in rows) == {"approve": 85, "reject": 10, "flag": 5}
    assert rows[55]["text"] == "A solid mass is darker than the tissue around it."
    assert rows[55]["state"] == "approved"
    summary = description_review.review_summary(site.context, found["id"], "Ada")
    assert summary["readers"][0]["median_seconds"] > 0
    page.wait_for_selector("text=100 of 100 decided")


def test_keys_are_inert_where_text_is_typed_and_with_other_keys_held(window: Visit, site: Site) -> None:
    found = texts(site, "Inert")
    page = open_review(window, found["id"])
    first = page.locator(".ps-review-text").inner_text()
    for key in ("Control+a", "Alt+a", "Backspace", "Delete", "x", "4"):
        page.keyboard.press(key)
    page.get_by_text("Filter and sort").click()
    page.get_by_label("Words").focus()
    page.keyboard.type("arf")
    page.get_by_label("Words").fill("")
    page.get_by_label("Class", exact=True).first.focus()
    page.keyboard.press("a")
    page.keyboard.press("e")
    page.get_by_role("tab", name="Review").focus()
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("a")
    page.keyboard.press("Escape")
    page.get_by_text("Reading options").click()
    page.get_by_label("Keys on").uncheck()
    page.keyboard.press("a")
    assert page.locator(".ps-review-card .ps-key").first.is_hidden()
    page.reload()
    page.wait_for_selector(".ps-review-card")
    page.keyboard.press("a")
    assert page.locator(".ps-review-text").inner_text() == first
    page.get_by_role("button", name="Approve").click()
    page.wait_for_function("first => document.querySelector('.ps-review-text').innerText !== first", arg=first)
    wait_until_saved(page)
    assert Counter(states(site, found["id"])) == {"approved": 1, "draft": 5}


def test_the_list_is_one_stop_of_the_tab_key_and_walked_with_arrows(window: Visit, site: Site) -> None:
    found = texts(site, "Walked", 20)
    page = open_review(window, found["id"])
    rows = page.locator(".ps-queue-row")
    assert rows.count() == 40
    assert page.locator(".ps-queue-row[tabindex='0']").count() == 1
    page.locator(".ps-queue-row[aria-current]").focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowUp", "ArrowDown"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    page.wait_for_selector(f"blockquote:has-text('{sentence('cyst', 2)}')")
    page.locator(".ps-queue-row[aria-current]").focus()
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement === [...document.querySelectorAll('.ps-queue-row')].at(-1)")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Add a sentence"
    assert page.locator(".ps-queue-row[tabindex='0']").count() == 1


def test_a_reason_is_one_more_key_and_never_demanded(window: Visit, site: Site) -> None:
    found = texts(site, "Reasons")
    page = open_review(window, found["id"])
    press(page, "r")
    page.keyboard.press("4")
    assert page.locator(".ps-strip-after").count() == 0
    press(page, "ra")
    assert page.locator(".ps-strip-after").count() == 0
    press(page, "r")
    page.keyboard.press("6")
    page.keyboard.type("an artefact")
    page.keyboard.press("Enter")
    press(page, "a")
    wait_until_saved(page)
    rows = sentences(site, found["id"], "Ada")[:5]
    said = [(row["state"], row["mine"]["reason"]) for row in rows]
    assert said == [
        ("rejected", "vague"),
        ("rejected", None),
        ("approved", None),
        ("rejected", "an artefact"),
        ("approved", None),
    ]


def test_undo_brings_a_sentence_back_one_after_the_other(window: Visit, site: Site) -> None:
    found = texts(site, "Undo")
    page = open_review(window, found["id"])
    shown = [sentence("cyst", n) for n in range(3)]
    press(page, "arf")
    for n in (2, 1, 0):
        page.keyboard.press("u")
        page.wait_for_selector(f"blockquote:has-text('{shown[n]}')")
    wait_until_saved(page)
    assert set(states(site, found["id"])) == {"draft"}
    press(page, "a")
    wait_until_saved(page)
    page.reload()
    page.wait_for_selector(".ps-review-card")
    page.keyboard.press("u")
    page.wait_for_selector(f"blockquote:has-text('{shown[0]}')")
    wait_until_saved(page)
    assert set(states(site, found["id"])) == {"draft"}


def test_an_edit_is_left_without_loss_and_saved_with_enter(window: Visit, site: Site) -> None:
    found = texts(site, "Edits")
    page = open_review(window, found["id"])
    page.keyboard.press("e")
    page.keyboard.type(" Half a thought")
    page.keyboard.press("Escape")
    assert page.locator("blockquote.ps-review-text").inner_text() == sentence("cyst", 0)
    page.keyboard.press("e")
    assert page.locator("textarea.ps-review-text").input_value() == f"{sentence('cyst', 0)} Half a thought"
    page.keyboard.press("Enter")
    page.wait_for_selector("blockquote:has-text('Half a thought')")
    wait_until_saved(page)
    assert sentences(site, found["id"])[0]["text"] == f"{sentence('cyst', 0)} Half a thought"
    page.wait_for_selector("text=1 sentence changed since")
    page.wait_for_selector("text=Accuracy on the training images")
    page.get_by_text("Class by class").click()
    assert page.locator(".ps-strip-after tbody tr").count() == 2


def test_images_are_made_ready_when_the_page_opens_and_an_early_edit_is_told_so(window: Visit, site: Site) -> None:
    found = texts(site, "Ready")
    held: list[Any] = []
    window.page.route("**/api/v1/description-sets/*/effect", lambda route: held.append(route))
    page = open_review(window, found["id"])
    while not held:
        page.wait_for_timeout(50)
    assert [route.request.post_data_json["changes"] for route in held] == [[]]
    page.keyboard.press("e")
    page.keyboard.type(" Edited at once.")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Preparing the training images")
    while len(held) < 2:
        page.wait_for_timeout(50)
    for route in held:
        route.continue_()
    page.wait_for_selector("text=Accuracy on the training images")
    assert page.locator("text=Preparing the training images").count() == 0


def test_all_that_match_are_decided_and_taken_back_in_one_go(window: Visit, site: Site) -> None:
    found = texts(site, "Bulk", 8)
    page = open_review(window, found["id"])
    page.get_by_text("Filter and sort").click()
    page.get_by_label("Class", exact=True).first.select_option("cyst")
    page.wait_for_function("document.querySelectorAll('.ps-queue-list li').length === 8")
    page.get_by_text("All at once").click()
    page.get_by_label("What to do with all").select_option("reject")
    page.get_by_role("button", name="Apply to all that match").click()
    assert "Reject 8 sentences?" in page.locator("dialog").inner_text()
    page.get_by_role("button", name="Reject 8").click()
    page.wait_for_selector("text=Rejected: 8 sentences.")
    assert Counter(states(site, found["id"])) == {"rejected": 8, "draft": 8}
    page.locator(".ps-strip-after").get_by_role("button", name="Undo").click()
    page.wait_for_function("document.querySelectorAll('.ps-queue-list li').length === 8")
    wait_until_saved(page)
    assert Counter(states(site, found["id"])) == {"draft": 16}


def test_a_blind_reader_sees_what_others_say_only_after_deciding(open_window: Callable[..., Visit], site: Site) -> None:
    found = texts(site, "Blind")
    first = open_review(open_window(), found["id"], "Ben")
    press(first, "r")
    wait_until_saved(first)
    page = open_review(open_window(), found["id"])
    assert "Ben rejected" in page.locator(".ps-review-card").inner_text()
    page.get_by_text("Reading options").click()
    page.get_by_label("Blind").check()
    page.wait_for_selector("text=is shown once you decided")
    assert "Ben" not in page.locator("ps-description-review").inner_text()
    assert "Rejected" not in page.locator(".ps-queue-list").inner_text()
    press(page, "a")
    wait_until_saved(page)
    page.keyboard.press("p")
    page.wait_for_selector("text=Ben rejected")
    assert states(site, found["id"])[0] == "needs_second_reader"


# ------------------------------------------------------------------ two at once, and what goes wrong


def test_an_edit_that_came_second_shows_the_first_and_keeps_its_own_words(
    open_window: Callable[..., Visit], site: Site
) -> None:
    found = texts(site, "Both edit")
    here, there = open_window(), open_window()
    here.expected.append("status of 409")
    page, other = open_review(here, found["id"]), open_review(there, found["id"], "Ben")
    page.keyboard.press("e")
    page.keyboard.press("Control+A")
    page.keyboard.type("Ada wrote this about a cyst.")
    other.keyboard.press("e")
    other.keyboard.press("Control+A")
    other.keyboard.type("Ben wrote this about a cyst.")
    other.keyboard.press("Enter")
    wait_until_saved(other)
    page.keyboard.press("Enter")
    notice = page.locator(".ps-review-card .ps-notice-bad")
    notice.wait_for()
    assert "Ben wrote this about a cyst." in notice.inner_text()
    assert page.locator("textarea.ps-review-text").input_value() == "Ada wrote this about a cyst."
    assert sentences(site, found["id"])[0]["text"] == "Ben wrote this about a cyst."
    page.keyboard.press("Control+Enter")
    wait_until_saved(page)
    assert sentences(site, found["id"])[0]["text"] == "Ada wrote this about a cyst."


def test_two_readers_at_once_get_both_their_decisions(open_window: Callable[..., Visit], site: Site) -> None:
    found = texts(site, "Both read")
    page, other = (open_review(open_window(), found["id"], reader) for reader in ("Ada", "Ben"))
    for _ in range(3):
        press(page, "a")
        press(other, "r")
    wait_until_saved(page)
    wait_until_saved(other)
    assert Counter(states(site, found["id"])) == {"needs_second_reader": 3, "draft": 3}


def test_what_was_not_acknowledged_is_said_before_leaving_and_offered_afterwards(window: Visit, site: Site) -> None:
    found = texts(site, "Killed")
    page = open_review(window, found["id"])
    press(page, "a")
    wait_until_saved(page)
    page.route(ACTIONS, lambda route: None)
    press(page, "r")
    page.wait_for_selector(".ps-saving[data-state=saving]")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.close(run_before_unload=True)
    deadline = time.monotonic() + 20
    while not page.is_closed() and time.monotonic() < deadline:
        window.page.context.pages and time.sleep(0.1)
        try:
            page.wait_for_timeout(100)
        except Exception:  # it has gone, as it should
            break
    assert asked == ["beforeunload"]
    assert states(site, found["id"])[:2] == ["approved", "draft"]
    again = Visit(site, window.page.context.new_page())
    again.watch()
    page = open_again(again, found)
    notice = page.locator(".ps-notice-warn")
    notice.wait_for()
    assert f"Rejected: “{sentence('cyst', 1)}”" in notice.inner_text()
    page.get_by_role("button", name="Send again").click()
    wait_until_saved(page)
    assert states(site, found["id"])[:2] == ["approved", "rejected"]
    assert again.unexpected == []


def open_again(window: Visit, found: dict[str, Any]) -> Any:
    address = f"/descriptions?image_set={found['image_set_id']}&id={found['id']}"
    return window.open(address, ".ps-review-card")


def test_an_answer_that_was_lost_is_not_done_twice(window: Visit, site: Site) -> None:
    window.expected += ["Failed to load resource", "net::ERR"]
    found = texts(site, "Lost answer")
    page = open_review(window, found["id"])
    sent = []

    def lose_the_first(route: Any) -> None:
        sent.append(route.request.headers["idempotency-key"])
        if len(sent) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route(ACTIONS, lambda route: lose_the_first(route) if route.request.method == "POST" else route.continue_())
    press(page, "a")
    page.wait_for_selector("text=1 change not saved")
    page.get_by_role("button", name="Send now").click()
    wait_until_saved(page)
    assert len(sent) == 2
    assert len(set(sent)) == 1
    assert [row["kind"] for row in description_review.list_actions(site.context, found["id"], 10, 0)[0]].count(
        "approve"
    ) == 1


def test_words_that_the_chosen_encoder_does_not_read_are_struck(window: Visit, site: Site) -> None:
    short_backbone(site.context.home, 8)
    window.expected.append("status of 422")  # its weights do not fit, so that no image is made ready
    found = texts(site, "Cut", 2)
    page = open_review(window, found["id"])
    assert "of 128 tokens of “embedded”" in page.locator(".ps-review-known").inner_text()
    assert page.locator("s.ps-lost").count() == 0
    page.get_by_text("Reading options").click()
    page.get_by_label("Encoder").select_option("biomedclip")
    page.wait_for_selector("s.ps-lost")
    (row, *_) = description_review.list_sentences(
        site.context, found["id"], Filter(), "given", 1, 0, backbone="biomedclip"
    )[0]
    assert sentence("cyst", 0).endswith(row["lost"])
    assert page.locator("s.ps-lost").inner_text().endswith(row["lost"])
    assert "of 8 tokens of “biomedclip”; what is struck is not read" in page.locator(".ps-review-known").inner_text()
    page.get_by_label("Encoder").select_option("embedded")
    page.wait_for_selector("text=of 128 tokens of “embedded”")
    assert page.locator("s.ps-lost").count() == 0


def test_a_refused_decision_brings_its_sentence_back(window: Visit, site: Site) -> None:
    window.expected.append("status of 422")
    found = texts(site, "Refused")
    page = open_review(window, found["id"])
    error = {"error": {"code": "invalid", "message": "This was refused.", "expected": "", "found": "", "remedy": ""}}
    page.route(ACTIONS, lambda route: route.fulfill(status=422, json=error))
    page.keyboard.press("a")
    page.wait_for_selector("text=Approved was not saved. This was refused.")
    assert page.locator("blockquote.ps-review-text").inner_text() == sentence("cyst", 0)
    page.unroute(ACTIONS)
    assert states(site, found["id"])[0] == "draft"


# ------------------------------------------------------------------ many sentences, and every look


def test_two_thousand_sentences_do_not_make_it_slow(window: Visit, site: Site) -> None:
    found = texts(site, "Two thousand", 1000)
    page = open_review(window, found["id"])
    assert page.locator(".ps-queue-list li").count() <= 250
    assert "2,000 sentences wait for you" in page.locator(".ps-next").inner_text()
    took = []
    for _ in range(20):
        shown = page.locator("blockquote.ps-review-text").inner_text()
        begun = time.perf_counter()
        page.keyboard.press("a")
        page.wait_for_function("shown => document.querySelector('blockquote').innerText !== shown", arg=shown)
        took.append(time.perf_counter() - begun)
    assert sorted(took)[10] < 0.5
    wait_until_saved(page)
    assert Counter(states(site, found["id"]))["approved"] == 20


def test_the_review_can_be_read_and_used_by_everybody(window: Visit, site: Site) -> None:
    found = texts(site, "Looks")
    page = open_review(window, found["id"])
    press(page, "r")
    wait_until_saved(page)
    for summary in page.locator("summary").all():
        summary.click()
    page.wait_for_selector(".ps-history")
    wrong = {}
    for width, scheme in LOOKS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        wrong[width, scheme] = measured(page)
    assert {look: faults for look, faults in wrong.items() if faults != NOTHING_WRONG} == {}
