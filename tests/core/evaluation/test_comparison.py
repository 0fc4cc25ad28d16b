"""Runs are compared like with like, and nothing disappears in silence."""

import pytest

from core.evaluation.comparison import NO_ZERO_SHOT, compare_runs


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
    assert (row["mean"], row["low"], row["high"]) == pytest.approx((0.8, 0.55159, 1.04841), abs=1e-4)
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
    found = compare_runs([run(), run("kgcoop", state=state)])
    assert [row["method"] for row in found["groups"][0]["rows"]] == ["coop", "zero_shot"]
    assert found["notes"] == [f"Left out, {state}, and only finished runs are compared: kgcoop seed 1."]


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
