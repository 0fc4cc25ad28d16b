"""Deep pictures: one picture, however its grey values are stored, gives the same 8 bits, and says how."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from core.errors import UnreadableImage
from core.images.decode import decode_image, opened_picture
from core.images.grey_range import apply_windowing, find_windowing
from core.images.picture import Picture
from core.images.windowing import Windowing
from tests.core.images import builders as b
from tests.core.images.deep_files import brain, chunk, png16, tiff

MAXIMA = (1023, 2000, 4000, 4200, 16000, 65535)


def grey(content: bytes) -> np.ndarray:
    return np.asarray(decode_image(content))[..., 0].astype(int)


def windowing(content: bytes) -> Windowing:
    with opened_picture(content) as picture:
        assert picture.windowing is not None
        return picture.windowing


def stored(maximum: int, dtype: str = "u2") -> np.ndarray:
    return np.rint(brain() * maximum).astype(dtype)


REFERENCE = grey(png16(stored(65535)))


def near(found: np.ndarray, levels: int = 2) -> bool:
    return int(np.abs(found - REFERENCE).max()) <= levels


@pytest.mark.parametrize("maximum", MAXIMA)
def test_equal_pictures_look_equal_whatever_their_maximum(maximum: int) -> None:
    assert near(grey(png16(stored(maximum))))
    assert near(grey(tiff(stored(maximum))))
    assert near(grey(tiff(stored(maximum), ">", packed=True)))
    same = np.repeat(stored(maximum)[..., None], 3, 2)
    assert near(grey(png16(same))), "grey stored as colour"
    opaque = np.dstack([stored(maximum), np.full_like(stored(maximum), maximum)])
    assert near(grey(png16(opaque))), "alpha of the same bits"


@pytest.mark.parametrize("dtype", ["u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", [False, True])
def test_every_type_of_sample_in_both_byte_orders_gives_the_same_picture(dtype: str, order: str, packed: bool) -> None:
    values = brain() * 3000 if dtype[0] != "f" else brain() * 3.0
    found = tiff(values.astype(dtype), order, packed=packed)
    assert near(grey(found))
    assert windowing(found).kind == {"u": "unsigned", "i": "signed", "f": "float"}[dtype[0]]


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("order", ["<", ">"])
def test_samples_of_odd_bits_are_read_and_their_bits_told(bits: int, order: str) -> None:
    found = tiff(stored(2**bits - 1), order, bits=bits)
    assert near(grey(found))
    assert windowing(found).declared_bits == bits
    assert windowing(found).high <= 2**bits - 1


def test_8_bit_signed_samples_are_not_taken_for_unsigned_ones() -> None:
    assert near(grey(tiff((brain() * 127).astype("i1"))), 3)


@pytest.mark.parametrize("padding", [-2000, -32768, -9999])
@pytest.mark.parametrize("order", ["<", ">"])
def test_padding_around_a_signed_slice_is_black_and_leaves_the_picture_alone(padding: int, order: str) -> None:
    slice_ = (brain() * 3000 - 1000).astype("i2")
    y, x = np.mgrid[:96, :96]
    outside = np.hypot(y - 48, x - 48) > 47
    slice_[outside] = padding
    found = tiff(slice_, order)
    assert near(grey(found))
    assert windowing(found).padding == (padding,)
    assert windowing(found).sentence.endswith(f"{padding} is padding.")


def test_single_outliers_do_not_darken_the_picture() -> None:
    for places in ([(3, 3)], [(3, 3), (90, 7), (50, 50), (51, 50), (9, 80)]):
        values = stored(4000)
        for place in places:
            values[place] = 65535
        found = grey(png16(values))
        assert np.median(np.abs(found - REFERENCE)) == 0
        assert (np.abs(found - REFERENCE) > 2).sum() <= len(places)
    low = stored(4000, "i2")
    low[5, 5] = -32768
    assert (np.abs(grey(tiff(low)) - REFERENCE) > 2).sum() <= 1


def test_burnt_in_letters_at_the_top_do_not_darken_the_picture() -> None:
    values = stored(4000)
    values[2:8, 2:20] = 65535
    found = grey(png16(values))
    assert found[4, 4] == 255
    assert np.abs(found - REFERENCE)[10:].max() <= 2


def test_12_bit_colour_in_16_bits_keeps_its_hue_and_is_not_black() -> None:
    colour = np.stack([stored(4000), stored(2000), stored(1000)], -1)
    for content in (
        png16(colour),
        tiff(colour, photometric=2),
        tiff(colour, ">", photometric=2, packed=True),
        tiff(np.dstack([colour, np.full((96, 96), 4095, "u2")]), photometric=2, extra=(2,)),
        png16(np.dstack([colour, np.full((96, 96), 65535, "u2")])),
    ):
        found = np.asarray(decode_image(content)).astype(int)
        assert near(found[..., 0])
        assert np.abs(found[..., 1] - REFERENCE / 2).max() <= 1.5
        assert np.abs(found[..., 2] - REFERENCE / 4).max() <= 1.5


def test_white_is_zero_turns_the_picture_but_not_its_padding() -> None:
    turned = grey(tiff((65535 - stored(65535)).astype("u2"), ">", photometric=0))
    assert near(turned, 3)
    assert windowing(tiff(stored(4000), photometric=0)).inverted


def test_a_fully_transparent_picture_shows_its_colours_and_is_named() -> None:
    shown = np.rint(brain() * 255).astype(np.uint8)
    clear = Image.fromarray(np.dstack([shown, shown, shown, np.zeros_like(shown)]), "RGBA")
    with opened_picture(b.encoded(image=clear)) as picture:
        assert np.array_equal(np.asarray(picture.rgb())[..., 0], shown)
        assert [each.problem for each in picture.findings] == ["transparent"]
    deep = np.dstack([stored(4000), np.zeros((96, 96), "u2")])
    with opened_picture(png16(deep)) as picture:
        assert near(np.asarray(picture.rgb())[..., 0].astype(int))
        assert [each.problem for each in picture.findings] == ["transparent"]


def test_partly_transparent_deep_pictures_lie_on_black() -> None:
    alpha = np.full((96, 96), 65535, "u2")
    alpha[:48] = 0
    found = grey(png16(np.dstack([np.where(alpha == 0, 65535, stored(4000)), alpha])))
    assert found[:48].max() == 0
    assert np.abs(found - REFERENCE)[48:].max() <= 2


def test_the_orientation_of_deep_files_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    values = stored(4000)
    values[:10] = 3000
    upright = np.rot90(grey(png16(values)), -1)
    assert np.array_equal(grey(png16(values, chunk(b"eXIf", exif.tobytes()[6:]))), upright)
    assert np.array_equal(grey(tiff(values, tags=[(274, 3, [6])])), upright)
    assert np.array_equal(grey(tiff(values, ">", photometric=1, tags=[(274, 3, [6])])), upright)


def test_nan_counts_as_padding_and_is_named() -> None:
    values = (brain() * 2 - 0.5).astype("f4")
    values[:20] = np.nan
    with opened_picture(tiff(values)) as picture:
        assert np.asarray(picture.rgb())[:20].max() == 0
        assert np.abs(np.asarray(picture.rgb())[..., 0].astype(int) - REFERENCE)[20:].max() <= 2
        assert picture.windowing is not None
        assert picture.windowing.padding == ("NaN",)
        assert [each.problem for each in picture.findings] == ["not_finite"]


def test_declared_bits_are_told_and_do_not_change_the_picture() -> None:
    content = png16(stored(4000), chunk(b"sBIT", b"\x0c"))
    assert near(grey(content))
    assert windowing(content).declared_bits == 12
    assert windowing(tiff(stored(4000), tags=[(281, 3, [4095])])).declared_bits == 12
    assert windowing(png16(stored(4000))).declared_bits is None


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (tiff((brain() * 3).astype("f2")), "found a TIFF of 1 floating-point sample of 16 bits a pixel"),
        (tiff(np.repeat(stored(4000)[..., None], 3, 2), photometric=2, planar=True), "bits a pixel, stored in planes"),
        (tiff(np.dstack([stored(4000)] * 2), extra=(2,)), "found a TIFF of 2 unsigned samples of 16 bits a pixel"),
    ],
)
def test_deep_tiffs_of_other_kinds_are_not_called_damaged(content: bytes, found: str) -> None:
    with pytest.raises(UnreadableImage) as refusal:
        decode_image(content)
    assert found in refusal.value.sentence
    assert "damaged" not in refusal.value.sentence
    assert "Export it as 16-bit PNG." in refusal.value.sentence


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
@pytest.mark.parametrize("packed", [False, True])
def test_cut_off_deep_files_are_refused(share: float, packed: bool) -> None:
    picture = Image.fromarray(stored(4000))
    file = io.BytesIO()
    picture.save(file, "TIFF", compression="tiff_deflate" if packed else None)
    colour = png16(np.repeat(stored(4000)[..., None], 3, 2) + np.arange(3, dtype="u2"))
    for content in (file.getvalue(), colour):
        with pytest.raises(UnreadableImage, match=r"cut.off"):
            decode_image(content[: int(len(content) * share)])


def test_a_drawing_of_few_labels_keeps_all_of_them() -> None:
    labels = np.zeros((64, 64), "u2")
    labels[10:20], labels[30:40] = 1000, 65535
    assert sorted(set(grey(png16(labels)).ravel().tolist())) == [0, 4, 255]


def test_a_windowing_survives_json_and_speaks() -> None:
    window = windowing(png16(stored(4000)))
    assert Windowing.from_dict(window.as_dict()) == window
    assert window.source == "data"
    assert window.sentence == f"16-bit unsigned values, 0 shown as black and {window.high:g} as white."
    flat = find_windowing(np.full((20, 20), 700, "u2"))
    assert (flat.source, flat.low, flat.high) == ("type", 0, 65535)
    assert apply_windowing(np.full((2, 2), -5.0), find_windowing(np.full((2, 2), -5.0))).tolist() == [[0, 0], [0, 0]]


def test_large_deep_pictures_are_shown_by_the_same_rule_in_strips() -> None:
    large = np.tile(stored(4200), (20, 20))
    with opened_picture(png16(large)) as picture:
        assert isinstance(picture, Picture)
        found = np.asarray(picture.rgb())[..., 0].astype(int)
    assert np.abs(found[:96, :96] - REFERENCE).max() <= 2
    assert np.array_equal(found[-96:, -96:], found[:96, :96])
