"""Every test image that training has seen is counted, by kind, whoever allowed it."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.images.image_set import ImageSet
from core.images.labelled_image import LabelledImage, Part
from core.images.leak_counts import LeakCount, LeakSearch, count_leakage
from core.images.read import read_image_set
from core.images.signature import Signature
from tests.core.images import builders as b
from tests.core.images.sets import made_up, note_compared

NONE = LeakCount(0, 8, 0)


def scene(seed: int, form: str = "PNG") -> bytes:
    """A picture with structure, as hashes of noise say little."""
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 6), dtype=np.uint8))
    file = io.BytesIO()
    coarse.resize((120, 100), Image.Resampling.BICUBIC).save(file, form)
    return file.getvalue()


def leaky_set(folder: Path, changes: dict[str, bytes]) -> ImageSet:
    """Two classes with six images to train and four to test each, some of them exchanged."""
    files = {
        f"{part}/{name}/{at}.png": scene(100 * k + 10 * p + at)
        for k, name in enumerate(("benign", "malignant"))
        for p, (part, count) in enumerate((("train", 6), ("test", 4)))
        for at in range(count)
    }
    return read_image_set(b.write_folder(folder, files | changes))


def with_groups(image_set: ImageSet, groups: dict[str, str]) -> ImageSet:
    """Groups by file name; images without one have none."""
    return replace(image_set, images=tuple(replace(image, group=groups.get(image.name)) for image in image_set.images))


def test_a_clean_set_counts_nothing_and_says_of_how_many(tmp_path: Path) -> None:
    found = count_leakage(leaky_set(tmp_path, {}), (), allowed=False)
    assert (found.exact_copies, found.near_duplicates) == (NONE, NONE)
    assert found.shared_groups == LeakCount(0, 0, 0)
    assert (found.groups, found.two_classes, found.found) == (0, 0, False)
    assert found.sentence == (
        "No leakage was found: no test image is a copy or near duplicate of another part's image. "
        "Groups (patients) are unknown."
    )
    assert replace(found, allowed=True).sentence.startswith("Leakage was allowed, and none was found: ")


def test_copies_are_counted_by_bytes_and_by_pixels_and_by_what_the_run_used(tmp_path: Path) -> None:
    changes = {"test/benign/0.png": scene(0), "test/benign/1.bmp": scene(1, "BMP")}
    image_set = leaky_set(tmp_path, changes)
    used = [image for image in image_set.part("train") if image.name.endswith("benign/1.png")]
    found = count_leakage(image_set, used, allowed=True)
    assert found.exact_copies == LeakCount(2, 9, 1)
    assert found.near_duplicates == LeakCount(0, 9, 0)
    assert found.found
    assert found.sentence == (
        "Leakage was allowed: 2 of 9 test images are exact copies of images outside the test part "
        "(1 by images that this run used). The metrics are too good to be true. Groups (patients) are unknown."
    )


def test_near_duplicates_are_counted_apart_and_are_a_warning(tmp_path: Path) -> None:
    image_set = leaky_set(tmp_path, {"test/malignant/3.jpg": scene(100, "JPEG")})
    found = count_leakage(image_set, (), allowed=False)
    assert (found.exact_copies.test_images, found.near_duplicates) == (0, LeakCount(1, 9, 0))
    assert not found.found
    assert found.sentence == (
        "1 of 9 test images is almost the same as an image outside the test part (none by images that this run used). "
        "Look whether they show the same. Groups (patients) are unknown."
    )


def test_every_test_image_of_a_shared_group_counts(tmp_path: Path) -> None:
    groups = {
        "train/benign/0.png": "A",
        "train/benign/1.png": "B",
        "test/benign/0.png": "A",
        "test/benign/1.png": "A",
        "test/malignant/0.png": "C",
    }
    image_set = with_groups(leaky_set(tmp_path, {}), groups)
    found = count_leakage(image_set, image_set.part("train"), allowed=True)
    assert (found.shared_groups, found.groups) == (LeakCount(2, 3, 2), 1)
    assert found.sentence == (
        "Leakage was allowed: 2 of 3 test images are of 1 group (patient) that is on both sides, all by images that "
        "this run used. The metrics are too good to be true."
    )


def test_one_content_under_two_classes_counts_wherever_it_stands(tmp_path: Path) -> None:
    found = count_leakage(leaky_set(tmp_path, {"train/malignant/5.png": scene(5)}), (), allowed=True)
    assert (found.two_classes, found.found) == (1, True)
    assert "1 image stands under two classes." in found.sentence


def test_thousands_of_images_are_counted_in_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    image_set = made_up([(n % 2, "train" if n < 6000 else "test", None) for n in range(8000)])
    bits = np.random.default_rng(0).integers(0, 2**63, 8000, dtype=np.uint64).tolist()
    bits[7000] = bits[10] ^ 0b101
    table = {i.sha256: Signature(1, 1, "PNG", i.name, bit) for i, bit in zip(image_set.images, bits, strict=True)}
    monkeypatch.setattr("core.images.leak_counts.signatures_of", lambda images: table)
    compared = note_compared(monkeypatch)
    search = LeakSearch(image_set)
    assert compared == [*[(512, 6000)] * 3, (464, 6000)]
    train = image_set.part("train")
    counts = [search.count(drawn, allowed=False).near_duplicates for drawn in (train, train[11:], train[:11])]
    assert counts == [LeakCount(1, 2000, 1), LeakCount(1, 2000, 0), LeakCount(1, 2000, 1)]
    assert compared[4:] == [(1, 6000), (1, 5989), (1, 11)], "each draw is held against the one suspect alone"


def test_the_json_form_has_each_count_with_its_whole(tmp_path: Path) -> None:
    found = count_leakage(leaky_set(tmp_path, {}), (), allowed=False).as_dict()
    assert found["exact_copies"] == {"test_images": 0, "of": 8, "by_drawn": 0}
    assert set(found) == {
        *("exact_copies", "near_duplicates", "shared_groups", "shared_names", "groups", "two_classes"),
        *("allowed", "found", "doubts", "sentence"),
    }


def named_set(folder: Path, train: list[str], test: list[str], groups: bool = False) -> ImageSet:
    """Pictures of noise with these names, all of one class but the last of each part."""
    images = []
    random = np.random.default_rng(0)
    parts: list[tuple[Part, list[str]]] = [("train", train), ("test", test)]
    for part, names in parts:
        for place, name in enumerate(names):
            path = folder / part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(path)
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            group = f"{part} {name}" if groups else None
            label = int(place == len(names) - 1)
            images.append(LabelledImage(path, f"{part}/{name}", label, part, sha256, group))
    return ImageSet("named", ("a", "b"), tuple(images))


COPIES = ["_1_23.png", "_1_87.png", "_2_11.png", "_2_45.png", "_3_99.png", "_4_10.png"]


def test_images_named_like_one_photographs_copies_are_counted_and_told(tmp_path: Path) -> None:
    found = named_set(tmp_path, COPIES, ["_1_55.png", "_2_66.png", "_9_77.png", "_3_12.png"])
    counted = count_leakage(found, found.part("train")[:1], allowed=False)
    # the last of each part is of another class, and a photograph of one class is not that of another
    assert counted.shared_names == LeakCount(2, 4, 1)
    assert (counted.found, counted.doubts) == (False, 2)
    assert "2 of 4 test images are named like one patient's or photograph's images" in counted.sentence
    assert counted.as_dict()["doubts"] == 2


@pytest.mark.parametrize("groups", [False, True])
def test_names_that_say_nothing_or_known_groups_raise_no_doubt(groups: bool, tmp_path: Path) -> None:
    names = COPIES if groups else ["flower.png", "bird.png", "tree.png"]
    found = named_set(tmp_path, names, names, groups)
    assert count_leakage(found, found.part("train"), allowed=False).shared_names.test_images == 0
