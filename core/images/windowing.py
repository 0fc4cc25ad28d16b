"""How grey values of more than 8 bits are shown as 8 bits, as records and screens tell it; `grey_range` finds it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

NAN = "NaN"


@dataclass(frozen=True)
class Windowing:
    """The values of a file that became black and white.

    low, high: shown as 0 and 255, the other way round where `inverted`. source: "data" for a range found in the values,
    "type" for a flat picture: the range of its type. bits: stored a sample; kind: unsigned, signed or float.
    declared_bits: what the file says is used of them, where it says less. padding: values kept out of the range.
    """

    low: float
    high: float
    source: str
    bits: int
    kind: str = "unsigned"
    declared_bits: int | None = None
    inverted: bool = False
    padding: tuple[float | str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {**vars(self), "padding": list(self.padding)}

    def told(self) -> dict[str, Any]:
        """JSON form with the sentence."""
        return self.as_dict() | {"sentence": self.sentence}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Windowing:
        """The inverse of `as_dict`."""
        return cls(**{**values, "padding": tuple(values["padding"])})

    @property
    def sentence(self) -> str:
        """The same for people."""
        black, white = (self.high, self.low) if self.inverted else (self.low, self.high)
        padding = "".join(f"; {value if value == NAN else f'{value:g}'} is padding" for value in self.padding)
        return f"{self.bits}-bit {self.kind} values, {black:g} shown as black and {white:g} as white{padding}."


def windowing_note(windows: Iterable[Windowing], n_images: int) -> list[str]:
    """One sentence on the deep pictures of a set, if there are any."""
    found = list(windows)
    if not found:
        return []
    lows, highs = [w.low for w in found], [w.high for w in found]
    have, each = ("has", "it") if len(found) == 1 else ("have", "each")
    return [
        f"{len(found)} of {n_images} images {have} more than 8 bits or signed values; {each} is shown by the range "
        f"of its own values: black at {_span(lows)}, white at {_span(highs)}."
    ]


def _span(values: list[float]) -> str:
    least, most = f"{min(values):g}", f"{max(values):g}"
    return least if least == most else f"{least} to {most}"
