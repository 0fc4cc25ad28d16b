"""Runs are compared like with like, and nothing disappears in silence."""

import numpy as np
import pytest

from core.evaluation.comparison import NO_ZERO_SHOT, compare_runs
from core.evaluation.model_intervals import NONE
from core.evaluation.pseudo_values import measure
from core.evaluation.run_answers import RunAnswers, run_answers
from core.evaluation.stated import stated_of
from core.evaluation.two_part import of_measured


def run(method="coop", seed=1, score=0.8, **changes):
    metrics = dict.fromkeys(("accuracy", "balanced_accuracy", "macro_f1", "auroc", "kappa", "ece"), score)
    return {
        "id": f"{method}-{seed}",
        "name": f"{method} seed {seed}",
        "state": "succeeded",
        "method": method,
        "method_title": method.upper(),
        "backbone": "embedded",
        "backbone_checksum": "c" * 64,
        "variant": "default",
        "image_set": {"id": "s1", "name": "breast"},
        "fingerprint": "f1",
        "shots": 16,
        "seed": seed,
        "options": {"epochs": 50, "seed": seed},
        "descriptions": "template",
        "n_train": 32,
        "n_val": 8,
        "n_test": 60,
        "seconds": 2.0,
        "metrics": metrics,
        **changes,
    }


def test_seeds_of_a_method_make_one_row_with_an_interval():
    found = compare_runs([run(seed=s, score=v) for s, v in ((1, 0.7), (2, 0.8), (3, 0.9))])
    (group,) = found["groups"]
    row = group["rows"][0]
    assert (row["mean"], row["low"], row["high"]) == pytest.approx((0.8, 0.55159, 1.0), abs=1e-4)
    assert (row["n_seeds"], row["seeds"]) == (3, [1, 2, 3])
    assert row["metrics"]["accuracy"]["mean"] == pytest.approx(0.8)
    assert row["run_ids"] == ["coop-1", "coop-2", "coop-3"]
    assert group["n_test"] == 60


def test_rows_are_sorted_by_balanced_accuracy():
    runs = [run("coop", score=0.7), run("kgcoop", score=0.9), run("zero_shot", score=0.5)]
    rows = compare_runs(runs)["groups"][0]["rows"]
    assert [row["method"] for row in rows] == ["kgcoop", "coop", "zero_shot"]


def test_a_missing_zero_shot_run_is_named():
    group = compare_runs([run()])["groups"][0]
    assert group["rows"][-1]["method"] == "zero_shot"
    assert group["rows"][-1]["missing"]
    assert group["rows"][-1]["mean"] is None
    assert group["rows"][-1]["note"] == NO_ZERO_SHOT
    assert NO_ZERO_SHOT in group["notes"]


def test_zero_shot_of_another_number_of_shots_serves_as_the_baseline_and_is_noted():
    found = compare_runs([run(shots=4), run("zero_shot", shots=16, score=0.5)])
    (group,) = found["groups"]
    assert [row["method"] for row in group["rows"]] == ["coop", "zero_shot"]
    assert not group["rows"][1]["missing"]
    assert any("another number of shots" in note for note in group["notes"])


def test_zero_shot_alone_is_a_group():
    (group,) = compare_runs([run("zero_shot", score=0.5)])["groups"]
    assert [row["missing"] for row in group["rows"]] == [False]


@pytest.mark.parametrize(
    "change",
    [{"shots": 4}, {"fingerprint": "f2"}, {"backbone_checksum": "d" * 64}],
    ids=["shots", "images", "weights"],
)
def test_unlike_runs_stand_in_groups_of_their_own(change):
    found = compare_runs([run(), run("kgcoop", **change)])
    assert [len(group["rows"]) for group in found["groups"]] == [2, 2]
    assert any("cannot be compared" in note for note in found["notes"])


@pytest.mark.parametrize(
    "change",
    [{"options": {"epochs": 10}}, {"variant": "paper"}, {"descriptions_fingerprint": "ab12"}],
    ids=["options", "variant", "descriptions"],
)
def test_other_settings_of_a_method_are_another_row(change):
    rows = compare_runs([run(seed=1), run(seed=2, **change), run("zero_shot")])["groups"][0]["rows"]
    assert sorted(row["n_seeds"] for row in rows) == [1, 1, 1]


@pytest.mark.parametrize("state", ["queued", "running", "failed", "cancelled"])
def test_unfinished_runs_never_enter_and_are_named(state):
    found = compare_runs([run(), run("kgcoop", state=state), run("kgcoop", seed=2, state=state)])
    assert [row["method"] for row in found["groups"][0]["rows"]] == ["coop", "zero_shot"]
    assert found["notes"] == [f"Left out, {state}, and only finished runs are compared: kgcoop seed 1; kgcoop seed 2."]


def test_a_finished_run_without_metrics_is_named():
    assert compare_runs([run(metrics=None)]) == {
        "groups": [],
        "notes": ["Left out, finished without metrics: coop seed 1."],
    }


def test_a_seed_run_twice_counts_once_and_is_noted():
    group = compare_runs([run(score=0.6), run(score=0.8, id="later")])["groups"][0]
    assert (group["rows"][0]["n_seeds"], group["rows"][0]["mean"]) == (1, 0.8)
    assert group["rows"][0]["run_ids"] == ["later"]
    assert any("earlier run(s) with the same seed" in note for note in group["notes"])


def test_the_latest_run_of_a_seed_counts_in_whatever_order_runs_come():
    older = run(score=0.6, sealed_at="2026-01-01T00:00:00Z")
    newer = run(score=0.8, id="later", sealed_at="2026-01-02T00:00:00Z")
    assert compare_runs([newer, older])["groups"][0]["rows"][0]["run_ids"] == ["later"]


def test_an_undefined_metric_leaves_the_others_standing():
    undefined = run()
    undefined["metrics"] = {**undefined["metrics"], "auroc": None}
    row = compare_runs([undefined, run(seed=2)])["groups"][0]["rows"][0]
    assert row["metrics"]["auroc"]["n"] == 1
    assert row["metrics"]["accuracy"]["n"] == 2


def test_one_seed_says_that_its_spread_is_unknown():
    row = compare_runs([run()])["groups"][0]["rows"][0]
    assert (row["low"], row["high"]) == (None, None)
    assert row["note"] == "One seed: the spread over draws is unknown."


def test_different_seeds_between_methods_are_noted():
    group = compare_runs([run(seed=1), run("kgcoop", seed=2), run("zero_shot")])["groups"][0]
    assert any("same seeds" in note for note in group["notes"])


TABLE = [[24, 6], [6, 24]]


def test_equal_seeds_are_one_measurement_with_an_interval_over_test_images():
    runs = [run("zero_shot", s, 0.8, confusion=TABLE) for s in (1, 2, 3)]
    for at, each in enumerate(runs):
        each["metrics"] = each["metrics"] | {"ece": 0.1 + at / 100}  # calibrated on other images
    (row,) = compare_runs(runs)["groups"][0]["rows"]
    accuracy = row["metrics"]["accuracy"]
    assert (accuracy["low"], accuracy["high"]) == pytest.approx((0.6822, 0.8817), abs=1e-4)
    assert (accuracy["interval"], accuracy["over"], accuracy["n_units"]) == ("95% Wilson over 60 images", "images", 60)
    assert row["low"] < 0.8 < row["high"]
    assert (row["n_seeds"], row["measurements"]) == (3, 1)
    assert row["note"] == "3 equal seeds: one measurement, not 3."
    assert all(each["low"] is None or each["low"] < each["high"] for each in row["metrics"].values())


@pytest.mark.parametrize("method", ["zero_shot", "coop"])
def test_equal_seeds_never_have_an_interval_of_width_zero(method):
    rows = compare_runs([run(method, s, 0.8) for s in (1, 2, 3)])["groups"][0]["rows"]
    assert (rows[0]["mean"], rows[0]["low"], rows[0]["high"]) == (0.8, None, None)


def test_one_seed_has_the_interval_of_its_model():
    row = compare_runs([run(score=0.8, confusion=TABLE)])["groups"][0]["rows"][0]
    assert row["metrics"]["accuracy"]["over"] == "images"
    kept = {
        "accuracy": {"low": 0.7, "high": 0.9, "n": 12, "interval": "95% bootstrap over 12 groups", "over": "groups"}
    }
    row = compare_runs([run(score=0.8, confusion=TABLE, intervals=kept)])["groups"][0]["rows"][0]
    assert (row["metrics"]["accuracy"]["low"], row["metrics"]["accuracy"]["over"]) == (0.7, "groups")


def leak(by_drawn=0, allowed=True, found=True):
    count = {"test_images": 12, "of": 60, "by_drawn": by_drawn}
    return {"allowed": allowed, "found": found, "exact_copies": count, "sentence": f"{by_drawn} of 12 copies."}


def test_leakage_stands_in_its_rows_and_above_its_group():
    runs = [run(seed=1, leakage=leak(1)), run(seed=2, leakage=leak(5)), run("zero_shot", leakage=leak(0))]
    group = compare_runs(runs)["groups"][0]
    assert group["warnings"] == ["5 of 12 copies."]
    assert {row["method"]: row["leakage"]["sentence"] for row in group["rows"]} == {
        "coop": "5 of 12 copies.",
        "zero_shot": "0 of 12 copies.",
    }


def test_leakage_that_an_older_run_allowed_is_said_to_be_uncounted():
    group = compare_runs([run(request={"allow_leakage": True}), run("zero_shot")])["groups"][0]
    said = "Leakage was allowed; how much there was has not been counted for this run."
    assert (group["warnings"], group["rows"][0]["leakage"]["sentence"]) == ([said], said)


def test_a_clean_group_has_no_warning():
    clean = leak(allowed=False, found=False) | {"exact_copies": {"test_images": 0, "of": 60, "by_drawn": 0}}
    assert compare_runs([run(leakage=clean, known_classes=[])])["groups"][0]["warnings"] == []


def test_classes_that_the_backbone_knew_stand_above_the_group():
    group = compare_runs([run(known_classes=["cyst"]), run("zero_shot", known_classes=["cyst"])])["groups"][0]
    assert group["known_classes"] == ["cyst"]
    assert group["warnings"] == [
        "The text side of the backbone 'embedded' has learned cyst from labelled images: zero-shot and few-shot "
        "numbers on them are not honest ones."
    ]


def test_each_metric_of_a_row_says_what_its_interval_holds_for() -> None:
    runs = [run(seed=seed, score=0.8 + seed / 100) for seed in (1, 2, 3)]
    rows = compare_runs([*runs, run("kgcoop", 1)])["groups"][0]["rows"]
    told = {row["method"]: row["metrics"]["balanced_accuracy"]["claim"] for row in rows}
    assert told == {"coop": "this method on this test set", "kgcoop": None, "zero_shot": None}
    table = [[40, 10], [5, 45]]
    (row, *_) = compare_runs([run(confusion=table)])["groups"][0]["rows"]
    assert row["metrics"]["accuracy"]["claim"] == "this trained model on new images"


def test_several_seeds_with_answers_have_an_interval_over_draws_and_images():
    def told(seed: int) -> RunAnswers:
        random = np.random.default_rng(seed)
        right = random.random(60) < 0.8
        labels = np.arange(60) % 2
        predicted = np.where(right, labels, 1 - labels)
        images = [f"{at}.png" for at in range(60)]
        return run_answers(images, images, ["ab"[at] for at in labels], ["ab"[at] for at in predicted])

    answers = {f"coop-{seed}": told(seed) for seed in (1, 2, 3)}
    runs = [run(seed=seed, score=0.7 + seed / 100) for seed in (1, 2, 3)]
    with_answers, without = (
        compare_runs(runs, look_up)["groups"][0]["rows"][0] for look_up in (lambda _: answers, None)
    )
    assert with_answers["over"] == "seeds and images"
    assert with_answers["metrics"]["balanced_accuracy"]["claim"] == "this method over new draws and new images"
    assert with_answers["metrics"]["balanced_accuracy"]["n_units"] == 60
    assert without["over"] == "seeds"
    assert with_answers["mean"] == without["mean"]
    # these answers hold no probabilities, so that the metric of probabilities keeps the interval over seeds
    assert with_answers["metrics"]["auroc"] == without["metrics"]["auroc"]


def test_auroc_of_several_seeds_has_the_two_part_interval_of_its_pseudo_values():
    labels, p = np.arange(60) % 2, np.random.default_rng(3).random((3, 60))
    p = np.clip(p * 0.6 + labels * 0.4, 0, 1)

    def told(seed: int) -> RunAnswers:
        images, given = [f"{at:02}.png" for at in range(60)], ["ab"[at] for at in labels]
        stated = stated_of([{"b": b, "a": 1 - b} for b in p[seed]])
        return run_answers(images, images, given, ["ab"[int(b > 0.5)] for b in p[seed]], stated)

    runs = [run(seed=seed, score=0.7 + seed / 100) for seed in (1, 2, 3)]
    row = compare_runs(runs, lambda _: {f"coop-{seed + 1}": told(seed) for seed in range(3)})["groups"][0]["rows"][0]
    probabilities = np.stack([1 - p, p], axis=-1)
    known = of_measured(measure("auroc", labels, probabilities=probabilities)).interval()
    own = row["metrics"]["auroc"]
    assert (own["low"], own["high"]) == pytest.approx((known.low, known.high))
    assert (own["over"], own["n_units"], own["claim"]) == ("seeds and images", 60, known.claim)


def test_the_calibration_error_of_several_seeds_has_no_interval():
    row = compare_runs([run(seed=seed, score=0.7 + seed / 100) for seed in (1, 2, 3)])["groups"][0]["rows"][0]
    own = row["metrics"]["ece"]
    assert own["mean"] == pytest.approx(0.72)
    assert (own["low"], own["high"], own["n"], own["interval"]) == (None, None, 3, NONE)


def test_classes_of_few_test_images_are_named():
    confusion, classes = [[30, 0, 0], [2, 7, 0], [0, 0, 1]], ["a", "b", "c"]
    group = compare_runs([run(confusion=confusion, classes=classes)])["groups"][0]
    assert [note for note in group["notes"] if "recall" in note] == [
        "'b' has 9 test images: hardly anything is known of its recall.",
        "'c' has 1 test image: hardly anything is known of its recall.",
    ]


def test_a_run_that_learned_fewer_classes_than_it_was_measured_on_is_compared():
    confusion = [[30, 0, 0], [2, 7, 0], [20, 0, 0]]
    part = {"test": {"classes": ["a", "b", "c"], "confusion": confusion}}
    group = compare_runs([run(confusion=confusion, classes=["a", "b"], parts=part)])["groups"][0]
    assert [note for note in group["notes"] if "recall" in note] == [
        "'b' has 9 test images: hardly anything is known of its recall."
    ]


def test_other_precision_or_options_stand_in_rows_whose_names_tell_it():
    runs = [
        run(precision="fp32"),
        run(precision="bf16", id="b"),
        run(precision="fp32", id="c", options={"epochs": 20, "learning_rate": 0.01}, epochs=20),
        run("kgcoop", precision="fp32"),
    ]
    rows = compare_runs(runs)["groups"][0]["rows"]
    told = {row["run_ids"][0]: row["differs"] for row in rows if row["run_ids"]}
    assert told["kgcoop-1"] == ""
    assert "precision fp32" in told["coop-1"]
    assert "precision bf16" in told["b"]
    assert "epochs 20" in told["c"]
    assert "learning_rate 0.01" in told["c"]
    assert "learning_rate unknown" in told["coop-1"]
