"""Results say which version of which descriptions they were trained on, and lead to what changed since."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser import answers
from tests.browser.conftest import Visit
from tests.browser.measures import NOTHING_WRONG, measured
from tests.browser.test_result_pages import Api, saved_csv

pytestmark = pytest.mark.browser

SAID = "Trained on version 3 of 'Clinical', signed by Ada; now there is version 5."
USE = {"set_id": "texts-1", "set": "Clinical", "version": 3, "signed_by": "Ada", "newest": 5, "newest_signed": 3}
USE |= {"sentence": SAID}


def trained_on_texts() -> dict[str, Any]:
    found = answers.experiment()
    used = {True: [USE], False: []}
    return found | {"rows": [row | {"description_versions": used[row["method"] == "coop"]} for row in found["rows"]]}


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
def test_rows_of_experiments_lead_to_what_changed_since(
    open_window: Callable[..., Visit], width: int, dark: bool
) -> None:
    visit = open_window(width=width, dark=dark)
    Api(visit).experiments = [trained_on_texts()]
    page = visit.open("/compare?experiment=experiment-1", "ps-answers .ps-confusion")
    table = page.locator(".ps-leaderboard")
    assert table.get_by_text(SAID).count() == 1
    link = table.get_by_role("link", name="See what changed: version 3 of Clinical")
    assert link.get_attribute("href").endswith("/descriptions?id=texts-1&view=versions&from=3")
    assert measured(page) == NOTHING_WRONG


def test_answers_of_a_model_and_their_file_say_it_too(window: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "CLASSIFICATION", answers.CLASSIFICATION | {"description_version": USE})
    Api(window)
    page = window.open("/classify?id=answers-1", ".ps-result")
    assert page.get_by_role("region", name="Results").get_by_text(SAID).count() == 1
    head, *rows = saved_csv(page, page.get_by_role("button", name="Download CSV").click)
    assert {row[head.index("descriptions")] for row in rows} == {SAID}
