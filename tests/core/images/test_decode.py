"""Decoding: one file, one set of pixels, whatever its mode."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import InvalidInput, UnreadableImage
from core.images.decode import decode_image, probe_image
from core.images.limits import Limits
from core.images.thumbnail import thumbnail
from tests.core.images import builders as b


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(decode_image(content))


def deep(values: list[list[int]], form: str) -> bytes:
    return b.encoded(form=form, image=Image.fromarray(np.array(values, np.uint16)))


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_lossless_formats_give_the_drawn_values(form: str, mode: str) -> None:
    drawn = b.picture(3, mode=mode)
    assert np.array_equal(pixels(b.encoded(form=form, image=drawn)), np.asarray(drawn.convert("RGB")))


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_lossy_formats_come_near_the_drawn_values(form: str) -> None:
    drawn = Image.new("RGB", (32, 32), (200, 100, 50))
    found = pixels(b.encoded(form=form, image=drawn, quality=95)).astype(int)
    assert np.abs(found - [200, 100, 50]).max() <= 6


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_deep_grey_is_shown_by_the_range_it_uses(form: str) -> None:
    assert pixels(deep([[0, 65535, 32768]], form))[0, :, 0].tolist() == [0, 255, 128]
    assert pixels(deep([[0, 4000, 2000]], form))[0, :, 0].tolist() == [0, 255, 128]
    assert pixels(deep([[0, 255, 7]], form))[0, :, 0].tolist() == [0, 255, 7]


def test_values_of_which_none_is_finite_are_refused() -> None:
    image = Image.fromarray(np.array([[np.nan, np.inf]], np.float32))
    with pytest.raises(UnreadableImage, match="Finite pixel values; found only NaN or infinity"):
        decode_image(b.encoded(form="TIFF", image=image))


def test_transparency_is_laid_on_black() -> None:
    half = Image.new("RGBA", (2, 2), (200, 100, 50, 128))
    assert pixels(b.encoded(image=half))[0, 0].tolist() == [100, 50, 25]
    clear = Image.new("LA", (2, 2), (200, 0))
    clear.putpixel((1, 1), (200, 255))
    assert pixels(b.encoded(image=clear))[0, 0].tolist() == [0, 0, 0]
    palette = Image.new("P", (2, 2), 1)
    palette.putpixel((1, 1), 0)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    assert pixels(b.encoded(image=palette))[0, 0].tolist() == [255, 0, 0]
    assert pixels(b.encoded(image=palette, transparency=1))[0, 0].tolist() == [0, 0, 0]


def test_cmyk_and_one_bit_images_become_rgb() -> None:
    cmyk = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert pixels(b.encoded(form="TIFF", image=cmyk))[0, 0].tolist() == [255, 0, 0]
    assert pixels(b.encoded(image=Image.new("1", (8, 8), 1)))[0, 0].tolist() == [255, 255, 255]


def test_camera_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGB", (20, 10))
    image.paste((255, 255, 255), (0, 0, 10, 10))
    for form in ("PNG", "JPEG", "TIFF", "WEBP"):
        content = b.encoded(form=form, image=image, exif=exif)
        upright = decode_image(content)
        assert upright.size == (10, 20), form
        assert np.asarray(upright)[2, 5].min() > 240, form
        (tmp_path / "x").write_bytes(content)
        assert probe_image(tmp_path / "x") == (10, 20, form)


def test_metadata_of_a_broken_profile_does_not_matter() -> None:
    assert decode_image(b.encoded(image=b.picture(1), icc_profile=b"broken")).size == (24, 20)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "BMP", "WEBP"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_cut_off_files_are_refused(form: str, share: float) -> None:
    content = b.encoded(form=form, image=b.picture(1, (200, 200)))
    with pytest.raises(UnreadableImage) as refusal:
        decode_image(content[: int(len(content) * share)])
    assert "cut-off" in refusal.value.sentence


def test_too_many_pixels_are_refused_before_decoding() -> None:
    with pytest.raises(UnreadableImage, match="At most 1,000 pixels an image; found 40 x 30"):
        decode_image(b.encoded(image=b.picture(0, (40, 30))), Limits(max_pixels=1000))


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_several_frames_are_refused(form: str) -> None:
    content = b.encoded(form=form, image=b.picture(1), save_all=True, append_images=[b.picture(2)])
    with pytest.raises(UnreadableImage, match=r"One picture a file; found a .* file of several pages or frames"):
        decode_image(content)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"GIF89a....", "a GIF image"),
        (b"%PDF-1.7", "a PDF document"),
        (b"\x1f\x8b....", "a gzip archive"),
        (bytes(128) + b"DICM", "a DICOM file"),
        (b"  <svg xmlns=''/>", "an SVG drawing"),
        (b"path,label\n", "content of another kind"),
    ],
)
def test_other_content_is_named(content: bytes, found: str) -> None:
    with pytest.raises(UnreadableImage, match=f"A PNG, JPEG, TIFF, BMP or WebP image; found {found}"):
        decode_image(content)


def test_missing_and_large_files_have_their_sentences(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="A file that can be read; found No such file"):
        decode_image(tmp_path / "none.png")
    (tmp_path / "a.png").write_bytes(bytes(2048))
    with pytest.raises(UnreadableImage, match="At most 1 kB a file; found a larger one"):
        decode_image(tmp_path / "a.png", Limits(max_file_bytes=1024))


def test_thumbnail_keeps_the_shape_and_drops_metadata(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "Jane Doe"
    (tmp_path / "a.jpg").write_bytes(b.encoded(form="JPEG", image=b.picture(1, (300, 150)), exif=exif))
    small = thumbnail(tmp_path / "a.jpg", 100)
    assert Image.open(io.BytesIO(small)).size == (100, 50)
    assert b"Jane" not in small
    with pytest.raises(InvalidInput, match="A thumbnail of 16 to 1024 pixels; found 4000"):
        thumbnail(tmp_path / "a.jpg", 4000)
