"""The whole explanation of one image."""

import json

import numpy as np
import pytest
from PIL import Image

from core.backbones.contract import Preprocessing
from core.errors import InvalidInput, NotFound
from core.explain.explain import DISCLAIMER, explain_image
from core.explain.view import field_of_view
from tests.core.explain.towers import head_classifier, spot_picture

FILES = ["original", "grad_cam", "attention", "attention_without", "attention_with", "difference"]


def test_every_map_is_written_and_described(backbone, picture, tmp_path):
    found = explain_image(head_classifier(backbone, vectors=2), picture, out_dir=tmp_path, image_name="scan.png")
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert [entry["kind"] for entry in told["maps"]] == FILES
    for entry in told["maps"]:
        with Image.open(tmp_path / entry["file"]) as written:
            assert written.size == (448, 448)
        assert entry["alt"].endswith(".")
    assert told["image"] == "scan.png"
    assert told["class"] == told["predicted"]
    assert sum(told["probabilities"].values()) == pytest.approx(1)
    assert told["disclaimer"] == DISCLAIMER
    assert len(told["attention"]["layers"]) == backbone.image_layers
    assert told["attention"]["own_vectors"] is True
    assert told["notes"] == ["Zero vectors replaced 2 patches in the first row; they stay grey."]
    assert "Its 2 zero vectors take" in told["text"]
    assert told["region"] is None


def test_attention_maps_share_one_scale_and_the_difference_is_symmetric(classifier, picture, tmp_path):
    found = explain_image(classifier, picture, out_dir=tmp_path)
    maps = {entry.kind: entry for entry in found.maps}
    assert maps["attention"].scale == maps["attention_with"].scale == maps["attention_without"].scale
    assert maps["difference"].scale[0] == -maps["difference"].scale[1]
    assert (maps["difference"].colour_map, maps["attention"].colour_map) == ("vik", "cividis")
    with np.load(tmp_path / "arrays.npz") as arrays:
        assert np.array_equal(
            arrays["difference"], arrays["attention_with"] - arrays["attention_without"], equal_nan=True
        )
        assert set(FILES[1:]) <= set(arrays)


def test_a_model_without_zero_vectors_names_the_added_ones_as_what_if(classifier, picture):
    found = explain_image(classifier, picture)
    titles = {entry.kind: entry.title for entry in found.maps}
    assert titles["attention_with"] == "Attention with 4 zero vectors added (what if)"
    assert "would take" in found.text
    assert np.array_equal(found.arrays["attention"], found.arrays["attention_without"])


def test_without_a_folder_nothing_is_written(classifier, picture, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert {entry.file for entry in explain_image(classifier, picture).maps} == {None}
    assert list(tmp_path.iterdir()) == []


def test_another_class_can_be_explained(classifier, picture):
    other = next(c for c in classifier.classes if c != explain_image(classifier, picture).predicted)
    found = explain_image(classifier, picture, other)
    assert found.class_name == other
    assert found.predicted != other
    assert found.text.startswith(f"The model gives '{other}' a probability of")


def test_probabilities_are_those_of_classification(classifier, picture):
    expected = classifier.probabilities([picture])[0].tolist()
    assert list(explain_image(classifier, picture).probabilities.values()) == expected


def test_an_unknown_class_is_refused(classifier, picture):
    with pytest.raises(NotFound, match="This model knows the classes dark, bright; found 'purple'"):
        explain_image(classifier, picture, "purple")


def test_a_planted_patch_is_found_and_measured(spot_classifier):
    mask = Image.new("L", (64, 64))
    mask.paste(255, (16, 40, 24, 48))
    found = explain_image(spot_classifier, spot_picture(5, 2), mask=mask)
    assert found.predicted == "bright"
    shares = found.region["maps"]
    assert shares["grad_cam"]["map_share"] > 0.8
    assert shares["grad_cam"]["enrichment"] > 50
    assert shares["attention"]["enrichment"] == pytest.approx(1)  # its attention is uniform
    assert "evidence is strongest in the lower left" in found.text
    assert any("without this method's own changes" in note for note in found.notes)


def test_a_mask_of_another_size_is_refused(classifier, picture):
    with pytest.raises(InvalidInput, match=r"60 x 40 px; found 8 x 8 px"):
        explain_image(classifier, picture, mask=Image.new("L", (8, 8), 255))


def test_a_mask_without_a_mark_or_outside_the_view_is_told(classifier, picture):
    empty = explain_image(classifier, picture, mask=Image.new("L", picture.size))
    assert empty.region is None
    assert any("The mask marks no pixel" in note for note in empty.notes)
    mask = Image.new("L", picture.size)
    mask.paste(255, (0, 0, 8, 8))
    outside = explain_image(classifier, picture, mask=mask)
    assert outside.region is None
    assert any("None of the 64 marked pixels lies in the part of the image" in note for note in outside.notes)


def test_a_region_says_what_of_it_the_model_sees_in_original_pixels(classifier, picture):
    mask = Image.new("L", picture.size)
    mask.paste(255, (0, 0, 20, 10))
    found = explain_image(classifier, picture, mask=mask)
    told = found.region["mask"]
    assert (told["marked_px"], told["seen_px"], told["in_view"]) == (200, 100, 0.5)
    assert told["crop_box"] == [10, 0, 50, 40]
    assert any("100 of the 200 marked pixels (50%) lie outside" in note for note in found.notes)


def test_a_backbone_without_attention_answers_with_a_sentence(spot_classifier, monkeypatch):
    def nothing(*_):
        raise NotImplementedError("its tower has no attention")

    monkeypatch.setattr(spot_classifier.backbone, "image_attention", nothing, raising=False)
    found = explain_image(spot_classifier, spot_picture())
    assert found.maps == []
    assert found.attention["note"] == (
        "The backbone 'bright-spot' has no attention to show: its tower has no attention"
    )
    assert found.predicted == "bright"


def test_the_view_is_the_centre_square_unless_the_recipe_squashes():
    wide = Image.new("RGB", (30, 10))
    wide.paste((255, 255, 255), (10, 0, 20, 10))
    crop = Preprocessing(10, (0, 0, 0), (1, 1, 1), resize="shortest")
    squash = Preprocessing(10, (0, 0, 0), (1, 1, 1), resize="squash")
    assert np.asarray(field_of_view(wide, crop, 10)).min() == 255
    assert np.asarray(field_of_view(wide, squash, 10)).mean() / 255 == pytest.approx(0.33, abs=0.08)
