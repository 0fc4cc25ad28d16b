"""Files whose metadata are large or hostile: answered at once, with the picture inside or a sentence."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from core.errors import UnreadableImage
from core.images.decode import decode_image
from core.images.limits import Limits
from core.images.metadata import MOST_METADATA_BYTES, without_bulk
from tests.core.images import builders as b
from tests.core.images.deep_files import chunk, tiff

MOST_CALLS = 3_000_000
"""Of functions in Python and C: several times what any of these needs, far less than a quadratic loop takes."""
MB = 1024 * 1024


def plain_jpeg(**options: object) -> bytes:
    image = Image.new("RGB", (20, 10))
    image.paste((255, 255, 255), (0, 0, 10, 10))
    return b.encoded(form="JPEG", image=image, **options)


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def with_segments(content: bytes, segments: bytes, at: int = 20) -> bytes:
    """Put behind the first segment of a JPEG, or elsewhere."""
    return content[:at] + segments + content[at:]


def turned_exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif.tobytes()


def in_few_steps(content: bytes) -> Image.Image:
    """The decoded picture, after counting the calls that it took."""
    n_calls = 0

    def count(_frame: object, event: str, _what: object) -> None:
        nonlocal n_calls
        n_calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        return decode_image(content, Limits())
    finally:
        sys.setprofile(before)
        assert n_calls < MOST_CALLS


@pytest.mark.parametrize(
    "bulk",
    [
        lambda: segment(0xE1, b"Exif\0\0" + bytes(65_000)) * 920,
        lambda: segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b"x" * 65_000) * 920,
        lambda: segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(65_000)) * 920,
        lambda: segment(0xFE, b"a comment " * 6_000) * 900,
        lambda: segment(0xE5, bytes(700)) * 80_000,
        lambda: b"\xff" * (50 * MB),
        lambda: bytes(50 * MB),
    ],
    ids=["exif", "xmp", "profile", "comments", "small", "fill", "junk"],
)
def test_a_jpeg_with_60_mb_beside_its_pixels_is_decoded_at_once(bulk: Callable[[], bytes]) -> None:
    content = plain_jpeg()
    whole = with_segments(content, bulk())
    assert len(without_bulk(whole, "JPEG")) < 2 * MOST_METADATA_BYTES  # the decoder is quadratic in what it gets
    assert np.array_equal(np.asarray(in_few_steps(whole)), np.asarray(decode_image(content)))


def test_the_orientation_is_kept_where_bulk_is_left_out() -> None:
    bulk = segment(0xE4, bytes(60_000)) * 10
    assert in_few_steps(with_segments(plain_jpeg(exif=turned_exif()), bulk)).size == (10, 20)
    assert decode_image(plain_jpeg(exif=turned_exif())).size == (10, 20)


def test_a_file_of_countless_pieces_is_refused_at_once() -> None:
    with pytest.raises(UnreadableImage, match="A file of at most 100,000 pieces; found more"):
        in_few_steps(with_segments(plain_jpeg(), segment(0xE5, b"") * 2_000_000))
    png = b.encoded(image=b.picture(1))
    with pytest.raises(UnreadableImage, match="A file of at most 100,000 pieces; found more"):
        in_few_steps(png[:33] + chunk(b"prVt", b"") * 2_000_000 + png[33:])


def test_files_with_little_beside_their_pixels_pass_unchanged() -> None:
    for form in ("PNG", "JPEG", "TIFF"):
        content = b.encoded(form=form, image=b.picture(1))
        assert without_bulk(content, form) is content
    assert len(turned_exif()) < MOST_METADATA_BYTES


@pytest.mark.parametrize(
    "bulk",
    [
        lambda: chunk(b"tEXt", b"Comment\0" + b"x" * 1000) * 60_000,
        lambda: chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(30 * MB))),
        lambda: chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(30 * MB))),
        lambda: chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(30 * MB))),
        lambda: chunk(b"eXIf", b"MM\0*\0\0\0\x08\xff\xff" + bytes(50 * MB)),
    ],
    ids=["texts", "bomb", "xmp bomb", "profile bomb", "exif"],
)
@pytest.mark.parametrize("is_behind", [False, True])
def test_a_png_with_large_texts_is_decoded_at_once(bulk: Callable[[], bytes], is_behind: bool) -> None:
    content = b.encoded(image=b.picture(1, mode="RGB"))
    at = len(content) - 12 if is_behind else 33
    whole = with_segments(content, bulk(), at)
    assert len(without_bulk(whole, "PNG")) < 2 * MOST_METADATA_BYTES
    found = in_few_steps(whole)
    assert np.array_equal(np.asarray(found), np.asarray(decode_image(content)))


def hostile_exif(n_entries: int, n_bytes: int) -> bytes:
    """A directory whose every entry claims all bytes of the block."""
    entry = struct.pack(">HHII", 0x9286, 7, n_bytes - 10, 8)
    return b"MM\0*\0\0\0\x08" + struct.pack(">H", n_entries) + (entry * n_entries).ljust(n_bytes, b"\0")


def test_exif_whose_entries_claim_the_same_bytes_over_and_over_is_quick() -> None:
    exif = hostile_exif(60_000, 40 * MB)
    image = Image.new("RGB", (8, 8), (200, 10, 10))
    file = io.BytesIO()
    image.save(file, "WEBP", exif=exif, lossless=True)
    assert in_few_steps(file.getvalue()).getpixel((0, 0)) == (200, 10, 10)
    png = b.encoded(image=image)
    assert in_few_steps(with_segments(png, chunk(b"eXIf", exif), 33)).getpixel((0, 0)) == (200, 10, 10)


def test_tiff_directories_without_end_are_refused_at_once() -> None:
    grey = np.arange(100, dtype="u1").reshape(10, 10)
    page = tiff(grey, next_page=8)
    with pytest.raises(UnreadableImage, match="One picture a file"):
        in_few_steps(page + b"\0" * (20 * MB))
    greedy = tiff(grey, tags=[(60_000 + n, 7, bytes(100)) for n in range(2_000)])
    assert in_few_steps(greedy).size == (10, 10)
    claims = greedy.replace(struct.pack("<HI", 7, 100), struct.pack("<HI", 7, len(greedy)))
    with pytest.raises(UnreadableImage, match="found tags that claim more bytes than the file has"):
        in_few_steps(claims)
    with pytest.raises(UnreadableImage, match="found a directory that states its size twice"):
        in_few_steps(tiff(grey.astype("u2"), tags=[(256, 4, [40_000])]))
    many = tiff(grey, tags=[(1_000 + n, 3, [1]) for n in range(5_000)])
    with pytest.raises(UnreadableImage, match="found a directory of 5,"):
        in_few_steps(many)


@pytest.mark.parametrize("byte", [0x0C, 0x10])
def test_a_jpeg_of_more_bits_is_not_called_damaged(byte: int) -> None:
    content = bytearray(plain_jpeg())
    content[content.index(b"\xff\xc0") + 4] = byte
    with pytest.raises(UnreadableImage) as refusal:
        decode_image(bytes(content))
    assert f"found a JPEG of {byte} bits a sample. Export it as PNG; 16 bits are kept." in refusal.value.sentence


def test_png_texts_of_moderate_size_do_not_disturb() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("notes", "n" * 50_000)
    content = b.encoded(image=b.picture(2), pnginfo=info)
    assert decode_image(content).size == (24, 20)
