"""The page of a comparison holds its numbers, escapes what people wrote, and loads nothing."""

from core.evaluation.comparison import compare_runs
from core.evaluation.report_page import report_page
from tests.core.evaluation.test_comparison import run

HOSTILE = "<script>alert(1)</script>"


def page(**changes):
    runs = [run(seed=1, score=0.8, **changes), run(seed=2, score=0.9, **changes)]
    return report_page(compare_runs([*runs, run("zero_shot", score=0.6, **changes)]), {"promptoscope": "9.8.7"})


def test_page_holds_means_seeds_cost_and_versions():
    found = page(steps=321, precision="float32")
    for text in ("COOP", "85.0 %", "60.0 %", "<td>1, 2</td>", "<td>321</td>", "float32", "9.8.7", "<svg"):
        assert text in found
    assert "Research use only. Not for use in diagnostic procedures." in found


def test_what_people_wrote_is_escaped_and_nothing_is_loaded():
    found = page(image_set={"id": "s1", "name": HOSTILE}, method_title=HOSTILE, descriptions=HOSTILE)
    assert "<script" not in found
    assert "&lt;script&gt;alert(1)" in found
    assert "http://" not in found
    assert "https://" not in found


def test_leakage_stands_above_the_rows():
    found = page(known_classes=["adenoma"])
    assert 0 < found.index("has learned adenoma") < found.index("<table")
