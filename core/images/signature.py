"""What one full decode tells about an image: size, format, hashes of its pixels, how it was shown and what it lacks.

Decoding is the slow part of reading an image set, so it is done once per content and remembered: for this process, and
in a file where an entry point names one (`keep_signatures`).
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from PIL import Image

from core.images.decode import opened_picture
from core.images.findings import CONSTANT, Finding
from core.images.limits import Limits
from core.images.picture import Picture
from core.images.windowing import Windowing

_REMEMBERED = 50_000
_MOST_WAITING_BYTES = 256 * 1024**2
_known: OrderedDict[str, Signature] = OrderedDict()
_known_lock = threading.Lock()

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Signature:
    """width, height: of the upright image. pixels: hash of size and RGB values. difference: see `difference_hash`.

    windowing: how deep values became 8 bits, None where they had 8. findings: what the picture lacks.
    """

    width: int
    height: int
    format: str
    pixels: str
    difference: int
    windowing: Windowing | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def is_flat(self) -> bool:
        """Whether it shows nothing but one grey."""
        return any(found.problem == CONSTANT for found in self.findings)


def sign(content: bytes, sha256: str, limits: Limits | None = None) -> Signature:
    """Decode the bytes of one image fully and describe it. Raises UnreadableImage.

    sha256: of the same bytes; a content decoded before is not decoded again.
    """
    known = sign_known(sha256)
    if known is not None:
        return known
    with opened_picture(content, limits) as picture:
        made = _sign(picture)
    _remember(sha256, made)
    if _kept is not None:
        _kept.put(sha256, made)
    return made


def sign_known(sha256: str) -> Signature | None:
    """The signature of a content decoded before, or None."""
    with _known_lock:
        found = _known.get(sha256)
    if found is None and _kept is not None:
        found = _kept.get(sha256)
        if found is not None:
            _remember(sha256, found)
    return found


class Keeper(Protocol):
    """Where signatures outlive the process; see `core.images.signature_store`."""

    def get(self, sha256: str) -> Signature | None:
        """What is known of a content."""

    def put(self, sha256: str, signature: Signature) -> None:
        """Keep a signature."""

    def flush(self) -> None:
        """Write what waits."""


_kept: Keeper | None = None


def keep_signatures(keeper: Keeper | None) -> Keeper | None:
    """Keep signatures there from now on, for all of this process; gives what kept them before."""
    global _kept
    before, _kept = _kept, keeper
    return before


def flush_signatures() -> None:
    """Write what a keeper has not written yet: called where many images have been read."""
    if _kept is not None:
        _kept.flush()


def _remember(sha256: str, made: Signature) -> None:
    with _known_lock:
        _known[sha256] = made
        if len(_known) > _REMEMBERED:
            _known.popitem(last=False)


def _sign(picture: Picture) -> Signature:
    """All in one pass over strips, so that no second copy of a large picture is made."""
    pixels = hashlib.blake2b(f"{picture.width}x{picture.height}:".encode(), digest_size=20)
    histogram, grey = np.zeros(768, np.int64), Image.new("L", picture.size)
    for top, strip in picture.strips():
        pixels.update(strip.tobytes())
        histogram += strip.histogram()
        grey.paste(strip.convert("L"), (0, top))
    return Signature(
        picture.width,
        picture.height,
        picture.format,
        pixels.hexdigest(),
        difference_hash(grey),
        picture.windowing,
        picture.judge(histogram),
    )


def difference_hash(grey: Image.Image) -> int:
    """64 bits, one for each pair of horizontal neighbours in a 9 x 8 copy of a grey image: is the left one brighter?

    Similar pictures differ in few bits, whatever their size and compression.
    """
    small = np.asarray(grey.resize((9, 8), Image.Resampling.BILINEAR), dtype=np.int16)
    bits = np.packbits(small[:, :-1] > small[:, 1:])
    return int.from_bytes(bits.tobytes(), "big")


def map_in_threads(
    work: Callable[[Item], Result], items: Iterable[Item], n_bytes: Callable[[Item], int] | None = None
) -> Iterator[Result]:
    """Results in the order of `items`, computed by a few threads, with no more than some dozens waiting in memory.

    n_bytes: how much an item holds; of large ones fewer wait.
    """
    n_threads = min(8, (os.cpu_count() or 1) + 1)
    waiting: deque[tuple[Future[Result], int]] = deque()
    held = 0
    with ThreadPoolExecutor(n_threads, thread_name_prefix="images") as pool:
        for item in items:
            size = n_bytes(item) if n_bytes else 0
            waiting.append((pool.submit(work, item), size))
            del item
            held += size
            while waiting and (len(waiting) >= 2 * n_threads or held >= _MOST_WAITING_BYTES):
                done, size = waiting.popleft()
                held -= size
                yield done.result()
        for done, _ in waiting:
            yield done.result()
