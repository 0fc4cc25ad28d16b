"""What a "harmonic mean" of base and novel classes is that a publication prints: now and then it is another mean."""

from __future__ import annotations

NAMED_HARMONIC_BUT_ARITHMETIC = "listed as harmonic mean, is the arithmetic mean"


def name_of_listed_mean(base: float, novel: float, listed: float, decimals: int = 2) -> str:
    """What a published "harmonic mean" is: "" if it is that of its row, else what it is instead. Numbers as printed.

    Half a unit of the last decimal of all three is allowed for.
    """
    room = 10.0**-decimals
    harmonic = 2 * base * novel / (base + novel) if base + novel > 0 else 0.0
    if abs(listed - harmonic) <= room:
        return ""
    if abs(listed - (base + novel) / 2) <= room:
        return NAMED_HARMONIC_BUT_ARITHMETIC
    return f"is neither the harmonic ({harmonic:.{decimals}f}) nor the arithmetic mean"
