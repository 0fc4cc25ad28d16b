"""The whole explanation of one image."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from core.backbones.contract import Preprocessing
from core.errors import InvalidInput, NotFound
from core.explain.explain import DISCLAIMER, explain_first, explain_further, explain_image
from core.explain.view import field_of_view
from core.tuning.classifier import Classifier
from tests.builders import embedded_backbone
from tests.core.explain.towers import ClosedBackbone, Head, SpotHead, head_classifier, spot_picture

ATTENTION = ["attention", "attention_without", "attention_with", "difference"]
FILES = ["original", "relevance", "relevance_class_1", "relevance_class_2", "grad_cam", *ATTENTION]
"""In the order they are shown; of the class that is explained there is no second map, and empty ones are left out."""


def test_every_map_is_written_and_described(backbone, picture, tmp_path):
    found = explain_image(head_classifier(backbone, vectors=2), picture, out_dir=tmp_path, image_name="scan.png")
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    kinds = [entry["kind"] for entry in told["maps"]]
    assert kinds == [kind for kind in FILES if kind in kinds]
    assert kinds[-4:] == ATTENTION
    unpainted = {"relevance", "grad_cam"} - set(kinds)
    assert len([note for note in told["notes"] if "no map is painted" in note]) >= len(unpainted)
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
    assert "Zero vectors replaced 2 patches in the first row; they stay grey." in told["notes"]
    assert (told["pending"], told["explainer"]) == ([], "relevance")
    assert told["explained_probability"] == pytest.approx(max(told["probabilities"].values()), abs=1e-4)
    assert "Its 2 zero vectors take" in told["text"]
    assert told["region"] is None
    assert [sign["name"] for sign in told["signatures"]] == ["border", "burnt_in_text", "collapse", "modality"]


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
        assert {"relevance", "grad_cam", *ATTENTION} <= set(arrays)
        assert arrays["crop_box"].tolist() == [10, 0, 50, 40]


@pytest.mark.parametrize("vectors", [0, 2])
def test_all_layers_and_heads_are_written_and_give_the_shown_maps(backbone, picture, tmp_path, vectors):
    explain_image(head_classifier(backbone, vectors=vectors), picture, out_dir=tmp_path)
    with np.load(tmp_path / "arrays.npz") as arrays:
        for side in ("with", "without"):
            heads = arrays[f"heads_{side}"]
            assert heads.shape[0] == backbone.image_layers
            assert heads.shape[2:] == backbone.patch_grid
            assert heads[-4:].mean(axis=(0, 1)) == pytest.approx(arrays[f"attention_{side}"], abs=1e-6, nan_ok=True)
            whole = np.nansum(heads, axis=(2, 3))
            drawn = arrays[f"heads_{side}_vectors"] + arrays[f"heads_{side}_class_token"]
            assert whole + drawn == pytest.approx(np.ones_like(whole), abs=1e-5)


def test_shares_leave_out_what_vectors_draw_and_both_sides_count_the_same_patches(backbone, picture):
    mask = Image.new("L", picture.size)
    mask.paste(255, (12, 10, 40, 30))
    found = explain_image(head_classifier(backbone, vectors=2), picture, mask=mask)
    shares = found.region["maps"]
    without, changed = shares["attention_without"], shares["attention_with"]
    assert without["area_share"] == changed["area_share"]
    heads = found.arrays
    drawn = (heads["heads_with_vectors"] + heads["heads_with_class_token"])[-4:].mean()
    assert changed["raw_inside"] + changed["raw_outside"] + drawn == pytest.approx(1, abs=1e-5)
    assert changed["map_share"] == pytest.approx(
        changed["raw_inside"] / (changed["raw_inside"] + changed["raw_outside"])
    )
    assert changed["map_share"] + changed["outside_share"] == pytest.approx(1)
    if "relevance" in shares:
        assert shares["relevance"]["raw_inside"] is None


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


def test_every_map_that_is_shown_is_tested(classifier, picture):
    found = explain_image(classifier, picture, true_class="dark")
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    shown = {entry["kind"] for entry in told["maps"]} - {
        "original",
        "attention_without",
        "attention_with",
        "difference",
    }
    tested = [*told["trust"]["maps"], *told["trust"]["others"]]
    assert shown <= {row["kind"] for row in tested}
    assert [row["kind"] for row in told["trust"]["maps"]] == ["relevance", "attention"]
    assert told["trust"]["verdict"] == told["trust"]["maps"][0]["sentence"]
    assert "follows" not in {row["state"] for row in tested}, "how good this model is was never measured"
    assert (told["trust"]["true_class"], told["trust"]["right"]) == ("dark", found.predicted == "dark")


def test_an_unknown_class_is_refused(classifier, picture):
    with pytest.raises(NotFound, match="This model knows the classes dark, bright; found 'purple'"):
        explain_image(classifier, picture, "purple")


@pytest.fixture(scope="module")
def square_classifier():
    """The embedded tower with a head along what a bright square changes in its features."""
    backbone = embedded_backbone()
    features = backbone.encode_images_frozen(torch.stack([backbone.preprocess(square(k)) for k in (None, 2, 9)]))
    plain, *lit = functional.normalize(features, dim=-1)
    direction = functional.normalize(torch.stack(lit).mean(dim=0) - plain, dim=-1)
    return Classifier(Head(backbone, torch.stack([-direction, direction])), {"temperature": 1.0}, Path("square"))


def square(row: int | None, column: int = 4) -> Image.Image:
    """Dim texture, and at a cell of the 14 x 14 grid a bright square of 2 x 2 cells."""
    values = np.random.default_rng(0).integers(0, 90, size=(224, 224), dtype=np.uint8)
    if row is not None:
        values[16 * row : 16 * row + 32, 16 * column : 16 * column + 32] = 250
    return Image.fromarray(values).convert("RGB")


def test_a_planted_square_is_found_and_measured(square_classifier, tmp_path):
    mask = Image.new("L", (224, 224))
    mask.paste(255, (64, 144, 96, 176))
    found = explain_first(square_classifier, square(9), "bright", tmp_path, mask=mask)
    shares = found.region["maps"]
    assert shares["relevance"]["pointing_hit"]
    assert shares["relevance"]["enrichment"] > 3, "relevance has a low positive floor everywhere"
    assert "evidence is strongest in the lower left" in found.text
    scales = {entry.kind: entry.scale for entry in found.maps if entry.kind.startswith("relevance")}
    assert set(scales.values()) == {(0.0, np.nanmax(found.arrays["relevance"]))}


def test_next_to_no_evidence_is_told_and_never_painted(backbone, picture):
    head = Head(backbone, torch.ones(2, backbone.joint_width) * 1e-9)
    faint = Classifier(head, {"temperature": 1e6}, Path("faint"))
    found = explain_image(faint, picture, "bright")
    assert not {"relevance", "grad_cam"} & {entry.kind for entry in found.maps}
    assert [note for note in found.notes if note.startswith("Gradient-weighted relevance:") and "'bright'" in note]
    assert "no patch speaks for 'bright'" in found.text


def test_the_title_of_an_attention_map_says_whose_it_is(backbone, picture):
    titles = [
        next(entry.title for entry in explain_image(head_classifier(backbone, vectors=n), picture).maps
             if entry.kind == "attention")
        for n in (0, 2)
    ]  # fmt: skip
    assert titles == [
        "Attention of the frozen tower, the same for every class",
        "Attention of the frozen tower with its zero vectors, the same for every class",
    ]


def test_the_first_answer_leaves_parts_pending_and_paints_nothing(classifier, picture, tmp_path):
    found = explain_first(classifier, picture, None, tmp_path)
    assert found.pending == ("trust", "what_if")
    assert (found.trust, found.what_if) == ({}, [])
    assert {path.name for path in tmp_path.iterdir()} == {"original.png", "arrays.npz"}
    whole = explain_image(classifier, picture)
    for part in found.pending:
        assert explain_further(classifier, picture, found.class_name, part) == getattr(whole, part)


def test_a_mask_of_another_size_is_refused(classifier, picture):
    with pytest.raises(InvalidInput, match=r"60 x 40 px; found 8 x 8 px"):
        explain_image(classifier, picture, mask=Image.new("L", (8, 8), 255))


def test_a_mask_without_a_mark_or_outside_the_view_is_told(classifier, picture):
    empty = explain_image(classifier, picture, mask=Image.new("L", picture.size))
    assert empty.region["maps"] == {}
    assert "The mask marks no pixel" in empty.region["note"]
    mask = Image.new("L", picture.size)
    mask.paste(255, (0, 0, 8, 8))
    outside = explain_image(classifier, picture, mask=mask)
    assert outside.region["maps"] == {}
    assert "None of the 64 marked pixels lies in the part of the image" in outside.region["note"]


def test_a_region_says_what_of_it_the_model_sees_in_original_pixels(classifier, picture):
    mask = Image.new("L", picture.size)
    mask.paste(255, (0, 0, 20, 10))
    found = explain_image(classifier, picture, mask=mask)
    told = found.region["mask"]
    assert (told["marked_px"], told["seen_px"], told["in_view"]) == (200, 100, 0.5)
    assert told["crop_box"] == [10, 0, 50, 40]
    assert "100 of the 200 marked pixels (50%) lie outside" in found.region["note"]
    assert found.frame["crop_box"] == [10, 0, 50, 40]


def test_a_backbone_without_attention_answers_with_a_sentence():
    found = explain_image(Classifier(SpotHead(ClosedBackbone()), {"temperature": 1.0}, Path("spot")), spot_picture())
    assert found.maps == []
    assert found.attention["note"].startswith("There are no maps. ")
    assert (found.predicted, found.trust, found.what_if) == ("bright", {}, [])


def test_the_view_is_the_centre_square_unless_the_recipe_squashes():
    wide = Image.new("RGB", (30, 10))
    wide.paste((255, 255, 255), (10, 0, 20, 10))
    crop = Preprocessing(10, (0, 0, 0), (1, 1, 1), resize="shortest")
    squash = Preprocessing(10, (0, 0, 0), (1, 1, 1), resize="squash")
    assert np.asarray(field_of_view(wide, crop, 10)).min() == 255
    assert np.asarray(field_of_view(wide, squash, 10)).mean() / 255 == pytest.approx(0.33, abs=0.08)
