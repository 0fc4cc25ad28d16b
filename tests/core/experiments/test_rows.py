"""Rows of a comparison, from made-up answers whose statistics are known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.evaluation.two_part import two_part
from core.experiments.finished import Answers, Finished, answers_of
from core.experiments.rows import comparison_matrix, experiment_rows
from core.experiments.spec import ExperimentSpec, parse_spec

CLASSES = ("a", "b")
SIMPLE = ("linear_probe",)


def spec(**values: Any) -> ExperimentSpec:
    given = {"name": "x", "images": ["one"], "methods": ["coop", "linear_probe"], "metric": "accuracy"}
    return parse_spec(given | values)


def answers(right: np.ndarray, per_patient: int | None = None, classes: tuple[str, ...] = CLASSES) -> Answers:
    """Answers that are right where asked; half of the images are of either class."""
    n = len(right)
    labels = np.arange(n) % 2
    told = np.where(right, labels, 1 - labels)
    probabilities = np.full((n, len(classes)), 0.2 / max(1, len(classes) - 1))
    probabilities[np.arange(n), told] = 0.8
    groups = tuple(None if per_patient is None else f"p{at // per_patient}" for at in range(n))
    return Answers(tuple(f"{at}.png" for at in range(n)), labels, probabilities, groups, classes)


def cell(method: str, seed: int, right: np.ndarray, **values: Any) -> Finished:
    parts = values.pop("parts", None) or {"test": answers(right, values.pop("per_patient", None))}
    facts = {"metrics": {"accuracy": float(np.mean(right))}, "n_val": 8, "n_test": len(right), "precision": "fp32"}
    given = {"image_set": "one", "shots": 4, "share": None, "descriptions": None, "line": method}
    record = facts | values.pop("record", {})
    return Finished(**given | {"method": method, "seed": seed, "record": record, "parts": parts} | values)


def drawn(share: float, n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(n) < share


def three_lines(better: float = 0.9, n: int = 400, **values: Any) -> list[Finished]:
    cells = [cell("coop", seed, drawn(better, n, seed), **values) for seed in (1, 2, 3)]
    cells += [cell("linear_probe", seed, drawn(0.6, n, 10 + seed), **values) for seed in (1, 2, 3)]
    return [*cells, cell("zero_shot", 1, drawn(0.5, n, 99), **values)]


def rows_of(cells: list[Finished], **values: Any) -> dict[str, dict[str, Any]]:
    found = experiment_rows(spec(**values), cells, "zero_shot", SIMPLE)
    return {row["line"]: row for row in found if row["image_set"] is not None}


def test_a_row_has_the_two_part_interval_and_says_what_it_claims() -> None:
    cells = three_lines()
    row = rows_of(cells)["coop"]
    values = np.stack([drawn(0.9, 400, seed).astype(float) for seed in (1, 2, 3)])
    expected = two_part(values)
    assert row["mean"] == pytest.approx(values.mean())
    assert row["mean"] - row["low"] == pytest.approx(expected.half_width())
    assert row["claim"] == "this method over new draws and new images"
    assert row["interval"].endswith(row["claim"])
    assert row["n_seeds"] == 3
    assert row["deviations"]["accuracy"] == pytest.approx(values.mean(axis=1).std(ddof=1))
    assert rows_of(cells)["zero_shot"]["deviations"]["accuracy"] is None


def test_better_needs_both_zero_shot_and_the_best_simple_baseline() -> None:
    rows = rows_of(three_lines())
    assert rows["coop"]["beats"] is True
    assert rows["coop"]["difference"]["against"] == "zero_shot"
    assert rows["coop"]["difference"]["low"] > 0
    assert rows["coop"]["difference"]["p_holm"] < 0.05
    # as good as the simple baseline, far above zero-shot: not better
    equal = rows_of(three_lines(better=0.62))
    assert equal["coop"]["beats"] is False


def test_a_row_has_the_number_of_each_seed_its_role_and_the_ranks_it_can_have() -> None:
    rows = rows_of(three_lines())
    assert rows["coop"]["values"] == pytest.approx([drawn(0.9, 400, seed).mean() for seed in (1, 2, 3)])
    assert len(rows["zero_shot"]["values"]) == 1
    assert {name: row["role"] for name, row in rows.items()} == {
        "coop": None,
        "linear_probe": "best simple",
        "zero_shot": "baseline",
    }
    assert rows["coop"]["rank"] == [1, 1]
    assert rows["linear_probe"]["rank"][0] == 2


def test_without_a_simple_method_nothing_is_called_better() -> None:
    rows = rows_of([each for each in three_lines() if each.method != "linear_probe"])
    assert rows["coop"]["difference"]["low"] > 0
    assert rows["coop"]["beats"] is None


def test_the_chosen_reference_has_to_be_beaten_too() -> None:
    # far above zero-shot and the simple method, level with the line that was named before the start
    cells = [*three_lines(), *(cell("kgcoop", seed, drawn(0.9, 400, 20 + seed)) for seed in (1, 2, 3))]
    rows = rows_of(cells, methods=["coop", "kgcoop", "linear_probe"], compare_to="kgcoop")
    assert rows["coop"]["difference"]["against"] == "kgcoop"
    assert rows["coop"]["beats"] is False
    assert rows["kgcoop"]["beats"] is True
    assert rows["zero_shot"]["beats"] is None


def test_the_baseline_is_held_against_nobody_and_is_one_measurement() -> None:
    cells = [*three_lines(), *(cell("zero_shot", seed, drawn(0.5, 400, 99)) for seed in (2, 3))]
    row = rows_of(cells)["zero_shot"]
    assert row["difference"] is None
    assert row["n_seeds"] == 3
    assert row["claim"] == "this trained model on new images"


def test_images_of_few_patients_get_no_interval() -> None:
    rows = rows_of(three_lines(n=45, per_patient=5))
    assert rows["coop"]["low"] is None
    assert "fewer than 10 groups" in rows["coop"]["interval"]
    assert rows["coop"]["units"] == "groups"
    approximate = rows_of(three_lines(n=100, per_patient=5))
    assert "approximate" in approximate["coop"]["interval"]


def test_rows_of_other_precision_or_wording_are_apart_and_named() -> None:
    cells = [cell("coop", 1, drawn(0.9, 50, 1)), cell("coop", 2, drawn(0.9, 50, 2), record={"precision": "bf16"})]
    assert set(rows_of(cells)) == {"coop (fp32)", "coop (bf16)"}
    worded = [cell("coop", 1, drawn(0.9, 50, 1)), cell("coop", 1, drawn(0.9, 50, 2), descriptions="long")]
    assert set(rows_of(worded)) == {"coop (templates)", "coop (long)"}


def test_what_a_cell_said_of_itself_stands_beside_its_row() -> None:
    told = {"notes": ["2 of 50 test images are exact copies."]}
    row = rows_of([cell("coop", 1, drawn(0.9, 50, 1), record=told)])["coop"]
    assert "2 of 50 test images are exact copies." in row["notes"]


def test_a_row_tells_the_worst_leakage_of_its_cells_and_the_classes_known_before() -> None:
    clean, leaky = ({"found": found, "allowed": True, "sentence": str(found)} for found in (False, True))
    cells = three_lines()
    for at, leak in ((0, clean), (1, leaky), (2, clean)):
        cells[at] = replace(cells[at], record={**cells[at].record, "leakage": leak, "known_classes": ["b"] * (at == 1)})
    rows = rows_of(cells)
    assert rows["coop"]["leakage"] == leaky
    assert rows["coop"]["known_classes"] == ["b"]
    assert rows["zero_shot"]["leakage"] is None


def test_the_leakage_of_a_mean_over_sets_says_in_which_set_it_was_found() -> None:
    leak = {"found": True, "allowed": True, "sentence": "3 copies."}
    cells = [cell for at in ("one", "two") for cell in three_lines(image_set=at)]
    cells = [replace(c, record={**c.record, "leakage": leak}) if c.image_set == "two" else c for c in cells]
    rows = experiment_rows(spec(images=["one", "two"]), cells, "zero_shot", SIMPLE)
    (mean,) = (row for row in rows if row["image_set"] is None and row["line"] == "coop")
    assert mean["leakage"]["sentence"] == "two: 3 copies."


def test_other_test_images_are_not_compared() -> None:
    cells = [*three_lines()[:3], cell("zero_shot", 1, drawn(0.5, 200, 99))]
    row = rows_of(cells)["coop"]
    assert row["difference"]["low"] is None
    assert "Not compared with zero_shot" in " ".join(row["notes"])


def test_base_and_novel_stand_together_and_a_trivial_half_enters_no_mean() -> None:
    def both(method: str, seed: int, novel_classes: tuple[str, ...] = ("c", "d")) -> Finished:
        base, novel = drawn(0.9, 80, seed), drawn(0.6, 60, 50 + seed)
        novel_answers = answers(novel, classes=("c", "d"))
        if len(novel_classes) == 1:
            alone = np.zeros(60, dtype=np.int64), np.ones((60, 1))
            novel_answers = Answers(novel_answers.images, *alone, novel_answers.groups, novel_classes)
        return cell(method, seed, base, parts={"base": answers(base), "novel": novel_answers})

    row = rows_of([both("coop", seed) for seed in (1, 2, 3)], protocol="base-to-novel")["coop"]
    b, v = row["parts"]["base"]["mean"], row["parts"]["novel"]["mean"]
    assert row["mean"] == pytest.approx(2 * b * v / (b + v))
    assert row["low"] < row["mean"] < row["high"]
    trivial = rows_of([both("coop", seed, ("c",)) for seed in (1, 2)], protocol="base-to-novel")["coop"]
    assert trivial["mean"] is None
    assert trivial["parts"]["novel"]["trivial"] is True
    assert any("enters no mean" in note for note in trivial["notes"])


def test_lines_with_both_halves_are_compared_by_the_harmonic_mean() -> None:
    def both(method: str, seed: int, base: float, novel: float | None, place: int) -> Finished:
        parts = {"base": answers(drawn(base, 200, seed + place))}
        if novel is not None:
            parts["novel"] = answers(drawn(novel, 160, 50 + seed + place), classes=("c", "d"))
        return cell(method, seed, drawn(base, 200, seed + place), parts=parts)

    cells = [both("coop", seed, 0.9, 0.8, 0) for seed in (1, 2, 3)]
    cells += [both("kgcoop", seed, 0.6, 0.55, 10) for seed in (1, 2, 3)]
    cells += [both("linear_probe", seed, 0.95, None, 20) for seed in (1, 2, 3)]
    cells += [both("zero_shot", 1, 0.5, 0.5, 30)]
    asked = {"protocol": "base-to-novel", "methods": ["coop", "kgcoop", "linear_probe"]}
    rows = rows_of(cells, **asked)
    assert rows["coop"]["difference"]["against"] == "zero_shot"
    assert rows["coop"]["difference"]["mean"] == pytest.approx(rows["coop"]["mean"] - rows["zero_shot"]["mean"])
    assert rows["coop"]["difference"]["low"] > 0
    assert (rows["coop"]["rank"], rows["linear_probe"]["rank"]) == ([1, 1], None)
    # no simple baseline can name new classes, so that nothing is called better
    assert {row["beats"] for row in rows.values()} == {None}
    matrix = comparison_matrix(spec(**asked), cells, "zero_shot")
    assert matrix is not None
    assert matrix.methods == ("coop", "kgcoop", "zero_shot")
    assert matrix.cell("coop", "kgcoop").counted == "images"
    over = [replace(each, image_set=at) for each in cells for at in ("one", "two")]
    mean = comparison_matrix(spec(images=["one", "two"], **asked), over, "zero_shot")
    assert mean is not None
    assert (mean.methods, mean.sets) == (("coop", "kgcoop", "zero_shot"), ("one", "two"))


def test_the_best_simple_baseline_of_a_loss_is_the_lowest() -> None:
    cells = [*three_lines(), *(cell("tip_adapter", seed, drawn(0.9, 400, 30 + seed)) for seed in (1, 2, 3))]
    asked = spec(metric="brier", methods=["coop", "linear_probe", "tip_adapter"])
    found = experiment_rows(asked, cells, "zero_shot", ("linear_probe", "tip_adapter"))
    rows = {row["line"]: row for row in found}
    assert rows["tip_adapter"]["mean"] < rows["linear_probe"]["mean"]
    assert (rows["tip_adapter"]["role"], rows["linear_probe"]["role"]) == ("best simple", None)


def test_the_base_half_is_shown_where_there_is_no_novel_one() -> None:
    base = {seed: drawn(0.9, 80, seed) for seed in (1, 2, 3)}
    cells = [cell("linear_probe", seed, base[seed], parts={"base": answers(base[seed])}) for seed in base]
    row = rows_of(cells, protocol="base-to-novel")["linear_probe"]
    assert row["mean"] is None
    assert set(row["parts"]) == {"base"}
    assert row["parts"]["base"]["mean"] == pytest.approx(np.mean([right.mean() for right in base.values()]))


def test_a_line_without_novel_half_leaves_the_others_their_means() -> None:
    def halves(method: str, image_set: str, seed: int) -> Finished:
        parts = {"base": answers(drawn(0.9, 80, seed))}
        if method != "linear_probe":
            parts["novel"] = answers(drawn(0.6, 60, 50 + seed), classes=("c", "d"))
        return cell(method, seed, drawn(0.9, 80, seed), parts=parts, image_set=image_set)

    cells = [halves(m, at, s) for m in ("coop", "linear_probe") for at in ("one", "two") for s in (1, 2, 3)]
    found = experiment_rows(spec(images=["one", "two"], protocol="base-to-novel"), cells, "zero_shot", SIMPLE)
    (mean,) = [row for row in found if row["image_set"] is None]
    assert mean["line"] == "coop"
    assert set(mean["parts"]) == {"base", "novel", "H1, mean of harmonic means", "H2, harmonic mean of the means"}
    low, high = (mean["parts"][name]["mean"] for name in list(mean["parts"]) if name.startswith("H"))
    assert low <= high


def test_the_mean_of_targets_stands_only_where_all_were_measured() -> None:
    def crossed(method: str, names: tuple[str, ...]) -> Finished:
        parts = {name: answers(drawn(0.8, 60, at)) for at, name in enumerate(("test", *names))}
        return cell(method, 1, drawn(0.8, 60, 0), parts=parts)

    cells = [crossed("coop", ("two", "three")), crossed("linear_probe", ("two",))]
    found = rows_of(cells, protocol="cross-set", target_images=["two", "three"])
    assert "mean of targets" in found["coop"]["parts"]
    assert set(found["linear_probe"]["parts"]) == {"test", "two"}


def test_the_mean_over_sets_takes_complete_sets_only_and_names_the_others() -> None:
    cells = [replace_set(each, name) for name in ("one", "two", "three") for each in three_lines(n=60)]
    cells = [each for each in cells if not (each.image_set == "three" and each.method == "coop" and each.seed == 3)]
    found = experiment_rows(spec(images=["one", "two", "three"]), cells, "zero_shot", SIMPLE)
    means = [row for row in found if row["image_set"] is None]
    assert [row["line"] for row in means] == ["coop", "linear_probe", "zero_shot"]
    assert means[0]["image_sets"] == ["one", "two"]
    assert any("three" in note for note in means[0]["notes"])
    assert "2 data sets" in means[0]["interval"]


@pytest.mark.parametrize(("n_sets", "words"), [(3, "5"), (6, "Friedman")])
def test_ranks_over_sets_are_tested_from_five_sets_on(n_sets: int, words: str) -> None:
    names = [f"set {at}" for at in range(n_sets)]
    cells = [replace_set(each, name) for name in names for each in three_lines(n=60)]
    found = experiment_rows(spec(images=names), cells, "zero_shot", SIMPLE)
    means = {row["line"]: row for row in found if row["image_set"] is None}
    assert [means[line]["mean_rank"] for line in ("coop", "linear_probe", "zero_shot")] == [1, 2, 3]
    assert any(words in note for note in means["coop"]["notes"])


def replace_set(each: Finished, name: str) -> Finished:
    return replace(each, image_set=name)


def test_the_matrix_is_of_one_set_or_of_the_mean_over_complete_ones() -> None:
    one = comparison_matrix(spec(), three_lines(), "zero_shot")
    assert one is not None
    assert one.methods == ("coop", "linear_probe", "zero_shot")
    assert one.cell("coop", "zero_shot").counted == "images"
    both = [*three_lines(), *three_lines(image_set="two"), *three_lines(image_set="three")[1:]]
    several = comparison_matrix(spec(images=["one", "two", "three"]), both, "zero_shot")
    assert several is not None
    assert several.sets == ("one", "two")
    assert several.cell("coop", "zero_shot").counted == "data sets"
    assert comparison_matrix(spec(), three_lines()[:3], "zero_shot") is None
    assert comparison_matrix(spec(), [], "zero_shot") is None


def test_answers_are_read_from_prediction_rows() -> None:
    rows = [
        {"file": "1.png", "label": "b", "group": "p", "probabilities": {"a": 0.25, "b": 0.75}},
        {"file": "2.png", "label": "a", "group": None, "probabilities": {"a": 0.5, "b": 0.5}},
    ]
    found = answers_of(rows)
    assert found.classes == ("a", "b")
    assert found.labels.tolist() == [1, 0]
    assert found.groups == ("p", None)
    assert found.probabilities[0].tolist() == [0.25, 0.75]
