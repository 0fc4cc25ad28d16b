"""One remark about one sentence, and which kinds of remark there are."""

from __future__ import annotations

from dataclasses import asdict, dataclass

KINDS = {
    "duplicate": "stands twice, in whatever case, punctuation or order of its parts",
    "near_duplicate": "says nearly what another sentence says",
    "not_visible": "speaks of what no image shows",
    "negated": "says what is not there; text towers read it as present",
    "class_missing": "does not name its class",
    "near_other_class": "fits another class better than its own",
    "outlier": "unlike the other sentences of its class",
    "language": "not English",
    "length": "too short or too long to say one thing",
    "too_long": "longer than the text tower reads",
}
"""Kinds of finding, in the order in which a person should look at them."""

SERIOUS = frozenset({"duplicate", "not_visible"})
"""Kinds that fail a check: such a sentence misleads or counts twice whatever the images are."""


@dataclass(frozen=True)
class Finding:
    """One remark about one sentence. finding: one of KINDS; detail: what was found, as the end of a sentence."""

    class_name: str
    sentence: str
    finding: str
    detail: str

    def as_dict(self) -> dict[str, str]:
        """JSON form; the key of the class is "class"."""
        row = asdict(self)
        return {"class": row.pop("class_name"), **row}
