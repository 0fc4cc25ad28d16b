"""The drawn set: repeatable, varied, with masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import InvalidInput
from core.images.leakage import find_leaks, find_near_duplicates
from core.images.masks import mask_path
from core.images.phantoms import CLASSES, make_phantoms
from core.images.read import read_image_set


def test_phantoms_are_four_classes_with_masks_and_no_leak(tmp_path: Path) -> None:
    image_set = read_image_set(make_phantoms(tmp_path, per_class=(4, 3), size_px=96))
    assert image_set.classes == CLASSES
    assert CLASSES == ("bright round lesion", "dark irregular lesion", "no lesion", "ring shaped lesion")
    assert {tuple(c.values()) for c in image_set.counts().values()} == {(4, 0, 3)}
    assert len({image.sha256 for image in image_set.images}) == 28
    assert (find_leaks(image_set), find_near_duplicates(image_set), image_set.problems) == ([], [], ())
    for image in image_set.images:
        mask = mask_path(image)
        assert (mask is None) == (image_set.classes[image.label] == "no lesion")
        if mask is not None:
            lesion = np.asarray(Image.open(mask))
            assert lesion.shape == (96, 96)
            assert 0.002 < (lesion == 255).mean() < 0.2


def test_names_of_phantoms_do_not_look_like_images_of_one_patient(tmp_path: Path) -> None:
    found = read_image_set(make_phantoms(tmp_path, per_class=(4, 4), size_px=64), "phantoms")
    assert list(found.notes) == ["24 masks were found; they are no training images."]


def test_lesions_differ_from_their_surroundings_as_named(tmp_path: Path) -> None:
    make_phantoms(tmp_path, seed=3, per_class=(6, 1), size_px=96)
    for name, sign in (("bright round lesion", 1), ("dark irregular lesion", -1), ("ring shaped lesion", 1)):
        differences = []
        for path in (tmp_path / "train" / name).iterdir():
            scan = np.asarray(Image.open(path)).astype(float)
            lesion = np.asarray(Image.open(tmp_path / "masks" / "train" / name / path.name)) > 0
            differences.append(scan[lesion].mean() - scan[~lesion & (scan > 50)].mean())
        assert sign * float(np.mean(differences)) > 10


def test_seed_decides_every_pixel_and_a_larger_set_holds_the_smaller(tmp_path: Path) -> None:
    small = make_phantoms(tmp_path / "a", seed=1, per_class=(1, 1), size_px=64)
    large = make_phantoms(tmp_path / "b", seed=1, per_class=(2, 1), size_px=64)
    other = make_phantoms(tmp_path / "c", seed=2, per_class=(1, 1), size_px=64)
    for path in small.rglob("*.png"):
        assert path.read_bytes() == (large / path.relative_to(small)).read_bytes()
    names = [p.relative_to(small) for p in (small / "train").rglob("*.png")]
    assert all((small / n).read_bytes() != (other / n).read_bytes() for n in names)


def test_impossible_sets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="At least 1 image a class, of 64 to 1024 pixels"):
        make_phantoms(tmp_path, per_class=(0, 1))
