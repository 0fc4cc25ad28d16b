"""Image files to pixels: which formats, how 16 bit, alpha and rotation are treated, and what is refused.

What every later step may rely on: three channels of 8 bits, upright, and the same file always gives the same pixels.

- Formats: PNG, JPEG, TIFF, BMP, WebP. The content decides, not the name.
- 16-bit grey: divided by the smallest customary full range (8, 12 or 16 bits) that holds the image's largest value,
  so images of one detector keep their brightness relative to each other. 16-bit colour keeps the upper 8 bits.
- Grey values outside 0..65535, and floats, are stretched from the image's minimum to its maximum.
- Transparency is laid on black, the background of nearly all biomedical images.
- The orientation stored by a camera is applied. Colour profiles are not.
- Files of several pages or frames are refused: nobody can tell which one carries the label.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from core.errors import UnreadableImage
from core.images.limits import Limits, megabytes

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
MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".tif": "image/tiff",
    ".bmp": "image/bmp",
    ".webp": "image/webp",
}
FORMAT_NAMES = "a PNG, JPEG, TIFF, BMP or WebP image"
_FULL_RANGES = (255, 4095, 65535)
_WHITE_IS_ZERO = 262, 0
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


def decode_image(source: str | Path | bytes, limits: Limits | None = None) -> Image.Image:
    """The image as RGB, 8 bits a channel, upright.

    source: a path or the bytes of a file. Raises UnreadableImage, with a sentence, for anything else than one whole
    image of an allowed format within the limits; pixels are counted before any is decoded.
    """
    limits = limits or Limits()
    content = source if isinstance(source, bytes) else read_bounded(Path(source), limits)
    return decode_with_format(content, limits)[0]


def decode_with_format(content: bytes, limits: Limits) -> tuple[Image.Image, str]:
    """The RGB image and the format ("PNG", "JPEG", ...) of its file."""
    image = open_header(content, limits)
    form = format_of(image)
    try:
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return to_rgb(image, _is_inverted(image)), form
    except UnreadableImage:
        raise
    # Whatever a decoder throws at damaged bytes (OSError, SyntaxError, struct.error, MemoryError...) means one thing.
    except Exception as error:
        raise UnreadableImage(
            f"A whole {form} image", f"found a damaged or cut-off file ({_plain(error)})", "Export the image again."
        ) from error


def probe_image(path: str | Path, limits: Limits | None = None) -> tuple[int, int, str]:
    """(width, height, format) of the upright image, read from the header only. Raises UnreadableImage."""
    content = read_bounded(Path(path), limits or Limits())
    image = open_header(content, limits or Limits())
    width, height = image.size
    try:
        # Pillow gives the size of a TIFF upright already.
        sideways = image.format != "TIFF" and image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    except Exception:  # a broken EXIF block must not hide a readable header
        sideways = False
    return (height, width, format_of(image)) if sideways else (width, height, format_of(image))


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


def format_of(image: Image.Image) -> str:
    """The format by our names; a camera's multi-picture JPEG (MPO) is read as the JPEG it begins with."""
    return "JPEG" if image.format == "MPO" else str(image.format)


def to_rgb(image: Image.Image, inverted: bool = False) -> Image.Image:
    """Eight-bit RGB of a loaded image of any mode; see the module's rules."""
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(scale_grey(np.asarray(image), inverted), "L").convert("RGB")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        black = Image.new("RGBA", layer.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, layer).convert("RGB")
    return image.convert("RGB")


def scale_grey(values: np.ndarray, inverted: bool = False) -> np.ndarray:
    """Grey values of more than 8 bits as uint8, (height, width); see the module's rules.

    inverted: the file says that 0 is white. Raises UnreadableImage for values that are not finite.
    """
    if not np.isfinite(values).all():
        raise UnreadableImage("Finite pixel values", "found NaN or infinity", "Export the image again.")
    low, high = values.min(), values.max()
    if values.dtype.kind in "iu" and low >= 0 and high <= _FULL_RANGES[-1]:
        full = next(full for full in _FULL_RANGES if high <= full)
        grey = ((values.astype(np.uint32) * 255 + full // 2) // full).astype(np.uint8)
    elif high == low:
        grey = np.zeros(values.shape, np.uint8)
    else:
        share = (values.astype(np.float64) - low) / (float(high) - float(low))
        grey = np.rint(share * 255).astype(np.uint8)
    return 255 - grey if inverted else grey


def open_header(content: bytes, limits: Limits) -> Image.Image:
    """The image with only its header read, held against the limits. Raises UnreadableImage."""
    check_size(len(content), limits)
    form = sniff_format(content)
    if form is None:
        raise UnreadableImage(_first_upper(FORMAT_NAMES), f"found {describe_content(content)}", "Export it as PNG.")
    try:
        image = Image.open(io.BytesIO(content), formats=[form])
    except Image.DecompressionBombError as error:
        raise _too_many_pixels(limits, "far more") from error
    except Exception as error:  # any complaint about a header means the same to its owner
        raise UnreadableImage(
            f"A whole {form} image", "found a damaged or cut-off file header", "Export the image again."
        ) from error
    width, height = image.size
    if width * height > limits.max_pixels:
        raise _too_many_pixels(limits, f"{width:,} x {height:,}")
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise UnreadableImage(
            "One picture a file", f"found a {form} file of several pages or frames", "Save each as a file of its own."
        )
    return image


def _too_many_pixels(limits: Limits, found: str) -> UnreadableImage:
    return UnreadableImage(
        f"At most {limits.max_pixels:,} pixels an image", f"found {found}", "Cut the image into tiles or shrink it."
    )


def _is_inverted(image: Image.Image) -> bool:
    """Whether a deep TIFF says that 0 is white; Pillow turns only images of up to 8 bits by itself."""
    tag, value = _WHITE_IS_ZERO
    return image.mode.startswith("I;16") and getattr(image, "tag_v2", {}).get(tag) == value


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _plain(error: Exception) -> str:
    """The decoder's own words, shortened."""
    return (str(error) or type(error).__name__).split("\n")[0][:80]
