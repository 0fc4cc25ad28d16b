"""Image files to pixels: which formats, how deep values, alpha and rotation are treated, and what is refused.

What every later step may rely on: three channels of 8 bits, upright, and the same file always gives the same pixels.

- Formats: PNG, JPEG, TIFF, BMP, WebP. The content decides, not the name.
- 8 bits a sample are shown as they are. Deeper, signed and floating-point samples are shown by the range that each
  picture uses (`core.images.windowing`), grey and colour alike; the range is told with the picture.
- Transparency is laid on black, the background of nearly all biomedical images; a picture that is transparent all over
  is shown as if it were opaque.
- The orientation stored by a camera is applied. Colour profiles are not, and bulky metadata are not even read.
- Files of several pages or frames are refused: nobody can tell which one carries the label.
- Large pictures are decoded one at a time (`core.images.gate`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image, ImageOps

from core.errors import UnreadableImage
from core.images.deep import is_deep_png, read_deep_png, read_deep_tiff
from core.images.gate import DECODING, give_back
from core.images.limits import Limits, megabytes
from core.images.metadata import bound_exif, jpeg_kind, orientation_of, png_significant_bits, without_bulk
from core.images.picture import Picture
from core.images.tiff import TiffHeader, read_tiff_header

DECODING_RULES = 2
"""Grows whenever a file may give other pixels than before, so that nothing computed from the old ones is used."""
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
SUFFIXES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".webp": "WEBP",
}
STORED_SUFFIX = {"PNG": ".png", "JPEG": ".jpg", "TIFF": ".tif", "BMP": ".bmp", "WEBP": ".webp"}
FORMAT_NAMES = "a PNG, JPEG, TIFF, BMP or WebP image"
_SIDEWAYS = (5, 6, 7, 8)
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"BM", "BMP"),
)
_OTHERS = (
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a Linux program"),
    (b"\x00\x00\x00\x0cjP", "a JPEG 2000 image"),
    (b"<svg", "an SVG drawing"),
    (b"<", "a text or markup file"),
)


@dataclass(frozen=True)
class Header:
    """What was read of a file before any pixel: its bytes without bulk, format and stored size.

    tiff: of TIFFs. image: opened by Pillow, not loaded; None for deep TIFFs, which it does not know.
    """

    content: bytes
    format: str
    width: int
    height: int
    tiff: TiffHeader | None = None
    image: Image.Image | None = None


def decode_image(source: str | Path | bytes, limits: Limits | None = None) -> Image.Image:
    """The image as RGB, 8 bits a channel, upright.

    source: a path or the bytes of a file. Raises UnreadableImage, with a sentence, for anything else than one whole
    image of an allowed format within the limits; pixels are counted before any is decoded.
    """
    with opened_picture(source, limits) as picture:
        return picture.rgb()


@contextmanager
def opened_picture(
    source: str | Path | bytes, limits: Limits | None = None, reduced_px: int | None = None
) -> Iterator[Picture]:
    """The picture of a file for as long as the block lasts; where memory would run short, others wait meanwhile.

    reduced_px: a JPEG may be decoded smaller, as long as both sides keep so many pixels. Raises as `decode_image`.
    """
    limits = limits or Limits()
    header = open_header(source if isinstance(source, bytes) else read_bounded(Path(source), limits), limits)
    n_pixels = header.width * header.height
    with DECODING.passing(n_pixels):
        picture = _decode(header, reduced_px)
        del header
        try:
            yield picture
        finally:
            picture.release()
            give_back(n_pixels)


def probe_image(path: str | Path, limits: Limits | None = None) -> tuple[int, int, str]:
    """(width, height, format) of the upright image, read from the header only. Raises UnreadableImage."""
    header = open_header(read_bounded(Path(path), limits or Limits()), limits or Limits())
    width, height = header.width, header.height
    return (height, width, header.format) if _orientation(header) in _SIDEWAYS else (width, height, header.format)


def read_bounded(path: Path, limits: Limits) -> bytes:
    """The bytes of a file. Raises UnreadableImage if it is missing, empty or above the limit."""
    try:
        with path.open("rb") as file:
            content = file.read(limits.max_file_bytes + 1)
    except OSError as error:
        raise UnreadableImage("A file that can be read", f"found {error.strerror or 'an input error'}") from error
    check_size(len(content), limits)
    return content


def check_size(n_bytes: int, limits: Limits) -> None:
    """Refuse empty files and those above the limit."""
    if n_bytes == 0:
        raise UnreadableImage(_first_upper(FORMAT_NAMES), "found an empty file (0 bytes)")
    if n_bytes > limits.max_file_bytes:
        raise UnreadableImage(
            f"At most {megabytes(limits.max_file_bytes)} a file", "found a larger one", "Export it smaller."
        )


def sniff_format(content: bytes) -> str | None:
    """The allowed format these bytes begin like, or None."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    return next((form for magic, form in _MAGIC if content.startswith(magic)), None)


def describe_content(content: bytes) -> str:
    """What bytes that are no allowed image look like, in words."""
    start = content[:64].lstrip(b"\xef\xbb\xbf \r\n\t")
    for magic, words in _OTHERS:
        if start.startswith(magic):
            return words
    return "a DICOM file" if content[128:132] == b"DICM" else "content of another kind"


def open_header(content: bytes, limits: Limits) -> Header:
    """What a file says of itself, held against the limits before anything is decoded. Raises UnreadableImage."""
    check_size(len(content), limits)
    form = sniff_format(content)
    if form is None:
        raise UnreadableImage(_first_upper(FORMAT_NAMES), f"found {describe_content(content)}", "Export it as PNG.")
    tiff = read_tiff_header(content) if form == "TIFF" else None
    if tiff is not None and tiff.has_pages:
        raise _several(form)
    if tiff is not None and tiff.is_deep:
        return _within(Header(content, form, *tiff.size, tiff), limits)
    content = without_bulk(content, form)
    image = _open_told(content, form, tiff, limits)
    # a camera's multi-picture JPEG (MPO) is read as the JPEG it begins with
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise _several(form)
    width, height = image.size
    if tiff is not None and tiff.orientation in _SIDEWAYS:  # Pillow gives the size of a TIFF upright already
        width, height = height, width
    return _within(Header(content, form, width, height, tiff, image), limits)


def _within(header: Header, limits: Limits) -> Header:
    if header.width * header.height > limits.max_pixels:
        raise _too_many_pixels(limits, f"{header.width:,} x {header.height:,}")
    if header.width < 1 or header.height < 1:
        raise _damaged_header(header.format)
    return header


def _open_told(content: bytes, form: str, tiff: TiffHeader | None, limits: Limits) -> Image.Image:
    """The image opened by Pillow, or a sentence that says why it cannot be."""
    try:
        return _open(content, form)
    except Image.DecompressionBombError as error:
        raise _too_many_pixels(limits, "far more") from error
    except Exception as error:  # any complaint about a header means the same to its owner
        bare = without_bulk(content, form, 0)
        if len(bare) < len(content):  # texts that the decoder refuses
            return _open_told(bare, form, tiff, limits)
        kind = jpeg_kind(content) if form == "JPEG" else tiff.words if tiff and all(tiff.size) else None
        if kind:
            raise UnreadableImage(
                f"A {form} of a kind that can be read", f"found {kind}", "Export it as PNG; 16 bits are kept."
            ) from error
        raise _damaged_header(form) from error


def _open(content: bytes, form: str) -> Image.Image:
    return Image.open(io.BytesIO(content), formats=[form])


def _decode(header: Header, reduced_px: int | None) -> Picture:
    try:
        return _decode_opened(header, reduced_px)
    except UnreadableImage:
        raise
    # Whatever a decoder throws at damaged bytes (OSError, SyntaxError, struct.error, MemoryError...) means one thing.
    except Exception as error:
        bare = without_bulk(header.content, header.format, 0)
        if len(bare) < len(header.content):  # texts behind the pixels that the decoder refuses
            return _decode(replace(header, content=bare, image=None), reduced_px)
        raise UnreadableImage(
            f"A whole {header.format} image",
            f"found a damaged or cut-off file ({_plain(error)})",
            "Export the image again.",
        ) from error


def _decode_opened(header: Header, reduced_px: int | None) -> Picture:
    if header.tiff is not None and header.tiff.is_deep:
        return Picture(read_deep_tiff(header.content, header.tiff), header.format)
    image = header.image or _open(header.content, header.format)
    if is_deep_png(image):
        significant = png_significant_bits(header.content)
        again = lambda: _open(header.content, header.format)  # noqa: E731
        return Picture(read_deep_png(image, again, significant), header.format)
    if reduced_px is not None:
        image.draft(None, (reduced_px, reduced_px))  # type: ignore[arg-type]  # None keeps the mode
    image.load()
    bound_exif(image.info)
    ImageOps.exif_transpose(image, in_place=True)
    return Picture(image, header.format)


def _orientation(header: Header) -> int:
    """How the stored pixels lie, 1 to 8 as in EXIF."""
    if header.tiff is not None:
        return header.tiff.orientation
    return orientation_of(header.image or _open(header.content, header.format))


def _several(form: str) -> UnreadableImage:
    return UnreadableImage(
        "One picture a file", f"found a {form} file of several pages or frames", "Save each as a file of its own."
    )


def _damaged_header(form: str) -> UnreadableImage:
    return UnreadableImage(f"A whole {form} image", "found a damaged or cut-off file header", "Export the image again.")


def _too_many_pixels(limits: Limits, found: str) -> UnreadableImage:
    return UnreadableImage(
        f"At most {limits.max_pixels:,} pixels an image", f"found {found}", "Cut the image into tiles or shrink it."
    )


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _plain(error: Exception) -> str:
    """The decoder's own words, shortened."""
    return (str(error) or type(error).__name__).split("\n")[0][:80]
