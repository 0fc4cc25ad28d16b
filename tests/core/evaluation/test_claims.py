"""What is said of the best method holds against every other one, or is not said."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from core.evaluation.comparison import compare_runs
from core.evaluation.run_answers import RunAnswers, run_answers
from tests.core.evaluation.test_comparison import run

N = 60


def answers(right: np.ndarray, unit: Callable[[int], str] = "image {}".format) -> RunAnswers:
    """Answers on images of two classes: right where 1. unit: what the image at a place belongs to."""
    labels = ["benign", "malignant"] * (len(right) // 2)
    other = {"benign": "malignant", "malignant": "benign"}
    told = [label if good else other[label] for label, good in zip(labels, right, strict=True)]
    places = range(len(right))
    return run_answers([f"{at}.png" for at in places], [unit(at) for at in places], labels, told)


def rights(share: float, seed: int, n: int = N) -> np.ndarray:
    return (np.random.default_rng(seed).random(n) < share).astype(int)


def compared(given: dict[tuple[str, int], np.ndarray], **changes) -> dict:
    """The group of runs by (method, seed), with what each got right."""
    runs = []
    for (method, seed), right in given.items():
        hits = [int(right[at::2].sum()) for at in (0, 1)]
        table = [[hits[0], len(right) // 2 - hits[0]], [len(right) // 2 - hits[1], hits[1]]]
        runs.append(run(method, seed, float(right.mean()), confusion=table, **changes))
    told = {f"{method}-{seed}": answers(right) for (method, seed), right in given.items()}
    (group,) = compare_runs(runs, lambda ids: {run_id: told[run_id] for run_id in ids})["groups"]
    return group


def test_a_method_that_beats_all_others_in_each_pair_is_said_to_be_better() -> None:
    few = rights(0.3, 7)
    given = {("zero_shot", 1): few}
    given |= {("coop", seed): np.maximum(rights(0.95, seed), 0) for seed in (1, 2, 3)}
    given |= {("kgcoop", seed): rights(0.4, 10 + seed) for seed in (1, 2, 3)}
    verdict = compared(given)["verdict"]
    assert verdict["told_apart"]
    assert [each["method_title"] for each in verdict["against"]] == ["KGCOOP", "ZERO_SHOT"]
    assert all(each["low"] > 0 for each in verdict["against"])
    assert verdict["sentence"].startswith("COOP has the highest balanced accuracy (")
    assert (
        "It is better than every other method here: each paired 95 % interval of the difference"
        in (verdict["sentence"])
    )


def test_an_interval_above_the_next_one_is_not_enough() -> None:
    # the next one is clearly below, but a third one of the same mean as the next varies so much that it may be better
    best, beaten = rights(0.9, 1), rights(0.3, 2)
    given = {("coop", s): best for s in (1, 2, 3)} | {("kgcoop", s): beaten for s in (1, 2, 3)}
    given |= {("maple", seed): rights(share, 20 + seed) for seed, share in ((1, 0.99), (2, 0.5), (3, 0.75))}
    given |= {("zero_shot", 1): rights(0.2, 5)}
    verdict = compared(given)["verdict"]
    assert not verdict["told_apart"]
    assert verdict["sentence"].endswith(
        ", but it is not told apart from MAPLE: the paired 95 % interval of the difference includes zero."
    )


def test_two_methods_with_the_same_answers_are_not_told_apart() -> None:
    right = rights(0.8, 1)
    verdict = compared({("coop", 1): right, ("zero_shot", 1): right})["verdict"]
    assert (verdict["told_apart"], verdict["against"][0]["difference"]) == (False, 0.0)
    assert verdict["sentence"].endswith("not told apart from ZERO_SHOT: no test image or group tells them apart.")


def test_a_class_that_few_patients_have_tells_nothing() -> None:
    def grouped(right: np.ndarray) -> RunAnswers:
        return answers(right, lambda at: f"group {at // 2 if at % 2 else at % 6}")

    told = {"coop-1": grouped(rights(0.9, 1)), "zero_shot-1": grouped(rights(0.3, 2))}
    (group,) = compare_runs([run(score=0.9), run("zero_shot", score=0.3)], lambda ids: told)["groups"]
    assert group["verdict"]["sentence"].endswith("not told apart from ZERO_SHOT: a class is held by 3 groups only.")


def test_small_differences_on_the_same_images_are_seen_where_single_intervals_overlap() -> None:
    base = rights(0.6, 3, 400)
    better = base.copy()
    better[np.flatnonzero(base == 0)[:20]] = 1
    group = compared({("coop", 1): better, ("zero_shot", 1): base}, n_test=400)
    first, second = group["rows"]
    assert first["low"] < second["high"]
    assert group["verdict"]["told_apart"]
    assert group["verdict"]["sentence"].endswith("These are single trained models: other draws may differ.")


def test_without_zero_shot_nothing_is_said_to_be_better() -> None:
    given = {("coop", s): rights(0.95, s) for s in (1, 2, 3)} | {("kgcoop", s): rights(0.3, 9 + s) for s in (1, 2, 3)}
    verdict = compared(given)["verdict"]
    assert not verdict["told_apart"]
    assert verdict["sentence"].endswith("; zero-shot was not run, so nothing is said of it being better.")


def test_several_draws_against_one_are_not_told_apart() -> None:
    given = {("coop", s): rights(0.95, s) for s in (1, 2, 3)} | {("kgcoop", 1): rights(0.3, 9)}
    verdict = compared(given | {("zero_shot", 1): rights(0.2, 4)})["verdict"]
    assert verdict["sentence"].endswith("not told apart from KGCOOP: they were not run with two seeds in common.")


def test_few_test_images_tell_nothing() -> None:
    good, bad = np.ones(8, dtype=int), np.zeros(8, dtype=int)
    verdict = compared({("coop", 1): good, ("zero_shot", 1): bad}, n_test=8)["verdict"]
    assert verdict["sentence"].endswith("fewer than 10 test images or groups are too few to tell.")


def test_other_test_images_are_never_paired() -> None:
    told = {"coop-1": answers(rights(0.9, 1)), "zero_shot-1": answers(rights(0.2, 1, N + 2))}
    (group,) = compare_runs([run(score=0.9), run("zero_shot", score=0.2)], lambda ids: told)["groups"]
    assert group["verdict"]["sentence"].endswith("they were measured on other test images.")


def test_answers_that_were_not_looked_up_make_no_claim() -> None:
    (group,) = compare_runs([run(score=0.9), run("zero_shot", score=0.2)])["groups"]
    assert group["verdict"]["sentence"] == (
        "COOP has the highest balanced accuracy (90.0 %); whether it is better was not tested here."
    )


def test_images_of_one_patient_count_as_one() -> None:
    def grouped(right: np.ndarray) -> RunAnswers:
        return answers(right, lambda at: f"group {at // 20}")

    good, bad = rights(0.9, 1), rights(0.5, 2)
    told = {"coop-1": grouped(good), "zero_shot-1": grouped(bad)}
    (group,) = compare_runs([run(score=0.9), run("zero_shot", score=0.5)], lambda ids: told)["groups"]
    assert "fewer than 10 test images or groups" in group["verdict"]["sentence"]
