"""The frame of the Descriptions page and its views beside the review: versions, agreement, as text."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from app.services import descriptions, incoming_images
from tests.browser.conftest import Site, Visit
from tests.browser.measures import NOTHING_WRONG, measured
from tests.browser.reviewing import (
    CLASSES,
    open_review,
    png,
    press,
    sentence,
    sentences,
    states,
    texts,
    wait_until_saved,
)

pytestmark = pytest.mark.browser

LOOKS = [(width, scheme) for width in (1440, 390) for scheme in ("light", "dark")]


def faults(page: Any) -> dict[tuple[int, str], Any]:
    """What is wrong at both widths, light and dark; only looks with faults are listed."""
    page.wait_for_selector(".ps-busy", state="detached")
    found = {}
    for width, scheme in LOOKS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found[width, scheme] = measured(page)
    return {look: seen for look, seen in found.items() if seen != NOTHING_WRONG}


def undescribed(site: Site, name: str) -> dict[str, Any]:
    """An image set without any texts."""
    files = [(f"train/{label}/{n}.png", io.BytesIO(png(n))) for label in CLASSES for n in range(4)]
    return incoming_images.add_upload(site.context, files, name)


# ------------------------------------------------------------------ the frame


def test_tabs_are_walked_with_arrow_keys_and_stand_in_the_address(window: Visit, site: Site) -> None:
    page = open_review(window, texts(site, "Tabs")["id"])
    page.get_by_role("tab", name="Review").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        page.wait_for_selector("#ps-view .ps-card:visible")
    page.wait_for_selector("#ps-versions-title")
    assert "view=versions" in page.url
    assert page.evaluate("document.activeElement.textContent") == "Versions"
    page.reload()
    page.wait_for_selector("#ps-versions-title")
    page.keyboard.press("a")
    page.get_by_role("tab", name="Versions").focus()
    page.keyboard.press("Home")
    page.wait_for_selector(".ps-review-card")
    assert "view=" not in page.url


def test_the_head_says_what_stands_and_what_to_do_next(window: Visit, site: Site) -> None:
    found = texts(site, "Head")
    page = open_review(window, found["id"])
    head = page.locator("ps-descriptions")
    assert "Version 1" in head.inner_text()
    assert "Not signed off" in head.inner_text()
    assert "6 sentences wait for you. Press A to approve, R to reject." in head.inner_text()
    press(page, "aaaaa")
    page.keyboard.press("f")
    page.wait_for_selector("text=You have read everything. 1 sentence needs a second look.")
    page.locator(".ps-next").get_by_role("button", name="Sign off without").click()
    page.wait_for_selector("#ps-versions-title")


# ------------------------------------------------------------------ versions


def test_a_version_is_signed_and_says_what_was_left_out(window: Visit, site: Site) -> None:
    found = texts(site, "Signing")
    page = open_review(window, found["id"])
    press(page, "aararf"[:5])
    page.keyboard.press("f")
    wait_until_saved(page)
    page.get_by_role("tab", name="Versions").click()
    page.get_by_label("Note").fill("for the first study")
    page.get_by_role("button", name="Sign off…").click()
    said = page.locator("dialog").inner_text()
    assert "Sign off 3 sentences?" in said
    assert "Left out: 2 rejected, 1 needs a second reader." in said
    page.locator("dialog").get_by_role("button", name="Sign off").click()
    page.wait_for_selector("text=Version 2 is signed by Ada.")
    row = page.locator("section[aria-labelledby=ps-versions-title] tbody tr").first.inner_text()
    assert "by Ada" in row
    assert "for the first study" in row
    page.wait_for_selector(".ps-chip:has-text('Signed by Ada')")
    kept = descriptions.get_description_set(site.context, found["id"], 2)["sentences"]
    assert kept == {"cyst": [sentence("cyst", 0), sentence("cyst", 1)], "solid mass": [sentence("solid mass", 0)]}


def test_a_class_without_an_approved_sentence_cannot_be_signed(window: Visit, site: Site) -> None:
    window.expected += ["status of 4"]
    page = open_review(window, texts(site, "Too early")["id"])
    press(page, "a")
    wait_until_saved(page)
    page.get_by_role("tab", name="Versions").click()
    page.get_by_role("button", name="Sign off…").click()
    page.locator("dialog").get_by_role("button", name="Sign off").click()
    notice = page.locator("section[aria-labelledby=ps-save-title] .ps-notice-bad")
    notice.wait_for()
    assert "solid mass" in notice.inner_text()


def test_versions_are_compared_word_by_word(window: Visit, site: Site) -> None:
    found = texts(site, "Words")
    page = open_review(window, found["id"])
    page.keyboard.press("e")
    page.keyboard.press("Control+A")
    page.keyboard.type("A cyst is almost round with a thin wall in view 0.")
    page.keyboard.press("Control+Enter")
    press(page, "r")
    wait_until_saved(page)
    page.get_by_role("tab", name="Versions").click()
    changed = page.locator(".ps-diff")
    changed.wait_for()
    assert page.locator(".ps-diff ins").first.inner_text().strip() == "almost"
    assert page.locator(".ps-diff del").all_inner_texts() == [sentence("cyst", 1)]
    page.get_by_role("button", name="Save a version").click()
    page.wait_for_selector("text=Version 2 is saved.")
    page.wait_for_selector("text=No difference.")
    page.get_by_label("From").select_option("1")
    page.get_by_label("To", exact=True).select_option("2")
    page.wait_for_selector(".ps-diff ins:has-text('almost')")


def test_an_old_version_is_opened_in_full(window: Visit, site: Site) -> None:
    found = texts(site, "Opened")
    page = open_review(window, found["id"], view="versions")
    page.get_by_role("button", name="Open version 1").press("Enter")
    opened = page.locator("section[aria-labelledby=ps-versions-title]")
    opened.get_by_role("heading", name="Version 1", exact=True).wait_for()
    opened.get_by_text("No run was trained on it.").wait_for()
    opened.get_by_text("cyst (3)").click()
    assert opened.get_by_text(sentence("cyst", 1)).is_visible()
    assert "by A. Writer" in opened.inner_text()
    assert faults(page) == {}
    page.get_by_role("button", name="Close version 1").press("Enter")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Open version 1"


def test_a_result_leads_to_what_changed_since_its_version(window: Visit, site: Site) -> None:
    found = texts(site, "Changed since")
    page = open_review(window, found["id"])
    press(page, "r")
    wait_until_saved(page)
    page.goto(f"{site.address}/descriptions?id={found['id']}&view=versions&from=1")
    page.wait_for_selector("#ps-compare-title")
    assert page.get_by_label("From").input_value() == "1"
    page.locator(".ps-diff").get_by_text(sentence("cyst", 0)).wait_for()
    assert page.get_by_role("heading", name="Changed since").is_visible()


def test_what_was_done_is_taken_back_and_done_again_from_the_list(window: Visit, site: Site) -> None:
    found = texts(site, "Log")
    page = open_review(window, found["id"])
    press(page, "ar")
    wait_until_saved(page)
    page.get_by_role("tab", name="Versions").click()
    log = page.locator("section[aria-labelledby=ps-log-title]")
    log.get_by_role("button", name="Undo: Approved").click()
    log.get_by_text("Undone: 1 sentence.").wait_for()
    assert states(site, found["id"])[:2] == ["draft", "rejected"]
    log.get_by_role("button", name="Do it again").click()
    page.wait_for_function("document.querySelectorAll('section[aria-labelledby=ps-log-title] tbody tr').length === 5")
    assert states(site, found["id"])[:2] == ["approved", "rejected"]


def test_texts_are_deleted_only_after_a_question(window: Visit, site: Site) -> None:
    found = texts(site, "To delete")
    page = open_review(window, found["id"], view="versions")
    page.get_by_role("button", name="Delete these texts").click()
    page.keyboard.press("Escape")
    assert descriptions.get_description_set(site.context, found["id"])["name"] == "To delete"
    page.get_by_role("button", name="Delete these texts").click()
    page.get_by_role("button", name="Delete the texts").click()
    page.wait_for_selector(".ps-review")
    names = [row["name"] for row in descriptions.list_description_sets(site.context, found["image_set_id"])]
    assert "To delete" not in names


# ------------------------------------------------------------------ agreement


def test_agreement_says_how_far_readers_agree_and_leads_to_disagreements(window: Visit, site: Site) -> None:
    found = texts(site, "Agreement", 6)
    page = open_review(window, found["id"])
    press(page, "a" * 11)
    page.keyboard.press("r")
    page.wait_for_selector("text=You have read everything")
    wait_until_saved(page)
    page = open_review(window, found["id"], "Ben")
    press(page, "a" * 10 + "r")
    page.keyboard.press("r")
    page.wait_for_selector("text=You have read everything")
    wait_until_saved(page)
    page.get_by_role("tab", name="Agreement").click()
    pair = page.locator("section", has=page.get_by_role("heading", name="Ada and Ben"))
    pair.wait_for()
    assert "91.7 %" in pair.inner_text()
    written = page.locator(".ps-methods-text")
    assert "2 readers" in written.inner_text()
    page.get_by_role("button", name="Copy the text").press("Enter")
    page.get_by_text(re.compile(r"Copied\.|Marked; press")).wait_for()
    pair.get_by_text("1 disagreement").click()
    pair.get_by_role("button", name=sentence("solid mass", 4)).click()
    page.wait_for_selector(f"blockquote:has-text('{sentence('solid mass', 4)}')")
    assert "Ada approved" in page.locator(".ps-review-card").inner_text()


def test_planted_sentences_give_a_catch_rate_and_can_be_taken_out(window: Visit, site: Site) -> None:
    found = texts(site, "Planted", 6)
    page = open_review(window, found["id"])
    page.get_by_text("Reading options").click()
    page.get_by_label("Plant wrong sentences").fill("3")
    page.get_by_role("button", name="Plant them").click()
    page.wait_for_selector("text=3 wrong sentences now stand among the others.")
    page.wait_for_selector("text=15 sentences wait for you.")
    press(page, "r" * 14)
    page.keyboard.press("r")
    page.wait_for_selector("text=You have read everything")
    wait_until_saved(page)
    page.get_by_role("tab", name="Agreement").click()
    page.wait_for_selector("text=3 of 3")
    assert "12" in page.locator("section[aria-labelledby=ps-readers-title] tbody tr").inner_text()
    page.get_by_role("tab", name="Review").click()
    page.get_by_text("Reading options").click()
    page.get_by_role("button", name="Take planted ones out").click()
    page.wait_for_selector("text=No planted sentence is left.")
    page.wait_for_selector("text=12 of 12 decided")


# ------------------------------------------------------------------ as text


def test_the_first_sentences_are_written_and_saved_by_keyboard(window: Visit, site: Site) -> None:
    added = undescribed(site, "Not yet described")
    page = window.open(f"/descriptions?image_set={added['id']}&view=text", ".ps-class-text")
    assert "Not saved yet" in page.locator("ps-descriptions").inner_text()
    page.get_by_label("Sentences about cyst").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type(
        "A cyst is round and black, with a thin wall.\nBehind a cyst the tissue is brighter.\nRound.\nRound."
    )
    page.wait_for_selector("text=Line 3: class not named")
    assert "Line 4: said twice" in page.locator(".ps-class-text").first.inner_text()
    page.get_by_label("Name of these texts").fill("Spring wording")
    page.get_by_label("Your name").fill("A. Reader")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Saved as version 1.")
    page.wait_for_selector(".ps-review-card")
    saved = descriptions.find_description_set(site.context, "Spring wording")
    assert saved["sentences"]["cyst"][:2] == [
        "A cyst is round and black, with a thin wall.",
        "Behind a cyst the tissue is brighter.",
    ]
    assert saved["versions"][0]["author"] == "A. Reader"


def test_saving_as_text_keeps_decisions_and_edits_of_the_review(window: Visit, site: Site) -> None:
    found = texts(site, "Both ways")
    page = open_review(window, found["id"])
    press(page, "ar")
    page.keyboard.press("e")
    page.keyboard.press("Control+A")
    page.keyboard.type("A cyst was reworded in review.")
    page.keyboard.press("Control+Enter")
    wait_until_saved(page)
    page.get_by_role("tab", name="As text").click()
    field = page.get_by_label("Sentences about cyst")
    field.wait_for()
    assert field.input_value().split("\n") == [sentence("cyst", 0), "A cyst was reworded in review."]
    page.get_by_label("Sentences about solid mass").fill("A solid mass has an uneven margin.")
    page.wait_for_selector("text=1 new sentence, 3 removed")
    page.get_by_role("button", name="Save as version 2").click()
    page.wait_for_selector("text=Saved as version 2.")
    rows = {row["text"]: row["state"] for row in sentences(site, found["id"])}
    assert rows[sentence("cyst", 0)] == "approved"
    assert rows["A cyst was reworded in review."] == "approved"
    assert rows["A solid mass has an uneven margin."] == "draft"
    assert sentence("solid mass", 0) not in rows


def test_a_template_replaces_all_sentences_and_a_wrong_one_says_why(window: Visit, site: Site) -> None:
    window.expected.append("status of 422")
    page = open_review(window, texts(site, "Templates")["id"])
    page.get_by_role("tab", name="As text").click()
    page.get_by_text("Fill from templates").click()
    page.get_by_label("One sentence of your own").fill("no place for the name")
    page.get_by_role("button", name="Replace all sentences").click()
    page.wait_for_selector(".ps-notice-bad")
    assert "{}" in page.locator(".ps-notice-bad").inner_text()
    page.get_by_label("One sentence of your own").fill("an ultrasound image of a {}.")
    page.get_by_role("button", name="Replace all sentences").click()
    page.wait_for_selector("text=All sentences were replaced")
    assert page.get_by_label("Sentences about solid mass").input_value() == "an ultrasound image of a solid mass."
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    page.get_by_role("tab", name="Review").click()
    assert asked == ["Something you wrote here is not saved yet. Leave it?"]
    assert page.get_by_label("Sentences about solid mass").is_visible()


# ------------------------------------------------------------------ every look


@pytest.mark.parametrize(
    ("view", "shown"), [("versions", "#ps-log-title"), ("agreement", "#ps-readers-title"), ("text", ".ps-class-text")]
)
def test_views_can_be_read_and_used_by_everybody(window: Visit, site: Site, view: str, shown: str) -> None:
    found = texts(site, f"Looks {view}")
    page = open_review(window, found["id"])
    press(page, "r")
    wait_until_saved(page)
    page.goto(f"{page.url}&view={view}")
    page.wait_for_selector(shown)
    assert faults(page) == {}


def test_the_chosen_tab_is_in_sight_on_a_narrow_page(open_window: Callable[..., Visit], site: Site) -> None:
    found = texts(site, "Narrow tabs")
    page = open_review(open_window(width=390), found["id"])
    page.goto(f"{page.url}&view=text")
    page.wait_for_selector(".ps-class-text")
    box = page.get_by_role("tab", name="As text").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390


def test_a_server_that_went_away_is_said_and_decisions_wait_for_it(
    open_window: Callable[..., Visit], site: Site
) -> None:
    window = open_window(width=390)
    window.expected += ["Failed to load resource", "net::ERR"]
    found = texts(site, "Away")
    page = open_review(window, found["id"])
    page.route("**/api/v1/**", lambda route: route.abort())
    press(page, "aa")
    page.wait_for_selector("text=2 changes not saved")
    assert "Check that Promptoscope is still running" in page.locator(".ps-saving").inner_text()
    assert faults(page) == {}
    page.unroute("**/api/v1/**")
    page.get_by_role("button", name="Send now").click()
    wait_until_saved(page)
    assert Counter(states(site, found["id"])) == {"approved": 2, "draft": 4}
