"""What file names alone say of images that belong together, such as those of one patient or copies of one photograph.

Names prove nothing, so nothing is grouped by them; people are told.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from core.images.archive import printable

_NAMED_PATIENT = re.compile(r"(?<![a-z])(?:patient|pat|pt|subject|subj|sub|case|person)[-_ ]?[0-9]+", re.IGNORECASE)
_MOST_UNMATCHED = 0.2


def patient_hint(names: Sequence[str]) -> str | None:
    """A sentence where file names look as if several images were of one patient, or None. Nothing is grouped by it."""
    families = name_families(names)
    members: dict[str, list[str]] = defaultdict(list)
    for name, family in zip(names, families, strict=True):
        if family is not None:
            members[family].append(name)
    if not members:
        return None
    first, second = (PurePosixPath(name).name for name in max(members.values(), key=len)[:2])
    n_matched = sum(map(len, members.values()))
    return (
        f"File names such as '{printable(first)}' and '{printable(second)}' look as if several images were of "
        f"one patient ({len(members)} in {n_matched} images). Give a table with the columns path and group, so "
        "that each stays on one side."
    )


def name_families(names: Sequence[str]) -> list[str | None]:
    """For each name what it may share with others of one patient or photograph; None for all where names say nothing.

    Folders count only where they name a patient themselves.
    """
    for key in (_named_patient, _before_number):
        found = [key(str(PurePosixPath(name).with_suffix(""))) or None for name in names]
        families = [None if who is None else who.casefold() for who in found]
        sizes: dict[str, int] = defaultdict(int)
        for family in families:
            if family is not None:
                sizes[family] += 1
        n_matched = sum(sizes.values())
        is_likely = n_matched >= (1 - _MOST_UNMATCHED) * len(names) and 3 * len(sizes) <= 2 * n_matched
        if is_likely and len(sizes) > 2 and max(sizes.values()) > 1:
            return families
    return [None] * len(names)


def _named_patient(stem: str) -> str:
    """What a name says of a patient: "patient12" of "a/patient12_3"; "" for nothing."""
    match = _NAMED_PATIENT.search(stem)
    return match[0] if match else ""


def _before_number(stem: str) -> str:
    """What stands before a last short number, if that has digits of its own: "A-22549" of "A-22549-001"; else ""."""
    text = stem.removesuffix(")")
    number = text[len(text.rstrip("0123456789")) :]
    before = text[: len(text) - len(number)]
    who = before.rstrip("-_ (")
    has_number = 0 < len(number) < 5 and who != before
    return who if has_number and any(c.isdigit() for c in PurePosixPath(who).name) else ""
