"""What batches carry where the image tower is trained."""

from __future__ import annotations

import pytest
import torch

from core.backbones.contract import PartlyEncoded
from core.images.image_set import ImageSet
from core.images.shots import draw_shots
from core.tuning import data
from core.tuning.config import image_passes
from core.tuning.contract import LoopConfig
from core.tuning.data import ImageData
from core.tuning.feature_store import FeatureStore
from core.tuning.features import view_pixels
from tests.builders import tiny_backbone

FOUR = LoopConfig(batch_size=4)


def trained_data(images: ImageSet, **more: object) -> ImageData:
    draw = draw_shots(images, 3, 1)
    return ImageData(
        tiny_backbone(), draw, FeatureStore(), seed=1, path="trained", augmentation="crop", views=2, **more
    )


def test_pictures_are_kept_part_way_and_equal_a_pass_from_their_pixels(disc_set: ImageSet, monkeypatch) -> None:
    kept = list(trained_data(disc_set, steady_layers=2).batches(1, FOUR))
    monkeypatch.setattr(data, "KEPT_BYTES", 0)
    drawn = list(trained_data(disc_set, steady_layers=2).batches(1, FOUR))
    assert all(isinstance(batch.pixels, PartlyEncoded) and batch.pixels.layer == 2 for batch in kept)
    assert all(isinstance(batch.pixels, torch.Tensor) for batch in drawn)
    for one, other in zip(kept, drawn, strict=True):
        assert torch.equal(one.index, other.index)
        expected = tiny_backbone().encode_images(other.pixels)
        torch.testing.assert_close(tiny_backbone().encode_images(one.pixels), expected, atol=1e-5, rtol=1e-5)


def test_warming_reports_every_view_of_every_picture(disc_set: ImageSet) -> None:
    told: list[tuple[int, int]] = []
    trained_data(disc_set, progress=lambda done, total: told.append((done, total))).warm()
    assert told == [(9, 18), (18, 18)]


@pytest.mark.parametrize("layer", [0, 2])
def test_a_kept_picture_does_not_depend_on_the_batch_it_was_first_needed_in(disc_set: ImageSet, layer: int) -> None:
    first, second = (trained_data(disc_set, steady_layers=layer) for _ in range(2))
    later = list(second.batches(2, FOUR))
    again = [list(first.batches(epoch, FOUR)) for epoch in (0, 1, 2)][2]
    for one, other in zip(later, again, strict=True):
        assert torch.equal(one.pixels.hidden, other.pixels.hidden)


def test_images_that_fill_no_batch_are_left_out_or_come_last(disc_set: ImageSet) -> None:
    drawn = trained_data(disc_set)
    sizes = [
        [len(batch.index) for batch in drawn.batches(0, LoopConfig(batch_size=4, drop_last=drop))]
        for drop in (True, False)
    ]
    assert sizes == [[4, 4], [4, 4, 1]]
    assert [drawn.steps_per_epoch(LoopConfig(batch_size=4, drop_last=drop)) for drop in (True, False)] == [2, 3]
    assert [len(batch.index) for batch in drawn.batches(0, LoopConfig(batch_size=32))] == [9]


def test_further_views_change_the_crop_that_the_step_sees(disc_set: ImageSet) -> None:
    drawn = trained_data(disc_set, extra_views={"weak": "weak"})
    (batch,) = drawn.batches(0, LoopConfig(batch_size=9))
    same = [
        torch.equal(weak, plain) or torch.equal(weak, plain.flip(-1))
        for plain, weak in zip(*(pixels_of(disc_set, name, batch.index) for name in ("crop", "crop+weak")), strict=True)
    ]
    assert all(same)
    assert len(batch.views["weak"]) == 9


@pytest.mark.parametrize("path", ["frozen", "trained"])
def test_further_views_vary_also_where_the_step_sees_the_centre(disc_set: ImageSet, path: str) -> None:
    drawn = ImageData(
        tiny_backbone(),
        draw_shots(disc_set, 3, 1),
        FeatureStore(),
        seed=1,
        path=path,
        augmentation="center",
        views=3,
        extra_views={"strong": "strong"},
        steady_layers=None,
    )
    drawn.warm()
    seen: list[dict[int, torch.Tensor]] = []
    for epoch in range(4):
        (batch,) = drawn.batches(epoch, LoopConfig(batch_size=9))
        plain, strong = batch.pixels if path == "trained" else batch.features, batch.views["strong"]
        rows = zip(batch.index.tolist(), plain, strong, strict=True)
        seen.append({at: torch.cat([one.flatten(), other.flatten()]) for at, one, other in rows})
    halves = [{at: both.chunk(2) for at, both in epoch.items()} for epoch in seen]
    for at in range(9):
        assert all(torch.equal(epoch[at][0], halves[0][at][0]) for epoch in halves)
        assert torch.equal(halves[3][at][1], halves[0][at][1])
    assert any(not torch.equal(halves[1][at][1], halves[0][at][1]) for at in range(9))
    assert any(not torch.equal(halves[2][at][1], halves[1][at][1]) for at in range(9))


def pixels_of(images: ImageSet, augmentation: str, index: torch.Tensor) -> torch.Tensor:
    files = draw_shots(images, 3, 1).train
    return view_pixels(tiny_backbone(), [files[i] for i in index.tolist()], augmentation, 0, 1)


@pytest.mark.parametrize(
    ("batch", "drop_last", "images", "steps", "passes"),
    [
        (4096, False, 16, 300, 300 * 16),  # a batch is never more than there is
        (32, True, 16, 100, 100 * 16),
        (4, True, 18, 40, 40 * 4),  # two of 18 are left out of each epoch
        (4, False, 18, 50, 10 * 18),
    ],
)
def test_images_that_went_through_a_training_are_counted_as_they_were_drawn(
    batch: int, drop_last: bool, images: int, steps: int, passes: int
) -> None:
    run = {"options": {"batch_size": batch, "drop_last": drop_last}, "n_train": images, "steps": steps}
    assert image_passes(run) == passes


def test_without_steps_or_a_batch_no_passes_are_counted() -> None:
    assert image_passes({"options": {"batch_size": 4}, "n_train": 8, "steps": 0}) is None
    assert image_passes({"options": {}, "n_train": 8, "steps": 5}) is None
