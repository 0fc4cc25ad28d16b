"""Random views: drawn from their own seed, inside their augmentation's ranges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from core.tuning.views import AUGMENTATIONS, crop_box, draw_view, jitter_colours
from tests.builders import tiny_backbone

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (80, 120, 3), dtype=np.uint8))


@pytest.mark.parametrize("augmentation", [*sorted(AUGMENTATIONS), "crop+strong", "center+strong"])
def test_a_view_depends_on_seed_image_recipe_and_number_only(augmentation: str) -> None:
    def draw(seed: int, sha: str, number: int) -> torch.Tensor:
        return draw_view(PICTURE, tiny_backbone(), augmentation, seed, sha, number)

    first = draw(1, "a", 0)
    assert torch.equal(first, draw(1, "a", 0))
    assert not any(torch.equal(first, other) for other in (draw(2, "a", 0), draw(1, "b", 0), draw(1, "a", 1)))


@pytest.mark.parametrize("augmentation", sorted(name for name, spec in AUGMENTATIONS.items() if not spec.operations))
def test_crops_stay_inside_the_picture_and_the_recipes_ranges(augmentation: str) -> None:
    spec = AUGMENTATIONS[augmentation]
    for number in range(200):
        left, top, right, bottom = crop_box(120, 80, spec, torch.Generator().manual_seed(number))
        assert 0 <= left < right <= 120
        assert 0 <= top < bottom <= 80
        assert 0.9 * spec.area[0] <= (right - left) * (bottom - top) / 9600 <= 1.05 * spec.area[1]
        assert 0.9 * spec.aspect[0] <= (right - left) / (bottom - top) <= 1.1 * spec.aspect[1]


def test_a_change_on_top_leaves_the_crop_as_it_is() -> None:
    pairs = [[draw_view(PICTURE, tiny_backbone(), f"crop{end}", 1, "a", n) for end in ("", "+weak")] for n in range(20)]
    mirrored = [torch.equal(plain.flip(-1), changed) for plain, changed in pairs]
    # a weak view is the same crop, flipped or not
    assert 3 <= sum(mirrored) <= 17
    assert all(flip or torch.equal(plain, changed) for flip, (plain, changed) in zip(mirrored, pairs, strict=True))


def test_a_picture_too_long_for_any_crop_gives_its_middle() -> None:
    # 1 px high: no crop of an allowed aspect fits, so the largest centred one is taken
    assert crop_box(100, 1, AUGMENTATIONS["mild"], torch.Generator().manual_seed(0)) == (49, 0, 50, 1)


def test_jitter_changes_colours_and_nothing_else() -> None:
    found = jitter_colours(PICTURE, torch.Generator().manual_seed(1))
    assert (found.size, found.mode) == (PICTURE.size, "RGB")
    assert np.abs(np.asarray(found, dtype=int) - np.asarray(PICTURE, dtype=int)).mean() > 3
