"""What one full decode tells about an image: size, format, a hash of its pixels and a difference hash.

Decoding is the slow part of reading an image set, so it is done once per content and remembered for this process.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from PIL import Image

from core.images.decode import decode_with_format, open_header
from core.images.limits import Limits

_REMEMBERED = 50_000
_LARGE_PIXELS = 8_000_000
_known: OrderedDict[str, Signature] = OrderedDict()
_known_lock = threading.Lock()
# Large images are decoded one at a time: eight of 100 million pixels side by side would fill the memory.
_large_lock = threading.Lock()

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Signature:
    """width, height: of the upright image. pixels: hash of size and RGB values. difference: see `difference_hash`."""

    width: int
    height: int
    format: str
    pixels: str
    difference: int


def sign(content: bytes, sha256: str, limits: Limits | None = None) -> Signature:
    """Decode the bytes of one image fully and describe it. Raises UnreadableImage.

    sha256: of the same bytes; a content decoded before is not decoded again.
    """
    known = sign_known(sha256)
    if known is not None:
        return known
    limits = limits or Limits()
    width, height = open_header(content, limits).size
    with _large_lock if width * height > _LARGE_PIXELS else contextlib.nullcontext():
        made = _sign(content, limits)
    with _known_lock:
        _known[sha256] = made
        if len(_known) > _REMEMBERED:
            _known.popitem(last=False)
    return made


def sign_known(sha256: str) -> Signature | None:
    """The signature of a content decoded before in this process, or None."""
    with _known_lock:
        return _known.get(sha256)


def _sign(content: bytes, limits: Limits) -> Signature:
    image, form = decode_with_format(content, limits)
    head = f"{image.width}x{image.height}:".encode()
    pixels = hashlib.blake2b(head + image.tobytes(), digest_size=20).hexdigest()
    return Signature(image.width, image.height, form, pixels, difference_hash(image))


def difference_hash(image: Image.Image) -> int:
    """64 bits, one for each pair of horizontal neighbours in a 9 x 8 grey copy: is the left one brighter?

    Similar pictures differ in few bits, whatever their size and compression.
    """
    small = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BILINEAR), dtype=np.int16)
    bits = np.packbits(small[:, :-1] > small[:, 1:])
    return int.from_bytes(bits.tobytes(), "big")


def map_in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Results in the order of `items`, computed by a few threads, with no more than some dozens waiting in memory."""
    n_threads = min(8, (os.cpu_count() or 1) + 1)
    waiting: list[Future[Result]] = []
    with ThreadPoolExecutor(n_threads, thread_name_prefix="images") as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= 2 * n_threads:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()
