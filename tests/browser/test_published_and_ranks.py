"""Published numbers and ranks over image sets, as people read them on Compare and with an experiment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser import answers
from tests.browser.conftest import Visit
from tests.browser.measures import NOTHING_WRONG, measured
from tests.browser.test_result_pages import Api

pytestmark = pytest.mark.browser

SETS = tuple(f"set {at}" for at in range(1, 7))
RESULTS = "/compare?experiment=experiment-1"
READY = "ps-answers .ps-confusion"


def published(**changes: Any) -> dict[str, Any]:
    """A number as `core.evaluation.published_beside` gives it."""
    from core.evaluation.published_beside import Ours, Place, beside

    record = {"id": "1", "method": "coop", "data_set": "Brain", "image_set": None, "fingerprint": "a" * 64}
    record |= {"metric": "accuracy", "value": 0.724, "decimals": 1, "part": "test", "protocol": "few-shot", "shots": 16}
    record |= {"share": None, "seeds": 3, "n_test": 236, "backbone": "biomedclip", "whose": "authors", "run_by": None}
    record |= {"source": "A <i>paper</i>, 2025", "place": "Table 3", "h_definition": None, "deviations": None} | changes
    where = Place("coop", "brain", "a" * 64, record["protocol"], 16, None, "embedded")
    ours = Ours(0.741, 236 if record["part"] == "test" else None, 0.8, "Ours follows no published recipe.")
    return beside([record], where, lambda part: ours)[0][0]


def with_published(experiment: dict[str, Any]) -> dict[str, Any]:
    """The experiment with numbers of two owners beside its rows of one method."""
    numbers = [published(), published(whose="re-run", run_by="somebody, 2026", value=0.802, seeds=None)]
    rows = [row | {"published": numbers if row["method"] == "coop" else []} for row in experiment["rows"]]
    return experiment | {"rows": rows}


def with_ranks(n_sets: int) -> dict[str, Any]:
    from core.experiments.rank_tests import rank_tests

    found = answers.experiment(sets=SETS[:n_sets])
    return with_published(found) | {"rank_tests": rank_tests(found["rows"])}


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (1440, True), (390, False), (390, True)])
def test_both_can_be_read_by_everybody(open_window: Callable[..., Visit], width: int, dark: bool) -> None:
    visit = open_window(width=width, dark=dark)
    Api(visit).experiments = [with_ranks(6)]
    page = visit.open(RESULTS, READY)
    page.wait_for_timeout(300)
    assert page.locator(".ps-published").count() == 1
    assert measured(page) == NOTHING_WRONG
    assert page.locator(".ps-published li:visible").count() == 2
    assert page.locator(".ps-slot i").count() == 0


def test_a_number_says_whose_it_is_and_with_which_chance_the_order_is_wrong(window: Visit) -> None:
    Api(window).experiments = [with_published(answers.experiment())]
    page = window.open(RESULTS, READY)
    cells = page.locator(".ps-published tbody tr").first.locator("th, td").all_inner_texts()
    assert [each.replace("\n", " ") for each in cells] == [
        "CoOp",
        "its authors A <i>paper</i>, 2025, Table 3",
        "16",
        "3",
        "72.4 %",
        "74.1 %",
        "3.1 % to 36 % ours is higher, on 236 images; 20 % at the overlap of our own runs",
    ]
    other = page.locator(".ps-published tbody tr").nth(1).inner_text()
    assert "run again by somebody, 2026" in other
    assert "published is higher" in other
    told = page.locator(".ps-published li").first.inner_text()
    assert "Published 72.4 (its authors), ours 74.1 on 236 images: the order is wrong with probability" in told
    assert "Published with the encoder biomedclip, ours with embedded." in told
    page.locator(".ps-published summary").press("Enter")
    assert page.locator(".ps-published li:visible").count() == 0


def test_single_runs_have_it_too(window: Visit) -> None:
    api = Api(window)
    api.comparison["groups"][0]["rows"][0]["published"] = [published()]
    page = window.open("/compare", ".ps-published")
    assert page.locator(".ps-published tbody tr").count() == 1
    assert measured(page) == NOTHING_WRONG


def test_without_published_numbers_there_is_no_table(window: Visit) -> None:
    Api(window).experiments = [answers.experiment()]
    page = window.open(RESULTS, READY)
    assert page.locator(".ps-published").count() == 0


@pytest.mark.parametrize(("n_sets", "tested"), [(6, True), (5, True), (3, False)])
def test_ranks_are_shown_from_five_sets_on_and_else_why_not(window: Visit, n_sets: int, tested: bool) -> None:
    Api(window).experiments = [with_ranks(n_sets)]
    page = window.open(RESULTS, READY)
    card = page.locator("section", has=page.get_by_role("heading", name="Ranks over image sets"))
    text = card.inner_text()
    assert (card.locator("ps-plot").count() == 1) == tested
    assert (f"{n_sets} data sets: ranks are tested from 5 on." in text) != tested
    assert ("pairs of lines, by Wilcoxon's exact test" in text) == (n_sets >= 6)
    if n_sets == 5:
        assert "5 data sets: the smallest possible p is 0.06, so no pair can be called different." in text
    assert measured(page) == NOTHING_WRONG


def test_one_set_says_in_a_sentence_why_there_are_no_ranks(window: Visit) -> None:
    from core.experiments.rank_tests import rank_tests

    found = answers.experiment()
    Api(window).experiments = [found | {"rank_tests": rank_tests(found["rows"])}]
    page = window.open(RESULTS, READY)
    assert "1 data set: ranks are tested from 5 on." in page.locator("main#main").inner_text()
