"""The result pages in each state: empty, busy, full and failed, by keyboard, wide and narrow, light and dark.

The site is real; the API's answers are those of `answers.py`, so that each state can be shown without training.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image

from tests.browser import answers
from tests.browser.conftest import Visit
from tests.browser.measures import NOTHING_WRONG, measured

pytestmark = pytest.mark.browser

FORM_READY = "form button[type=submit]:enabled"
PAGES = ("/train", "/experiments", "/jobs", "/compare", "/classify", "/attention")
EMPTY_TITLES = {
    "/train": "No images yet",
    "/experiments": "No images yet",
    "/jobs": "No jobs yet",
    "/compare": "Nothing to compare yet",
    "/classify": "No trained model yet",
    "/attention": "No trained model yet",
}
FULL_PAGES = {
    "/train": "ps-job-monitor article",
    "/jobs?id=job-1": "ps-job-monitor article",
    "/experiments?id=experiment-1": ".ps-cell-grid",
    "/compare?experiment=experiment-1": "ps-answers .ps-confusion",
    "/compare?run=run-1": ".ps-confusion",
    "/classify?id=answers-1": ".ps-result",
    "/attention?id=explained-1": ".ps-pane canvas",
}


WITH_RESULTS = "/compare?experiment=experiment-1"


def items(*rows: Any) -> dict[str, Any]:
    """A list as the API gives it."""
    return {"items": list(rows), "total": len(rows), "limit": 100, "offset": 0}


class Api:
    """Answers requests under /api/v1 from a table, and keeps what was sent."""

    def __init__(self, visit: Visit) -> None:
        self.sent: list[tuple[str, str, Any]] = []
        self.jobs = [answers.job()]
        self.run = answers.run()
        self.runs: list[dict[str, Any]] | None = None
        self.model = answers.MODEL
        self.refusal: dict[str, Any] | None = None
        self.comparison = answers.comparison()
        self.experiments: list[dict[str, Any]] = []
        self.progress = [answers.in_progress("d" * 14, "done")]
        self.recipes = [answers.RECIPE]
        self.measured = [answers.ESTIMATE]
        visit.page.route("**/api/v1/**", self.answer)

    def answer(self, route: Any) -> None:
        """One request."""
        address = urlsplit(route.request.url)
        path = address.path.removeprefix("/api/v1")
        if route.request.method == "POST":
            return self.take(route, path)
        if path == "/jobs" and (states := parse_qs(address.query).get("state")):
            return route.fulfill(json=items(*(job for job in self.jobs if job["state"] in states)))
        if path == "/experiments/experiment-1":
            # without rows the page asks again and again, and each time it is further on
            asked = parse_qs(address.query).get("rows") == ["false"]
            return route.fulfill(json=self.progress.pop(0) if asked and len(self.progress) > 1 else self.shown(asked))
        if path == "/experiments/experiment-1/cells" and parse_qs(address.query).get("state") == ["failed"]:
            return route.fulfill(json=items(answers.FAILED_CELL))
        if path == "/experiments/experiment-1/file":
            return route.fulfill(json={"name": "First look", "toml": 'name = "First look"\n'})
        if path.endswith(("/thumbnail", "/file")) or re.search(r"/maps/(?!arrays)", path):
            return route.fulfill(body=answers.png(), content_type="image/png")
        if path.endswith("/maps/arrays"):
            return route.fulfill(body=answers.npz(), content_type="application/zip")
        return route.fulfill(json=self.table()[path])

    def shown(self, in_progress: bool) -> dict[str, Any]:
        """The one experiment, as results or as progress."""
        return self.progress[0] if in_progress and self.progress else self.experiments[0]

    def take(self, route: Any, path: str) -> None:
        """A request that changes something."""
        body = route.request.post_data_buffer or b""
        is_json = "json" in (route.request.headers.get("content-type") or "")
        self.sent.append((path, route.request.headers.get("content-type", ""), json.loads(body) if is_json else body))
        if self.refusal and path in {"/jobs", "/experiments"}:
            return route.fulfill(status=422, json={"error": self.refusal})
        if path.startswith("/jobs") and path.endswith("/cancel"):
            self.jobs = [answers.job("cancelled")]
        if path.startswith("/jobs") and path.endswith("/retry"):
            self.jobs = [answers.job("queued")]
        answer = self.posted()[path]
        if path == "/experiments/estimate" and len(self.measured) > 1:
            self.measured.pop(0)
        return route.fulfill(json=answer)

    def posted(self) -> dict[str, Any]:
        """Answers to POST."""
        return {
            "/jobs": items(answers.job("queued")),
            "/experiments": answers.in_progress("w" * 14, "queued"),
            "/experiments/estimate": self.measured[0],
            "/experiments/file": {"name": "Experiment 1", "toml": 'name = "Experiment 1"\n'},
            "/experiments/experiment-1/cancel": {},
            "/experiments/experiment-1/start": {},
            "/experiments/experiment-1/retry": {},
            "/jobs/estimate": {"seconds": 42.0, "n_train": 24, "n_val": 3, "n_test": 24, "notes": []},
            "/jobs/job-1/cancel": answers.job("cancelled"),
            "/jobs/job-1/retry": answers.job("queued"),
            "/classifications": answers.CLASSIFICATION,
            "/explanations": answers.EXPLANATION,
            "/images/image-1/regions": {"id": "region-1"},
        }

    def table(self) -> dict[str, Any]:
        """Answers to GET."""
        methods = {f"/methods/{card['name']}": {**answers.METHOD, **card} for card in answers.METHODS}
        return methods | {
            "/image-sets": items(answers.IMAGE_SET),
            "/image-sets/set-1/images": items(answers.IMAGE),
            "/methods": items(*answers.METHODS),
            "/recipes": items(*self.recipes),
            f"/recipes/{answers.RECIPE_NAME}": answers.RECIPE_IN_FULL,
            "/backbones": items(*answers.BACKBONES),
            "/description-sets": items(answers.DESCRIPTIONS),
            "/jobs": items(*self.jobs),
            "/jobs/job-1": self.jobs[0],
            "/jobs/job-1/log": {"id": "job-1", "log": "features of 24 images"},
            "/runs": items(*([self.run] if self.runs is None else self.runs)),
            "/runs/run-1": self.run,
            "/runs/comparison": self.comparison,
            "/runs/summary": answers.SUMMARY,
            "/runs/predictions": items(answers.MISTAKEN),
            "/experiments": items(*self.experiments),
            "/experiments/experiment-1/cells": items(*answers.cells()),
            "/experiments/experiment-1/matrix": answers.matrix(),
            "/models": items(self.model),
            "/classifications": items(answers.CLASSIFICATION_IN_SHORT),
            "/classifications/answers-1": answers.CLASSIFICATION,
            "/explanations": items(),
            "/explanations/explained-1": answers.EXPLANATION,
            "/images/image-1": {**answers.IMAGE, "has_mask": False},
            "/images/image-1/regions": items(),
        }


@pytest.fixture
def api(window: Visit) -> Api:
    """Fixed answers for the one window."""
    return Api(window)


def names_stay_text(page: Any) -> bool:
    """Whether no markup of a class, set or file name became an element of ours."""
    return page.locator(".ps-slot :is(b, i, u)").count() == 0


def saved_csv(page: Any, click: Callable[[], None]) -> list[list[str]]:
    """The rows of the file that a click downloads."""
    with page.expect_download() as download:
        click()
    return list(csv.reader(Path(download.value.path()).read_text("utf-8").splitlines()))


# every page --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
def test_an_empty_page_says_what_comes_first_and_has_one_main_button(window: Visit, path: str) -> None:
    page = window.open(path, ".ps-empty")
    assert page.locator(".ps-empty h2").inner_text() == EMPTY_TITLES[path]
    assert page.locator(".ps-slot .ps-button-main").count() == 1
    assert "0" not in page.locator(".ps-empty").inner_text().splitlines()
    assert measured(page) == NOTHING_WRONG


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (1440, True), (390, False), (390, True)])
@pytest.mark.parametrize("path", FULL_PAGES)
def test_full_pages_can_be_read_and_used_by_everybody(
    open_window: Callable[..., Visit], path: str, width: int, dark: bool
) -> None:
    visit = open_window(width=width, dark=dark)
    Api(visit).experiments = [answers.experiment()] if "experiment-1" in path else []
    page = visit.open(path, FULL_PAGES[path])
    page.wait_for_timeout(300)
    assert measured(page) == NOTHING_WRONG
    assert names_stay_text(page)


@pytest.mark.parametrize("path", FULL_PAGES)
def test_every_plot_has_a_sentence_a_table_and_a_download(window: Visit, api: Api, path: str) -> None:
    api.experiments = [answers.experiment()] if "experiment-1" in path else []
    page = window.open(path, FULL_PAGES[path])
    page.wait_for_timeout(300)
    for plot in page.locator("ps-plot:visible").all():
        assert len(plot.locator("[role=img]").get_attribute("aria-label")) > 20
        assert plot.locator("[role=img] .main-svg").count() >= 1
        plot.locator("summary").click()
        assert plot.locator("tbody tr:visible").count() >= 1
        rows = saved_csv(page, plot.get_by_role("button", name="Download CSV").click)
        assert len(rows) == plot.locator("tbody tr").count() + 1


@pytest.mark.parametrize("path", PAGES)
def test_a_server_that_does_not_answer_is_said_to_be_missing(window: Visit, path: str) -> None:
    window.expected.append("Failed to load resource")
    window.page.route("**/api/v1/**", lambda route: route.abort())
    page = window.open(path, "[role=alert].ps-notice")
    assert "The server did not answer." in page.locator(".ps-notice").first.inner_text()


# train -------------------------------------------------------------------------------------------------------------


def test_shots_stop_at_the_smallest_class_and_say_why(window: Visit, api: Api) -> None:
    page = window.open("/train", FORM_READY)
    assert page.get_by_label("16", exact=True).is_disabled()
    assert page.get_by_label("8", exact=True).is_checked()
    assert "At most 9: the smallest class, 'benign', has no more." in page.locator("form").inner_text()


def test_a_method_is_found_by_what_it_does(window: Visit, api: Api) -> None:
    page = window.open("/train", FORM_READY)
    page.get_by_text("All methods").press("Enter")
    further = page.locator("details", has_text="Find a method")
    headings = [text.strip() for text in further.locator("h4").all_inner_texts()]
    assert headings[0] == "Simple baselines: at most a head on frozen features"
    field = page.get_by_label("Find a method")
    field.fill("linear CLASSIFIER")
    assert further.get_by_role("status").inner_text() == "1 of 2 methods"
    shown = further.locator(".ps-choice:visible")
    assert shown.count() == 1
    assert "images are read once" in shown.inner_text()
    field.fill("telescope")
    assert further.get_by_role("status").inner_text() == "No method is called so, or does that."
    assert shown.count() == 0


def test_the_form_has_each_option_with_its_bounds_and_sends_only_what_was_changed(window: Visit, api: Api) -> None:
    page = window.open("/train?method=coop", FORM_READY)
    page.get_by_text("Settings of this method").click()
    rate = page.get_by_label("Learning rate")
    rate.fill("101")
    message = page.locator("[data-option=learning_rate] [role=alert]")
    assert (
        message.inner_text() == "'learning_rate' lies between 0 and 100; found 101. Choose a value inside the bounds."
    )
    rate.fill("0.01")
    assert message.inner_text() == ""
    page.get_by_text("Advanced options").click()
    page.get_by_label("Text dropout").check()
    page.get_by_label("Seeds", exact=True).fill("1, 3-4")
    page.get_by_role("button", name="Start training").click()
    page.wait_for_selector("ps-job-monitor article")
    body = next(body for path, _, body in api.sent if path == "/jobs")
    assert [(request["method"], request["seed"]) for request in body["requests"]] == [
        ("coop", 1),
        ("coop", 3),
        ("coop", 4),
        ("zero_shot", 1),
    ]
    assert body["requests"][0]["options"] == {"learning_rate": 0.01, "text_dropout": True}
    assert body["requests"][0]["shots"] == 8
    page.wait_for_url("**id=job-1**")


@pytest.mark.parametrize(
    ("states", "sentence", "offered"),
    [
        ([], "Takes seconds.", True),
        (["succeeded"], "✓ The zero-shot baseline is already there for these images and shots.", False),
        (
            ["queued"],
            "The zero-shot baseline for these images and shots waits in the queue: it is not there yet.",
            False,
        ),
        (["running"], "The zero-shot baseline for these images and shots is running now: it is not there yet.", False),
        (["queued", "succeeded"], "✓ The zero-shot baseline is already there for these images and shots.", False),
        (["failed"], "Takes seconds. The last one failed.", True),
        (["cancelled", "failed"], "Takes seconds. The last one was cancelled.", True),
        (["failed", "queued"], "waits in the queue: it is not there yet.", False),
    ],
)
def test_the_baseline_is_there_only_when_it_is(
    window: Visit, api: Api, states: list[str], sentence: str, offered: bool
) -> None:
    api.runs = [answers.run(state, id=f"run-{at}", method="zero_shot") for at, state in enumerate(states)]
    page = window.open("/train?method=coop", FORM_READY)
    page.get_by_text(sentence).wait_for()
    assert page.get_by_label("Also run zero-shot as baseline").count() == int(offered)


def test_what_is_said_of_the_baseline_follows_its_job(window: Visit, api: Api) -> None:
    api.jobs, api.runs = [answers.job("queued")], [answers.run("queued", method="zero_shot")]
    page = window.open("/train?method=coop", FORM_READY)
    page.get_by_text("waits in the queue: it is not there yet.").wait_for()
    page.wait_for_selector("ps-job-monitor article")
    api.jobs, api.runs = [answers.job("running")], [answers.run("running", method="zero_shot")]
    page.get_by_text("is running now: it is not there yet.").wait_for()
    api.jobs, api.runs = [answers.job()], [answers.run(method="zero_shot")]
    page.get_by_text("is already there for these images and shots.").wait_for()


def test_a_variant_fills_the_form_with_its_values(window: Visit, api: Api) -> None:
    page = window.open("/train?method=coop", FORM_READY)
    page.get_by_text("Settings of this method").click()
    assert page.get_by_role("spinbutton", name="Epochs").input_value() == "50"
    page.get_by_label("As in the paper").check()
    assert page.get_by_role("spinbutton", name="Epochs").input_value() == "200"


def test_a_recipe_is_chosen_with_the_keyboard_and_fills_the_form(window: Visit, api: Api) -> None:
    page = window.open("/train?method=coop", FORM_READY)
    page.get_by_text("Settings of this method").click()
    select = page.get_by_label("Recipe: published settings to follow")
    assert select.locator("option").all_inner_texts() == [
        "None: our defaults for this backbone",
        "<b>SCANS</b>, few-shot",
    ]
    select.focus()
    page.keyboard.press("ArrowDown")
    page.get_by_text("From: Somebody, 2025.").wait_for()
    assert select.input_value() == answers.RECIPE_NAME
    assert "Its sentences are not shipped." in select.locator("xpath=..").inner_text()
    epochs = page.get_by_role("spinbutton", name="Epochs")
    assert epochs.input_value() == "100"
    assert page.get_by_label("Sentence per class").input_value() == "a scan of a {}."
    assert page.get_by_label("As in the paper").count() == 0
    epochs.fill("7")
    page.get_by_role("button", name="Start training").click()
    page.wait_for_selector("ps-job-monitor article")
    request = next(body for path, _, body in api.sent if path == "/jobs")["requests"][0]
    assert (request["recipe"], request["options"]) == (answers.RECIPE_NAME, {"epochs": 7})
    assert (request["template"], request["variant"]) == (None, "default")


def test_no_recipe_gives_the_defaults_back(window: Visit, api: Api) -> None:
    page = window.open("/train?method=coop", FORM_READY)
    page.get_by_text("Settings of this method").click()
    select = page.get_by_label("Recipe: published settings to follow")
    select.select_option(answers.RECIPE_NAME)
    page.get_by_text("From: Somebody, 2025.").wait_for()
    select.select_option("")
    page.get_by_text("For repeating a publication.").wait_for()
    assert page.get_by_role("spinbutton", name="Epochs").input_value() == "50"
    assert page.get_by_label("As in the paper").count() == 1


def test_a_method_without_recipes_offers_none(window: Visit, api: Api) -> None:
    api.recipes = []
    page = window.open("/train?method=coop", FORM_READY)
    assert page.get_by_label("Recipe: published settings to follow").count() == 0


@pytest.mark.parametrize("path", ["/train?id=job-1", "/compare?run=run-1"])
def test_a_run_says_which_recipe_it_follows_and_where_it_deviates(window: Visit, api: Api, path: str) -> None:
    api.run = answers.run(recipe=answers.FOLLOWED)
    page = window.open(path, "text=Follows recipe")
    assert page.get_by_text("Follows recipe").inner_text() == (
        f"Follows recipe {answers.RECIPE_NAME} (hash ab12cd34); deviates in: views 8 instead of 100; "
        "text_dropout off instead of on."
    )
    assert page.get_by_text("Its sentences are not shipped.").count() == 1


def test_what_the_server_refuses_is_said_beside_the_button_and_at_the_option(window: Visit, api: Api) -> None:
    window.expected.append("422")
    api.refusal = {**answers.FAILURE, "message": "'epochs' lies between 1 and 10; found 50. Choose a value inside."}
    page = window.open("/train?method=coop", FORM_READY)
    page.get_by_role("button", name="Start training").click()
    page.wait_for_selector("form [role=alert].ps-notice")
    assert "'epochs' lies between 1 and 10" in page.locator("form .ps-notice").inner_text()
    assert "'epochs' lies between 1 and 10" in page.locator("[data-option=epochs] [role=alert]").inner_text()


def test_a_method_with_texts_offers_versions_of_descriptions_and_templates_first(window: Visit, api: Api) -> None:
    page = window.open("/train?method=biomed_dpt", FORM_READY)
    select = page.get_by_label("Class descriptions")
    assert select.locator("option").all_inner_texts() == [
        "Template sentences",
        "First texts, version 2 (A. Reader)",
        "First texts, version 1 (A. Reader)",
    ]
    select.select_option(index=1)
    page.get_by_role("button", name="Start training").click()
    page.wait_for_selector("ps-job-monitor article")
    request = next(body for path, _, body in api.sent if path == "/jobs")["requests"][0]
    assert (request["description_set"], request["description_version"]) == ("texts-1", 2)


def test_a_running_job_shows_stage_epochs_times_and_a_growing_curve(window: Visit, api: Api) -> None:
    api.jobs, api.run = [answers.job("running")], answers.run("running")
    page = window.open("/train", "ps-job-monitor svg")
    monitor = page.locator("ps-job-monitor")
    text = monitor.inner_text()
    for words in ("Running", "8 of 50", "0.5 s", "about 21 s", "0.4 s ago"):
        assert words in text
    assert monitor.locator("[aria-current=step]").inner_text().split() == ["▶", "Train", "(now)"]
    before = monitor.locator("svg path.js-line").first.get_attribute("d")
    api.run = answers.run("running", epoch_metrics=[*answers.EPOCHS, {**answers.EPOCHS[-1], "epoch": 9, "loss": 0.1}])
    page.wait_for_function(
        "(d) => document.querySelector('ps-job-monitor path.js-line').getAttribute('d') !== d", arg=before
    )


def test_cancelling_asks_first_and_escape_keeps_the_job(window: Visit, api: Api) -> None:
    api.jobs, api.run = [answers.job("running")], answers.run("running")
    page = window.open("/train", "ps-job-monitor article")
    page.get_by_role("button", name="Cancel this job").click()
    page.keyboard.press("Escape")
    assert [path for path, _, _ in api.sent if path.endswith("/cancel")] == []
    page.get_by_role("button", name="Cancel this job").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the job").click()
    page.wait_for_selector("ps-job-monitor .ps-state:has-text('Cancelled')")
    assert [path for path, _, _ in api.sent if path.endswith("/cancel")] == ["/jobs/job-1/cancel"]
    assert page.evaluate("document.activeElement.textContent") == answers.NAME


def test_a_set_that_is_gone_is_not_replaced_in_silence(window: Visit, api: Api) -> None:
    page = window.open("/train?images=gone&method=coop", FORM_READY)
    name = answers.IMAGE_SET["name"]
    page.get_by_text(f"The images this address asks for are not here; “{name}” is chosen instead.").wait_for()


def test_the_focus_stays_on_a_job_whose_button_goes_away(window: Visit, api: Api) -> None:
    api.jobs = [answers.job("queued", id="job-2"), answers.job("queued")]
    page = window.open("/jobs", "tbody tr")
    page.locator("tbody tr").nth(1).get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the job").click()
    page.wait_for_selector("tbody .ps-state:has-text('Cancelled')")
    assert page.evaluate("document.activeElement.dataset.key").startswith("job-1 ")


def test_a_finished_job_shows_its_metrics_and_leads_on(window: Visit, api: Api) -> None:
    page = window.open("/train?id=job-1", ".ps-metrics")
    assert "81.3 %" in page.locator(".ps-metrics").inner_text()
    links = page.locator("ps-job-monitor .ps-actions a").evaluate_all("all => all.map((a) => a.getAttribute('href'))")
    assert links == ["/compare?images=set-1&run=run-1", "/classify?model=model-1", "/attention?model=model-1"]


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_the_way_to_start_stays_in_sight_on_a_long_form(
    open_window: Callable[..., Visit], width: int, height: int
) -> None:
    visit = open_window(width=width, height=height)
    Api(visit)
    page = visit.open("/train?method=coop", FORM_READY)
    start = page.get_by_role("button", name="Start training")
    place = start.evaluate("e => [e.getBoundingClientRect().top, e.getBoundingClientRect().bottom]")
    assert page.evaluate("scrollY") == 0
    assert page.evaluate("document.documentElement.scrollHeight") > 1.5 * height
    assert 0 < place[0] < place[1] <= height


def test_leakage_is_allowed_only_where_a_job_was_refused_for_it_and_by_hand(window: Visit, api: Api) -> None:
    page = window.open("/train?method=coop", FORM_READY)
    allow = page.get_by_label("Train although training and test share images")
    assert allow.is_hidden()
    leak = answers.FAILURE | {"code": "leakage", "message": "Training and test part share no image; 12 do."}
    api.jobs, api.run = [answers.job("failed", error=leak)], answers.run("failed")
    page = window.open("/jobs?id=job-1", "ps-job-monitor article")
    page.get_by_role("link", name="Allow it on the Train page").click()
    page.wait_for_selector(FORM_READY)
    allow.wait_for()
    assert allow.evaluate("e => e === document.activeElement")
    assert not allow.is_checked()
    assert measured(page) == NOTHING_WRONG
    page.keyboard.press("Space")
    page.get_by_role("button", name="Start training").click()
    page.wait_for_function("document.activeElement.id === 'ps-live-title'")
    body = next(body for path, _, body in api.sent if path == "/jobs")
    assert [request.get("allow_leakage") for request in body["requests"]] == [True, True]


def test_a_failed_job_says_what_went_wrong_and_can_be_tried_again(window: Visit, api: Api) -> None:
    api.jobs, api.run = [answers.job("failed")], answers.run("failed")
    page = window.open("/train?id=job-1", "ps-job-monitor .ps-notice")
    assert answers.FAILURE["message"] in page.locator("ps-job-monitor .ps-notice").inner_text()
    page.get_by_role("link", name="Read its log").click()
    page.wait_for_selector(".ps-log:visible")
    page.go_back()
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector("ps-job-monitor .ps-state:has-text('Waiting')")


# jobs --------------------------------------------------------------------------------------------------------------


def test_jobs_show_states_in_words_and_open_with_their_log(window: Visit, api: Api) -> None:
    api.jobs = [answers.job("failed"), answers.job("running", id="job-2"), answers.job("queued", id="job-3")]
    page = window.open("/jobs", "tbody tr")
    states = [text.split() for text in page.locator("tbody .ps-state").all_inner_texts()]
    assert states == [["✕", "Failed"], ["▶", "Running"], ["…", "Waiting"]]
    page.get_by_label("Failed").check()
    page.wait_for_function("document.querySelectorAll('tbody tr').length === 1")
    page.get_by_role("button", name=answers.NAME).click()
    page.get_by_text("Log and attempts").click()
    page.wait_for_selector(".ps-log:has-text('features of 24 images')")
    assert "id=job-1" in page.url


def test_a_change_of_state_is_announced(window: Visit, api: Api) -> None:
    api.jobs = [answers.job("running")]
    page = window.open("/jobs", "tbody tr")
    api.jobs = [answers.job()]
    page.wait_for_function(f"document.getElementById('ps-polite').textContent === '{answers.NAME} is done.'")


# compare -----------------------------------------------------------------------------------------------------------


def test_the_comparison_has_all_metrics_intervals_seeds_and_what_was_left_out(window: Visit, api: Api) -> None:
    page = window.open("/compare", ".ps-compare tbody tr")
    heads = page.locator(".ps-compare thead th").all_inner_texts()
    assert heads[1:7] == ["Accuracy", "Balanced accuracy", "Macro F1", "AUROC", "Cohen's kappa", "ECE"]
    first = page.locator(".ps-compare tbody tr").filter(has_text="CoOp").inner_text()
    assert "85.0 %" in first
    assert "72.6 to 97.4" in first  # t interval of 0.80, 0.85, 0.90
    assert "Baseline, untrained" in page.locator(".ps-baseline").inner_text()
    assert "Left out, cancelled" in page.locator(".ps-notice", has_text="Left out").inner_text()


def test_numbers_are_there_before_what_takes_longer(window: Visit, api: Api) -> None:
    held: list[Any] = []
    window.page.route("**/runs/comparison?tested=true", lambda route: held.append(route))
    api.comparison = api.comparison | {"tested": False}
    page = window.open("/compare", ".ps-compare tbody tr")
    page.get_by_text("follows in a moment: intervals over patients").wait_for()
    api.comparison = api.comparison | {"tested": True}
    api.answer(held[0])
    page.get_by_text("follows in a moment").wait_for(state="detached")
    assert page.locator(".ps-compare tbody tr").count() > 0


def test_a_missing_zero_shot_is_named_and_can_be_run(window: Visit, api: Api) -> None:
    api.comparison = answers.comparison(with_zero_shot=False)
    page = window.open("/compare?images=set-1", ".ps-missing")
    assert "Not run yet" in page.locator(".ps-missing").inner_text()
    assert page.locator(".ps-missing a").get_attribute("href") == "/train?method=zero_shot&images=set-1"


def test_the_plotted_metric_can_be_chosen_and_stays_in_the_address(window: Visit, api: Api) -> None:
    page = window.open("/compare", "ps-plot .main-svg")
    page.get_by_label("ECE").check()
    page.wait_for_selector("text=ECE (left is better)")
    assert "metric=ece" in page.url
    page.reload()
    page.wait_for_selector("text=ECE (left is better)")


def test_the_chosen_run_shows_its_confusion_its_classes_and_its_note(window: Visit, api: Api) -> None:
    page = window.open("/compare?run=run-1", ".ps-confusion")
    counts = page.locator(".ps-confusion tbody td").all_inner_texts()
    assert counts == ["21", "3", "0", "6", "18", "0", "0", "0", "24"]
    assert "'malignant' taken for 'benign', 6 answers" in page.locator(".ps-pair").inner_text()
    assert "its zero-shot is no zero-shot" in page.locator("main#main").inner_text()


# an experiment's results ---------------------------------------------------------------------------------------------


@pytest.fixture
def results(window: Visit, api: Api) -> Callable[..., Any]:
    """Opens the results of an experiment."""

    def open_(*, wait_for: str = "ps-answers .ps-confusion", **experiment: Any) -> Any:
        api.experiments = [answers.experiment(**experiment)]
        return window.open(WITH_RESULTS, wait_for)

    return open_


def test_results_call_better_only_what_the_server_says(results: Any, api: Api) -> None:
    page = results()
    board = page.locator(".ps-leaderboard")
    assert board.locator("tbody tr").count() == 3
    assert board.locator("tr", has_text="CoOp").locator(".ps-chip").all_inner_texts() == ["Better than both baselines"]
    assert "Better than zero-shot and the best simple baseline (Linear probe)" in page.locator("main#main").inner_text()
    for row in api.experiments[0]["rows"]:
        row["beats"] = False
    page.reload()
    page.wait_for_selector(".ps-leaderboard")
    text = page.locator("main#main").inner_text()
    assert "Not shown to be better" in text
    assert "No line is shown to be better" in text
    assert "Better than" not in text


def test_results_show_both_baselines_as_lines_and_each_seed_as_a_ring(results: Any) -> None:
    page = results()
    page.wait_for_selector("ps-plot .annotation-text")
    plot = page.locator("ps-plot").first
    texts = plot.locator(".annotation-text").all_text_contents()
    assert "Zero-shot" in texts
    assert "best simple: Linear probe" in texts
    assert plot.locator(".shapelayer path").count() == 2
    assert plot.locator(".scatterlayer .trace").first.locator(".point").count() == 6


def test_rows_of_single_runs_are_taken_along_with_what_has_to_be_known_of_them(window: Visit, api: Api) -> None:
    page = window.open("/compare", ".ps-compare tbody tr")
    head, *rows = saved_csv(page, page.get_by_role("button", name="Download CSV").last.click)
    assert rows
    for column in (
        *("update_steps", "image_passes", "labelled_to_choose", "trainable_parameters", "gflops_per_image", "peak_mb"),
        *("differs", "claim", "leakage", "classes_known_before", "calibration"),
    ):
        assert column in head
    first = dict(zip(head, rows[0], strict=True))
    assert first["labelled_to_choose"].isdigit()


def test_the_rows_can_be_taken_along_with_what_has_to_be_known_of_them(results: Any) -> None:
    note = "A note on this run."
    page = results(notes=[note])
    click = page.get_by_role("button", name="Download these rows (CSV)").click
    head, *rows = saved_csv(page, click)
    first = dict(zip(head, rows[0], strict=True))
    assert (first["line"], first["method"], first["image_set"], first["shots"]) == ("CoOp", "coop", "brain", "16")
    assert first["better_than_both_baselines"] == "true"
    assert first["seeds"] == "1 2 3"
    assert len(first["each_seed"].split()) == 3
    assert note in first["notes"]
    assert first["use"] == "research use only, not for diagnosis"
    for column in (
        "steps",
        "image_passes",
        "labelled_to_choose",
        "trainable_parameters",
        "gflops_per_image",
        "sd_accuracy",
        "training_seconds",
        "feature_seconds",
        "seconds",
        "peak_mb",
        "precision",
    ):
        assert first[column], column
    assert note in page.locator(".ps-leaderboard").inner_text()
    assert len(saved_csv(page, page.get_by_role("button", name="Download all rows (CSV)").click)) == 7


def test_costs_tell_training_apart_from_features_that_all_share(results: Any) -> None:
    page = results()
    card = page.locator("section", has=page.get_by_role("heading", name="What it costs"))
    words = card.inner_text()
    assert "Quickest: Zero-shot, 0.002 s; slowest: CoOp, 8.5 s." in words
    assert "kept for all others (8.4 s a cell on average)" in words
    head = page.locator(".ps-leaderboard thead").inner_text().lower()
    assert all(name in head for name in ("training", "shared features", "in all"))


def test_the_place_that_is_looked_at_stays_in_the_address(results: Any) -> None:
    page = results(sets=("brain", "chest"))
    page.get_by_label("Image set").select_option("chest")
    page.get_by_label("Training images per class").select_option("4 shots")
    assert page.locator("section h2", has_text="chest, 4 shots").count() == 1
    assert page.get_by_label("Training images per class").evaluate("e => e === document.activeElement")
    page.reload()
    page.wait_for_selector(".ps-leaderboard")
    assert page.locator("section h2", has_text="chest, 4 shots").count() == 1
    page.get_by_label("Image set").select_option("mean over sets")
    assert "Whether it is better is said for each image set by itself." in page.locator("main#main").inner_text()


def test_each_line_is_held_against_each_other_with_what_could_be_seen(results: Any) -> None:
    page = results()
    pairs = page.locator(".ps-pairs")
    assert pairs.locator("tbody tr").count() == 3
    best = pairs.locator("tbody tr").first.locator("td").nth(2).inner_text().split("\n")
    assert best[0].startswith("+")
    assert len(best[1].split(" / ")) == 3
    assert best[2].startswith("p ")
    assert pairs.locator("td.ps-differs").count() == 6
    assert "only differences above" in page.locator("main#main").inner_text()


def test_a_number_of_the_confusion_matrix_opens_its_images_by_keyboard(results: Any) -> None:
    page = results()
    cell = page.get_by_role("button", name="benign called malignant: 3. Show the images")
    cell.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.locator(".ps-answer").wait_for()
    text = dialog.inner_text()
    assert "'benign' taken for 'malignant'" in text
    assert "test/benign/<b>scan</b>.png" in text
    assert "2 of 3 runs, stated 62 %" in text
    assert names_stay_text(page)
    assert measured(page) == NOTHING_WRONG
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0
    assert cell.evaluate("e => e === document.activeElement")


def test_base_and_novel_classes_stand_side_by_side(results: Any) -> None:
    page = results(protocol="base-to-novel")
    plot = page.locator("section", has=page.get_by_role("heading", name="Classes that were not trained on"))
    plot.locator("summary").click()
    rows = plot.locator("tbody tr").all_inner_texts()
    assert len(rows) == 3
    assert "cannot name new classes" in next(row for row in rows if row.startswith("Linear probe"))
    text = page.locator("main#main").inner_text()
    assert "highest harmonic mean of balanced accuracy" in text
    assert "Nothing is called better: no simple baseline can name new classes" in text
    # the other metrics are of one half, which has to be told beside a mean of both
    heads = page.locator(".ps-leaderboard th[scope=col]").all_inner_texts()
    assert {"Accuracy, base classes", "Macro F1, base classes"} <= set(heads)
    head, *rows = saved_csv(page, page.get_by_role("button", name="Download these rows (CSV)").click)
    assert {row[head.index("other_metrics_of")] for row in rows} == {"base classes"}
    assert all(0 < float(row[head.index("base")]) <= 1 for row in rows)
    page.get_by_label("Measured on").select_option("novel")
    page.wait_for_selector("ps-answers .ps-confusion")


def test_what_makes_results_too_good_stands_above_them_and_at_each_row(results: Any) -> None:
    page = results(leakage=answers.leakage(6, allowed=True), known_classes=["benign"])
    notices = page.locator(".ps-card .ps-notice").all_inner_texts()
    assert notices[0] == COPIES
    assert "has learned benign from labelled images" in notices[1]
    assert page.locator(".ps-leaderboard .ps-chip", has_text="Leakage allowed: too good").count() == 3
    head, *rows = saved_csv(page, page.get_by_role("button", name="Download all rows (CSV)").click)
    assert {row[head.index("leakage")] for row in rows} == {COPIES}
    assert {row[head.index("classes_known_before")] for row in rows} == {"benign"}
    for name in ("Download pairs (CSV)", "Download CSV"):  # of each table and chart
        for button in page.get_by_role("button", name=name, exact=True).all():
            head, *rows = saved_csv(page, button.click)
            assert head[-1] == "caution"
            assert all(row[-1].startswith(COPIES) and "has learned benign" in row[-1] for row in rows)
    with page.expect_download() as svg:
        page.get_by_role("button", name="Download SVG").first.click()
    assert " ".join(COPIES.split()[:6]) in Path(svg.value.path()).read_text("utf-8")


def test_what_only_looks_like_leakage_is_a_warning_above_results_and_above_cells(window: Visit, api: Api) -> None:
    named = answers.leakage_by_names(19)
    api.experiments = [answers.experiment(leakage=named)]
    page = window.open(WITH_RESULTS, ".ps-leaderboard")
    assert page.locator(".ps-notice-warn").first.inner_text() == named["sentence"]
    assert page.locator(".ps-leaderboard .ps-chip", has_text="Leakage suspected").count() == 3
    api.progress = [answers.in_progress("d" * 14, "done") | {"leakage": {"brain": named}}]
    page = window.open("/experiments?id=experiment-1", ".ps-cell-grid")
    assert page.locator("ps-experiment-monitor .ps-notice-warn").inner_text() == f"brain: {named['sentence']}"


def test_few_patients_are_said_to_be_too_few_where_the_numbers_stand(window: Visit, api: Api) -> None:
    experiment = answers.experiment()
    for row in experiment["rows"]:
        row["interval"] = row["interval"].replace(" over ", " over 24 groups (approximate), ")
    api.experiments = [experiment]
    page = window.open(WITH_RESULTS, ".ps-leaderboard")
    assert page.locator(".ps-leaderboard .ps-interval", has_text=", approximate").count() == 3
    for row in experiment["rows"]:
        row["beats"] = False if row["difference"] else None
        row["difference"] = row["difference"] and row["difference"] | {"low": None, "why": "fewer than 10 groups"}
    page = window.open(WITH_RESULTS, ".ps-leaderboard")
    assert "no difference has an interval: fewer than 10 groups." in page.locator("main#main").inner_text()


def test_intervals_of_different_kinds_are_told_apart_below_the_chart(results: Any) -> None:
    text = results().locator("ps-plot").first.inner_text()
    assert "this method over new draws and new images (CoOp, Linear probe)" in text
    assert "this trained model on new images (Zero-shot)" in text


def test_results_grow_while_the_experiment_runs(window: Visit, api: Api) -> None:
    whole = answers.experiment("running")
    api.experiments = [whole | {"rows": []}]
    page = window.open(WITH_RESULTS, "text=No cell is finished yet")
    api.experiments = [whole]
    page.wait_for_selector(".ps-leaderboard")
    assert "Running" in page.locator(".ps-chip").first.inner_text()


def test_what_is_read_stays_where_it_was_while_results_grow(window: Visit, api: Api) -> None:
    whole = answers.experiment("running")
    notes = {"notes": ["Few calibration images.", "No validation images."]}
    whole["rows"] = [row | notes for row in whole["rows"]]
    api.experiments = [whole]
    page = window.open(WITH_RESULTS, "ps-answers .ps-confusion")
    folds = [
        page.locator(".ps-leaderboard tr", has_text="CoOp").locator("details"),
        page.locator(".ps-card", has_text="More training images").locator("details"),
        page.locator(".ps-card", has_text="What it costs").locator("details"),
    ]
    for fold in folds:
        fold.locator("summary").click()
    page.locator("ps-answers .ps-confusion button").first.focus()
    page.evaluate("document.querySelectorAll('ps-plot').forEach((plot) => (plot.dataset.seen = 'before'))")
    # where on the screen what is read stands: what grows above it must not push it away
    standing = "document.activeElement.getBoundingClientRect().top"
    place = page.evaluate(standing)
    # another cell has been done: all numbers of CoOp are new, and so is a line
    grown = [row | {"mean": 0.4321, "steps": 4321} if row["line"] == "coop" else row for row in whole["rows"]]
    shown = next(row for row in grown if (row["line"], row["shots"]) == ("coop", 16))
    api.experiments = [whole | {"rows": [*grown, shown | {"line": "a new line"}]}]
    page.wait_for_selector(".ps-leaderboard >> text=4,321")
    page.wait_for_selector(".ps-leaderboard >> text=a new line")
    assert [fold.evaluate("(node) => node.open") for fold in folds] == [True, True, True]
    assert page.evaluate("document.activeElement.closest('.ps-confusion') !== null")
    assert page.evaluate("[...document.querySelectorAll('ps-plot')].every((plot) => plot.dataset.seen)")
    assert page.evaluate(standing) == pytest.approx(place, abs=3)
    # what is drawn anew gives the focus back as well
    page.locator(".ps-leaderboard tr", has_text="CoOp").locator("summary").focus()
    api.experiments = [whole]
    page.wait_for_selector(".ps-leaderboard >> text=a new line", state="detached")
    assert page.evaluate("document.activeElement.closest('tr').innerText").startswith("CoOp")
    assert page.evaluate("document.activeElement.parentElement.open")


def test_an_experiment_that_is_gone_is_said_to_be_and_single_runs_are_a_choice(window: Visit, api: Api) -> None:
    api.experiments = [answers.experiment()]
    page = window.open("/compare?experiment=nosuch", "ps-compare .ps-notice")
    assert "The experiment this address asks for is not here" in page.locator(".ps-notice-warn").first.inner_text()
    page = window.open("/compare", ".ps-leaderboard")
    page.get_by_label("Results of").select_option("Single runs")
    page.wait_for_selector("text=What is not compared")
    assert "experiment=none" in page.url
    assert page.locator(".ps-leaderboard").count() == 0


# experiments ---------------------------------------------------------------------------------------------------------

EXPERIMENT_READY = "ps-experiment-form button[type=submit]:enabled"


def sent_to(api: Api, path: str) -> list[Any]:
    """Bodies of the requests to an address, in order."""
    return [body for asked, _, body in api.sent if asked == path]


def test_an_experiment_is_chosen_estimated_and_started(window: Visit, api: Api) -> None:
    page = window.open("/experiments", EXPERIMENT_READY)
    form = page.locator("ps-experiment-form")
    assert "Zero-shot is always run" in form.inner_text().replace("\n", " ")
    form.get_by_label("Biomed-DPT").check()
    form.get_by_label("2", exact=True).check()
    form.get_by_label("3 seeds").check()
    form.get_by_label("Controlled comparison").check()
    form.get_by_label("Name of the experiment").fill("Words or vectors")
    page.wait_for_selector("text=14 cells, about 6 min (4 min to 12 min) and 0.8 GB of memory")
    assert "have not run here yet: Linear probe." in form.inner_text()
    api.experiments, api.progress = [answers.experiment_in_short("queued")], [answers.in_progress("w" * 14, "queued")]
    form.get_by_role("button", name="Start experiment").click()
    page.wait_for_selector(".ps-cell-grid")
    expected = {
        "name": "Words or vectors",
        "images": [answers.IMAGE_SET["name"]],
        "methods": ["linear_probe", "coop", "biomed_dpt"],
        "protocol": "few-shot",
        "seeds": [1, 2, 3],
        "shots": [1, 2, 4],
        "backbone": "embedded",
        "metric": "balanced_accuracy",
        "controlled": True,
    }
    assert sent_to(api, "/experiments") == [expected]
    assert sent_to(api, "/experiments/estimate")[-1] == expected
    assert page.evaluate("document.activeElement.localName") == "h2"
    assert "id=experiment-1" in page.url


def test_what_is_being_measured_is_said_until_it_is_known(window: Visit, api: Api) -> None:
    api.measured = [answers.ESTIMATE | {"measuring": ["linear_probe"]}, answers.ESTIMATE | {"unknown": []}]
    page = window.open("/experiments", EXPERIMENT_READY)
    page.wait_for_selector("text=Measuring Linear probe …")
    page.wait_for_selector("text=(4 min to 12 min)")
    page.wait_for_function("!document.querySelector('.ps-start-bar').innerText.includes('Measuring')")


def test_all_that_a_file_can_say_can_be_chosen(window: Visit, api: Api) -> None:
    api.recipes = [answers.RECIPE]
    page = window.open("/experiments", EXPERIMENT_READY)
    form = page.locator("ps-experiment-form")
    form.get_by_label("Linear probe").uncheck()
    form.get_by_label("Base to novel").check()
    form.get_by_role("group", name="Base classes").get_by_label(answers.CLASSES[1]).check()
    form.get_by_text("Options of the chosen methods").click()
    options = form.locator("ps-experiment-options > details")
    assert options.count() == 1
    options.locator("summary").first.click()
    options.get_by_label("Learning rate").fill("0.01")
    options.get_by_role("button", name="Compare several values").click()
    options.get_by_label("Option", exact=True).select_option("epochs")
    options.get_by_label("Values, with commas").fill("5, x")
    assert "'epochs' takes a whole number" in options.inner_text() or "'epochs' takes a number" in options.inner_text()
    options.get_by_label("Values, with commas").fill("5, 10")
    assert "CoOp: 2 own settings" in options.inner_text()
    form.get_by_label("As in the papers", exact=True).check()
    form.get_by_text("Published settings, each a line").click()
    form.get_by_role("button", name="Add", exact=True).click()
    assert answers.RECIPE_NAME in form.locator("ps-recipe-picker").inner_text()
    form.get_by_label("Other numbers").fill("3")
    form.get_by_text("Further settings").click()
    form.get_by_label("Views", exact=True).fill("2")
    form.get_by_label("Sentence", exact=True).fill("a scan of a {}.")
    page.wait_for_selector("text=14 cells, about")
    form.get_by_label("Compare to").select_option("coop")
    page.wait_for_selector("text=14 cells, about")
    form.get_by_role("button", name="Copy as TOML").click()
    page.wait_for_selector("textarea:visible")
    assert form.get_by_label("TOML file").input_value() == 'name = "Experiment 1"\n'
    sent = sent_to(api, "/experiments/file")[-1]
    assert sent == {
        "name": "Experiment 1",
        "images": [answers.IMAGE_SET["name"]],
        "methods": ["coop"],
        "recipes": [answers.RECIPE_NAME],
        "variant": "paper",
        "options": {"coop": {"learning_rate": 0.01, "epochs": [5, 10]}},
        "protocol": "base-to-novel",
        "base_classes": [answers.CLASSES[1]],
        "shots": [1, 4, 3],
        "seeds": [1, 2, 3, 4, 5],
        "backbone": "embedded",
        "metric": "balanced_accuracy",
        "views": 2,
        "template": "a scan of a {}.",
        "compare_to": "coop",
    }
    assert sent_to(api, "/experiments/estimate")[-1] == sent
    form.get_by_role("button", name="Remove " + answers.RECIPE_NAME).click()
    form.get_by_label("CoOp", exact=False).first.uncheck()
    assert form.locator("ps-experiment-options > details").count() == 0


def test_what_was_said_of_a_choice_stays_until_the_choice_changes(window: Visit, api: Api) -> None:
    page = window.open("/experiments", EXPERIMENT_READY)
    form = page.locator("ps-experiment-form")
    form.get_by_label("Own").check()
    seeds = form.get_by_label("Seeds, such as")
    seeds.fill("1, 2")
    page.wait_for_selector("text=14 cells, about")
    form.get_by_role("button", name="Copy as TOML").click()
    page.wait_for_selector("textarea:visible")
    # a field that is left sends "change" though nothing did: what stands below the pointer must not move away
    seeds.dispatch_event("change")
    assert "14 cells, about" in form.get_by_role("status").inner_text()
    assert form.get_by_label("TOML file").is_visible()
    seeds.fill("1, 2, 3")
    assert form.get_by_role("status").inner_text() == "Estimating …"
    assert not form.get_by_label("TOML file").is_visible()
    form.get_by_role("button", name="Copy as TOML").click()
    form.get_by_role("button", name="Hide the file").click()
    copy = form.get_by_role("button", name="Copy as TOML")
    assert copy.evaluate("e => e === document.activeElement")


def test_shots_stop_at_the_smallest_class_of_the_chosen_sets(window: Visit, api: Api) -> None:
    page = window.open("/experiments", EXPERIMENT_READY)
    form = page.locator("ps-experiment-form")
    assert form.get_by_label("16", exact=True).is_disabled()
    assert form.get_by_label("8", exact=True).is_enabled()
    assert "At most 9: the class 'benign' of Ultrasound <i>spring</i> has no more." in form.inner_text()
    form.get_by_label("Realistic").check()
    assert form.get_by_label("all", exact=True).is_disabled()
    assert form.get_by_label("16", exact=True).is_checked()


def test_each_protocol_asks_for_what_it_needs(window: Visit, api: Api) -> None:
    page = window.open("/experiments", EXPERIMENT_READY)
    form = page.locator("ps-experiment-form")
    form.get_by_label("Share of the labels").check()
    assert form.get_by_label("4", exact=True).count() == 0 or not form.get_by_label("4", exact=True).is_visible()
    assert form.get_by_label("30 %").is_checked()
    form.get_by_label("Cross-set").check()
    page.wait_for_selector("text=Choose the image sets to test on.")
    form.get_by_role("button", name="Start experiment").click()
    assert page.locator("ps-experiment-form [role=alert]").inner_text() == "Choose the image sets to test on."
    form.get_by_label("Own").check()
    form.get_by_label("Seeds, such as").fill("1, two")
    form.get_by_label("Few-shot").check()
    page.wait_for_selector("text=Seeds are whole numbers from 0")
    assert sent_to(api, "/experiments") == []


def test_what_the_server_refuses_is_said_at_the_button(window: Visit, api: Api) -> None:
    window.expected.append("422")
    api.refusal = answers.FAILURE
    page = window.open("/experiments", EXPERIMENT_READY)
    page.get_by_role("button", name="Start experiment").click()
    page.wait_for_selector(".ps-start-bar [role=alert]")
    assert answers.FAILURE["message"] in page.locator(".ps-start-bar").inner_text()
    assert page.get_by_role("button", name="Start experiment").is_enabled()


def test_an_experiment_starts_from_a_file(window: Visit, api: Api) -> None:
    page = window.open("/experiments", EXPERIMENT_READY)
    text = 'name = "from a file"\nimages = "brain"\nmethods = "coop"\n'
    api.experiments, api.progress = [answers.experiment_in_short("queued")], [answers.in_progress("w" * 14, "queued")]
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Start from a TOML file…").click()
    chooser.value.set_files({"name": "e.toml", "mimeType": "text/plain", "buffer": text.encode()})
    page.wait_for_selector(".ps-cell-grid")
    assert sent_to(api, "/experiments") == [{"toml": text}]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "'e.toml' is empty. Write at least name, images and methods."),
        (
            'name = "Gewebe f\u00fcr"'.encode("latin-1"),
            "An experiment file is text in UTF-8; 'e.toml' holds other bytes.",
        ),
        (b"\x89PNG\r\n\x1a\n\x00", "An experiment file is text in UTF-8; 'e.toml'"),
        (b"a" * 200_001, "An experiment file has at most 200 kB; 'e.toml' has more."),
    ],
)
def test_a_file_that_is_no_experiment_is_refused_in_words_and_the_next_one_is_read(
    window: Visit, api: Api, content: bytes, words: str
) -> None:
    page = window.open("/experiments", EXPERIMENT_READY)

    def choose(content: bytes) -> None:
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Start from a TOML file…").press("Enter")
        chooser.value.set_files({"name": "e.toml", "mimeType": "text/plain", "buffer": content})

    choose(content)
    page.wait_for_selector(".ps-start-bar [role=alert]")
    assert words in page.locator(".ps-start-bar [role=alert]").inner_text()
    assert sent_to(api, "/experiments") == []
    choose(b'name = "a"\r\n')
    page.wait_for_selector("ps-experiment-monitor h2")
    assert sent_to(api, "/experiments") == [{"toml": 'name = "a"\r\n'}]


def test_an_experiment_is_planned_and_started_with_the_keyboard_alone(window: Visit, api: Api) -> None:
    page = window.open("/experiments", EXPERIMENT_READY)

    def tab_to(words: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            label = page.evaluate("(e => (e.labels?.[0] ?? e).innerText)(document.activeElement)")
            if label.startswith(words):
                return
        pytest.fail(f"Tab does not lead to {words}")

    tab_to("Name of the experiment")
    page.keyboard.press("Control+a")
    page.keyboard.type("Keys alone")
    tab_to("CoOp")
    page.keyboard.press("Space")
    tab_to("Few-shot")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    tab_to("2")
    page.keyboard.press("Space")
    tab_to("5 seeds")
    page.keyboard.press("ArrowUp")
    tab_to("Start experiment")
    api.experiments, api.progress = [answers.experiment_in_short("queued")], [answers.in_progress("w" * 14, "queued")]
    page.keyboard.press("Enter")
    page.wait_for_selector(".ps-cell-grid")
    page.wait_for_function("document.activeElement.localName === 'h2'")
    (sent,) = sent_to(api, "/experiments")
    assert (sent["name"], sent["methods"], sent["protocol"]) == ("Keys alone", ["linear_probe"], "few-shot")
    assert (sent["shots"], sent["seeds"]) == ([1, 2, 4], [1, 2, 3])
    page.wait_for_selector("ps-experiments li")
    assert "Open the experiment" in page.locator("ps-experiments li button").first.get_attribute("aria-label")


def test_cells_are_followed_and_failed_ones_named_and_tried_again(window: Visit, api: Api) -> None:
    api.experiments = [answers.experiment_in_short("running")]
    steps = [answers.in_progress(states) for states in ("dd" + "r" + "w" * 11, "d" * 12 + "rw")]
    api.progress = [*steps, answers.in_progress("d" * 13 + "f", "failed")]
    page = window.open("/experiments?id=experiment-1", ".ps-cell-grid")
    assert page.locator("ps-experiment-monitor .ps-notice-bad").count() == 0
    page.wait_for_selector("ps-experiment-monitor .ps-notice-bad")
    notice = page.locator("ps-experiment-monitor .ps-notice-bad").inner_text()
    assert "1 cell failed; all others are done." in notice
    assert f"CoOp on brain, 16 shots, seed 3: {answers.FAILURE['message']}" in notice
    assert "13 of 14 cells done, 1 failed" in page.locator("ps-experiment-monitor").inner_text()
    row = page.locator(".ps-cell-grid tbody tr", has_text="CoOp")
    assert row.locator(".ps-visually-hidden").all_text_contents() == ["3 done", "2 done, 1 failed"]
    page.get_by_role("button", name="Try 1 failed cell again").click()
    page.wait_for_timeout(200)
    assert api.sent[-1][0] == "/experiments/experiment-1/retry"


def focused(page: Any) -> str:
    """What has the focus: its label, or what stands on it."""
    return page.evaluate("(e => e.getAttribute('aria-label') || e.innerText)(document.activeElement)")


def test_a_failed_cell_is_tried_again_alone_by_keyboard_while_others_run(window: Visit, api: Api) -> None:
    api.experiments = [answers.experiment_in_short("running")]
    api.progress = [answers.in_progress(states) for states in ("d" * 11 + "rwf", "d" * 12 + "rf")]
    page = window.open("/experiments?id=experiment-1", "ps-experiment-monitor .ps-notice-bad")
    name = "Try again: CoOp on brain, 16 shots, seed 3"
    page.get_by_role("button", name=name).focus()
    page.wait_for_selector("text=12 of 14 cells done, 1 running, 1 failed")
    page.wait_for_timeout(200)  # the list of failures was drawn anew meanwhile, and must not have lost the focus
    assert focused(page) == name
    assert measured(page) == NOTHING_WRONG
    with page.expect_request("**/retry?cell=13") as sent:
        page.keyboard.press("Enter")
    assert sent.value.method == "POST"
    page.wait_for_function("document.activeElement.localName === 'h2'")


def test_what_is_said_of_failed_cells_fits_how_many_there_are(window: Visit, api: Api) -> None:
    api.experiments = [answers.experiment_in_short("failed") | {"rows": []}]
    api.progress = [answers.in_progress("f" * 14, "failed")]
    page = window.open("/experiments?id=experiment-1", "ps-experiment-monitor .ps-notice-bad")
    monitor = page.locator("ps-experiment-monitor").inner_text()
    assert "All cells failed" in monitor
    assert "All 14 cells failed." in monitor
    assert "go on" not in monitor


def test_the_focus_stays_on_stop_and_on_a_table_while_cells_run(window: Visit, api: Api) -> None:
    api.experiments = [answers.experiment_in_short("queued")]
    waiting = answers.in_progress("w" * 14, "queued")
    waits = "No worker runs, so nothing in the queue starts."
    api.progress = [waiting | {"job": waiting["job"] | {"waits": waits}}]
    page = window.open("/experiments?id=experiment-1", ".ps-cell-grid")
    assert waits in page.locator("ps-experiment-monitor").inner_text()
    page.get_by_role("button", name="Stop", exact=True).focus()
    api.progress = [answers.in_progress("r" + "w" * 13)]
    page.wait_for_selector("text=1 running, 13 waiting")
    assert focused(page) == "Stop"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert focused(page) == "Cells on brain"
    api.progress = [answers.in_progress("dr" + "w" * 12)]
    page.wait_for_selector("text=1 of 14 cells done")
    assert focused(page) == "Cells on brain"


def test_stopping_asks_first_and_going_on_is_one_press(window: Visit, api: Api) -> None:
    api.experiments = [answers.experiment_in_short("running")]
    api.progress = [answers.in_progress("dddr" + "w" * 10)]
    page = window.open("/experiments?id=experiment-1", ".ps-cell-grid")
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("button", name="Let it run").click()
    assert sent_to(api, "/experiments/experiment-1/cancel") == []
    page.get_by_role("button", name="Stop", exact=True).click()
    api.progress = [answers.in_progress("dddw" + "w" * 10, "waiting")]
    page.get_by_role("button", name="Stop it").click()
    page.get_by_role("button", name="Go on").click()
    page.wait_for_timeout(200)
    assert [path for path, *_ in api.sent if path.endswith(("/cancel", "/start"))] == [
        "/experiments/experiment-1/cancel",
        "/experiments/experiment-1/start",
    ]


def test_an_experiment_is_taken_along_as_toml(window: Visit, api: Api) -> None:
    api.experiments, api.progress = [answers.experiment_in_short()], [answers.in_progress("d" * 14, "done")]
    page = window.open("/experiments?id=experiment-1", ".ps-cell-grid")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as TOML, for papers").click()
    assert download.value.suggested_filename == "first-look.toml"
    assert Path(download.value.path()).read_text("utf-8") == 'name = "First look"\n'
    assert page.get_by_role("link", name="See the results").get_attribute("href") == WITH_RESULTS


def test_a_report_is_offered_with_images_only_where_that_is_chosen(window: Visit, api: Api) -> None:
    api.experiments, api.progress = [answers.experiment_in_short()], [answers.in_progress("d" * 14, "done")]
    page = window.open("/experiments?id=experiment-1", ".ps-cell-grid")
    page.get_by_text("Report for a paper").press("Enter")
    report = page.get_by_role("link", name="TRIPOD+AI")
    start = "/api/v1/reports?of=experiment-1&standard=tripod-ai&pictures="
    assert (report.get_attribute("href") or "").endswith(f"{start}false")
    page.get_by_label("With small copies of images").press("Space")
    assert (report.get_attribute("href") or "").endswith(f"{start}true")


# classify ----------------------------------------------------------------------------------------------------------


def test_images_are_classified_and_bad_files_are_named(window: Visit, api: Api) -> None:
    page = window.open("/classify", "input[type=file]")
    page.set_input_files(
        "input[type=file]",
        [
            {"name": "scan.png", "mimeType": "image/png", "buffer": answers.png()},
            {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"text"},
        ],
    )
    page.wait_for_selector(".ps-result")
    path, kind, body = api.sent[-1]
    assert path == "/classifications"
    assert kind.startswith("multipart/form-data")
    assert body.count(b'name="files"') == 2
    result = page.locator(".ps-result").inner_text().replace("\u00a0", " ")
    assert "Most likely: malignant (62 %)." in result
    assert "The picture uses a small part of its range: look at it before you trust an answer." in result
    assert page.locator(".ps-share-value").all_inner_texts() == ["62.0 %", "30.5 %", "7.5 %"]
    assert "Better no answer: 2 classes remain at 90 %." in result
    assert "Set at 90 %: malignant, benign" in result
    assert "Distance to the training images 0.213 (p = 0.36; small: stranger than images kept aside)." in result
    near = page.locator(".ps-near li")
    assert [text.split("\n")[-2:] for text in near.all_inner_texts()] == [
        ["malignant", "distance 0.213"],
        ["<b>normal</b>", "distance 0.250"],
    ]
    assert near.locator("img").get_attribute("src") == "/api/v1/images/image-1/thumbnail?size_px=160"
    assert "The image was deleted." in near.nth(1).inner_text()
    assert (
        "notes.txt: Unreadable image. A PNG or JPEG image; found text." in page.locator(".ps-notice-bad").inner_text()
    )
    assert "Not calibrated." in page.locator("main#main").inner_text()
    assert "Not for use in diagnostic procedures." in page.locator("main#main").inner_text()
    assert (
        page.get_by_role("link", name="Look closer").get_attribute("href") == "/attention?model=model-1&image=image-1"
    )


def test_an_earlier_classification_opens_by_its_address(window: Visit, api: Api) -> None:
    page = window.open("/classify?id=answers-1", ".ps-result")
    assert page.locator(".ps-result h3").inner_text() == "<u>scan</u>.png"


def test_the_list_of_earlier_classifications_fits_a_phone(open_window: Callable[..., Visit]) -> None:
    visit = open_window(width=390, height=844)
    Api(visit).model = answers.MODEL | {"name": "A method with a long name, 16 shots, seed 12"}
    page = visit.open("/classify", "ps-classify details summary")
    page.get_by_text("Earlier classifications").click()
    page.wait_for_selector("details[open] .ps-queue button")
    assert measured(page) == NOTHING_WRONG


# attention ---------------------------------------------------------------------------------------------------------


def test_signs_of_a_misleading_map_are_told_with_their_limits(window: Visit, api: Api) -> None:
    page = window.open("/attention?id=explained-1", ".ps-pane canvas")
    card = page.locator(".ps-card", has=page.get_by_role("heading", name="Signs of a map that misleads"))
    told = [line.strip() for line in card.locator("li").all_inner_texts()]
    assert "seen" in told[0]
    assert "limit 0.4" in told[0]
    assert "not checked" in told[1]


def test_looking_closer_computes_the_maps_and_keeps_their_address(window: Visit, api: Api) -> None:
    page = window.open("/attention?model=model-1&image=image-1", ".ps-pane canvas")
    path, _, body = api.sent[-1]
    assert (path, body) == ("/explanations", {"model_id": "model-1", "image_id": "image-1", "class_name": None})
    assert "id=explained-1" in page.url
    assert page.locator(".ps-pane:visible").count() == 4


def test_all_pictures_zoom_and_move_together_by_keyboard(window: Visit, api: Api) -> None:
    page = window.open("/attention?id=explained-1", ".ps-pane canvas")
    moved = "() => [...document.querySelectorAll('.ps-layers')].map((e) => e.style.transform)"
    page.locator(".ps-frame").first.focus()
    for key in ("+", "+", "ArrowRight"):
        page.keyboard.press(key)
    places = page.evaluate(moved)
    assert len(set(places)) == 1
    assert "scale(2)" in places[0]
    page.keyboard.press("0")
    assert page.evaluate(moved)[0] == "translate(0%, 0%) scale(1)"


def test_the_strength_of_the_colours_starts_at_40_percent_and_can_be_changed(window: Visit, api: Api) -> None:
    page = window.open("/attention?id=explained-1", ".ps-pane canvas")
    slider = page.get_by_label("Strength of the colours")
    assert slider.input_value() == "40"
    opacity = "() => getComputedStyle(document.querySelector('.ps-pane canvas')).opacity"
    assert page.evaluate(opacity) == "0.4"
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate(opacity) == "0.45"


def test_maps_are_painted_from_the_arrays_and_replaced_patches_stay_clear(window: Visit, api: Api) -> None:
    page = window.open("/attention?id=explained-1", ".ps-pane canvas")
    at = """([kind, x, y]) => [...document.querySelector(`[data-kind=${kind}] canvas`).getContext("2d")
        .getImageData(x, y, 1, 1).data]"""
    assert page.evaluate(at, ["grad_cam", 447, 447]) == [254, 232, 56, 255]  # the last colour of cividis
    assert page.evaluate(at, ["grad_cam", 0, 0]) == [0, 34, 78, 255]  # the first one
    assert page.evaluate(at, ["difference", 20, 20])[3] == 0
    assert page.evaluate(at, ["difference", 200, 200])[3] == 255


def test_the_values_of_a_map_are_downloaded_as_numbers_with_the_crop_box(
    window: Visit, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(answers.EXPLANATION, "frame", answers.FRAME)
    monkeypatch.setitem(answers.EXPLANATION, "region", None)
    page = window.open("/attention?id=explained-1", ".ps-pane canvas")
    button = page.get_by_role("button", name="Download the values of Difference")
    rows = saved_csv(page, button.click)
    assert len(rows) == 5
    assert rows[0][-4:] == ["crop_left", "crop_top", "crop_right", "crop_bottom"]
    assert [float(value) for value in rows[1][-4:]] == answers.FRAME["crop_box"]
    assert rows[1][1] == ""
    assert float(rows[1][2]) == pytest.approx(answers.arrays()["difference"][0, 1])


@pytest.fixture
def editor(window: Visit, api: Api, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The page with the region editor open and nothing marked; a region that is sent is kept as 'region-1'."""
    monkeypatch.setitem(answers.EXPLANATION, "frame", answers.FRAME)
    monkeypatch.setitem(answers.EXPLANATION, "region", None)
    page = window.open("/attention?id=explained-1", ".ps-pane canvas")
    page.locator("summary", has_text="Mark a region").press("Enter")
    page.wait_for_selector(".ps-region-stage")
    return page


def test_drawings_and_one_page_are_saved_from_the_page_with_the_region_that_is_marked(editor: Any) -> None:
    drawing = editor.get_by_role("link", name="Download Difference")
    assert [at.get_attribute("href") for at in drawing.all()] == [
        "/api/v1/explanations/explained-1/maps/difference",
        "/api/v1/explanations/explained-1/maps/difference?form=svg",
    ]
    page = editor.get_by_role("link", name="Save as one page (.html)")
    assert page.get_attribute("href") == "/api/v1/explanations/explained-1/page"
    editor.get_by_label("Or corners in px of the original").fill("1,2 9,2 9,8")
    editor.get_by_role("button", name="Add polygon").press("Enter")
    editor.get_by_role("button", name="Measure the maps in this region").press("Enter")
    editor.wait_for_url("**region=region-1**")
    page.focus()
    assert page.get_attribute("href") == "/api/v1/explanations/explained-1/page?region=region-1"


def sent_shapes(api: Api) -> list[dict[str, Any]]:
    """The shapes of the last region that was sent."""
    return next(body["shapes"] for path, _, body in reversed(api.sent) if path == "/images/image-1/regions")


def test_a_region_is_marked_by_typed_numbers_and_by_keyboard_alone(editor: Any, api: Api) -> None:
    width, height = answers.FRAME["original_px"]
    measure = editor.get_by_role("button", name="Measure the maps in this region")
    assert measure.is_disabled()
    corners = editor.get_by_label("Or corners in px of the original")
    corners.focus()
    editor.keyboard.type(f"0,0 {width + 1},0 0,10")
    editor.keyboard.press("Enter")
    assert editor.get_by_text(f"({width + 1}, 0) lies outside the image, 0 to {width} across").count() == 1
    assert measure.is_disabled()
    corners.fill("")
    editor.keyboard.type("1,2 9,2 9,8")
    editor.keyboard.press("Enter")
    assert editor.locator("li", has_text="polygon: 1,2 9,2 9,8").count() == 1
    editor.locator(".ps-region-stage").focus()
    for keys in ("Space", "Shift+ArrowRight", "Space", "Shift+ArrowDown", "Space", "Shift+ArrowLeft", "Space"):
        editor.keyboard.press(keys)
    for keys in ("Backspace", "Enter"):
        editor.keyboard.press(keys)
    measure.press("Enter")
    editor.wait_for_url("**region=region-1**")
    typed, drawn = sent_shapes(api)
    assert typed == {"kind": "polygon", "points": [[1, 2], [9, 2], [9, 8]], "erase": False}
    x, y = width / 2, height / 2
    assert drawn["points"] == [[x, y], [x + 1, y], [x + 1, y + 1]]


def test_a_brush_paints_and_an_eraser_takes_back_by_keyboard(editor: Any, api: Api) -> None:
    editor.get_by_label("a brush").focus()
    editor.keyboard.press("Space")
    radius = editor.get_by_label("Brush radius, px")
    radius.fill("3")
    stage = editor.locator(".ps-region-stage")
    stage.focus()
    editor.keyboard.press("Space")
    editor.get_by_label("an eraser").focus()
    editor.keyboard.press("Space")
    stage.focus()
    editor.keyboard.press("Shift+ArrowLeft")
    editor.keyboard.press("Space")
    editor.get_by_role("button", name="Measure the maps in this region").press("Enter")
    editor.wait_for_url("**region=region-1**")
    painted, erased = sent_shapes(api)
    assert (painted["radius"], painted["erase"], erased["erase"]) == (3, False, True)
    assert erased["points"][0][0] == painted["points"][0][0] - 1


def test_trust_region_layers_and_what_if_are_said_in_words(window: Visit, api: Api) -> None:
    page = window.open("/attention?id=explained-1", ".ps-pane canvas")
    page.locator("summary", has_text="The same tests of 1 other map").press("Enter")
    text = page.locator("section[aria-label=Explanation]").inner_text().replace("\u00a0", " ")
    assert "Follows the model" in text
    assert "? Cannot tell" in text
    assert "✕ Worse than random" in text
    assert "p = 0.31" in text
    assert answers.EXPLANATION["trust"]["verdict"] in text
    assert answers.EXPLANATION["trust"]["model"]["sentence"] in text
    assert "The true class is 'benign': the model is wrong here" in text
    assert page.locator(".ps-notice-bad", has_text="Grad-CAM for 'malignant' was tested.").count() == 1
    assert "look at it before you trust an answer" in text
    assert "Shown range: 16-bit unsigned values, 0 shown as black and 3990 as white." in text
    assert "' puts 30.0 % there, 5.0 times as much as by chance." in text
    assert "Mean over 3 layers: zero vectors 25 %, class token 15 %, image patches 60 %." in text
    assert "With 4 zero vectors they take 20.0 % of the class token's attention; the image keeps 60.0 %." in text


def test_an_image_is_chosen_by_keyboard_from_the_test_part(window: Visit, api: Api) -> None:
    page = window.open("/attention", ".ps-thumb")
    assert page.get_by_role("button", name="Show attention").is_disabled()
    page.locator(".ps-thumb input").focus()
    page.keyboard.press("Space")
    page.get_by_label("benign", exact=True).check()
    page.get_by_role("button", name="Show attention").press("Enter")
    page.wait_for_selector(".ps-pane canvas")
    assert api.sent[-1][2]["class_name"] == "benign"


def test_an_image_that_was_classified_before_can_be_chosen(window: Visit, api: Api) -> None:
    page = window.open("/attention", ".ps-thumb")
    page.get_by_label("Classified before").check()
    page.get_by_text("The label is what a model said.").wait_for()
    assert page.locator(".ps-thumb span").all_inner_texts() == ["malignant"]
    page.locator(".ps-thumb input").check()
    page.get_by_role("button", name="Show attention").click()
    page.wait_for_selector(".ps-pane canvas")
    assert api.sent[-1][2]["image_id"] == answers.IMAGE_ID


# what makes numbers too good ------------------------------------------------------------------------------------------

COPIES = (
    "Leakage was allowed: 6 of 24 test images are exact copies of images outside the test part (3 by images that this"
    " run used); 1 of 24 test images is almost the same as an image outside the test part (none by images that this run"
    " used)."
    " The metrics are too good to be true. Groups (patients) are unknown."
)


@pytest.mark.parametrize("path", ["/train?id=job-1", "/jobs?id=job-1", "/compare?run=run-1", "/classify"])
def test_leakage_that_was_allowed_stands_on_every_page_of_the_run(window: Visit, api: Api, path: str) -> None:
    leaky = answers.leakage(6, allowed=True)
    api.run, api.model = answers.run(leakage=leaky), answers.MODEL | {"leakage": leaky, "allowed_leakage": True}
    page = window.open(path, "text=Leakage was allowed")
    notice = page.locator(".ps-notice-bad", has_text="Leakage was allowed").first
    assert notice.inner_text() == COPIES
    assert page.get_by_text("Leakage was allowed: 6 of 24").count() == 1
    assert page.get_by_text("took no part in training").count() == 0
    assert measured(page) == NOTHING_WRONG


def test_a_run_without_leakage_shows_its_counts_too(window: Visit, api: Api) -> None:
    page = window.open("/compare?run=run-1", ".ps-factlist")
    facts = page.locator(".ps-factlist").first.inner_text()
    assert "0 of 24 test images" in facts
    assert "1 of 24 test images, 0 by images this run used" in facts
    assert "not known for any test image" in facts


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
def test_compare_warns_above_the_numbers_and_marks_the_rows(
    open_window: Callable[..., Visit], width: int, dark: bool
) -> None:
    visit = open_window(width=width, dark=dark)
    api = Api(visit)
    api.comparison = answers.comparison(leakage=answers.leakage(6, allowed=True), known_classes=["benign"])
    page = visit.open("/compare", ".ps-compare")
    notices = page.locator(".ps-card .ps-notice").all_inner_texts()
    assert notices[0] == COPIES
    assert notices[1].startswith("The text side of the backbone 'embedded' has learned benign from labelled images")
    assert page.locator(".ps-compare .ps-chip", has_text="Leakage allowed: too good").count() == 2
    assert measured(page) == NOTHING_WRONG


def test_compare_says_what_the_server_has_tested_and_what_intervals_are_over(window: Visit, api: Api) -> None:
    page = window.open("/compare", ".ps-compare")
    text = page.locator(".ps-card").first.inner_text()
    assert "CoOp has the highest balanced accuracy (80.0 %); whether it is better was not tested here." in text
    assert "interval lies above all others" not in text
    assert "One seed: the spread over draws is unknown." not in text
    assert page.locator(".ps-baseline small").inner_text() == "Intervals: this one model, over 24 test images."


def test_classify_says_what_calibrated_the_probabilities(window: Visit, api: Api) -> None:
    api.model = answers.MODEL | {"calibrated": True, "calibration": answers.CALIBRATION, "known_classes": ["benign"]}
    page = window.open("/classify", "text=Probabilities are calibrated")
    text = page.locator(".ps-card").first.inner_text()
    assert (
        "Calibrated on 3 validation images only: take probabilities as rough. The same images also chose the step that "
        "is kept: new images will look somewhat less well calibrated."
    ) in text
    assert "has learned benign from labelled images" in text
    assert "accuracy 81.3 % (71.3 % to 91.3 %)" in text


# numbers -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("api")
def test_a_probability_that_rounds_to_all_or_nothing_is_not_called_certain(window: Visit) -> None:
    page = window.open("/compare")
    said = page.evaluate(
        """async () => {
          const { verdict, probabilityBars } = await import("/static/js/probability-bars.js");
          const shares = { "normal brain": 0.9998, glioma: 0.0002 };
          const bars = [...probabilityBars(shares).querySelectorAll(".ps-share-value")].map((e) => e.textContent);
          return [verdict(shares), ...bars, verdict({ cyst: 0.984, mass: 0.016 })];
        }"""
    )
    assert said == [
        "Most likely: normal brain (over\u00a099\u00a0%).",
        "over 99.9 %",
        "under 0.1 %",
        "Most likely: cyst (98\u00a0%).",
    ]


# charts ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("api")
def test_an_interval_past_what_is_possible_is_cut_at_the_end_of_the_axis(window: Visit) -> None:
    page = window.open("/compare", "ps-plot .main-svg")
    found = page.evaluate(
        """async () => {
          const { drawChart } = await import("/static/js/charts.js");
          const { forest } = await import("/static/js/figures.js");
          const area = document.body.appendChild(document.createElement("div"));
          const rows = [{ label: "CoOp", mean: 0.86, low: 0.7, high: 1.02 }];
          await drawChart(area, forest({ rows }), 800, "A sentence about one row.");
          const box = (selector) => area.querySelector(selector).getBoundingClientRect();
          const clip = area.querySelector(".trace.scatter").closest("[clip-path]") ?? area.querySelector(".plot");
          return { range: area.layout.xaxis.range, clip: clip.getAttribute("clip-path"), bar: box(".errorbar").width };
        }"""
    )
    assert found["range"] == [0, 1]
    assert found["clip"].startswith("url(")
    assert found["bar"] > 0


@pytest.mark.usefixtures("api")
def test_a_chart_is_saved_as_a_picture_with_its_title_and_what_it_is_not_for(window: Visit) -> None:
    page = window.open("/compare", "ps-plot .main-svg")
    plot = page.locator("ps-plot").first
    with page.expect_download() as svg:
        plot.get_by_role("button", name="Download SVG").click()
    drawn = Path(svg.value.path()).read_text("utf-8")
    assert "Accuracy: mean and 95 % interval" in drawn
    assert "Research use only. Not for use in diagnostic procedures." in drawn
    assert svg.value.suggested_filename.endswith(".svg")
    with page.expect_download() as png:
        plot.get_by_role("button", name="Download PNG").click()
    with Image.open(png.value.path()) as picture:
        assert picture.format == "PNG"
        assert picture.width == 1800
        # on white also where the page is dark
        assert picture.convert("RGB").getpixel((2, 2)) == (255, 255, 255)


@pytest.mark.usefixtures("api")
def test_names_in_charts_are_text_and_no_markup(window: Visit) -> None:
    page = window.open("/compare", "ps-plot .main-svg")
    found = page.evaluate(
        """async () => {
          const { drawChart } = await import("/static/js/charts.js");
          const { curves, forest, scatter, stackedBars } = await import("/static/js/figures.js");
          const name = '<b>bold</b> & <a href="https://example.org">link</a>';
          const figures = [
            forest({ rows: [{ label: name, note: name, mean: 0.5 }] }),
            curves({ series: [{ name, points: [[0, 1], [1, 2]] }], x: { title: name } }),
            scatter({ points: [{ label: name, x: 2, mean: 1 }] }),
            stackedBars({ names: [name, "b", "c"], rows: [{ label: name, parts: [0.2, 0.3, 0.5] }] }),
          ];
          const seen = [];
          for (const figure of figures) {
            const area = document.body.appendChild(document.createElement("div"));
            await drawChart(area, figure, 900, "A sentence.");
            seen.push([area.querySelectorAll("a, tspan[style]").length, area.textContent.includes("<b>bold</b>")]);
          }
          return seen;
        }"""
    )
    assert found == [[0, True]] * 4


@pytest.mark.usefixtures("api")
def test_without_the_chart_library_the_table_is_there(window: Visit) -> None:
    window.expected.append("Failed to load resource")
    window.page.route("**/static/charts/**", lambda route: route.abort())
    page = window.open("/compare", "ps-plot [role=status]")
    page.wait_for_selector("text=The chart library could not be loaded")
    plot = page.locator("ps-plot").first
    plot.locator("summary").click()
    assert plot.locator("tbody tr:visible").count() == 2


def test_a_page_without_charts_loads_no_chart_library(window: Visit) -> None:
    asked: list[str] = []
    window.page.on("request", lambda request: asked.append(request.url))
    page = window.open("/jobs", ".ps-empty")
    page.wait_for_timeout(300)
    assert [url for url in asked if "/static/charts/" in url] == []


@pytest.mark.usefixtures("api")
def test_charts_follow_light_and_dark(window: Visit) -> None:
    page = window.open("/compare", "ps-plot .main-svg")
    ink = "document.querySelector('ps-plot .ytick text, ps-plot .ytick tspan').style.fill"
    light = page.evaluate(ink)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{ink} !== '{light}'")
    assert page.evaluate(ink) == "rgb(231, 237, 240)"
