"""What `predict` reads: the same files as `images check`, with the same masks left out."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from app.services.classification import is_left_out, nothing_readable, read_image_path, read_images
from core.images.read import read_image_set
from core.images.store import FileStore
from tests.core.images import builders as b

MASKED = b.class_files(4) | {
    "Masks/benign/0.png": b.encoded(700),
    "malignant/1_segmentation.png": b.encoded(701),
    "README.md": b"text",
}


def names_read(path: Path, tmp_path: Path) -> list[str]:
    return sorted(image.name for image in read_image_path(path, FileStore(tmp_path / "store"))[0])


def test_folder_is_read_without_the_masks_that_check_pairs(tmp_path: Path) -> None:
    folder = b.write_folder(tmp_path / "set", MASKED)
    images, problems = read_image_path(folder, FileStore(tmp_path / "store"))
    assert sorted(i.name for i in images) == sorted(i.name for i in read_image_set(folder).images)
    assert {p.file: p.found for p in problems if p.problem == "mask"} == {
        "Masks/benign/0.png": "the mask of 'benign/0.png', which is no image to classify",
        "malignant/1_segmentation.png": "the mask of 'malignant/1.png', which is no image to classify",
    }
    assert all(is_left_out(problem) for problem in problems)


@pytest.mark.parametrize("name", ["set.zip", "set.bin", "set"])
def test_zip_is_known_by_its_content(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b.zip_bytes(MASKED))
    assert names_read(tmp_path / name, tmp_path) == sorted(b.class_files(4))
    images, _ = read_images([(name, io.BytesIO(b.zip_bytes(MASKED)))], FileStore(tmp_path / "store"))
    assert len(images) == 8


def test_manifest_names_the_images_to_classify(tmp_path: Path) -> None:
    rows = "path,label\nbenign/0.png,benign\nmalignant/1.png,malignant\n"
    b.write_folder(tmp_path / "set", b.class_files(4) | {"list.csv": rows.encode()})
    assert names_read(tmp_path / "set" / "list.csv", tmp_path) == ["benign/0.png", "malignant/1.png"]


def test_medmnist_archive_and_image_without_suffix_are_read(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 28, 28), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", test_images=images, test_labels=np.array([[0], [1], [0], [1]], np.uint8))
    (tmp_path / "x.npz").rename(tmp_path / "x.zip")
    assert len(names_read(tmp_path / "x.zip", tmp_path)) == 4
    (tmp_path / "scan").write_bytes(b.encoded(3))
    assert names_read(tmp_path / "scan", tmp_path) == ["scan"]


def test_folder_of_dicom_says_how_to_convert(tmp_path: Path) -> None:
    folder = b.write_folder(tmp_path / "set", {f"IM{n}": bytes(128) + b"DICM" for n in range(3)})
    images, problems = read_image_path(folder, FileStore(tmp_path / "store"))
    assert images == []
    error = nothing_readable(problems)
    assert "a DICOM file" in error.found
    assert "dcmj2pnm" in error.remedy


def test_deep_folder_and_polyglot_are_judged_as_in_a_set(tmp_path: Path) -> None:
    files = {"a/b/c/x.png": b.encoded(1), "a/both.jpg": b.encoded(6, "JPEG") + b.zip_bytes({"a.js": b"1"})}
    images, problems = read_image_path(b.write_folder(tmp_path / "set", files), FileStore(tmp_path / "store"))
    assert [image.name for image in images] == ["a/b/c/x.png"]
    assert [(p.file, p.problem) for p in problems] == [("a/both.jpg", "polyglot")]


def test_spreadsheet_beside_images_is_a_table_and_no_second_file_in_an_image(tmp_path: Path) -> None:
    files = b.class_files(2) | {"COVID.metadata.xlsx": b.zip_bytes({"xl/workbook.xml": b"<x/>"})}
    images, problems = read_image_path(b.write_folder(tmp_path / "set", files), FileStore(tmp_path / "store"))
    assert len(images) == 4
    assert [(p.problem, p.found) for p in problems] == [
        ("not_an_image", "found a file of kind '.xlsx': a table or document")
    ]
    assert all(is_left_out(problem) for problem in problems)


def test_locked_zip_says_how_to_make_it_again(tmp_path: Path) -> None:
    locked = b.zip_bytes(b.class_files(2))
    for name in b.class_files(2):
        locked = b.patch_flags(locked, name.encode(), 1)
    _, problems = read_images([("x.zip", io.BytesIO(locked))], FileStore(tmp_path / "store"))
    assert nothing_readable(problems).remedy == "Make the zip again without a password."
