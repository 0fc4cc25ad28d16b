"""The views Write and Evidence of the Descriptions page: a language model on loopback, real jobs, real images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.services import description_review
from core.records.sentence_filters import Filter
from tests.browser.conftest import Site, Visit, start_site
from tests.browser.measures import NOTHING_WRONG, measured
from tests.browser.reviewing import CLASSES, image_set, texts
from tests.language_model_server import Served, language_model
from training_jobs import job_queue
from training_jobs.run_job import run_job

pytestmark = pytest.mark.browser
VERDICT = "ps-description-evidence .ps-verdict"


@pytest.fixture(scope="module")
def model() -> Iterator[Served]:
    with language_model() as served:
        yield served


@pytest.fixture(scope="module")
def site(model: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site that knows a language model; jobs are done by the test itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROMPTOSCOPE_LLM_BASE_URL", model.address)
        patch.setenv("PROMPTOSCOPE_LLM_MODEL", "drafter")
        running, stop = start_site(tmp_path_factory.mktemp("home"), with_worker=False)
        yield running
        stop()


def work(site: Site) -> None:
    """Do the job that waits."""
    with site.context.db.writing() as session:
        claim = job_queue.claim(session, executor="local", host="here", slots=1)
    assert claim is not None
    run_job(claim.job_id, claim.fence, settings=site.context.settings)


def open_view(window: Visit, view: str, texts_id: str = "") -> Any:
    address = f"/descriptions?image_set={image_set(window.site)}&view={view}"
    return window.open(f"{address}&id={texts_id}" if texts_id else address, f"ps-description-{view} .ps-card:visible")


def test_what_is_sent_is_shown_first_and_comes_back_as_drafts(window: Visit, site: Site, model: Served) -> None:
    page = open_view(window, "write")
    page.get_by_role("button", name="Begin empty texts").press("Enter")
    page.get_by_label("Sentences for each class").fill("6")
    page.get_by_label("Wishes of your own (optional)").fill("Speak of margins.")
    page.get_by_role("button", name="Show what will be sent").press("Enter")
    send = page.locator(".ps-send")
    send.wait_for()
    assert model.calls == []
    assert send.inner_text() == f"Send to {model.address}/chat/completions"
    shown = page.locator(".ps-request").first.locator(".ps-message").all_inner_texts()
    send.press("Enter")
    page.get_by_role("heading", name="Asked so far").wait_for()
    work(site)
    page.get_by_role("button", name="Read them").wait_for()
    assert "12 sentences were written. They are drafts" in page.locator(".ps-notice-good").last.inner_text()
    sent = next(call for call in model.calls if call.asked_class == CLASSES[0])
    assert [message["content"].strip() for message in sent.body["messages"]] == [text.strip() for text in shown]
    assert "Speak of margins." in shown[-1]
    found = page.evaluate("new URL(location).searchParams.get('id')")
    rows = description_review.list_sentences(site.context, found, Filter(), "given", 100, 0)[0]
    assert {(row["state"], row["author_kind"], row["author"]) for row in rows} == {("draft", "model", "drafter")}


def test_a_changed_wish_has_to_be_looked_at_again(window: Visit, site: Site) -> None:
    page = open_view(window, "write", texts(site, "Changed")["id"])
    page.get_by_role("button", name="Show what will be sent").click()
    page.locator(".ps-send").wait_for()
    page.get_by_label("Wishes of your own (optional)").fill("Other words.")
    page.get_by_text("You changed something. Look again at what will be sent.").wait_for()
    assert page.locator(".ps-send").count() == 0


def test_images_say_of_sentences_what_can_be_told(window: Visit, site: Site) -> None:
    page = open_view(window, "evidence", texts(site, "Weighed")["id"])
    page.get_by_text("No evidence yet").wait_for()
    page.get_by_role("button", name="Look at the images").press("Enter")
    page.get_by_text("Waits for a free worker.").wait_for()
    work(site)
    page.wait_for_selector(VERDICT)
    said = " ".join(page.locator(VERDICT).all_inner_texts())
    assert "cannot be told with 10 images" in said
    assert "random words" in said
    table = page.get_by_role("region", name="Evidence by sentence")
    assert table.locator("tbody tr").count() == 6
    fold = table.locator("details").first
    fold.locator("summary").press("Enter")
    fold.locator("img").first.wait_for()
    assert fold.locator("li").count() == 8
    page.wait_for_function("document.querySelector('.ps-evidence-images img').naturalWidth > 0")
    assert measured(page) == NOTHING_WRONG
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the report").click()
    report = download.value.path().read_text("utf-8")
    assert "Farthest of its class" in report
    assert report.count("data:image/jpeg;base64,") > 4
    table.get_by_role("button").first.press("Enter")
    page.wait_for_selector(".ps-review-card")


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
@pytest.mark.parametrize("view", ["write", "evidence"])
def test_both_views_can_be_read_and_used_by_everybody(
    open_window: Callable[..., Visit], site: Site, view: str, width: int, dark: bool
) -> None:
    visit = open_window(width=width, dark=dark)
    page = open_view(visit, view, texts(site, f"Looks {view} {width}")["id"])
    if view == "evidence":
        page.get_by_role("button", name="Look at the images").click()
        page.get_by_text("Waits for a free worker.").wait_for()
        work(site)
        page.wait_for_selector(VERDICT)
        page.wait_for_selector("ps-description-evidence ps-plot .main-svg")
    page.wait_for_timeout(500)
    assert measured(page) == NOTHING_WRONG
