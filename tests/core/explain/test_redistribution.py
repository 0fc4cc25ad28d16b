"""Attention with and without zero vectors, and what other numbers of them would do."""

import numpy as np
import pytest
import torch

from core.explain.attention import layer_shares
from core.explain.redistribution import COUNTS, follows_plain_path, redistribution, what_if
from core.explain.region import box_mask
from tests.core.explain.towers import head_classifier, spot_picture


def test_difference_is_with_minus_without_on_one_scale(backbone, pixels):
    found = redistribution(head_classifier(backbone, vectors=3), pixels)
    assert found.own
    assert found.zero
    assert (found.n, found.mode) == (3, "replace")
    assert np.array_equal(found.difference, found.with_vectors - found.without, equal_nan=True)
    assert np.isnan(found.difference).sum() == 3
    low, high = found.difference_scale
    assert low == -high
    assert high == pytest.approx(np.nanmax(np.abs(found.difference)))
    assert found.scale[0] == 0
    assert found.scale[1] <= max(np.nanmax(found.without), np.nanmax(found.with_vectors))


def test_inserted_vectors_lose_no_patch(backbone, pixels):
    found = redistribution(head_classifier(backbone, vectors=3, mode="insert"), pixels)
    assert np.isfinite(found.difference).all()


def test_a_model_without_vectors_gets_four_to_see_what_they_would_do(backbone, pixels):
    found = redistribution(head_classifier(backbone), pixels)
    assert not found.own
    assert (found.n, found.mode) == (4, "replace")
    assert layer_shares(found.attention_without)[0]["zero_vectors"] == 0


def test_what_if_runs_the_tower_for_each_number_and_mode(backbone, pixels):
    classifier = head_classifier(backbone, vectors=4)
    rows = what_if(classifier, pixels)
    patches = backbone.patch_grid[0] * backbone.patch_grid[1]
    counts = [k for k in COUNTS if k < patches / 2]
    assert [(row["mode"], row["zero_vectors"]) for row in rows] == [
        (m, k) for m in ("replace", "insert") for k in counts
    ]
    for row in rows:
        assert len(row["layers"]) == backbone.image_layers
        assert row["zero_share"] + row["class_token_share"] + row["patch_share"] == pytest.approx(1, abs=1e-5)
        assert (row["zero_share"] > 0) == (row["zero_vectors"] > 0)
        assert row["class"] in classifier.classes


def test_what_if_with_the_models_own_vectors_gives_its_own_answer(backbone, pixels):
    classifier = head_classifier(backbone, vectors=4)
    own = next(r for r in what_if(classifier, pixels) if (r["mode"], r["zero_vectors"]) == ("replace", 4))
    with torch.inference_mode():
        expected = (classifier.logits_from_pixels(pixels) / classifier.temperature).softmax(-1)[0]
    assert own["top_probability"] == pytest.approx(float(expected.max()), rel=1e-4)
    assert own["class"] == classifier.classes[int(expected.argmax())]
    assert own["layers"] == layer_shares(backbone.image_attention(pixels, classifier.visual_tokens()))


def test_what_if_ends_before_its_next_pass_and_is_repeatable(backbone, pixels):
    classifier, passes = head_classifier(backbone), []

    def step():
        passes.append(1)
        if len(passes) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        what_if(classifier, pixels, step=step)
    assert what_if(classifier, pixels) == what_if(classifier, pixels)


def test_what_if_measures_a_marked_region(backbone, pixels):
    region = np.ones(pixels.shape[-2:], dtype=bool)
    for row in what_if(head_classifier(backbone), pixels, region):
        assert row["lesion_share"] == pytest.approx(1)


def test_a_method_with_an_image_path_of_its_own_has_no_what_if_probability(spot_classifier):
    assert not follows_plain_path(spot_classifier)
    pixels = spot_classifier.backbone.preprocess(spot_picture())[None]
    rows = what_if(spot_classifier, pixels, box_mask((0, 0, 32, 64), 64))
    assert {row["top_probability"] for row in rows} == {None}
    # Attention is uniform by construction: k of 65 + k tokens inserted, k of 65 replaced.
    by_key = {(row["mode"], row["zero_vectors"]): row for row in rows}
    assert by_key["insert", 8]["zero_share"] == pytest.approx(8 / 73)
    assert by_key["replace", 8]["zero_share"] == pytest.approx(8 / 65)
    assert by_key["insert", 8]["entropy"] == pytest.approx(np.log(73))
    assert by_key["insert", 8]["lesion_share"] == pytest.approx(0.5)
