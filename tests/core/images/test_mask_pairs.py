"""Masks by every spelling, and classes that are only called like masks."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from core.images.masks import find_masks, mask_path
from core.images.read import read_image_set, read_uploaded_files
from tests.core.images import builders as b

STEMS = ("a_1", "b_2", "c_3")
FOLDERS = ("mask", "masks", "Masks", "ground_truth", "GroundTruth", "GT", "gts", "segmentation", "Segmentations",
           "annotations", "lung masks", "labels")  # fmt: skip
FILES = ("{}_mask", "{}_mask_1", "{}_Mask", "{}-mask", "{}Mask", "{}.mask", "{} mask", "{}_segmentation",
         "{}_Segmentation", "{}_seg", "{}_anno", "{}_annotation", "{}_gt", "{}_GT", "{}_groundtruth", "{}_label",
         "{}_lesion", "{}_lung_mask", "mask_{}", "Mask_{}", "seg_{}", "gt_{}")  # fmt: skip
# How a mask folder can lie beside the images "x/<stem>.jpg" and "y/<stem>.jpg".
PLACES = {
    "same path below it": ("{mask}/{c}/{stem}.png", "{c}/{stem}.jpg"),
    "flat": ("{mask}/{stem}.png", "{c}/{stem}.jpg"),
    "within the class": ("{c}/{mask}/{stem}.png", "{c}/{stem}.jpg"),
    "beside images": ("{c}/{mask}/{stem}.png", "{c}/images/{stem}.jpg"),
    "beside parts": ("train/{mask}/{c}/{stem}.png", "train/images/{c}/{stem}.jpg"),
    "named twice": ("{mask}/{stem}_segmentation.png", "{c}/{stem}.jpg"),
}


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("place", PLACES)
def test_mask_folder_pairs_wherever_it_lies(place: str, folder: str) -> None:
    mask, image = PLACES[place]
    both = [(c, f"{c}{stem}") for c in "xy" for stem in STEMS]
    expected = {image.format(c=c, stem=s): [mask.format(mask=folder, c=c, stem=s)] for c, s in both}
    found = find_masks([*expected, *(masks[0] for masks in expected.values())])
    assert (found.masks, found.lonely, found.genuine) == (expected, [], [])


@pytest.mark.parametrize("spelling", FILES)
def test_mask_beside_its_image_pairs_by_its_name(spelling: str) -> None:
    names = {f"x/{stem}.jpg": [f"x/{spelling.format(stem)}.png"] for stem in STEMS}
    found = find_masks([*names, *(masks[0] for masks in names.values())])
    assert (found.masks, found.lonely) == (names, [])


def test_second_mask_counts_and_a_mask_without_image_is_lonely() -> None:
    found = find_masks(["c/c (1).png", "c/c (1)_mask.png", "c/c (1)_mask_1.png", "c/c (2)_mask.png"])
    assert found.masks == {"c/c (1).png": ["c/c (1)_mask.png", "c/c (1)_mask_1.png"]}
    assert found.lonely == ["c/c (2)_mask.png"]


@pytest.mark.parametrize(
    "names",
    [
        ["mask/m0.png", "mask/m1.png", "other/0.png", "other/1.png"],
        ["mask/0.png", "no mask/0.png"],
        ["with_mask/0.png", "without_mask/0.png"],
        ["masks/0.png", "benign/0.png", "malignant/0.png"],
        ["lesion/lesion_1.png", "normal/1.png"],
        ["segmented neutrophil/1.png", "band/1.png"],
        ["label_0/0.png", "label_1/0.png"],
    ],
)
def test_class_that_is_called_like_a_mask_stays_a_class(names: list[str]) -> None:
    found = find_masks(names)
    assert (found.masks, found.lonely) == ({}, [])


def test_genuine_class_called_mask_is_told() -> None:
    files = {f"{c}/{c[0]}{n}.png": b.encoded(n + 10 * k) for k, c in enumerate(("mask", "other")) for n in range(4)}
    image_set = read_uploaded_files([(name, io.BytesIO(content)) for name, content in files.items()])
    assert image_set.classes == ("mask", "other")
    assert image_set.notes[0] == (
        "The folder 'mask' is read as a class: its pictures pair with no image, so they are no masks."
    )


@pytest.mark.parametrize("stored", [False, True])
def test_masks_go_with_their_images_in_place_and_in_a_store(stored: bool, tmp_path: Path) -> None:
    files = b.class_files(4) | {f"GT/{c}/{n}_gt.png": b.encoded(n) for c in ("benign", "malignant") for n in range(4)}
    folder = b.write_folder(tmp_path / "set", files)
    image_set = read_image_set(folder, store_dir=tmp_path / "store" if stored else None)
    assert len(image_set.images) == 8
    masks = {image.name: mask_path(image) for image in image_set.images}
    assert all(path is not None and path.is_file() for path in masks.values())
    if not stored:
        assert masks["benign/1.png"] == folder / "GT" / "benign" / "1_gt.png"


def test_lonely_mask_is_refused_by_name_and_never_trained_on() -> None:
    files = b.class_files(4) | {"benign/0_mask.png": b.encoded(1), "benign/9_mask.png": b.encoded(2)}
    image_set = read_uploaded_files([(name, io.BytesIO(content)) for name, content in files.items()])
    assert [(p.file, p.problem) for p in image_set.problems] == [("benign/9_mask.png", "unpaired_mask")]
    assert len(image_set.images) == 8


def test_signs_in_a_class_name_make_no_folder_of_masks() -> None:
    names = [f"{folder}/{n}.png" for folder in ("left eye", "&lt;b&gt; & co") for n in range(3)]
    assert find_masks(names).masks == {}
    paired = find_masks([f"{folder}/{n}.png" for folder in ("left eye", "left eye gt") for n in range(3)])
    assert paired.names == {f"left eye gt/{n}.png" for n in range(3)}
