"""Where the images of a study went: received, refused by reason, usable, in parts, drawn, tested."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from core.images.image_set import ImageSet
from core.images.labelled_image import PARTS
from core.reporting.study import Study, amount_words


def data_flow(images: ImageSet) -> dict[str, Any]:
    """{received, refused: {problem: n}, usable, copies, two_classes, parts: {part: counts}} of an image set.

    received: files that are usable or were refused. copies: usable images whose bytes another usable one has too; they
    are kept. two_classes: contents among them that stand under several classes. parts: {n, groups, without_group,
    classes: {class: n}}; groups are patients or whatever the set was grouped by.
    """
    named = {image.name for image in images.images}
    refused = Counter(
        {problem.file: problem.problem for problem in images.problems if problem.file not in named}.values()
    )
    contents = Counter(image.sha256 for image in images.images)
    labels = defaultdict(set)
    for image in images.images:
        labels[image.sha256].add(image.label)
    usable = len(images.images)
    return {
        "received": usable + refused.total(),
        "refused": dict(refused.most_common()),
        "usable": usable,
        "copies": usable - len(contents),
        "two_classes": sum(len(own) > 1 for own in labels.values()),
        "parts": {part: _part(images, part) for part in PARTS if images.part(part)},
    }


def flow_sentence(flow: Mapping[str, Any]) -> str:
    """The sums of a flow in words."""
    refused = sum(flow["refused"].values())
    parts = " + ".join(f"{part['n']:,} {name}" for name, part in flow["parts"].items())
    copies = flow["copies"]
    same = f"{copies:,} of them {'repeats' if copies == 1 else 'repeat'} the bytes of another, all kept"
    same = same if copies else "no two have the same bytes"
    twice = f"; {flow['two_classes']} contents stand under several classes" if flow["two_classes"] else ""
    return (
        f"{flow['received']:,} files received = {flow['usable']:,} usable + {refused:,} refused; "
        f"{flow['usable']:,} usable = {parts}; {same}{twice}."
    )


def draws(study: Study, set_name: str) -> list[dict[str, Any]]:
    """What trainings used of an image set, one row for each amount: {amount, seeds, train, validation, distinct_train,
    distinct_validation, tested}.

    train, validation: of one seed. distinct: over all seeds and methods. Runs that keep no draw leave None.
    """
    by_amount: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for run in study.runs:
        if run["image_set"]["name"] == set_name:
            by_amount[amount_words(run)].append(run)
    return [_draw(study, amount, runs) for amount, runs in by_amount.items()]


def _draw(study: Study, amount: str, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    # a baseline without steps draws nothing but images to calibrate on
    learned = [run for run in runs if run.get("n_train")] or list(runs)
    own = [study.drawn.get(run["id"], {}) for run in learned]
    return {
        "amount": amount,
        "seeds": sorted({run["seed"] for run in learned}),
        "train": learned[0].get("n_train"),
        "validation": learned[0].get("n_val"),
        "distinct_train": _distinct(own, "train"),
        "distinct_validation": _distinct(own, "validation"),
        "tested": learned[0].get("n_test"),
    }


def _distinct(draws: Sequence[Mapping[str, Sequence[str]]], role: str) -> int | None:
    known = [draw[role] for draw in draws if role in draw]
    return len({content for draw in known for content in draw}) if known else None


def _part(images: ImageSet, part: Any) -> dict[str, Any]:
    own = images.part(part)
    counts = Counter(images.classes[image.label] for image in own)
    return {
        "n": len(own),
        "groups": len({image.group for image in own if image.group is not None}),
        "without_group": sum(image.group is None for image in own),
        "classes": {name: counts[name] for name in images.classes},
    }
