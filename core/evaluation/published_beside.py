"""Which published numbers stand beside a row of ours, and what is said of each: only like beside like.

Like is: the same method, protocol and number of training images, on the same test images where that is known, else on
a data set of the same name and number of test images, or on one that somebody here has said to be this one. Never a
mean over data sets, and accuracy only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from core.evaluation.published import both_right, both_right_range, compare_to_published, overlap
from core.evaluation.published_file import HARMONIC

Published = Mapping[str, Any]
"""A row of `core.records.published`."""


@dataclass(frozen=True)
class Place:
    """Where a row of ours stands. fingerprint: of the images of the whole test part, None where it is gone.

    learns: False for the method that learns nothing, to which the number of training images is all the same.
    """

    method: str
    image_set: str
    fingerprint: str | None
    protocol: str
    shots: int | None
    share: float | None
    backbone: str
    learns: bool = True


@dataclass(frozen=True)
class Ours:
    """Our number on one part: accuracy, averaged over seeds, of n test images. n: None for a harmonic mean of two.

    rho: how far our own runs overlap in what they get right, see `core.evaluation.published.overlap`; None of one run.
    recipe: what our runs follow, in words.
    """

    accuracy: float
    n: int | None
    rho: float | None = None
    recipe: str = ""


def is_like(record: Published, place: Place) -> bool:
    """Whether a published accuracy is of this method, protocol and number of training images."""
    if (record["method"], record["metric"]) != (place.method, "accuracy"):
        return False
    theirs, ours = _setting(record), _setting(vars(place))
    return theirs == ours if place.learns else _kind(theirs[0]) == _kind(ours[0])


def beside(
    records: Sequence[Published], place: Place, ours: Callable[[str], Ours | None]
) -> tuple[list[dict[str, Any]], list[str]]:
    """What stands beside a row, and a sentence for each number that could but is not known to be on its images.

    records: those that `is_like` finds. ours: our number on a part, None where there is none.
    """
    found, left = [], []
    for record in records:
        own = ours(record["part"])
        if own is None:
            continue
        how, why = _match(record, place, own)
        if how:
            found.append(_shown(record, place, own, how))
        elif why:
            left.append(f"Published {_percent(record)} ({owner(record)}, {record['source']}) is not compared: {why}.")
    return found, left


def owner(record: Published) -> str:
    """Whose run it is, for people."""
    return "its authors" if record["whose"] == "authors" else f"run again by {record['run_by']}"


def mean_overlap(right: Sequence[np.ndarray]) -> float | None:
    """How far runs of ours overlap in what they get right, averaged over pairs of them; None below two.

    right: (images,) of each, in the same order.
    """
    known = [rho for pair in combinations(right, 2) if (rho := overlap(*pair)) is not None]
    return float(np.mean(known)) if known else None


def _kind(protocol: str) -> str:
    return "base-to-novel" if protocol == "base-to-novel" else "whole"


def _setting(of: Mapping[str, Any]) -> tuple[str, int | None, float | None]:
    """Protocol and amount of training images, in one way of saying it: all shots are all labels."""
    protocol, shots, share = of["protocol"], of["shots"], of["share"]
    if protocol == "full" or (protocol == "few-shot" and shots is None):
        return "full", None, 1.0 if share is None else float(share)
    return protocol, shots, None


def _match(record: Published, place: Place, own: Ours) -> tuple[str, str]:
    """How it is known that the number is of these images, or why that is not known; both empty for another data set."""
    if record["fingerprint"]:
        return ("images" if record["fingerprint"] == place.fingerprint else ""), ""
    if record["image_set"]:
        return ("said" if record["image_set"] == place.image_set and record["n_test"] else ""), ""
    if _plain(record["data_set"]) != _plain(place.image_set):
        return "", ""
    if record["n_test"] is None:
        return "", "on how many test images it was measured is not known; `published match` says so"
    if own.n is not None and record["n_test"] != own.n:
        many = f"it is of {record['n_test']} test images, ours of {own.n}"
        return "", f"{many}; `published match` says whether they belong together"
    return "name", ""


def _shown(record: Published, place: Place, own: Ours, how: str) -> dict[str, Any]:
    n = own.n if how != "said" or own.n is None else min(own.n, record["n_test"])
    found: dict[str, Any] = {
        "id": record["id"],
        "whose": owner(record),
        "source": record["source"],
        "place": record["place"],
        "data_set": record["data_set"],
        "part": record["part"],
        "k": record["shots"],
        "seeds": record["seeds"],
        "value": record["value"],
        "decimals": max(1, record["decimals"]),
        "ours": own.accuracy,
        "n": n,
        "matched": how,
        "notes": _notes(record, place, own, how),
    }
    return found | _chance(record, own, n)


def _chance(record: Published, own: Ours, n: int | None) -> dict[str, Any]:
    """{low, high, mark, better, sentence}: the chance that the order of the two is wrong, as a range."""
    decimals = max(1, record["decimals"])
    if n is None or record["part"] == HARMONIC:
        numbers = f"Published {_percent(record)} ({owner(record)}), ours {100 * own.accuracy:.{decimals}f} %"
        why = "a harmonic mean of two accuracies is no share of images, so nothing is said of the order"
        return {"low": None, "high": None, "mark": None, "better": None, "sentence": f"{numbers}: {why}."}
    value, accuracy = record["value"], own.accuracy
    if round(100 * value, decimals) == round(100 * accuracy, decimals):
        accuracy = value  # as printed they are equal
    rho = None if own.rho is None else _possible(own.rho, accuracy, value)
    compared = compare_to_published(accuracy, value, n, rho, owner(record), decimals)
    return {
        "low": compared.low,
        "high": compared.high,
        "mark": compared.at_overlap,
        "better": compared.better,
        "sentence": compared.sentence,
    }


def _possible(rho: float, first: float, second: float) -> float:
    """The overlap, not below the least that two such accuracies can have."""
    least = both_right_range(first, second)[0]
    room = float(both_right(first, second, 1.0) - both_right(first, second, 0.0))
    return max(rho, (least - first * second) / room) if room > 0 else 0.0


def _notes(record: Published, place: Place, own: Ours, how: str) -> list[str]:
    encoder, theirs = record["backbone"], record["n_test"]
    told = {
        "The same test images.": how == "images",
        f"'{record['data_set']}' by name and number of test images; whether they are the same is not known.": how
        == "name",
        f"Said here to be '{record['data_set']}', published on {theirs} test images; ours are {own.n}.": how == "said",
        "On how many draws the published number is the mean is not known.": record["seeds"] is None,
        f"Published with the encoder {encoder}, ours with {place.backbone}.": encoder and encoder != place.backbone,
        own.recipe: bool(own.recipe),
        f"In the published run: {record['deviations']}.": record["deviations"],
        f"Its harmonic mean: {record['h_definition']}.": record["h_definition"],
    }
    return [note for note, holds in told.items() if holds]


def _percent(record: Published) -> str:
    return f"{100 * record['value']:.{max(1, record['decimals'])}f} %"


def _plain(name: str) -> str:
    """A name of a data set without what people write in many ways: case, spaces, hyphens."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())
