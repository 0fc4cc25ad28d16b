"""Row ids: 26 characters that sort by the time they were made."""

from __future__ import annotations

import os
import threading
import time

LENGTH = 26
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
RANDOM_BITS = 80

_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """A fresh id: 48 bits of milliseconds since 1970, then 80 random bits, in Crockford's base 32.

    Ids made one after another in one process always ascend, so rows inserted in order can be listed by id.
    """
    global _last
    random = int.from_bytes(os.urandom(RANDOM_BITS // 8), "big")
    fresh = (time.time_ns() // 1_000_000) << RANDOM_BITS | random
    with _lock:
        _last = fresh if fresh >> RANDOM_BITS > _last >> RANDOM_BITS else _last + 1
        return _encode(_last)


def _encode(number: int) -> str:
    return "".join(ALPHABET[number >> 5 * place & 31] for place in range(LENGTH - 1, -1, -1))
