"""A set of images under conditions: rows, going on, and what the summaries say."""

import json

import numpy as np
import pytest
from PIL import Image

from core.errors import InvalidOption
from core.explain.batch import BatchSettings, plan_batch, run_batch
from core.explain.batch_images import BatchImage
from core.explain.batch_summary import summarise
from core.explain.calibration import PatchNorms
from tests.core.explain.towers import head_classifier


@pytest.fixture
def images(tmp_path):
    """Twelve textured pictures with a marked corner; the last one is marked outside the centre square."""
    draw, made = np.random.default_rng(0), []
    for number in range(12):
        path, mask = tmp_path / f"{number}.png", np.zeros((40, 60), dtype=np.uint8)
        Image.fromarray(draw.integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(path)
        mask[20:32, 0 : 8 if number == 11 else 30] = 255
        if number < 11:
            mask[:, :12] = 0
        Image.fromarray(mask).save(tmp_path / f"{number}.mask.png")
        name = ("dark", "bright")[number % 2]
        made.append(BatchImage(f"{number}.png", path, name, None, tmp_path / f"{number}.mask.png"))
    return made


SETTINGS = BatchSettings(vectors=(2,), draws=2)


def test_each_image_and_condition_has_a_row_and_terms_that_sum(classifier, images):
    plan = plan_batch(classifier, SETTINGS, images[:4])
    rows = list(run_batch(classifier, images[4:], plan))
    json.dumps(rows, allow_nan=False)
    (left,) = [row for row in rows if row.get("left_out")]
    assert left["image"] == "11.png"
    assert left["left_out"].startswith("0% of its 96 marked pixels")
    kept = [row for row in rows if not row.get("left_out")]
    assert len(kept) == 7 * len(plan.planned)
    for row in kept:
        assert abs(row["units_term"] + row["within_term"] - row["difference"]) < 1e-12
        assert row["vectors_share"] + row["class_token_share"] + row["patches_share"] == pytest.approx(1)
        if row["condition"] == "C0":
            assert (row["difference"], row["log_odds_change"], row["answer_changed"]) == (0, 0, 0)
    assert {row["draws"] for row in kept if row["condition"] in ("C4", "C6r")} == {2}
    assert plan.counted.sum() == len(plan.counted) - 2


def test_a_run_goes_on_where_it_stopped_with_the_same_numbers(classifier, images):
    plan = plan_batch(classifier, SETTINGS, images[:4])
    whole = list(run_batch(classifier, images[4:], plan))
    done = {(row["image"], row["key"]) for row in whole[:9]} | {("11.png", "")}
    rest = list(run_batch(classifier, images[4:], plan, done=done))
    assert [(r["image"], r["key"]) for r in rest] == [
        (r["image"], r["key"]) for r in whole if (r["image"], r["key"]) not in done
    ]
    by_name = {(row["image"], row["key"]): row for row in whole}
    for row in rest:
        assert row["lesion_share"] == pytest.approx(by_name[row["image"], row["key"]]["lesion_share"], rel=1e-5)


def test_an_interrupted_step_ends_the_work(classifier, images):
    plan, passes = plan_batch(classifier, SETTINGS, images[:4]), []

    def step():
        passes.append(1)
        if len(passes) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        list(run_batch(classifier, images, plan, step))


def test_without_calibration_images_what_needs_them_is_told_absent(classifier, images):
    plan = plan_batch(classifier, SETTINGS)
    assert {"C3:0", "C4:2", "C5:2"} <= set(plan.absent)
    assert "outside the part that is tested" in plan.absent["C4:2"]
    (row,) = [s for s in summarise([], SETTINGS, plan.absent) if s["key"] == "C4:2"]
    assert (row["exists"], row["n"], row["difference"]) == (False, 0, None)


def test_a_set_without_masks_has_no_lesion_measures_and_says_so(classifier, images):
    bare = [BatchImage(i.name, i.path, i.class_name) for i in images]
    plan = plan_batch(classifier, SETTINGS, bare[:4])
    found = summarise(run_batch(classifier, bare[4:], plan), SETTINGS, plan.absent)
    inserted = next(s for s in found if s["key"] == "C1:2")
    assert (inserted["n"], inserted["n_images"], inserted["lesion_share"], inserted["hit_rate"]) == (0, 8, None, None)
    assert 0 < inserted["vectors_share"] < 1
    assert inserted["notes"] == ["No image has a lesion mask in view, so nothing is said of lesions."]
    assert "cannot be said without lesion masks" in inserted["sentence"]


def test_summaries_answer_in_a_sentence_with_the_margin(classifier, images):
    plan = plan_batch(classifier, SETTINGS, images[:4])
    found = summarise(run_batch(classifier, images[4:], plan), SETTINGS, plan.absent)
    inserted = next(s for s in found if s["key"] == "C1:2")
    assert inserted["left_out"] == 1
    assert [pair["condition"] for pair in inserted["against"]] == ["C4", "C5"]
    assert all(pair["p_holm"] >= pair["p"] for pair in inserted["against"])
    assert "inserting 2 zero vectors changes the lesion's share" in inserted["sentence"]
    assert f"{inserted['difference']:+.4f}" in inserted["sentence"]
    assert "margin of 0.01 set beforehand" in inserted["sentence"]


def test_an_own_condition_exists_for_models_with_vectors(backbone, images):
    settings = BatchSettings(vectors=(2,), conditions=("own", "C2"))
    plan = plan_batch(head_classifier(backbone, vectors=2), settings)
    rows = list(run_batch(head_classifier(backbone, vectors=2), images[:3], plan))
    own, zeros = ([r["lesion_share"] for r in rows if r["condition"] == id] for id in ("own", "C2"))
    assert own == pytest.approx(zeros)


@pytest.mark.parametrize("vectors", [(), (-1,), (17,)])
def test_impossible_numbers_are_refused(classifier, vectors):
    with pytest.raises(InvalidOption):
        plan_batch(classifier, BatchSettings(vectors=vectors))


def test_outlier_patches_are_found_by_median_and_spread():
    norms = np.random.default_rng(0).normal(10, 1, (3, 20, 196))
    assert {row["outlier_patches"] for row in PatchNorms(norms).rows()} == {0}
    norms[2, :5, 7] = 100
    late = PatchNorms(norms).rows()[2]
    assert late["outlier_patches"] == pytest.approx(5 / (20 * 196))
    assert late["outlier_images"] == 0.25
    assert late["threshold"] == pytest.approx(25, abs=0.1)
