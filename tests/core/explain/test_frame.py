"""Model pixels and original pixels, and masks laid on patches by area."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from core.backbones.contract import Preprocessing
from core.errors import InvalidInput
from core.explain.frame import Frame, marked_pixels, seen_mask
from core.images.decode import opened_picture

SHORTEST = Preprocessing(224, (0.0,) * 3, (1.0,) * 3)
SQUASH = Preprocessing(224, (0.0,) * 3, (1.0,) * 3, resize="squash")


def test_a_picture_of_333_by_500_is_mapped_as_torchvision_scales_it():
    frame = Frame.of((333, 500), SHORTEST)
    assert (frame.resized, frame.left, frame.top) == ((224, 336), 0, 56)
    x, y = frame.to_original(0, 0)
    assert x == pytest.approx(0.5 * 333 / 224 - 0.5)
    assert round(y, 2) == 83.58
    assert frame.crop_box == pytest.approx((0, 83.3333, 333, 416.6667), abs=1e-3)
    assert frame.to_model(x, y) == pytest.approx((0, 0))


@pytest.mark.parametrize("size", [(333, 500), (500, 333), (1023, 224), (225, 224), (97, 251)])
def test_the_model_pixel_shows_the_place_the_frame_names(size):
    from open_clip.transform import image_transform

    transform = image_transform(224, False, mean=(0.0,) * 3, std=(1.0,) * 3, interpolation="bilinear")
    across, down = np.meshgrid(np.linspace(0, 250, size[0]), np.linspace(0, 250, size[1]))
    ramps = Image.fromarray(np.stack([across, down, across], axis=2).round().astype(np.uint8))
    seen = transform(ramps)[:2] * 255
    frame = Frame.of(size, SHORTEST)
    columns, rows = np.meshgrid(np.arange(224), np.arange(224))
    x, y = frame.to_original(columns, rows)
    inner = slice(3, -3)
    for found, place, side in ((seen[0], x, size[0]), (seen[1], y, size[1])):
        expected = torch.from_numpy(place / (side - 1) * 250)
        assert (found - expected)[inner, inner].abs().max() < 1.1  # grey values are rounded twice


def test_squashing_shows_everything():
    frame = Frame.of((300, 100), SQUASH)
    assert frame.crop_box == pytest.approx((0, 0, 300, 100))
    assert frame.seen_share == pytest.approx(1)
    assert frame.to_original(0, 0) == pytest.approx((0.5 * 300 / 224 - 0.5, 0.5 * 100 / 224 - 0.5))


def test_a_lesion_of_8_pixels_in_a_picture_of_3000_keeps_its_part_of_a_patch():
    mask = np.zeros((3000, 3000), dtype=bool)
    mask[1501:1509, 1503:1511] = True
    found = seen_mask(mask, (3000, 3000), SHORTEST, (14, 14))
    assert (found.marked_px, found.seen_px) == (64, 64)
    assert found.cells.sum() == pytest.approx(64 / (3000 / 14) ** 2)
    assert found.cells[7, 7] == pytest.approx(found.cells.sum())
    assert found.pixels.sum() == pytest.approx(64 * (224 / 3000) ** 2)
    assert found.sentence().startswith("The marked region covers 0.0014 of one patch")


def test_coverage_adds_up_to_the_marked_area_in_view():
    mask = np.random.default_rng(0).random((500, 333)) < 0.3
    found = seen_mask(mask, (333, 500), SHORTEST, (14, 14))
    across, down = found.frame.scale
    assert found.cells.sum() * 16 * across * 16 * down == pytest.approx(found.seen_px)
    assert found.pixels.sum() * across * down == pytest.approx(found.seen_px)
    assert found.in_view == pytest.approx(found.seen_px / mask.sum())


def test_what_lies_outside_the_view_is_counted_and_told():
    mask = np.zeros((100, 300), dtype=bool)
    mask[:, :110] = True
    found = seen_mask(mask, (300, 100), SHORTEST, (14, 14))
    assert (found.marked_px, found.seen_px) == (11000, pytest.approx(1000))
    assert found.sentence() == (
        "10000 of the 11000 marked pixels (91%) lie outside the part of the image the model sees "
        "(columns 100 to 200 and rows 0 to 100) and are not counted."
    )
    mask[:, 100:] = False
    outside = seen_mask(mask, (300, 100), SHORTEST, (14, 14))
    assert outside.in_view == 0
    assert "None of the 10000 marked pixels lies in the part of the image the model sees" in outside.sentence()


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(InvalidInput, match=r"333 x 500 px; found 500 x 333 px"):
        seen_mask(Image.new("L", (500, 333), 255), (333, 500), SHORTEST, (14, 14))


def disc(size=256, radius=30):
    axis = np.arange(size) - size / 2
    return np.hypot(*np.meshgrid(axis, axis)) < radius


def as_file(values, form, **options):
    file = io.BytesIO()
    Image.fromarray(values).save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_mask_that_was_a_jpeg_does_not_grow(form):
    drawn = disc()
    content = as_file(drawn.astype(np.uint8) * 255, "JPEG", quality=75)
    if form == "PNG":  # the blur of a JPEG, kept in a file that loses nothing
        content = as_file(np.asarray(Image.open(io.BytesIO(content))), "PNG")
    grown = (np.asarray(Image.open(io.BytesIO(content))) > 0).sum() / drawn.sum()
    assert grown > 1.1
    with opened_picture(content) as picture:
        kept = np.asarray(picture.marked()) > 0
    assert kept.sum() / drawn.sum() == pytest.approx(1, abs=0.01)


def test_a_mask_of_small_label_numbers_keeps_every_label():
    values = np.zeros((20, 20), dtype=np.uint8)
    values[:5], values[5:10], values[10:12] = 1, 2, 3
    with opened_picture(as_file(values, "PNG")) as picture:
        assert (np.asarray(picture.marked()) > 0).sum() == 12 * 20
    assert marked_pixels(Image.fromarray((values == 1).astype(np.uint8))).sum() == 5 * 20


def test_a_rotated_photograph_and_its_upright_mask_share_one_frame(tmp_path):
    upright = np.zeros((60, 40), dtype=np.uint8)
    upright[45:50, 10:15] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter to the right
    path = tmp_path / "photo.png"
    Image.fromarray(np.rot90(upright)).save(path, exif=exif)
    with opened_picture(path) as picture:
        shown = picture.rgb()
    assert shown.size == (40, 60)
    assert (np.asarray(shown.convert("L")) > 128).nonzero()[0].min() == 45
    found = seen_mask(upright > 0, shown.size, Preprocessing(40, (0.0,) * 3, (1.0,) * 3), (8, 8))
    assert found.frame.crop_box == pytest.approx((0, 10, 40, 50))
    assert found.cells[7, 2] == pytest.approx(1)
    assert found.seen_px == pytest.approx(25)


def test_a_picture_of_16_bits_has_the_frame_of_its_upright_size(tmp_path):
    values = np.zeros((50, 70), dtype=np.uint16)
    values[20:30, 30:40] = 40000
    path = tmp_path / "deep.png"
    Image.fromarray(values).save(path)
    with opened_picture(path) as picture:
        size, marked = picture.size, picture.marked()
    found = seen_mask(marked, size, Preprocessing(50, (0.0,) * 3, (1.0,) * 3), (5, 5))
    assert found.frame.crop_box == pytest.approx((10, 0, 60, 50))
    assert found.cells[2, 2] == pytest.approx(1)
    assert found.cells.sum() == pytest.approx(1)
