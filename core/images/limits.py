"""How much an image set may hold; every limit counts what is there after decompression."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds on uploads and image sets. Sizes are bytes really read, never the sizes a sender declares.

    max_ratio counts only for members above `ratio_floor_bytes`: a small black bitmap packs a thousandfold.
    max_drawn_bytes: of images that are drawn from an archive of very many.
    """

    max_files: int = 20_000
    max_file_bytes: int = 100 * 1024**2
    max_total_bytes: int = 4 * 1024**3
    max_drawn_bytes: int = 1024**3
    max_ratio: float = 100.0
    ratio_floor_bytes: int = 8 * 1024**2
    max_directory_bytes: int = 8 * 1024**2
    max_pixels: int = 100_000_000
    max_name_bytes: int = 1024
    max_part_bytes: int = 255
    max_text_bytes: int = 64 * 1024**2


def megabytes(n_bytes: int) -> str:
    """A size as people read it: '100 MB', '3.5 kB', '12 bytes'."""
    for unit, size in (("GB", 1024**3), ("MB", 1024**2), ("kB", 1024)):
        if n_bytes >= size:
            return f"{n_bytes / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{n_bytes} bytes"
