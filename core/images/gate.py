"""How much is decoded at once: many small pictures side by side, a large one alone.

Without it memory grows with the number of threads: eight pictures of 100 million pixels, from files of 100 kB, would
take gigabytes.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

PIXELS_AT_ONCE = 32_000_000
LARGE_PIXELS = 8_000_000
"""From here on the memory is handed back to the system afterwards."""


class PixelGate:
    """Lets pictures pass whose pixels together stay below a limit, in the order in which they came.

    One above the limit passes alone. A thread that is inside may enter again without waiting: a mask beside its image.
    """

    def __init__(self, pixels: int = PIXELS_AT_ONCE) -> None:
        self._free = self._all = pixels
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()
        self._own = threading.local()

    @contextmanager
    def passing(self, n_pixels: int) -> Iterator[None]:
        """Wait until there is room for so many pixels, and hold it until the block ends."""
        if getattr(self._own, "is_inside", False):
            yield
            return
        taken = min(n_pixels, self._all)
        self._enter(taken)
        self._own.is_inside = True
        try:
            yield
        finally:
            self._own.is_inside = False
            with self._changed:
                self._free += taken
                self._changed.notify_all()

    @property
    def n_waiting(self) -> int:
        """How many stand before the gate."""
        with self._changed:
            return len(self._queue)

    def _enter(self, taken: int) -> None:
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            try:
                self._changed.wait_for(lambda: self._queue[0] is ticket and self._free >= taken)
                self._free -= taken
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()


DECODING = PixelGate()
"""The one gate of this process."""


def give_back(n_pixels: int) -> None:
    """Hand the memory of a large picture back to the system; the C library of Linux would keep it for later."""
    if n_pixels < LARGE_PIXELS or sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # only the GNU library has it
    if trim is not None:
        trim(0)
