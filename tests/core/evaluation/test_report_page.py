"""The page of a comparison holds its numbers, escapes what people wrote, and loads nothing."""

import numpy as np
import pytest

from core.evaluation.comparison import compare_runs
from core.evaluation.report_page import report_page
from core.evaluation.run_answers import RunAnswers, run_answers
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


IMAGES = [f"{at:02}.png" for at in range(60)]
LABELS = ["ab"[at % 2] for at in range(60)]


def told(method: str, seed: int) -> RunAnswers:
    """COOP errs on six images of class a, the linear probe on a third of all, zero-shot on half of class b."""
    draw = np.random.default_rng(seed)
    wrong = {
        "coop": set(range(0, 12, 2)),
        "linear_probe": set(draw.permutation(60)[:20].tolist()),
        "zero_shot": set(range(1, 60, 4)),
    }[method]
    given = [label if at not in wrong else "ba"["ab".index(label)] for at, label in enumerate(LABELS)]
    return run_answers(IMAGES, IMAGES, LABELS, given)


def detailed(simple=("linear_probe",)):
    runs = [
        run(method, seed=seed, score=score, training_seconds=1.25, feature_seconds=30.5)
        for method, score in (("coop", 0.9), ("linear_probe", 0.67), ("zero_shot", 0.75))
        for seed in ((1, 2, 3) if method != "zero_shot" else (1,))
    ]
    answers = {each["id"]: told(each["method"], each["seed"]) for each in runs}
    return compare_runs(runs, lambda _: answers, simple)


def test_page_holds_each_pair_with_its_p_and_each_class():
    found = detailed()
    details = found["groups"][0]["details"]
    page = report_page(found, {})
    assert "Each against each other" in page
    first = next(
        pair for pair in details["matrix"]["pairs"] if {pair["first"], pair["second"]} == {"COOP", "ZERO_SHOT"}
    )
    # of 60 images, coop has 6 of class a wrong, zero-shot 15 of class b: 90 and 75 % balanced accuracy
    assert (first["mean"], first["wins"], first["losses"]) == (pytest.approx(0.15), 15, 6)
    assert f"+15.0 ({100 * first['low']:.1f} to {100 * first['high']:.1f}); 15/39/6; p {first['p']:.3f}" in page
    assert f"-15.0 ({-100 * first['high']:.1f} to {-100 * first['low']:.1f}); 6/39/15; p {first['p']:.3f}" in page
    assert "by Holm" in page
    assert "only differences above" in page
    of_coop = {each["class"]: each for each in details["per_class"] if each["row"] == "COOP"}
    assert of_coop["a"] == {"row": "COOP", "class": "a", "n": 30, "recall": pytest.approx(0.8), "precision": 1.0}
    assert of_coop["b"] == {"row": "COOP", "class": "b", "n": 30, "recall": 1.0, "precision": pytest.approx(30 / 36)}
    assert "<td>a</td><td>30</td><td>80.0 %</td><td>100.0 %</td>" in page


def test_best_simple_method_is_a_line_of_its_own():
    page = report_page(detailed(), {})
    assert "Dotted: LINEAR_PROBE, the best simple method." in page
    assert page.count("stroke-dasharray") == 2
    without = report_page(detailed(simple=()), {})
    assert "Dotted" not in without
    assert without.count("stroke-dasharray") == 1


def test_shared_features_are_told_apart_from_training():
    page = report_page(detailed(), {})
    assert "<th scope=col>Training, s</th><th scope=col>Shared features, s</th><th scope=col>In all, s</th>" in page
    assert "<td>1.25</td><td>30.5</td><td>2</td>" in page


def test_a_comparison_without_answers_has_no_pairs():
    (group,) = compare_runs([run(), run("zero_shot")], None, ("linear_probe",))["groups"]
    assert group["details"] == {"best_simple": None, "matrix": None, "per_class": []}
    assert "details" not in compare_runs([run()])["groups"][0]
