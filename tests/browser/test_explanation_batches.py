"""Whole sets on the Attention page in each state: empty, running, failed, cancelled, full; wide, narrow, by keyboard.

The site is real; the answers about batches are ours, so that each state can be shown without measuring.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.browser import answers
from tests.browser.measures import NOTHING_WRONG, measured

pytestmark = pytest.mark.browser

CONDITIONS = [
    {"id": id, "title": title, "isolates": "Why.", "counted": True, "standard": True, "calibrated": False}
    for id, title in (("C0", "nothing added"), ("C1", "k zero vectors inserted"), ("C3", "a register"))
]
SENTENCE = "No, zero vectors do not move attention from background to lesion here: inserting 4 zero vectors changes ..."
CHANGE = {"mean": -0.1, "low": -0.2, "high": 0.01, "p": 0.08, "n": 36, "groups": 36}
PLAIN = {
    "condition": "C0",
    "vectors": 0,
    "key": "C0:0",
    "title": "nothing added",
    "exists": True,
    "n": 36,
    "groups": 12,
    "lesion_share": 0.09,
    "background_share": 0.91,
    "difference": None,
    "hit_rate": 0.8,
    "answer_changed": 0.0,
    "left_out": 0,
    "notes": [],
    "log_odds_change": None,
}
ZEROS = PLAIN | {
    "condition": "C1",
    "vectors": 4,
    "key": "C1:4",
    "title": "4 zero vectors inserted",
    "difference": -0.0003,
    "low": -0.0011,
    "high": 0.0005,
    "p": 0.4,
    "verdict": "no change that matters",
    "units_term": -0.0022,
    "within_term": 0.0019,
    "raw_difference": -0.0057,
    "raw_low": -0.007,
    "raw_high": -0.004,
    "log_odds_change": CHANGE,
    "sentence": SENTENCE,
}
ABSENT = {"condition": "C3", "vectors": 0, "key": "C3:0", "title": "a register", "exists": False, "n": 0}
ABSENT |= {"reason": "does not exist on this backbone: no outlier patches, nothing to shift"}
ROW = {"image": "<b>one</b>.png", "image_id": "image-1", "class": "benign", "key": "C1:4", "difference": -0.001}


def batch(state: str, **more: Any) -> dict[str, Any]:
    full = state == "succeeded"
    plan = {"conditions": [{"key": "C1:4", "condition": "C1", "title": "4 zero vectors inserted"}], "calibrated_on": 64}
    summaries = [PLAIN, ZEROS | {"by_image": ZEROS | {"low": -0.0009}}, ABSENT] if full else None
    job = {"id": "job-1", "state": state, "stage": "measuring", "done": 30, "total": 72, "seconds_left": 40.0}
    return {
        "id": "batch-1",
        "image_set": {"id": "set-1", "name": "<i>Scans</i>"},
        "part": "test",
        "n_images": 36,
        "settings": {"vectors": [4], "margin": 0.01},
        "created_at": answers.MADE,
        "finished_at": answers.MADE if full else None,
        "models": [{"position": 0, "id": "model-1", "name": "A model", "plan": plan, "summaries": summaries}],
        "n_rows": 30,
        "n_left_out": 0,
        "job": job | more,
    }


class Api:
    """Answers about batches; what was sent is kept."""

    def __init__(self, page: Any, state: str = "", **more: Any) -> None:
        self.batch = batch(state, **more) if state else None
        self.sent: list[tuple[str, Any]] = []
        page.route("**/api/v1/**", self.answer)

    def answer(self, route: Any) -> None:
        path = urlsplit(route.request.url).path.removeprefix("/api/v1")
        if route.request.method == "POST":
            self.sent.append((path, json.loads(route.request.post_data or "null")))
            self.batch = batch({"/cancel": "cancelled"}.get(path[-7:], "queued"))
            return route.fulfill(json=self.batch)
        many = {
            "/image-sets": [answers.IMAGE_SET],
            "/models": [answers.MODEL],
            "/explanation-batches/conditions": CONDITIONS,
            "/explanation-batches": [self.batch] if self.batch else [],
            "/explanation-batches/batch-1/rows": [ROW],
        }
        if path in many:
            return route.fulfill(json={"items": many[path], "total": len(many[path]), "limit": 100, "offset": 0})
        return route.fulfill(json=self.batch)


PAIR = {"mean": 0.012, "low": 0.004, "high": 0.021, "p": 0.01, "n": 36, "groups": 12, "verdict": "undecided"}
LONG = "4 random vectors of the layer's median patch norm, inserted at every block"
SECOND = {
    "position": 1,
    "id": "model-2",
    "name": "<i>Another</i> model",
    "plan": {"conditions": []},
    "summaries": [
        PLAIN,
        ZEROS
        | {
            "title": LONG,
            "against_model": {"model": "A model", "n": 36, "share": PAIR, "change": PAIR, "p_holm": 0.02}
            | {"right": {"n": 36, "lost": 2.0, "won": 5.0, "p": 0.45}, "notes": ["Other patches."]},
        },
    ],
}
OPENED = "/attention?view=set&batch=batch-1"


def test_a_set_is_measured_by_keyboard_alone(window: Any) -> None:
    api = Api(window.page)
    page = window.open("/attention?view=set", "form button[type=submit]")
    assert "No set was measured yet" in page.inner_text("main")
    page.get_by_label("Model", exact=True).focus()
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.type") == "submit":
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("ps-explanation-batch article")
    ((path, body),) = api.sent
    assert path == "/explanation-batches"
    assert (body["conditions"], body["vectors"], body["margin"], body["part"]) == (
        ["C0", "C1", "C3"],
        [4],
        0.01,
        "test",
    )
    assert "batch=batch-1" in page.url


def test_a_running_batch_is_followed_and_cancelled(window: Any) -> None:
    api = Api(window.page, "running")
    page = window.open(OPENED, "ps-explanation-batch progress")
    page.wait_for_function("document.querySelector('ps-explanation-batch').innerText.includes('30 of 72 measures')")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel it").click()
    page.get_by_role("button", name="Go on").wait_for()
    assert [path for path, _ in api.sent] == ["/explanation-batches/batch-1/cancel"]
    assert "30 measures stay" in page.inner_text("ps-explanation-batch")


def test_a_failed_batch_says_why_and_can_go_on(window: Any) -> None:
    Api(window.page, "failed", error={"message": "The model 'A model' was deleted."})
    page = window.open(OPENED, "ps-explanation-batch [role=alert]")
    assert "The model 'A model' was deleted." in page.inner_text("ps-explanation-batch")
    assert page.get_by_role("button", name="Go on").is_visible()


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_the_answer_stands_in_one_sentence_above_the_conditions(open_window: Any, width: int, dark: bool) -> None:
    visit = open_window(width=width, dark=dark)
    Api(visit.page, "succeeded")
    page = visit.open(OPENED, "ps-plot .js-plotly-plot")
    text = page.inner_text("ps-explanation-batch")
    assert SENTENCE in text
    assert "−0.0003 [−0.0011, +0.0005]" in text
    assert "does not exist on this backbone" in text
    page.get_by_role("radio", name="by image").check()
    assert "−0.0003 [−0.0009, +0.0005]" in page.inner_text("ps-explanation-batch")
    page.get_by_text("Image by image", exact=True).click()
    link = page.get_by_role("link", name="<b>one</b>.png")
    link.wait_for()
    assert link.get_attribute("href") == "/attention?model=model-1&image=image-1"
    assert measured(page) == NOTHING_WRONG


@pytest.mark.parametrize("width", [1440, 390])
def test_a_second_model_is_held_against_the_first_and_long_labels_stay_in_the_chart(
    open_window: Any, width: int
) -> None:
    visit = open_window(width=width)
    Api(visit.page, "succeeded").batch["models"].append(SECOND)
    page = visit.open(OPENED, "section[aria-label^='Result of <i>Another'] .js-plotly-plot")
    place = page.locator("section[aria-label^='Result of <i>Another']")
    place.get_by_role("heading", name="Against A model").scroll_into_view_if_needed()
    assert "undecided" in place.inner_text()
    assert "Other patches." in place.inner_text()
    assert place.locator(":is(h2, h3, p) i").count() == 0
    page.wait_for_timeout(300)
    assert measured(page) == NOTHING_WRONG
    beyond = """() => [...document.querySelectorAll('.js-plotly-plot')].filter((plot) => {
        const box = plot.getBoundingClientRect();
        return [...plot.querySelectorAll('.annotation, .ytick')].some((label) => {
            const own = label.getBoundingClientRect();
            return own.width && (own.left < box.left - 1 || own.right > box.right + 1);
        });
    }).length"""
    assert page.evaluate(beyond) == 0
