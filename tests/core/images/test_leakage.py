"""Leaks and near-duplicates between the parts."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import UnreadableImage
from core.images.image_set import ImageSet
from core.images.leakage import find_leaks, find_near_duplicates
from core.images.read import read_image_set
from core.images.signature import Signature, difference_hash
from tests.core.images import builders as b


def read(folder: Path, files: dict[str, bytes]) -> ImageSet:
    return read_image_set(b.write_folder(folder, files))


def scene(seed: int) -> Image.Image:
    """A picture with structure, as hashes of noise say little."""
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 6), dtype=np.uint8))
    return coarse.resize((120, 100), Image.Resampling.BICUBIC)


def test_clean_set_has_no_leaks(tmp_path: Path) -> None:
    assert find_leaks(read(tmp_path, b.parted_files())) == []


def test_same_bytes_same_pixels_and_two_classes_are_found(tmp_path: Path) -> None:
    files = b.parted_files()
    files["test/benign/copy.png"] = files["train/benign/0.png"]
    files["test/benign/again.bmp"] = b.encoded(0 + 1, "BMP")
    files["train/malignant/twin.png"] = files["train/benign/2.png"]
    found = [(p.problem, p.file, p.found) for p in find_leaks(read(tmp_path, files))]
    assert found == [
        ("same_bytes", "test/benign/copy.png", "the same file as 'train/benign/0.png' in train"),
        ("same_pixels", "test/benign/again.bmp", "the same pixels as 'train/benign/1.png' in train"),
        ("two_classes", "train/malignant/twin.png", "the same file as 'train/benign/2.png' in class 'benign'"),
    ]


def test_validation_counts_as_seen(tmp_path: Path) -> None:
    files = b.parted_files() | {"val/benign/0.png": b.encoded(7), "test/benign/7.png": b.encoded(7)}
    assert [p.found for p in find_leaks(read(tmp_path, files))] == ["the same file as 'val/benign/0.png' in val"]


def test_patient_on_both_sides_is_found_once(tmp_path: Path) -> None:
    rows = ["path,label,split,group"]
    for n, (part, group) in enumerate([("train", "p1"), ("test", "p1"), ("test", "p1"), ("test", "p2")] * 2):
        rows.append(f"{n}.png,{'ab'[n // 4]},{part},{group}")
    files = {f"{n}.png": b.encoded(n) for n in range(8)} | {"m.csv": "\n".join(rows).encode()}
    found = find_leaks(read(tmp_path, files))
    assert [(p.file, p.problem, p.found) for p in found] == [
        ("1.png", "same_group", "4 images of group 'p1' in test and 2 in train, such as '0.png'")
    ]


def test_compressed_and_shrunk_copies_are_near_duplicates_but_no_leaks(tmp_path: Path) -> None:
    files = {
        f"{part}/{c}/{n}.png": b.encoded(image=scene(n + 10 * k))
        for k, (part, c) in enumerate((p, c) for p in ("train", "test") for c in "ab")
        for n in range(4)
    }
    files["test/a/copy.jpg"] = b.encoded(form="JPEG", image=scene(2), quality=80)
    files["test/b/small.png"] = b.encoded(image=scene(11).resize((60, 50)))
    image_set = read(tmp_path, files)
    assert find_leaks(image_set) == []
    near = {p.file: p.found for p in find_near_duplicates(image_set)}
    assert set(near) == {"test/a/copy.jpg", "test/b/small.png"}
    assert near["test/a/copy.jpg"].startswith("looks almost like 'train/a/2.png' in train (")


def test_difference_hash_is_one_bit_for_each_pair_of_neighbours() -> None:
    falling = Image.fromarray(np.tile(np.arange(240, 60, -20, dtype=np.uint8), (8, 1)))
    assert difference_hash(falling) == 2**64 - 1
    assert difference_hash(falling.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) == 0


def test_thousands_of_images_are_compared_in_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.core.images.sets import made_up, note_compared

    image_set = made_up([(n % 2, "train" if n < 6000 else "test", None) for n in range(8000)])
    bits = np.random.default_rng(0).integers(0, 2**63, 8000, dtype=np.uint64).tolist()
    bits[7000] = bits[10] ^ 0b101
    table = {i.sha256: Signature(1, 1, "PNG", i.name, bit) for i, bit in zip(image_set.images, bits, strict=True)}
    monkeypatch.setattr("core.images.leakage.signatures_of", lambda images: table)
    compared = note_compared(monkeypatch)
    assert [(p.file, p.found) for p in find_near_duplicates(image_set)] == [
        ("7000.png", "looks almost like '10.png' in train (2 of 64 bits differ)")
    ]
    assert compared == [*[(512, 6000)] * 3, (464, 6000)]


def test_file_changed_since_reading_is_refused(tmp_path: Path) -> None:
    image_set = read(tmp_path, b.parted_files())
    file = io.BytesIO()
    Image.new("L", (3, 3)).save(file, "PNG")
    changed = image_set.images[0]
    changed.path.write_bytes(file.getvalue())
    from core.images import signature

    signature._known.clear()
    with pytest.raises(UnreadableImage, match=r"'train/benign/0.png' as it was when it was read; found other content"):
        find_leaks(image_set)
