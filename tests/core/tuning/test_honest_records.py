"""What a run's numbers are worth stands in its record, its card and its notes, whether anybody asks or not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import Leakage
from core.images.image_set import ImageSet
from core.tuning.run_notes import known_classes
from tests.builders import tiny_backbone
from tests.core.tuning.test_every_method import build, quick_train


def with_copies(disc_set: ImageSet, folder: Path, count: int) -> ImageSet:
    """The set with copies of its first training images in the test part, and so many patients on both sides."""
    copies = [
        replace(image, part="test", name=f"copy-{at}.png") for at, image in enumerate(disc_set.part("train")[:count])
    ]
    return replace(disc_set, images=(*disc_set.images, *copies))


def test_leakage_that_was_allowed_is_counted_and_shown(disc_set: ImageSet, tmp_path: Path) -> None:
    leaky = with_copies(disc_set, tmp_path, 5)
    with pytest.raises(Leakage):
        quick_train(leaky, "linear_probe", tmp_path)
    found = quick_train(leaky, "linear_probe", tmp_path, allow_leakage=True)
    leakage = found.record["leakage"]
    assert (leakage["allowed"], leakage["found"]) == (True, True)
    assert leakage["exact_copies"] | {"by_drawn": None} == {"test_images": 5, "of": 23, "by_drawn": None}
    assert 0 < leakage["exact_copies"]["by_drawn"] <= 5
    assert leakage["sentence"].startswith("Leakage was allowed: 5 of 23 test images are exact copies of images")
    assert leakage["sentence"] in found.record["notes"]
    folder = Path(found.record["model"])
    assert json.loads((folder / "adapter_config.json").read_text("utf-8"))["leakage"] == leakage
    card = (folder / "README.md").read_text("utf-8")
    assert leakage["sentence"] in card
    assert (
        f"- exact copies: 5 of 23 test images ({leakage['exact_copies']['by_drawn']} by images this run used)" in card
    )


def test_a_clean_run_says_so_too(disc_set: ImageSet, tmp_path: Path) -> None:
    record = quick_train(disc_set, "zero_shot", tmp_path).record
    assert (record["leakage"]["allowed"], record["leakage"]["found"]) == (False, False)
    assert record["leakage"]["exact_copies"] == {"test_images": 0, "of": 18, "by_drawn": 0}
    card = (Path(record["model"]) / "README.md").read_text("utf-8")
    assert record["leakage"]["sentence"] in card
    assert "- of a group (patient) on both sides: not known for any test image" in card
    assert "Learned from labelled images by the backbone's text side: none of these classes." in card


def test_a_patient_on_both_sides_is_leakage(disc_set: ImageSet, tmp_path: Path) -> None:
    torn = replace(disc_set, images=tuple(replace(i, group=i.name[-5]) for i in disc_set.images))
    with pytest.raises(Leakage):
        quick_train(torn, "linear_probe", tmp_path)
    leakage = quick_train(torn, "linear_probe", tmp_path, allow_leakage=True).record["leakage"]
    assert leakage["shared_groups"]["test_images"] == leakage["shared_groups"]["of"] == 18


def test_calibration_on_images_that_chose_the_model_says_so(disc_set: ImageSet, tmp_path: Path) -> None:
    record = quick_train(disc_set, "tip_adapter", tmp_path).record
    found = record["calibration"]
    assert (found["n"], found["also_chose"]) == (9, ["weight and sharpness of the cache"])
    assert found["note"] == "Calibrated on 9 validation images only: take probabilities as rough."
    said = (
        "The 9 validation images that calibrated the probabilities also chose weight and sharpness of the cache: new "
        "images will look somewhat less well calibrated."
    )
    card = (Path(record["model"]) / "README.md").read_text("utf-8")
    for note in (said, found["note"]):
        assert note in record["notes"]
        assert note in card
    for name in ("coop", "zero_shot"):
        record = quick_train(disc_set, name, tmp_path).record
        assert record["calibration"]["also_chose"] == []
        assert not any("also chose" in note for note in record["notes"])


def test_intervals_of_the_model_stand_in_record_and_card(disc_set: ImageSet, tmp_path: Path) -> None:
    record = quick_train(disc_set, "linear_probe", tmp_path).record
    own = record["intervals"]["accuracy"]
    assert own["low"] < record["metrics"]["accuracy"] <= own["high"]
    assert own["interval"] == "95% Wilson over 18 images"
    card = (Path(record["model"]) / "README.md").read_text("utf-8")
    assert f"| {own['low']:.4f} to {own['high']:.4f} | 95% Wilson over 18 images |" in card


@pytest.mark.parametrize("spelled", ["glioma tumor", "Glioma_Tumor", " GLIOMA-tumor"])
def test_classes_the_backbone_knows_are_found_however_they_are_spelled(spelled: str) -> None:
    tower = tiny_backbone("clip-causal")
    known = tower.known_classes
    tower.known_classes = ("glioma tumor", "normal brain")
    try:
        assert known_classes(build("coop", towers="clip-causal"), [spelled, "cyst"]) == [spelled]
        # where no text is read, nothing of it is known
        assert known_classes(build("image_probe", towers="clip-causal"), [spelled, "cyst"]) == []
    finally:
        tower.known_classes = known


def test_an_older_card_without_these_counts_is_still_loaded(disc_set: ImageSet, tmp_path: Path) -> None:
    from core import load_model

    folder = Path(quick_train(disc_set, "linear_probe", tmp_path).record["model"])
    old = Path(shutil.copytree(folder, tmp_path / "old"))
    card = json.loads((old / "adapter_config.json").read_text("utf-8"))
    for name in ("leakage", "known_classes", "intervals", "calibration"):
        del card[name]
    (old / "adapter_config.json").write_text(json.dumps(card), "utf-8")
    assert load_model(old, backbone=tiny_backbone()).classes == disc_set.classes
